//! AWS.

use std::collections::{BTreeMap, BTreeSet};

use dbxcmk_sandbox::iam::Role;
use dbxcmk_sandbox::world::{Key, World};
use dbxcmk_sandbox::{
    ACCOUNT_ID, AWS_ACCOUNT, CLIENT_ID, CLIENT_SECRET, MANAGED_VPC_WORKSPACE, Options, REGION,
    ROLE_ARN, Services, WORKSPACE,
};
use serde_json::{Value as Json, json};
use tfplugin::Boxed;
use tfplugin::testing::terraform::{Block, Configuration, TERRAFORM_DATA, Term};
use tfplugin::value::Value;

use crate::history::{By, Other, Written};
use crate::platform::{self, KeyState, Others, Platform, Use, bool, set};

/// The address of the account API on AWS.
const HOST: &str = "https://accounts.cloud.databricks.com";
/// The secret part of the AWS access key.
const SECRET: &str = "simulated-aws-secret-access-key";
const WORKSPACES: [u64; 2] = [WORKSPACE, MANAGED_VPC_WORKSPACE];

/// The provider's platform on AWS: KMS, IAM and the account API.
pub struct Aws;

fn id_of(key: usize) -> String {
    format!("{key:08x}-1111-4111-8111-111111111111")
}

fn arn(key: usize) -> String {
    format!("arn:aws:kms:{REGION}:{AWS_ACCOUNT}:key/{}", id_of(key))
}

fn place(key: usize) -> (String, String) {
    (REGION.to_owned(), id_of(key))
}

fn root() -> String {
    format!("arn:aws:iam::{AWS_ACCOUNT}:root")
}

