//! The managed resources, one file each, and the few things that all of them need.

pub mod key_configuration;
pub mod key_policy;
pub mod workspace_binding;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::plugin::bridge::Attr;
use crate::plugin::duration::GoDuration;

/// The `timeouts` object: each operation that the resource lists, by name.
pub type Timeouts = Attr<BTreeMap<String, Attr<GoDuration>>>;

/// How long an operation may take: what the user says, or `default`.
pub fn timeout(timeouts: &Timeouts, operation: &str, default: Duration) -> Deadline {
    let wanted = timeouts.known().and_then(|all| all.get(operation)).and_then(Attr::known);
    Deadline::after(wanted.map_or(default, GoDuration::length))
}

/// When an operation has to be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    length: Duration,
}

impl Deadline {
    /// `length` from now.
    pub fn after(length: Duration) -> Self {
        Self { at: Instant::now() + length, length }
    }

    /// Whether it has passed.
    pub fn has_passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// What was allowed, for messages.
    pub fn length(&self) -> Duration {
        self.length
    }
}

/// Why a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The time is over.
    Over,
    /// Terraform wants to stop.
    Stopped,
}

/// Waits, unless Terraform wants to stop.
pub async fn pause(length: Duration, stop: &tokio_util::sync::CancellationToken) -> Pause {
    tokio::select! {
        () = tokio::time::sleep(length) => Pause::Over,
        () = stop.cancelled() => Pause::Stopped,
    }
}

/// The elements of a set, when the set and each of them are known.
pub fn all_known<T: Clone>(set: &Attr<Vec<Attr<T>>>) -> Option<Vec<T>> {
    set.known()?.iter().map(|element| element.known().cloned()).collect()
}

/// A set of known elements.
pub fn known_set<T>(elements: impl IntoIterator<Item = T>) -> Attr<Vec<Attr<T>>> {
    Attr::Known(elements.into_iter().map(Attr::Known).collect())
}
