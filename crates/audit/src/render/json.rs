//! The report as JSON: the same bytes for the same report, one line for each key, workspace and finding, so that two reports can be
//! compared line by line.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::report::AuditReport;

/// Down to which depth each value has a line of its own.
const DEPTH: usize = 2;

/// Indents the upper levels, and writes what is below them in one line.
struct Lines {
    upper: PrettyFormatter<'static>,
    depth: usize,
}

impl Lines {
    fn is_upper(&self) -> bool {
        self.depth <= DEPTH
    }
}

macro_rules! by_depth {
    ($($name:ident($($argument:ident: $ty:ty),*) $compact:expr;)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, to: &mut W, $($argument: $ty),*) -> io::Result<()> {
            match self.is_upper() {
                true => self.upper.$name(to, $($argument),*),
                false => { let write: fn(&mut W, $($ty),*) -> io::Result<()> = $compact; write(to, $($argument),*) }
            }
        })*
    };
}

fn comma<W: ?Sized + Write>(to: &mut W, is_first: bool) -> io::Result<()> {
    match is_first {
        true => Ok(()),
        false => to.write_all(b", "),
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth += 1;
        match self.is_upper() {
            true => self.upper.begin_array(to),
            false => to.write_all(b"["),
        }
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let is_upper = self.is_upper();
        self.depth -= 1;
        match is_upper {
            true => self.upper.end_array(to),
            false => to.write_all(b"]"),
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth += 1;
        match self.is_upper() {
            true => self.upper.begin_object(to),
            false => to.write_all(b"{"),
        }
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let is_upper = self.is_upper();
        self.depth -= 1;
        match is_upper {
            true => self.upper.end_object(to),
            false => to.write_all(b"}"),
        }
    }

    by_depth! {
        begin_array_value(first: bool) comma;
        end_array_value() |_| Ok(());
        begin_object_key(first: bool) comma;
        begin_object_value() |to| to.write_all(b": ");
        end_object_value() |_| Ok(());
    }
}

/// The report as JSON.
///
/// # Errors
/// When it cannot be written.
pub fn json(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let lines = Lines {
        upper: PrettyFormatter::new(),
        depth: 0,
    };
    let mut serializer = serde_json::Serializer::with_formatter(&mut *to, lines);
    report.serialize(&mut serializer)?;
    to.write_all(b"\n")
}
