//! What Databricks needs of a key, as data: by use case, action, principal and the context that the calls carry, with the
//! purpose in words; and the statements that grant it, in their documented wording.
//!
//! Pure. One file a cloud. Sources: the Databricks documentation of customer-managed keys and its reference modules.

pub mod aws;
pub mod coverage;
pub mod gcp;
pub mod revocation;
mod transition;

pub use transition::{Transition, transition};
