//! `policy check` and `policy evaluate` as a person and a hook see them.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_terraform-provider-dbxcmk"))
        .arg("policy")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    // A command that refuses its arguments may end before it has read the input.
    if output.status.code() != Some(2) {
        written.unwrap();
    }
    output
}

fn check(policy: &str, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec![
        "check",
        "--use-case",
        "MANAGED_SERVICES",
        "--use-case",
        "STORAGE",
        "--account-id",
        ACCOUNT,
    ];
    arguments.extend_from_slice(more);
    arguments.push("-");
    let output = run(&arguments, policy);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn statement(actions: &str, condition: &str) -> String {
    format!(
        "{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"arn:aws:iam::414351767826:root\"}},\"Action\":[{actions}],\"Resource\":\"*\"{condition}}}"
    )
}

fn policy(statements: &[String]) -> String {
    let admin = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}"#;
    let mut all = vec![admin.to_owned()];
    all.extend_from_slice(statements);
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        all.join(",")
    )
}

const STORAGE: &str =
    r#""kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey""#;

fn tagged() -> String {
    format!(
        ",\"Condition\":{{\"StringEquals\":{{\"aws:PrincipalTag/DatabricksAccountId\":\"{ACCOUNT}\"}}}}"
    )
}

/// Several files, as a pre-commit hook passes them; what was not given is not shown.
#[test]
fn several_files_are_checked_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    };
    let good = write("good.json", &policy(&[statement(STORAGE, &tagged())]));
    let bad = write("bad.json", &policy(&[]));
    let broken = write("broken.json", "{nope");
    let asked = |files: &[&str], more: &[&str]| {
        let mut arguments = vec!["check", "--use-case", "STORAGE", "--account-id", ACCOUNT];
        arguments.extend_from_slice(more);
        arguments.extend_from_slice(files);
        let output = run(&arguments, "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, out, _) = asked(&[&good, &good], &[]);
    assert_eq!(
        (code, out),
        (
            0,
            format!(
                "{good}: Databricks can use the key.\n\n{good}: Databricks can use the key.\n\nNot examined: IAM policies of Databricks; Policies \
                 of the AWS organization (SCPs and RCPs); VPC endpoint policies. For details, use --format json.\n"
            )
        )
    );
    let (code, out, _) = asked(&[&good, &bad], &[]);
    assert_eq!(code, 1);
    assert!(
        out.contains(&format!("{bad}: error: "))
            && out.contains(&format!("In {bad}, none of the statements allows")),
        "{out}"
    );
    assert!(
        !out.contains("00000000-0000")
            && !out.contains("dbxcmk_key_policy")
            && !out.contains("ignore_findings"),
        "{out}"
    );
    let (code, out, err) = asked(&[&bad, &broken], &[]);
    assert_eq!(code, 2);
    assert!(out.contains(&bad) && err.contains(&broken), "{out}{err}");
    // What is known to be so can be accepted; what makes an attach fail cannot.
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}}"#;
    let network = write(
        "network.json",
        &policy(&[statement(STORAGE, &tagged()), deny.to_owned()]),
    );
    assert_eq!(asked(&[&network], &[]).0, 1);
    assert_eq!(
        asked(&[&network], &["--ignore", "policy-undetermined"]).0,
        0
    );
    assert_eq!(asked(&[&bad], &["--ignore", "policy-missing-action"]).0, 2);
    // Names with control characters do nothing to a terminal.
    let evil = write(
        "evil.json",
        &policy(&[
            statement(STORAGE, ""),
            statement("\"kms:*\"", "").replacen('{', "{\"Sid\":\"a\\u001b[31mb\",", 1),
        ]),
    );
    let (_, out, _) = asked(&[&evil], &[]);
    assert!(!out.contains('\u{1b}'), "{out:?}");
}

