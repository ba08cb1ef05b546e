//! What Databricks needs of a key, as data: by use case, action, principal and the context that the calls carry, with the
//! purpose in words; and the statements that grant it, in their documented wording.
//!
//! Pure. One file a cloud. Sources: the Databricks documentation of customer-managed keys and its reference modules.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

pub mod aws;
pub mod azure;
pub mod coverage;
pub mod gcp;
pub mod revocation;
mod transition;

pub use transition::{Transition, transition};

use vocabulary::Cloud;

/// Every kind of data that a workspace of a cloud has. For a cloud that this version does not know, the answer
/// is that of AWS.
pub fn kinds(cloud: &Cloud) -> &'static [coverage::DataKind] {
    match cloud {
        Cloud::Gcp => coverage::GCP,
        Cloud::Azure => coverage::AZURE,
        _ => coverage::AWS,
    }
}
