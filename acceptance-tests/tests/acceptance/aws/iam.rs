//! The other half of the truth: what the IAM policies of the cross-account role say.

use dbxcmk_sandbox::iam::Role;
use dbxcmk_sandbox::world::World;
use dbxcmk_sandbox::{ROLE_ARN, WORKSPACE};
use serde_json::json;

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{
    HEAD, HEAD_WITH_AWS, MANAGED_SERVICES, Over, STORAGE, Stage, policy,
};

const ALLOW_KMS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Volumes","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*"}]}"#;
const DENY_KMS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"No keys","Effect":"Deny","Action":"kms:*","Resource":"*"}]}"#;
const ONLY_EC2: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

/// A configuration for cluster volumes, and a binding.
fn bound(key: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn = "{key}"
  }}
}}

resource "dbxcmk_workspace_binding" "prod" {{
  workspace_id                          = "{WORKSPACE}"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s"
}}
"#
    )
}

/// The same, before the binding is written.
fn without_binding(whole: &str) -> &str {
    whole
        .split_once("resource \"dbxcmk_workspace_binding\"")
        .unwrap()
        .0
}

/// The cross-account role's statement of the key policy, as documented.
fn names_role() -> String {
    format!(
        r#"{{"Sid": "Volumes", "Effect": "Allow", "Principal": {{"AWS": "{ROLE_ARN}"}}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*",
  "kms:CreateGrant", "kms:DescribeKey"], "Resource": "*", "Condition": {{"ForAnyValue:StringLike": {{"kms:ViaService": "ec2.*.amazonaws.com"}}}}}}"#
    )
}

