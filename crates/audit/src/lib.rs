//! The whole account at a glance: what was read of it in, a report out.
//!
//! Pure: the caller gathers the facts and hands them in ([`AuditFacts`]), and the same facts give the same report. The proof, the
//! coverage and the record of a key's last use decide what they decide everywhere else; what only an audit asks is judged in `judge`.
//!
//! - `facts`: what was read, and what could not be.
//! - `policy`, `scope`: the policy file, and which workspaces are judged.
//! - `judge`: the findings, the numbers, and the exceptions. `catalog`: what each finding means. `controls`: which controls it supports.
//! - `baseline`, `changes`: what changed since an earlier report.
//! - `report`, `subject`: what comes of it. `verdict`: the four answers and the exit code. `render`: every format.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

mod baseline;
mod catalog;
mod changes;
mod controls;
mod facts;
mod judge;
mod others;
mod policy;
mod render;
mod report;
mod scope;
mod subject;
mod verdict;

#[cfg(test)]
mod testing;

pub use baseline::{Baseline, BaselineError};
pub use catalog::{AuditId, meaning};
pub use facts::{
    Attached, AuditFacts, HiddenSubscription, Loss, LossKind, Part, SeenCatalog, SeenConfiguration,
    SeenKey, SeenLocation, SeenVault, SeenWorkspace, Unread, Unregistered,
};
pub use judge::{AuditRules, Judged, judge, whole_account};
pub use others::{
    Owner, Reach, SeenOther, databricks_in, of_assignment, of_binding, of_grants, of_policy,
};
pub use policy::{AuditPolicy, AuditPolicyError};
pub use render::{
    LARGEST_MARKDOWN, Look, Places, csv_data, csv_findings, html, json, markdown, ocsf,
    openmetrics, sarif, text,
};
pub use report::{AuditReport, EncryptedBy, LocationKind, OtherUser};
pub use scope::Glob;
pub use subject::{AuditSubject, SubjectKind};
pub use verdict::{FailOn, exit_code, headlines};
