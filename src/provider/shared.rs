//! Values that several operations of a run need at the same time: read by one of them, for all.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Locks a mutex of plain data. Nothing is left half-way in one, so a panic elsewhere is no reason to give up.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value that is fetched by whoever asks first, while the others wait. A failure is not kept.
pub(super) struct Shared<T>(Mutex<Arc<OnceCell<Arc<T>>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(OnceCell::new())))
    }
}

impl<T> Shared<T> {
    pub(super) async fn get<E, F: Future<Output = Result<T, E>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, E> {
        let cell = Arc::clone(&lock(&self.0));
        cell.get_or_try_init(|| async { fetch().await.map(Arc::new) })
            .await
            .cloned()
    }

    /// The next one fetches again; who is waiting already still gets what is on its way.
    pub(super) fn forget(&self) {
        *lock(&self.0) = Arc::new(OnceCell::new());
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
