//! One right after the other is taken away: what depends on it is not known, the right is named, and nothing else changes.

use std::collections::BTreeSet;

use acceptance_tests::google;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::azure::VAULT;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp;
use serde_json::Value as Json;

use super::{ALL, WHOLE, audit, good, on_azure, seal, texts};

/// What of a request is a number or a name of its own. Requests that differ in nothing else are one kind.
fn kind_of(operation: &str) -> String {
    let is_own =
        |part: &str| part.len() > 12 && part.chars().filter(char::is_ascii_digit).count() > 3;
    let parts = operation.split('/');
    let parts: Vec<&str> = parts
        .map(|part| if is_own(part) { "*" } else { part })
        .collect();
    parts.join("/")
}

/// Whether a request only says who asks. Without a token the audit reads nothing, and a token is not a right.
fn is_login(operation: &str) -> bool {
    operation.contains("/token") || operation.contains("oidc") || operation.contains("login/")
}

/// The refusal of a service, in its own words.
fn refusal(operation: &str) -> Effect {
    let json = |body: Json| Effect::Status {
        status: 403,
        body: body.to_string(),
        content_type: None,
        retry_after: None,
    };
    if operation.starts_with("KMS ") {
        return Effect::aws("AccessDeniedException", "User is not authorized");
    }
    if operation.starts_with("S3 ") {
        let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        return Effect::Status {
            status: 403,
            body: body.to_owned(),
            content_type: Some("application/xml".to_owned()),
            retry_after: None,
        };
    }
    if operation.starts_with("IAM ")
        || operation.starts_with("STS ")
        || operation.starts_with("S3 ")
    {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        return Effect::Status {
            status: 403,
            body: body.to_owned(),
            content_type: Some("text/xml".to_owned()),
            retry_after: None,
        };
    }
    if operation.contains("/arm/") || operation.contains("/vault/") || operation.contains("/graph/")
    {
        return json(serde_json::json!({ "error": {
            "code": "AuthorizationFailed",
            "message": "The client 'c' does not have authorization to perform action 'the/right/read' over scope 's'",
        } }));
    }
    if operation.contains("/v1/") || operation.contains("/v3/") || operation.contains("/v2/") {
        return json(serde_json::json!({ "error": {
            "code": 403, "status": "PERMISSION_DENIED", "message": "Permission denied on resource",
        } }));
    }
    json(serde_json::json!({ "error_code": "PERMISSION_DENIED", "message": "only for admins" }))
}

fn uids(report: &Json) -> BTreeSet<String> {
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .map(|one| one["uid"].as_str().unwrap().to_owned())
        .collect()
}

/// The things that were not read: what, and the right.
fn gaps(report: &Json) -> BTreeSet<(String, Option<String>)> {
    let all = report["not_read"].as_array().unwrap();
    all.iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().map(str::to_owned);
            (text("what").unwrap(), text("permission"))
        })
        .collect()
}

/// A finding that says that something is not known, and not that something is wrong.
fn is_doubt(uid: &str) -> bool {
    uid.starts_with("workspace-data-unknown/") || uid.starts_with(HIDDEN)
}

/// Workspaces that the account has and that cannot be seen are an error by themselves.
const HIDDEN: &str = "subscription-not-visible/";

