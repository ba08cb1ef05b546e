//! `review`: what a plan does to whose encryption, for a pull request.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::input::read;
use crate::review::report::{Level, Report};
use crate::review::{render, review};

/// Something was found that the gate is for.
const GATE: u8 = 1;
/// The input cannot be read, or is no plan.
const UNUSABLE: u8 = 2;

/// `review`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How to answer: markdown, text, json or sarif.
    #[arg(long, default_value = "markdown", value_parser = ["markdown", "text", "json", "sarif"])]
    format: String,
    /// Exit with 1 when something of this level is found: error, irreversible or warning. Can be given more than once, or as a
    /// list with commas. `warning` includes the others, `irreversible` includes error.
    #[arg(long = "fail-on", value_delimiter = ',', value_parser = ["error", "irreversible", "warning"])]
    fail_on: Vec<String>,
    /// The file in which SARIF places the results.
    #[arg(long, default_value = "main.tf")]
    sarif_file: String,
    /// The plan, as `terraform show -json` prints it; `-` or nothing for standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> ExitCode {
    let unusable = |message: String| {
        let _ = writeln!(std::io::stderr(), "{}: {message}", arguments.file.display());
        ExitCode::from(UNUSABLE)
    };
    let report = match read(&arguments.file)
        .map_err(|error| error.to_string())
        .and_then(|text| review(&text).map_err(|error| error.to_string()))
    {
        Ok(report) => report,
        Err(message) => return unusable(message),
    };
    let shown = match arguments.format.as_str() {
        "text" => render::text(&report),
        "json" => render::json(&report),
        "sarif" => render::sarif(&report, &arguments.sarif_file),
        _ => render::markdown(&report),
    };
    if std::io::stdout().write_all(shown.as_bytes()).is_err() {
        return ExitCode::from(UNUSABLE);
    }
    if stops(&report, &arguments.fail_on) { ExitCode::from(GATE) } else { ExitCode::SUCCESS }
}

fn stops(report: &Report, fail_on: &[String]) -> bool {
    let levels: BTreeSet<Level> = fail_on
        .iter()
        .map(|name| match name.as_str() {
            "warning" => Level::Warning,
            "irreversible" => Level::Irreversible,
            _ => Level::Error,
        })
        .collect();
    levels.first().is_some_and(|lowest| report.level >= Some(*lowest))
}
