//! Programs of others that are written in Python, such as the official clients of the clouds: installed once, under the checkout.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use dbxcmk_sandbox::Sandbox;

use super::checkout;

/// A Python that has the packages of the `requirements.txt` of a folder of `acceptance-tests/`.
///
/// # Panics
/// When they cannot be installed.
pub fn installed(folder: &str) -> PathBuf {
    // Tests that run side by side install one after the other.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let root = checkout();
    let done = Command::new(root.join("scripts/venv"))
        .arg(folder)
        .arg(format!("acceptance-tests/{folder}/requirements.txt"))
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "the packages of {folder} could not be installed"
    );
    root.join(format!(".local/{folder}/bin/python"))
}

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
    let output = Command::new(installed(folder))
        .arg(
            checkout()
                .join("acceptance-tests")
                .join(folder)
                .join(script),
        )
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
