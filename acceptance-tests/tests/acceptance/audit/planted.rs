//! Three accounts with planted problems: each is found, and nothing is invented. The lists of what is found are whole.

use std::collections::BTreeSet;

use acceptance_tests::google;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, policy};
use dbxcmk_sandbox::azure::{self, KEY, VAULT, VERSION, VersionOfKey};
use dbxcmk_sandbox::gcp::{self, CryptoKey};
use dbxcmk_sandbox::unity::{Metastore, Securable};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, REGION, WORKSPACE};
use serde_json::{Value as Json, json};

use super::{attach, audit, disable, on_azure, only_reads, register, seal, texts};

/// An account into which problems are planted, and what an audit must find of them.
struct Planted {
    stage: Stage,
    next: u64,
    expected: BTreeSet<String>,
}

impl Planted {
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            next: 0,
            expected: BTreeSet::new(),
        }
    }

    fn expect(&mut self, id: &str, subject: &str) {
        self.expected.insert(format!("{id}/{subject}"));
    }

    fn expect_of_key(&mut self, id: &str, key: &str) {
        self.expect(id, &format!("key/{key}"));
    }

    /// A good key, rotated and used.
    fn key(&self) -> String {
        let arn = self.stage.good_key();
        self.change(&arn, |key| key.rotates = true);
        self.is_used(&arn);
        arn
    }

    fn place(arn: &str) -> (String, String) {
        let id = arn.rsplit('/').next().unwrap().to_owned();
        (REGION.to_owned(), id)
    }

    fn is_used(&self, arn: &str) {
        self.stage.sandbox.with(|world| {
            let used = ("Decrypt".to_owned(), 1_796_000_000);
            world.now.last_uses.insert(Self::place(arn), used);
        });
    }

    fn change(&self, arn: &str, change: impl FnOnce(&mut dbxcmk_sandbox::world::Key)) {
        self.stage
            .sandbox
            .with(|world| change(world.now.keys.get_mut(&Self::place(arn)).unwrap()));
    }

    /// A key configuration of a key.
    fn registered(&mut self, arn: &str) -> String {
        self.next += 1;
        let id = format!("c1000000-0000-4000-8000-{:012}", self.next);
        register(&self.stage, &id, arn, 1_700_000_000_000 + self.next);
        id
    }

    /// A workspace that has a key configuration for everything.
    fn in_use(&mut self, id: &str) -> u64 {
        let number = 100 + self.next;
        self.stage.sandbox.with(|world| {
            let mut one = world.workspace(WORKSPACE).clone();
            one.fields.insert("workspace_id".to_owned(), number.into());
            one.fields.insert(
                "workspace_name".to_owned(),
                format!("planted-{number}").into(),
            );
            *world.workspace(number) = one;
        });
        attach(&self.stage, number, id);
        number
    }

    /// A good key that a workspace has.
    fn used(&mut self) -> (String, u64) {
        let arn = self.key();
        let id = self.registered(&arn);
        let workspace = self.in_use(&id);
        (arn, workspace)
    }

    /// Compares what an audit finds with what was planted.
    fn must_be_found(self, rules: &str, arguments: &[&str]) -> Json {
        let before = self.stage.sandbox.requests().len();
        let (code, report) = audit(&self.stage, rules, arguments);
        assert_eq!(code, 1, "{:#}", report["not_read"]);
        let found: BTreeSet<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["uid"].as_str().unwrap().to_owned())
            .collect();
        let missed: Vec<&String> = self.expected.difference(&found).collect();
        let invented: Vec<&String> = found.difference(&self.expected).collect();
        assert!(
            missed.is_empty() && invented.is_empty(),
            "missed: {missed:#?}\ninvented: {invented:#?}\nnot read: {:#}",
            report["not_read"]
        );
        only_reads(&self.stage, before);
        report
    }
}

fn field(stage: &Stage, workspace: u64, name: &str, value: Json) {
    stage.sandbox.with(|world| {
        let fields = &mut world.workspace(workspace).fields;
        fields.insert(name.to_owned(), value);
    });
}

/// Statements that let somebody else use a key.
fn shared(principal: &str) -> String {
    format!(
        r#"{{"Sid": "Shared", "Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "kms:Decrypt", "Resource": "*"}}"#
    )
}

