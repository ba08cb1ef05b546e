//! A workspace that stays at an older version of a key of which the configuration names none.

use time::OffsetDateTime;

use super::facts::VaultKey;
use super::state::state_of;
use crate::{Finding, Id, Remedy, Subject};
use requirements::azure::{follows_new_versions, former_is_needed};
use vocabulary::azure::VaultKeyId;
use vocabulary::{KeyState, UseCase};

/// The version that a workspace has of a key, and the newest one, with the state of that one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    own: VaultKeyId,
    current: VaultKeyId,
    state: String,
}

/// The versions, where a workspace has an older one than the newest. `wanted`: the key as it is configured; `attached`: as the workspace has
/// it for a use case; `newest`: the newest version, and when it was read; `rotates`: whether managed disks are to follow new versions.
pub fn behind(
    case: UseCase,
    wanted: &VaultKeyId,
    attached: &VaultKeyId,
    (newest, at): (&VaultKey, OffsetDateTime),
    rotates: bool,
) -> Option<Behind> {
    if wanted.version().is_some() || attached.version().is_none() || !attached.is_same_key(wanted) {
        return None;
    }
    let state = state_of(newest, at);
    let current = wanted.with_version(&newest.version);
    // What follows by itself is behind only for a while, unless it cannot follow.
    let is_behind = state != KeyState::Enabled || !follows_new_versions(case, rotates);
    (is_behind && *attached != current).then(|| Behind {
        own: attached.clone(),
        current,
        state: state.to_string(),
    })
}

impl Behind {
    /// Whether the newest version can be used.
    pub fn is_usable(&self) -> bool {
        self.state == KeyState::Enabled.to_string()
    }

    /// What to say of it, for the use cases for which the workspace has the older version.
    pub fn finding(&self, cases: &[UseCase]) -> Finding {
        match self.is_usable() {
            true => self.at_older_version(cases),
            false => self.before_an_unusable_version(cases),
        }
    }

    fn before_an_unusable_version(&self, cases: &[UseCase]) -> Finding {
        let Self {
            own,
            current,
            state,
        } = self;
        let version = own.version().unwrap_or_default();
        Id::AzureVersionPinned
            .warning(Subject::Workspace)
            .summary("The newest version of the key cannot be used")
            .found(format!(
                "The newest version {} of {} is in the state {state}. The workspace uses the version {version} for {}.",
                current.version().unwrap_or_default(),
                own.versionless(),
                in_words(cases)
            ))
            .why("The workspace keeps working. Whatever is attached to the key without a version would get the newest one, and fail.")
            .remedy(format!(
                "Enable the newest version, or pin the one that is used:\n\n  key_vault_key_id = \"{own}\""
            ))
    }

    fn at_older_version(&self, cases: &[UseCase]) -> Finding {
        let Self { own, current, .. } = self;
        let also = match cases.contains(&UseCase::ManagedDisks) {
            true => {
                " Or let managed disks follow by themselves: `rotate_managed_disks_to_latest_version = true`."
            }
            false => "",
        };
        let needed =
            |case: &UseCase| format!("{} for {}", former_is_needed(*case), case.in_words());
        let needed: Vec<String> = cases.iter().map(needed).collect();
        Id::AzureVersionPinned
            .warning(Subject::Workspace)
            .found(format!(
                "The workspace uses the version {} of {} for {}; the vault's current version is {}.",
                own.version().unwrap_or_default(),
                own.versionless(),
                in_words(cases),
                current.version().unwrap_or_default()
            ))
            .why(
                "The configuration names no version, so the workspace stays at the version that was current when the key was attached. That \
                 version must stay enabled.",
            )
            .remedy(
                Remedy::say("To move to the current version, name it (`azurerm_key_vault_key.….id`):")
                    .paste(format!("key_vault_key_id = \"{current}\""))
                    .and_say(format!(
                        "Keep the old version enabled {}.{also}",
                        needed.join("; ")
                    )),
            )
    }
}

fn in_words(cases: &[UseCase]) -> String {
    let all: Vec<&str> = cases.iter().map(|case| case.in_words()).collect();
    all.join(" and ")
}
