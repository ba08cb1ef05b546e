//! What to do next with a key of Key Vault or Managed HSM, from what was just seen of it. Pure: no clock, no network.
//!
//! Each version is enabled or disabled by itself, and a version that the switch has disabled carries a tag, set by the same call: so what
//! was disabled before stays disabled. A deleted key keeps its versions as they are, and nothing can be written on it. Sources: Key Vault
//! REST API, UpdateKey, DeleteKey, RecoverDeletedKey; "Key Vault key tags" (15 tags of 256 characters).

use std::collections::BTreeMap;

use crate::clouds::azure::KeyVersion;
use crate::provider::kill_switch::KeyOperation;

/// The tag of a version that the switch has disabled; its value is the time (RFC 3339).
pub const TAG: &str = crate::clouds::azure::DISABLED_TAG;
/// How many tags a version can have.
const MOST_TAGS: usize = 15;

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The key is there, with these versions, the oldest first.
    There(Vec<KeyVersion>),
    /// It is deleted and can be recovered.
    Deleted,
    /// It is neither there nor deleted.
    Gone,
}

/// What this order has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// The key was deleted.
    pub deleted: bool,
    /// The key was recovered.
    pub recovered: bool,
    /// A version was enabled.
    pub enabled: bool,
}

/// What the provider does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Disable a version. Whether the tag has room.
    Disable(KeyVersion, bool),
    /// Enable a version and take the tag from it; of one that is enabled already, only that.
    Enable(KeyVersion),
    /// Delete the key.
    Delete,
    /// Recover the key.
    Recover,
    /// The vault is at it: look again.
    Wait,
    /// End: the key is as ordered.
    Finish,
    /// What this switch took away is given back, and the newest version stays disabled as it was before.
    StayDisabled,
    /// Refuse: another writer disabled the key.
    RefuseDisabledByOthers,
    /// There is no such key.
    RefuseGone,
}

/// Whether the switch has disabled a version.
pub fn is_ours(version: &KeyVersion) -> bool {
    !version.enabled && version.tags.contains_key(TAG)
}

/// Whether a version has the tag although it is enabled.
pub fn is_left_over(version: &KeyVersion) -> bool {
    version.enabled && version.tags.contains_key(TAG)
}

/// The tags of a version that is being disabled.
pub fn tagged(version: &KeyVersion, at: &str) -> BTreeMap<String, String> {
    let mut tags = version.tags.clone();
    tags.insert(TAG.to_owned(), at.to_owned());
    tags
}

/// The tags of a version that is being enabled.
pub fn untagged(version: &KeyVersion) -> BTreeMap<String, String> {
    let mut tags = version.tags.clone();
    tags.remove(TAG);
    tags
}

/// Whether a look shows that a step was carried out whose answer was lost. A key that is neither there nor deleted is on its way.
pub fn shows(step: &Step, seen: &Seen) -> bool {
    let is_now = |version: &KeyVersion, enabled: bool, has_tag: bool| match seen {
        Seen::There(all) => all.iter().any(|one| {
            one.id == version.id
                && one.enabled == enabled
                && (!has_tag || one.tags.contains_key(TAG))
                && (has_tag || !enabled || !one.tags.contains_key(TAG))
        }),
        Seen::Deleted | Seen::Gone => false,
    };
    match step {
        Step::Disable(version, has_room) => is_now(version, false, *has_room),
        Step::Enable(version) => is_now(version, true, false),
        Step::Delete => !matches!(seen, Seen::There(_)),
        Step::Recover => !matches!(seen, Seen::Deleted),
        Step::Wait
        | Step::Finish
        | Step::StayDisabled
        | Step::RefuseDisabledByOthers
        | Step::RefuseGone => false,
    }
}

