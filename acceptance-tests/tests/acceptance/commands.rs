//! Runs of the `key` command, on any cloud: what came of them, and whether they agree with a plan.

use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use acceptance_tests::harness::checkout;
use acceptance_tests::stage::Stage;
use serde_json::Value as Json;

/// What a run of the command came to: its exit code and its report. Whatever the command prints has the form that the documentation
/// describes, on every cloud.
pub fn came_to(output: &Output) -> (i32, Json) {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
        let path = checkout().join("docs/schemas/key.schema.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    crate::review::conforms(&report, &SCHEMA, "report");
    (output.status.code().unwrap(), report)
}

/// Starts the command, interrupts it once while a call is under way, and again so that it does not wait for the answer.
pub fn interrupted(
    stage: &Stage,
    mut command: Command,
    operation: &str,
    signal: &str,
) -> (i32, Json) {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(stage.sandbox.has_been_asked(operation), "{operation}");
    let send = || {
        let process = child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, process.as_str()])
            .status();
        assert!(sent.unwrap().success());
    };
    send();
    // One signal that comes while the other is not taken yet is the same one.
    std::thread::sleep(std::time::Duration::from_millis(300));
    send();
    came_to(&child.wait_with_output().unwrap())
}

/// What the proof finds against a key that a workspace uses, in the status: each of it is a warning of a plan, too. A plan gives the advice about the
/// account of a workspace once, when it attaches.
pub fn agrees_with_the_plan(stage: &Stage, report: &Json) -> Vec<String> {
    let found = report["findings"].as_array().unwrap();
    let run = stage.workdir.plan().run;
    let mut ids = Vec::new();
    for one in found {
        if one["id"] == "gcp-workspace-account" {
            continue;
        }
        run.warning(one["summary"].as_str().unwrap());
        ids.push(one["id"].as_str().unwrap().to_owned());
    }
    ids
}
