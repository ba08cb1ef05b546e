//! The hooks for pre-commit: its own code reads them, and they say what they are for.

use std::process::Command;

use acceptance_tests::harness::checkout;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::python::installed;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{MANAGED_SERVICES, STORAGE, policy};

/// The exit code of a hook, and what it printed.
fn hook(id: &str, directory: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    // As `make install` has it: the short name is a link to the provider.
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(provider_binary(), programs.path().join("dbxcmk")).unwrap();
    let path = format!(
        "{}:{}",
        programs.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new(installed("pre-commit"))
        .arg(checkout().join("acceptance-tests/pre-commit/hook.py"))
        .arg(checkout().join(".pre-commit-hooks.yaml"))
        .arg(id)
        .arg(directory)
        .args(arguments)
        .env("PATH", path)
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), text)
}

#[test]
fn a_commit_of_a_key_policy_is_checked() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let account = dbxcmk_sandbox::ACCOUNT_ID;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "key-policy.json",
        &policy(key, &[MANAGED_SERVICES, STORAGE]),
    );
    write("other.json", "{}");
    let arguments = ["--use-case", "STORAGE", "--account-id", account];
    let check = || hook("dbxcmk-policy-check", directory.path(), &arguments);
    let (code, text) = check();
    assert!(
        code == 0 && text.contains("files: key-policy.json"),
        "{text}"
    );
    write("second-key-policy.json", &policy(key, &[]));
    let (code, text) = check();
    assert!(
        code == 1 && text.contains("second-key-policy.json"),
        "{text}"
    );
    write("second-key-policy.json", "{");
    assert_eq!(check().0, 2);
}

#[test]
fn a_commit_of_a_name_that_does_not_exist_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("main.tf");
    let text = "resource \"dbxcmk_key_configuration\" \"x\" {\n  use_cases = [\"STORAGE\"]\n  aws = {\n    key_arm = \"x\"\n  }\n}\n";
    std::fs::write(&main, text).unwrap();
    let (code, said) = hook("dbxcmk-lint", directory.path(), &[]);
    assert!(
        code == 1 && said.contains("did you mean `aws.key_arn`"),
        "{said}"
    );
    std::fs::write(&main, text.but("key_arm", "key_arn")).unwrap();
    assert_eq!(hook("dbxcmk-lint", directory.path(), &[]).0, 0);
}
