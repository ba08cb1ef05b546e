//! What to do next with a KMS key, from what was just seen of it. Pure: no clock, no network.
//!
//! Sources: AWS KMS Developer Guide, "Key states of AWS KMS keys" (which operation a state admits; a deletion that is cancelled leaves
//! the key Disabled), and KMS API reference, ScheduleKeyDeletion.

use crate::provider::kill_switch::{KeyOperation, Tidying, WayBack, tidying};
use crate::vocabulary::KeyState;

/// The tag that says that the key was disabled here, and when (RFC 3339).
pub const TAG: &str = "dbxcmk:disabled";

/// Whether the key carries our tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It does: since when, as it says.
    Ours(String),
    /// It does not.
    None,
    /// Its tags cannot be read: why.
    Unreadable(String),
}

/// What the tag says of a key in its state: a tag on an enabled key is left over, from a disable that did not finish or from before
/// another writer enabled the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The key is enabled, and has no tag.
    Clean,
    /// It is enabled, and the tag is left over: since when, as it says.
    LeftOver(String),
    /// This provider has taken it away: since when.
    Ours(String),
    /// Another writer has taken the key away, for this reason as far as it shows.
    Others(String),
    /// The key is taken away, and the provider does not know by whom, for this reason.
    NotKnown(String),
}

/// What the tag says of a key in this state.
pub fn standing(state: &KeyState, mark: &Mark) -> Standing {
    let is_taken = matches!(state, KeyState::Disabled) || state.is_being_deleted();
    match (is_taken, mark) {
        (true, Mark::Ours(since)) => Standing::Ours(since.clone()),
        (true, Mark::None) => Standing::Others(format!("it has no tag `{TAG}`")),
        (true, Mark::Unreadable(why)) => {
            Standing::NotKnown(format!("its tags cannot be read: {why}"))
        }
        (false, Mark::Ours(since)) if *state == KeyState::Enabled => {
            Standing::LeftOver(since.clone())
        }
        (false, _) => Standing::Clean,
    }
}

/// What a restore of a key in this state would come to.
pub fn way_back(state: &KeyState, mark: &Mark) -> WayBack {
    match next(
        KeyOperation::Restore {
            enable_anyway: false,
        },
        state,
        mark,
        SoFar::default(),
    ) {
        Step::Refuse(Refused::DisabledByOthers) => WayBack::Anyway,
        Step::Refuse(_) => WayBack::Nowhere,
        // A deletion that is cancelled leaves the key disabled.
        Step::CancelDeletion if !matches!(mark, Mark::Ours(_)) => WayBack::Anyway,
        _ => WayBack::Restore,
    }
}

/// What the provider does with the tag of an order that it did not finish. `may_take_effect`: whether the call that takes the key away may still
/// do so, although KMS shows the key as enabled.
pub fn tag_of_unfinished(state: &KeyState, mark: &Mark, may_take_effect: bool) -> Tidying {
    let is_left_over = matches!(standing(state, mark), Standing::LeftOver(_));
    tidying(is_left_over, may_take_effect)
}

/// What this order has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// The tag was written, or could not be.
    pub marked: bool,
    /// The tag was removed, or could not be.
    pub unmarked: bool,
    /// The deletion was cancelled.
    pub cancelled: bool,
    /// The call that takes the key away was answered.
    pub taken: bool,
}

/// What the provider does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the tag, before anything is taken away.
    Mark,
    /// Disable the key.
    Disable,
    /// Have KMS delete the key after the days of the order.
    ScheduleDeletion,
    /// Make the call of the order although KMS shows the key as ordered: a read of KMS can be late, and on a key that is so already the call does
    /// nothing.
    MakeSure,
    /// Take the key out of its deletion: KMS leaves it disabled.
    CancelDeletion,
    /// Let principals use the key again.
    Enable,
    /// Remove the tag.
    Unmark,
    /// End: the key is as ordered.
    Finish,
    /// The deletion is cancelled, and the key stays disabled as it was before.
    StayDisabled,
    /// It cannot be done.
    Refuse(Refused),
}

/// Why it cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another writer disabled the key, or the provider cannot tell.
    DisabledByOthers,
    /// The key has no material: enabling does not help.
    NoMaterial,
    /// Its custom key store is not connected.
    StoreDisconnected,
    /// It is being created or changed.
    Busy,
    /// A state that this version does not know.
    UnknownState,
}

