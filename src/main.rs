//! The binary: the plugin that Terraform starts, or a subcommand for people.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // Terraform starts the plugin under its own name; the short one is for people.
    let by_a_person = arguments.next().is_some_and(|program| {
        Path::new(&program)
            .file_stem()
            .is_some_and(|name| name == "dbxcmk")
    });
    // Terraform starts the plugin without arguments, and waits for its first line: nothing comes before that.
    if arguments.next().is_none() && !by_a_person {
        dbxcmk::cli::serve::plugin()
    } else {
        dbxcmk::cli::run()
    }
}