/// Keys that cannot be used, or will be lost.
fn keys_in_danger(own: &mut Planted) {
    let (disabled, _) = own.used();
    disable(&own.stage, &disabled);
    own.expect_of_key("kms-key-disabled", &disabled);

    let (deleted, _) = own.used();
    let deletion = json!({ "KeyId": deleted, "PendingWindowInDays": 7 });
    own.stage.kms.call("ScheduleKeyDeletion", &deletion);
    own.expect_of_key("kms-key-pending-deletion", &deleted);

    let (gone, _) = own.used();
    own.stage
        .sandbox
        .with(|world| world.now.keys.remove(&Planted::place(&gone)));
    own.expect_of_key("kms-key-not-found", &gone);

    let (expires, _) = own.used();
    let soon = time::OffsetDateTime::now_utc().unix_timestamp() + 30 * 86_400;
    own.change(&expires, |key| {
        key.metadata.insert("Origin".to_owned(), "EXTERNAL".into());
        let model = "KEY_MATERIAL_EXPIRES";
        key.metadata
            .insert("ExpirationModel".to_owned(), model.into());
        key.metadata.insert("ValidTo".to_owned(), soon.into());
    });
    own.expect_of_key("kms-key-expires", &expires);

    let (still, _) = own.used();
    own.change(&still, |key| key.rotates = false);
    own.expect_of_key("kms-key-no-rotation", &still);

    let (unused, _) = own.used();
    own.stage
        .sandbox
        .with(|world| world.now.last_uses.remove(&Planted::place(&unused)));
    own.expect_of_key("key-never-used", &unused);

    // A key that only a catalog has.
    let sealing = own.key();
    let id = own.registered(&sealing);
    disable(&own.stage, &sealing);
    own.stage.sandbox.with(|world| {
        let metastore = world.now.unity.metastores.values_mut().next().unwrap();
        let catalog = Securable::new(&json!({
            "name": "sealed", "metastore_id": metastore.fields["metastore_id"],
            "managed_encryption_settings": { "customer_managed_key_id": id },
        }));
        metastore.catalogs.push(catalog);
    });
    own.expect_of_key("key-in-danger", &sealing);
}

/// Keys that others may use, or that lie elsewhere.
fn keys_of_others(own: &mut Planted) {
    let (open, _) = own.used();
    let everybody = shared("*");
    let all = policy(&open, &[MANAGED_SERVICES, STORAGE, &everybody]);
    own.stage.kms.put_policy(&open, &all);
    own.expect_of_key("key-open-to-others", &open);
    own.expect_of_key("policy-anyone", &open);
    own.expect_of_key("policy-any-databricks-account", &open);

    let (lent, _) = own.used();
    let partner = shared("arn:aws:iam::999956789012:root");
    let all = policy(&lent, &[MANAGED_SERVICES, STORAGE, &partner]);
    own.stage.kms.put_policy(&lent, &all);
    own.expect_of_key("key-open-to-others", &lent);

    // Every Databricks account may use it.
    let (untagged, _) = own.used();
    let open = STORAGE.split(",\n  \"Condition\"").next().unwrap();
    let all = policy(&untagged, &[MANAGED_SERVICES, &format!("{open}}}")]);
    own.stage.kms.put_policy(&untagged, &all);
    own.expect_of_key("policy-any-databricks-account", &untagged);
    own.expect_of_key("key-open-to-others", &untagged);

    // Databricks may not use it for the storage.
    let (half, _) = own.used();
    own.stage
        .kms
        .put_policy(&half, &policy(&half, &[MANAGED_SERVICES]));
    own.expect_of_key("policy-missing-action", &half);

    let elsewhere = own.key();
    own.change(&elsewhere, |key| key.move_to("111122223333"));
    let elsewhere = elsewhere.replace("123456789012", "111122223333");
    let id = own.registered(&elsewhere);
    own.in_use(&id);
    own.expect_of_key("key-elsewhere", &elsewhere);

    let forgotten = own.key();
    own.expect_of_key("databricks-let-in-unregistered", &forgotten);

    // Tables in a bucket without an own key.
    own.expect("location-uncovered", "location/s3://acme-tables/");
    own.expect("location-uncovered", "location/s3://acme-tables/main");
}

