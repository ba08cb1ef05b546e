//! The files of `audit`: two runs over the same account write the same, and a run that is cut short writes nothing half.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::Value as Json;

use super::{OWN, WHOLE, good, run, seal};

const FILES: [&str; 4] = ["json=a.json", "csv=a.csv", "markdown=a.md", "html=a.html"];

/// Two workspaces share the bucket, and do not have the same key: by whose key its tables are encrypted is not known.
const NOT_ALL_READ: i32 = 3;

fn arguments() -> Vec<&'static str> {
    let mut all = vec!["--policy", "audit.hcl"];
    all.extend(OWN);
    for file in FILES {
        all.extend(["--write", file]);
    }
    all
}

/// The files in the directory of the run, by name.
fn files(stage: &Stage) -> BTreeMap<String, Vec<u8>> {
    let all = std::fs::read_dir(stage.workdir.path()).unwrap();
    let files = all.map(|one| one.unwrap());
    let files = files.filter(|one| one.file_type().unwrap().is_file());
    files
        .map(|one| {
            let name = one.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(one.path()).unwrap())
        })
        .collect()
}

fn json_of(files: &BTreeMap<String, Vec<u8>>) -> Json {
    let mut report: Json = serde_json::from_slice(&files["a.json"]).unwrap();
    report.as_object_mut().unwrap().remove("run").unwrap();
    report
}

/// The rows of a sheet without their first column, which says when the run was.
fn rows(files: &BTreeMap<String, Vec<u8>>, sheet: &str) -> String {
    let text = String::from_utf8_lossy(&files[sheet]);
    let rows = text.lines().map(|row| row.split_once(',').unwrap().1);
    rows.collect::<Vec<_>>().join("\n")
}

/// Only `run` and the first column of a sheet say when it was.
#[test]
fn two_runs_write_the_same() {
    let (stage, _) = good();
    seal(&stage);
    stage.workdir.write("audit.hcl", WHOLE);
    let written = || {
        let output = run(&stage, &arguments());
        assert_eq!(output.status.code(), Some(NOT_ALL_READ), "{output:?}");
        files(&stage)
    };
    let (first, second) = (written(), written());
    assert_eq!(json_of(&first).to_string(), json_of(&second).to_string());
    for sheet in ["a.csv", "a-findings.csv"] {
        let own = rows(&first, sheet);
        assert!(!own.is_empty(), "{sheet}");
        assert!(own == rows(&second, sheet), "{sheet}: {own}");
    }
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
}

/// A run that is killed while a service is still to answer leaves the reports of the run before as they are, and nothing beside them.
#[test]
fn a_killed_run_leaves_no_half_file() {
    let (stage, _) = good();
    seal(&stage);
    stage.workdir.write("audit.hcl", WHOLE);
    let code = run(&stage, &arguments()).status.code();
    assert_eq!(code, Some(NOT_ALL_READ));
    let before = files(&stage);
    let milliseconds = 600_000;
    let slow = Fault::new("KMS GetKeyPolicy", Effect::Delay { milliseconds });
    stage.sandbox.inject(slow.times(100));
    // Both are asked side by side; the sandbox notes what it has answered.
    let asked = stage.asked("KMS DescribeKey").len();
    let mut child = Command::new(provider_binary())
        .arg("audit")
        .args(arguments())
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .current_dir(stage.workdir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while stage.asked("KMS DescribeKey").len() == asked {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < Duration::from_secs(120), "it never asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(files(&stage) == before, "a file is another one");
}
