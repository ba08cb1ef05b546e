//! The IAM policy of a key: only what is ours changes, even if others write at the same time.

use acceptance_tests::google::{COMPUTE, KEY, ROLE, STORAGE, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp;
use serde_json::{Value as Json, json};

const ADDRESS: &str = "dbxcmk_key_policy.x";
const DATABRICKS: &str = "serviceAccount:db-1@prod-gcp-us-east4.iam.gserviceaccount.com";

fn policy(cases: &str, more: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_policy" "x" {{
  use_cases = [{cases}]
  gcp = {{
    kms_key_id                  = "{KEY}"
    databricks_service_accounts = ["db-1@prod-gcp-us-east4.iam.gserviceaccount.com"]
    workspace_project_number    = "123456789012"
  }}
  {more}
}}
"#
    )
}

const BOTH: &str = "\"MANAGED_SERVICES\", \"STORAGE\"";

fn stage() -> Stage {
    let stage = Stage::on_google();
    exists(&stage, DATABRICKS);
    stage.configure(&policy(BOTH, ""));
    stage
}

fn exists(stage: &Stage, member: &str) {
    let email = member.trim_start_matches("serviceAccount:").to_owned();
    stage.google(|google| google.service_accounts.insert(email));
}

fn fields(stage: &Stage) -> Json {
    stage
        .google(|google| Json::Object(google.policies.get(KEY).cloned().unwrap_or_default().fields))
}

/// What other owners have in the policy.
fn foreign(stage: &Stage) -> Vec<Json> {
    let until = "request.time < timestamp(\"2030-01-01T00:00:00Z\")";
    let bindings = vec![
        json!({ "role": "roles/cloudkms.admin", "members": ["user:ann@example.com"] }),
        json!({ "role": ROLE, "members": ["user:temporary@example.com"],
            "condition": { "title": "until", "description": "for a while", "expression": until } }),
    ];
    stage.google(|google| {
        let policy = google.policies.entry(KEY.to_owned()).or_default();
        policy.fields.insert("bindings".to_owned(), json!(bindings));
        policy.fields.insert("version".to_owned(), json!(3));
        policy.fields.insert(
            "auditConfigs".to_owned(),
            json!([{ "service": "allServices" }]),
        );
        policy.generation += 1;
    });
    bindings
}

#[test]
fn nothing_of_others_is_touched() {
    let stage = stage();
    let bindings = foreign(&stage);
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let now = fields(&stage);
    assert_eq!(now["bindings"][0], bindings[0]);
    assert_eq!(now["bindings"][1], bindings[1]);
    assert_eq!(now["auditConfigs"], json!([{ "service": "allServices" }]));
    assert_eq!(now["version"], json!(3));
    assert_eq!(stage.members(KEY, ROLE), [DATABRICKS, COMPUTE, STORAGE]);
    let sets = stage.asked(":setIamPolicy");
    assert!(
        sets.iter().all(|body| body["policy"]["etag"].is_string()
            && body["updateMask"] == "bindings,etag"),
        "{sets:?}"
    );
    stage.workdir.destroy();
    assert_eq!(fields(&stage)["bindings"], json!(bindings));
}

/// A member that could use the key before keeps it when the resource goes.
#[test]
fn a_destroy_takes_away_only_what_was_added() {
    let stage = stage();
    stage.google(|google| {
        let policy = google.policies.entry(KEY.to_owned()).or_default();
        policy.fields.insert(
            "bindings".to_owned(),
            json!([{ "role": ROLE, "members": [COMPUTE] }]),
        );
    });
    stage.workdir.apply();
    let run = stage.workdir.destroy();
    let warning = run.warning("Members that this resource did not add stay in the IAM policy");
    assert!(warning.detail.contains(COMPUTE), "{}", warning.detail);
    assert_eq!(stage.members(KEY, ROLE), [COMPUTE]);
}

#[test]
fn what_somebody_took_away_is_put_back() {
    let stage = stage();
    stage.workdir.apply();
    stage.google(|google| {
        let policy = google.policies.get_mut(KEY).unwrap();
        policy.fields.insert("bindings".to_owned(), json!([]));
        policy.generation += 1;
    });
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(ADDRESS), "update");
    stage.workdir.apply();
    assert_eq!(stage.members(KEY, ROLE).len(), 3);
    stage.workdir.empty_plan();
}