/// Whether a look shows that a step was carried out whose answer was lost.
pub fn shows(step: Step, state: &KeyState, mark: &Mark) -> bool {
    match step {
        Step::Mark => matches!(mark, Mark::Ours(_)),
        Step::Unmark => matches!(mark, Mark::None),
        Step::Disable => *state != KeyState::Enabled,
        Step::ScheduleDeletion => state.is_being_deleted(),
        Step::CancelDeletion => !state.is_being_deleted(),
        Step::Enable => *state == KeyState::Enabled,
        Step::MakeSure | Step::Finish | Step::StayDisabled | Step::Refuse(_) => false,
    }
}

/// What to do next.
pub fn next(order: KeyOperation, state: &KeyState, mark: &Mark, so_far: SoFar) -> Step {
    match order {
        KeyOperation::Disable => disable(state, so_far, Step::Disable),
        KeyOperation::ScheduleDeletion { .. } => match state {
            KeyState::Disabled | KeyState::PendingImport => Step::ScheduleDeletion,
            _ => disable(state, so_far, Step::ScheduleDeletion),
        },
        KeyOperation::Restore { enable_anyway } => restore(enable_anyway, state, mark, so_far),
    }
}

fn disable(state: &KeyState, so_far: SoFar, step: Step) -> Step {
    match state {
        KeyState::Enabled | KeyState::Unavailable if !so_far.marked => Step::Mark,
        KeyState::Enabled | KeyState::Unavailable => step,
        KeyState::Disabled | KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            match so_far.taken {
                true => Step::Finish,
                false => Step::MakeSure,
            }
        }
        KeyState::PendingImport => Step::Refuse(Refused::NoMaterial),
        KeyState::Creating | KeyState::Updating => Step::Refuse(Refused::Busy),
        KeyState::Other(_) => Step::Refuse(Refused::UnknownState),
    }
}

