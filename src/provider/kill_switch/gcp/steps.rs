//! What to do next with a key of Cloud KMS, from what was just seen of its versions. Pure: no clock, no network.
//!
//! Cloud KMS has no state of a key: each version has one. So the switch must remember which versions could not be used *before*, and
//! it keeps that in a label of the key. Sources: Cloud KMS API, CryptoKeyVersionState; "Destroy and restore key versions" (a
//! restored version is DISABLED); "Creating and managing labels" (63 characters: lower-case letters, digits, `_`, `-`).

use std::collections::BTreeSet;

use crate::preflight::gcp::{CryptoKeyVersion, VersionState};
use crate::provider::kill_switch::{KeyOperation, Tidying, tidying};

/// The label that says which versions could not be used before.
pub const BEFORE: &str = "dbxcmk-before";
/// The label that says when the key was taken away.
pub const SINCE: &str = "dbxcmk-since";
/// How long the value of a label may be.
const LONGEST: usize = 63;
/// What the label says when every version could be used.
const NONE: &str = "none";

/// The versions that could not be used before the switch was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The numbers of the versions that were disabled.
    pub disabled: BTreeSet<u64>,
    /// Scheduled for destruction.
    pub scheduled: BTreeSet<u64>,
}

/// What the labels of a key say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The switch was not used.
    None,
    /// It was, and this is what could not be used before.
    Known(Before),
    /// The label says something else, as it came.
    Unreadable(String),
}

/// What the provider does with the labels of an order that it did not finish. `may_take_effect`: whether a call that takes a version away may still
/// do so, although Cloud KMS shows every version as before.
pub fn label_of_unfinished(
    memory: &Memory,
    versions: &[CryptoKeyVersion],
    may_take_effect: bool,
) -> Tidying {
    let is_left_over = matches!(memory, Memory::Known(before) if before.is_left_over(versions));
    tidying(is_left_over, may_take_effect)
}

fn ranges(kind: char, numbers: &BTreeSet<u64>) -> Vec<String> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match all.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => all.push((*number, *number)),
        }
    }
    all.into_iter()
        .map(|(first, last)| match first == last {
            true => format!("{kind}{first}"),
            false => format!("{kind}{first}-{last}"),
        })
        .collect()
}

impl Before {
    /// What cannot be used now.
    pub fn of(versions: &[CryptoKeyVersion]) -> Self {
        let in_state = |state: VersionState| {
            versions
                .iter()
                .filter(|version| version.state == state)
                .filter_map(|version| version.number.parse().ok())
                .collect()
        };
        Self {
            disabled: in_state(VersionState::Disabled),
            scheduled: in_state(VersionState::DestroyScheduled),
        }
    }

    /// The value of the label; `None` when it does not fit into one.
    pub fn label(&self) -> Option<String> {
        let mut parts = ranges('d', &self.disabled);
        parts.extend(ranges('s', &self.scheduled));
        let value = match parts.is_empty() {
            true => NONE.to_owned(),
            false => parts.join("_"),
        };
        (value.len() <= LONGEST).then_some(value)
    }

    /// What a label says.
    pub fn parse(value: &str) -> Option<Self> {
        let mut before = Self::default();
        if value == NONE {
            return Some(before);
        }
        for part in value.split('_') {
            let (kind, range) = part.split_at_checked(1)?;
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            // Everybody with the right to write labels can write one: the parser makes no long list of a short text.
            if first > last || last - first > 100_000 {
                return None;
            }
            match kind {
                "d" => before.disabled.extend(first..=last),
                "s" => before.scheduled.extend(first..=last),
                _ => return None,
            }
        }
        Some(before)
    }

    fn has(&self, version: &CryptoKeyVersion) -> bool {
        version.number.parse().is_ok_and(|number: u64| {
            self.disabled.contains(&number) || self.scheduled.contains(&number)
        })
    }

    /// Whether the switch has taken a version away: it cannot be used, and it could before, or less was done to it before.
    pub fn is_ours(&self, version: &CryptoKeyVersion) -> bool {
        match version.state {
            VersionState::Disabled => !self.has(version),
            VersionState::DestroyScheduled => !self.was_scheduled(version),
            _ => false,
        }
    }