/// A row: what it is, whether the key policy names the role, what happens to the role, and what the proof of the binding says, with
/// words of its detail; nothing where it is proven.
type Row = (
    &'static str,
    bool,
    fn(&mut Role),
    Option<(&'static str, &'static [&'static str])>,
);

const ROWS: &[Row] = &[
    (
        "left to IAM, which allows it",
        false,
        |role| {
            role.inline.insert("keys".to_owned(), ALLOW_KMS.to_owned());
        },
        None,
    ),
    (
        "left to IAM, which does not allow it",
        false,
        |_| {},
        Some((
            "The IAM policies of the cross-account role do not allow what it needs",
            &[
                "none of them allows kms:Decrypt",
                "\"kms:CreateGrant\"",
                "[role-iam-missing-action]",
            ],
        )),
    ),
    (
        "named, and denied by an attached policy",
        true,
        |role| {
            role.attached.insert(
                "arn:aws:iam::123456789012:policy/guardrail".to_owned(),
                DENY_KMS.to_owned(),
            );
        },
        Some((
            "An IAM policy denies the cross-account role the use of the key",
            &["\"No keys\" of arn:aws:iam::123456789012:policy/guardrail denies kms:Decrypt"],
        )),
    ),
    (
        "named, and outside of the boundary",
        true,
        |role| {
            role.boundary = Some((
                "arn:aws:iam::123456789012:policy/boundary".to_owned(),
                ONLY_EC2.to_owned(),
            ));
        },
        Some((
            "The permissions boundary of the cross-account role excludes the key",
            &[
                "arn:aws:iam::123456789012:policy/boundary",
                "does not allow kms:Decrypt",
            ],
        )),
    ),
    (
        "named, and within the boundary",
        true,
        |role| {
            role.boundary = Some((
                "arn:aws:iam::123456789012:policy/boundary".to_owned(),
                ALLOW_KMS.to_owned(),
            ));
        },
        None,
    ),
    (
        "a role that is gone",
        true,
        |role| role.arn = "arn:aws:iam::123456789012:role/another".to_owned(),
        Some((
            "The cross-account role does not exist",
            &["IAM has no role arn:aws:iam::123456789012:role/databricks-cross-account"],
        )),
    ),
    (
        "a policy that cannot be read",
        true,
        |role| {
            role.inline
                .insert("odd".to_owned(), ALLOW_KMS.but("Allow", "Maybe"));
        },
        Some((
            "An IAM policy of the cross-account role is not valid",
            &["The inline policy odd is not a valid policy"],
        )),
    ),
];

fn stage(names_the_role: bool, change: fn(&mut Role)) -> (Stage, String) {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    let role = names_role();
    let mut statements = vec![MANAGED_SERVICES, STORAGE];
    if names_the_role {
        statements.push(&role);
    }
    stage.kms.put_policy(&key, &policy(&key, &statements));
    stage
        .sandbox
        .with(|world| world.now.roles.iter_mut().for_each(change));
    (stage, key)
}

/// Nothing in the configuration can change the role, so the plan stops. Where something can, it is a warning until the apply.
#[test]
fn the_role_is_judged_by_all_of_its_policies() {
    for (what, names_the_role, change, expected) in ROWS {
        let (stage, key) = stage(*names_the_role, *change);
        let whole = bound(&key);
        stage.configure(without_binding(&whole));
        stage.workdir.apply();
        stage.configure(&whole);
        match expected {
            None => {
                let plan = stage.workdir.plan();
                let role_warnings: Vec<&str> = plan
                    .run
                    .warnings()
                    .into_iter()
                    .filter(|one| one.contains("role"))
                    .collect();
                assert!(role_warnings.is_empty(), "{what}: {role_warnings:?}");
                stage.workdir.apply();
                stage.workdir.empty_plan();
            }
            Some((summary, words)) => {
                let run = stage.workdir.refused_plan();
                let error = run.error(summary);
                for words in *words {
                    assert!(
                        error.detail.contains(words),
                        "{what}: {words} is missing in:\n{}",
                        error.detail
                    );
                }
                assert_eq!(stage.asked("PATCH /workspaces").len(), 0, "{what}");
            }
        }
    }
}

/// Databricks launches clusters with the role: a trust policy that does not let it do so looks like a problem of the key.
#[test]
fn a_role_that_does_not_trust_databricks_is_pointed_out() {
    let (stage, key) = stage(true, |role| {
        role.trust = role.trust.wherever("2a6f0a5c", "00000000");
    });
    let whole = bound(&key);
    stage.configure(without_binding(&whole));
    stage.workdir.apply();
    stage.configure(&whole);
    let run = stage.workdir.plan().run;
    let warning = run
        .warning("The trust policy of the cross-account role does not let Databricks use the role");
    for words in [
        "sts:ExternalId",
        "arn:aws:iam::414351767826:root",
        "[role-trust]",
    ] {
        assert!(warning.detail.contains(words), "{}", warning.detail);
    }
}

/// What cannot be read says why, and how to have it read.
#[test]
fn a_role_that_cannot_be_read_says_what_to_grant() {
    let (stage, key) = stage(false, |_| {});
    stage
        .sandbox
        .with(|world| world.now.iam_denies.insert("GetRole".to_owned()));
    let whole = bound(&key);
    let configuration = without_binding(&whole);
    stage.configure(configuration);
    stage.workdir.apply();
    stage.configure(&whole);
    let run = stage.workdir.plan().run;
    let warning = run.warning("The cross-account role depends on its IAM policies");
    for words in [
        "is not allowed to call iam:GetRole",
        "\"iam:ListAttachedRolePolicies\"",
        "\"iam:GetRolePolicy\"",
    ] {
        assert!(
            warning.detail.contains(words),
            "{words} is missing in:\n{}",
            warning.detail
        );
    }
    let off = format!(
        "{}{whole}",
        HEAD.but(
            "provider \"dbxcmk\" {}",
            "provider \"dbxcmk\" {\n  aws = {\n    examine_iam = false\n  }\n}"
        )
    );
    stage.workdir.configuration(&off);
    let asked = stage.asked("IAM").len();
    let run = stage.workdir.plan().run;
    let warning = run.warning("The cross-account role depends on its IAM policies");
    assert!(
        warning.detail.contains("`aws.examine_iam` is `false`"),
        "{}",
        warning.detail
    );
    assert_eq!(stage.asked("IAM").len(), asked);
}

/// Taking the name of the role out of the key policy loses nothing where its IAM policies allow what it needs.
#[test]
fn a_role_that_iam_allows_loses_nothing() {
    for (inline, is_refused) in [(ALLOW_KMS, false), (ONLY_EC2, true)] {
        let stage = Stage::new(Over::Sandbox);
        stage.sandbox.with(|world| {
            for role in &mut world.now.roles {
                role.inline.insert("keys".to_owned(), inline.to_owned());
            }
        });
        let key = stage.kms.create_key(&json!({}));
        stage.kms.put_policy(&key, &policy(&key, &[]));
        let policy_of = |role: &str| {
            format!(
                "resource \"dbxcmk_key_policy\" \"lakehouse\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn = \
                 \"{key}\"\n{role}  }}\n}}\n{}",
                bound(&key).but(
                    &format!("\"{key}\""),
                    "dbxcmk_key_policy.lakehouse.aws.key_arn"
                )
            )
        };
        stage.configure(&policy_of(&format!(
            "    cross_account_role_arn = \"{ROLE_ARN}\"\n"
        )));
        stage.workdir.apply();
        // The plan reports what a change may not take away and another writer takes away.
        let all = stage.kms.policy(&key);
        let mut without: serde_json::Value = serde_json::from_str(&all).unwrap();
        let statements = without["Statement"].as_array_mut().unwrap();
        statements.retain(|one| !one["Sid"].to_string().contains("EBS"));
        stage.kms.put_policy(&key, &without.to_string());
        let shown = stage
            .workdir
            .run(&["plan", "-json", "-input=false"])
            .shown();
        let is_warned = shown.contains("Workspaces cannot use the key");
        assert_eq!(is_warned, is_refused, "{shown}");
        stage.kms.put_policy(&key, &all);
        stage.configure(&policy_of(""));
        if is_refused {
            let run = stage.workdir.refused_plan();
            run.error("Workspaces need these statements of the key policy");
        } else {
            stage.workdir.apply();
            stage.workdir.empty_plan();
        }
    }
}

/// One role of many workspaces is read once in a plan.
#[test]
fn a_plan_reads_each_role_once() {
    let (stage, key) = stage(true, |_| {});
    stage.workspaces(40);
    let whole = bound(&key);
    let configuration = without_binding(&whole);
    stage.configure(configuration);
    stage.workdir.apply();
    let many = format!(
        r#"{configuration}
resource "dbxcmk_workspace_binding" "all" {{
  for_each = toset([for number in range(1, 41) : tostring(number)])

  workspace_id                 = each.key
  storage_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
}}
"#
    );
    stage.configure(&many);
    let before = stage.sandbox.requests().len();
    stage.workdir.plan();
    let count = |operation: &str| {
        let requests = stage.sandbox.requests();
        let new = requests.iter().skip(before);
        new.filter(|one| one.operation == operation).count()
    };
    for operation in ["IAM GetRole", "KMS GetKeyPolicy", "KMS DescribeKey"] {
        assert_eq!(count(operation), 1, "{operation}");
    }
}

/// A service that does not exist is an error, and not a name that the provider passes over.
#[test]
fn an_unknown_service_of_the_endpoints_is_refused() {
    let stage = Stage::new(Over::Sandbox);
    let head = HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  aws = {\n    endpoints = {\n      kmss = \"http://localhost:4566\"\n    }\n  }\n}",
    );
    stage.workdir.configuration(&format!(
        "{head}\ndata \"dbxcmk_key_configurations\" \"all\" {{}}\n"
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("Unknown service in aws.endpoints");
    assert!(
        error.detail.contains("did you mean `kms`?"),
        "{}",
        error.detail
    );
}

mod over_localstack {
    use super::*;

    /// hashicorp/aws makes the role, its policies and its boundary: first without the key, then with it.
    #[test]
    fn a_role_of_hashicorp_aws_is_read_as_it_is() {
        let stage = Stage::new(Over::LocalStack);
        let role = "arn:aws:iam::000000000000:role/dbx-volumes";
        stage.sandbox.with(|world| {
            for credentials in world.now.credentials.values_mut() {
                *credentials
                    .pointer_mut("/aws_credentials/sts_role/role_arn")
                    .unwrap() = json!(role);
            }
        });
        let key = stage.good_key();
        let role = |policy: &str| {
            format!(
                r#"
resource "aws_iam_policy" "boundary" {{
  name   = "dbx-boundary"
  policy = jsonencode(jsondecode(<<-JSON
    {ALLOW_KMS}
  JSON
  ))
}}

resource "aws_iam_role" "volumes" {{
  name                 = "dbx-volumes"
  permissions_boundary = aws_iam_policy.boundary.arn
  assume_role_policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = {{ AWS = "arn:aws:iam::414351767826:root" }}
      Condition = {{ StringEquals = {{ "sts:ExternalId" = "{}" }} }}
    }}]
  }})
}}

resource "aws_iam_role_policy" "volumes" {{
  name   = "volumes"
  role   = aws_iam_role.volumes.name
  policy = jsonencode(jsondecode(<<-JSON
    {policy}
  JSON
  ))
}}
"#,
                dbxcmk_sandbox::ACCOUNT_ID
            )
        };
        let whole = bound(&key);
        let configuration = without_binding(&whole);
        stage
            .workdir
            .configuration(&format!("{HEAD_WITH_AWS}{}{configuration}", role(ONLY_EC2)));
        stage.workdir.apply();
        stage
            .workdir
            .configuration(&format!("{HEAD_WITH_AWS}{}{whole}", role(ONLY_EC2)));
        let run = stage.workdir.plan().run;
        run.warning("The IAM policies of the cross-account role do not allow what it needs");
        // The same plan changes the policy of the role; the proof at apply sees the new one.
        let waits = whole.but(
            "  settle_time",
            "  depends_on   = [aws_iam_role_policy.volumes]\n  settle_time",
        );
        stage
            .workdir
            .configuration(&format!("{HEAD_WITH_AWS}{}{waits}", role(ALLOW_KMS)));
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }
}

