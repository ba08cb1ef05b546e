//! What the proof of a binding finds on a key of Cloud KMS, each thing with a real Terraform.

use acceptance_tests::google::{COMPUTE, KEY, ROLE, STORAGE};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Stage, between};
use dbxcmk_sandbox::gcp::{self, CryptoKey, Version};
use serde_json::{Value as Json, json};

const ID: &str = "c3000000-0000-4000-8000-000000000001";
const DATABRICKS: &str = "serviceAccount:cmk-1@databricks-control-plane.iam.gserviceaccount.com";

/// The account that Databricks creates with the workspace.
const WORKSPACE: &str =
    "serviceAccount:db-3456789012345678@prod-gcp-us-east4.iam.gserviceaccount.com";
/// A key configuration of another owner, and a binding that wants it.
/// What every plan says that attaches a key to a workspace on Google Cloud.
const NOT_DOCUMENTED: &str =
    "Databricks does not document the change of keys of an existing workspace on Google Cloud";

fn stage() -> Stage {
    let stage = Stage::on_google();
    stage.sandbox.with(|world| {
        let made = json!({
            "customer_managed_key_id": ID, "account_id": dbxcmk_sandbox::ACCOUNT_ID, "creation_time": 1_600_000_000_000_i64,
            "use_cases": ["MANAGED_SERVICES", "STORAGE"],
            "gcp_key_info": { "kms_key_id": KEY, "manual": true, "gcp_service_account": {
                "service_account_email": "cmk-1@databricks-control-plane.iam.gserviceaccount.com" } },
        });
        world.now.configurations.insert(ID.to_owned(), made);
    });
    bind(&stage, &[ROLE], &[DATABRICKS, COMPUTE, STORAGE, WORKSPACE]);
    stage.configure(&format!(
        r#"
resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{}"
  managed_services_key_configuration_id = "{ID}"
  storage_key_configuration_id          = "{ID}"
  settle_time                           = "0s"
}}
"#,
        gcp::WORKSPACE
    ));
    stage
}

/// Gives members roles on the key, and nothing else.
fn bind(stage: &Stage, roles: &[&str], members: &[&str]) {
    let bindings: Vec<Json> = roles
        .iter()
        .map(|role| json!({ "role": role, "members": members }))
        .collect();
    set(stage, KEY, json!(bindings));
}

fn set(stage: &Stage, name: &str, bindings: Json) {
    stage.google(|google| {
        let policy = google.policies.entry(name.to_owned()).or_default();
        policy.fields.insert("bindings".to_owned(), bindings);
        policy.generation += 1;
    });
}

fn version(state: &str) -> Version {
    Version {
        state: state.to_owned(),
        create_time: "2026-01-01T00:00:00Z".to_owned(),
        destroy_time: (state == "DESTROY_SCHEDULED").then(|| "2026-12-24T00:00:00Z".to_owned()),
    }
}

#[test]
fn a_good_key_is_attached() {
    let stage = stage();
    // A plan that attaches says what of it is not documented, once for both use cases.
    assert_eq!(stage.workdir.plan().run.warnings(), [NOT_DOCUMENTED]);
    // Without a grant, the workspace's own account is named once, and stops nothing.
    bind(&stage, &[ROLE], &[DATABRICKS, COMPUTE, STORAGE]);
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("The service account of the workspace has no access to the Cloud KMS key");
    assert!(
        warning
            .detail
            .contains(WORKSPACE.trim_start_matches("serviceAccount:")),
        "{}",
        warning.detail
    );
    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
}

/// A workspace that was created with its keys: the binding attaches nothing, and is the first that says what the keys lack.
#[test]
fn a_binding_that_finds_its_keys_gives_the_advice_once() {
    let stage = stage();
    stage.sandbox.with(|world| {
        let workspace = world.now.workspaces.get_mut(&gcp::WORKSPACE);
        let fields = &mut workspace.expect("the workspace on Google Cloud").fields;
        for name in [
            "managed_services_customer_managed_key_id",
            "storage_customer_managed_key_id",
        ] {
            fields.insert(name.to_owned(), json!(ID));
        }
    });
    bind(&stage, &[ROLE], &[DATABRICKS, COMPUTE, STORAGE]);
    let summary = "The service account of the workspace has no access to the Cloud KMS key";
    assert_eq!(stage.workdir.plan().run.warnings(), [summary]);
    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
}

