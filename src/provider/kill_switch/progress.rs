//! What an order has done so far, and what the provider reports of it, on every cloud.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{KeyOperation, Options};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The record of an order that the provider is carrying out.
pub(super) struct Record<'a> {
    /// What the user ordered.
    pub(super) order: KeyOperation,
    /// How the provider carries it out.
    pub(super) options: Options<'a>,
    /// What was changed, in words.
    pub(super) done: Vec<String>,
    /// What else to know.
    pub(super) notes: Vec<String>,
    /// A call whose answer was lost and whose effect does not show yet, as `disable version 1`.
    pub(super) unsure: Option<String>,
}

/// What a message says about a call that failed: only a call that the service denied lacks a permission.
pub(super) fn of_call(doing: &str, permission: &str, is_denied: bool) -> String {
    match is_denied {
        true => format!("It could not {doing}, which needs the permission {permission}."),
        false => format!("It could not {doing}."),
    }
}

impl<'a> Record<'a> {
    /// A record of an order that has changed nothing yet.
    pub(super) fn new(order: KeyOperation, options: Options<'a>) -> Self {
        Self {
            order,
            options,
            done: Vec::new(),
            notes: Vec::new(),
            unsure: None,
        }
    }

    /// Records a change, and shows it to the user.
    pub(super) fn changed(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.options.changed.store(true, Ordering::Relaxed);
        (self.options.say)(what.clone());
        self.done.push(what);
    }

    /// Makes a call that takes the key away. `is_refused`: whether an error says for sure that the service did nothing. After any other
    /// error, or none, the call may still take effect.
    pub(super) async fn taking<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        is_refused: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let before = self.options.taking.swap(true, Ordering::Relaxed);
        let answer = call.await;
        if answer.as_ref().is_err_and(is_refused) {
            self.options.taking.store(before, Ordering::Relaxed);
        }
        answer
    }

    /// Records a note, and shows it to the user.
    pub(super) fn note(&mut self, note: String) {
        (self.options.say)(note.clone());
        self.notes.push(note);
    }

    /// What the provider has changed, as a sentence behind another.
    pub(super) fn so_far_in_words(&self) -> String {
        let done = self.done.join(", ");
        match (&self.unsure, self.done.is_empty()) {
            (None, true) => " Nothing was changed.".to_owned(),
            (None, false) => format!(" Done so far: {done}."),
            (Some(doing), true) => format!(" {}", may_show(doing)),
            (Some(doing), false) => format!(" Done so far: {done}. {}", may_show(doing)),
        }
    }

    /// Records a change whose call got no answer, because the key shows it.
    pub(super) fn shown(&mut self, done: &str) {
        self.unsure = None;
        self.changed(format!("{done} (the answer to the call was lost)"));
    }

    fn so_far_as_paragraph(&self) -> String {
        self.so_far_in_words().replacen(' ', "\n\n", 1)
    }

    /// The summary for an order that failed.
    pub(super) fn could_not(&self) -> String {
        format!("The provider could not {} the key", self.order.verb())
    }

    /// The error of a call that failed, with what is true now. `call`: what the call did or needed, as a sentence.
    pub(super) fn failed(&self, inner: Diagnostic, call: &str) -> Diagnostics {
        let detail = format!(
            "{}{}\n\n{} Run the same command again: it continues from the state of the key.",
            inner.detail,
            self.so_far_as_paragraph(),
            call.trim()
        );
        let detail = detail.replace("\n\n Run", "\n\nRun");
        inner.with_detail(detail).into()
    }

    /// The error when the user interrupts, with what is true now.
    pub(super) fn interrupted(&self) -> Diagnostics {
        Diagnostic::error(
            "The command was interrupted",
            format!(
                "No further step is taken.{}\n\nRun the same command again: it continues from the state of the key.",
                self.so_far_in_words()
            ),
        )
        .into()
    }

    /// Whether the user has interrupted the order.
    pub(super) fn is_interrupted(&self) -> bool {
        self.options.stop.is_cancelled()
    }

    /// Waits before the next look; an interrupt ends the wait.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.options.stop.cancelled() => {}
        }
    }

    /// The error when the provider refuses the order, with the reason and with what is true now.
    pub(super) fn refused(&self, why: &str) -> Diagnostics {
        Diagnostic::error(
            match self.order {
                KeyOperation::Disable => "The key was not disabled",
                KeyOperation::ScheduleDeletion { .. } => {
                    "The deletion of the key was not scheduled"
                }
                KeyOperation::Restore { .. } => "The key was not restored",
            },
            format!("{why}{}", self.so_far_as_paragraph()),
        )
        .into()
    }

    /// The error when each look shows that another writer has changed the key again.
    pub(super) fn restless(&self, what: &str, log: &str) -> Diagnostics {
        Diagnostic::error(
            "The key changed again after the command",
            format!(
                "Another person or program changes {what} at the same time.{}\n\nFind out who it is ({log}), then run the command again.",
                self.so_far_in_words()
            ),
        )
        .into()
    }
}