/// Workspaces whose data is not under an own key, and key configurations that nothing needs.
fn workspaces_without_keys(own: &mut Planted) {
    own.expect(
        "workspace-data-uncovered",
        &format!("workspace/{MANAGED_VPC_WORKSPACE}"),
    );

    let (_, half) = own.used();
    own.stage.sandbox.with(|world| {
        let name = "storage_customer_managed_key_id";
        world.workspace(half).fields.remove(name);
    });
    own.expect("workspace-data-uncovered", &format!("workspace/{half}"));

    let (_, lost) = own.used();
    let dead = json!("c1000000-0000-4000-8000-00000000dead");
    field(&own.stage, lost, "storage_customer_managed_key_id", dead);
    own.expect("key-configuration-not-found", &format!("workspace/{lost}"));
    own.expect("workspace-data-uncovered", &format!("workspace/{lost}"));

    let (_, plain) = own.used();
    let id = format!("configuration/c1000000-0000-4000-8000-{:012}", own.next);
    own.expect("configuration-unused", &id);
    for name in [
        "storage_customer_managed_key_id",
        "managed_services_customer_managed_key_id",
    ] {
        let fields = |world: &mut dbxcmk_sandbox::world::World| {
            world.workspace(plain).fields.remove(name);
        };
        own.stage.sandbox.with(fields);
    }
    field(&own.stage, plain, "pricing_tier", json!("STANDARD"));
    own.expect("workspace-data-uncovered", &format!("workspace/{plain}"));

    let (arn, _) = own.used();
    let twin = own.registered(&arn);
    own.expect("configuration-twin", &format!("configuration/{twin}"));
    own.expect("configuration-unused", &format!("configuration/{twin}"));

    let spare = own.key();
    let id = own.registered(&spare);
    own.expect("configuration-unused", &format!("configuration/{id}"));
}

#[test]
fn everything_that_is_planted_on_aws_is_found() {
    let mut own = Planted::new(Stage::new(Over::Sandbox));
    let (good, _) = own.used();
    attach(
        &own.stage,
        WORKSPACE,
        "c1000000-0000-4000-8000-000000000001",
    );
    keys_in_danger(&mut own);
    keys_of_others(&mut own);
    workspaces_without_keys(&mut own);
    // The policy file has problems of its own.
    own.expect(
        "scope-matches-nothing",
        "account/2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
    );
    let expired = "exception/key-open-to-others/key/*";
    own.expect("exception-expired", expired);
    own.expect("exception-unused", "exception/key-elsewhere/key/nothing");
    let rules = r#"
scope {
  exclude = ["sandbox-*"]
}
require {
  cluster_volumes = false
  key_accounts    = ["123456789012"]
}
exception "key-open-to-others" {
  subject = "key/*"
  owner   = "security@example.com"
  reason  = "was to be removed in the summer"
  expires = "2026-06-30"
}
exception "key-elsewhere" {
  subject = "key/nothing"
  owner   = "security@example.com"
  reason  = "does not exist"
  expires = "2027-06-30"
}
"#;
    // Whatever the day is: one is over, and the other not yet.
    let year = time::OffsetDateTime::now_utc().year();
    let rules = rules
        .replace("2026-06-30", &format!("{}-12-31", year - 1))
        .replace("2027-06-30", &format!("{}-01-01", year + 1));
    let report = own.must_be_found(&rules, &["--cloud", "aws"]);
    // What is good stays without a finding.
    let all = report["findings"].as_array().unwrap();
    assert!(
        all.iter()
            .all(|one| one["subject"] != format!("key/{good}"))
    );
    assert!(report["counts"]["keys_in_danger"].as_u64().unwrap() >= 5);
}

/// A further key of Google Cloud that a workspace of its own has; the same as the good one.
fn another_on_google(own: &mut Planted) -> String {
    own.next += 1;
    let number = own.next;
    let name = google::KEY.replace("/main", &format!("/planted-{number}"));
    let id = format!("c2000000-0000-4000-8000-{number:012}");
    own.stage.sandbox.with(|world| {
        let mut key = CryptoKey::new("ENCRYPT_DECRYPT");
        key.fields
            .insert("rotationPeriod".to_owned(), "7776000s".into());
        let policy = world.now.google.policies.get(google::KEY).cloned();
        world
            .now
            .google
            .policies
            .insert(name.clone(), policy.unwrap());
        world.now.google.keys.insert(name.clone(), key);
        let mut configuration = world.now.configurations.values().next().unwrap().clone();
        configuration["customer_managed_key_id"] = id.clone().into();
        configuration["gcp_key_info"]["kms_key_id"] = name.clone().into();
        world.now.configurations.insert(id.clone(), configuration);
        let mut one = world.workspace(gcp::WORKSPACE).clone();
        let number = 200 + number;
        one.update = None;
        one.fields.insert(
            "deployment_name".to_owned(),
            format!("planted-{number}").into(),
        );
        one.fields.insert("workspace_id".to_owned(), number.into());
        for field in [
            "managed_services_customer_managed_key_id",
            "storage_customer_managed_key_id",
        ] {
            one.fields.insert(field.to_owned(), id.clone().into());
        }
        *world.workspace(number) = one;
    });
    name
}