/// The documented pair of roles is as good as the one role with both rights; so are grants above the key.
#[test]
fn every_way_of_granting_counts() {
    let stage = stage();
    let pair = [
        "roles/cloudkms.cryptoKeyEncrypter",
        "roles/cloudkms.cryptoKeyDecrypter",
    ];
    let all = [DATABRICKS, COMPUTE, STORAGE];
    bind(&stage, &pair, &all);
    stage.workdir.plan();
    let ring = KEY.split_once("/cryptoKeys/").unwrap().0.to_owned();
    for place in [
        ring.as_str(),
        "projects/acme-lakehouse",
        gcp::FOLDER,
        gcp::ORGANIZATION,
    ] {
        bind(&stage, &[], &[]);
        set(&stage, place, json!([{ "role": ROLE, "members": all }]));
        stage.workdir.plan();
        set(&stage, place, json!([]));
    }
    // A role of one's own counts for what it contains, and a condition that holds is none.
    let own = "projects/acme-lakehouse/roles/cmk";
    stage.google(|google| {
        let rights = ["useToEncrypt", "useToDecrypt"]
            .map(|right| format!("cloudkms.cryptoKeyVersions.{right}"));
        google.roles.insert(own.to_owned(), rights.to_vec());
    });
    bind(&stage, &[own], &all);
    stage.workdir.plan();
    let until = "request.time < timestamp(\"2099-01-01T00:00:00Z\")";
    set(
        &stage,
        KEY,
        json!([{ "role": ROLE, "members": all, "condition": { "title": "t", "expression": until } }]),
    );
    stage.workdir.plan();
}

/// Each row: what is done to the key, and the error that refuses the plan, with a word of what helps.
#[test]
fn what_makes_an_attach_fail_is_refused_at_plan() {
    type Change = fn(&mut CryptoKey);
    let rows: [(Change, &str, &str); 6] = [
        (
            |key| {
                key.fields.insert("purpose".to_owned(), json!("MAC"));
            },
            "The Cloud KMS key is not for encryption",
            "purpose = \"ENCRYPT_DECRYPT\"",
        ),
        (
            |key| key.versions = vec![version("DISABLED")],
            "The Cloud KMS key has no enabled primary version",
            "gcloud kms keys versions enable 1 --key main --project acme-lakehouse --location us-east4 --keyring lakehouse",
        ),
        (
            |key| key.versions = vec![version("DESTROY_SCHEDULED")],
            "The Cloud KMS key has no enabled primary version",
            "gcloud kms keys versions restore 1 --key main",
        ),
        (
            |key| key.versions = vec![version("DESTROYED")],
            "The Cloud KMS key has no enabled primary version",
            "gcloud kms keys versions create --primary --key main",
        ),
        (
            |key| key.primary = 0,
            "The Cloud KMS key has no enabled primary version",
            "versions create --primary",
        ),
        (
            |key| {
                key.fields
                    .insert("keyAccessJustificationsPolicy".to_owned(), json!({}));
            },
            "The Cloud KMS key allows no access reason",
            "key_access_justifications_policy",
        ),
    ];
    for (change, summary, remedy) in rows {
        let stage = stage();
        stage.change_key(change);
        let run = stage.workdir.refused_plan();
        let error = run.error(summary);
        assert!(error.detail.contains(remedy), "{summary}: {}", error.detail);
        assert_eq!(stage.asked("PATCH").len(), 0);
    }
}

