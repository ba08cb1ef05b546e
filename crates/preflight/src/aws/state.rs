//! What the key itself is: its state, its kind, and what may become of it.

use super::Question;
use super::facts::{KeyDescription, KeyFacts};
use crate::{Fact, Finding, Hint, Id, Remedy, Stage, Subject, users_in_words};
use vocabulary::aws::KeyArn;
use vocabulary::{KeyState, UseCase};

fn command(verb: &str, key: &KeyArn) -> String {
    format!(
        "aws kms {verb} --key-id {} --region {}",
        key.key_id(),
        key.region()
    )
}

/// The same, where this program is not at hand.
const BY_HAND: &str = "Or with the AWS command line:";

/// Enables a key that this provider disabled, and cancels its deletion.
fn restoring(key: &KeyArn) -> String {
    format!("dbxcmk key restore {key}")
}

/// `key restore` gives back what this provider took away. In the usual case another person or tool disabled the key.
const ANYWAY: &str = "add `--enable-anyway` if it was disabled without this provider";

/// What makes a disabled key usable again.
pub fn enabling(key: &KeyArn) -> Remedy {
    Remedy::say(format!("Restore the key ({ANYWAY}), then apply again:"))
        .run([restoring(key)])
        .and_say(BY_HAND)
        .run([command("enable-key", key)])
}

/// What makes the key unusable now.
pub(super) fn kind_and_state(
    key: &KeyArn,
    description: &KeyDescription,
    question: &Question,
) -> Vec<Finding> {
    let users = question.users();
    let state = state(key, description, &users);
    let mut findings: Vec<Finding> = state.into_iter().collect();
    if description.usage != "ENCRYPT_DECRYPT" {
        findings.push(
            Id::KmsKeyUsage
                .error(Subject::Key)
                .found(format!("{key} has the key usage {}.", description.usage))
                .why(
                    "Databricks encrypts and decrypts with the key. That needs the key usage ENCRYPT_DECRYPT, which cannot be changed after \
                     a key was created.",
                )
                .remedy(Remedy::hint(Hint::EncryptionKey)),
        );
    }
    if description.spec != "SYMMETRIC_DEFAULT" {
        findings.push(
            Id::KmsKeySpec
                .error(Subject::Key)
                .found(format!("{key} has the key spec {}.", description.spec))
                .why("Databricks needs a symmetric key. The key spec cannot be changed after a key was created.")
                .remedy(Remedy::hint(Hint::SymmetricKey)),
        );
    }
    if description.manager != "CUSTOMER" {
        findings.push(
            Id::KmsKeyManager
                .error(Subject::Key)
                .found(format!("{key} is managed by {}.", description.manager))
                .why("The policy of such a key cannot be changed, so it cannot allow Databricks to use the key.")
                .remedy(Remedy::hint(Hint::OwnKey)),
        );
    }
    findings
}

/// What an unusable key means for the workspaces that use it.
const CUT_OFF: &str = "These workspaces are cut off: they cannot read or write what the key encrypts, as soon as Databricks' cached data keys \
     expire, until the key is enabled.";