    /// Whether nothing is left of what the labels are about: they are of an order that did not come about, or of an earlier time.
    pub fn is_left_over(&self, versions: &[CryptoKeyVersion]) -> bool {
        !versions.iter().any(|version| self.is_ours(version))
    }

    fn was_scheduled(&self, version: &CryptoKeyVersion) -> bool {
        version
            .number
            .parse()
            .is_ok_and(|number: u64| self.scheduled.contains(&number))
    }
}

/// What this order has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// The labels were written, or could not be.
    pub marked: bool,
    /// The labels were removed, or could not be.
    pub unmarked: bool,
    /// The destruction of a version was taken back.
    pub restored: bool,
}

/// What the provider does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the labels, before anything is taken away.
    Mark(Before),
    /// Disable a version.
    Disable(String),
    /// Schedule the destruction of a version.
    Destroy(String),
    /// Take the scheduled destruction of a version back.
    Restore(String),
    /// Enable a version.
    Enable(String),
    /// Remove the labels.
    Unmark,
    /// End: the key is as ordered.
    Finish,
    /// What this switch took away is given back, and the primary version stays disabled as it was before.
    StayDisabled,
    /// Refuse: another writer disabled the key, or the provider cannot tell.
    RefuseDisabledByOthers,
    /// No version is left that could be used.
    RefuseDestroyed,
}

/// Whether a look shows that a step was carried out whose answer was lost.
pub fn shows(step: &Step, versions: &[CryptoKeyVersion], memory: &Memory) -> bool {
    let is_one = |number: &str, states: &[VersionState]| {
        versions
            .iter()
            .any(|one| one.number == number && states.contains(&one.state))
    };
    use VersionState::{DestroyScheduled, Destroyed, Disabled, Enabled};
    match step {
        Step::Disable(number) => is_one(number, &[Disabled]),
        Step::Enable(number) => is_one(number, &[Enabled]),
        Step::Destroy(number) => is_one(number, &[DestroyScheduled, Destroyed]),
        Step::Restore(number) => is_one(number, &[Disabled, Enabled]),
        Step::Mark(before) => *memory == Memory::Known(before.clone()),
        Step::Unmark => *memory == Memory::None,
        Step::Finish
        | Step::StayDisabled
        | Step::RefuseDisabledByOthers
        | Step::RefuseDestroyed => false,
    }
}

/// What to do next. `primary`: the number of the version that encrypts.
pub fn next(
    order: KeyOperation,
    versions: &[CryptoKeyVersion],
    primary: Option<&str>,
    memory: &Memory,
    so_far: SoFar,
) -> Step {
    let in_state = |state: VersionState| versions.iter().filter(move |one| one.state == state);
    match order {
        KeyOperation::Disable => match in_state(VersionState::Enabled).next() {
            None => Step::Finish,
            Some(_) if must_mark(versions, memory, so_far) => Step::Mark(Before::of(versions)),
            Some(version) => Step::Disable(version.number.clone()),
        },
        KeyOperation::ScheduleDeletion { .. } => {
            let mut left = versions
                .iter()
                .filter(|one| matches!(one.state, VersionState::Enabled | VersionState::Disabled));
            match left.next() {
                None => Step::Finish,
                Some(_) if must_mark(versions, memory, so_far) => Step::Mark(Before::of(versions)),
                Some(version) => Step::Destroy(version.number.clone()),
            }
        }
        KeyOperation::Restore { enable_anyway } => {
            restore(enable_anyway, versions, primary, memory, so_far)
        }
    }
}

/// Whether the order must write the labels. Those of an unfinished order stay; labels whose versions are all enabled again are from
/// an earlier time.
fn must_mark(versions: &[CryptoKeyVersion], memory: &Memory, so_far: SoFar) -> bool {
    if so_far.marked {
        return false;
    }
    match memory {
        Memory::Known(before) => before.is_left_over(versions),
        Memory::None | Memory::Unreadable(_) => true,
    }
}