/// Without the use case STORAGE the service agents need nothing; taking it away removes theirs.
#[test]
fn another_use_case_changes_the_members() {
    let stage = stage();
    stage.workdir.apply();
    stage.configure(&policy("\"MANAGED_SERVICES\"", ""));
    let plan = stage.workdir.plan();
    assert_eq!(plan.after(ADDRESS, "/gcp/members"), json!([DATABRICKS]));
    stage.workdir.apply();
    assert_eq!(stage.members(KEY, ROLE), [DATABRICKS]);
    stage.workdir.empty_plan();
}

/// Google creates the service agent of Cloud Storage when a caller asks for it; the provider waits for another one.
#[test]
fn a_service_account_that_is_not_there_yet_is_waited_for() {
    let stage = stage();
    let email = DATABRICKS.trim_start_matches("serviceAccount:").to_owned();
    stage.google(|google| google.service_accounts.remove(&email));
    stage.configure(&policy(BOTH, "timeouts = {\n    create = \"3s\"\n  }"));
    // The plan reports what it can know: the workspace that the name says does not exist, and which one there is.
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("A service account belongs to no workspace of this account");
    for words in [
        "has no workspace 1",
        "db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com",
        "10 minutes",
    ] {
        assert!(
            warning.detail.contains(words),
            "{words}: {}",
            warning.detail
        );
    }
    let run = stage.workdir.failed_apply();
    let error = run.error("A service account that needs the key does not exist");
    for words in [
        "Service account db-1@prod-gcp-us-east4.iam.gserviceaccount.com does not exist",
        "exists only with its key configuration or its workspace",
    ] {
        assert!(error.detail.contains(words), "{words}: {}", error.detail);
    }
    stage.configure(&policy(BOTH, ""));
    std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.workdir.apply());
        assert!(stage.sandbox.has_been_asked(":setIamPolicy"));
        exists(&stage, DATABRICKS);
        apply.join().unwrap();
    });
    assert_eq!(stage.members(KEY, ROLE).len(), 3);
    stage.workdir.empty_plan();
}

#[test]
fn an_organization_that_admits_only_its_own_is_explained() {
    let stage = stage();
    stage.google(|google| google.is_domain_restricted = true);
    let run = stage.workdir.failed_apply();
    let error = run.error("The organization does not allow Databricks' service account");
    assert!(
        error.detail.contains("C01p0oudw")
            && error.detail.contains("iam.allowedPolicyMemberDomains"),
        "{}",
        error.detail
    );
    assert_eq!(stage.members(KEY, ROLE), Vec::<String>::new());
}

/// The provider asks for the rights of the caller before it tries anything.
#[test]
fn a_caller_who_may_not_change_the_policy_is_refused_at_plan() {
    let stage = stage();
    stage.google(|google| {
        google
            .denied
            .insert("cloudkms.cryptoKeys.setIamPolicy".to_owned())
    });
    let run = stage.workdir.refused_plan();
    let error = run.error("Terraform is not allowed to change the IAM policy of the key");
    assert!(
        error
            .detail
            .contains("lacks cloudkms.cryptoKeys.setIamPolicy on "),
        "{}",
        error.detail
    );
}

/// The provider does not take away what a workspace needs, unless the user says so.
#[test]
fn members_that_workspaces_need_stay() {
    let stage = Stage::on_google();
    stage.configure(&resources());
    stage.workdir.apply();
    let without_agents = resources().but("workspace_project_number    = \"123456789012\"", "");
    stage.configure(&without_agents);
    let run = stage.workdir.refused_plan();
    let error = run.error("Workspaces need these members of the key's IAM policy");
    assert!(
        error.detail.contains(COMPUTE)
            && error.detail.contains(&gcp::WORKSPACE.to_string())
            && error.detail.contains("force_destroy = true"),
        "{}",
        error.detail
    );
    let forced = without_agents.but(
        "resource \"dbxcmk_key_policy\" \"lakehouse\" {",
        "resource \"dbxcmk_key_policy\" \"lakehouse\" {\n  force_destroy = true",
    );
    stage.configure(&forced);
    stage.workdir.apply();
    assert_eq!(stage.members(KEY, ROLE).len(), 1);
}

