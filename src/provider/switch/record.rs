//! What an order has done so far, and what has to be said of it, whatever the cloud.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Manner, Order};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The record of an order under way.
pub(super) struct Record<'a> {
    /// What was ordered.
    pub(super) order: Order,
    /// How it is carried out.
    pub(super) manner: Manner<'a>,
    /// What was changed, in words.
    pub(super) done: Vec<String>,
    /// What else to know.
    pub(super) notes: Vec<String>,
}

impl<'a> Record<'a> {
    /// Nothing is done yet.
    pub(super) fn new(order: Order, manner: Manner<'a>) -> Self {
        Self {
            order,
            manner,
            done: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Something was changed.
    pub(super) fn changed(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.manner.changed.store(true, Ordering::Relaxed);
        (self.manner.say)(what.clone());
        self.done.push(what);
    }

    /// Something else to know.
    pub(super) fn note(&mut self, note: String) {
        (self.manner.say)(note.clone());
        self.notes.push(note);
    }

    /// What was changed, as a sentence behind another.
    pub(super) fn so_far_in_words(&self) -> String {
        if self.done.is_empty() {
            " Nothing was changed.".to_owned()
        } else {
            format!(" Done so far: {}.", self.done.join(", "))
        }
    }

    fn so_far_as_paragraph(&self) -> String {
        self.so_far_in_words().replacen(' ', "\n\n", 1)
    }

    /// What could not be done, as a summary.
    pub(super) fn could_not(&self) -> String {
        format!("The provider could not {} the key", self.order.verb())
    }

    /// A call that failed, with what is true now. `call`: what it was or needed, as a sentence.
    pub(super) fn failed(&self, inner: Diagnostic, call: &str) -> Diagnostics {
        let detail = format!(
            "{}{}\n\n{call} Run the same command again: it continues from the state of the key.",
            inner.detail,
            self.so_far_as_paragraph()
        );
        inner.with_detail(detail).into()
    }

    /// The user interrupted it, with what is true now.
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

    /// Whether the user has interrupted it.
    pub(super) fn is_interrupted(&self) -> bool {
        self.manner.stop.is_cancelled()
    }

    /// Waits before the next look; an interrupt ends the wait.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.manner.stop.cancelled() => {}
        }
    }

    /// Why it is not done.
    pub(super) fn refused(&self, why: &str) -> Diagnostics {
        Diagnostic::error(
            match self.order {
                Order::Disable => "The key was not disabled",
                Order::ScheduleDeletion { .. } => "The deletion of the key was not scheduled",
                Order::Restore { .. } => "The key was not restored",
            },
            format!("{why}{}", self.so_far_as_paragraph()),
        )
        .into()
    }

    /// Somebody else changes the key at the same time, at every look.
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