fn restore(
    enable_anyway: bool,
    versions: &[CryptoKeyVersion],
    primary: Option<&str>,
    memory: &Memory,
    so_far: SoFar,
) -> Step {
    let of = |state: VersionState, wanted: &dyn Fn(&CryptoKeyVersion) -> bool| {
        versions
            .iter()
            .find(|one| one.state == state && wanted(one))
            .map(|one| one.number.clone())
    };
    let all = |_: &CryptoKeyVersion| true;
    let is_usable = versions
        .iter()
        .any(|one| Some(one.number.as_str()) == primary && one.state == VersionState::Enabled);
    // The owner had disabled the primary version before the order, so it stays disabled.
    let end = match is_usable {
        true => Step::Finish,
        false => Step::StayDisabled,
    };
    let has_any = versions
        .iter()
        .any(|one| !matches!(one.state, VersionState::Destroyed | VersionState::Other(_)));
    if !has_any {
        return Step::RefuseDestroyed;
    }
    match memory {
        Memory::Known(before) => {
            let scheduled = |one: &CryptoKeyVersion| !before.was_scheduled(one);
            let disabled = |one: &CryptoKeyVersion| enable_anyway || !before.has(one);
            if let Some(number) = of(VersionState::DestroyScheduled, &scheduled) {
                Step::Restore(number)
            } else if let Some(number) = of(VersionState::Disabled, &disabled) {
                Step::Enable(number)
            } else if so_far.unmarked {
                end
            } else {
                Step::Unmark
            }
        }
        // The labels are gone because everything is given back that they were about.
        Memory::None if so_far.unmarked => end,
        // The key was not taken away; old disabled versions are the owner's.
        Memory::None if is_usable && !enable_anyway => Step::Finish,
        Memory::None | Memory::Unreadable(_) => {
            if let Some(number) = of(VersionState::DestroyScheduled, &all) {
                return Step::Restore(number);
            }
            match of(VersionState::Disabled, &all) {
                Some(number) if enable_anyway => Step::Enable(number),
                None if !matches!(memory, Memory::None) && !so_far.unmarked => Step::Unmark,
                None => Step::Finish,
                Some(_) if so_far.restored => Step::StayDisabled,
                Some(_) => Step::RefuseDisabledByOthers,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn versions(states: &str) -> Vec<CryptoKeyVersion> {
        states
            .chars()
            .zip(1..)
            .map(|(state, number)| CryptoKeyVersion {
                number: number.to_string(),
                state: match state {
                    'E' => VersionState::Enabled,
                    'D' => VersionState::Disabled,
                    'S' => VersionState::DestroyScheduled,
                    _ => VersionState::Destroyed,
                },
                destroy_time: None,
            })
            .collect()
    }

    fn known(label: &str) -> Memory {
        Before::parse(label).map_or_else(|| Memory::Unreadable(label.to_owned()), Memory::Known)
    }

    /// Each row: the label, the states of the versions, and what becomes of the label of an order that ended before its time: after a refusal, and
    /// after a call that may still take effect.
    #[test]
    fn the_label_of_a_disable_that_may_still_show_stays() {
        let (nothing, remove, leave) = (Tidying::Nothing, Tidying::Remove, Tidying::Leave);
        let rows = [
            (known("none"), "EE", remove, leave),
            (known("d1"), "DE", remove, leave),
            (known("none"), "DE", nothing, nothing),
            (known("d1"), "DD", nothing, nothing),
            (known("x"), "EE", nothing, nothing),
            (Memory::None, "EE", nothing, nothing),
        ];
        for (memory, states, refused, open) in rows {
            let seen = versions(states);
            let found = [false, true].map(|open| label_of_unfinished(&memory, &seen, open));
            assert_eq!(found, [refused, open], "{memory:?} {states}");
        }
    }

    const RESTORE: KeyOperation = KeyOperation::Restore {
        enable_anyway: false,
    };
    const ANYWAY: KeyOperation = KeyOperation::Restore {
        enable_anyway: true,
    };
    const SCHEDULE: KeyOperation = KeyOperation::ScheduleDeletion { days: None };

    /// Each row: the order, the states of the versions from 1 (the last one is the primary), the label, what was done, what follows.
    #[test]
    fn what_was_seen_decides_what_follows() {
        let nothing = SoFar::default();
        let marked = SoFar {
            marked: true,
            ..nothing
        };
        let unmarked = SoFar {
            unmarked: true,
            ..nothing
        };
        let restored = SoFar {
            restored: true,
            ..nothing
        };
        let none = Memory::None;
        let before = |label: &str| Step::Mark(Before::parse(label).unwrap_or_default());
        let number = |n: u8| n.to_string();
        let rows = [
            (
                KeyOperation::Disable,
                "EDE",
                none.clone(),
                nothing,
                before("d2"),
            ),
            (
                KeyOperation::Disable,
                "EDE",
                none.clone(),
                marked,
                Step::Disable(number(1)),
            ),
            (
                KeyOperation::Disable,
                "DDE",
                known("d2"),
                nothing,
                Step::Disable(number(3)),
            ),
            (
                KeyOperation::Disable,
                "DDD",
                known("d2"),
                nothing,
                Step::Finish,
            ),
            // The label is of an earlier time: everything that it does not name is enabled again.
            (
                KeyOperation::Disable,
                "EEE",
                known("d2"),
                nothing,
                before("none"),
            ),
            (SCHEDULE, "EDS", none.clone(), nothing, before("d2_s3")),
            (
                SCHEDULE,
                "EDS",
                known("d2_s3"),
                marked,
                Step::Destroy(number(1)),
            ),
            (
                SCHEDULE,
                "SDS",
                known("d2_s3"),
                nothing,
                Step::Destroy(number(2)),
            ),
            (SCHEDULE, "SSX", known("d2"), nothing, Step::Finish),
            (
                RESTORE,
                "SSS",
                known("d2_s3"),
                nothing,
                Step::Restore(number(1)),
            ),
            (
                RESTORE,
                "DSS",
                known("d2_s3"),
                nothing,
                Step::Restore(number(2)),
            ),
            (
                RESTORE,
                "DDS",
                known("d2_s3"),
                nothing,
                Step::Enable(number(1)),
            ),
            // The last one is the primary.
            (RESTORE, "DSE", known("d1_s2"), nothing, Step::Unmark),
            (RESTORE, "DSE", known("d1_s2"), unmarked, Step::Finish),
            (RESTORE, "DSE", none.clone(), unmarked, Step::Finish),
            // The owner had disabled the primary before: everything else is back.
            (RESTORE, "ED", known("d2"), nothing, Step::Unmark),
            (RESTORE, "ED", known("d2"), unmarked, Step::StayDisabled),
            (RESTORE, "ED", none.clone(), unmarked, Step::StayDisabled),
            (RESTORE, "ES", none.clone(), unmarked, Step::StayDisabled),
            (ANYWAY, "SE", none.clone(), unmarked, Step::Finish),
            // A disable that did not come about has left the label.
            (RESTORE, "DE", known("d1"), nothing, Step::Unmark),
            // A version that was disabled before and is scheduled since is of this switch.
            (
                SCHEDULE,
                "SE",
                known("d1"),
                nothing,
                Step::Destroy(number(2)),
            ),
            (
                ANYWAY,
                "EDS",
                known("d2_s3"),
                nothing,
                Step::Enable(number(2)),
            ),
            (RESTORE, "DDE", none.clone(), nothing, Step::Finish),
            (
                RESTORE,
                "DDD",
                none.clone(),
                nothing,
                Step::RefuseDisabledByOthers,
            ),
            (
                RESTORE,
                "DSD",
                none.clone(),
                nothing,
                Step::Restore(number(2)),
            ),
            (RESTORE, "DDD", none.clone(), restored, Step::StayDisabled),
            (
                ANYWAY,
                "DDD",
                none.clone(),
                nothing,
                Step::Enable(number(1)),
            ),
            (
                RESTORE,
                "DDD",
                known("?"),
                nothing,
                Step::RefuseDisabledByOthers,
            ),
            (ANYWAY, "EEE", known("?"), nothing, Step::Unmark),
            (RESTORE, "XXX", none, nothing, Step::RefuseDestroyed),
        ];
        for (order, states, memory, so_far, expected) in rows {
            let versions = versions(states);
            let primary = versions.last().map(|one| one.number.clone());
            let found = next(order, &versions, primary.as_deref(), &memory, so_far);
            assert_eq!(found, expected, "{order:?} {states} {memory:?} {so_far:?}");
        }
    }

    /// Each row: a step whose answer was lost, what the next look shows, and whether Cloud KMS carried the step out.
    #[test]
    fn a_look_shows_what_a_lost_answer_hides() {
        let first = || "1".to_owned();
        for (step, states, label, expected) in [
            (Step::Disable(first()), "DE", "none", true),
            (Step::Disable(first()), "EE", "none", false),
            (Step::Enable(first()), "ED", "none", true),
            (Step::Enable(first()), "DE", "none", false),
            (Step::Destroy(first()), "SE", "none", true),
            (Step::Destroy(first()), "DE", "none", false),
            (Step::Restore(first()), "DS", "none", true),
            (Step::Restore(first()), "SS", "none", false),
            (Step::Mark(Before::default()), "E", "none", true),
            (Step::Mark(Before::default()), "E", "d1", false),
            (Step::Unmark, "E", "none", false),
            (Step::Finish, "E", "none", false),
        ] {
            let found = shows(&step, &versions(states), &known(label));
            assert_eq!(found, expected, "{step:?} {states} {label}");
        }
        assert!(shows(&Step::Unmark, &versions("E"), &Memory::None));
    }

    /// Each row: the states, the label, and whether something is left of what it is about.
    #[test]
    fn a_label_without_anything_taken_away_is_left_over() {
        for (states, label, is_left_over) in [
            ("EEE", "none", true),
            ("EDE", "d2", true),
            ("EDS", "d2_s3", true),
            ("DDE", "d2", false),
            ("ESE", "d2", false),
            ("ESE", "s2", true),
            // Another writer has enabled it since, and no other version is disabled.
            ("EEE", "d2", true),
            ("XXE", "none", true),
        ] {
            let before = Before::parse(label).expect("a label");
            assert_eq!(
                before.is_left_over(&versions(states)),
                is_left_over,
                "{states} {label}"
            );
        }
    }

    #[test]
    fn a_label_has_one_form() {
        for (label, good) in [
            ("none", true),
            ("d1-3_d7_s9", true),
            ("d3-1", false),
            ("x1", false),
            ("d", false),
            ("", false),
            ("d1-999999999", false),
            ("dé", false),
        ] {
            assert_eq!(Before::parse(label).is_some(), good, "{label}");
        }
        let many = Before {
            disabled: (0..60).map(|number| number * 2).collect(),
            scheduled: BTreeSet::new(),
        };
        assert_eq!(many.label(), None, "it does not fit");
    }

    /// Carries steps out on states, as Cloud KMS would.
    fn carried_out(
        order: KeyOperation,
        versions: &mut [CryptoKeyVersion],
        memory: &mut Memory,
    ) -> Step {
        let mut so_far = SoFar::default();
        for _ in 0..200 {
            let primary = versions.last().map(|one| one.number.clone());
            let step = next(order, versions, primary.as_deref(), memory, so_far);
            let mut set = |number: &str, state: VersionState| {
                for one in versions.iter_mut().filter(|one| one.number == number) {
                    one.state = state.clone();
                }
            };
            match &step {
                Step::Mark(before) => {
                    so_far.marked = true;
                    *memory = before.label().map_or(Memory::None, |label| known(&label));
                }
                Step::Disable(number) => set(number, VersionState::Disabled),
                Step::Destroy(number) => set(number, VersionState::DestroyScheduled),
                Step::Restore(number) => {
                    so_far.restored = true;
                    set(number, VersionState::Disabled);
                }
                Step::Enable(number) => set(number, VersionState::Enabled),
                Step::Unmark => {
                    so_far.unmarked = true;
                    *memory = Memory::None;
                }
                _ => return step,
            }
        }
        Step::RefuseDestroyed
    }

    proptest! {
        /// Whatever was there before, taking it away and giving it back ends with the same.
        #[test]
        fn what_was_there_before_is_given_back(states in "[EDSX]{0,8}E", schedule in any::<bool>()) {
            let mut all = versions(&states);
            let original = all.clone();
            let mut memory = Memory::None;
            let order = if schedule { SCHEDULE } else { KeyOperation::Disable };
            prop_assert_eq!(carried_out(order, &mut all, &mut memory), Step::Finish);
            prop_assert!(all.iter().all(|one| one.state != VersionState::Enabled));
            prop_assert_eq!(carried_out(RESTORE, &mut all, &mut memory), Step::Finish);
            prop_assert_eq!(all, original);
            prop_assert_eq!(memory, Memory::None);
        }

        /// Whatever the label says, reading it ends.
        #[test]
        fn any_label_is_read_or_refused(label in "[a-z0-9_-]{0,63}") {
            if let Some(before) = Before::parse(&label)
                && let Some(again) = before.label()
            {
                prop_assert_eq!(Before::parse(&again), Some(before));
            }
        }
    }
}