/// Each row: a fault, how often, and on what; the apply succeeds all the same, nothing is there twice, and a destroy takes back all of it,
/// also what was written when the answer was lost.
#[test]
fn faults_are_outlived() {
    let conflict = || {
        Effect::Status {
        status: 409,
        body: json!({ "error": { "code": 409, "status": "ABORTED", "message": "There were concurrent policy changes." } })
            .to_string(),
        content_type: None,
        retry_after: None,
    }
    };
    for (operation, effect, times) in [
        (":setIamPolicy", conflict(), 3),
        (":setIamPolicy", Effect::status(503), 2),
        (":setIamPolicy", Effect::DropBefore, 2),
        (":setIamPolicy", Effect::DropAfter, 1),
        (":setIamPolicy", Effect::Truncate, 1),
        (":setIamPolicy", Effect::Garble, 1),
        (":setIamPolicy", Effect::StatusAfter { status: 503 }, 1),
        (":getIamPolicy", Effect::status(429), 2),
        (":getIamPolicy", Effect::StaleRead, 1),
        (":getIamPolicy", Effect::Truncate, 1),
        ("GET /v1/projects", Effect::status(500), 2),
    ] {
        let stage = stage();
        // Or the first set, which meets the fault, would be refused for it.
        exists(&stage, STORAGE);
        stage
            .sandbox
            .inject(Fault::new(operation, effect.clone()).times(times));
        stage.workdir.apply();
        assert_eq!(
            stage.members(KEY, ROLE),
            [DATABRICKS, COMPUTE, STORAGE],
            "{operation} {effect:?}"
        );
        stage.workdir.empty_plan();
        stage.workdir.destroy();
        assert_eq!(
            stage.members(KEY, ROLE),
            Vec::<String>::new(),
            "{operation} {effect:?}"
        );
    }
}

/// A change that fails forgets no member: the destroy removes those that it has added, and the next apply those that it did not remove.
/// Each row: the faults that it meets.
#[test]
fn a_failed_change_forgets_nobody() {
    let refused = || vec![Fault::new(":setIamPolicy", Effect::status(403))];
    // Neither an answer nor a read says what became of it.
    let lost = || {
        vec![
            Fault::new(":setIamPolicy", Effect::DropAfter),
            Fault::new(":getIamPolicy", Effect::status(403)).after(":setIamPolicy"),
        ]
    };
    let other = "serviceAccount:db-2@prod-gcp-us-east4.iam.gserviceaccount.com".to_owned();
    let one = policy(BOTH, "force_destroy = true");
    let two = one.but(
        "[\"db-1@prod-gcp-us-east4.iam.gserviceaccount.com\"]",
        "[\"db-1@prod-gcp-us-east4.iam.gserviceaccount.com\", \"db-2@prod-gcp-us-east4.iam.gserviceaccount.com\"]",
    );
    for faults in [refused, lost] {
        let stage = stage();
        exists(&stage, &other);
        exists(&stage, STORAGE);
        let fails = |configuration: &str| {
            stage.configure(configuration);
            stage.sandbox.with(|world| world.faults.clear());
            faults()
                .into_iter()
                .for_each(|fault| stage.sandbox.inject(fault));
            stage
                .workdir
                .failed_apply()
                .error("The IAM policy of the key could not be changed");
            stage.sandbox.with(|world| world.faults.clear());
        };
        stage.configure(&one);
        stage.workdir.apply();
        fails(&two);
        stage.workdir.apply();
        assert!(stage.members(KEY, ROLE).contains(&other));
        fails(&one);
        stage.workdir.apply();
        assert_eq!(
            stage.members(KEY, ROLE),
            [DATABRICKS, COMPUTE, STORAGE],
            "who was to be removed is still there"
        );
        stage.workdir.empty_plan();
        fails(&two);
        stage.workdir.apply();
        stage.workdir.destroy();
        assert_eq!(stage.members(KEY, ROLE), Vec::<String>::new());
    }
}

