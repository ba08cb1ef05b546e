//! A machine that a test owns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use time::OffsetDateTime;
use tokio::time::Instant;

thread_local! {
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

/// A machine that replaces the real one: code that runs on it sees its clock, its variables and its files. The clock goes as that of `tokio`
/// does, which the test pauses; so a test makes a machine within a runtime.
#[derive(Clone, Debug)]
pub struct Machine(Arc<Mutex<Inside>>);

/// What there is in a machine.
#[derive(Clone, Debug)]
pub struct Inside {
    began: OffsetDateTime,
    since: Instant,
    /// The variables of its processes.
    pub variables: BTreeMap<String, String>,
    /// Its files.
    pub disk: Disk,
}

impl Inside {
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.began + self.since.elapsed()
    }

    /// Moves the clock, as a user does who sets it.
    pub fn jump(&mut self, by: time::Duration) {
        self.began += by;
    }
}

impl Machine {
    /// One whose clock shows `now`, without a variable or a file.
    pub fn new(now: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            began: now,
            since: Instant::now(),
            variables: BTreeMap::new(),
            disk: Disk::default(),
        })))
    }

    /// Reads or changes what is in it.
    pub fn with<T>(&self, ask: impl FnOnce(&mut Inside) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `future` does, it does on this machine.
    pub fn run<'a, T>(&self, future: impl Future<Output = T> + Send + 'a) -> Running<'a, T> {
        Running {
            machine: Some(self.clone()),
            future: Box::pin(future),
        }
    }

    fn swap(other: &mut Option<Self>) {
        MACHINE.with(|own| std::mem::swap(&mut *own.borrow_mut(), other));
    }
}

/// What runs on a machine. Between two steps of it, the thread has the machine that it had before.
pub struct Running<'a, T> {
    machine: Option<Machine>,
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
}

impl<T> Future for Running<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Machine::swap(&mut self.machine);
        let outcome = self.future.as_mut().poll(cx);
        Machine::swap(&mut self.machine);
        outcome
    }
}

/// Asks the machine of this thread; `None` when that is the real one.
pub(crate) fn of<T>(ask: impl FnOnce(&mut Inside) -> T) -> Option<T> {
    let machine = MACHINE.with(|own| own.borrow().clone());
    machine.map(|machine| machine.with(ask))
}

/// Whether files can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writing {
    /// As usual.
    #[default]
    Works,
    /// No space is left.
    IsFull,
    /// Nothing may be changed.
    IsReadOnly,
}

/// Files in memory. A directory is there as soon as a program asks for it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The content of each file, by its full path.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Whether it can be written.
    pub writing: Writing,
}

impl Disk {
    pub(crate) fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.get(file).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn changing(&self) -> io::Result<()> {
        match self.writing {
            Writing::Works => Ok(()),
            Writing::IsFull => Err(io::ErrorKind::StorageFull.into()),
            Writing::IsReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    pub(crate) fn write(&mut self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.changing();
        // A full disk takes the name of a new file, and a part of what is in it.
        match (&outcome, self.writing) {
            (Ok(()), _) => drop(self.files.insert(file.to_owned(), bytes.to_owned())),
            (Err(_), Writing::IsFull) => {
                let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
                self.files.insert(file.to_owned(), part.to_owned());
            }
            _ => {}
        }
        outcome
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.writing == Writing::IsReadOnly {
            self.changing()?;
        }
        let bytes = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    pub(crate) fn remove(&mut self, file: &Path) -> io::Result<()> {
        if self.writing == Writing::IsReadOnly {
            self.changing()?;
        }
        match self.files.remove(file) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn create_directory(&self) -> io::Result<()> {
        self.changing()
    }

    pub(crate) fn list(&self, directory: &Path) -> Vec<PathBuf> {
        let is_in = |file: &&PathBuf| file.parent() == Some(directory);
        self.files.keys().filter(is_in).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, environment, files};

    #[tokio::test(start_paused = true)]
    async fn every_door_leads_to_the_machine_on_which_one_runs() -> io::Result<()> {
        let began = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let (machine, other) = (Machine::new(began), Machine::new(began));
        machine.with(|inside| inside.variables.insert("A".to_owned(), "a".to_owned()));
        let changed = machine.clone();
        let on_it = async move {
            let file = Path::new("d/f");
            assert_eq!(environment::variable("A").as_deref(), Some("a"));
            assert_eq!(environment::variable("PATH"), None);
            assert_eq!(clock::now(), began);
            tokio::time::sleep(std::time::Duration::from_secs(1200)).await;
            assert_eq!(clock::now(), began + time::Duration::minutes(20));
            files::write(file, b"x")?;
            assert_eq!(files::read_to_string(file)?, "x");
            assert_eq!(files::list(Path::new("d"))?, [file]);
            changed.with(|inside| inside.disk.writing = Writing::IsReadOnly);
            assert!(files::write(file, b"y").is_err() && files::remove(file).is_err());
            changed.with(|inside| inside.disk.writing = Writing::IsFull);
            assert!(files::write(file, b"yy").is_err());
            assert_eq!(files::read(file)?, b"y");
            changed.with(|inside| inside.jump(time::Duration::hours(-1)));
            assert!(clock::now() < began + time::Duration::minutes(20));
            // A machine within another one: a service that this one asks.
            other
                .run(async { assert_eq!(environment::variable("A"), None) })
                .await;
            assert_eq!(environment::variable("A").as_deref(), Some("a"));
            Ok(())
        };
        let outcome: io::Result<()> = machine.run(on_it).await;
        assert!(
            environment::variable("PATH").is_some(),
            "the real one is back"
        );
        outcome
    }

    #[test]
    fn a_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            fastrand::seed(seed);
            [crate::uuid(), crate::uuid()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }
}