/// Changes a key of Google Cloud.
fn on_google(own: &Planted, key: &str, change: impl FnOnce(&mut CryptoKey)) {
    own.stage
        .google(|google| change(google.keys.get_mut(key).unwrap()));
}

/// Adds a member with a role to a key of Google Cloud.
fn lets_in(own: &Planted, key: &str, member: &str) {
    own.stage.google(|google| {
        let policy = google.policies.get_mut(key).unwrap();
        let bindings = policy.fields.entry("bindings").or_insert_with(|| json!([]));
        let binding = json!({ "role": google::ROLE, "members": [member] });
        bindings.as_array_mut().unwrap().push(binding);
    });
}

#[test]
fn everything_that_is_planted_on_google_cloud_is_found() {
    let stage = Stage::on_google();
    stage.configure(&google::resources());
    stage.workdir.apply();
    seal(&stage);
    let mut own = Planted::new(stage);

    let off = another_on_google(&mut own);
    on_google(&own, &off, |key| {
        key.versions[0].state = "DISABLED".to_owned()
    });
    own.expect_of_key("gcp-key-primary", &off);

    let dying = another_on_google(&mut own);
    on_google(&own, &dying, |key| {
        let mut old = key.versions[0].clone();
        old.state = "DESTROY_SCHEDULED".to_owned();
        old.destroy_time = Some("2027-01-01T00:00:00Z".to_owned());
        key.versions.insert(0, old);
        key.primary = 2;
    });
    own.expect_of_key("gcp-key-versions", &dying);

    let still = another_on_google(&mut own);
    on_google(&own, &still, |key| {
        drop(key.fields.remove("rotationPeriod"))
    });
    own.expect_of_key("gcp-key-no-rotation", &still);

    let open = another_on_google(&mut own);
    lets_in(&own, &open, "allUsers");
    own.expect_of_key("key-open-to-others", &open);

    let lent = another_on_google(&mut own);
    lets_in(
        &own,
        &lent,
        "serviceAccount:etl@partner.iam.gserviceaccount.com",
    );
    own.expect_of_key("key-open-to-others", &lent);

    let closed = another_on_google(&mut own);
    own.stage.google(|google| google.policies.remove(&closed));
    own.expect_of_key("gcp-member-missing", &closed);

    let bare = 290;
    own.stage.sandbox.with(|world| {
        let mut one = world.workspace(gcp::WORKSPACE).clone();
        one.update = None;
        one.fields.insert("workspace_id".to_owned(), bare.into());
        one.fields
            .insert("deployment_name".to_owned(), "planted-bare".into());
        for field in [
            "managed_services_customer_managed_key_id",
            "storage_customer_managed_key_id",
        ] {
            one.fields.remove(field);
        }
        *world.workspace(bare) = one;
    });
    own.expect("workspace-data-uncovered", &format!("workspace/{bare}"));
    // The account of the sandbox has two workspaces on AWS, too.
    for number in [WORKSPACE, MANAGED_VPC_WORKSPACE] {
        own.expect("workspace-data-uncovered", &format!("workspace/{number}"));
    }
    // Nothing lets the service accounts of the workspaces use these keys.
    for key in [google::KEY, &off, &dying, &still, &lent, &closed] {
        own.expect_of_key("gcp-workspace-account", key);
    }
    // A metastore without workspaces shows nothing.
    let empty = "e0000000-0000-4000-8000-000000000001";
    own.stage.sandbox.with(|world| {
        let made = Metastore::new(empty, "gcp", gcp::REGION);
        world.now.unity.metastores.insert(empty.to_owned(), made);
    });
    own.expect("metastore-without-workspace", &format!("metastore/{empty}"));
    own.must_be_found("", &["--cloud", "gcp"]);
}

