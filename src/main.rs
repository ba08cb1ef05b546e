//! The binary: the plugin that Terraform starts, or a subcommand for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Terraform starts the plugin without arguments, and waits for its first line: nothing comes before that.
    if std::env::args_os().len() <= 1 {
        dbxcmk::cli::serve::plugin()
    } else {
        dbxcmk::cli::run()
    }
}