/// The statements that a key has before the history begins: they must stay.
fn first() -> Vec<Json> {
    let backup = format!("arn:aws:iam::{AWS_ACCOUNT}:role/backup");
    let all = json!([
        { "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": { "AWS": root() }, "Action": "kms:*", "Resource": "*" },
        {
            "Sid": "Backup",
            "Effect": "Allow",
            "Principal": { "AWS": backup },
            "Action": ["kms:Decrypt", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": { "Bool": { "kms:GrantIsForAWSResource": "false" } },
        },
    ]);
    all.as_array().cloned().unwrap_or_default()
}

fn policy_of(statements: &[Json]) -> String {
    json!({ "Version": "2012-10-17", "Id": "acme", "Statement": statements }).to_string()
}

fn statements(policy: &str) -> Vec<Json> {
    let policy: Json = serde_json::from_str(policy).unwrap_or_default();
    let all = policy.get("Statement").and_then(Json::as_array);
    all.cloned().unwrap_or_default()
}

fn set_state(key: &mut Key, state: &str) {
    key.metadata.insert("KeyState".to_owned(), json!(state));
    key.metadata
        .insert("Enabled".to_owned(), json!(state == "Enabled"));
}

fn is_pending(key: &Key) -> bool {
    key.metadata.get("KeyState").and_then(Json::as_str) == Some("PendingDeletion")
}

impl Platform for Aws {
    fn options(&self) -> Options {
        Options {
            ..Options::default()
        }
    }

    fn addresses(&self) -> (&'static str, &'static str) {
        (HOST, "")
    }

    fn prepare(&self, world: &mut World, keys: usize) {
        for key in 0..keys {
            let metadata = json!({
                "AWSAccountId": AWS_ACCOUNT,
                "Arn": arn(key),
                "CreationDate": 1_700_000_000,
                "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
                "Description": "",
                "Enabled": true,
                "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
                "KeyId": id_of(key),
                "KeyManager": "CUSTOMER",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "KeyState": "Enabled",
                "KeyUsage": "ENCRYPT_DECRYPT",
                "MultiRegion": false,
                "Origin": "AWS_KMS",
            });
            let made = Key {
                region: REGION.to_owned(),
                id: id_of(key),
                metadata: metadata.as_object().cloned().unwrap_or_default(),
                policy: policy_of(&first()),
                tags: [("team".to_owned(), "lakehouse".to_owned())].into(),
                rotates: true,
                grants: Vec::new(),
            };
            world.now.keys.insert(place(key), made);
        }
        // The role may use keys by its own policies, so that only key policies decide.
        for role in &mut world.now.roles {
            let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
            role.inline.insert("keys".to_owned(), all.to_owned());
        }
        let backup = format!("arn:aws:iam::{AWS_ACCOUNT}:role/backup");
        world.now.roles.push(Role::named(&backup));
        world.about_to_write();
    }

    fn others(&self, keys: usize) -> Others {
        Others((0..keys).map(|key| (key, first())).collect())
    }

    fn provider(&self) -> Value {
        let aws = Value::map([
            ("region", Value::string(REGION)),
            ("access_key", Value::string("AKIASIMULATED0000000")),
            ("secret_key", Value::string(SECRET)),
        ]);
        Value::map([
            ("host", Value::string(HOST)),
            ("account_id", Value::string(ACCOUNT_ID)),
            ("client_id", Value::string(CLIENT_ID)),
            ("client_secret", Value::string(CLIENT_SECRET)),
            ("aws", aws),
        ])
    }

    fn secrets(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            (CLIENT_SECRET, "Databricks"),
            (platform::basic(), "Databricks"),
            ("sandbox-access-token-", "Databricks"),
            (SECRET, "AWS"),
        ]
    }

    fn path(&self, _: &str, path: &str) -> String {
        path.to_owned()
    }

    fn configuration(&self, written: &Written) -> Configuration {
        let mut all = Configuration::new();
        for one in &written.policies {
            let mut aws = vec![("key_arn", Term::string(arn(one.key)))];
            if one.role {
                aws.push(("cross_account_role_arn", Term::string(ROLE_ARN)));
            }
            let body = Term::object([
                ("use_cases", set(&one.cases)),
                ("aws", Term::object(aws)),
                ("force_destroy", bool(one.force)),
            ]);
            all.insert(platform::policy(&one.name), Block::new(body));
        }
        for one in &written.configurations {
            let later = format!("{TERRAFORM_DATA}.key{}", one.key);
            let policy = written.policies.iter().find(|policy| policy.key == one.key);
            let key = match (one.by, policy) {
                (By::Policy, Some(policy)) => {
                    Term::of(platform::policy(&policy.name), "aws.key_arn")
                }
                (By::Later, _) => {
                    let input = Term::object([("input", Term::string(arn(one.key)))]);
                    all.insert(later.clone(), Block::new(input));
                    Term::of(later, "output")
                }
                _ => Term::string(arn(one.key)),
            };
            let mut aws = vec![("key_arn", key)];
            if one.cases.contains("STORAGE") {
                aws.push(("reuse_key_for_cluster_volumes", bool(one.volumes)));
            }
            let body = Term::object([("use_cases", set(&one.cases)), ("aws", Term::object(aws))]);
            all.insert(platform::configuration(&one.name), Block::new(body));
        }
        platform::bindings(written, &WORKSPACES, &mut all);
        all
    }

    fn other(&self, world: &mut World, other: Other, others: &mut Others) {
        world.about_to_write();
        platform::other_of_workspaces(world, &WORKSPACES, other, |world, key| {
            platform::configurations(world, "/aws_key_info/key_arn", &arn(key))
        });
        let Some(number) = other.key() else { return };
        let own = others.0.entry(number).or_default();
        let Some(key) = world.now.keys.get_mut(&place(number)) else {
            return;
        };
        match other {
            // KMS refuses both for a key whose deletion is scheduled.
            Other::Disables(_) if !is_pending(key) => set_state(key, "Disabled"),
            Other::Enables(_) if !is_pending(key) => set_state(key, "Enabled"),
            Other::Disables(_) | Other::Enables(_) => {}
            Other::ResetsAccess(_) => key.policy = policy_of(own),
            Other::AddsAccess(_) => {
                let statement = json!({
                    "Sid": format!("Other{}", own.len()),
                    "Effect": "Allow",
                    "Principal": { "AWS": root() },
                    "Action": "kms:ListGrants",
                    "Resource": "*",
                });
                let mut all = statements(&key.policy);
                all.push(statement.clone());
                key.policy = policy_of(&all);
                own.push(statement);
            }
            Other::Tags(_) => {
                key.tags.insert("owner".to_owned(), "security".to_owned());
            }
            Other::Deletes(_) => set_state(key, "PendingDeletion"),
            Other::Recovers(_) if is_pending(key) => set_state(key, "Disabled"),
            Other::Recovers(_)
            | Other::Rotates(_)
            | Other::StartsCompute(_)
            | Other::StopsCompute(_)
            | Other::Attaches { .. } => {}
        }
    }

    fn lost(&self, world: &mut World, others: &Others) -> Vec<String> {
        let mut lost = Vec::new();
        for (number, own) in &others.0 {
            let Some(key) = world.now.keys.get(&place(*number)) else {
                lost.push(format!("key {number}"));
                continue;
            };
            let found = statements(&key.policy);
            let gone = own.iter().filter(|one| !found.contains(one));
            lost.extend(gone.map(|one| format!("a statement of key {number}: {one}")));
            if key.tags.get("team").map(String::as_str) != Some("lakehouse") {
                lost.push(format!("a tag of key {number}"));
            }
        }
        lost
    }

    fn was_hidden(&self, lost: &str, asked: &Json, answer: &Json) -> bool {
        let lost = lost.strip_prefix("a statement of key ");
        let (key, statement) = lost.and_then(|lost| lost.split_once(": ")).unzip();
        let key = key.and_then(|key| key.parse().ok()).map(id_of);
        let named = asked.get("KeyId").and_then(Json::as_str);
        let is_of_key = key
            .zip(named)
            .is_some_and(|(key, named)| named.ends_with(&key));
        let statement: Option<Json> = statement
            .filter(|_| is_of_key)
            .and_then(|one| serde_json::from_str(one).ok());
        let shown = answer.get("Policy").and_then(Json::as_str);
        match (statement, shown) {
            (Some(statement), Some(shown)) => !statements(shown).contains(&statement),
            _ => false,
        }
    }

    fn uses<'a>(&'a self, services: &'a Services) -> Boxed<'a, BTreeMap<Use, bool>> {
        platform::account_uses(services, &WORKSPACES)
    }

    fn key(&self, key: usize) -> (&'static str, Value) {
        ("aws", Value::map([("key_arn", Value::string(arn(key)))]))
    }

    fn state(&self, world: &mut World, key: usize) -> KeyState {
        let key = world.now.keys.get(&place(key));
        let state = key.and_then(|key| key.metadata.get("KeyState")?.as_str());
        let tags = key.into_iter().flat_map(|key| &key.tags);
        KeyState {
            versions: vec![state.unwrap_or("missing").to_owned()],
            marks: tags
                .filter(|(name, _)| name.starts_with("dbxcmk"))
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    fn users(&self, world: &mut World, key: usize) -> BTreeSet<String> {
        let own = platform::configurations(world, "/aws_key_info/key_arn", &arn(key));
        platform::account_users(world, &WORKSPACES, &own)
    }

    fn readiness(&self, _: &mut World, _: usize, key: usize, cases: &[&'static str]) -> Value {
        let aws = Value::map([
            ("key_arn", Value::string(arn(key))),
            ("cross_account_role_arn", Value::string(ROLE_ARN)),
        ]);
        Value::map([("use_cases", platform::texts(cases)), ("aws", aws)])
    }

    fn key_of(&self, world: &mut World, (at, case): Use) -> Option<usize> {
        let attached = platform::attached(world, *WORKSPACES.get(at)?, case)?;
        (0..3).find(|key| {
            platform::configurations(world, "/aws_key_info/key_arn", &arn(*key)).contains(&attached)
        })
    }

    fn has(&self, world: &mut World, (at, case): Use, configuration: &str) -> bool {
        let workspace = WORKSPACES.get(at).copied().unwrap_or_default();
        platform::account_has(world, workspace, case, configuration)
    }
}
