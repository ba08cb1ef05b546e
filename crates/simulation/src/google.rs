//! Google Cloud.

use std::collections::{BTreeMap, BTreeSet};

use dbxcmk_sandbox::gcp::{self, CryptoKey, PROJECT_NUMBER, REGION};
use dbxcmk_sandbox::world::{Workspace, World};
use dbxcmk_sandbox::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, Options, Services};
use serde_json::{Value as Json, json};
use tfplugin::Boxed;
use tfplugin::testing::terraform::{Block, Configuration, TERRAFORM_DATA, Term};
use tfplugin::value::Value;

use crate::history::{By, Other, Written};
use crate::platform::{self, KeyState, Others, Platform, Use, bool, set};

const HOST: &str = "https://accounts.gcp.databricks.com";
const WORKSPACES: [u64; 2] = [gcp::WORKSPACE, 3_333_333_333_333_333];
const RING: &str = "projects/acme-lakehouse/locations/us-east4/keyRings/lakehouse";

/// Google Cloud.
pub struct Google;

fn name(key: usize) -> String {
    format!("{RING}/cryptoKeys/key{key}")
}

fn account(workspace: u64) -> String {
    format!("db-{workspace}@prod-gcp-{REGION}.iam.gserviceaccount.com")
}

/// The bindings that a key has before anybody comes.
fn first() -> Vec<Json> {
    let all = json!([
        { "role": "roles/cloudkms.viewer", "members": ["user:auditor@acme.example"] },
        {
            "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "members": ["user:backup@acme.example"],
            "condition": { "title": "at night", "expression": "request.time.getHours() < 6" },
        },
    ]);
    all.as_array().cloned().unwrap_or_default()
}

impl Platform for Google {
    fn options(&self) -> Options {
        Options {
            google: true,
            ..Options::default()
        }
    }

    fn addresses(&self) -> (&'static str, &'static str) {
        (HOST, "")
    }

    fn prepare(&self, world: &mut World, keys: usize) {
        let second = Workspace::on_google(WORKSPACES[1], "lakehouse-second");
        world.now.workspaces.insert(WORKSPACES[1], second);
        let google = &mut world.now.google;
        google.rings.insert(RING.to_owned());
        google.service_accounts.insert(account(WORKSPACES[1]));
        google.service_accounts.insert(format!(
            "service-{PROJECT_NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
        ));
        for key in 0..keys {
            let mut made = CryptoKey::new("ENCRYPT_DECRYPT");
            made.fields
                .insert("rotationPeriod".to_owned(), json!("7776000s"));
            made.fields
                .insert("labels".to_owned(), json!({ "team": "lakehouse" }));
            google.keys.insert(name(key), made);
            let policy = google.policies.entry(name(key)).or_default();
            policy.fields.insert("version".to_owned(), json!(3));
            policy.fields.insert("bindings".to_owned(), json!(first()));
        }
        world.about_to_write();
    }

    fn others(&self, keys: usize) -> Others {
        Others((0..keys).map(|key| (key, first())).collect())
    }

    fn provider(&self) -> Value {
        Value::map([
            ("host", Value::string(HOST)),
            ("account_id", Value::string(ACCOUNT_ID)),
            ("auth_type", Value::string("oauth-m2m-gcp")),
            ("client_id", Value::string(CLIENT_ID)),
            ("client_secret", Value::string(CLIENT_SECRET)),
            (
                "gcp",
                Value::map([("access_token", Value::string(gcp::TOKEN))]),
            ),
        ])
    }

    fn secrets(&self) -> Vec<(&'static str, &'static str)> {
        // The account needs a token of Google, too.
        vec![
            (CLIENT_SECRET, "Databricks"),
            (platform::basic(), "Databricks"),
            ("sandbox-access-token-", "Databricks"),
        ]
    }

    fn path(&self, _: &str, path: &str) -> String {
        path.to_owned()
    }

