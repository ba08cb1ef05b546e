//! Is this key of Cloud KMS fit for what it is to be used for? Its purpose, its versions, its place, and who may use it.

mod access;
mod condition;
mod facts;
#[cfg(test)]
mod tests;

pub use access::{Access, access, granted_by};
pub use facts::{
    Binding, CryptoKey, CryptoKeyFacts, CryptoKeyVersion, DenyRule, IamCondition, PlannedMembers,
    PolicyLevel, VersionState,
};

use super::{Fact, Finding, Hint, Id, Remedy, Stage, Subject};
use crate::requirements::gcp::{ENCRYPTER_DECRYPTER, Needer, Usage, agent_of};
use crate::vocabulary::gcp::{CryptoKeyName, seconds};

/// What is asked of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who needs it.
    pub usage: Usage,
    /// When it is asked.
    pub stage: Stage,
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &CryptoKeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings: Vec<Finding> = location(&facts.name).into_iter().collect();
    match &facts.key {
        Fact::Known(key) => findings.extend(kind(facts, key)),
        Fact::Unreadable(why) => {
            findings.push(unreadable(&facts.name, &why.reason, question.stage));
            return findings;
        }
    }
    match &facts.versions {
        Fact::Known(versions) => findings.extend(old_versions(&facts.name, versions)),
        Fact::Unreadable(why) => findings.push(unreadable(
            &facts.name,
            &format!("its versions: {}", why.reason),
            question.stage,
        )),
    }
    for needer in question.usage.needers() {
        findings.extend(member(facts, &needer, question.stage));
        findings.extend(denied(facts, &needer));
    }
    findings.extend(not_examined(facts, question));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn gcloud(verb: &str, key: &CryptoKeyName) -> String {
    format!(
        "gcloud kms {verb} --project {} --location {} --keyring {}",
        key.project(),
        key.location(),
        key.ring()
    )
}

fn unreadable(key: &CryptoKeyName, reason: &str, stage: Stage) -> Finding {
    Id::GcpKeyUnreadable
        .unread(Subject::Key, stage)
        .found(format!("{key}: {reason}."))
        .why(
            "The provider cannot prove that Databricks can use the key. Planning continues with this warning; an apply stops before it \
             attaches anything.",
        )
        .remedy(
            Remedy::say("Check the name. Allow the identity that runs Terraform to read the key:").run([format!(
                "{} --member serviceAccount:… --role roles/cloudkms.viewer",
                gcloud(&format!("keys add-iam-policy-binding {}", key.key()), key)
            )]),
        )
}

/// What makes a key usable again whose versions are disabled or scheduled for destruction.
pub fn enabling(key: &CryptoKeyName) -> Remedy {
    Remedy::say("Restore the key:").run([
        format!("terraform-provider-dbxcmk key restore {key}"),
        gcloud(&format!("keys versions list --key {}", key.key()), key),
    ])
}

/// Databricks needs the key in the region of the workspace. Source: Cloud KMS locations; databricks-sdk-go issue 1083.
pub fn location(key: &CryptoKeyName) -> Option<Finding> {
    if key.is_regional() {
        return None;
    }
    Some(
        Id::GcpKeyLocation
            .error(Subject::Key)
            .found(format!(
                "{key} is in the location `{}`, which is not a region.",
                key.location()
            ))
            .why("Databricks refuses keys of multi-regions and of `global`: the key must be in the region of the workspace. A key cannot be moved.")
            .remedy("Create a key ring and a key in the region of the workspace."),
    )
}

/// A window in which nobody may notice that a version was scheduled for destruction: less than 7 days, in seconds.
const SHORT_WINDOW: f64 = 604_800.0;