/// A role of another account is allowed by its own IAM policies as well, or not at all.
#[test]
fn a_role_of_another_account_is_pointed_out() {
    let role = "arn:aws:iam::999999999999:role/dbx";
    let ebs = format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"{role}"}},"Action":["kms:Decrypt","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*"}}"#
    );
    let (code, out, _) = check(
        &policy(&[statement(STORAGE, &tagged()), ebs]),
        &["--cross-account-role", role],
    );
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("[policy-role-in-another-account]")
            && out.contains("the role's own IAM policies must allow the key"),
        "{out}"
    );
}

#[test]
fn the_exit_code_says_whether_databricks_can_use_the_key() {
    let good = policy(&[statement(STORAGE, &tagged())]);
    let (code, out, _) = check(&good, &[]);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "-: Databricks can use the key.\n\nNot examined: IAM policies of Databricks; Policies of the AWS organization (SCPs and RCPs); VPC \
             endpoint policies. For details, use --format json.\n"
        )
    );

    let (code, out, _) = check(&policy(&[statement(STORAGE, "")]), &[]);
    assert_eq!(code, 0, "a warning does not fail a hook: {out}");
    assert!(
        out.contains("warning: The key policy lets every Databricks account use the key [policy-any-databricks-account]"),
        "{out}"
    );

    let (code, out, _) = check(
        &policy(&[statement("\"kms:Encrypt\",\"kms:Decrypt\"", &tagged())]),
        &[],
    );
    assert_eq!(code, 1);
    assert!(
        out.contains("kms:GenerateDataKeyWithoutPlaintext")
            && out.contains("[policy-missing-action]"),
        "{out}"
    );

    let (code, _, err) = check(&good.replace("\"Allow\"", "\"Permit\""), &[]);
    assert_eq!(code, 2);
    assert!(
        err.contains("line 1, column 48: `Permit` is not an effect"),
        "{err}"
    );

    let output = run(
        &[
            "check",
            "--use-case",
            "STORAGE",
            "--account-id",
            ACCOUNT,
            "no-such-file.json",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_role_and_the_deployment_are_asked_for_when_named() {
    let good = policy(&[statement(STORAGE, &tagged())]);
    let (code, out, _) = check(
        &good,
        &["--cross-account-role", "arn:aws:iam::999999999999:role/dbx"],
    );
    assert_eq!(code, 1);
    assert!(out.contains("cluster volumes (EBS)"), "{out}");
    let (code, out, _) = check(&good, &["--deployment", "govcloud"]);
    assert_eq!(code, 1);
    assert!(out.contains("044793339203"), "{out}");
}

/// A use case that no key policy of AWS can be for is refused, not read as one without statements.
#[test]
fn managed_disks_are_of_another_cloud() {
    let refused = run(
        &[
            "check",
            "--use-case",
            "MANAGED_DISKS",
            "--account-id",
            ACCOUNT,
            "-",
        ],
        "{}",
    );
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("exists only on Azure; write STORAGE"),
        "{said}"
    );
}

#[test]
fn machines_get_json() {
    let (code, out, _) = check(&policy(&[]), &["--format", "json"]);
    let answer: Json = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["ok"]), (1, &Json::Bool(false)));
    assert_eq!(answer["findings"][0]["id"], "policy-missing-action");
    assert_eq!(answer["findings"][0]["severity"], "error");
    assert_eq!(answer["not_examined"].as_array().map(Vec::len), Some(3));
}

#[test]
fn every_example_gets_its_verdict_from_the_stream() {
    let rows: Vec<Json> =
        serde_json::from_str(include_str!("../crates/policy/tests/policy-examples.json")).unwrap();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            serde_json::json!({ "policy": row["policy"], "request": row["request"] }).to_string()
        })
        .collect();
    let output = run(&["evaluate"], &lines.join("\n"));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Json> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), rows.len());
    for (row, answer) in rows.iter().zip(answers) {
        assert_eq!(answer["decision"], row["verdict"], "{}", row["name"]);
    }
}
