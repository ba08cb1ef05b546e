//! Recordings: what a run asks and is answered is written down without a secret or a name, and the sandbox answers it in the same form.

use std::path::{Path, PathBuf};

use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::compare::{Report, compare_directory};
use dbxcmk_sandbox::{ACCOUNT_ID, AWS_ACCOUNT, CLIENT_ID, CLIENT_SECRET, WORKSPACE};
use serde_json::json;

/// Where the runs of a stage are recorded from now on.
fn record(stage: &mut Stage) -> PathBuf {
    let directory = stage.workdir.path().join("recordings");
    stage
        .workdir
        .set("DBXCMK_RECORD", &directory.display().to_string());
    directory
}

/// The text of a recording.
fn text(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).expect("a recording");
    let texts = files.map(|file| {
        let file = file.expect("a file").path();
        std::fs::read_to_string(file).expect("its text")
    });
    texts.collect()
}

fn compared(directory: &Path) -> Report {
    compare_directory(directory).expect("a recording that can be read")
}

#[test]
fn a_run_on_aws_is_recorded_without_names_and_the_sandbox_answers_in_the_same_form() {
    let mut stage = Stage::new(Over::Sandbox);
    let directory = record(&mut stage);
    let bad = stage.kms.create_key(&json!({}));
    let configuration = |key: &str| {
        format!(
            r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES"]
  aws       = {{ key_arn = "{key}" }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
        )
    };
    stage.configure(&configuration(&bad));
    stage.workdir.refused_plan();
    let good = stage.good_key();
    stage.configure(&configuration(&good));
    stage.workdir.apply();
    let text = text(&directory);
    let named = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    let url = stage.sandbox.url();
    let planted = [
        ACCOUNT_ID.to_owned(),
        CLIENT_ID.to_owned(),
        CLIENT_SECRET.to_owned(),
        AWS_ACCOUNT.to_owned(),
        WORKSPACE.to_string(),
        "AKIASANDBOX".to_owned(),
        "sandbox-access-token".to_owned(),
        "lakehouse".to_owned(),
        "acme".to_owned(),
        "eu-central-1".to_owned(),
        "127.0.0.1".to_owned(),
        url.rsplit(':').next().unwrap_or_default().to_owned() + "/",
        named(&bad),
        named(&good),
    ];
    for secret in planted {
        assert!(
            !text.contains(&secret),
            "{secret} is in the recording:\n{text}"
        );
    }
    assert!(text.contains("customer-managed-keys"), "{text}");
    assert!(text.contains("TrentService.GetKeyPolicy"), "{text}");
    let report = compared(&directory);
    assert!(report.compared > 10, "{report}");
    assert_eq!(report.differences, [], "{report}");
    what_differs_is_found(&directory);
}

/// A recording as a live account might answer it, where a fact of ours is wrong. Each row: what is replaced in each line that has the
/// operation, by what, and the words in which the comparison says so.
fn what_differs_is_found(directory: &Path) {
    let text = text(directory);
    for (operation, part, instead, says) in [
        (
            "TrentService.DescribeKey",
            r#""status":200"#,
            r#""status":400"#,
            "KMS DescribeKey: status 400, and 200 in the sandbox",
        ),
        (
            "TrentService.DescribeKey",
            r#""KeyUsage":"ENCRYPT_DECRYPT""#,
            r#""KeyUsage":"SIGN_VERIFY""#,
            "`KeyMetadata.KeyUsage` is `SIGN_VERIFY`, and `ENCRYPT_DECRYPT` in the sandbox",
        ),
        (
            "TrentService.DescribeKey",
            r#""MultiRegion":false"#,
            r#""MultiRegion":"<word:0123456789abcdef>""#,
            "`KeyMetadata.MultiRegion` is `<word>`, and a boolean in the sandbox",
        ),
        (
            "TrentService.GetKeyPolicy",
            r#""PolicyName":"default""#,
            r#""PolicyName":"default","NewField":null"#,
            "the sandbox lacks `NewField`, which is null",
        ),
        (
            r#""method":"POST","host":"<address"#,
            r#""use_cases":["MANAGED_SERVICES"]"#,
            r#""use_cases":"MANAGED_SERVICES""#,
            "`use_cases` is `MANAGED_SERVICES`, and a list in the sandbox",
        ),
    ] {
        let lines = text
            .lines()
            .map(|line| match line.split_once(r#""outcome""#) {
                Some((asked, answered)) if asked.contains(operation) => {
                    format!("{asked}\"outcome\"{}", answered.replace(part, instead))
                }
                _ => line.to_owned(),
            });
        let changed: String = lines.map(|line| line + "\n").collect();
        assert_ne!(changed, text, "{operation} has no {part}:\n{text}");
        let other = tempfile::tempdir().expect("a directory");
        std::fs::write(other.path().join("1.jsonl"), changed).expect("a recording");
        let report = compared(other.path()).to_string();
        assert!(report.contains(says), "{says}:\n{report}");
    }
}

/// Each row: a file, and what is said of it.
#[test]
fn a_recording_that_cannot_be_read_is_refused() {
    for (name, text, says) in [
        ("1.jsonl", "", "there is no recording"),
        ("1.json", "{}", "there is no recording"),
        ("1.jsonl", "{}\n", "line 1"),
        ("1.jsonl", "\nnot JSON", "line 2"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(name), text).expect("a file");
        let refused = compare_directory(directory.path()).expect_err("it cannot be read");
        assert!(refused.contains(says), "{refused}");
    }
}
