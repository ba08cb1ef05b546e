//! The formats as others read them: SARIF and OCSF by their schemas, OpenMetrics by Prometheus, HTML by a browser.

use std::path::PathBuf;
use std::process::Command;

use acceptance_tests::harness::checkout;
use acceptance_tests::harness::python::{installed, python};
use acceptance_tests::harness::terraform::passed_over;
use acceptance_tests::stage::Stage;
use serde_json::Value as Json;

use super::{FIRST, WHOLE, attach, audit, disable, good, register};

/// Names with which somebody might do harm.
const HOSTILE: [&str; 7] = [
    "<img src=x onerror=\"window.harm=1\">",
    "</script><script>window.harm=1</script>",
    "=cmd|' /C calc'!A0",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}gnp.exe",
    "\"} 1\n# EOF\n",
    "'; window.harm=1; '",
];

/// An account with problems of all kinds and names that nobody would give in good faith.
fn hostile() -> Stage {
    let (stage, arn) = good();
    stage.workspaces(40);
    let long = "x".repeat(300);
    stage.sandbox.with(|world| {
        for (id, one) in &mut world.now.workspaces {
            let at = usize::try_from(*id % 9).unwrap();
            let name = HOSTILE.get(at).copied().unwrap_or(&long);
            let fields = &mut one.fields;
            fields.insert("workspace_name".to_owned(), name.into());
            if at == 3 {
                fields.remove("storage_customer_managed_key_id");
            }
        }
    });
    let off = stage.good_key();
    disable(&stage, &off);
    register(&stage, super::SECOND, &off, 1_700_000_000_001);
    for number in 1..=9 {
        let id = if number % 2 == 0 {
            super::SECOND
        } else {
            FIRST
        };
        attach(&stage, number, id);
    }
    assert_ne!(arn, off);
    stage
}

/// A report in a format, and where it is.
fn written(stage: &Stage, formats: &[&str]) -> (Vec<PathBuf>, Json) {
    let files: Vec<PathBuf> = formats
        .iter()
        .map(|format| stage.workdir.path().join(format!("report.{format}")))
        .collect();
    let mut arguments = vec!["--cloud".to_owned(), "aws".to_owned()];
    for (format, file) in formats.iter().zip(&files) {
        arguments.push("--write".to_owned());
        arguments.push(format!("{format}={}", file.display()));
    }
    let rules = format!(
        "{WHOLE}exception \"workspace-data-uncovered\" {{\n  subject = \"workspace/1*\"\n  owner = \"o\"\n  reason = \"<b>\"\n  expires = \"{}-12-31\"\n}}\n",
        time::OffsetDateTime::now_utc().year()
    );
    let (_, report) = audit(stage, &rules, &super::texts(&arguments));
    (files, report)
}

#[test]
fn others_read_sarif_ocsf_and_openmetrics() {
    let stage = hostile();
    let (files, report) = written(&stage, &["sarif", "ocsf", "openmetrics"]);
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let said = python(
        "reports",
        "check.py",
        &super::texts(&files),
        &stage.sandbox,
        &[],
    );
    let counts: Json = serde_json::from_str(said.trim()).unwrap();
    let number = |of: &str| report[of].as_array().unwrap().len() as u64;
    let expected = number("findings") + number("not_read");
    assert_eq!(counts["sarif"], expected, "{said}");
    let judged = report["counts"]["judged"].as_u64().unwrap();
    assert!(counts["ocsf"].as_u64().unwrap() >= judged, "{said}");
    assert!(counts["openmetrics"].as_u64().unwrap() > 5, "{said}");
}

/// A browser of this machine.
fn chromium() -> Option<String> {
    let named = std::env::var("CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    named.into_iter().chain(known).find_map(|name| {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", &name])
            .output();
        let path = String::from_utf8(found.ok()?.stdout).ok()?;
        let path = path.trim();
        (!path.is_empty()).then(|| path.to_owned())
    })
}

#[test]
fn a_browser_shows_the_page_and_nothing_leaves_it() {
    let Some(chromium) = chromium() else {
        passed_over("the page of an audit in a browser needs a Chromium");
        return;
    };
    let stage = hostile();
    let (files, _) = written(&stage, &["html"]);
    let script = checkout().join("acceptance-tests/browser/report.py");
    let output = Command::new(installed("browser"))
        .arg(script)
        .args(&files)
        .env("CHROMIUM", chromium)
        .env("HOME", stage.workdir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{complaint}");
}
