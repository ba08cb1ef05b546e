//! dbxcmk: customer-managed keys under Databricks workspaces, which the provider proves before it attaches them.
//!
//! Arrows between the rooms go one way: `cli` → `provider` → {`databricks`, `clouds`} → `network`. What needs no network is in crates of its own,
//! and is named here as if it were a room: `review`, `audit`, `doctor`, `preflight` → `requirements` → `vocabulary`.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

#[allow(
    clippy::disallowed_methods,
    reason = "a command works on the files that it is given"
)]
pub mod cli;
mod clouds;
mod databricks;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod network;
mod provider;

pub use {audit, doctor, requirements, review, vocabulary};

pub(crate) use ::preflight;

/// What a simulation replaces, and what it drives.
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation {
    pub use crate::network::simulated::connect;
    pub use crate::network::{Failure, Loss, Wire};
    pub use crate::provider::{
        Connection, Consent, Dbxcmk, KeyOperation, KillSwitch, NotDone, Options, Outcome,
    };
    pub use crate::review::{Level, review};
    pub use crate::vocabulary::Key;
}
