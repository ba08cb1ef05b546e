//! Catalogs of Unity Catalog with a key: a caller who can read them sees who else uses a key, and one who cannot learns that.

use std::process::{Command, Stdio};

use acceptance_tests::harness::Run;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::unity::{
    AZURE_METASTORE, GOOGLE_METASTORE, METASTORE, Securable, Sight, Unbound,
};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, WORKSPACE};
use serde_json::{Value as Json, json};

use crate::commands::came_to;

const OWN: &str = "dbxcmk_key_configuration.own";
const ALL: &str = "data.dbxcmk_key_configurations.all";

fn configurations(key: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "own" {{
  use_cases = ["MANAGED_SERVICES"]
  aws = {{
    key_arn = "{key}"
  }}
}}
"#
    )
}

/// A catalog gets a key.
fn give(stage: &Stage, metastore: &str, name: &str, settings: &Json) {
    stage.sandbox.with(|world| {
        let own = world.now.unity.metastores.get_mut(metastore).unwrap();
        let catalog = own.catalog(name).unwrap();
        let field = "managed_encryption_settings".to_owned();
        catalog.fields.insert(field, settings.clone());
    });
}

/// Runs the `key` command: its exit code and its report.
fn key(stage: &Stage, arguments: &[&str]) -> (i32, Json) {
    let mut command = Command::new(provider_binary());
    command
        .arg("key")
        .args(arguments)
        .args(["--format", "json"])
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .stdin(Stdio::null());
    came_to(&command.output().unwrap())
}

/// One by one, what hides a catalog; each time, the answer is "not known", with the right that is missing.
#[test]
fn a_configuration_is_unused_only_when_all_catalogs_were_seen() {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.good_key();
    let all = "\ndata \"dbxcmk_key_configurations\" \"all\" {\n  depends_on = [dbxcmk_key_configuration.own]\n}\n";
    stage.configure(&format!("{}{all}", configurations(&arn)));
    stage.workdir.apply();
    let id = stage.workdir.attribute(OWN, "/id");
    let read = || {
        stage.workdir.apply();
        let state = stage.workdir.state(ALL);
        let one = state["key_configurations"][0].clone();
        assert_eq!(one["id"], id.as_str());
        (
            one["used"].as_str().unwrap().to_owned(),
            one["catalogs"].clone(),
            state["not_read"].to_string(),
        )
    };
    assert_eq!(read(), ("no".to_owned(), json!([]), "[]".to_owned()));

    type Stager = fn(&mut dbxcmk_sandbox::unity::Unity);
    let hides: [(Stager, &str); 5] = [
        (
            |unity| unity.closed = [WORKSPACE, MANAGED_VPC_WORKSPACE].into(),
            "be a user of one of these workspaces",
        ),
        (
            |unity| {
                unity
                    .metastores
                    .get_mut(METASTORE)
                    .unwrap()
                    .caller_is_no_admin = true;
            },
            "be a member of `metastore-admins`",
        ),
        (
            |unity| {
                unity
                    .metastores
                    .get_mut(METASTORE)
                    .unwrap()
                    .caller_is_no_admin = true;
                unity.unbound = Unbound::Refused;
            },
            "bound to other workspaces",
        ),
        (
            |unity| {
                let own = unity.metastores.get_mut(METASTORE).unwrap();
                own.caller_is_no_admin = true;
                own.catalog("main").unwrap().sight = Sight::Browse;
            },
            "USE CATALOG on main",
        ),
        (
            |unity| {
                unity
                    .metastores
                    .get_mut(METASTORE)
                    .unwrap()
                    .workspaces
                    .clear()
            },
            "no running workspace of the metastore",
        ),
    ];
    let before = stage.sandbox.with(|world| world.now.unity.clone());
    for (hide, right) in hides {
        stage.sandbox.with(|world| {
            world.now.unity = before.clone();
            hide(&mut world.now.unity);
        });
        let (used, _, not_read) = read();
        assert_eq!(used, "not_known", "{right}");
        assert!(not_read.contains(right), "{right}: {not_read}");
    }
    // The provider asks another workspace when one refuses.
    stage.sandbox.with(|world| {
        world.now.unity = before.clone();
        world.now.unity.closed = [WORKSPACE].into();
    });
    assert_eq!(read().0, "no");
    // The provider also sees a catalog that is bound to the other workspace.
    let settings = json!({ "customer_managed_key_id": id });
    stage.sandbox.with(|world| {
        let sealed = Securable::bound(
            &json!({ "name": "sealed", "managed_encryption_settings": settings }),
            &[WORKSPACE],
        );
        let own = world.now.unity.metastores.get_mut(METASTORE).unwrap();
        own.catalogs.push(sealed);
    });
    let (used, catalogs, _) = read();
    assert_eq!(used, "yes");
    assert_eq!(
        catalogs,
        json!([{ "metastore_id": METASTORE, "name": "sealed" }])
    );

    let head = acceptance_tests::stage::HEAD.but("{}", "{\n  read_catalogs = false\n}");
    let body = configurations(&arn);
    stage.workdir.configuration(&format!("{head}{body}{all}"));
    stage.sandbox.with(|world| world.record.clear());
    let (used, _, not_read) = read();
    assert_eq!(used, "not_known");
    assert!(not_read.contains("`read_catalogs` is false"), "{not_read}");
    assert!(stage.asked("metastores").is_empty() && stage.asked("unity-catalog").is_empty());
}

