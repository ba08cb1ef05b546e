//! Whether the user who takes a key away has confirmed everything that the provider requires before. Pure.

use std::collections::BTreeSet;

use super::{Impact, KeyOperation, KeyStatus, former_key};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// What the user has confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// The IDs of the workspaces that stop.
    pub workspaces: &'a BTreeSet<String>,
    /// That Databricks may still need a former key.
    pub former_key: bool,
    /// That no hold is wanted before the deletion.
    pub skip_hold: bool,
}

/// How the user confirms it in this tool: the names of its options.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// The option that says that Databricks may still need a former key.
    pub former_key: &'static str,
    /// The option that says that the user wants no hold before the deletion.
    pub skip_hold: &'static str,
}

/// Refuses an order that the user has not confirmed, by what is known of the key and of its users: first the workspaces, then the former key, then the hold.
///
/// # Errors
/// When a confirmation is missing, with the option to write.
pub fn consented(
    order: KeyOperation,
    (status, impact): (&KeyStatus, &Impact),
    consent: Consent<'_>,
    flags: Flags,
    how_to_paste: impl Fn(&[String]) -> String,
) -> Result<(), Diagnostics> {
    acknowledged(impact, consent.workspaces, how_to_paste)?;
    if let (Some(former), false) = (former_key(impact), consent.former_key) {
        return Err(Diagnostic::error(
            "Databricks may still need this former key",
            format!(
                "{}: {former}\n\nWhat Databricks has not encrypted again cannot be read without the former key. Nothing was changed.\n\nWait \
                 until then. To take the key away now all the same, add {}.",
                impact.key, flags.former_key
            ),
        )
        .into());
    }
    match (hold(order, status, Some(impact), flags), consent.skip_hold) {
        (Some(why), false) => Err(why.into()),
        _ => Ok(()),
    }
}

/// Why the user should not schedule a deletion now: the key is enabled, and in use as far as the provider knows. `impact`: `None` where
/// the provider could not read it.
pub fn hold(
    order: KeyOperation,
    status: &KeyStatus,
    impact: Option<&Impact>,
    flags: Flags,
) -> Option<Diagnostic> {
    let is_deletion = matches!(order, KeyOperation::ScheduleDeletion { .. });
    if !is_deletion || !status.is_usable() || impact.is_some_and(|one| !one.is_in_use()) {
        return None;
    }
    let used = match impact {
        Some(impact) if !impact.acknowledgement.is_empty() => {
            let workspaces = impact.workspaces.iter();
            let workspaces =
                workspaces.map(|one| format!("{} (\"{}\")", one.workspace_id, one.name));
            let catalogs = impact
                .catalogs
                .iter()
                .map(|one| one.acknowledgement.clone());
            let names: Vec<String> = workspaces.chain(catalogs).collect();
            format!("in use by {}", names.join(", "))
        }
        Some(_) => "the former key of a rotation less than 24 hours ago".to_owned(),
        None => "perhaps in use: which workspaces use it is not known".to_owned(),
    };
    Some(Diagnostic::error(
        "The key is enabled and in use: disable it before you schedule its deletion",
        format!(
            "The key is enabled, and {used}. A disabled key can be enabled at once, and nothing is lost. A deleted key cannot come back, and \
             what needs it may show only after days. That is what the hold period is for. Nothing was changed.\n\nDisable the key, wait until \
             you are sure that nothing needs it, then schedule the deletion. To schedule it now, without a hold period, add {}.",
            flags.skip_hold
        ),
    ))
}

