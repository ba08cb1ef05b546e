//! A version that a binding has taken from a workspace, and that may still be needed.

use std::time::Duration;

use super::facts::VaultKeyFacts;
use super::state::{known_state, vault_option};
use crate::{Fact, Finding, Id, Remedy, Subject};
use requirements::azure::former_is_needed;
use requirements::revocation::NEEDED_AFTER_ROTATION;
use vocabulary::{KeyState, UseCase};

/// Whether a use case may need its former version, a while after the workspace has moved to another one.
pub fn may_need_former(case: UseCase, elapsed: Duration) -> bool {
    case == UseCase::ManagedDisks || elapsed < NEEDED_AFTER_ROTATION
}

/// What there is to say of a version that a workspace had until `moved`, as a moment in words, for use cases that may still need it.
pub fn judge_former(facts: &VaultKeyFacts, cases: &[UseCase], moved: &str) -> Option<Finding> {
    let state = match (known_state(facts), &facts.key) {
        (Some(KeyState::Enabled), _) => return None,
        (Some(state), _) => format!("It is in the state {state}"),
        (None, Fact::Unreadable(why)) if why.is_missing => "The vault no longer has it".to_owned(),
        // Not read is not the same as not there.
        (None, _) => return None,
    };
    if cases.is_empty() {
        return None;
    }
    let id = &facts.id;
    let named: Vec<&str> = cases.iter().map(|case| case.in_words()).collect();
    let needed = |case: &UseCase| format!("{} for {}", former_is_needed(*case), case.in_words());
    let needed: Vec<String> = cases.iter().map(needed).collect();
    let finding = Id::AzureFormerVersion
        .warning(Subject::Workspace)
        .found(format!(
            "The workspace had the version {} of {} until {moved} for {}. {state}.",
            id.version().unwrap_or_default(),
            id.versionless(),
            named.join(" and ")
        ))
        .why(format!(
            "The former version is needed {}. What is still encrypted with it cannot be read meanwhile.",
            needed.join("; ")
        ));
    Some(
        finding.remedy(
            Remedy::say("Enable it:")
                .run([format!(
                    "az keyvault key set-attributes {} --name {} --version {} --enabled true",
                    vault_option(id),
                    id.name(),
                    id.version().unwrap_or_default()
                )])
                .and_say(
                    "If nothing needs it anymore, add `azure-former-version` to `ignore_findings`.",
                ),
        ),
    )
}
