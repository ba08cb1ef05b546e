//! `review`: what a plan does to whose encryption, for a pull request.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use super::input::{decode, read_bytes};
use super::sources::places;
use crate::review::{self, Level, Plan, Report, Rule, review};
use kms_policy::nearest;
use tfplugin::printable::printable;

/// Something was found that the gate is for.
const GATE: u8 = 1;
/// The input cannot be read, or is not a plan.
const UNUSABLE: u8 = 2;

/// `review`
#[derive(Debug, clap::Args)]
pub struct ReviewArguments {
    /// Output format: markdown, text, json or sarif.
    #[arg(long, default_value = "markdown", value_parser = ["markdown", "text", "json", "sarif"])]
    format: String,
    /// Exit with 1 for findings of this level: error, irreversible or warning. Can be repeated, or be a list with commas. warning
    /// includes the others, irreversible includes error.
    #[arg(long = "fail-on", value_delimiter = ',', value_parser = ["error", "irreversible", "warning"])]
    fail_on: Vec<String>,
    /// Accept a finding, with a reason: key-deleted:aws_kms_key.old="rotated out in May". It does not count for --fail-on, and the
    /// report shows it with the reason. Without an address, accepts every finding of that ID. Can be repeated.
    #[arg(long = "accept", value_name = "ID[:ADDRESS]=REASON")]
    accept: Vec<Acceptance>,
    /// Directory with the configuration of the plan, where SARIF finds the line of each resource.
    #[arg(long, default_value = ".")]
    sarif_directory: PathBuf,
    /// File for SARIF results whose resource is not in that directory.
    #[arg(long, default_value = "main.tf")]
    sarif_file: String,
    /// File with the output of terraform show -json; - for standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// A finding that the user accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Acceptance {
    id: String,
    address: Option<String>,
    reason: String,
}

impl FromStr for Acceptance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An index of an address can hold anything, also an equals sign.
        let mut is_quoted = false;
        let ends = |c: char| {
            is_quoted ^= c == '"';
            c == '=' && !is_quoted
        };
        let (what, reason) = text.split_once(ends).unwrap_or((text, ""));
        let (id, address) = what
            .split_once(':')
            .map_or((what, None), |(id, address)| (id, Some(address)));
        let known: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        if !known.contains(&id) {
            let hint = nearest(id, &known)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(format!("`{id}` is not the ID of a finding{hint}"));
        }
        if reason.trim().is_empty() {
            return Err(format!("say why it is accepted: `{what}=REASON`"));
        }
        Ok(Self {
            id: id.to_owned(),
            address: address.map(str::to_owned),
            reason: reason.trim().to_owned(),
        })
    }
}

/// Runs the subcommand.
pub fn run(arguments: &ReviewArguments) -> ExitCode {
    let unusable = |message: String| {
        let _ = writeln!(
            std::io::stderr(),
            "{}",
            printable(&format!("{}: {message}", arguments.file.display()))
        );
        ExitCode::from(UNUSABLE)
    };
    // What is not text cannot be a plan in JSON; which of the mistakes it is, the review says.
    let text = match read_bytes(&arguments.file) {
        Ok(bytes) => {
            decode(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned())
        }
        Err(error) => return unusable(error),
    };
    let mut report = match review(&text) {
        Ok(report) => report,
        Err(error) => return unusable(error.to_string()),
    };
    for one in &arguments.accept {
        report.accept(&one.id, one.address.as_deref(), &one.reason);
    }
    let shown = match arguments.format.as_str() {
        "text" => review::text(&report),
        "json" => review::json(&report),
        "sarif" => sarif(&report, &text, arguments),
        _ => review::markdown(&report),
    };
    if std::io::stdout().write_all(shown.as_bytes()).is_err() {
        return ExitCode::from(UNUSABLE);
    }
    if stops(&report, &arguments.fail_on) {
        ExitCode::from(GATE)
    } else {
        ExitCode::SUCCESS
    }
}

fn sarif(report: &Report, text: &str, arguments: &ReviewArguments) -> String {
    let root: &Path = &arguments.sarif_directory;
    let modules = Plan::read(text)
        .map(|plan| plan.local_modules())
        .unwrap_or_default();
    let modules = modules
        .into_iter()
        .map(|(module, source)| (module, root.join(source)))
        .collect();
    let places = places(&modules);
    let place_of = |address: &str| places.get(&review::without_indexes(address)).cloned();
    review::sarif(report, &place_of, &arguments.sarif_file)
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
    levels
        .first()
        .is_some_and(|lowest| report.level >= Some(*lowest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the argument, and its meaning.
    #[test]
    fn an_acceptance_names_a_finding_and_a_reason() {
        let rows = [
            ("key-deleted=old", Ok(("key-deleted", None, "old"))),
            (
                "key-deleted:aws_kms_key.x=a=b",
                Ok(("key-deleted", Some("aws_kms_key.x"), "a=b")),
            ),
            (
                "key-deleted:aws_kms_key.x[\"a=b\"]=c",
                Ok(("key-deleted", Some("aws_kms_key.x[\"a=b\"]"), "c")),
            ),
            (
                "key-deleted",
                Err("say why it is accepted: `key-deleted=REASON`"),
            ),
            (
                "key-deletd=x",
                Err("`key-deletd` is not the ID of a finding; did you mean `key-deleted`?"),
            ),
        ];
        for (text, expected) in rows {
            let found = text.parse::<Acceptance>();
            let found = found
                .as_ref()
                .map(|one| (one.id.as_str(), one.address.as_deref(), one.reason.as_str()));
            assert_eq!(found.map_err(String::as_str), expected, "{text}");
        }
    }
}