fn may_show(doing: &str) -> String {
    format!(
        "The answer to the call ({doing}) was lost, so the provider does not know whether it was carried out. It may still take effect."
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tfplugin::CancellationToken;

    use super::*;
    use crate::provider::kill_switch::PATIENCE;

    /// After a lost answer, the record says neither "nothing was changed" nor that a permission is missing;
    /// what the key shows counts as done.
    #[test]
    fn a_lost_answer_is_not_known() {
        let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
        let stop = CancellationToken::new();
        let mut record = Record::new(
            KeyOperation::Disable,
            Options {
                say: &|_| {},
                patience: PATIENCE,
                stop: &stop,
                changed: &changed,
                taking: &taking,
            },
        );
        assert_eq!(record.so_far_in_words(), " Nothing was changed.");
        record.unsure = Some("disable version 1".to_owned());
        let words = record.so_far_in_words();
        assert!(words.contains("does not know whether"), "{words}");
        assert!(!words.contains("Nothing was changed"), "{words}");
        let failed = record.failed(Diagnostic::error("s", "No answer."), "");
        let text = failed.iter().next().expect("one").detail.clone();
        assert!(
            !text.contains("permission") && text.contains("\n\nRun the same"),
            "{text}"
        );
        assert!(of_call("x", "keys/update", true).contains("keys/update"));
        assert!(!of_call("x", "keys/update", false).contains("keys/update"));
        record.shown("disabled version 1");
        assert!(changed.load(Ordering::Relaxed));
        let words = record.so_far_in_words();
        assert!(
            words.starts_with(" Done so far: disabled version 1 (the answer"),
            "{words}"
        );
    }

    /// Each row: the answers to the calls that take the key away, and whether it may still lose access although no read shows it.
    #[tokio::test]
    async fn what_was_not_refused_may_take_effect() {
        let (done, refused, lost) = (Ok(()), Err("refused"), Err("lost"));
        let rows: [(&[Result<(), &str>], bool); 8] = [
            (&[], false),
            (&[done], true),
            (&[lost], true),
            (&[refused], false),
            (&[refused, refused], false),
            (&[done, refused], true),
            (&[lost, refused], true),
            (&[refused, lost], true),
        ];
        for (answers, may_take_effect) in rows {
            let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
            let stop = CancellationToken::new();
            let options = Options {
                say: &|_| {},
                patience: Duration::ZERO,
                stop: &stop,
                changed: &changed,
                taking: &taking,
            };
            let record = Record::new(KeyOperation::Disable, options);
            for answer in answers {
                let call = std::future::ready(*answer);
                let _ = record.taking(call, |error| *error == "refused").await;
            }
            assert_eq!(
                taking.load(Ordering::Relaxed),
                may_take_effect,
                "{answers:?}"
            );
        }
        // A caller that breaks off a call does not know its outcome either.
        let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
        let stop = CancellationToken::new();
        let options = Options {
            say: &|_| {},
            patience: Duration::ZERO,
            stop: &stop,
            changed: &changed,
            taking: &taking,
        };
        let record = Record::new(KeyOperation::Disable, options);
        let call = record.taking(std::future::pending::<Result<(), ()>>(), |()| true);
        let _ = tokio::time::timeout(Duration::ZERO, call).await;
        assert!(taking.load(Ordering::Relaxed));
    }
}
