//! Subcommands for people, one file each. Everything else is the plugin that Terraform starts.

pub mod audit;
mod connection;
pub mod docs;
pub mod doctor;
mod input;
pub mod key;
pub mod lint;
pub mod policy;
pub mod review;
pub mod serve;
mod sources;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Customer-managed keys (CMK) for Databricks workspaces: a Terraform provider, and commands for people.
///
/// `dbxcmk` is a short name for the provider's own program. Without a subcommand, Terraform starts it.
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
    /// Serve the provider for a debugger.
    Serve(serve::ServeArguments),
    /// Check and evaluate key policies, without a cloud.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// See, disable and restore a key, without Terraform.
    ///
    /// Exit code 0: done, or nothing to do. 1: refused. 2: the arguments are not valid, or the name is not that of a key. 3: a call failed;
    /// the message says what was changed. 4: restored in part. 130 or 143: interrupted.
    #[command(subcommand)]
    Key(Box<key::KeyCommand>),
    /// Report the keys of a whole account: what got worse, which key is in danger, which data is not under an own key, what could not be read.
    ///
    /// Changes nothing: only reads go out. Exit code 0: nothing that --fail-on names, and everything was read. 1: something that --fail-on
    /// names. 2: the arguments, the policy file or the baseline cannot be used, or a report cannot be written. 3: nothing that --fail-on
    /// names, and something could not be read.
    Audit(Box<audit::AuditArguments>),
    /// Report who calls each service, which rights are there and which are missing, and what to do: the first command when something does not work.
    ///
    /// Changes nothing: only reads and tests of permissions go out. Exit code 0: every right is there. 1: something is missing. 2: the arguments
    /// or a file that they name cannot be used. 3: nothing is known to be missing, and not everything could be told.
    Doctor(Box<doctor::DoctorArguments>),
    /// Report which workspaces and keys a plan affects, for the review of a pull request.
    ///
    /// Exit code 0: reviewed. 1: a finding of a level that --fail-on names. 2: the input cannot be read or is not a plan.
    Review(review::ReviewArguments),
    /// Find names in nested attributes that do not exist, which Terraform ignores.
    ///
    /// Exit code 0: every name exists. 1: a name does not exist. 2: a file cannot be read or is not HCL.
    Lint(lint::LintArguments),
    /// Write the documentation from the schemas and examples, or check that it is up to date.
    Docs(docs::DocsArguments),
}

/// Runs the subcommand that the arguments name.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Policy(command) => policy::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Review(arguments) => review::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Docs(arguments) => docs::run(&arguments),
    }
}
