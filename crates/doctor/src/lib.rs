//! `doctor`: who calls each service, with which rights, and what is missing for plan, apply, kill switch and audit. Facts in, report out; what
//! a gatherer could not find out is "not known", never "there".

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

mod facts;
mod render;
mod report;
mod rights;

pub use facts::{Access, Endpoint, Outcome, ServiceFacts, Tested};
pub use render::{json, text};
pub use report::{
    Can, DoctorReport, FORMAT_VERSION, RightReport, ServiceReport, Verdict, diagnose,
};
pub use rights::{Purpose, Right, Service, rights_of};

#[cfg(test)]
mod tests;
