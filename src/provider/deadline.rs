//! Waiting: until a deadline, and not when Terraform wants to stop.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// When an operation has to be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    length: Duration,
}

impl Deadline {
    /// `length` from now.
    pub fn after(length: Duration) -> Self {
        Self {
            at: Instant::now() + length,
            length,
        }
    }

    /// Whether it has passed.
    pub fn has_passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// How long it still is.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What comes of `work` before the deadline; `None` when it passes first.
    pub async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.at, work).await.ok()
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
