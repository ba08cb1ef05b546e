//! Whether a version of a key can be used: what its vault says of it, or why the vault does not show it. A workspace pins a version, so what
//! is judged is the version that the workspace has, and only where it has none yet the one that an attach would set.
//!
//! Sources: Key Vault REST API (attributes, DeletedKeyBundle); azure-sdk-for-python issue 45342 (what a disabled key still does); Azure Key
//! Vault documentation, "About keys" (dates of a key).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::{Absence, Barrier, VaultKey, VaultKeyFacts};
use super::{Question, show};
use crate::{Fact, Finding, Id, Remedy, Stage, Subject, Unreadable};
use requirements::azure::without_it;
use vocabulary::KeyState;
use vocabulary::azure::{VaultKeyId, VaultKind};

/// What to do with a version whose dates do not admit its use.
pub const CHANGE_DATES: &str = "Change the dates of the version (`expiration_date`, `not_before_date`), or rotate the key and use the new version.";

/// What makes a key usable again that is not.
pub fn enabling(id: &VaultKeyId) -> Remedy {
    Remedy::say("Restore the key:")
        .run([restoring(id)])
        .and_say("If this provider did not disable it, add `--enable-anyway`.")
}

fn restoring(id: &VaultKeyId) -> String {
    format!("dbxcmk key restore {}", id.versionless())
}

/// The option of `az keyvault` that names the vault of a key.
pub(super) fn vault_option(id: &VaultKeyId) -> String {
    match id.kind() {
        VaultKind::ManagedHsm => format!("--hsm-name {}", id.vault()),
        VaultKind::KeyVault => format!("--vault-name {}", id.vault()),
    }
}

/// The workspace that has this very version now, and what it loses with it.
struct User {
    name: String,
    sentence: String,
    loss: String,
}

fn user(question: &Question) -> Option<User> {
    let workspace = question.workspace.as_ref()?;
    if question.used_for.is_empty() {
        return None;
    }
    let cases: Vec<&str> = question.used_for.iter().map(|one| one.in_words()).collect();
    let losses: Vec<&str> = question
        .used_for
        .iter()
        .map(|one| without_it(*one))
        .collect();
    Some(User {
        name: workspace.id().name().to_owned(),
        sentence: format!(
            "The workspace {workspace} uses it for {}.",
            cases.join(", ")
        ),
        loss: losses.join("; "),
    })
}

/// The state of a version at a moment, in one word.
pub fn state_of(key: &VaultKey, at: OffsetDateTime) -> KeyState {
    state_at(key.enabled, key.not_before, key.expires, at)
}

/// The same of what a list of versions shows.
pub fn state_at(
    is_enabled: bool,
    not_before: Option<OffsetDateTime>,
    expires: Option<OffsetDateTime>,
    at: OffsetDateTime,
) -> KeyState {
    if !is_enabled {
        return KeyState::Disabled;
    }
    if expires.is_some_and(|until| until <= at) {
        return KeyState::Other("Expired".to_owned());
    }
    if not_before.is_some_and(|from| from > at) {
        return KeyState::Other("NotYetValid".to_owned());
    }
    KeyState::Enabled
}

/// The state of what is judged, as far as it is known.
pub fn known_state(facts: &VaultKeyFacts) -> Option<KeyState> {
    match (&facts.key, &facts.absence) {
        (Fact::Known(key), _) => Some(state_of(key, facts.at)),
        (Fact::Unreadable(_), Absence::Deleted { .. }) => Some(KeyState::PendingDeletion),
        (Fact::Unreadable(_), Absence::OtherVersions | Absence::Unexplained) => None,
    }
}

/// What is wrong with a version that was read.
pub(super) fn usable(
    facts: &VaultKeyFacts,
    key: &VaultKey,
    question: &Question,
) -> Option<Finding> {
    match state_of(key, facts.at) {
        KeyState::Enabled => None,
        KeyState::Disabled => Some(disabled(facts, key, question)),
        _ => Some(outside_its_dates(facts, key, question)),
    }
}

fn disabled(facts: &VaultKeyFacts, key: &VaultKey, question: &Question) -> Finding {
    let id = &facts.id;
    let finding = Id::AzureKeyDisabled.error(Subject::Key);
    let version = format!(
        "The version {} of {} is disabled.",
        key.version,
        id.versionless()
    );
    match user(question) {
        Some(user) => finding
            .summary(format!("The workspace \"{}\" uses a disabled version of its key", user.name))
            .found(format!("{version} {}", user.sentence))
            .why(format!(
                "A disabled version unwraps nothing: {}, as soon as cached data keys expire.",
                user.loss
            ))
            .remedy(enabling(id).and_say("Or enable this version alone:").run([format!(
                "az keyvault key set-attributes {} --name {} --version {} --enabled true",
                vault_option(id),
                id.name(),
                key.version
            )])),
        None => finding
            .found(format!("{version} {}", not_used(id, "would set")))
            .why(
                "A disabled version wraps and does not unwrap, so Databricks could not read what it has written. Workspaces that have another \
                 version of the key keep working.",
            )
            .remedy(enabling(id)),
    }
}

/// Which version an attach takes.
fn not_used(id: &VaultKeyId, verb: &str) -> String {
    match id.version() {
        Some(_) => format!("An attach {verb} it."),
        None => format!("It is the newest one, which an attach {verb}."),
    }
}