/// Two processes write the same policy, over and over, and lose nothing.
#[test]
fn two_writers_lose_nothing() {
    const ROUNDS: usize = 1000;
    let stage = stage();
    stage.sandbox.with(|world| world.record.clear());
    let url = stage.sandbox.url();
    let script = format!(
        r#"
import json, urllib.request, urllib.error
base = "{url}/v1/{KEY}"
def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers={{"Authorization": "Bearer {token}", "Content-Type": "application/json"}})
    return json.load(urllib.request.urlopen(request))
done = 0
while done < {ROUNDS}:
    policy = call(":getIamPolicy?options.requestedPolicyVersion=3")
    bindings = policy.setdefault("bindings", [])
    own = next((one for one in bindings if one["role"] == "roles/cloudkms.viewer"), None)
    if own is None:
        own = {{"role": "roles/cloudkms.viewer", "members": []}}
        bindings.append(own)
    own["members"].append("user:%04d@example.com" % done)
    try:
        call(":setIamPolicy", {{"policy": policy}})
        done += 1
    except urllib.error.HTTPError as error:
        assert error.code == 409, error.read()
"#,
        token = gcp::TOKEN
    );
    stage.workdir.write("writer.py", &script);
    let mut other = std::process::Command::new("python3")
        .arg(stage.workdir.path().join("writer.py"))
        .env("NO_PROXY", "127.0.0.1")
        .spawn()
        .unwrap();
    // While the other one writes, ours comes and goes.
    let mut rounds = 0;
    loop {
        stage.workdir.apply();
        assert_eq!(stage.members(KEY, ROLE), [DATABRICKS, COMPUTE, STORAGE]);
        stage.workdir.destroy();
        assert_eq!(stage.members(KEY, ROLE), Vec::<String>::new());
        rounds += 1;
        if other.try_wait().unwrap().is_some() {
            break;
        }
    }
    assert!(other.wait().unwrap().success());
    assert!(rounds >= 1);
    let members = stage.members(KEY, "roles/cloudkms.viewer");
    assert_eq!(members.len(), ROUNDS, "the other writer lost something");
}

/// A kill while the policy is written loses nothing: the next apply converges.
#[test]
fn a_kill_loses_nothing() {
    let milliseconds = 60_000;
    for effect in [
        Effect::Delay { milliseconds },
        Effect::DelayAfter { milliseconds },
    ] {
        let stage = stage();
        stage
            .sandbox
            .inject(Fault::new(":setIamPolicy", effect.clone()));
        let run = stage
            .workdir
            .begin(&["apply", "-auto-approve", "-input=false", "-json"]);
        assert!(stage.sandbox.has_been_asked(":setIamPolicy"));
        let orphans = run.providers();
        run.kill();
        run.finish(&orphans);
        stage.sandbox.with(|world| world.faults.clear());
        let _ = std::fs::remove_file(stage.workdir.path().join(".terraform.tfstate.lock.info"));
        stage.workdir.apply();
        assert_eq!(
            stage.members(KEY, ROLE),
            [DATABRICKS, COMPUTE, STORAGE],
            "{effect:?}"
        );
        stage.workdir.empty_plan();
    }
}

