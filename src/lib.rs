//! dbxcmk: customer-managed keys under Databricks workspaces, proven before they are attached.
//!
//! Arrows between the rooms go one way: `cli` → `provider` → {`plugin`, `preflight`, `databricks`, `clouds`};
//! `preflight` → `requirements` → `policy`; everybody may use the words of `vocabulary`, which uses nobody.

pub mod plugin;
pub mod policy;
pub mod preflight;
pub mod requirements;
pub mod vocabulary;
