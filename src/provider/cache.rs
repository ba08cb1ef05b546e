//! Values that several operations of a run need at the same time: one of them reads, and the others
//! wait for its answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedMutexGuard};
use tokio::time::Instant;

use crate::preflight::{Fact, LastUse, Stage, Standing};

/// Locks a mutex of plain data. No holder leaves the data half-changed, so a panic elsewhere is not a reason to give up.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value that the first operation that asks fetches, while the others wait for it. When it fails,
/// the next operation that asks fetches again.
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

/// A value, and the moment from which it counts.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    /// When the read began: it shows everything that a writer wrote before then.
    pub begun: Instant,
    /// What the read returned.
    pub value: T,
}

/// A value that several readers share: each says how old a read it accepts. One reader fetches while the others wait, and then
/// every reader that accepts this read takes it; only the next one that does not fetches again. A failure serves them in the
/// same way: while a service is away, the readers do not queue up for it.
pub(super) struct Watched<T>(tokio::sync::Mutex<Option<AsOf<T>>>);

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Watched<T> {
    /// A read that began after `earliest`; the caller fetches one if the last is older.
    pub(super) async fn after<F: Future<Output = T>>(
        &self,
        earliest: Instant,
        fetch: impl FnOnce() -> F,
    ) -> AsOf<T> {
        self.read(|last| last.begun > earliest, fetch).await
    }

    /// Drops the read if it began before `moment`, and returns whether it did. Waits for a fetch that is under way.
    async fn forget_before(&self, moment: Instant) -> bool {
        let mut last = self.0.lock().await;
        last.take_if(|last| last.begun < moment).is_some()
    }

    /// The last read, if `will_do` accepts it; otherwise the caller fetches, and every other reader waits until it has.
    async fn read<F: Future<Output = T>>(
        &self,
        will_do: impl FnOnce(&AsOf<T>) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> AsOf<T> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref()
            && will_do(last)
        {
            return last.clone();
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

impl<T: Clone, E: Clone> Watched<Result<T, E>> {
    /// What does not change while Terraform runs: a read that succeeded serves the whole run. One that failed serves those who wait for it, and
    /// those of the next seconds.
    pub(super) async fn of_run<F: Future<Output = Result<T, E>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<T, E> {
        let will_do = |last: &AsOf<Result<T, E>>| last.value.is_ok() || last.begun > long_failed();
        self.read(will_do, fetch).await.value
    }
}

/// How old a read may be for an apply to rest on it: old enough that the resources which Terraform applies side by side share it, however
/// many they are. The provider forgets at once what it changed itself, and reads a workspace on its own before it changes its keys.
const LIVE: Duration = Duration::from_secs(60);

/// How long a failed read stands: the readers that wait for it fail with it, and the first one after
/// this time fetches again.
const FAILED: Duration = Duration::from_secs(5);

/// The moment after which a read must begin so that an apply may rest on it.
pub(super) fn live() -> Instant {
    ago(LIVE)
}

/// The moment before which a failed read is too old: a reader fetches again.
pub(super) fn long_failed() -> Instant {
    ago(FAILED)
}

fn ago(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(time).unwrap_or(now)
}

/// A fact that a proof reads.
pub(super) trait Readable: Clone {
    /// Whether the service did not give it, or not all of it.
    fn is_unreadable(&self) -> bool;
}

impl<T: Clone> Readable for Fact<T> {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl Readable for LastUse {
    fn is_unreadable(&self) -> bool {
        self.standing == Standing::NotKnown
    }
}

/// What proofs read, by its name, and the stage of each read: a plan rests on a read of the same run, an apply on one that is young
/// enough.
pub(super) struct Staged<K, T>(Mutex<BTreeMap<K, Arc<Watched<(Stage, T)>>>>);

impl<K, T> Default for Staged<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, T: Readable> Staged<K, T> {
    /// The value of `name` for this stage. Terraform plans each resource once more right before it applies it: one read serves
    /// both, unless it failed. Readers of the same name wait for each other; readers of different names do not.
    pub(super) async fn get<F: Future<Output = T>>(
        &self,
        stage: Stage,
        name: &K,
        fetch: impl FnOnce() -> F,
    ) -> T {
        let watched = Arc::clone(lock(&self.0).entry(name.clone()).or_default());
        let will_do = |last: &AsOf<(Stage, T)>| match (stage, &last.value) {
            (Stage::Plan, _) => true,
            (Stage::Apply, (read_at, value)) if value.is_unreadable() => {
                *read_at == Stage::Apply && last.begun > long_failed()
            }
            (Stage::Apply, _) => last.begun > live(),
        };
        let read = watched.read(will_do, || async { (stage, fetch().await) });
        read.await.value.1
    }

    /// Whether a read of `name` is there. A read that is under way does not count.
    pub(super) fn has_been_read(&self, name: &K) -> bool {
        let watched = lock(&self.0).get(name).cloned();
        watched.is_some_and(|watched| watched.0.try_lock().is_ok_and(|last| last.is_some()))
    }

    /// Drops the read of `name` if it began before `moment`, and returns whether it did. Waits for
    /// a fetch that is under way.
    pub(super) async fn forget_before(&self, moment: Instant, name: &K) -> bool {
        let watched = lock(&self.0).get(name).cloned();
        match watched {
            Some(watched) => watched.forget_before(moment).await,
            None => false,
        }
    }

    /// Drops the read of `name`, because the value has changed. It does not wait: a fetch that is
    /// under way serves only those that wait for it already.
    pub(super) fn forget(&self, name: &K) {
        lock(&self.0).remove(name);
    }

    /// Drops the reads of all names that `are_meant`, because their values have changed.
    pub(super) fn forget_all(&self, are_meant: impl Fn(&K) -> bool) {
        lock(&self.0).retain(|name, _| !are_meant(name));
    }

    /// Effect: the read of `name` serves readers of `other` too, unless `other` has one of its own.
    pub(super) fn is_also(&self, name: &K, other: K) {
        let mut all = lock(&self.0);
        let Some(last) = all.get(name).and_then(|own| own.0.try_lock().ok()?.clone()) else {
            return;
        };
        all.entry(other)
            .or_insert_with(|| Arc::new(Watched(tokio::sync::Mutex::new(Some(last)))));
    }
}

/// Locks by name: while one resource of a run reads, changes and sends an object, the others that want to change it wait.
pub(super) struct Locks<K>(Mutex<BTreeMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Locks<K> {
    /// Waits until no other task holds `name`, and holds it until the caller drops the guard.
    pub(super) async fn hold(&self, name: K) -> OwnedMutexGuard<()> {
        let own = Arc::clone(lock(&self.0).entry(name).or_default());
        own.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::preflight::Unreadable;

    /// A service that counts how often a reader asks it, and gives all the same answer.
    async fn asked(
        staged: &Staged<&'static str, Fact<u32>>,
        stage: Stage,
        answer: &Fact<u32>,
        times: &AtomicU32,
    ) -> u32 {
        let fetch = || async {
            times.fetch_add(1, Ordering::Relaxed);
            answer.clone()
        };
        assert_eq!(staged.get(stage, &"key", fetch).await, *answer);
        times.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn an_apply_shares_the_read_of_its_plan_unless_that_failed() {
        let (staged, times, good) = (Staged::default(), AtomicU32::new(0), Fact::Known(1));
        for stage in [Stage::Plan, Stage::Plan, Stage::Apply, Stage::Apply] {
            assert_eq!(asked(&staged, stage, &good, &times).await, 1, "{stage:?}");
        }
        staged.forget(&"key");
        let moment = Instant::now();
        assert_eq!(asked(&staged, Stage::Apply, &good, &times).await, 2);
        assert!(staged.has_been_read(&"key") && !staged.has_been_read(&"another"));
        assert!(!staged.forget_before(moment, &"key").await);
        assert_eq!(asked(&staged, Stage::Apply, &good, &times).await, 2);
        assert!(staged.forget_before(Instant::now(), &"key").await);
        assert_eq!(asked(&staged, Stage::Apply, &good, &times).await, 3);

        let (staged, times) = (Staged::default(), AtomicU32::new(0));
        let bad = Fact::Unreadable(Unreadable {
            permission: None,
            reason: "away".to_owned(),
            remedy: None,
            is_missing: false,
        });
        let rows = [
            (Stage::Plan, 1),
            (Stage::Plan, 1),
            (Stage::Apply, 2),
            (Stage::Apply, 2),
        ];
        for (stage, reads) in rows {
            assert_eq!(
                asked(&staged, stage, &bad, &times).await,
                reads,
                "{stage:?}"
            );
        }
    }

    fn away() -> Fact<u32> {
        Fact::Unreadable(Unreadable {
            permission: None,
            reason: "away".to_owned(),
            remedy: None,
            is_missing: false,
        })
    }

    /// Each row: what the run does, and when (seconds): it asks at P(lan) or A(pply), or `f`(orgets); what the service answers; and how often the
    /// run asked the service in the end.
    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_read_again_when_it_is_old_for_the_stage() {
        type Row<'a> = (&'a str, &'a [(char, u64)], Fact<u32>, u32);
        let good = || Fact::Known(1);
        let rows: [Row<'_>; 14] = [
            (
                "a plan reads once, however long it takes",
                &[('P', 0), ('P', 9_999)],
                good(),
                1,
            ),
            (
                "an apply shares the read of its plan",
                &[('P', 0), ('A', 59)],
                good(),
                1,
            ),
            ("not after a minute", &[('P', 0), ('A', 60)], good(), 2),
            (
                "applies side by side share a read",
                &[('A', 0), ('A', 30), ('A', 59)],
                good(),
                1,
            ),
            (
                "a minute counts from the read",
                &[('A', 0), ('A', 59), ('A', 61)],
                good(),
                2,
            ),
            (
                "a plan after an apply",
                &[('A', 0), ('P', 9_999)],
                good(),
                1,
            ),
            (
                "what is forgotten is read again",
                &[('P', 0), ('f', 1), ('P', 2)],
                good(),
                2,
            ),
            (
                "also for an apply",
                &[('A', 0), ('f', 0), ('A', 0)],
                good(),
                2,
            ),
            (
                "what was never read can be forgotten",
                &[('f', 0), ('A', 0)],
                good(),
                1,
            ),
            (
                "a plan does not try again",
                &[('P', 0), ('P', 9_999)],
                away(),
                1,
            ),
            (
                "an apply tries again what failed at plan",
                &[('P', 0), ('A', 0)],
                away(),
                2,
            ),
            (
                "applies side by side fail together",
                &[('A', 0), ('A', 4)],
                away(),
                1,
            ),
            (
                "and the next one tries again",
                &[('A', 0), ('A', 5)],
                away(),
                2,
            ),
            (
                "a plan takes the failure of an apply",
                &[('A', 0), ('P', 100)],
                away(),
                1,
            ),
        ];
        for (name, asks, answer, expected) in rows {
            let (staged, times) = (Staged::default(), AtomicU32::new(0));
            let begun = Instant::now();
            for (what, at) in asks {
                tokio::time::sleep_until(begun + Duration::from_secs(*at)).await;
                match what {
                    'f' => staged.forget(&"key"),
                    'P' => drop(asked(&staged, Stage::Plan, &answer, &times).await),
                    _ => drop(asked(&staged, Stage::Apply, &answer, &times).await),
                }
            }
            assert_eq!(times.load(Ordering::Relaxed), expected, "{name}");
        }
    }

    /// Each row: when the run asks (seconds), whether the service answers then, and how often the run has asked the service in the end.
    #[tokio::test(start_paused = true)]
    async fn what_does_not_change_is_read_once_and_a_failure_does_not_stand() {
        type Row<'a> = (&'a str, &'a [(u64, bool)], u32);
        let rows: [Row<'_>; 4] = [
            ("a success stands", &[(0, true), (9_999, false)], 1),
            ("a failure stands for a moment", &[(0, false), (4, true)], 1),
            (
                "and not longer",
                &[(0, false), (5, true), (9_999, false)],
                2,
            ),
            ("however often", &[(0, false), (5, false), (10, true)], 3),
        ];
        for (name, asks, expected) in rows {
            let (watched, times) = (Watched::default(), AtomicU32::new(0));
            tokio::time::sleep(Duration::from_secs(60)).await;
            let begun = Instant::now();
            for (at, answers) in asks {
                tokio::time::sleep_until(begun + Duration::from_secs(*at)).await;
                let fetch = || async {
                    times.fetch_add(1, Ordering::Relaxed);
                    answers.then_some(()).ok_or("away")
                };
                let _: Result<(), &str> = watched.of_run(fetch).await;
            }
            assert_eq!(times.load(Ordering::Relaxed), expected, "{name}");
        }
    }

    /// A service that takes a second, and answers with the number of the call.
    async fn slow(times: &AtomicU32) -> u32 {
        let number = times.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
        number
    }

    /// Each row: when readers ask (milliseconds), how old a read may be for each, and which call serves each of them.
    #[tokio::test(start_paused = true)]
    async fn a_read_serves_all_for_whom_it_is_young_enough() {
        type Row<'a> = (&'a str, &'a [(u64, u64)], &'a [u32]);
        let rows: [Row<'_>; 6] = [
            (
                "one after the other",
                &[(0, 10_000), (5_000, 10_000)],
                &[1, 1],
            ),
            (
                "too old for the second",
                &[(0, 10_000), (5_000, 1_000)],
                &[1, 2],
            ),
            ("both at once", &[(0, 100), (0, 100)], &[1, 1]),
            (
                "one that comes while another reads",
                &[(0, 100), (900, 1_000)],
                &[1, 1],
            ),
            (
                "one that comes while another reads, and needs a younger one",
                &[(0, 100), (900, 100)],
                &[1, 2],
            ),
            (
                "many that wait share the next one",
                &[(0, 100), (500, 100), (600, 200), (700, 300)],
                &[1, 2, 2, 2],
            ),
        ];
        for (name, readers, expected) in rows {
            let (watched, times) = (Watched::default(), AtomicU32::new(0));
            // An age must not lead to a moment before the runtime started.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let begun = Instant::now();
            let (watched, times) = (Arc::new(watched), Arc::new(times));
            let mut tasks = tokio::task::JoinSet::new();
            for (number, (at, age)) in readers.iter().copied().enumerate() {
                let (watched, times) = (Arc::clone(&watched), Arc::clone(&times));
                tasks.spawn(async move {
                    tokio::time::sleep_until(begun + Duration::from_millis(at)).await;
                    let earliest = Instant::now() - Duration::from_millis(age);
                    let read = watched.after(earliest, || slow(&times)).await;
                    (number, read.value, read.begun > earliest)
                });
            }
            let mut served = tasks.join_all().await;
            served.sort_unstable();
            assert!(served.iter().all(|(.., is_young)| *is_young), "{name}");
            let served: Vec<u32> = served.into_iter().map(|(_, call, _)| call).collect();
            assert_eq!(served, expected, "{name}");
        }
    }
}
