//! The state of a key: what kind it is, and whether each version that may hold data can be used.

use super::facts::{CryptoKey, CryptoKeyFacts, CryptoKeyVersion, VersionState};
use super::{Question, gcloud};
use crate::{Fact, Finding, Hint, Id, Remedy, Severity, Subject, users_in_words};
use vocabulary::gcp::{CryptoKeyName, seconds};
use vocabulary::{KeyState, UseCase};

/// The state of a key as far as its primary version says it: whether new data can be encrypted.
pub fn state_of_primary(primary: Option<&CryptoKeyVersion>) -> KeyState {
    match primary.map(|version| &version.state) {
        Some(VersionState::Enabled) => KeyState::Enabled,
        Some(VersionState::DestroyScheduled) => KeyState::PendingDeletion,
        Some(VersionState::Disabled) | None => KeyState::Disabled,
        Some(other) => KeyState::Other(other.as_str().to_owned()),
    }
}

/// The state of a key as all its versions say it, and when the first of them is destroyed.
pub fn state_of(key: &CryptoKey, versions: &[CryptoKeyVersion]) -> (KeyState, Option<String>) {
    let has = |state: VersionState| versions.iter().any(|one| one.state == state);
    let state = if !has(VersionState::Enabled)
        && !has(VersionState::Disabled)
        && has(VersionState::DestroyScheduled)
    {
        KeyState::PendingDeletion
    } else {
        match state_of_primary(key.primary.as_ref()) {
            // The primary alone is scheduled; others are there.
            KeyState::PendingDeletion if !has(VersionState::Enabled) => KeyState::PendingDeletion,
            KeyState::PendingDeletion => KeyState::Disabled,
            state => state,
        }
    };
    let deletion = match state {
        KeyState::PendingDeletion => versions
            .iter()
            .filter_map(|one| one.destroy_time.clone())
            .min(),
        _ => None,
    };
    (state, deletion)
}

/// Whether a version may have encrypted data that cannot be read with it now, and can be again. One that never had key material holds
/// none, and one that is destroyed does not come back.
pub fn keeps_data_away(version: &CryptoKeyVersion) -> bool {
    match &version.state {
        VersionState::Enabled | VersionState::Destroyed => false,
        VersionState::Disabled | VersionState::DestroyScheduled => true,
        VersionState::Other(state) => ![
            "PENDING_GENERATION",
            "GENERATION_FAILED",
            "PENDING_IMPORT",
            "IMPORT_FAILED",
        ]
        .contains(&state.as_str()),
    }
}

/// A version with its state and the date of its destruction: `version 1 is DESTROY_SCHEDULED (destroyed on …)`.
pub fn in_words(version: &CryptoKeyVersion) -> String {
    let until = version
        .destroy_time
        .as_ref()
        .map(|time| format!(" (destroyed on {time})"))
        .unwrap_or_default();
    format!(
        "version {} is {}{until}",
        version.number,
        version.state.as_str()
    )
}

/// Whether a version of a key cannot be used, so that it matters which workspaces use the key.
pub fn has_unusable_versions(facts: &CryptoKeyFacts) -> bool {
    let Fact::Known(key) = &facts.key else {
        return false;
    };
    let is_enabled = |version: &CryptoKeyVersion| version.state == VersionState::Enabled;
    let others = match &facts.versions {
        Fact::Known(versions) => versions.iter().any(keeps_data_away),
        Fact::Unreadable(_) => false,
    };
    others || !key.primary.as_ref().is_some_and(is_enabled)
}

/// A window so short that the owner may not notice the scheduled destruction of a version: less than 7 days, in seconds.
const SHORT_WINDOW: f64 = 604_800.0;

