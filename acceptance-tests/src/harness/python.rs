//! The official clients of the clouds, which are written in Python: installed once, and run against a sandbox.

use std::process::Command;

use dbxcmk_sandbox::Sandbox;

use super::checkout;

/// Runs a script of a folder of `acceptance-tests/`, with the packages of its `requirements.txt` at hand; what it printed.
///
/// # Panics
/// When the packages cannot be installed, or the script does not end well.
pub fn python(
    folder: &str,
    script: &str,
    arguments: &[&str],
    sandbox: &Sandbox,
    environment: &[(&str, &str)],
) -> String {
    let root = checkout();
    let installed = Command::new(root.join("scripts/venv"))
        .arg(folder)
        .arg(format!("acceptance-tests/{folder}/requirements.txt"))
        .status();
    assert!(
        installed.is_ok_and(|status| status.success()),
        "the packages of {folder} could not be installed"
    );
    let output = Command::new(root.join(format!(".local/{folder}/bin/python")))
        .arg(root.join("acceptance-tests").join(folder).join(script))
        .args(arguments)
        .env_remove("DATABRICKS_TOKEN")
        .env("HOME", std::env::temp_dir().join("no-such-home"))
        .envs(sandbox.environment())
        .env("SANDBOX_URL", sandbox.url())
        .envs(environment.iter().copied())
        .output()
        .expect("the script starts");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    text
}