    fn configuration(&self, written: &Written) -> Configuration {
        let mut all = Configuration::new();
        for one in &written.configurations {
            let later = format!("{TERRAFORM_DATA}.key{}", one.key);
            let key = match one.by {
                By::Later => {
                    let input = Term::object([("input", Term::string(name(one.key)))]);
                    all.insert(later.clone(), Block::new(input));
                    Term::of(later, "output")
                }
                _ => Term::string(name(one.key)),
            };
            let gcp = Term::object([("kms_key_id", key), ("manual", bool(true))]);
            let body = Term::object([("use_cases", set(&one.cases)), ("gcp", gcp)]);
            all.insert(platform::configuration(&one.name), Block::new(body));
        }
        for one in &written.policies {
            let mut accounts: Vec<Term> = WORKSPACES
                .iter()
                .map(|workspace| Term::string(account(*workspace)))
                .collect();
            let own = written
                .configurations
                .iter()
                .filter(|other| other.key == one.key);
            accounts.extend(own.map(|other| {
                let address = platform::configuration(&other.name);
                Term::of(address, "gcp.service_account_email")
            }));
            let gcp = Term::object([
                ("kms_key_id", Term::string(name(one.key))),
                ("databricks_service_accounts", Term::List(accounts)),
                ("workspace_project_number", Term::string(PROJECT_NUMBER)),
            ]);
            let body = Term::object([
                ("use_cases", set(&one.cases)),
                ("gcp", gcp),
                ("force_destroy", bool(one.force)),
            ]);
            all.insert(platform::policy(&one.name), Block::new(body));
        }
        platform::bindings(written, &WORKSPACES, &mut all);
        all
    }

    fn other(&self, world: &mut World, other: Other, others: &mut Others) {
        world.about_to_write();
        platform::other_of_workspaces(world, &WORKSPACES, other, |world, key| {
            platform::configurations(world, "/gcp_key_info/kms_key_id", &name(key))
        });
        let Some(number) = other.key() else { return };
        let own = others.0.entry(number).or_default();
        let google = &mut world.now.google;
        let policy = google.policies.entry(name(number)).or_default();
        let Some(key) = google.keys.get_mut(&name(number)) else {
            return;
        };
        let mut set = |before: &str, state: &str| {
            for version in key.versions.iter_mut().filter(|one| one.state == before) {
                version.state = state.to_owned();
            }
        };
        match other {
            Other::Disables(_) => set("ENABLED", "DISABLED"),
            Other::Enables(_) => set("DISABLED", "ENABLED"),
            Other::ResetsAccess(_) => {
                policy.generation += 1;
                policy.fields.insert("bindings".to_owned(), json!(own));
            }
            Other::AddsAccess(_) => {
                policy.generation += 1;
                let binding = json!({
                    "role": format!("projects/acme-lakehouse/roles/own{}", own.len()),
                    "members": ["group:security@acme.example"],
                });
                let bindings = policy.fields.entry("bindings").or_insert_with(|| json!([]));
                bindings
                    .as_array_mut()
                    .into_iter()
                    .for_each(|all| all.push(binding.clone()));
                own.push(binding);
            }
            Other::Tags(_) => {
                let labels = key.fields.entry("labels").or_insert_with(|| json!({}));
                let labels = labels.as_object_mut().into_iter();
                labels.for_each(|all| drop(all.insert("owner".to_owned(), json!("security"))));
            }
            Other::Rotates(_) => {
                if let Some(newest) = key.versions.last().cloned() {
                    key.versions.push(dbxcmk_sandbox::gcp::Version {
                        state: "ENABLED".to_owned(),
                        destroy_time: None,
                        ..newest
                    });
                    key.primary = key.versions.len();
                }
            }
            Other::Deletes(_) => {
                set("ENABLED", "DESTROY_SCHEDULED");
                set("DISABLED", "DESTROY_SCHEDULED");
            }
            Other::Recovers(_) => set("DESTROY_SCHEDULED", "DISABLED"),
            Other::StartsCompute(_) | Other::StopsCompute(_) | Other::Attaches { .. } => {}
        }
    }

