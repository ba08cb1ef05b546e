//! What the key itself is: its state, its kind, and what may become of it.

use super::Question;
use crate::preflight::aws::{KeyDescription, KeyFacts};
use crate::preflight::{Fact, Finding, Id, Severity, Subject};
use crate::vocabulary::{KeyArn, KeyState, UseCase};

/// What makes the key unusable now.
pub(super) fn kind_and_state(
    key: &KeyArn,
    description: &KeyDescription,
    findings: &mut Vec<Finding>,
) {
    let mut push = |id, summary: &str, found: String, why: &str, remedy: String| {
        findings.push(Finding {
            id,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: summary.to_owned(),
            found,
            why: why.to_owned(),
            remedy,
        });
    };
    let id = key.key_id();
    let region = key.region();
    match &description.state {
        KeyState::Enabled => {}
        KeyState::Disabled => push(
            Id::KmsKeyDisabled,
            "The key is disabled",
            format!("{key} is in the state Disabled."),
            "Nobody can encrypt or decrypt with a disabled key: an attach would fail, and a workspace that already uses the key is \
             dark until it is enabled again.",
            format!(
                "Enable it, and plan again:\n\n  aws kms enable-key --key-id {id} --region {region}"
            ),
        ),
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => push(
            Id::KmsKeyPendingDeletion,
            "The key is waiting to be deleted",
            format!(
                "{key} is in the state {}{}.",
                description.state,
                description
                    .deletion_date
                    .as_deref()
                    .map(|date| format!(" and will be deleted on {date}"))
                    .unwrap_or_default()
            ),
            "It cannot be used, and once it is deleted everything that was encrypted with it is lost for good.",
            format!(
                "If the key is still wanted, cancel the deletion and enable it:\n\n  aws kms cancel-key-deletion --key-id {id} \
                 --region {region}\n  aws kms enable-key --key-id {id} --region {region}\n\nOtherwise name another key."
            ),
        ),
        KeyState::PendingImport => push(
            Id::KmsKeyState,
            "The key has no key material yet",
            format!("{key} is in the state PendingImport."),
            "A key whose material is to be imported cannot be used before that, or after the material has expired.",
            "Import the key material (`aws kms import-key-material`), and plan again.".to_owned(),
        ),
        other => push(
            Id::KmsKeyState,
            "The key cannot be used in its present state",
            format!("{key} is in the state {other}."),
            "Databricks can use a key only in the state Enabled.",
            format!(
                "Wait until the key is Enabled, and plan again:\n\n  aws kms describe-key --key-id {id} --region {region}"
            ),
        ),
    }
    if description.usage != "ENCRYPT_DECRYPT" {
        push(
            Id::KmsKeyUsage,
            "The key is not made for encryption",
            format!("{key} has the key usage {}.", description.usage),
            "Databricks encrypts and decrypts with the key; that needs the key usage ENCRYPT_DECRYPT, which cannot be changed \
             after a key was made.",
            "Use a key with `key_usage = \"ENCRYPT_DECRYPT\"`, which is the default of `aws_kms_key`.".to_owned(),
        );
    }
    if description.spec != "SYMMETRIC_DEFAULT" {
        push(
            Id::KmsKeySpec,
            "The key is not a symmetric one",
            format!("{key} has the key spec {}.", description.spec),
            "Databricks needs a symmetric key; the spec cannot be changed after a key was made.",
            "Use a key with `customer_master_key_spec = \"SYMMETRIC_DEFAULT\"`, which is the default of `aws_kms_key`."
                .to_owned(),
        );
    }
    if description.manager != "CUSTOMER" {
        push(
            Id::KmsKeyManager,
            "The key is managed by AWS",
            format!("{key} is managed by {}.", description.manager),
            "The policy of such a key cannot be changed, so Databricks cannot be allowed to use it.",
            "Create a key of your own with `aws_kms_key`, and name that one.".to_owned(),
        );
    }
}

/// What works today and may not tomorrow.
pub(super) fn future(
    facts: &KeyFacts,
    description: &KeyDescription,
    question: &Question,
    findings: &mut Vec<Finding>,
) {
    let mut warn = |id: Id, found: String, why: &str, remedy: String| {
        findings.push(Finding {
            id,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: id.title().to_owned(),
            found,
            why: why.to_owned(),
            remedy,
        });
    };
    let key = &facts.arn;
    if let Some(date) = &description.material_expires {
        warn(
            Id::KmsKeyExpires,
            format!("The imported key material of {key} expires on {date}."),
            "On that day nobody can use the key any more, and the workspace goes dark until the same material is imported again.",
            "Import the material again without an expiry (`--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE`), or make sure that somebody \
             renews it in time.".to_owned(),
        );
    }
    if let Some(primary) = &description.replica_of {
        warn(
            Id::KmsKeyReplica,
            format!("{key} is a replica of {primary}."),
            "It works. Its rotation is that of the primary key, and its own deletion is as final as that of any key.",
            "Nothing has to be done; silence this finding if the replica is meant.".to_owned(),
        );
    }
    // A managed services key can be exchanged for another one.
    let is_kept = question.usage.use_cases.contains(&UseCase::Storage);
    if is_kept
        && facts.rotates == Fact::Known(false)
        && description.spec == "SYMMETRIC_DEFAULT"
        && description.replica_of.is_none()
    {
        warn(
            Id::KmsKeyNoRotation,
            format!("The material of {key} is not rotated automatically."),
            "A workspace keeps its storage key for good. Renewing the material of the same key is the only rotation there is, and Databricks \
             does not notice it.",
            format!(
                "Set `enable_key_rotation = true` on the `aws_kms_key`, or run:\n\n  aws kms enable-key-rotation --key-id {} --region {}",
                key.key_id(),
                key.region()
            ),
        );
    }
}