/// Each row: who has what, and the error.
#[test]
fn who_may_not_use_the_key_is_named() {
    let all = [DATABRICKS, COMPUTE, STORAGE];
    let missing = "A service account that needs the Cloud KMS key is not allowed to use it";
    let stage = stage();
    for (index, lacking) in all.iter().enumerate() {
        let mut rest = all.to_vec();
        rest.remove(index);
        bind(&stage, &[ROLE], &rest);
        let run = stage.workdir.refused_plan();
        let error = run.error(missing);
        let email = lacking.trim_start_matches("serviceAccount:");
        assert!(
            error.detail.contains(email)
                && error.detail.contains(&format!(
                    "gcloud kms keys add-iam-policy-binding main --project acme-lakehouse --location us-east4 --keyring lakehouse --member {lacking} --role {ROLE}"
                )),
            "{}",
            error.detail
        );
        assert_eq!(run.errors(), 1, "{}", run.shown());
    }
    // Who lack it are one error, with one block that names everybody.
    bind(&stage, &[ROLE], &[]);
    let run = stage.workdir.refused_plan();
    assert_eq!(run.errors(), 2, "one for each use case: {}", run.shown());
    let blocks = run.shown().matches("gcp = {").count();
    assert!(blocks <= 2, "{}", run.shown());
    assert!(
        run.shown()
            .contains("workspace_project_number    = \"123456789012\"")
            && run.shown().contains(&format!(
                "databricks_service_accounts = [\"{}\", \"{}\"]",
                DATABRICKS.trim_start_matches("serviceAccount:"),
                WORKSPACE.trim_start_matches("serviceAccount:")
            )),
        "{}",
        run.shown()
    );
    // Half of the rights is not enough, and a grant for one who was deleted is none.
    bind(&stage, &["roles/cloudkms.cryptoKeyEncrypter"], &all);
    stage.workdir.refused_plan().error(missing);
    let deleted = format!("deleted:{DATABRICKS}?uid=1");
    bind(&stage, &[ROLE], &[&deleted, COMPUTE, STORAGE]);
    let run = stage.workdir.refused_plan();
    assert!(
        run.error(missing).detail.contains("as deleted"),
        "{}",
        run.shown()
    );
}

/// What was not read, or cannot be decided, is a warning at plan. At apply it stops what rests on it.
#[test]
fn what_cannot_be_decided_is_said() {
    let stage = stage();
    let all = [DATABRICKS, COMPUTE, STORAGE, WORKSPACE];
    // The organization cannot be read: no grant seen is not no grant.
    bind(&stage, &[], &[]);
    stage.google(|google| {
        google.unreadable.insert(gcp::ORGANIZATION.to_owned());
    });
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("The provider sees no grant for a service account that needs the Cloud KMS key");
    assert!(
        warning.detail.contains(gcp::ORGANIZATION),
        "{}",
        warning.detail
    );
    // A key that proves everything by itself needs nothing from above.
    bind(&stage, &[ROLE], &all);
    assert_eq!(stage.workdir.plan().run.warnings(), [NOT_DOCUMENTED]);
    // A condition that only the call decides.
    let odd =
        "resource.service == \"cloudkms.googleapis.com\" && request.auth.access_levels.size() > 0";
    set(
        &stage,
        KEY,
        json!([{ "role": ROLE, "members": all, "condition": { "title": "t", "expression": odd } }]),
    );
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("A service account may use the Cloud KMS key only under a condition");
    assert!(warning.detail.contains(odd), "{}", warning.detail);
    let run = stage.workdir.failed_apply();
    run.error("A service account may use the Cloud KMS key only under a condition");
    assert_eq!(stage.asked("PATCH").len(), 0, "nothing was attached");
    // A role of one's own that cannot be read.
    bind(&stage, &["projects/acme-lakehouse/roles/secret"], &all);
    stage
        .workdir
        .plan()
        .run
        .warning("A service account has a role whose permissions are not known");
    // A key that cannot be read at all.
    bind(&stage, &[ROLE], &all);
    stage.google(|google| {
        google.denied.insert("cloudkms.cryptoKeys.get".to_owned());
    });
    stage
        .workdir
        .plan()
        .run
        .warning("The Cloud KMS key could not be read");
    stage
        .workdir
        .failed_apply()
        .error("The Cloud KMS key could not be read");
    assert_eq!(stage.asked("PATCH").len(), 0, "nothing was attached");
}