/// Takes each kind of request away from an audit of a stage that `make` makes each time.
fn property(make: impl Fn() -> (Stage, Vec<String>)) {
    let (stage, arguments) = make();
    let before = stage.sandbox.requests().len();
    let (code, whole_report) = audit(&stage, WHOLE, &texts(&arguments));
    assert_eq!(
        code, 0,
        "{:#} {:#}",
        whole_report["findings"], whole_report["not_read"]
    );
    let known = uids(&whole_report);
    let mut kinds: Vec<(String, String)> = Vec::new();
    for one in stage.sandbox.requests().into_iter().skip(before) {
        let kind = kind_of(&one.operation);
        if !is_login(&one.operation) && kinds.iter().all(|(own, _)| *own != kind) {
            kinds.push((kind, one.operation));
        }
    }
    assert!(kinds.len() > 5, "{kinds:?}");
    let mut wrong = Vec::new();
    for (kind, operation) in kinds {
        let (stage, arguments) = make();
        stage.sandbox.with(|world| {
            let fault = Fault::new(&operation, refusal(&operation));
            world.faults.push(fault.times(10_000));
        });
        let (code, report) = audit(&stage, WHOLE, &texts(&arguments));
        let mut say = |why: String| wrong.push(format!("{kind}: {why}"));
        let gaps = gaps(&report);
        // Another workspace of the metastore has shown the same.
        if code == 0 && is_same(&report, &whole_report) {
            continue;
        }
        let is_hidden = uids(&report).iter().any(|uid| uid.starts_with(HIDDEN));
        let expected = if is_hidden { 1 } else { 3 };
        if code != expected || report["run"]["complete"] != false {
            say(format!("exit {code}, {gaps:?}, {:#}", report["findings"]));
            continue;
        }
        if gaps.iter().all(|(_, permission)| permission.is_none()) {
            say(format!(
                "no right is named: {gaps:?} {:#}",
                report["not_read"]
            ));
        }
        let invented: Vec<String> = uids(&report)
            .difference(&known)
            .filter(|uid| !is_doubt(uid))
            .cloned()
            .collect();
        if !invented.is_empty() {
            say(format!("found {invented:?}"));
        }
        let number = |name: &str| report["counts"][name].as_u64().unwrap();
        let of_whole = |name: &str| whole_report["counts"][name].as_u64().unwrap();
        if number("uncovered") > of_whole("uncovered") || number("covered") > of_whole("covered") {
            say(format!("{:#}", report["counts"]));
        }
        for (one, other) in keys(&report, &whole_report) {
            for field in ["state", "rotation", "proof", "until"] {
                let (now, then) = (&one[field], &other[field]);
                if now != then && now != "not_known" && !now.is_null() {
                    say(format!("{field} of a key became {now}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whether two reports say the same. Each stage makes keys of its own, and so the numbers, the findings and the gaps are compared.
fn is_same(one: &Json, other: &Json) -> bool {
    let said = |report: &Json| (report["counts"].clone(), uids(report), gaps(report));
    said(one) == said(other)
}

/// The keys that both reports have.
fn keys<'a>(one: &'a Json, other: &'a Json) -> Vec<(&'a Json, &'a Json)> {
    let of = |report: &'a Json| report["keys"].as_array().unwrap();
    of(one)
        .iter()
        .filter_map(|key| {
            let own = of(other).iter().find(|own| own["key"] == key["key"])?;
            Some((key, own))
        })
        .collect()
}

#[test]
fn each_right_on_aws() {
    property(|| {
        let (stage, arn) = good();
        // A key of nobody, for the search.
        stage.kms.create_key(&serde_json::json!({}));
        super::attach(&stage, dbxcmk_sandbox::MANAGED_VPC_WORKSPACE, super::FIRST);
        assert!(!arn.is_empty());
        seal(&stage);
        let own = ["--workspace", "1234567890123456"];
        let arguments = ALL.iter().chain(&own).map(|one| (*one).to_owned());
        let arguments = arguments.collect();
        (stage, arguments)
    });
}

#[test]
fn each_right_on_google_cloud() {
    property(|| {
        let stage = Stage::on_google();
        stage.configure(&google::resources());
        stage.workdir.apply();
        seal(&stage);
        let workspace = gcp::WORKSPACE.to_string();
        let arguments = ["--cloud", "gcp", "--workspace", &workspace];
        let arguments = arguments.map(str::to_owned).to_vec();
        (stage, arguments)
    });
}

#[test]
fn each_right_on_azure() {
    property(|| {
        let stage = Stage::on_azure();
        stage.configure_azure(&acceptance_tests::azure::resources(VAULT));
        stage.workdir.apply();
        seal(&stage);
        let arguments = on_azure(&stage);
        (stage, arguments)
    });
}

/// A key of another account: KMS shows its policy and its last use there alone, and a role there reads them.
#[test]
fn a_key_of_another_account_is_read_by_a_role_there() {
    const OTHER: &str = "999956789012";
    const ROLE: &str = "arn:aws:iam::{account}:role/Audit";
    let foreign = |report: &Json| {
        let mut all = report["keys"].as_array().unwrap().iter();
        all.find(|one| one["owner"] == OTHER).cloned().unwrap()
    };
    let make = || {
        let stage = Stage::new(Over::Sandbox);
        let arn = stage.good_key();
        let id = arn.rsplit('/').next().unwrap().to_owned();
        let moved = stage.sandbox.with(|world| {
            let place = (dbxcmk_sandbox::REGION.to_owned(), id);
            let key = world.now.keys.get_mut(&place).unwrap();
            key.rotates = true;
            key.move_to(OTHER);
            let arn = key.arn().to_owned();
            let used = ("Decrypt".to_owned(), 1_796_000_000);
            world.now.last_uses.insert(place, used);
            arn
        });
        super::register(&stage, super::FIRST, &moved, 1_700_000_000_000);
        super::attach(&stage, dbxcmk_sandbox::WORKSPACE, super::FIRST);
        super::attach(&stage, dbxcmk_sandbox::MANAGED_VPC_WORKSPACE, super::FIRST);
        seal(&stage);
        (stage, moved)
    };
    let own = ["--workspace", "1234567890123456", "--trusted", OTHER];
    let with = [&ALL[..], &own].concat();
    let (stage, arn) = make();
    let (code, report) = audit(&stage, WHOLE, &with);
    assert_eq!(code, 3, "{report:#}");
    let lines: Vec<Json> = report["not_read"].as_array().unwrap().clone();
    let what: Vec<&str> = lines
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        what,
        [format!("key/{arn}: policy"), format!("key/{arn}: last use")]
    );
    for one in &lines {
        let why = one["why"].as_str().unwrap();
        assert!(
            why.contains(OTHER) && why.contains("--assume-role-pattern"),
            "{why}"
        );
    }
    assert_eq!(foreign(&report)["state"], "Enabled");
    assert_eq!(foreign(&report)["rotation"], "on");
    // With a role there, all is read, and STS is asked once an account.
    let role = ["--assume-role-pattern", ROLE];
    let with = [&with[..], &role].concat();
    let (stage, _) = make();
    let (code, report) = audit(&stage, WHOLE, &with);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(foreign(&report)["last_used"]["operation"], "Decrypt");
    assert_eq!(stage.asked("STS AssumeRole").len(), 1);
    // A role that cannot be assumed is the right that is missing.
    let (stage, _) = make();
    stage.sandbox.with(|world| {
        let fault = Fault::new("STS AssumeRole", refusal("STS AssumeRole"));
        world.faults.push(fault.times(100));
    });
    let (code, report) = audit(&stage, WHOLE, &with);
    assert_eq!(code, 3, "{report:#}");
    let role = ROLE.replace("{account}", OTHER);
    for one in report["not_read"].as_array().unwrap() {
        assert_eq!(one["permission"], format!("sts:AssumeRole on {role}"));
    }
    assert_eq!(foreign(&report)["state"], "Enabled");
    // A pattern that names no account is a mistake.
    let output = super::run(
        &stage,
        &["--assume-role-pattern", "arn:aws:iam::111122223333:role/A"],
    );
    assert_eq!(output.status.code(), Some(2));
}