fn state(key: &KeyArn, description: &KeyDescription, users: &[String]) -> Option<Finding> {
    let (state, used) = (&description.state, users_in_words(users));
    let unless_used = |why: &str| match users {
        [] => why.to_owned(),
        _ => CUT_OFF.to_owned(),
    };
    let finding = match state {
        KeyState::Enabled => return None,
        KeyState::Disabled => Id::KmsKeyDisabled
            .error(Subject::Key)
            .found(format!("{key} is in the state Disabled.{used}"))
            .why(unless_used(
                "Nobody can encrypt or decrypt with a disabled key: an attach would fail, and a workspace that already uses the key cannot \
                 read its data until the key is enabled.",
            ))
            .remedy(
                Remedy::say(format!("Restore the key ({ANYWAY}), then plan again:"))
                    .run([restoring(key)])
                    .and_say(BY_HAND)
                    .run([command("enable-key", key)]),
            ),
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            let date = description.deletion_date.as_deref();
            let when = date
                .map(|date| format!(" and will be deleted on {date}"))
                .unwrap_or_default();
            Id::KmsKeyPendingDeletion
                .error(Subject::Key)
                .found(format!("{key} is in the state {state}{when}.{used}"))
                .why(format!(
                    "{} Once it is deleted, everything that was encrypted with it is lost permanently.",
                    unless_used("The key cannot be used.")
                ))
                .remedy({
                    let restore = Remedy::say(match date {
                        Some(date) => format!("Until {date} the key can be restored. Cancel the deletion and enable it ({ANYWAY}):"),
                        None => format!("To keep the key, cancel the deletion and enable it ({ANYWAY}):"),
                    })
                    .run([restoring(key)])
                    .and_say(BY_HAND)
                    .run([
                        command("cancel-key-deletion", key),
                        command("enable-key", key),
                    ]);
                    match users {
                        [] => restore.and_say("Otherwise use another key."),
                        _ => restore,
                    }
                })
        }
        KeyState::PendingImport => Id::KmsKeyState
            .error(Subject::Key)
            .summary("The key has no key material yet")
            .found(format!("{key} is in the state PendingImport.{used}"))
            .why(unless_used(
                "A key with imported material cannot be used before the material is imported, or after it has expired.",
            ))
            .remedy("Import the key material (`aws kms import-key-material`), then plan again."),
        other => Id::KmsKeyState
            .error(Subject::Key)
            .found(format!("{key} is in the state {other}.{used}"))
            .why(unless_used("Databricks can use a key only in the state Enabled."))
            .remedy(
                Remedy::say("Wait until the key is Enabled, then plan again:")
                    .run([command("describe-key", key)]),
            ),
    };
    Some(finding)
}

/// What works today and may not tomorrow.
pub(super) fn future(
    facts: &KeyFacts,
    description: &KeyDescription,
    question: &Question,
) -> Vec<Finding> {
    let (key, mut findings) = (&facts.arn, Vec::new());
    if let Some(date) = &description.material_expires {
        findings.push(
            Id::KmsKeyExpires
                .warning(Subject::Key)
                .found(format!("The imported key material of {key} expires on {date}."))
                .why(
                    "From that day on nobody can use the key, and the workspace loses access to its data until somebody imports the same \
                     material again.",
                )
                .remedy(
                    "Import the material again without an expiration date (`--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE`), or make \
                     sure that somebody renews it in time.",
                ),
        );
    }
    if let Some(primary) = &description.replica_of {
        findings.push(
            Id::KmsKeyReplica
                .warning(Subject::Key)
                .found(format!("{key} is a replica of {primary}."))
                .why(
                    "It works. It rotates with the primary key, and deleting a replica is as final as deleting any key.",
                )
                .remedy(Remedy::hint(Hint::Suppression(Id::KmsKeyReplica))),
        );
    }
    if rotation_matters(question)
        && facts.rotates == Some(Fact::Known(false))
        && description.spec == "SYMMETRIC_DEFAULT"
        && description.replica_of.is_none()
    {
        findings.push(
            Id::KmsKeyNoRotation
                .warning(Subject::Key)
                .found(format!("KMS does not rotate the material of {key} automatically."))
                .why(
                    "A workspace keeps its storage key permanently, so the only possible rotation is that of the key's material. Databricks \
                     does not need to know about it.",
                )
                .remedy(
                    Remedy::hint(Hint::Rotate).run([command("enable-key-rotation", key)]),
                ),
        );
    }
    findings
}

/// Whether it matters that the material of a key is rotated: a managed services key can be exchanged for another one. An apply gives no
/// advice.
pub fn rotation_matters(question: &Question) -> bool {
    question.stage == Stage::Plan && question.usage.is_for(UseCase::Storage)
}