/// What to do next.
pub fn next(order: KeyOperation, seen: &Seen, so_far: SoFar) -> Step {
    match (order, seen) {
        (_, Seen::Gone) if so_far.deleted || so_far.recovered => Step::Wait,
        (_, Seen::Gone) => Step::RefuseGone,
        (KeyOperation::Disable, Seen::Deleted) => Step::Finish,
        (KeyOperation::Disable, Seen::There(versions)) => {
            match versions.iter().find(|version| version.enabled) {
                Some(version) => {
                    let has_room = version.tags.len() < MOST_TAGS || version.tags.contains_key(TAG);
                    Step::Disable(version.clone(), has_room)
                }
                None => Step::Finish,
            }
        }
        (KeyOperation::ScheduleDeletion { .. }, Seen::Deleted) => Step::Finish,
        (KeyOperation::ScheduleDeletion { .. }, Seen::There(_)) if so_far.deleted => Step::Wait,
        (KeyOperation::ScheduleDeletion { .. }, Seen::There(_)) => Step::Delete,
        (KeyOperation::Restore { .. }, Seen::Deleted) if so_far.recovered => Step::Wait,
        (KeyOperation::Restore { .. }, Seen::Deleted) => Step::Recover,
        (KeyOperation::Restore { enable_anyway }, Seen::There(versions)) => {
            restore(enable_anyway, versions, so_far)
        }
    }
}

