//! Who reads every line of the log, at every level, and looks for secrets in it.

#![allow(clippy::print_stdout, reason = "a history that is played aloud")]

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// In one of so many histories, every line of the log is read.
const EVERY: u64 = 8;

/// How closely the log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listens {
    /// The fields of spans alone. Spans are always on: the AWS SDK draws a random number for each of its own spans that a listener
    /// wants.
    #[default]
    ToSpans,
    /// Every event, which costs as much as all the rest of a history.
    ToAll,
    /// Every event, and it is printed.
    Aloud,
}

impl Listens {
    /// To all in a few histories, which their seeds choose.
    pub fn now_and_then(seed: u64) -> Self {
        match seed.is_multiple_of(EVERY) {
            true => Self::ToAll,
            false => Self::ToSpans,
        }
    }
}

/// Reads the log of a thread.
#[derive(Clone, Default)]
pub struct Listener(Arc<Inner>);

#[derive(Default)]
struct Inner {
    secrets: Vec<(&'static str, &'static str)>,
    listens: Listens,
    found: Mutex<Vec<String>>,
}

impl Listener {
    /// One who looks for these secrets, each with whose it is.
    pub fn new(secrets: Vec<(&'static str, &'static str)>, listens: Listens) -> Self {
        Self(Arc::new(Inner {
            secrets,
            listens,
            found: Mutex::default(),
        }))
    }

    /// The lines with a secret.
    pub fn found(&self) -> Vec<String> {
        self.0
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn reads(&self, of: &'static Metadata<'static>, line: &str) {
        for (secret, owner) in &self.0.secrets {
            if line.contains(secret) {
                self.0
                    .found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!(
                        "a log line of {} shows a secret of {owner}",
                        of.target()
                    ));
            }
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.is_span() || self.0.listens != Listens::ToSpans
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        self.reads(span.metadata(), &line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        // A span that gets a field later is not known by its name here.
        for (secret, owner) in &self.0.secrets {
            if line.0.contains(secret) {
                self.0
                    .found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!("a field of a span shows a secret of {owner}"));
            }
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.reads(event.metadata(), &line.0);
        if self.0.listens == Listens::Aloud {
            let of = event.metadata();
            println!("       {} {}{}", of.level(), of.target(), line.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_events_and_spans() {
        let listener = Listener::new(vec![("hush", "somebody")], Listens::ToAll);
        tracing::subscriber::with_default(listener.clone(), || {
            tracing::trace!(name = "fine", "all is well");
            assert!(listener.found().is_empty());
            tracing::debug!("the token is hush");
            let span = tracing::trace_span!("a", token = "hush", later = tracing::field::Empty);
            span.record("later", "hush");
        });
        assert_eq!(listener.found().len(), 3);
    }
}
