//! Waiting until a deadline, or until Terraform wants to stop.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// By when an operation must be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    length: Duration,
}

impl Deadline {
    /// The deadline that is `length` from now.
    pub fn after(length: Duration) -> Self {
        Self {
            at: Instant::now() + length,
            length,
        }
    }

    /// Whether the time is over.
    pub fn has_passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// How much time is left; zero after the end.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until the deadline; `None` when the deadline comes first.
    pub async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.at, work).await.ok()
    }

    /// How much time the user allowed, for messages.
    pub fn length(&self) -> Duration {
        self.length
    }
}

/// Why a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The pause has lasted as long as the caller asked.
    Over,
    /// Terraform wants to stop.
    Stopped,
}

/// Waits for `length`, or until Terraform wants to stop.
pub async fn pause(length: Duration, stop: &tokio_util::sync::CancellationToken) -> Pause {
    tokio::select! {
        () = tokio::time::sleep(length) => Pause::Over,
        () = stop.cancelled() => Pause::Stopped,
    }
}
