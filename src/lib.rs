//! dbxcmk: customer-managed keys under Databricks workspaces, which the provider proves before it attaches them.
//!
//! Arrows between the rooms go one way: `cli` → `provider` → {`plugin`, `preflight`, `databricks`, `clouds`}; `preflight` →
//! `requirements` → `policy`; every room may use the words of `vocabulary`, which uses no other room.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

pub mod audit;
#[allow(
    clippy::disallowed_methods,
    reason = "a command works on the files that it is given"
)]
pub mod cli;
mod clouds;
mod databricks;
pub mod doctor;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod network;
mod preflight;
mod provider;
pub mod requirements;
pub mod review;
#[cfg(test)]
mod testing;
pub mod vocabulary;

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