/// Twenty configurations cost as many reads of catalogs as one does.
#[test]
fn catalogs_are_read_once_for_everything() {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.good_key();
    stage.configure(&configurations(&arn).but(
        "  aws = {",
        "  count = 20\n  aws = {\n    key_alias = \"alias/a-${count.index}\"",
    ));
    stage.workdir.apply();
    stage.sandbox.with(|world| world.record.clear());
    stage.workdir.destroy();
    let many = |words: &str| stage.asked(words).len();
    // A plan and an apply: the metastores, the workspaces of the one metastore, a token, who calls, and the catalogs, page by page.
    let counts = [
        many("GET /metastores") - many("/workspaces GET /metastores"),
        many("/workspaces GET /metastores"),
        many("scim/v2/Me"),
        many("cloud.databricks.com/oidc"),
        many("unity-catalog/catalogs"),
    ];
    assert_eq!(
        counts,
        [2, 2, 2, 2, 2 * 3],
        "{:#?}",
        stage
            .sandbox
            .requests()
            .iter()
            .map(|one| one.operation.clone())
            .collect::<Vec<_>>()
    );
}

/// What a catalog has as its key is taken away neither with the configuration nor with the statements of the key policy.
#[test]
fn a_key_that_a_catalog_has_is_not_taken_away() {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.kms.create_key(&json!({}));
    let policy = format!(
        "\nresource \"dbxcmk_key_policy\" \"own\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{arn}\"\n  }}\n}}\n"
    );
    stage.configure(&policy);
    stage.workdir.apply();
    stage.configure(&format!("{policy}{}", configurations(&arn)));
    stage.workdir.apply();
    let id = stage.workdir.attribute(OWN, "/id");
    give(
        &stage,
        METASTORE,
        "sealed",
        &json!({ "customer_managed_key_id": id }),
    );

    let line = format!("catalog sealed of the metastore {METASTORE}");
    let refused = stage.workdir.refused_destroy();
    for summary in [
        "Catalogs use the key configuration",
        "Catalogs need this access to the key",
    ] {
        let error = refused.error(summary);
        assert!(error.detail.contains(&line), "{}", error.detail);
    }
    // A caller who cannot see the catalogs learns what may follow, and with which right the catalogs would show.
    stage.sandbox.with(|world| {
        world.now.unity.closed = [WORKSPACE, MANAGED_VPC_WORKSPACE].into();
    });
    stage.configure(&policy);
    let run = stage.workdir.apply();
    let warning = run.warning("The provider did not see all catalogs");
    assert!(
        warning
            .detail
            .contains("would need to be a user of one of these workspaces"),
        "{}",
        warning.detail
    );
    assert!(stage.configurations().is_empty());
}