fn kind(facts: &CryptoKeyFacts, key: &CryptoKey) -> Vec<Finding> {
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
    let primary = key.primary.as_ref();
    if primary.is_none_or(|version| version.state != VersionState::Enabled) {
        let state = primary.map_or("none".to_owned(), |version| {
            format!(
                "version {}, which is {}",
                version.number,
                version.state.as_str()
            )
        });
        let number = primary.map_or("…", |version| version.number.as_str());
        let restoring = format!("terraform-provider-dbxcmk key restore {name}");
        let again = match primary.map(|version| &version.state) {
            Some(VersionState::DestroyScheduled) => vec![
                restoring,
                gcloud(
                    &format!("keys versions restore {number} --key {}", name.key()),
                    name,
                ),
                gcloud(
                    &format!("keys versions enable {number} --key {}", name.key()),
                    name,
                ),
            ],
            Some(VersionState::Disabled) => vec![
                restoring,
                gcloud(
                    &format!("keys versions enable {number} --key {}", name.key()),
                    name,
                ),
            ],
            _ if key.import_only => vec![gcloud(
                &format!(
                    "keys versions import --import-job … --algorithm … --target-key-file … --key {}",
                    name.key()
                ),
                name,
            )],
            _ => vec![gcloud(
                &format!("keys versions create --primary --key {}", name.key()),
                name,
            )],
        };
        findings.push(
            Id::GcpKeyPrimary
                .error(Subject::Key)
                .found(format!("The primary version of {name} is {state}."))
                .why("New data cannot be encrypted without an enabled primary version: an attach would fail.")
                .remedy(
                    Remedy::say("Make the primary version usable (one of these), then plan again:")
                        .run(again),
                ),
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
                .why("In that time somebody has to notice a mistake and restore the version. The duration cannot be changed after the creation of the key.")
                .remedy("For a new key, keep the default `destroy_scheduled_duration = \"2592000s\"` (30 days)."),
        );
    }
    if key.rotation_period.is_none() && !key.import_only {
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

/// Old data is read with the version that wrote it. The primary has a finding of its own.
fn old_versions(key: &CryptoKeyName, versions: &[CryptoKeyVersion]) -> Option<Finding> {
    let unusable: Vec<String> = versions
        .iter()
        .filter(|version| {
            matches!(
                version.state,
                VersionState::Disabled | VersionState::DestroyScheduled
            )
        })
        .map(|version| {
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
        })
        .collect();
    if unusable.is_empty() {
        return None;
    }
    Some(
        Id::GcpKeyVersions
            .warning(Subject::Key)
            .found(format!("{key}: {}.", unusable.join(", ")))
            .why("Data that such a version encrypted cannot be read until the version is enabled. After its destruction it is lost permanently.")
            .remedy(Remedy::say("If a workspace has used the key, restore and enable these versions:").run([
                gcloud(&format!("keys versions restore NUMBER --key {}", key.key()), key),
                gcloud(&format!("keys versions enable NUMBER --key {}", key.key()), key),
            ])),
    )
}

/// A deny policy beats every grant. Whether it also counts for the use of keys is not documented, so this stops nothing.
fn denied(facts: &CryptoKeyFacts, needer: &Needer) -> Option<Finding> {
    const USES: [&str; 2] = [
        "cloudkms.googleapis.com/cryptoKeyVersions.useToEncrypt",
        "cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt",
    ];
    let Fact::Known(rules) = &facts.denied else {
        return None;
    };
    let own = format!(
        "principal://iam.googleapis.com/projects/-/serviceAccounts/{}",
        needer.account
    );
    let names = |all: &[String]| {
        all.iter()
            .any(|one| *one == own || one == "principalSet://goog/public:all")
    };
    let is_use = |one: &String| {
        USES.contains(&one.as_str())
            || one == "cloudkms.googleapis.com/cryptoKeyVersions.*"
            || one == "cloudkms.googleapis.com/*"
    };
    let rule = rules.iter().find(|rule| {
        rule.permissions.iter().any(is_use)
            && names(&rule.principals)
            && !rule.exceptions.contains(&own)
    })?;
    let condition = rule
        .condition
        .as_ref()
        .map(|expression| format!(" under the condition `{expression}`"))
        .unwrap_or_default();
    Some(
        Id::GcpMemberDenied
            .warning(Subject::Key)
            .found(format!(
                "The deny policy {} denies {} the use of keys{condition}.",
                rule.policy, needer.account
            ))
            .why(format!(
                "A deny policy comes before every grant. It is needed for {}. Without it, {}.",
                needer.what_for, needer.without_it
            ))
            .remedy(
                Remedy::say(
                    "Add this principal to the exceptions of the rule (`exceptionPrincipals`):",
                )
                .run([own]),
            ),
    )
}

/// What the proof of a binding did not look at.
fn not_examined(facts: &CryptoKeyFacts, question: &Question) -> Option<Finding> {
    let reason = question.usage.not_known.as_ref()?;
    Some(
        Id::GcpMembersNotExamined
            .warning(Subject::Key)
            .found(format!(
                "The provider did not examine every service account that needs {}: {reason}.",
                facts.name
            ))
            .why("A service account without access makes the attach fail, or clusters that do not start.")
            .remedy(
                "Allow the identity that runs Terraform to call resourcemanager.projects.get on the project of the workspace \
                 (roles/browser). `dbxcmk_key_policy` with `workspace_project_number` grants the service agents what they need.",
            ),
    )
}

/// Whether somebody who needs the key may use it.
fn member(facts: &CryptoKeyFacts, needer: &Needer, stage: Stage) -> Option<Finding> {
    let key = &facts.name;
    let hint = match agent_of(&needer.account.member()) {
        Some(number) => Hint::GrantServiceAgents(number),
        None => Hint::GrantServiceAccount(needer.account.clone()),
    };
    let grant = || {
        Remedy::hint(hint.clone()).run([format!(
            "{} --member {} --role {ENCRYPTER_DECRYPTER}",
            gcloud(&format!("keys add-iam-policy-binding {}", key.key()), key),
            needer.account.member()
        )])
    };
    let why = format!(
        "It is needed for {}. Without it, {}.",
        needer.what_for, needer.without_it
    );
    let finding = match access(facts, &needer.account) {
        Access::Granted => return None,
        // The same plan grants it to members that are known only after apply.
        _ if facts
            .planned
            .as_ref()
            .is_some_and(|planned| planned.has_unknown) =>
        {
            return None;
        }
        Access::Conditional(expressions) => Id::GcpMemberConditional
            .unread(Subject::Key, stage)
            .found(format!(
                "{} may use {key} only under a condition that the provider cannot decide:\n\n  {}",
                needer.account,
                expressions.join("\n  ")
            ))
            .why(why)
            .remedy(grant()),
        Access::UnknownRoles(roles) => Id::GcpMemberUnknownRole
            .unread(Subject::Key, stage)
            .found(format!(
                "{} has {} on {key} or above, and the provider does not know the permissions of that role.",
                needer.account,
                roles.join(", ")
            ))
            .why(why)
            .remedy(grant()),
        Access::Groups(groups) => Id::GcpMemberNotSeen
            .warning(Subject::Key)
            .found(format!(
                "The provider sees no grant for {} on {key}. It may have one as a member of a group, whose members the provider does not \
                 read:\n  - {}",
                needer.account,
                groups.join("\n  - ")
            ))
            .why(why)
            .remedy(grant()),
        Access::Deleted => Id::GcpMemberMissing
            .error(Subject::Key)
            .found(format!(
                "The policy of {key} names {} as deleted (`deleted:serviceAccount:…`). That grant does not hold for a recreated account.",
                needer.account
            ))
            .why(why)
            .remedy(grant()),
        Access::None if facts.is_read_to_the_top => Id::GcpMemberMissing
            .error(Subject::Key)
            .found(format!(
                "No policy of {key}, its key ring, its project and above lets {} encrypt and decrypt.",
                needer.account
            ))
            .why(why)
            .remedy(grant()),
        Access::None => {
            let unread: Vec<String> = facts
                .policies
                .iter()
                .filter_map(|level| match &level.bindings {
                    Fact::Known(_) => None,
                    Fact::Unreadable(why) => Some(format!("{}: {}", level.of, why.reason)),
                })
                .collect();
            Id::GcpMemberNotSeen
                .warning(Subject::Key)
                .found(format!(
                    "The provider sees no grant for {} on {key}. It could not read every level, so there may be one:\n  - {}",
                    needer.account,
                    unread.join("\n  - ")
                ))
                .why(why)
                .remedy(grant())
        }
    };
    Some(finding)
}