/// The findings about the kind of a key. `cases`: the data that it shall encrypt.
pub(super) fn kind(facts: &CryptoKeyFacts, key: &CryptoKey, cases: &[UseCase]) -> Vec<Finding> {
    let name = &facts.name;
    let mut findings = Vec::new();
    if key.purpose != "ENCRYPT_DECRYPT" {
        findings.push(
            Id::GcpKeyPurpose
                .error(Subject::Key)
                .found(format!("{name} has the purpose {}.", key.purpose))
                .why("Databricks encrypts and decrypts with the key. The purpose cannot be changed after a key was created.")
                .remedy("Create a key with `purpose = \"ENCRYPT_DECRYPT\"`, which is the default of `google_kms_crypto_key`."),
        );
        return findings;
    }
    if key.allows_no_reason {
        findings.push(
            Id::GcpKeyJustifications
                .error(Subject::Key)
                .found(format!("The Key Access Justifications policy of {name} allows no reason."))
                .why("Every use of the key fails.")
                .remedy("Allow the reasons in `key_access_justifications_policy`, or remove the policy."),
        );
    }
    if !["SOFTWARE", "HSM"].contains(&key.protection_level.as_str()) {
        findings.push(
            Id::GcpKeyProtection
                .warning(Subject::Key)
                .found(format!("{name} has the protection level {}.", key.protection_level))
                .why("Databricks documents SOFTWARE and HSM. An external key manager can also refuse or be unreachable, which Cloud KMS does not show.")
                .remedy("Use a key with the protection level SOFTWARE or HSM, or test the workspace with this key first."),
        );
    }
    let short = key
        .destroy_window
        .as_deref()
        .and_then(|shown| match seconds(shown) {
            Some(window) if window >= SHORT_WINDOW => None,
            Some(_) => Some(format!(
                "Versions of {name} are destroyed {shown} after their destruction was scheduled."
            )),
            None => Some(format!(
                "Cloud KMS shows `{shown}` as the time from the order to the destruction of a version of {name}, which is not a duration \
                 such as `2592000s`. It may be less than 7 days."
            )),
        });
    if let Some(found) = short {
        findings.push(
            Id::GcpKeyShortWindow
                .warning(Subject::Key)
                .found(found)
                .why("You have that time to notice a mistake and restore the version. The duration cannot be changed after the creation of the key.")
                .remedy("For a new key, keep the default `destroy_scheduled_duration = \"2592000s\"` (30 days)."),
        );
    }
    // A managed services key can be replaced, so that rotation of the same key is not the only way.
    let is_kept = cases.contains(&UseCase::Storage);
    if key.rotation_period.is_none() && !key.import_only && is_kept {
        findings.push(
            Id::GcpKeyNoRotation
                .warning(Subject::Key)
                .found(format!("Cloud KMS does not rotate {name} automatically."))
                .why("A workspace keeps its storage key permanently, so the only possible rotation is a new version of the same key.")
                .remedy(Remedy::hint(Hint::RotateVersions).run([format!(
                    "{} --rotation-period 90d --next-rotation-time …",
                    gcloud(&format!("keys update {}", name.key()), name)
                )])),
        );
    }
    findings
}

/// The commands that make a version usable again.
fn again(key: &CryptoKeyName, version: &CryptoKeyVersion) -> Vec<String> {
    let command = |verb: &str| {
        gcloud(
            &format!(
                "keys versions {verb} {} --key {}",
                version.number,
                key.key()
            ),
            key,
        )
    };
    match version.state {
        VersionState::DestroyScheduled => vec![command("restore"), command("enable")],
        _ => vec![command("enable")],
    }
}

/// What gives a key back that was taken away, by this provider or without it.
fn restoring(key: &CryptoKeyName) -> Remedy {
    Remedy::say("Restore the key. Add `--enable-anyway` if it was disabled without this provider:")
        .run([format!("dbxcmk key restore {key}")])
}

/// What makes a key usable again whose versions are disabled or scheduled for destruction.
pub fn enabling(key: &CryptoKeyName) -> Remedy {
    restoring(key)
        .and_say("To see its versions, run:")
        .run([gcloud(
            &format!("keys versions list --key {}", key.key()),
            key,
        )])
}