/// Refuses to take a key away from workspaces and catalogs that the user did not name, or when the user named others.
///
/// # Errors
/// When the two sets differ, with the set to paste.
pub fn acknowledged(
    impact: &Impact,
    given: &BTreeSet<String>,
    how_to_paste: impl Fn(&[String]) -> String,
) -> Result<(), Diagnostics> {
    let needed: BTreeSet<String> = impact.acknowledgement.iter().cloned().collect();
    // The user may name a workspace by its resource ID: that means its number.
    let given: BTreeSet<String> = given
        .iter()
        .map(|id| match impact.workspace(id) {
            Some(one) => one.workspace_id.clone(),
            None => id.clone(),
        })
        .collect();
    if needed == given {
        return Ok(());
    }
    let list = |ids: Vec<&String>| {
        ids.iter()
            .map(|id| match impact.workspace(id) {
                Some(one) => format!("  - {id} (\"{}\")", one.name),
                None => format!("  - {id}"),
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let missing: Vec<&String> = needed.difference(&given).collect();
    let extra: Vec<&String> = given.difference(&needed).collect();
    let mut found = String::new();
    if !missing.is_empty() {
        found.push_str(&format!(
            "These use {} and are not acknowledged:\n{}\n\n",
            impact.key,
            list(missing)
        ));
    }
    if !extra.is_empty() {
        found.push_str(&format!(
            "These are acknowledged, and the provider does not see that they use {}:\n{}\n\n",
            impact.key,
            list(extra)
        ));
    }
    Err(Diagnostic::error(
        "The acknowledgement does not name exactly what stops",
        format!(
            "{found}Nothing was changed. Check what stops, then acknowledge exactly this set:\n\n{}",
            how_to_paste(&impact.acknowledgement)
        ),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::kill_switch::AffectedWorkspace;
    use crate::provider::kill_switch::WayBack;
    use crate::vocabulary::KeyState;

    const FLAGS: Flags = Flags {
        former_key: "`--acknowledge-former-key`",
        skip_hold: "`--skip-hold`",
    };

    fn found(workspaces: &[&str], needed_until: Option<&str>) -> Impact {
        Impact {
            key: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()
                .expect("a key"),
            state: "Enabled".to_owned(),
            deletion_date: None,
            disabled_since: None,
            versions: Vec::new(),
            key_configurations: Vec::new(),
            workspaces: workspaces
                .iter()
                .map(|id| AffectedWorkspace {
                    workspace_id: (*id).to_owned(),
                    ..AffectedWorkspace::default()
                })
                .collect(),
            catalogs: Vec::new(),
            needed_until: needed_until.map(str::to_owned),
            needed_by: Vec::new(),
            not_visible: Vec::new(),
            acknowledgement: workspaces.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    /// Each row: the order, the state, who uses the key, what the user confirmed, and the option
    /// that the error asks for.
    #[test]
    fn what_has_to_be_said_is_asked_for() {
        use KeyState::{Disabled, Enabled};
        let (off, delete) = (
            KeyOperation::Disable,
            KeyOperation::ScheduleDeletion { days: None },
        );
        let until = Some("2026-12-01T00:00:00Z");
        let (ack, former, in_use) = ("acknowledgement", "former key", "in use");
        #[rustfmt::skip]
        let rows = [
            // order, state, workspaces, former key until, said: workspaces, former, skip => missing
            (off, Enabled, &["1"][..], None, &["1"][..], false, false, None),
            (off, Enabled, &["1"], None, &[], false, false, Some(ack)),
            (off, Enabled, &["1"], None, &["1", "2"], true, true, Some(ack)),
            (off, Enabled, &[], None, &[], false, false, None),
            (off, Enabled, &[], until, &[], false, false, Some(former)),
            (off, Enabled, &["1"], until, &["1"], false, false, Some(former)),
            (off, Enabled, &["1"], until, &["1"], true, false, None),
            (off, Enabled, &[], until, &[], true, false, None),
            (delete, Enabled, &["1"], None, &["1"], false, false, Some(in_use)),
            (delete, Enabled, &["1"], None, &["1"], false, true, None),
            (delete, Disabled, &["1"], None, &["1"], false, false, None),
            (delete, Enabled, &[], None, &[], false, false, None),
            (delete, Enabled, &[], until, &[], true, false, Some(in_use)),
            (delete, Disabled, &[], until, &[], false, false, Some(former)),
        ];
        for (order, state, users, former, said, has_former, skip_hold, missing) in rows {
            let status = KeyStatus {
                state: state.clone(),
                deletion_date: None,
                disabled_since: None,
                versions: Vec::new(),
                way_back: WayBack::Restore,
                notes: Vec::new(),
            };
            let workspaces: BTreeSet<String> = said.iter().map(|id| (*id).to_owned()).collect();
            let consent = Consent {
                workspaces: &workspaces,
                former_key: has_former,
                skip_hold,
            };
            let impact = found(users, former);
            let why = consented(order, (&status, &impact), consent, FLAGS, |ids| {
                ids.join(" ")
            });
            let why = why
                .err()
                .and_then(|why| why.into_iter().next())
                .map(|one| one.summary);
            let row = format!("{order:?} {state:?} {users:?} {former:?} {said:?}: {why:?}");
            match missing {
                None => assert_eq!(why, None, "{row}"),
                Some(words) => assert!(why.is_some_and(|why| why.contains(words)), "{row}"),
            }
        }
    }

    /// An impact that the provider could not read does not count as none.
    #[test]
    fn a_deletion_whose_impact_is_not_known_is_held_too() {
        let status = |state| KeyStatus {
            state,
            deletion_date: None,
            disabled_since: None,
            versions: Vec::new(),
            way_back: WayBack::Restore,
            notes: Vec::new(),
        };
        let delete = KeyOperation::ScheduleDeletion { days: None };
        assert!(hold(delete, &status(KeyState::Enabled), None, FLAGS).is_some());
        assert!(hold(delete, &status(KeyState::Disabled), None, FLAGS).is_none());
        assert!(
            hold(
                KeyOperation::Disable,
                &status(KeyState::Enabled),
                None,
                FLAGS
            )
            .is_none()
        );
    }
}
