//! The acceptance tests: a real Terraform, a real hashicorp/aws, the sandbox's own KMS and a real LocalStack.
//!
//! Tests that speak of keys run twice, once over each KMS.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod adoption;
mod answers;
mod audit;
mod authentication;
mod azure;
mod beside_state;
mod binding;
mod calls;
mod catalogs;
mod closed;
mod configuration;
mod data_sources;
mod documentation;
mod examples;
mod functions;
mod fuzzing;
mod google;
mod hooks;
mod iam;
mod import;
mod instructions;
mod keys;
mod lifecycle;
mod modeled;
mod offline;
mod order;
mod planned;
mod plugin;
mod policy;
mod protocol;
mod release;
mod review;
mod second_opinion;
mod services;
mod surroundings;
mod switch;