/// The provider with `aws.simulate`.
fn simulating() -> String {
    HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  aws = {\n    simulate = true\n  }\n}",
    )
}

/// AWS's policy simulator knows what no other call shows: the service control policies of the organization.
#[test]
fn the_simulator_is_asked_for_a_second_opinion() {
    type Change = fn(&mut World);
    let rows: [(&str, Change, Option<(&str, &str)>); 4] = [
        (
            "no organization",
            |world| {
                world.now.roles[0]
                    .inline
                    .insert("keys".to_owned(), ALLOW_KMS.to_owned());
            },
            None,
        ),
        (
            "an organization that allows everything",
            |world| {
                world.now.roles[0]
                    .inline
                    .insert("keys".to_owned(), ALLOW_KMS.to_owned());
                let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
                world.now.service_control_policies = vec![all.to_owned()];
            },
            None,
        ),
        (
            "an organization that denies keys",
            |world| {
                world.now.roles[0]
                    .inline
                    .insert("keys".to_owned(), ALLOW_KMS.to_owned());
                world.now.service_control_policies = vec![DENY_KMS.to_owned()];
            },
            Some((
                "A service control policy denies the cross-account role the use of the key",
                "kms:CreateGrant",
            )),
        ),
        (
            "a simulator that nobody may ask",
            |world| {
                world.now.roles[0]
                    .inline
                    .insert("keys".to_owned(), ALLOW_KMS.to_owned());
                world
                    .now
                    .iam_denies
                    .insert("SimulatePrincipalPolicy".to_owned());
            },
            None,
        ),
    ];
    for (what, change, expected) in rows {
        let (stage, key) = stage(false, |_| {});
        stage.sandbox.with(change);
        let whole = bound(&key);
        stage
            .workdir
            .configuration(&format!("{}{}", simulating(), without_binding(&whole)));
        stage.workdir.apply();
        stage
            .workdir
            .configuration(&format!("{}{whole}", simulating()));
        let plan = stage.workdir.plan();
        assert_ne!(
            stage.asked("IAM SimulatePrincipalPolicy").len(),
            0,
            "{what}"
        );
        match expected {
            None => {
                stage.workdir.apply();
                stage.workdir.empty_plan();
            }
            Some((summary, words)) => {
                let warning = plan.run.warning(summary);
                assert!(warning.detail.contains(words), "{what}: {}", warning.detail);
                stage.workdir.failed_apply().error(summary);
                assert_eq!(stage.asked("PATCH /workspaces").len(), 0, "{what}");
            }
        }
    }
}

