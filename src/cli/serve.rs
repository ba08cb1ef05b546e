//! Serving the provider: to the Terraform that started it, or to a debugger.

use std::io::Write;
use std::process::ExitCode;

use crate::provider::{Dbxcmk, SOURCE};
use tfplugin::serve;

/// What a person reads who starts the plugin by hand.
const BY_HAND: &str = "\
terraform-provider-dbxcmk is a Terraform provider: Terraform starts it when a configuration needs it.

To use it, name it in a configuration and run `terraform init`:

    terraform {
      required_providers {
        dbxcmk = { source = \"dbxcmk/dbxcmk\" }
      }
    }

There are subcommands for people as well: `terraform-provider-dbxcmk --help` lists them.";

/// `serve`
#[derive(Debug, clap::Args)]
pub struct ServeArguments {
    /// Print TF_REATTACH_PROVIDERS and serve until interrupted.
    #[arg(long)]
    debug: bool,
}

/// Serves the Terraform that started this process.
pub fn plugin() -> ExitCode {
    serve::plugin(Dbxcmk, BY_HAND)
}

/// Serves a debugger.
pub fn run(arguments: &ServeArguments) -> ExitCode {
    if arguments.debug {
        return serve::debug(Dbxcmk, SOURCE);
    }
    let _ = writeln!(
        std::io::stderr(),
        "Only `serve --debug` is for people; without `--debug` Terraform starts the provider itself."
    );
    ExitCode::FAILURE
}
