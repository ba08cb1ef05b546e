//! What an order stops, in words for the user.

use std::fmt::Write as _;

use crate::vocabulary::Key;

use super::{FormerUser, Impact, KeyOperation, NOT_TOLD, PARTLY_DISABLED, VersionStatus};

/// Which workspaces and catalogs an order stops, as paragraphs.
pub fn in_words(order: KeyOperation, found: &Impact) -> String {
    let state = match found.state.as_str() {
        PARTLY_DISABLED => "disabled only in part",
        state => state,
    };
    let mut text = format!("{} is {state}.", found.key);
    let enabled = found.versions.iter().filter(|one| one.is_enabled()).count();
    let _ = match order {
        KeyOperation::Disable if is_off(found) => {
            write!(text, " It cannot be used now, and this changes nothing.")
        }
        KeyOperation::Disable if found.versions.is_empty() => write!(
            text,
            " This disables it. It can be restored at any time (`key restore`)."
        ),
        KeyOperation::Disable => write!(
            text,
            " This disables every enabled version ({enabled} of {}). They can be restored at any time (`key restore`).",
            found.versions.len()
        ),
        KeyOperation::ScheduleDeletion { days } => write!(
            text,
            " This schedules its deletion{}. Until then it can be restored (`key restore`); after that, everything that was \
             encrypted with it is lost permanently.",
            // On the other clouds the window belongs to the key or to its vault.
            days.filter(|_| matches!(found.key, Key::Aws(_)))
                .map(|days| format!(" in {days} days"))
                .unwrap_or_default()
        ),
        KeyOperation::Restore { .. } => Ok(()),
    };
    for one in &found.workspaces {
        let region = one
            .region
            .as_ref()
            .map(|region| format!(", {region}"))
            .unwrap_or_default();
        let _ = write!(
            text,
            "\n\nWorkspace {} (\"{}\"{region}, {}) uses the key for {}:\n  - data that stops: {}\n  - compute that stops: {}",
            one.workspace_id,
            one.name,
            one.status,
            one.use_cases.join(", "),
            listed(&one.data_that_stops),
            listed(&one.compute_that_stops),
        );
        for going_on in &one.goes_on {
            let _ = write!(
                text,
                "\n  - goes on for a while: {}, until {}",
                going_on.what, going_on.until
            );
        }
    }
    if !found.catalogs.is_empty() {
        text.push_str(
            "\n\nCatalogs of Unity Catalog that have the key, and whose tables cannot be read:",
        );
        for one in &found.catalogs {
            let _ = write!(
                text,
                "\n  - {} of the metastore {}",
                one.name, one.metastore_id
            );
        }
    }
    if let Some(former) = former_key(found) {
        let _ = write!(text, "\n\n{former}");
    }
    if !found.not_visible.is_empty() {
        text.push_str("\n\nNot visible:");
        for one in &found.not_visible {
            let _ = write!(text, "\n  - {}: {}", one.what, one.why);
        }
    }
    text
}

/// Whether no version of the key can be used now, so that a disable changes nothing.
pub fn is_off(found: &Impact) -> bool {
    match found.versions.is_empty() {
        true => found.state != "Enabled",
        false => !found.versions.iter().any(VersionStatus::is_enabled),
    }
}

/// The state of a key, with the versions that it is about where they differ.
pub fn state_in_words(state: &str, versions: &[VersionStatus]) -> String {
    let used: Vec<&VersionStatus> = versions
        .iter()
        .filter(|one| !one.used_by.is_empty())
        .collect();
    let current = versions.iter().find(|one| one.is_current);
    let (Some(current), false) = (current, used.is_empty()) else {
        return state.to_owned();
    };
    let lost = used.iter().find(|one| !one.is_enabled());
    match (current.is_enabled(), lost) {
        (false, None) => format!(
            "{state} (the versions that workspaces use; the current version {} is {})",
            current.version, current.state
        ),
        (true, Some(lost)) => format!(
            "{state} (the version {}, which a workspace uses; the current version is enabled)",
            lost.version
        ),
        _ => state.to_owned(),
    }
}

