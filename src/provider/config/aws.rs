//! The `aws` block.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{check_services, text};
use crate::clouds::aws::{AssumeRole, AwsSettings};
use crate::vocabulary::aws::RoleArn;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::schema::{Attribute, Problem};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// The `aws` block of the provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct AwsBlock {
    pub region: Attr<String>,
    pub profile: Attr<String>,
    pub access_key: Attr<String>,
    pub secret_key: Attr<String>,
    pub token: Attr<String>,
    pub ca_bundle: Attr<String>,
    pub assume_role: Attr<AssumeRoleBlock>,
    pub examine_iam: Attr<bool>,
    pub simulate: Attr<bool>,
    pub endpoints: Attr<BTreeMap<String, Attr<String>>>,
    /// Of the command that reads many accounts, and no attribute: a role in each, with `{account}` in its ARN.
    #[serde(skip)]
    pub role_pattern: Option<String>,
    /// The same: how often a call is tried.
    #[serde(skip)]
    pub tries: Option<u32>,
    /// The same: the address of CloudTrail.
    #[serde(skip)]
    pub cloudtrail_endpoint: Option<String>,
}

/// `aws.assume_role`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct AssumeRoleBlock {
    pub role_arn: Attr<String>,
    pub session_name: Attr<String>,
    pub external_id: Attr<String>,
    pub duration: Attr<GoDuration>,
}

/// The services whose addresses `aws.endpoints` can set.
const SERVICES: [&str; 4] = ["iam", "kms", "s3", "sts"];

fn check_endpoints(value: &Value) -> Result<(), Problem> {
    check_services("aws", &SERVICES, value)
}

/// The attributes of the block.
pub(super) fn attributes() -> Vec<Attribute> {
    let assume_role = vec![
        Attribute::string("role_arn")
            .required()
            .format::<RoleArn>("Invalid role ARN")
            .describe("ARN of the role to assume."),
        Attribute::string("session_name")
            .describe("Name of the session. Default: `terraform-provider-dbxcmk`."),
        Attribute::string("external_id")
            .describe("External ID that the trust policy of the role asks for."),
        Attribute::duration("duration")
            .describe("How long the session lasts, for example `1h`. Default: `15m`."),
    ];
    vec![
        Attribute::string("region").describe(
            "Region for calls that do not depend on a key (STS). The provider calls KMS in the region of the key. Default: \
             the region that the AWS tools use.",
        ),
        Attribute::string("profile").describe(
            "Profile of the shared AWS configuration. It must exist, and wins over an access key in the environment. Default: the default \
             credential chain of the AWS tools.",
        ),
        Attribute::string("access_key").describe("Access key ID. Prefer the environment, a profile, or a role."),
        Attribute::string("secret_key").sensitive().describe("Secret of the access key."),
        Attribute::string("token").sensitive().describe("Session token of a temporary access key."),
        Attribute::string("ca_bundle").describe(
            "File of certificates (PEM) to trust in addition to those of the system. Default: environment variable \
             `AWS_CA_BUNDLE`.",
        ),
        Attribute::object("assume_role", assume_role).describe("Role to assume for every call to AWS."),
        Attribute::bool("examine_iam").describe(
            "Whether to read the IAM policies of cross-account roles for the proof. Default: `true`.",
        ),
        Attribute::bool("simulate").describe(
            "Whether to ask AWS's policy simulator (`iam:SimulatePrincipalPolicy`) for a second opinion about cross-account roles. It also \
             knows the service control policies (SCPs) of the organization. Default: `false`.",
        ),
        Attribute::of("endpoints", Type::map(Type::String)).check(check_endpoints).describe(
            "Addresses of AWS services by name (`kms`, `sts`, `iam`, `s3`), for tests against local services: `{ kms = \"http://localhost:4566\" }`.",
        ),
    ]
}

impl AwsBlock {
    /// Checks the configuration without a call: everything that is wrong with it.
    pub(super) fn validate(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        let half = |present: &Attr<String>, missing: &Attr<String>| {
            present.known().is_some() && missing.is_null()
        };
        let pairs = [
            (
                "access_key",
                &self.access_key,
                "secret_key",
                &self.secret_key,
            ),
            (
                "secret_key",
                &self.secret_key,
                "access_key",
                &self.access_key,
            ),
            ("token", &self.token, "access_key", &self.access_key),
        ];
        for (present, value, missing, other) in pairs {
            if half(value, other) {
                let summary = format!("aws.{present} needs aws.{missing}");
                let detail = format!(
                    "An AWS access key consists of `access_key` and `secret_key` (and `token`, if it is a temporary one). Set \
                     `{missing}` as well, or remove `{present}` and let the AWS default credential chain find the credentials."
                );
                found.push(Diagnostic::error(summary, detail).on(&format!("aws.{present}")));
            }
        }
        found
    }

    /// What the AWS clients need, and whether some of it is not known yet.
    pub(super) fn settings(&self) -> (AwsSettings, bool) {
        let mut settings = AwsSettings {
            region: text(&self.region),
            profile: text(&self.profile),
            access_key: text(&self.access_key),
            secret_key: text(&self.secret_key).map(Into::into),
            token: text(&self.token).map(Into::into),
            ca_bundle: text(&self.ca_bundle).map(Into::into),
            role_pattern: self.role_pattern.clone(),
            tries: self.tries,
            cloudtrail_endpoint: self.cloudtrail_endpoint.clone(),
            ..AwsSettings::default()
        };
        let plain = [
            &self.region,
            &self.profile,
            &self.access_key,
            &self.secret_key,
            &self.token,
            &self.ca_bundle,
        ];
        let mut unknown = plain.into_iter().any(|value| value.is_unknown());
        unknown |= self.assume_role.is_unknown() || self.endpoints.is_unknown();
        if let Attr::Known(role) = &self.assume_role {
            unknown |= role.role_arn.is_unknown()
                || role.external_id.is_unknown()
                || role.session_name.is_unknown();
            settings.assume_role = text(&role.role_arn).map(|role_arn| AssumeRole {
                role_arn,
                session_name: text(&role.session_name),
                external_id: text(&role.external_id),
                duration: role.duration.known().map(GoDuration::length),
            });
        }
        settings.examine_iam = self.examine_iam.known() != Some(&false);
        settings.simulate = self.simulate.known() == Some(&true);
        if let Attr::Known(endpoints) = &self.endpoints {
            unknown |= endpoints.values().any(Attr::is_unknown);
            let of = |service: &str| endpoints.get(service).and_then(text);
            settings.kms_endpoint = of("kms");
            settings.sts_endpoint = of("sts");
            settings.iam_endpoint = of("iam");
            settings.s3_endpoint = of("s3");
        }
        (settings, unknown)
    }
}
