//! The page of the documentation with a report: what an audit of a small account says today.

use acceptance_tests::harness::checkout;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, policy};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, REGION, WORKSPACE};
use serde_json::json;

use super::{attach, register, run};

const HEAD: &str = r#"---
page_title: "A report of an audit - dbxcmk"
subcategory: "Operate"
description: |-
  What dbxcmk audit says of a small account with a few problems.
---

# A report of an audit

This is what [`dbxcmk audit`](audit.md) says, with `--write markdown=audit.md`, of a small account in the sandbox of this project. The day before,
all of it was in order but for one workspace. Since then, the deletion of a key was scheduled, and a key was opened to another AWS account.

"#;

const POLICY: &str = r#"
require {
  cluster_volumes = false
}

exception "workspace-data-uncovered" {
  subject = "workspace/2345678901234567"
  reason  = "is deleted in January"
  owner   = "platform@example.com"
  expires = "EXPIRES"
}
"#;

/// A good key with a fixed ID, which workspaces use.
fn key(stage: &Stage, id: &str) -> String {
    let made = stage.good_key();
    let place = (
        REGION.to_owned(),
        made.rsplit('/').next().unwrap().to_owned(),
    );
    stage.sandbox.with(|world| {
        let mut key = world.now.keys.remove(&place).unwrap();
        key.id = id.to_owned();
        key.metadata.insert("KeyId".to_owned(), id.into());
        key.rotates = true;
        key.move_to("123456789012");
        let arn = key.arn().to_owned();
        let place = (REGION.to_owned(), id.to_owned());
        let used = ("Decrypt".to_owned(), 1_796_000_000);
        world.now.last_uses.insert(place.clone(), used);
        world.now.keys.insert(place, key);
        arn
    })
}

/// When a report in a file was made.
fn time_of(stage: &Stage, file: &str) -> String {
    let text = std::fs::read_to_string(stage.workdir.path().join(file)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    report["run"]["time"].as_str().unwrap().to_owned()
}

#[test]
fn the_page_shows_what_an_audit_says() {
    let stage = Stage::new(Over::Sandbox);
    let lakehouse = key(&stage, "1234abcd-12ab-34cd-56ef-1234567890ab");
    let finance = key(&stage, "5678cdef-56cd-78ef-90ab-5678901234cd");
    let research = key(&stage, "9012ef01-90ef-12ab-34cd-9012345678ef");
    let ids = [
        "c1000000-0000-4000-8000-000000000001",
        "c1000000-0000-4000-8000-000000000002",
        "c1000000-0000-4000-8000-000000000003",
    ];
    for (at, (id, arn)) in ids
        .iter()
        .zip([&lakehouse, &finance, &research])
        .enumerate()
    {
        register(&stage, id, arn, 1_700_000_000_000 + at as u64);
    }
    stage.workspaces(3);
    let names = [
        (WORKSPACE, "lakehouse-prod"),
        (MANAGED_VPC_WORKSPACE, "lakehouse-dev"),
        (1, "finance-prod"),
        (2, "finance-reports"),
        (3, "research"),
    ];
    for (number, name) in names {
        stage.sandbox.with(|world| {
            let fields = &mut world.workspace(number).fields;
            fields.insert("workspace_name".to_owned(), name.into());
        });
    }
    for (number, id) in [(WORKSPACE, ids[0]), (1, ids[1]), (2, ids[1]), (3, ids[2])] {
        attach(&stage, number, id);
    }
    let year = time::OffsetDateTime::now_utc().year();
    let rules = POLICY.replace("EXPIRES", &format!("{year}-12-31"));
    stage.workdir.write("audit.hcl", &rules);
    let common = [
        "--cloud",
        "aws",
        "--policy",
        "audit.hcl",
        "--fail-on",
        "never",
    ];
    let before = run(
        &stage,
        &[&common[..], &["--write", "json=before.json"]].concat(),
    );
    assert!(
        stage.workdir.path().join("before.json").exists(),
        "{before:?}"
    );

    stage.sandbox.with(|world| {
        let place = (
            REGION.to_owned(),
            "5678cdef-56cd-78ef-90ab-5678901234cd".to_owned(),
        );
        let key = world.now.keys.get_mut(&place).unwrap();
        key.metadata
            .insert("KeyState".to_owned(), "PendingDeletion".into());
        // 2027-01-15T06:00:00Z.
        key.metadata
            .insert("DeletionDate".to_owned(), json!(1_799_992_800));
    });
    let partner = r#"{"Sid": "Partner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "kms:Decrypt", "Resource": "*"}"#;
    let all = policy(&research, &[MANAGED_SERVICES, STORAGE, partner]);
    stage.kms.put_policy(&research, &all);
    let more = [
        "--baseline",
        "before.json",
        "--format",
        "markdown",
        "--write",
        "json=after.json",
    ];
    let output = run(&stage, &[&common[..], &more].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    // What is different in each run is as it was once.
    let since = format!("since {}", time_of(&stage, "before.json"));
    let report = said
        .replace(&since, "since 2026-11-30T06:00:00Z")
        .replace(&time_of(&stage, "after.json"), "2026-12-01T06:00:00Z")
        .replace(&format!("{year}-12-31"), "2026-12-31");
    let page = format!("{HEAD}{report}");
    let place = checkout().join("docs/guides/audit-report.md");
    if std::env::var_os("DBXCMK_WRITE_AUDIT_REPORT").is_some() {
        std::fs::write(place, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(place).unwrap();
    assert!(
        written == page,
        "run `make docs`: the page would be\n{page}"
    );
}