/// New data is encrypted with the primary version, and nothing else can read it.
pub(super) fn primary(
    facts: &CryptoKeyFacts,
    key: &CryptoKey,
    users: &[String],
) -> Option<Finding> {
    let name = &facts.name;
    if key.purpose != "ENCRYPT_DECRYPT" {
        return None;
    }
    let primary = key.primary.as_ref();
    if primary.is_some_and(|version| version.state == VersionState::Enabled) {
        return None;
    }
    let found = match primary {
        Some(version) => format!("The primary version of {name}: {}.", in_words(version)),
        None => format!("{name} has no primary version."),
    };
    let new = "New data cannot be encrypted without an enabled primary version";
    let why = match primary {
        _ if users.is_empty() => format!("{new}: an attach would fail."),
        Some(version) if keeps_data_away(version) => format!(
            "These workspaces cannot read the data that version {} encrypted, as soon as Databricks' cached data keys expire, and cannot write \
             new data.{}",
            version.number,
            lost_on(version)
        ),
        Some(version) if version.state == VersionState::Destroyed => format!(
            "The data that version {} encrypted is lost permanently. {new}.",
            version.number
        ),
        _ => format!("{new}, so these workspaces cannot write."),
    };
    Some(
        Id::GcpKeyPrimary
            .error(Subject::Key)
            .found(format!("{found}{}", users_in_words(users)))
            .why(why)
            .remedy(usable_primary(name, key)),
    )
}

/// What a destruction that is scheduled means.
fn lost_on(version: &CryptoKeyVersion) -> String {
    match (&version.state, &version.destroy_time) {
        (VersionState::DestroyScheduled, Some(time)) => {
            format!(
                " On {time}, Cloud KMS destroys the version, and that data is lost permanently."
            )
        }
        (VersionState::DestroyScheduled, None) => {
            " When Cloud KMS destroys the version, that data is lost permanently.".to_owned()
        }
        _ => String::new(),
    }
}

fn usable_primary(name: &CryptoKeyName, key: &CryptoKey) -> Remedy {
    match &key.primary {
        Some(version) if keeps_data_away(version) => restoring(name)
            .and_say("Or make the primary version usable yourself:")
            .run(again(name, version)),
        _ if key.import_only => Remedy::say("Import a version, and make it the primary one:").run([
            gcloud(
                &format!(
                    "keys versions import --import-job … --algorithm … --target-key-file … --key {}",
                    name.key()
                ),
                name,
            ),
        ]),
        _ => Remedy::say("Create a primary version, then plan again:").run([gcloud(
            &format!("keys versions create --primary --key {}", name.key()),
            name,
        )]),
    }
}

/// Old data is read with the version that wrote it. The primary version has a finding of its own.
pub(super) fn others(
    facts: &CryptoKeyFacts,
    key: &CryptoKey,
    versions: &[CryptoKeyVersion],
    question: &Question,
) -> Option<Finding> {
    let (name, users) = (&facts.name, question.users.as_slice());
    // One that the key shows as enabled and the list does not was changed in between.
    let told = key
        .primary
        .as_ref()
        .filter(|version| version.state != VersionState::Enabled)
        .map(|version| &version.number);
    let unusable: Vec<&CryptoKeyVersion> = versions
        .iter()
        .filter(|version| Some(&version.number) != told && keeps_data_away(version))
        .collect();
    if unusable.is_empty() || key.purpose != "ENCRYPT_DECRYPT" {
        return None;
    }
    let each: Vec<String> = unusable.iter().map(|version| in_words(version)).collect();
    let commands = unusable.iter().flat_map(|version| again(name, version));
    let (why, remedy) = match users {
        [] => (
            "Data that such a version encrypted cannot be read until the version is enabled. After its destruction it is lost permanently.",
            Remedy::say("If a workspace has used the key, restore and enable these versions:")
                .run(commands),
        ),
        _ => (
            "These workspaces cannot read the data that such a version encrypted, as soon as Databricks' cached data keys expire, until the \
             version is enabled. With the destruction of a version, that data is lost permanently.",
            restoring(name)
                .and_say("Or version by version:")
                .run(commands),
        ),
    };
    // What new data is encrypted with works, so that no attach fails by it.
    let severity = match question.is_relied_on && !users.is_empty() {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let finding = Id::GcpKeyVersions.weighing(severity, Subject::Key);
    let numbers: Vec<&str> = unusable.iter().map(|one| one.number.as_str()).collect();
    let which = match numbers.as_slice() {
        [one] => format!("Version {one}"),
        [first, second] => format!("Versions {first} and {second}"),
        many => format!("{} versions", many.len()),
    };
    Some(
        finding
            .summary(format!(
                "{which} of the Cloud KMS key {} cannot be used",
                name.key()
            ))
            .found(format!(
                "{name}: {}.{}",
                each.join(", "),
                users_in_words(users)
            ))
            .why(why)
            .remedy(remedy),
    )
}
