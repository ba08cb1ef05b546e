//! The acceptance tests: a real Terraform, a real hashicorp/aws, the sandbox's own KMS and a real LocalStack.
//!
//! Tests that speak of keys run twice, once over each KMS.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    missing_docs,
    reason = "tests"
)]

mod answers;
mod audit;
mod authentication;
mod aws;
mod azure;
mod beside_state;
mod catalogs;
mod commands;
mod doctor;
mod documentation;
mod examples;
mod functions;
mod fuzzing;
mod google;
mod hooks;
mod instructions;
mod live;
mod locations;
mod modeled;
mod offline;
mod plugin;
mod proof;
mod protocol;
mod recordings;
mod release;
mod review;
mod second_opinion;
mod surroundings;
