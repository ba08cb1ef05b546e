//! Local services and the harness that drive the provider with a real Terraform.
//!
//! [`dbxcmk_sandbox`] stands in for the Databricks account API and for AWS KMS; [`harness`] drives Terraform over a configuration and reads what
//! it planned and did; [`stage`] is both, set for a test; [`localstack`] finds the LocalStack that the suite was started with.

pub mod azure;
pub mod fuzz;
pub mod google;
pub mod harness;
pub mod hcl;
pub mod kms;
pub mod localstack;
pub mod stage;