/// What does not stop an attach is a warning, with what it means.
#[test]
fn what_may_be_trouble_later_is_a_warning() {
    let stage = stage();
    stage.change_key(|key| {
        key.fields.remove("rotationPeriod");
        key.fields.insert(
            "versionTemplate".to_owned(),
            json!({ "protectionLevel": "EXTERNAL", "algorithm": "EXTERNAL_SYMMETRIC_ENCRYPTION" }),
        );
        // Only the third page shows the last one.
        key.versions = vec![
            version("DISABLED"),
            version("ENABLED"),
            version("ENABLED"),
            version("ENABLED"),
            version("DESTROY_SCHEDULED"),
        ];
        key.primary = 4;
    });
    let plan = stage.workdir.plan();
    let versions = plan
        .run
        .warning("Versions 1 and 5 of the Cloud KMS key main cannot be used");
    assert!(
        versions.detail.contains(
            "version 1 is DISABLED, version 5 is DESTROY_SCHEDULED (destroyed on 2026-12-24"
        ),
        "{}",
        versions.detail
    );
    for summary in [
        "The Cloud KMS key is not rotated automatically",
        "The Cloud KMS key has a protection level that Databricks does not document",
    ] {
        plan.run.warning(summary);
    }
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A deny policy beats every grant: where it certainly hits, the plan refuses; where that is open, it warns. The services enforce it.
#[test]
fn a_deny_policy_comes_before_every_grant() {
    let stage = stage();
    let deny = |more: Json| {
        let mut rule = json!({
            "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt"],
        });
        for (name, value) in more.as_object().unwrap() {
            rule[name] = value.clone();
        }
        stage.google(|google| {
            google.deny_policies.clear();
            let policy = json!({ "rules": [{ "denyRule": rule }] });
            google
                .deny_policies
                .insert(gcp::ORGANIZATION.to_owned(), vec![policy]);
        });
    };
    let principal = |member: &str| {
        let email = member.trim_start_matches("serviceAccount:");
        format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{email}")
    };
    deny(json!({}));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("A deny policy takes the Cloud KMS key from a service account that needs it");
    for words in [
        "cryptoKeyVersions.useToDecrypt",
        &principal(DATABRICKS),
        "--attachment-point cloudresourcemanager.googleapis.com%2Forganizations%2F789",
    ] {
        assert!(run.shown().contains(words), "{words}: {}", error.detail);
    }
    deny(json!({ "denialCondition": { "expression": "resource.matchTag('789/env', 'prod')" } }));
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("A deny policy may take the Cloud KMS key from a service account that needs it");
    assert!(warning.detail.contains("789/env"), "{}", warning.detail);
    // Everybody who needs the key is an exception: an attach works.
    deny(
        json!({ "exceptionPrincipals": [principal(DATABRICKS), principal(COMPUTE), principal(STORAGE)] }),
    );
    let run = stage.workdir.plan().run;
    assert_eq!(run.warnings(), [NOT_DOCUMENTED]);
    stage.workdir.apply();
    // Who denies it afterwards takes the key from a workspace: said at every plan.
    deny(json!({}));
    let run = stage.workdir.empty_plan();
    run.warning("A deny policy takes the Cloud KMS key from a service account that needs it");
}

/// The services do what the proof foretells: who goes on all the same is refused by Databricks.
#[test]
fn a_deny_policy_is_enforced() {
    let stage = stage();
    stage.google(|google| {
        let rule = json!({ "rules": [{ "denyRule": {
            "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["cloudkms.googleapis.com/cryptoKeyVersions.useToEncrypt"],
        } }] });
        google
            .deny_policies
            .insert(gcp::FOLDER.to_owned(), vec![rule]);
    });
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let block = "provider \"dbxcmk\" {\n  preflight = \"warn\"\n}";
    stage
        .workdir
        .configuration(&text.but("provider \"dbxcmk\" {}", block));
    let run = stage.workdir.failed_apply();
    assert!(run.shown().contains("useToEncrypt"), "{}", run.shown());
}

