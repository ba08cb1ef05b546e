//! dbxcmk: customer-managed keys under Databricks workspaces, proven before they are attached.
//!
//! Arrows between the rooms go one way: `cli` → `provider` → {`plugin`, `preflight`, `databricks`, `clouds`};
//! `preflight` → `requirements` → `policy`; everybody may use the words of `vocabulary`, which uses nobody.

pub mod cli;
mod clouds;
mod databricks;
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
