//! What AWS refuses, for the user.

use super::{TOO_MANY, says};
use crate::clouds::aws::{AwsError, credentials_remedy};
use crate::vocabulary::aws::KeyArn;
use tfplugin::diagnostics::Diagnostic;

/// Why AWS did not do something, in a sentence without an end.
pub fn in_words(error: &AwsError) -> String {
    error.to_string()
}

/// A profile that the configuration names and that is not there. `why` says it of each file.
pub fn missing_profile(profile: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "The AWS profile does not exist",
        format!(
            "The profile `{profile}` is set, and {why}. The provider does not use other credentials in its place, also not those of the \
             environment.\n\nName a profile that exists (`aws.profile` of the provider, `--aws-profile` of the `key` command), or create \
             this one:\n\n  aws configure list-profiles\n  aws configure sso --profile {profile}"
        ),
    )
}

/// Why AWS did not do something to a key itself; what is denied is named alone.
pub fn aws_call(summary: &str, key: &KeyArn, error: &AwsError) -> Diagnostic {
    match error {
        AwsError::AccessDenied {
            permission,
            message,
        } => Diagnostic::error(
            summary,
            format!(
                "These credentials are not allowed to call {permission} on {key}.{}\n\nAllow it, in the key policy or in the IAM policies of the \
                 identity:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": \"{permission}\",\n  \"Resource\": \"{key}\"\n}}",
                says("AWS", message)
            ),
        ),
        other => aws(summary, key, other),
    }
}

/// Why AWS did not do something. `summary` says what was wanted.
pub fn aws(summary: &str, key: &KeyArn, error: &AwsError) -> Diagnostic {
    let detail = match error {
        AwsError::AccessDenied {
            permission,
            message,
        } => format!(
            "The identity that runs Terraform is not allowed to call {permission} on {key}.{}\n\nAllow it, in the key policy and in the IAM \
             policies of that identity:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": [{}],\n  \"Resource\": \"{key}\"\n}}",
            says("AWS", message),
            actions(permission)
        ),
        AwsError::NotFound(message) => format!(
            "KMS has no key {key}.{}\n\nCheck the ARN, and that the credentials belong to account {}.",
            says("AWS", message),
            key.account()
        ),
        AwsError::InvalidState(message) => format!(
            "The state of {key} does not allow this call.{}\n\nTo see the state, run:\n\n  aws kms describe-key --key-id {} --region {}",
            says("AWS", message),
            key.key_id(),
            key.region()
        ),
        AwsError::MalformedPolicy(message) => format!(
            "KMS does not accept the policy of {key}.{}\n\nA principal that was created a moment ago is known to KMS only after some seconds: \
             apply again. Otherwise correct the policy: each principal must exist, and the policy must follow the grammar of key policies.",
            says("AWS", message)
        ),
        AwsError::Credentials {
            reason, profile, ..
        } => {
            let of = profile
                .as_deref()
                .map(|profile| format!(" (profile `{profile}`)"))
                .unwrap_or_default();
            format!(
                "The provider found no usable AWS credentials{of}: {reason}.\n\n{}",
                credentials_remedy(profile.as_deref())
            )
        }
        AwsError::Unreachable { reason, .. } => {
            format!(
                "AWS could not be reached: {reason}.\n\nCheck the network, the proxy, and `aws.endpoints` of the provider."
            )
        }
        AwsError::Other { code, message, .. } => {
            let said = match message.trim() {
                "" => format!("AWS answers with the error {code}."),
                message => format!("AWS says: \"{message}\" ({code})."),
            };
            // Of these, AWS refuses for sure only what comes too often.
            let advice = match error.is_refusal() {
                true => TOO_MANY,
                false => {
                    "Run again; the next plan shows the result. If AWS answers like this again, correct what it names."
                }
            };
            format!("{said}\n\n{advice}")
        }
    };
    Diagnostic::error(summary, detail)
}

/// What the resources of this provider call on a key, and what was denied, as a list of a policy has it.
fn actions(denied: &str) -> String {
    let always = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"];
    let more = Some(denied).filter(|denied| !always.contains(denied));
    let all = always.into_iter().chain(more);
    let quoted: Vec<String> = all.map(|action| format!("\"{action}\"")).collect();
    quoted.join(", ")
}
