//! Ctrl-C and termination while a command works: it stops, and says what is true.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tfplugin::CancellationToken;

/// Exit codes as shells know them: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// Signals that came.
pub struct Interrupt {
    stop: CancellationToken,
    hurry: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Interrupt {
    /// From now on a signal does not end the process.
    pub fn listen() -> Self {
        let own = Self {
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
            code: Arc::new(AtomicU8::new(INTERRUPTED)),
        };
        let (stop, hurry, code) = (own.stop.clone(), own.hurry.clone(), Arc::clone(&own.code));
        tokio::spawn(async move {
            code.store(came().await, Ordering::Relaxed);
            stop.cancel();
            came().await;
            hurry.cancel();
        });
        own
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> &CancellationToken {
        &self.stop
    }

    /// The exit code of what was interrupted.
    pub fn code(&self) -> u8 {
        self.code.load(Ordering::Relaxed)
    }

    /// What some work comes to. `None` when it was interrupted and did not end within the grace, or before a second signal.
    pub async fn unless<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        let over = async {
            self.stop.cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                () = self.hurry.cancelled() => {}
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = over => None,
        }
    }
}

#[cfg(unix)]
async fn came() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    }
}

#[cfg(not(unix))]
async fn came() -> u8 {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    INTERRUPTED
}