fn outside_its_dates(facts: &VaultKeyFacts, key: &VaultKey, question: &Question) -> Finding {
    let too_late = key.expires.is_some_and(|until| until <= facts.at);
    let state = if too_late {
        "has expired"
    } else {
        "is not valid yet"
    };
    let version = format!(
        "The version {} of {} {state}.",
        key.version,
        facts.id.versionless()
    );
    let finding = Id::AzureKeyExpired.error(Subject::Key);
    let finding = match user(question) {
        Some(user) => finding
            .summary(format!(
                "The workspace \"{}\" uses a version of its key that is outside its dates",
                user.name
            ))
            .found(format!("{version} {}", user.sentence))
            .why("Outside its dates a version wraps nothing, so Databricks cannot encrypt with new data keys. What was wrapped before can still be read."),
        None => finding
            .found(version)
            .why("Outside its dates a version wraps nothing, so an attach fails. What was wrapped before can still be read."),
    };
    finding.remedy(CHANGE_DATES)
}

/// A key that the vault does not show.
pub(super) fn unreadable(facts: &VaultKeyFacts, why: &Unreadable, question: &Question) -> Finding {
    match &facts.absence {
        Absence::Deleted { purged } => {
            let date = purged.and_then(|date| date.format(&Rfc3339).ok());
            deleted(&facts.id, date.as_deref(), question)
        }
        Absence::OtherVersions => no_version(&facts.id, question),
        Absence::Unexplained => unexplained(&facts.id, why, question.stage),
    }
}

fn deleted(id: &VaultKeyId, date: Option<&str>, question: &Question) -> Finding {
    let when = date
        .map(|date| format!(", and is purged on {date}"))
        .unwrap_or_default();
    let key = id.versionless();
    let finding = Id::AzureKeyDeleted.error(Subject::Key);
    let lost = "Once it is purged, everything that was encrypted with it is lost permanently.";
    let finding = match user(question) {
        Some(user) => finding
            .summary(format!(
                "The key of the workspace \"{}\" is deleted",
                user.name
            ))
            .found(format!("{key} is deleted{when}. {}", user.sentence))
            .why(format!(
                "A deleted key cannot be used: {}. {lost}",
                user.loss
            )),
        None => finding
            .found(format!("{key} is deleted{when}."))
            .why(format!("A deleted key cannot be used. {lost}")),
    };
    finding.remedy(
        Remedy::say(match date {
            Some(date) => format!("Until {date} the key can be recovered:"),
            None => "Recover the key:".to_owned(),
        })
        .run([restoring(id)])
        .and_say("Or without this provider:")
        .run([format!(
            "az keyvault key recover {} --name {}",
            vault_option(id),
            id.name()
        )]),
    )
}

fn no_version(id: &VaultKeyId, question: &Question) -> Finding {
    let version = id.version().unwrap_or_default();
    let also = user(question)
        .map(|user| format!(" {}", user.sentence))
        .unwrap_or_default();
    Id::AzureKeyNotFound
        .error(Subject::Key)
        .summary("The key does not have this version")
        .found(format!(
            "The vault has the key {}, and no version {version} of it.{also}",
            id.versionless()
        ))
        .why("Databricks can use only a version that exists.")
        .remedy(
            Remedy::say("Name one of its versions. To list them:").run([format!(
                "az keyvault key list-versions {} --name {} --query \"[].kid\"",
                vault_option(id),
                id.name()
            )]),
        )
}

fn unexplained(id: &VaultKeyId, why: &Unreadable, stage: Stage) -> Finding {
    let finding = if why.is_missing {
        Id::AzureKeyNotFound.error(Subject::Key)
    } else {
        Id::AzureKeyUnreadable.unread(Subject::Key, stage)
    };
    let remedy = match (&why.remedy, why.is_missing) {
        (Some(remedy), _) => remedy.clone(),
        (None, true) => Remedy::say(
            "Check the identifier. For some seconds after a deletion, the vault shows a key neither as there nor as deleted: if it was deleted a moment \
             ago, run this again. If it was purged, what was encrypted with it cannot be read anymore. To list the keys of the vault:",
        )
        .run([format!("az keyvault key list {} --query \"[].kid\"", vault_option(id))]),
        (None, false) => Remedy::say(
            "Allow the identity that runs Terraform to read the key (role Key Vault Reader, or `get` in its access policy), then run:",
        )
        .run([show(id)]),
    };
    finding
        .found(format!("{id}: {}.", why.reason))
        .why("The provider cannot prove that Databricks can use the key.")
        .remedy(remedy)
}

/// The one finding when the provider could ask Azure nothing at all, instead of one for each fact.
pub(super) fn shut_out(id: &VaultKeyId, barrier: &Barrier) -> Finding {
    match barrier {
        Barrier::NoToken(why) => Id::AzureNoToken
            .error(Subject::Key)
            .found(format!("The provider could not read {id}: {why}."))
            .why("Without a token the provider can neither read the key nor prove who may use it, and an apply would fail.")
            .remedy(
                "Give the provider one of these:\n  - `azure.client_id` and `azure.client_secret`, or ARM_CLIENT_ID, ARM_CLIENT_SECRET and \
                 ARM_TENANT_ID\n  - `azure.use_oidc = true`, in GitHub Actions or Azure DevOps\n  - `azure.use_msi = true`, on a machine with a \
                 managed identity\n  - `az login`",
            ),
        Barrier::OtherCloud { configured } => Id::AzureKeyCloud
            .error(Subject::Key)
            .found(format!(
                "{id} is on {}, and the provider is configured for the Azure environment `{configured}`.",
                id.host()
            ))
            .why("Each environment has its own vaults and its own tokens.")
            .remedy("Correct the identifier of the key, or `azure.environment` (ARM_ENVIRONMENT): `public`, `usgovernment` or `china`."),
    }
}