fn restore(enable_anyway: bool, state: &KeyState, mark: &Mark, so_far: SoFar) -> Step {
    let is_ours = matches!(mark, Mark::Ours(_));
    match state {
        KeyState::Enabled if is_ours && !so_far.unmarked => Step::Unmark,
        KeyState::Enabled => Step::Finish,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => Step::CancelDeletion,
        KeyState::Disabled if is_ours || enable_anyway => Step::Enable,
        KeyState::Disabled if so_far.cancelled => Step::StayDisabled,
        KeyState::Disabled => Step::Refuse(Refused::DisabledByOthers),
        KeyState::PendingImport => Step::Refuse(Refused::NoMaterial),
        KeyState::Unavailable => Step::Refuse(Refused::StoreDisconnected),
        KeyState::Creating | KeyState::Updating => Step::Refuse(Refused::Busy),
        KeyState::Other(_) => Step::Refuse(Refused::UnknownState),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: SoFar = SoFar {
        marked: true,
        unmarked: false,
        cancelled: false,
        taken: false,
    };
    const CANCELLED: SoFar = SoFar {
        marked: false,
        unmarked: false,
        cancelled: true,
        taken: false,
    };
    const NOTHING: SoFar = SoFar {
        marked: false,
        unmarked: false,
        cancelled: false,
        taken: false,
    };
    const TAKEN: SoFar = SoFar {
        taken: true,
        ..NOTHING
    };

    /// Each row: the state and mark that a look showed, what the order has done so far, and the next step of each order.
    #[test]
    fn what_was_seen_decides_what_follows() {
        use KeyState::{
            Creating, Disabled, Enabled, PendingDeletion, PendingImport, PendingReplicaDeletion,
            Unavailable, Updating,
        };
        use Step::{
            CancelDeletion, Disable, Enable, Finish, MakeSure, Mark as Write, Refuse,
            ScheduleDeletion, StayDisabled, Unmark,
        };
        let ours = || Mark::Ours("2026-01-01T00:00:00Z".to_owned());
        let unreadable = || Mark::Unreadable("denied".to_owned());
        let none = || Mark::None;
        let other = || KeyState::Other("Melting".to_owned());
        let (no_material, busy, unknown) = (
            Refuse(Refused::NoMaterial),
            Refuse(Refused::Busy),
            Refuse(Refused::UnknownState),
        );
        let (others, store) = (
            Refuse(Refused::DisabledByOthers),
            Refuse(Refused::StoreDisconnected),
        );
        let unmarked = SoFar {
            unmarked: true,
            ..NOTHING
        };
        #[rustfmt::skip]
        let rows = [
            // seen, so far => disable, schedule, restore, restore anyway
            (Enabled, none(), NOTHING, Write, Write, Finish, Finish),
            (Enabled, ours(), NOTHING, Write, Write, Unmark, Unmark),
            (Enabled, ours(), unmarked, Write, Write, Finish, Finish),
            (Enabled, unreadable(), NOTHING, Write, Write, Finish, Finish),
            (Enabled, ours(), MARKED, Disable, ScheduleDeletion, Unmark, Unmark),
            (Enabled, none(), MARKED, Disable, ScheduleDeletion, Finish, Finish),
            (Unavailable, none(), MARKED, Disable, ScheduleDeletion, store, store),
            // A read that leaves nothing to do may be late, so the provider makes the call all the same.
            (Disabled, none(), NOTHING, MakeSure, ScheduleDeletion, others, Enable),
            (Disabled, none(), TAKEN, Finish, ScheduleDeletion, others, Enable),
            (Enabled, none(), TAKEN, Write, Write, Finish, Finish),
            (Disabled, unreadable(), NOTHING, MakeSure, ScheduleDeletion, others, Enable),
            (Disabled, ours(), NOTHING, MakeSure, ScheduleDeletion, Enable, Enable),
            (Disabled, none(), CANCELLED, MakeSure, ScheduleDeletion, StayDisabled, Enable),
            (Disabled, ours(), CANCELLED, MakeSure, ScheduleDeletion, Enable, Enable),
            (PendingDeletion, none(), NOTHING, MakeSure, MakeSure, CancelDeletion, CancelDeletion),
            (PendingDeletion, none(), TAKEN, Finish, Finish, CancelDeletion, CancelDeletion),
            (PendingDeletion, ours(), MARKED, MakeSure, MakeSure, CancelDeletion, CancelDeletion),
            (PendingReplicaDeletion, none(), NOTHING, MakeSure, MakeSure, CancelDeletion, CancelDeletion),
            (PendingImport, none(), NOTHING, no_material, ScheduleDeletion, no_material, no_material),
            (Creating, none(), NOTHING, busy, busy, busy, busy),
            (Updating, none(), NOTHING, busy, busy, busy, busy),
            (other(), none(), NOTHING, unknown, unknown, unknown, unknown),
        ];
        for (state, mark, so_far, to_disable, to_schedule, to_restore, anyway) in rows {
            let then = |order| next(order, &state, &mark, so_far);
            let restore = |enable_anyway| then(KeyOperation::Restore { enable_anyway });
            let found = (
                then(KeyOperation::Disable),
                then(KeyOperation::ScheduleDeletion { days: Some(30) }),
                restore(false),
                restore(true),
            );
            let expected = (to_disable, to_schedule, to_restore, anyway);
            assert_eq!(found, expected, "{state:?} {mark:?} {so_far:?}");
        }
    }

    /// Each row: the state, the tag, and what follows for those who ask who disabled the key.
    #[test]
    fn a_tag_counts_only_on_a_key_that_is_taken_away() {
        let ours = Mark::Ours("T".to_owned());
        let denied = Mark::Unreadable("denied".to_owned());
        let left_over = Standing::LeftOver("T".to_owned());
        let by_us = Standing::Ours("T".to_owned());
        let others = |why: &str| Standing::Others(why.to_owned());
        let no_tag = others("it has no tag `dbxcmk:disabled`");
        let rows = [
            (KeyState::Enabled, &Mark::None, Standing::Clean),
            (KeyState::Enabled, &ours, left_over),
            (KeyState::Enabled, &denied, Standing::Clean),
            (KeyState::Disabled, &ours, by_us.clone()),
            (KeyState::Disabled, &Mark::None, no_tag.clone()),
            (
                KeyState::Disabled,
                &denied,
                Standing::NotKnown("its tags cannot be read: denied".to_owned()),
            ),
            (KeyState::PendingDeletion, &ours, by_us.clone()),
            (KeyState::PendingReplicaDeletion, &ours, by_us),
            (KeyState::PendingDeletion, &Mark::None, no_tag),
            (KeyState::Unavailable, &ours, Standing::Clean),
            (KeyState::PendingImport, &Mark::None, Standing::Clean),
        ];
        for (state, mark, expected) in rows {
            assert_eq!(standing(&state, mark), expected, "{state:?} {mark:?}");
        }
    }

    /// Each row: the state, the tag, and what a restore would come to.
    #[test]
    fn the_command_that_is_printed_works() {
        use KeyState::{Disabled, PendingDeletion, PendingImport, Unavailable};
        let ours = Mark::Ours("T".to_owned());
        for (state, mark, expected) in [
            (Disabled, &ours, WayBack::Restore),
            (Disabled, &Mark::None, WayBack::Anyway),
            (PendingDeletion, &ours, WayBack::Restore),
            (PendingDeletion, &Mark::None, WayBack::Anyway),
            (PendingImport, &Mark::None, WayBack::Nowhere),
            (Unavailable, &ours, WayBack::Nowhere),
        ] {
            assert_eq!(way_back(&state, mark), expected, "{state:?} {mark:?}");
        }
    }

    /// Each row: the state, the tag, and what becomes of the tag of an order that ended before its time: after a refusal, and after a call that
    /// may still take effect.
    #[test]
    fn the_tag_of_a_disable_that_may_still_show_stays() {
        let ours = Mark::Ours("T".to_owned());
        let (nothing, remove, leave) = (Tidying::Nothing, Tidying::Remove, Tidying::Leave);
        let rows = [
            (KeyState::Enabled, &ours, remove, leave),
            (KeyState::Enabled, &Mark::None, nothing, nothing),
            (KeyState::Disabled, &ours, nothing, nothing),
            (KeyState::PendingDeletion, &ours, nothing, nothing),
            (KeyState::Unavailable, &ours, nothing, nothing),
        ];
        for (state, mark, refused, open) in rows {
            let found = [false, true].map(|open| tag_of_unfinished(&state, mark, open));
            assert_eq!(found, [refused, open], "{state:?} {mark:?}");
        }
    }

    /// Whatever the looks show, an order that the provider carries out step by step ends, and ends as it says.
    #[test]
    fn every_order_ends() {
        let states = [
            KeyState::Enabled,
            KeyState::Disabled,
            KeyState::PendingDeletion,
        ];
        for state in states {
            for begins_marked in [false, true] {
                for order in [
                    KeyOperation::Disable,
                    KeyOperation::ScheduleDeletion { days: Some(7) },
                    KeyOperation::Restore {
                        enable_anyway: false,
                    },
                    KeyOperation::Restore {
                        enable_anyway: true,
                    },
                ] {
                    let (mut now, mut so_far) = (state.clone(), SoFar::default());
                    let mut mark = if begins_marked {
                        Mark::Ours(String::new())
                    } else {
                        Mark::None
                    };
                    let mut steps = 0;
                    let end = loop {
                        match next(order, &now, &mark, so_far) {
                            Step::Mark => {
                                (mark, so_far.marked) = (Mark::Ours(String::new()), true);
                            }
                            Step::Unmark => (mark, so_far.unmarked) = (Mark::None, true),
                            Step::Disable => (now, so_far.taken) = (KeyState::Disabled, true),
                            Step::ScheduleDeletion => {
                                (now, so_far.taken) = (KeyState::PendingDeletion, true);
                            }
                            Step::MakeSure => so_far.taken = true,
                            Step::CancelDeletion => {
                                (now, so_far.cancelled) = (KeyState::Disabled, true);
                            }
                            Step::Enable => now = KeyState::Enabled,
                            end => break end,
                        }
                        steps += 1;
                        assert!(steps < 6, "{order:?} from {state:?} does not end");
                    };
                    match (order, end) {
                        (KeyOperation::Restore { .. }, Step::Finish) => {
                            assert_eq!((now, mark), (KeyState::Enabled, Mark::None));
                        }
                        (KeyOperation::Restore { .. }, end) => {
                            assert!(!begins_marked, "{end:?}");
                            assert_eq!(now, KeyState::Disabled);
                        }
                        (_, end) => {
                            assert_eq!(end, Step::Finish);
                            assert_ne!(now, KeyState::Enabled);
                        }
                    }
                }
            }
        }
    }
}