/// A further key of Azure that a workspace of its own has; the same as the good one.
fn another_on_azure(own: &mut Planted) -> String {
    own.next += 1;
    let name = format!("planted-{}", own.next);
    let number = 300 + own.next;
    let id = azure::workspace_id().replace("lakehouse-azure", &name);
    own.stage.azure(|azure| {
        let mut key = azure.keys[&(VAULT.to_owned(), KEY.to_owned())].clone();
        key.versions = vec![VersionOfKey::new(false, VERSION)];
        azure.keys.insert((VAULT.to_owned(), name.clone()), key);
        let good = azure.workspace().unwrap().shown.to_string();
        azure.add_workspace(&id, number);
        let shown = good
            .replace("lakehouse-azure", &name)
            .replace(&azure::WORKSPACE.to_string(), &number.to_string())
            .replace(&format!("\"{KEY}\""), &format!("\"{name}\""));
        let one = azure.workspaces.get_mut(&id.to_ascii_lowercase()).unwrap();
        one.shown = serde_json::from_str(&shown).unwrap();
        // The principals of the good key may use this one.
        let assignments: Vec<(String, Json)> = azure
            .role_assignments
            .iter()
            .map(|(id, one)| {
                let of =
                    |text: &str| text.replace(&format!("/keys/{KEY}"), &format!("/keys/{name}"));
                let shown = serde_json::from_str(&of(&one.to_string())).unwrap();
                (format!("{}{}", of(id), own.next), shown)
            })
            .collect();
        azure.role_assignments.extend(assignments);
    });
    format!("https://{VAULT}.vault.azure.net/keys/{name}")
}

/// Changes the one version of a key of Azure.
fn on_version(own: &Planted, key: &str, change: impl FnOnce(&mut VersionOfKey)) {
    let name = key.rsplit('/').next().unwrap().to_owned();
    own.stage.azure(|azure| {
        let key = azure.keys.get_mut(&(VAULT.to_owned(), name)).unwrap();
        change(&mut key.versions[0]);
    });
}

#[test]
fn everything_that_is_planted_on_azure_is_found() {
    let stage = Stage::on_azure();
    stage.configure_azure(&acceptance_tests::azure::resources(VAULT));
    stage.workdir.apply();
    seal(&stage);
    let mut own = Planted::new(stage);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();

    let off = another_on_azure(&mut own);
    on_version(&own, &off, |version| version.enabled = false);
    own.expect_of_key("azure-key-disabled", &off);

    let expired = another_on_azure(&mut own);
    on_version(&own, &expired, |version| {
        version.expires = Some(now - 86_400)
    });
    own.expect_of_key("azure-key-expired", &expired);

    let expires = another_on_azure(&mut own);
    on_version(&own, &expires, |version| {
        version.expires = Some(now + 20 * 86_400)
    });
    own.expect_of_key("key-in-danger", &expires);

    let deleted = another_on_azure(&mut own);
    own.stage.azure(|azure| {
        let name = deleted.rsplit('/').next().unwrap().to_owned();
        let key = azure.keys.get_mut(&(VAULT.to_owned(), name)).unwrap();
        key.deleted = Some(now);
    });
    own.expect_of_key("azure-key-deleted", &deleted);

    let closed = another_on_azure(&mut own);
    let name = closed.rsplit('/').next().unwrap().to_owned();
    own.stage.azure(|azure| {
        let scope = format!("/keys/{name}/");
        azure.role_assignments.retain(|id, _| !id.contains(&scope));
    });
    own.expect_of_key("azure-principal-missing", &closed);

    // A group of another tenant may use the good key.
    let group = "f0000000-0000-4000-8000-000000000009";
    let good = format!("https://{VAULT}.vault.azure.net/keys/{KEY}");
    let scope = format!("{}/keys/{KEY}", azure::vault_id(VAULT));
    own.stage
        .assign(&scope, acceptance_tests::azure::ROLE, group);
    own.stage.azure(|azure| {
        let all = azure.role_assignments.values_mut();
        for one in all.filter(|one| one["properties"]["principalId"] == group) {
            one["properties"]["principalType"] = "ForeignGroup".into();
        }
        azure.diagnostics.clear();
    });
    own.expect_of_key("key-open-to-others", &good);
    own.expect("vault-not-logged", &format!("vault/{VAULT}"));

    let bare = azure::workspace_id().replace("lakehouse-azure", "bare");
    own.stage.azure(|azure| azure.add_workspace(&bare, 390));
    own.expect("workspace-data-uncovered", "workspace/390");

    // A workspace in a subscription that nobody else sees.
    let hidden = "5ab5c7f1-0000-4000-8000-00000000dead";
    let id = azure::workspace_id().replace(azure::SUBSCRIPTION, hidden);
    own.stage.azure(|azure| azure.add_workspace(&id, 391));
    own.expect(
        "subscription-not-visible",
        &format!("subscription/{hidden}"),
    );

    let arguments = on_azure(&own.stage);
    own.must_be_found("", &texts(&arguments));
}