    fn lost(&self, world: &mut World, others: &Others) -> Vec<String> {
        let google = &world.now.google;
        let mut lost = Vec::new();
        for (number, own) in &others.0 {
            let policy = google
                .policies
                .get(&name(*number))
                .cloned()
                .unwrap_or_default();
            let bindings = policy
                .fields
                .get("bindings")
                .and_then(Json::as_array)
                .cloned();
            let bindings = bindings.unwrap_or_default();
            for one in own {
                let is_there = bindings.iter().any(|other| {
                    let of =
                        |json: &Json, field: &str| json.get(field).cloned().unwrap_or_default();
                    let members = of(other, "members");
                    let members = members.as_array().cloned().unwrap_or_default();
                    let wanted = of(one, "members");
                    of(other, "role") == of(one, "role")
                        && of(other, "condition") == of(one, "condition")
                        && wanted
                            .as_array()
                            .is_some_and(|all| all.iter().all(|one| members.contains(one)))
                });
                if !is_there {
                    lost.push(format!("a binding of key {number}: {one}"));
                }
            }
            let key = google.keys.get(&name(*number));
            let team = key.and_then(|key| key.fields.get("labels")?.get("team").cloned());
            if team != Some(json!("lakehouse")) {
                lost.push(format!("a label of key {number}"));
            }
        }
        lost
    }

    fn uses<'a>(&'a self, services: &'a Services) -> Boxed<'a, BTreeMap<Use, bool>> {
        platform::account_uses(services, &WORKSPACES)
    }

    fn key(&self, key: usize) -> (&'static str, Value) {
        (
            "gcp",
            Value::map([("kms_key_id", Value::string(name(key)))]),
        )
    }

    fn state(&self, world: &mut World, key: usize) -> KeyState {
        let key = world.now.google.keys.get(&name(key));
        let labels = key.and_then(|key| key.fields.get("labels")?.as_object());
        let versions = key.into_iter().flat_map(|key| &key.versions);
        KeyState {
            versions: versions.map(|one| one.state.clone()).collect(),
            marks: labels
                .into_iter()
                .flat_map(|all| all.keys())
                .filter(|name| name.starts_with("dbxcmk"))
                .cloned()
                .collect(),
        }
    }

    fn users(&self, world: &mut World, key: usize) -> BTreeSet<String> {
        let own = platform::configurations(world, "/gcp_key_info/kms_key_id", &name(key));
        platform::account_users(world, &WORKSPACES, &own)
    }

    fn readiness(&self, world: &mut World, at: usize, key: usize, cases: &[&'static str]) -> Value {
        let workspace = WORKSPACES.get(at).copied().unwrap_or_default();
        let mut accounts = vec![account(workspace)];
        for case in cases {
            let attached = platform::attached(world, workspace, case).unwrap_or_default();
            let email = world.now.configurations.get(&attached).and_then(|one| {
                one.pointer("/gcp_key_info/gcp_service_account/service_account_email")?
                    .as_str()
            });
            accounts.extend(email.map(str::to_owned));
        }
        let gcp = Value::map([
            ("kms_key_id", Value::string(name(key))),
            ("databricks_service_accounts", platform::texts(&accounts)),
            ("workspace_project_number", Value::string(PROJECT_NUMBER)),
        ]);
        Value::map([("use_cases", platform::texts(cases)), ("gcp", gcp)])
    }

    fn key_of(&self, world: &mut World, (at, case): Use) -> Option<usize> {
        let attached = platform::attached(world, *WORKSPACES.get(at)?, case)?;
        (0..3).find(|key| {
            let own = platform::configurations(world, "/gcp_key_info/kms_key_id", &name(*key));
            own.contains(&attached)
        })
    }

    fn has(&self, world: &mut World, (at, case): Use, configuration: &str) -> bool {
        let workspace = WORKSPACES.get(at).copied().unwrap_or_default();
        platform::account_has(world, workspace, case, configuration)
    }
}