/// What a rotation means for the former key, and which workspaces may still need it; `None` where
/// there was no rotation.
pub fn former_key(found: &Impact) -> Option<String> {
    let until = found.needed_until.as_ref()?;
    if found.needed_by.is_empty() {
        return Some(format!(
            "It was the managed services key of a workspace in the last 24 hours. Databricks needs it until {until} at least."
        ));
    }
    let lines: Vec<String> = found.needed_by.iter().map(FormerUser::in_words).collect();
    Some(format!(
        "These workspaces got another managed services key in the last 24 hours. If this key was the former one of one of them, Databricks needs \
         it until {until} at least:\n{}\n{NOT_TOLD}",
        lines.join("\n")
    ))
}

/// A version in one line.
pub fn version_in_words(one: &VersionStatus) -> String {
    let mut text = format!("{} {}", one.version, one.state);
    if let Some(date) = &one.deletion_date {
        let _ = write!(text, ", will be destroyed on {date}");
    }
    if let Some(since) = &one.disabled_since {
        let _ = write!(text, ", disabled by this provider on {since}");
    }
    // Only Google Cloud numbers its versions.
    let role = match (one.is_enabled(), one.version.parse::<u32>()) {
        (true, _) => ", encrypts new data",
        (false, Ok(_)) => ", primary",
        (false, Err(_)) => ", current",
    };
    if one.is_current {
        text.push_str(role);
    }
    if !one.used_by.is_empty() {
        let _ = write!(text, ", used by workspace {}", one.used_by.join(", "));
    }
    text
}

fn listed(all: &[String]) -> String {
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, state: &str, is_current: bool, used_by: &[&str]) -> VersionStatus {
        VersionStatus {
            version: name.to_owned(),
            state: state.to_owned(),
            is_current,
            deletion_date: None,
            disabled_since: None,
            used_by: used_by.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    /// A former key names the workspaces that may need it, and why.
    #[test]
    fn a_former_key_names_the_workspaces() {
        let mut found = Impact {
            key: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()
                .expect("a key"),
            state: "Enabled".to_owned(),
            deletion_date: None,
            disabled_since: None,
            versions: Vec::new(),
            key_configurations: Vec::new(),
            workspaces: Vec::new(),
            catalogs: Vec::new(),
            needed_until: None,
            needed_by: Vec::new(),
            not_visible: Vec::new(),
            acknowledgement: Vec::new(),
        };
        assert_eq!(former_key(&found), None);
        found.needed_until = Some("2026-12-01T10:00:00Z".to_owned());
        found.needed_by = vec![FormerUser {
            workspace_id: "4567".to_owned(),
            name: "lakehouse".to_owned(),
            key_configuration_id: "c1".to_owned(),
            needed_until: "2026-12-01T10:00:00Z".to_owned(),
        }];
        let text = in_words(KeyOperation::Disable, &found);
        for words in [
            "4567 (\"lakehouse\") has the key configuration c1: until 2026-12-01T10:00:00Z",
            "the first key of a workspace",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    /// Each row: the newest version and the one that a workspace uses, and the state in words.
    #[test]
    fn a_state_says_which_version_it_is_about() {
        for (newest, used, state, words) in [
            ("Enabled", "Enabled", "Enabled", "Enabled"),
            ("Disabled", "Disabled", "Disabled", "Disabled"),
            (
                "Disabled",
                "Enabled",
                "Enabled",
                "Enabled (the versions that workspaces use; the current version 0b is Disabled)",
            ),
            (
                "Enabled",
                "Disabled",
                "Disabled",
                "Disabled (the version 0a, which a workspace uses;",
            ),
        ] {
            let all = [
                version("0a", used, false, &["1"]),
                version("0b", newest, true, &[]),
            ];
            let found = state_in_words(state, &all);
            assert!(found.starts_with(words), "{found}");
            assert_eq!(found.contains('('), words.contains('('), "{found}");
        }
        let alone = [version("1", "DISABLED", true, &[])];
        assert_eq!(state_in_words("Disabled", &alone), "Disabled");
    }

    /// A version that is disabled encrypts nothing.
    #[test]
    fn only_an_enabled_version_encrypts() {
        for (name, state, words) in [
            ("1", "ENABLED", "1 ENABLED, encrypts new data"),
            ("1", "DISABLED", "1 DISABLED, primary"),
            ("0a", "Disabled", "0a Disabled, current"),
        ] {
            assert_eq!(version_in_words(&version(name, state, true, &[])), words);
        }
    }
}