fn restore(enable_anyway: bool, versions: &[KeyVersion], so_far: SoFar) -> Step {
    let mut disabled = versions.iter().filter(|version| !version.enabled);
    if let Some(version) = disabled.find(|version| enable_anyway || is_ours(version)) {
        return Step::Enable(version.clone());
    }
    // Another tool has enabled it and left our tag, which would attribute the next disable to this switch.
    if let Some(version) = versions.iter().find(|version| is_left_over(version)) {
        return Step::Enable(version.clone());
    }
    // A workspace may pin any version; the newest is the one that everybody uses who names none.
    match versions.last() {
        Some(version) if version.enabled => Step::Finish,
        _ if so_far.recovered || so_far.enabled => Step::StayDisabled,
        _ => Step::RefuseDisabledByOthers,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(number: u8, enabled: bool, tags: &[&str]) -> KeyVersion {
        let id = format!("https://acme.vault.azure.net/keys/lake/{number:032x}");
        KeyVersion {
            id: id.parse().expect("an identifier"),
            enabled,
            not_before: None,
            expires: None,
            created: None,
            tags: tags
                .iter()
                .map(|tag| ((*tag).to_owned(), "x".to_owned()))
                .collect(),
        }
    }

    /// One letter for each version: E(nabled), D(isabled by others), O(urs), L(eft over: enabled, with the tag).
    fn there(versions: &str) -> Seen {
        let of = |(number, letter): (usize, char)| {
            let number = u8::try_from(number).expect("few versions");
            match letter {
                'E' => version(number, true, &[]),
                'O' => version(number, false, &[TAG]),
                'L' => version(number, true, &[TAG]),
                _ => version(number, false, &["other"]),
            }
        };
        Seen::There(versions.chars().enumerate().map(of).collect())
    }

    fn name(step: &Step) -> String {
        let of = |version: &KeyVersion| {
            version
                .id
                .version()
                .and_then(|one| one.chars().last())
                .unwrap_or('?')
        };
        match step {
            Step::Disable(version, true) => format!("disable {}", of(version)),
            Step::Disable(version, false) => format!("disable {} without a tag", of(version)),
            Step::Enable(version) => format!("enable {}", of(version)),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// Each row: the order, what a look showed, what the order has done so far, and the next step.
    #[test]
    fn what_was_seen_decides_what_follows() {
        let (disable, delete) = (
            KeyOperation::Disable,
            KeyOperation::ScheduleDeletion { days: None },
        );
        let restore = KeyOperation::Restore {
            enable_anyway: false,
        };
        let anyway = KeyOperation::Restore {
            enable_anyway: true,
        };
        let none = SoFar::default();
        let deleted = SoFar {
            deleted: true,
            ..none
        };
        let recovered = SoFar {
            recovered: true,
            ..none
        };
        let enabled = SoFar {
            enabled: true,
            ..none
        };
        let full: Vec<String> = (0..15).map(|number| format!("t{number}")).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        let rows = [
            (disable, there("E"), none, "disable 0"),
            (disable, there("DE"), none, "disable 1"),
            (disable, there("DO"), none, "finish"),
            (disable, Seen::Deleted, none, "finish"),
            (disable, Seen::Gone, none, "refusegone"),
            (
                disable,
                Seen::There(vec![version(0, true, &full)]),
                none,
                "disable 0 without a tag",
            ),
            (delete, there("DE"), none, "delete"),
            (delete, there("E"), deleted, "wait"),
            (delete, Seen::Gone, deleted, "wait"),
            (delete, Seen::Deleted, none, "finish"),
            (restore, Seen::Deleted, none, "recover"),
            (restore, Seen::Deleted, recovered, "wait"),
            (restore, Seen::Gone, recovered, "wait"),
            (restore, Seen::Gone, none, "refusegone"),
            (restore, there("DOO"), none, "enable 1"),
            (restore, there("DE"), none, "finish"),
            (restore, there("DD"), none, "refusedisabledbyothers"),
            (restore, there("DD"), recovered, "staydisabled"),
            (restore, there("ED"), none, "refusedisabledbyothers"),
            (restore, there("OD"), none, "enable 0"),
            (restore, there("ED"), enabled, "staydisabled"),
            (restore, there("DE"), enabled, "finish"),
            (restore, there("LE"), none, "enable 0"),
            (restore, there("LD"), none, "enable 0"),
            (disable, there("L"), none, "disable 0"),
            (anyway, there("DD"), none, "enable 0"),
            (anyway, there("EE"), none, "finish"),
            (restore, there(""), none, "refusedisabledbyothers"),
        ];
        for (order, seen, so_far, expected) in rows {
            assert_eq!(
                name(&next(order, &seen, so_far)),
                expected,
                "{order:?} {seen:?}"
            );
        }
    }

    /// Each row: a step whose answer was lost, what the next look shows, and whether the vault carried the step out.
    #[test]
    fn a_look_shows_what_a_lost_answer_hides() {
        let first = || version(0, true, &[]);
        for (step, seen, expected) in [
            (Step::Disable(first(), true), there("O"), true),
            (Step::Disable(first(), true), there("E"), false),
            (Step::Disable(first(), true), there("D"), false),
            (Step::Disable(first(), false), there("D"), true),
            (Step::Enable(first()), there("E"), true),
            (Step::Enable(first()), there("O"), false),
            (Step::Enable(first()), there("L"), false),
            (Step::Delete, Seen::Deleted, true),
            (Step::Delete, Seen::Gone, true),
            (Step::Delete, there("E"), false),
            (Step::Recover, there("E"), true),
            (Step::Recover, Seen::Deleted, false),
            (Step::Wait, there("E"), false),
        ] {
            assert_eq!(shows(&step, &seen), expected, "{step:?} {seen:?}");
        }
    }

    /// Plays an order to its end against a vault that carries out each step.
    fn play(order: KeyOperation, mut seen: Seen) -> Seen {
        for _ in 0..100 {
            let step = next(order, &seen, SoFar::default());
            let versions = match &mut seen {
                Seen::There(versions) => versions,
                _ => &mut Vec::new(),
            };
            let mut change = |id: &crate::vocabulary::azure::VaultKeyId,
                              enabled,
                              tags: BTreeMap<String, String>| {
                for one in versions.iter_mut().filter(|one| one.id == *id) {
                    (one.enabled, one.tags) = (enabled, tags.clone());
                }
            };
            match step {
                Step::Disable(version, has_room) => {
                    let tags = if has_room {
                        tagged(&version, "now")
                    } else {
                        version.tags.clone()
                    };
                    change(&version.id, false, tags);
                }
                Step::Enable(version) => change(&version.id, true, untagged(&version)),
                _ => return seen,
            }
        }
        seen
    }

    proptest! {
        /// Taking away and giving back is what there was before, whatever was disabled.
        #[test]
        fn what_was_there_before_is_given_back(versions in "[ED]{1,6}") {
            let before = there(&versions);
            let disabled = play(KeyOperation::Disable, before.clone());
            if let Seen::There(all) = &disabled {
                prop_assert!(all.iter().all(|one| !one.enabled));
            }
            let after = play(KeyOperation::Restore { enable_anyway: false }, disabled);
            prop_assert_eq!(after, before);
        }
    }
}