/// A catalog is acknowledged beside the workspaces; where catalogs cannot be read, the command goes on and names the right.
#[test]
fn the_kill_switch_counts_catalogs() {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.good_key();
    stage.configure(&configurations(&arn));
    stage.workdir.apply();
    let id = stage.workdir.attribute(OWN, "/id");
    give(
        &stage,
        METASTORE,
        "sealed",
        &json!({ "customer_managed_key_id": id }),
    );
    let name = format!("catalog/{METASTORE}/sealed");
    let (code, report) = key(&stage, &["disable", &arn]);
    let error = report["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(code, 1, "{error}");
    assert!(error.contains(&format!("--acknowledge {name}")), "{error}");
    assert_eq!(
        report["impact"]["catalogs"][0]["acknowledgement"],
        name.as_str()
    );
    let (code, report) = key(&stage, &["disable", &arn, "--acknowledge", &name]);
    assert_eq!(
        (code, &report["state"]),
        (0, &json!("Disabled")),
        "{report}"
    );
    key(&stage, &["restore", &arn]);

    stage.sandbox.with(|world| {
        world.now.unity.closed = [WORKSPACE, MANAGED_VPC_WORKSPACE].into();
    });
    let (code, report) = key(&stage, &["disable", &arn]);
    assert_eq!(code, 0, "{report}");
    let first = &report["impact"]["not_visible"][0];
    assert!(
        first["why"]
            .as_str()
            .unwrap()
            .contains("user of one of these workspaces"),
        "{first}"
    );
}

/// On Google Cloud by the key configuration, on Azure by the identifier of the key.
#[test]
fn catalogs_are_found_on_each_cloud() {
    let google = Stage::on_google();
    google.configure(&acceptance_tests::google::resources());
    google.workdir.apply();
    let id = google
        .workdir
        .attribute("dbxcmk_key_configuration.lakehouse", "/id");
    give(
        &google,
        GOOGLE_METASTORE,
        "sealed",
        &json!({ "customer_managed_key_id": id }),
    );
    let name = google.configurations()[0]["gcp_key_info"]["kms_key_id"].clone();
    let (_, report) = key(&google, &["status", name.as_str().unwrap()]);
    assert_eq!(
        report["impact"]["catalogs"][0]["acknowledgement"],
        format!("catalog/{GOOGLE_METASTORE}/sealed")
    );

    let mut azure = Stage::on_azure();
    for (name, value) in azure.sandbox.environment() {
        azure.workdir.set(&name, &value);
    }
    let own = acceptance_tests::azure::first_version(acceptance_tests::azure::OWN_VAULT);
    give(
        &azure,
        AZURE_METASTORE,
        "sealed",
        &json!({ "azure_key_vault_key_id": own }),
    );
    azure.configure_azure(&format!(
        "\ndata \"dbxcmk_revocation_impact\" \"x\" {{\n  azure = {{\n    key_vault_key_id = \"{own}\"\n  }}\n}}\n"
    ));
    azure.workdir.apply();
    let state = azure.workdir.state("data.dbxcmk_revocation_impact.x");
    assert_eq!(state["catalogs"][0]["name"], "sealed", "{state}");
    assert_eq!(
        state["acknowledgement"],
        json!([format!("catalog/{AZURE_METASTORE}/sealed")])
    );
}

/// A bucket of tables has a key that the role of its storage credential cannot use: the plan finds it with the statement, and that statement is what
/// makes it good. Databricks' own account gets nothing by it.
#[test]
fn the_role_of_a_storage_credential_is_proven_and_let_in() {
    let role = format!(
        "arn:aws:iam::{}:role/acme-tables",
        dbxcmk_sandbox::AWS_ACCOUNT
    );
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.kms.create_key(&json!({}));
    let named = format!(
        "  use_cases = [\"UNITY_CATALOG\"]\n  aws = {{\n    key_arn = \"{arn}\"\n    storage_credential_role_arns = [\"{role}\"]\n  }}\n"
    );
    let readiness = format!("\ndata \"dbxcmk_key_readiness\" \"x\" {{\n{named}}}\n");
    stage.configure(&readiness);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], false, "{state}");
    let finding = &state["findings"][0];
    assert_eq!(finding["id"], "role-iam-missing-action", "{state}");
    let text = finding.to_string();
    for words in [
        "fail with AccessDenied",
        "Allow Unity Catalog to use KMS key for tables",
        &role,
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let policy = format!("\nresource \"dbxcmk_key_policy\" \"x\" {{\n{named}}}\n");
    stage.configure(&format!("{policy}{readiness}"));
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], true, "{state}");
    assert!(
        state["not_examined"]
            .to_string()
            .contains("Session policies")
    );
    let live = stage.kms.policy(&arn);
    assert!(
        live.contains(&role) && !live.contains("414351767826"),
        "{live}"
    );
    stage.workdir.empty_plan();

    // Each row: what is written, and what is wrong with it.
    for (from, to, error) in [
        (
            "\"UNITY_CATALOG\"",
            "\"STORAGE\"",
            "Identities for tables belong to the use case UNITY_CATALOG",
        ),
        (
            "storage_credential_role_arns",
            "# storage_credential_role_arns",
            "UNITY_CATALOG needs the identities that use the key for tables",
        ),
    ] {
        stage.configure(&policy.but(from, to));
        stage.workdir.validated().error(error);
    }
    stage.configure("");
    stage.workdir.apply();
    assert!(!stage.kms.policy(&arn).contains(&role));
}

/// A rotation of a workspace does not change catalogs: those that keep the former key are counted at plan, and what is not seen is said.
#[test]
fn a_rotation_counts_the_catalogs_that_keep_the_former_key() {
    let stage = Stage::new(Over::Sandbox);
    let (first, second) = (stage.good_key(), stage.good_key());
    let two = configurations(&second).but("\"own\"", "\"two\"");
    let configured = |name: &str| {
        format!(
            "{}{two}\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n  \
             managed_services_key_configuration_id = dbxcmk_key_configuration.{name}.id\n  settle_time = \"0s\"\n}}\n",
            configurations(&first)
        )
    };
    stage.configure(&configured("own"));
    stage.workdir.apply();
    let id = stage.workdir.attribute(OWN, "/id");
    give(
        &stage,
        METASTORE,
        "sealed",
        &json!({ "customer_managed_key_id": id }),
    );
    let keeps = "Catalogs keep the former key";
    let is_quiet = |run: &Run| !run.warnings().iter().any(|one| one.starts_with(keeps));
    // Without a rotation, there is nothing to count.
    assert!(is_quiet(&stage.workdir.empty_plan()));
    stage.configure(&configured("two"));
    let planned = stage
        .workdir
        .run(&["plan", "-json", "-input=false", "-out=plan"]);
    let detail = &planned.warning(keeps).detail;
    for word in [
        "catalog sealed of the metastore",
        first.as_str(),
        "managed_encryption_settings",
    ] {
        assert!(detail.contains(word), "{word}: {detail}");
    }
    stage.workdir.apply();
    assert!(is_quiet(&stage.workdir.empty_plan()));
}