/// Ten keys and ten roles under a thousand workspaces: each is read once.
#[test]
fn a_thousand_bindings_read_each_key_and_each_role_once() {
    let (stage, _) = stage(true, |_| {});
    let account = dbxcmk_sandbox::ACCOUNT_ID;
    let id = |number: usize| format!("c1000000-0000-4000-8000-{number:012}");
    stage.workspaces(1000);
    for number in 0..10 {
        let key = stage.kms.create_key(&json!({}));
        let role = format!("arn:aws:iam::123456789012:role/clusters-{number}");
        let own = Role {
            arn: role.clone(),
            ..Role::cross_account()
        };
        stage.sandbox.with(|world| world.now.roles.push(own));
        let statement = names_role().but(ROLE_ARN, &role);
        stage.kms.put_policy(
            &key,
            &policy(&key, &[MANAGED_SERVICES, STORAGE, &statement]),
        );
        stage.sandbox.with(|world| {
            let configuration = json!({ "customer_managed_key_id": id(number), "account_id": account,
                "use_cases": ["MANAGED_SERVICES", "STORAGE"],
                "aws_key_info": { "key_arn": key, "key_region": dbxcmk_sandbox::REGION } });
            world.now.configurations.insert(id(number), configuration);
            let credentials = json!({ "credentials_id": id(number), "credentials_name": role, "account_id": account,
                "aws_credentials": { "sts_role": { "role_arn": role } } });
            world.now.credentials.insert(id(number), credentials);
        });
    }
    stage.sandbox.with(|world| {
        for number in 1..=1000_u64 {
            let fields = &mut world.workspace(number).fields;
            let own = usize::try_from(number).unwrap() % 10;
            fields.insert("credentials_id".to_owned(), json!(id(own)));
        }
    });
    let ids: Vec<String> = (0..10)
        .map(|number| format!("\"{}\"", id(number)))
        .collect();
    stage.configure(&format!(
        "\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = 1000\n  workspace_id = count.index + 1\n  \
         storage_key_configuration_id = [{}][(count.index + 1) % 10]\n}}\n",
        ids.join(", ")
    ));
    let before = stage.sandbox.requests().len();
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_workspace_binding.all[999]"), "create");
    let asked: Vec<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .skip(before)
        .map(|record| record.operation)
        .collect();
    for operation in [
        "KMS DescribeKey",
        "KMS GetKeyPolicy",
        "IAM GetRole",
        "IAM ListRolePolicies",
    ] {
        let many = asked.iter().filter(|one| *one == operation).count();
        assert_eq!(many, 10, "{operation}");
    }
    let account = asked.iter().filter(|one| one.contains("/api/2.0/")).count();
    assert!(account <= 16, "{account} account calls");
}
