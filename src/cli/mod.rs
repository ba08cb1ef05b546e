//! Subcommands for people, one file each. Everything else is the plugin that Terraform starts.

pub mod docs;
mod input;
pub mod lint;
pub mod policy;
pub mod review;
pub mod serve;
mod sources;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Customer-managed keys under Databricks workspaces, proven before they are attached.
///
/// This program is a Terraform provider: without a subcommand it is started by Terraform, not by hand.
#[derive(Debug, Parser)]
#[command(
    name = "terraform-provider-dbxcmk",
    version,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the provider to a Terraform that is told where it runs (for debuggers).
    Serve(serve::ServeArguments),
    /// Ask about key policies, without a cloud.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Say what a plan does to whose encryption, for the review of a pull request.
    ///
    /// Exit code 0: reviewed. 1: something was found that --fail-on names. 2: the input cannot be read or is not a plan.
    Review(review::ReviewArguments),
    /// Find names inside of nested attributes that do not exist, which Terraform drops without a word.
    ///
    /// Exit code 0: every name exists. 1: one does not. 2: a file cannot be read or is not HCL.
    Lint(lint::LintArguments),
    /// Write the documentation from the schemas and examples, or check that it is fresh.
    Docs(docs::DocsArguments),
}

/// Runs the subcommand that the arguments name.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Policy(command) => policy::run(&command),
        Command::Review(arguments) => review::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Docs(arguments) => docs::run(&arguments),
    }
}
