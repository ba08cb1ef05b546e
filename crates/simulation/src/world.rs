//! The stage: the services with their keys and workspaces, and the configuration as Terraform and the disk have it.

use std::time::Duration;

use dbxcmk_sandbox::iam::Role;
use dbxcmk_sandbox::world::Key;
use dbxcmk_sandbox::{
    ACCOUNT_ID, AWS_ACCOUNT, CLIENT_ID, CLIENT_SECRET, MANAGED_VPC_WORKSPACE, Options, REGION,
    ROLE_ARN, Services, WORKSPACE,
};
use serde_json::{Value as Json, json};
use tfplugin::testing::terraform::{Block, Configuration, TERRAFORM_DATA, Term};
use tfplugin::value::Value;

use crate::history::{By, Written};

/// The account host.
pub const HOST: &str = "https://accounts.cloud.databricks.com";
/// The secret of the AWS access key.
const AWS_SECRET: &str = "simulated-aws-secret-access-key";
/// The secrets that there are, and whose they are.
pub const SECRETS: [(&str, &str); 2] = [(CLIENT_SECRET, "Databricks"), (AWS_SECRET, "AWS")];
/// How long what takes Databricks twenty minutes takes here.
pub const UPDATE: Duration = Duration::from_secs(90);
/// The workspaces.
pub const WORKSPACES: [u64; 2] = [WORKSPACE, MANAGED_VPC_WORKSPACE];

/// The id of a key.
fn id_of(key: usize) -> String {
    format!("{key:08x}-1111-4111-8111-111111111111")
}

/// The ARN of a key.
pub fn arn(key: usize) -> String {
    format!("arn:aws:kms:{REGION}:{AWS_ACCOUNT}:key/{}", id_of(key))
}

/// The place of a key in the services.
pub fn place(key: usize) -> (String, String) {
    (REGION.to_owned(), id_of(key))
}

/// The policy that a key has before anybody comes, and that nobody may lose anything of.
pub fn first_policy() -> String {
    let root = format!("arn:aws:iam::{AWS_ACCOUNT}:root");
    let policy = json!({
        "Version": "2012-10-17",
        "Id": "acme",
        "Statement": [
            { "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": { "AWS": root }, "Action": "kms:*", "Resource": "*" },
            {
                "Sid": "Backup",
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{AWS_ACCOUNT}:role/backup") },
                "Action": ["kms:Decrypt", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": { "Bool": { "kms:GrantIsForAWSResource": "false" } },
            },
        ],
    });
    policy.to_string()
}

/// The services, with this many keys.
pub fn services(keys: usize) -> Services {
    let options = Options {
        wait: UPDATE,
        cache: Duration::ZERO,
        ..Options::default()
    };
    let services = Services::new(options, HOST, "");
    services.with(|world| {
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
                policy: first_policy(),
                tags: [("team".to_owned(), "lakehouse".to_owned())].into(),
                rotates: true,
                grants: Vec::new(),
            };
            world.now.keys.insert(place(key), made);
        }
        // The role may use keys by its own policies, so that only key policies decide.
        for role in &mut world.now.roles {
            role.inline.insert(
                "keys".to_owned(),
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#.to_owned(),
            );
        }
        let backup = format!("arn:aws:iam::{AWS_ACCOUNT}:role/backup");
        world.now.roles.push(Role::named(&backup));
        world.about_to_write();
    });
    services
}

fn set<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Term {
    Term::List(
        all.into_iter()
            .map(|one| Term::string(one.as_ref()))
            .collect(),
    )
}

fn bool(value: bool) -> Term {
    Term::Value(Value::Bool(value))
}

/// The provider block.
pub fn provider() -> Value {
    Value::map([
        ("host", Value::string(HOST)),
        ("account_id", Value::string(ACCOUNT_ID)),
        ("client_id", Value::string(CLIENT_ID)),
        ("client_secret", Value::string(CLIENT_SECRET)),
        (
            "aws",
            Value::map([
                ("region", Value::string(REGION)),
                ("access_key", Value::string("AKIASIMULATED0000000")),
                ("secret_key", Value::string(AWS_SECRET)),
            ]),
        ),
    ])
}

/// What is written, as Terraform evaluates it.
pub fn configuration(written: &Written) -> Configuration {
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
        all.insert(format!("dbxcmk_key_policy.{}", one.name), Block::new(body));
    }
    for one in &written.configurations {
        let later = format!("{TERRAFORM_DATA}.key{}", one.key);
        let policy = written.policies.iter().find(|policy| policy.key == one.key);
        let key = match (one.by, policy) {
            (By::Policy, Some(policy)) => {
                Term::of(format!("dbxcmk_key_policy.{}", policy.name), "aws.key_arn")
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
        let address = format!("dbxcmk_key_configuration.{}", one.name);
        all.insert(address, Block::new(body));
    }
    for one in &written.bindings {
        let workspace = WORKSPACES.get(one.workspace).copied().unwrap_or(WORKSPACE);
        let mut fields = vec![("workspace_id", Term::string(workspace.to_string()))];
        for (field, configuration) in [
            ("managed_services_key_configuration_id", &one.managed),
            ("storage_key_configuration_id", &one.storage),
        ] {
            fields.extend(configuration.as_ref().map(|name| {
                let address = format!("dbxcmk_key_configuration.{name}");
                (field, Term::of(address, "id"))
            }));
        }
        fields.extend(
            one.settle
                .map(|settle| ("settle_time", Term::string(settle))),
        );
        let mut block = Block::new(Term::object(fields));
        if one.waits {
            let policies = written.policies.iter();
            block.depends_on = policies
                .map(|policy| format!("dbxcmk_key_policy.{}", policy.name))
                .collect();
        }
        all.insert(format!("dbxcmk_workspace_binding.{}", one.name), block);
    }
    all
}

/// The same as files have it: what the provider looks for on the disk.
pub fn text(configuration: &Configuration) -> String {
    let blocks = configuration.keys().filter_map(|address| {
        let (kind, name) = address.split_once('.')?;
        Some(format!("resource \"{kind}\" \"{name}\" {{}}\n"))
    });
    blocks.collect()
}

/// The statements of a policy.
pub fn statements(policy: &str) -> Vec<Json> {
    let policy: Json = serde_json::from_str(policy).unwrap_or_default();
    let all = policy.get("Statement").and_then(Json::as_array);
    all.cloned().unwrap_or_default()
}