/// An applied configuration: every plan judges each version that may hold data, with the workspace, the date and the commands; and a key
/// that the provider cannot read does not count as a good one.
#[test]
fn what_becomes_of_the_versions_of_an_attached_key_is_said() {
    let stage = stage();
    stage.workdir.apply();
    assert_eq!(stage.workdir.empty_plan().warnings(), Vec::<&str>::new());
    let workspace = format!("{} (\"", gcp::WORKSPACE);
    // Each row: the versions (the last is the primary one), the warning, and what it says.
    let rows: [(&[&str], &str, &[&str]); 4] = [
        (
            &["DISABLED", "ENABLED"],
            "Version 1 of the Cloud KMS key main cannot be used",
            &[
                "version 1 is DISABLED",
                "gcloud kms keys versions enable 1 --key main",
            ],
        ),
        (
            &["DESTROY_SCHEDULED", "ENABLED"],
            "Version 1 of the Cloud KMS key main cannot be used",
            &[
                "2026-12-24T00:00:00Z",
                "gcloud kms keys versions restore 1 --key main",
                "lost permanently",
            ],
        ),
        (
            &["DISABLED"],
            "The Cloud KMS key has no enabled primary version",
            &["cannot read the data that version 1 encrypted"],
        ),
        (
            &["DESTROY_SCHEDULED"],
            "The Cloud KMS key has no enabled primary version",
            &["On 2026-12-24T00:00:00Z", "lost permanently"],
        ),
    ];
    for (states, summary, words) in rows {
        stage.change_key(|key| {
            key.versions = states.iter().map(|state| version(state)).collect();
            key.primary = states.len();
        });
        let run = stage.workdir.empty_plan();
        let warning = run.warning(summary);
        let restore = format!("dbxcmk key restore {KEY}");
        for words in words
            .iter()
            .copied()
            .chain([workspace.as_str(), restore.as_str()])
        {
            assert!(
                warning.detail.contains(words),
                "{words}: {}",
                warning.detail
            );
        }
    }
    stage.change_key(|key| key.versions = vec![version("ENABLED")]);
    for permission in ["cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.list"] {
        stage.google(|google| {
            google.denied.clear();
            google.denied.insert(permission.to_owned());
        });
        let run = stage.workdir.empty_plan();
        let warning = run.warning("The Cloud KMS key could not be read");
        assert!(warning.detail.contains(permission), "{}", warning.detail);
    }
}

/// A workspace of another region or another cloud than the key.
#[test]
fn key_and_workspace_have_to_fit() {
    let stage = stage();
    stage.sandbox.with(|world| {
        world
            .workspace(gcp::WORKSPACE)
            .fields
            .insert("location".to_owned(), json!("us-central1"));
    });
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("us-central1") && run.shown().contains("us-east4"),
        "{}",
        run.shown()
    );
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.configuration(&text.but(
        &gcp::WORKSPACE.to_string(),
        &dbxcmk_sandbox::WORKSPACE.to_string(),
    ));
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown()
            .contains("runs on AWS, and the plan attaches the key"),
        "{}",
        run.shown()
    );
}

