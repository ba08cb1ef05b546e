//! Values that several operations of a run need at the same time: read by one of them, for all.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Locks a mutex of plain data. Nothing is left half-way in one, so a panic elsewhere is no reason to give up.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value that is fetched by whoever asks first, while the others wait. A failure is not kept.
pub(super) struct Shared<T>(OnceCell<Arc<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T> Shared<T> {
    pub(super) async fn get<E, F: Future<Output = Result<T, E>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, E> {
        let fetched = self
            .0
            .get_or_try_init(|| async { fetch().await.map(Arc::new) });
        fetched.await.cloned()
    }
}

/// What was read, and since when it is true.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    /// When the read began: what was written before then shows in it.
    pub begun: Instant,
    /// What was read.
    pub value: T,
}

/// A value that several readers watch: each says how old it may be for them, and a read serves all for whom it is young enough.
/// A failure serves them in the same way: while a service is away, the readers do not queue up for it.
pub(super) struct Watched<T>(tokio::sync::Mutex<Option<AsOf<T>>>);

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Watched<T> {
    /// A read that began after `earliest`.
    pub(super) async fn after<F: Future<Output = T>>(
        &self,
        earliest: Instant,
        fetch: impl FnOnce() -> F,
    ) -> AsOf<T> {
        let mut last = self.0.lock().await;
        if let Some(young) = last.as_ref().filter(|last| last.begun > earliest) {
            return young.clone();
        }
        let begun = Instant::now();
        let read = AsOf {
            begun,
            value: fetch().await,
        };
        *last = Some(read.clone());
        read
    }
}

/// How old a read may be for an apply to rest on it: old enough that the resources which Terraform applies side by side share it, however
/// many they are. What the provider itself changed meanwhile is forgotten at once, and a workspace is read on its own before its keys are
/// changed.
const LIVE: Duration = Duration::from_secs(60);

/// How long a read that failed stands: those who wait for it fail with it, the next one tries again.
const FAILED: Duration = Duration::from_secs(5);

/// The moment after which a read has to begin so that an apply may rest on it.
pub(super) fn live() -> Instant {
    ago(LIVE)
}

/// The moment before which a read that failed is tried again.
pub(super) fn long_failed() -> Instant {
    ago(FAILED)
}

fn ago(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(time).unwrap_or(now)
}

/// What applies rest on, by its name.
pub(super) struct Live<K, T>(Mutex<BTreeMap<K, Arc<Watched<T>>>>);

impl<K, T> Default for Live<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, T: Clone> Live<K, T> {
    /// What is true now, give or take what an apply may rest on.
    pub(super) async fn get<F: Future<Output = T>>(
        &self,
        name: &K,
        fetch: impl FnOnce() -> F,
    ) -> T {
        let watched = Arc::clone(lock(&self.0).entry(name.clone()).or_default());
        watched.after(live(), fetch).await.value
    }

    /// What was read before is not true any more.
    pub(super) fn forget(&self, name: &K) {
        lock(&self.0).remove(name);
    }
}