/// What another policy of the key wants stays, whatever name that policy gets, and a workspace that uses the key never loses it: not by a
/// twin, a new name, or another key. A user who agrees to that gets a warning.
#[test]
fn what_others_want_stays() {
    let stage = Stage::on_google();
    stage.configure(&resources());
    stage.workdir.apply();
    let before = stage.members(KEY, ROLE);
    let sets = || stage.asked("setIamPolicy").len();
    let set = sets();
    let renamed = resources()
        .but(
            "dbxcmk_key_policy\" \"lakehouse\"",
            "dbxcmk_key_policy\" \"renamed\"",
        )
        .but("dbxcmk_key_policy.lakehouse", "dbxcmk_key_policy.renamed");
    stage.configure(&renamed);
    stage.workdir.apply();
    assert_eq!((stage.members(KEY, ROLE), sets()), (before.clone(), set));
    stage.workdir.empty_plan();
    let twin = "\nresource \"dbxcmk_key_policy\" \"twin\" {\n  use_cases = [\"STORAGE\"]\n  gcp = {\n    kms_key_id = KEY\n    \
                workspace_project_number = \"123456789012\"\n  }\n}\n"
        .but("KEY", &format!("\"{KEY}\""));
    stage.configure(&format!("{renamed}{twin}"));
    stage.workdir.apply();
    stage.configure(&renamed);
    let run = stage.workdir.apply();
    assert_eq!((stage.members(KEY, ROLE), sets()), (before, set));
    // The members that the twin found there are needed: the warning does not say to remove them.
    let stays = run.warning("Members that this resource did not add stay in the IAM policy");
    assert!(
        stays
            .detail
            .contains("another dbxcmk_key_policy of this key and workspaces")
            && stays.detail.contains(&gcp::WORKSPACE.to_string())
            && !stays.detail.contains("remove-iam-policy-binding"),
        "{}",
        stays.detail
    );
    // Another key, while the workspace uses this one.
    let name = gcp::WORKSPACE.to_string();
    let head = "dbxcmk_key_policy\" \"renamed\" {";
    for life in ["", "\n  lifecycle {\n    create_before_destroy = true\n  }"] {
        let (first, rest) = renamed.split_once(head).unwrap();
        let moved = format!(
            "{first}{head}{life}{}",
            rest.replacen(KEY, &format!("{KEY}2"), 1)
        );
        stage.configure(&moved);
        let run = stage.workdir.refused_plan();
        let error = run.error("Workspaces need these members of the key's IAM policy");
        assert!(
            error.detail.contains(&name)
                && error.detail.contains("Changing the key")
                && error.detail.contains("removed {"),
            "{}",
            error.detail
        );
    }
    // Another writer takes one away; the plan says who cannot use the key.
    let live = fields(&stage);
    let put = |bindings: &Json| {
        stage.google(|google| {
            let policy = google.policies.entry(KEY.to_owned()).or_default();
            policy
                .fields
                .insert("bindings".to_owned(), bindings.clone());
        });
    };
    put(&json!([]));
    stage.configure(&renamed);
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    let warning = run.warning("Workspaces cannot use the key lakehouse/cryptoKeys/main");
    assert!(warning.detail.contains(&name), "{}", warning.detail);
    // A refresh that is saved does not make it silent.
    let refresh = ["apply", "-refresh-only", "-auto-approve"];
    assert!(stage.workdir.run(&refresh).success);
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    run.warning("Workspaces cannot use the key lakehouse/cryptoKeys/main");
    put(&live["bindings"]);
    stage.workdir.apply();
    put(&json!([]));
    // The key ring grants it as well: no account loses the key, neither now nor when this resource goes.
    let (ring, _) = KEY.split_once("/cryptoKeys").unwrap();
    stage.google(|google| {
        let policy = google.policies.entry(ring.to_owned()).or_default();
        policy
            .fields
            .insert("bindings".to_owned(), live["bindings"].clone());
    });
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    let warning = run.warning("Access to the key lakehouse/cryptoKeys/main comes from elsewhere");
    assert!(
        warning.detail.contains("on the key ring"),
        "{}",
        warning.detail
    );
    assert!(
        !run.shown().contains("cannot use the key"),
        "{}",
        run.shown()
    );
    stage.configure(&without_policy(&renamed));
    stage.workdir.plan();
    stage.google(|google| {
        google.policies.remove(ring);
        let policy = google.policies.entry(KEY.to_owned()).or_default();
        policy
            .fields
            .insert("bindings".to_owned(), live["bindings"].clone());
    });
    let forced = renamed.but(head, &format!("{head}\n  force_destroy = true"));
    stage.configure(&forced);
    let run = stage.workdir.apply();
    run.warning("Workspaces can lose access to the key lakehouse/cryptoKeys/main");
    stage.configure(&without_policy(&forced));
    let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
    let warning = run.warning("Workspaces lose access to the key lakehouse/cryptoKeys/main");
    assert!(warning.detail.contains(&name), "{}", warning.detail);
}

/// The configuration without its key policy.
fn without_policy(all: &str) -> String {
    let (first, rest) = all.split_once("resource \"dbxcmk_key_policy\"").unwrap();
    let (_, rest) = rest.split_once("\nresource ").unwrap();
    format!("{first}resource {rest}").but("  depends_on = [dbxcmk_key_policy.renamed]\n", "")
}