/// The data source says the same, and what it did not examine.
#[test]
fn the_readiness_of_a_key_is_a_data_source() {
    let stage = stage();
    let body = format!(
        r#"
data "dbxcmk_key_readiness" "x" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {{
    kms_key_id                  = "{KEY}"
    databricks_service_accounts = ["cmk-1@databricks-control-plane.iam.gserviceaccount.com"]
    workspace_project_number    = "123456789012"
  }}
}}
"#
    );
    stage.configure(&body);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(
        (&state["ready"], &state["key_state"], &state["id"]),
        (&json!(true), &json!("Enabled"), &json!(KEY))
    );
    let requirements = state["requirements"].as_array().unwrap();
    assert_eq!(requirements.len(), 6);
    assert!(
        requirements.iter().all(|one| one["standing"] == "allowed"
            && one["granted_by"][0] == format!("{ROLE} on the key"))
    );
    bind(&stage, &[ROLE], &[DATABRICKS]);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], json!(false));
    assert_eq!(state["findings"][0]["id"], json!("gcp-member-missing"));
    let missing = state["requirements"].as_array().unwrap();
    assert_eq!(
        missing
            .iter()
            .filter(|one| one["standing"] == "missing")
            .count(),
        4
    );
    // A deny policy that has a rule of an unknown kind does not count as one without rules.
    stage.google(|google| {
        google.deny_policies.insert(
            gcp::ORGANIZATION.to_owned(),
            vec![json!({ "rules": [{ "description": "of another kind" }] })],
        );
    });
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    let not_examined = state["not_examined"].to_string();
    assert!(
        not_examined.contains("Deny policies") && not_examined.contains("unknown kind"),
        "{not_examined}"
    );
}

/// What Cloud KMS Inventory lists is a fact; what it does not list proves nothing, and neither changes whether the key is ready.
#[test]
fn the_resources_that_a_key_protects_are_a_fact() {
    let stage = stage();
    let data = |name: &str| {
        format!(
            "\ndata \"dbxcmk_key_readiness\" \"{name}\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  gcp = {{\n    kms_key_id = \"{KEY}\"\n    \
             databricks_service_accounts = [\"cmk-1@databricks-control-plane.iam.gserviceaccount.com\"]\n  }}\n}}\n"
        )
    };
    stage.configure(&format!("{}{}", data("x"), data("y")));
    let read = || {
        stage.sandbox.with(|world| world.record.clear());
        stage.workdir.apply();
        assert_eq!(stage.asked("GET protectedResourcesSummary").len(), 1);
        let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
        assert_eq!(state["ready"], json!(true), "{state}");
        state["last_used"].clone()
    };
    let nothing = read();
    assert_eq!(nothing["standing"], "not_known");
    let why = nothing["why"].as_str().unwrap();
    assert!(why.contains("proves nothing"), "{why}");
    stage.google(|google| {
        let summary = json!({ "resourceCount": "2", "projectCount": 1, "resourceTypes": { "storage.googleapis.com/Bucket": "2" } });
        google.protected.insert(KEY.to_owned(), summary);
    });
    let two = read();
    assert_eq!(
        (&two["standing"], &two["protected_resources"]),
        (&json!("protects_resources"), &json!(2))
    );
    stage.google(|google| google.disabled_apis.insert("kmsinventory".to_owned()));
    let unread = read();
    assert_eq!(unread["standing"], "not_known");
    let why = unread["why"].as_str().unwrap();
    assert!(
        why.contains("gcloud services enable kmsinventory.googleapis.com"),
        "{why}"
    );
}

/// Another provider grants the use of the key between two of our resources, in one apply.
#[test]
fn what_another_provider_grants_in_between_is_seen() {
    let stage = Stage::on_google();
    let id =
        "replace(terraform_data.between.id, \"/^.*$/\", dbxcmk_key_configuration.lakehouse.id)";
    stage.configure(&format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES"]
  gcp = {{
    kms_key_id = "{KEY}"
    manual     = true
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{}"
  managed_services_key_configuration_id = {id}
  settle_time                           = "0s"
}}
{}"#,
        gcp::WORKSPACE,
        between("dbxcmk_key_configuration.lakehouse")
    ));
    let run = stage.apply_around(|| {
        let made = stage.configurations();
        let email = &made[0]["gcp_key_info"]["gcp_service_account"]["service_account_email"];
        let member = format!("serviceAccount:{}", email.as_str().unwrap());
        let binding = json!([{ "role": ROLE, "members": [member] }]);
        set(&stage, "projects/acme-lakehouse", binding);
    });
    assert!(run.success, "{}", run.output);
    stage.workdir.empty_plan();
}
