//! Tables over plans of all three clouds: what a review finds, and in which words.

use serde_json::{Value as Json, json};

use super::*;
use vocabulary::Cloud;
use vocabulary::words::foreign;

const ID: &str = "c1000000-0000-4000-8000-000000000001";
const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Gcp, Cloud::Azure];

/// A change as a plan has it.
fn change(address: &str, actions: &[&str], before: Json, after: Json) -> Json {
    with_unknown(address, actions, before, after, json!({}))
}

fn with_unknown(address: &str, actions: &[&str], before: Json, after: Json, unknown: Json) -> Json {
    let kind = without_indexes(address);
    let kind = kind.rsplit('.').nth(1).unwrap_or_default().to_owned();
    json!({
        "address": address, "mode": "managed", "type": kind, "name": "x",
        "change": { "actions": actions, "before": before, "after": after, "after_unknown": unknown },
    })
}

fn quiet(address: &str, state: &Json) -> Json {
    change(address, &["no-op"], state.clone(), state.clone())
}

fn reviewed(changes: Vec<Json>) -> Report {
    reviewed_with(json!({}), json!({}), changes)
}

/// With provider blocks and variables.
fn reviewed_with(configuration: Json, variables: Json, changes: Vec<Json>) -> Report {
    let plan = json!({ "format_version": "1.2", "resource_changes": changes, "configuration": configuration, "variables": variables });
    review(&plan.to_string()).expect("it is a plan")
}

fn found(report: &Report) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = report
        .findings
        .iter()
        .map(|one| (one.id.name(), one.level.name()))
        .collect();
    all.sort_unstable();
    all
}

/// The key of a cloud: the first or the second.
fn key(cloud: &Cloud, number: usize) -> String {
    match cloud {
        Cloud::Aws => format!(
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-12345678900{number}"
        ),
        Cloud::Gcp => {
            format!("projects/acme/locations/us-east4/keyRings/lakehouse/cryptoKeys/main{number}")
        }
        _ => format!("https://acme.vault.azure.net/keys/main{number}"),
    }
}

fn attribute(cloud: &Cloud) -> (&'static str, &'static str) {
    match cloud {
        Cloud::Aws => ("aws", "key_arn"),
        Cloud::Gcp => ("gcp", "kms_key_id"),
        _ => ("azure", "key_vault_key_id"),
    }
}

fn id(cloud: &Cloud, number: usize) -> String {
    match cloud {
        Cloud::Azure => key(cloud, number),
        _ => ID.replace("0001", &format!("000{number}")),
    }
}

fn configuration(cloud: &Cloud, number: usize) -> Json {
    let (block, name) = attribute(cloud);
    let cases = ["MANAGED_SERVICES", "STORAGE"];
    json!({ "id": id(cloud, number), "use_cases": cases, block: { name: key(cloud, number) } })
}

const STATEMENTS: &str = "[{\"Sid\":\"Allow Databricks to use KMS key for DBFS\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::414351767826:root\"},\"Action\":[\"kms:Encrypt\",\"kms:Decrypt\",\"kms:ReEncrypt*\",\"kms:GenerateDataKey*\",\"kms:DescribeKey\"],\"Resource\":\"*\"}]";

fn policy(cloud: &Cloud, number: usize) -> Json {
    let key = key(cloud, number);
    let cases = ["STORAGE"];
    match cloud {
        Cloud::Aws => {
            json!({ "use_cases": cases, "aws": { "key_arn": key }, "statements": STATEMENTS })
        }
        Cloud::Gcp => {
            json!({ "use_cases": cases, "gcp": { "kms_key_id": key, "members": ["serviceAccount:a@b"] } })
        }
        _ => {
            json!({ "use_cases": cases, "azure": { "key_vault_key_id": key, "principals": ["00000000-0000-4000-8000-000000000009"] } })
        }
    }
}

/// A binding of a workspace, for all use cases of the cloud.
fn binding(cloud: &Cloud, workspace: &str) -> Json {
    let id = id(cloud, 1);
    let mut own = json!({ "workspace_name": format!("name-{workspace}"), "managed_services_key_configuration_id": id,
        "storage_key_configuration_id": id });
    match cloud {
        Cloud::Azure => {
            own["azure"] = json!({ "workspace_resource_id": resource(workspace) });
            own["managed_disks_key_configuration_id"] = json!(id);
        }
        _ => own["workspace_id"] = json!(workspace),
    }
    own
}

fn resource(workspace: &str) -> String {
    format!(
        "/subscriptions/0/resourceGroups/Acme/providers/Microsoft.Databricks/workspaces/{workspace}"
    )
}

/// A workspace that lives on the first key of a cloud.
fn around(cloud: &Cloud) -> Vec<Json> {
    vec![
        quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1)),
        quiet("dbxcmk_workspace_binding.around", &binding(cloud, "1")),
        quiet("dbxcmk_key_policy.x", &policy(cloud, 1)),
    ]
}

#[test]
fn a_binding_that_moves_attaches_here_and_forgets_there() {
    for cloud in &CLOUDS {
        let (before, mut after) = (binding(cloud, "1"), binding(cloud, "2"));
        let configuration = quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1));
        let storage = match cloud {
            Cloud::Azure => ("storage-key-attached", "note"),
            _ => ("storage-key-attached", "irreversible"),
        };
        let mut expected = vec![
            ("binding-forgotten", "warning"),
            ("managed-services-key-attached", "irreversible"),
            storage,
        ];
        if *cloud == Cloud::Azure {
            expected.push(("managed-disks-key-attached", "irreversible"));
        }
        expected.sort_unstable();
        let moved = change(
            "dbxcmk_workspace_binding.x",
            &["delete", "create"],
            before.clone(),
            after.clone(),
        );
        let report = reviewed(vec![configuration.clone(), moved]);
        assert_eq!(found(&report), expected, "{cloud}");
        let shown = text(&report);
        assert!(
            shown.contains("stay attached to name-1") && shown.contains("name-2"),
            "{shown}"
        );
        assert!(!shown.contains("after   none"), "{shown}");
        assert!(
            report.verdict.contains("The keys of 1 workspace change"),
            "{}",
            report.verdict
        );

        // The new workspace is known only after the apply: its name is not that of the former one.
        after["workspace_name"] = Json::Null;
        let unknown = match cloud {
            Cloud::Azure => {
                after["azure"] = json!({});
                json!({ "azure": { "workspace_resource_id": true }, "workspace_name": true })
            }
            _ => {
                after["workspace_id"] = Json::Null;
                json!({ "workspace_id": true, "workspace_name": true })
            }
        };
        let moved = with_unknown(
            "dbxcmk_workspace_binding.x",
            &["delete", "create"],
            before.clone(),
            after,
            unknown,
        );
        let report = reviewed(vec![configuration.clone(), moved]);
        assert_eq!(found(&report), expected, "{cloud}");
        assert!(
            text(&report).contains("a workspace that is known only after the apply gets"),
            "{}",
            text(&report)
        );

        // Azure does not distinguish upper and lower case.
        let mut same = before.clone();
        if let Some(own) = same.pointer_mut("/azure/workspace_resource_id") {
            *own = json!(resource("1").to_lowercase());
        }
        let same = change("dbxcmk_workspace_binding.x", &["update"], before, same);
        assert_eq!(found(&reviewed(vec![configuration, same])), [], "{cloud}");
    }
}

#[test]
fn a_workspace_that_is_deleted_keeps_no_keys() {
    for (kind, id, cloud) in [
        (
            "databricks_mws_workspaces.x",
            json!({ "workspace_id": 1 }),
            Cloud::Aws,
        ),
        (
            "azurerm_databricks_workspace.x",
            json!({ "id": resource("1") }),
            Cloud::Azure,
        ),
    ] {
        let changes = vec![
            change(kind, &["delete"], id, Json::Null),
            change(
                "dbxcmk_workspace_binding.x",
                &["delete"],
                binding(&cloud, "1"),
                Json::Null,
            ),
        ];
        let report = reviewed(changes);
        assert_eq!(found(&report), [("workspace-replaced", "error")]);
        assert!(
            text(&report).contains("deleted with the workspace"),
            "{}",
            text(&report)
        );
    }
}

#[test]
fn a_binding_that_is_destroyed_only_forgets() {
    for cloud in &CLOUDS {
        for action in ["delete", "forget"] {
            let gone = change(
                "dbxcmk_workspace_binding.x",
                &[action],
                binding(cloud, "1"),
                Json::Null,
            );
            let report = reviewed(vec![
                quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1)),
                gone,
            ]);
            assert_eq!(
                found(&report),
                [("binding-forgotten", "warning")],
                "{cloud}"
            );
            let shown = text(&report) + &markdown(&report);
            assert!(
                !shown.contains("taken back")
                    && !shown.contains("none")
                    && !shown.contains(", before"),
                "{shown}"
            );
            assert!(
                report.verdict.contains("No workspace key changes"),
                "{}",
                report.verdict
            );
        }
    }
}

/// A key policy moves from the first key to the second. Each row: what else the plan has, and what the review finds.
#[test]
fn a_key_policy_that_moves_takes_the_permissions_from_the_former_key() {
    for cloud in &CLOUDS {
        let moves = |actions: &[&str]| {
            change(
                "dbxcmk_key_policy.y",
                actions,
                policy(cloud, 1),
                policy(cloud, 2),
            )
        };
        let mut deposed = change(
            "dbxcmk_key_policy.y",
            &["delete"],
            policy(cloud, 1),
            Json::Null,
        );
        deposed["deposed"] = json!("0123abcd");
        let stays = quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1));
        let used = || around(cloud).into_iter().take(2).collect::<Vec<_>>();
        let leaves = change(
            "dbxcmk_key_configuration.x",
            &["delete", "create"],
            configuration(cloud, 1),
            configuration(cloud, 2),
        );
        let error = ("permissions-lost", "error");
        let warning = ("permissions-lost", "warning");
        let rows: Vec<(&str, Vec<Json>, Vec<(&str, &str)>)> = vec![
            (
                "a workspace uses the former key",
                [used(), vec![moves(&["delete", "create"])]].concat(),
                vec![error],
            ),
            (
                "the new one is created first",
                [used(), vec![moves(&["create", "delete"])]].concat(),
                vec![error],
            ),
            (
                "the former one is left over",
                [
                    used(),
                    vec![deposed, quiet("dbxcmk_key_policy.y", &policy(cloud, 2))],
                ]
                .concat(),
                vec![error],
            ),
            (
                "only the configuration names the former key",
                vec![stays, moves(&["delete", "create"])],
                vec![error],
            ),
            (
                "the configuration moves as well, and no workspace uses it",
                vec![leaves, moves(&["delete", "create"])],
                match cloud {
                    Cloud::Azure => vec![warning],
                    _ => vec![("key-configuration-deleted", "warning"), warning],
                },
            ),
            (
                "another key policy keeps the permissions",
                [around(cloud), vec![moves(&["delete", "create"])]].concat(),
                vec![],
            ),
        ];
        for (what, changes, expected) in rows {
            let report = reviewed(changes);
            assert_eq!(
                found(&report),
                expected,
                "{cloud}: {what}: {}",
                text(&report)
            );
            if expected == [error] {
                assert!(text(&report).contains(&key(cloud, 1)), "{cloud}: {what}");
            }
        }
        // What Terraform only forgets stays as it is.
        let forgotten = change(
            "dbxcmk_key_policy.y",
            &["forget"],
            policy(cloud, 1),
            Json::Null,
        );
        assert_eq!(
            found(&reviewed([used(), vec![forgotten]].concat())),
            [],
            "{cloud}"
        );
    }
}

/// What another provider writes leaves the key as well.
#[test]
fn a_peers_policy_that_moves_takes_the_permissions_from_the_former_key() {
    let whole = |number: usize| json!({ "key_id": key(&Cloud::Aws, number), "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}]}" });
    let member = |number: usize| {
        json!({ "crypto_key_id": key(&Cloud::Gcp, number), "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "member": "serviceAccount:db-1@prod-gcp-us-east4.iam.gserviceaccount.com" })
    };
    let access = |vault: &str| json!({ "key_vault_id": vault, "object_id": "00000000-0000-4000-8000-000000000009", "key_permissions": ["Get", "WrapKey", "UnwrapKey"] });
    let rows = [
        (
            Cloud::Aws,
            "aws_kms_key_policy.y",
            whole(1),
            whole(2),
            ("key-policy-reset", "error"),
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key_iam_member.y",
            member(1),
            member(2),
            ("permissions-lost", "error"),
        ),
        (
            Cloud::Azure,
            "azurerm_key_vault_access_policy.y",
            access("/vault/1"),
            access("/vault/2"),
            ("permissions-lost", "error"),
        ),
    ];
    for (cloud, address, before, after, expected) in rows {
        let moved = change(address, &["delete", "create"], before, after);
        let report = reviewed([around(&cloud), vec![moved]].concat());
        assert!(
            found(&report).contains(&expected),
            "{address}: {}",
            text(&report)
        );
    }
}

/// A policy under another name: the new one keeps what the old one gives up.
#[test]
fn a_renamed_key_policy_loses_nothing() {
    for cloud in &CLOUDS {
        let changes = vec![
            quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1)),
            quiet("dbxcmk_workspace_binding.x", &binding(cloud, "1")),
            change(
                "dbxcmk_key_policy.old",
                &["delete"],
                policy(cloud, 1),
                Json::Null,
            ),
            change(
                "dbxcmk_key_policy.new",
                &["create"],
                Json::Null,
                policy(cloud, 1),
            ),
        ];
        assert_eq!(found(&reviewed(changes)), [], "{cloud}");
    }
}

/// The same workspace and keys at another address attach nothing; other keys are what they are without the new address.
#[test]
fn a_renamed_binding_attaches_nothing() {
    for cloud in &CLOUDS {
        let renamed = |after: Json, action: &str| {
            reviewed(vec![
                quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1)),
                change(
                    "dbxcmk_workspace_binding.old",
                    &[action],
                    binding(cloud, "1"),
                    Json::Null,
                ),
                change(
                    "dbxcmk_workspace_binding.new",
                    &["create"],
                    Json::Null,
                    after,
                ),
            ])
        };
        for action in ["delete", "forget"] {
            let report = renamed(binding(cloud, "1"), action);
            assert_eq!(found(&report), [("binding-renamed", "note")], "{cloud}");
            let shown = text(&report);
            assert!(
                shown.contains("from = dbxcmk_workspace_binding.old")
                    && shown.contains("does not change the encryption"),
                "{shown}"
            );
        }
        let mut other = binding(cloud, "1");
        other["managed_services_key_configuration_id"] = json!(id(cloud, 2));
        assert_eq!(
            found(&renamed(other, "delete")),
            [
                ("binding-renamed", "note"),
                ("managed-services-key-rotated", "warning")
            ],
            "{cloud}"
        );
        // A binding of another workspace is not the same binding under a new name.
        let two = found(&renamed(binding(cloud, "2"), "delete"));
        assert!(
            two.contains(&("binding-forgotten", "warning"))
                && !two.contains(&("binding-renamed", "note")),
            "{cloud}: {two:?}"
        );
    }
}

/// A binding that is only recorded: the resource of the workspace shows the keys.
#[test]
fn keys_that_the_workspace_has_already_are_not_attached() {
    let cloud = Cloud::Aws;
    for (storage, expected) in [
        (id(&cloud, 1), vec![]),
        (
            id(&cloud, 2),
            vec![("storage-key-attached", "irreversible")],
        ),
    ] {
        let workspace = json!({ "workspace_id": 1, "workspace_name": "w",
            "managed_services_customer_managed_key_id": id(&cloud, 1), "storage_customer_managed_key_id": storage });
        let report = reviewed(vec![
            quiet("dbxcmk_key_configuration.x", &configuration(&cloud, 1)),
            quiet("databricks_mws_workspaces.x", &workspace),
            change(
                "dbxcmk_workspace_binding.x",
                &["create"],
                Json::Null,
                binding(&cloud, "1"),
            ),
        ]);
        assert_eq!(found(&report), expected);
    }
}

/// Each row: the resource of a key that this provider disabled, before and after an apply, and what the review finds.
#[test]
fn a_key_that_is_revoked_does_not_come_back_without_a_word() {
    let arn = key(&Cloud::Aws, 1);
    let aws =
        |enabled: bool, tags: Json| json!({ "arn": arn, "is_enabled": enabled, "tags": tags });
    let replica = |enabled: bool| json!({ "arn": arn, "enabled": enabled });
    let google = |labels: Json| json!({ "id": key(&Cloud::Gcp, 1), "effective_labels": labels });
    let version = |state: &str| json!({ "crypto_key": key(&Cloud::Gcp, 1), "state": state });
    let azure = |tags: Json| json!({ "versionless_id": key(&Cloud::Azure, 1), "tags": tags });
    let (tag, none) = (json!({ "dbxcmk:disabled": "2026-11-30" }), json!({}));
    let label = json!({ "dbxcmk-before": "x" });
    let own = json!({ "dbxcmk-disabled": "2026-11-30" });
    let rows = [
        (
            Cloud::Aws,
            "aws_kms_key.x",
            aws(false, tag.clone()),
            aws(true, none.clone()),
            Some("error"),
        ),
        (
            Cloud::Aws,
            "aws_kms_key.x",
            aws(false, tag.clone()),
            aws(false, none.clone()),
            Some("error"),
        ),
        (
            Cloud::Aws,
            "aws_kms_key.x",
            aws(false, tag.clone()),
            aws(true, tag.clone()),
            Some("warning"),
        ),
        (
            Cloud::Aws,
            "aws_kms_key.x",
            aws(false, none.clone()),
            aws(true, Json::Null),
            Some("warning"),
        ),
        (
            Cloud::Aws,
            "aws_kms_key.x",
            aws(false, tag.clone()),
            aws(false, tag),
            None,
        ),
        (
            Cloud::Aws,
            "aws_kms_replica_key.x",
            replica(false),
            replica(true),
            Some("warning"),
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key.x",
            google(label.clone()),
            google(none.clone()),
            Some("error"),
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key.x",
            google(label.clone()),
            google(label),
            None,
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key_version.x",
            version("DISABLED"),
            version("ENABLED"),
            Some("warning"),
        ),
        (
            Cloud::Azure,
            "azurerm_key_vault_key.x",
            azure(own.clone()),
            azure(none),
            Some("error"),
        ),
        (
            Cloud::Azure,
            "azurerm_key_vault_key.x",
            azure(own.clone()),
            azure(own),
            None,
        ),
    ];
    for (cloud, address, before, after, level) in rows {
        let mut changes = around(&cloud);
        changes.push(change(address, &["update"], before.clone(), after.clone()));
        let report = reviewed(changes);
        let expected: Vec<_> = level
            .map(|level| ("key-enabled-again", level))
            .into_iter()
            .collect();
        assert_eq!(found(&report), expected, "{address}: {before} -> {after}");
        let shown = text(&report);
        assert_eq!(foreign(&cloud, &shown), Vec::<String>::new(), "{shown}");
    }
    // Where the plan does not show the use of a key, the report stresses only the mark.
    let alone = reviewed(vec![change(
        "aws_kms_key.x",
        &["update"],
        aws(false, json!({})),
        aws(true, json!({})),
    )]);
    assert_eq!(found(&alone), [("key-enabled-again", "note")]);
}

/// A key with a policy of its own that stays as it is, and a key policy that adds its statements again.
#[test]
fn a_key_that_perhaps_writes_its_own_policy_is_said() {
    let cloud = Cloud::Aws;
    let bare = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"root\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}";
    let arn = key(&cloud, 1);
    let mut lost = policy(&cloud, 1);
    lost["statements"] = json!("[]");
    let written = json!({ "policy": { "references": ["data.aws_iam_policy_document.x.json"] } });
    for (expressions, before, expected) in [
        (
            written.clone(),
            &lost,
            vec![("policy-written-twice", "warning")],
        ),
        (json!({}), &lost, vec![]),
        (written, &policy(&cloud, 1), vec![]),
    ] {
        let configured = json!({ "root_module": { "resources": [{ "address": "aws_kms_key.x", "expressions": expressions }] } });
        let changes = vec![
            quiet("dbxcmk_key_configuration.x", &configuration(&cloud, 1)),
            quiet("dbxcmk_workspace_binding.x", &binding(&cloud, "1")),
            quiet("aws_kms_key.x", &json!({ "arn": arn, "policy": bare })),
            change(
                "dbxcmk_key_policy.x",
                &["update"],
                before.clone(),
                policy(&cloud, 1),
            ),
        ];
        assert_eq!(
            found(&reviewed_with(configured, json!({}), changes)),
            expected
        );
    }
}

/// Nothing is lost where a key policy has no statements, before and after.
#[test]
fn a_key_policy_without_statements_goes_without_a_word() {
    let mut empty = policy(&Cloud::Aws, 1);
    empty["statements"] = json!("[]");
    let gone = change("dbxcmk_key_policy.x", &["delete"], empty, Json::Null);
    assert_eq!(found(&reviewed(vec![gone])), []);
}

/// Each row: the principals that a key policy gives up, what the workspace has attached, whether its binding shows its principals, and the level.
#[test]
fn a_principal_that_no_binding_needs_is_to_be_checked() {
    let cloud = Cloud::Azure;
    let (storage, disks, databricks) = (
        "5a000000-0000-4000-8000-000000000001",
        "d1000000-0000-4000-8000-000000000002",
        "da000000-0000-4000-8000-000000000003",
    );
    let foreign = "ff000000-0000-4000-8000-000000000004";
    let given = |principals: &[&str]| json!({ "use_cases": ["STORAGE"], "azure": { "key_vault_key_id": key(&cloud, 1), "principals": principals, "databricks_principal_id": databricks } });
    let bound = |has_storage: bool, is_shown: bool| {
        let mut own = binding(&cloud, "1");
        if !has_storage {
            own["storage_key_configuration_id"] = Json::Null;
        }
        if is_shown {
            own["azure"]["storage_principal_id"] = json!(storage);
            own["azure"]["managed_disks_principal_id"] = json!(disks);
        }
        own
    };
    let all = [storage, disks, databricks, foreign];
    for (gone, has_storage, is_shown, level) in [
        (storage, true, true, "error"),
        (storage, false, true, "warning"),
        (storage, true, false, "error"),
        (disks, false, true, "error"),
        (disks, false, false, "error"),
        (databricks, false, true, "error"),
        (foreign, true, true, "warning"),
        (foreign, true, false, "error"),
    ] {
        let kept: Vec<&str> = all.into_iter().filter(|one| *one != gone).collect();
        let report = reviewed(vec![
            quiet("dbxcmk_key_configuration.x", &configuration(&cloud, 1)),
            quiet("dbxcmk_workspace_binding.x", &bound(has_storage, is_shown)),
            change(
                "dbxcmk_key_policy.x",
                &["update"],
                given(&all),
                given(&kept),
            ),
        ]);
        assert_eq!(
            found(&report),
            [("permissions-lost", level)],
            "{gone} {has_storage} {is_shown}"
        );
    }
}

/// Each row: the identifiers of a key before and after, and whether the features change their key. Each feature needs the old one as long as it does.
#[test]
fn a_rotation_on_azure_is_told_for_each_feature() {
    let main = key(&Cloud::Azure, 1);
    let (one, two) = (
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210",
    );
    let pinned = |version: &str| format!("{main}/{version}");
    let rotated = vec![
        ("managed-disks-key-rotated", "warning"),
        ("managed-services-key-rotated", "warning"),
        ("storage-key-rotated", "note"),
    ];
    for (before, after, expected) in [
        (pinned(one), pinned(two), rotated.clone()),
        (pinned(one), key(&Cloud::Azure, 2), rotated.clone()),
        (main.clone(), pinned(two), rotated),
        (pinned(one), main.clone(), vec![]),
        (pinned(one), pinned(one), vec![]),
    ] {
        let with = |id: &str| {
            let mut own = binding(&Cloud::Azure, "1");
            for name in ["managed_services", "storage", "managed_disks"] {
                own[format!("{name}_key_configuration_id")] = json!(id);
            }
            own
        };
        let report = reviewed(vec![change(
            "dbxcmk_workspace_binding.x",
            &["update"],
            with(&before),
            with(&after),
        )]);
        assert_eq!(found(&report), expected, "{before} -> {after}");
        for finding in &report.findings {
            assert_eq!(
                finding.remedy.contains("for 24 hours"),
                finding.id == crate::catalog::Rule::ManagedServicesKeyRotated
            );
        }
        // A name is one box, and no arrow goes from a box to itself.
        let names: std::collections::BTreeSet<&str> =
            report.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names.len(), report.nodes.len());
        assert!(report.edges.iter().all(|edge| edge.from != edge.to));
        assert!(
            report
                .edges
                .iter()
                .all(|edge| names.contains(edge.from.as_str()) && names.contains(edge.to.as_str()))
        );
    }
}

/// Each row: a provider block, the variables of the root, and what the review finds, with the address.
#[test]
fn what_turns_the_proof_off_is_an_error() {
    let warns = |address: &str| vec![("preflight-warns", "error", format!("{address}.preflight"))];
    let not_known = |address: &str| vec![("proof-not-known", "warning", address.to_owned())];
    let roles = || {
        vec![(
            "roles-not-examined",
            "error",
            "provider.dbxcmk.aws.examine_iam".to_owned(),
        )]
    };
    let ignored = |id: &str| {
        (
            "finding-ignored",
            "error",
            format!("provider.dbxcmk.ignore_findings.{id}"),
        )
    };
    let constant = |value: Json| json!({ "constant_value": value });
    let refers = |to: &[&str]| json!({ "references": to });
    type Row = (
        &'static str,
        Json,
        Json,
        Vec<(&'static str, &'static str, String)>,
    );
    let rows: Vec<Row> = vec![
        ("nothing", json!({}), json!({}), vec![]),
        (
            "enforce",
            json!({ "preflight": constant(json!("enforce")) }),
            json!({}),
            vec![],
        ),
        (
            "null",
            json!({ "preflight": constant(Json::Null), "aws": constant(Json::Null), "ignore_findings": constant(Json::Null) }),
            json!({}),
            vec![],
        ),
        (
            "warn",
            json!({ "preflight": constant(json!("warn")) }),
            json!({}),
            warns("provider.dbxcmk"),
        ),
        (
            "a variable is warn",
            json!({ "preflight": refers(&["var.p"]) }),
            json!({ "p": "warn" }),
            warns("provider.dbxcmk"),
        ),
        (
            "a variable is enforce",
            json!({ "preflight": refers(&["var.p"]) }),
            json!({ "p": "enforce" }),
            vec![],
        ),
        (
            "a variable is null, or the first choice of coalesce()",
            json!({ "preflight": refers(&["var.p"]) }),
            json!({ "p": null }),
            not_known("provider.dbxcmk.preflight"),
        ),
        (
            "a part of a variable is warn",
            json!({ "preflight": refers(&["var.p.mode", "var.p"]) }),
            json!({ "p": { "mode": "warn" } }),
            warns("provider.dbxcmk"),
        ),
        (
            "one of two variables is warn",
            json!({ "preflight": refers(&["var.a", "var.p"]) }),
            json!({ "a": true, "p": "warn" }),
            warns("provider.dbxcmk"),
        ),
        (
            "a condition",
            json!({ "preflight": refers(&["var.p"]) }),
            json!({ "p": true }),
            not_known("provider.dbxcmk.preflight"),
        ),
        (
            "a local",
            json!({ "preflight": refers(&["local.p"]) }),
            json!({}),
            not_known("provider.dbxcmk.preflight"),
        ),
        (
            "a function",
            json!({ "preflight": {} }),
            json!({}),
            not_known("provider.dbxcmk.preflight"),
        ),
        (
            "a sensitive variable",
            json!({ "preflight": refers(&["var.secret"]) }),
            json!({ "secret": "warn" }),
            not_known("provider.dbxcmk.preflight"),
        ),
        (
            "a default",
            json!({ "preflight": refers(&["var.default"]) }),
            json!({}),
            warns("provider.dbxcmk"),
        ),
        (
            "roles",
            json!({ "aws": constant(json!({ "region": "x", "examine_iam": false })) }),
            json!({}),
            roles(),
        ),
        (
            "roles as a text",
            json!({ "aws": constant(json!({ "examine_iam": "false" })) }),
            json!({}),
            roles(),
        ),
        (
            "roles are examined",
            json!({ "aws": constant(json!({ "examine_iam": true })) }),
            json!({}),
            vec![],
        ),
        (
            "a block of a variable",
            json!({ "aws": refers(&["var.aws"]) }),
            json!({ "aws": { "examine_iam": false } }),
            roles(),
        ),
        (
            "a good block of a variable",
            json!({ "aws": refers(&["var.aws"]) }),
            json!({ "aws": { "region": "x" } }),
            vec![],
        ),
        (
            "a variable in the block",
            json!({ "aws": refers(&["var.examine_iam", "var.r"]) }),
            json!({ "examine_iam": false, "r": "x" }),
            roles(),
        ),
        (
            "a region in the block",
            json!({ "aws": refers(&["var.r"]) }),
            json!({ "r": "x" }),
            not_known("provider.dbxcmk.aws"),
        ),
        (
            "a role in the block",
            json!({ "aws": refers(&["var.r"]) }),
            json!({ "r": { "role_arn": "x" } }),
            not_known("provider.dbxcmk.aws"),
        ),
        (
            "two findings",
            json!({ "ignore_findings": constant(json!(["a", "b"])) }),
            json!({}),
            vec![ignored("a"), ignored("b")],
        ),
        (
            "a list of a variable",
            json!({ "ignore_findings": refers(&["var.l"]) }),
            json!({ "l": ["a"] }),
            // concat() of it and more looks the same.
            {
                let mut all = vec![ignored("a")];
                all.extend(not_known("provider.dbxcmk.ignore_findings"));
                all
            },
        ),
        (
            "an empty list of a variable",
            json!({ "ignore_findings": refers(&["var.l"]) }),
            json!({ "l": [] }),
            vec![],
        ),
        (
            "a block of a variable that is null",
            json!({ "aws": refers(&["var.aws"]) }),
            json!({ "aws": null }),
            not_known("provider.dbxcmk.aws"),
        ),
        (
            "an element of a variable",
            json!({ "ignore_findings": refers(&["var.l"]) }),
            json!({ "l": "a" }),
            {
                let mut all = vec![ignored("a")];
                all.extend(not_known("provider.dbxcmk.ignore_findings"));
                all
            },
        ),
    ];
    for (what, expressions, variables, expected) in rows {
        let values: serde_json::Map<String, Json> = variables
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), json!({ "value": value })))
            .collect();
        let configuration = json!({
            "provider_config": { "dbxcmk": { "name": "dbxcmk", "full_name": "registry.example.com/acme/dbxcmk", "expressions": expressions },
                "aws": { "name": "aws", "full_name": "registry.terraform.io/hashicorp/aws", "expressions": { "preflight": { "constant_value": "warn" } } } },
            "root_module": { "variables": { "secret": { "sensitive": true }, "default": { "default": "warn" } } },
        });
        let mut changes = around(&Cloud::Aws);
        changes.push(change(
            "dbxcmk_key_policy.x",
            &["update"],
            policy(&Cloud::Aws, 1),
            policy(&Cloud::Aws, 1),
        ));
        changes.remove(2);
        let report = reviewed_with(configuration, Json::Object(values), changes);
        let mut found: Vec<(&str, &str, String)> = report
            .findings
            .iter()
            .map(|one| (one.id.name(), one.level.name(), one.address.clone()))
            .collect();
        found.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{what}");
        let shown = report.not_examined.join("\n");
        let has = |id: &str| found.iter().any(|one| one.0 == id);
        assert_eq!(
            shown.contains("lets the apply go on"),
            has("preflight-warns"),
            "{what}: {shown}"
        );
        assert_eq!(
            shown.contains("nothing examines them"),
            has("roles-not-examined"),
            "{what}: {shown}"
        );
        assert_eq!(
            shown.contains("ignores: "),
            has("finding-ignored"),
            "{what}: {shown}"
        );
    }
}

/// Blocks of modules and aliases are followed to the variables of the root; each is accepted by its name.
#[test]
fn provider_blocks_of_modules_and_aliases_are_seen() {
    let configuration = json!({
        "provider_config": {
            "dbxcmk.eu": { "name": "dbxcmk", "full_name": "registry.terraform.io/dbxcmk/dbxcmk", "alias": "eu",
                "expressions": { "preflight": { "constant_value": "warn" } } },
            "module.keys:other": { "name": "other", "full_name": "registry.terraform.io/dbxcmk/dbxcmk", "module_address": "module.keys",
                "expressions": { "preflight": { "references": ["var.mode"] } } },
            "module.keys:other.z": { "name": "other", "full_name": "registry.terraform.io/dbxcmk/dbxcmk", "module_address": "module.keys",
                "alias": "z", "expressions": { "preflight": { "references": ["var.inner"] } } },
        },
        "root_module": { "module_calls": { "keys": {
            "expressions": { "mode": { "references": ["var.root"] } },
            "module": { "variables": { "mode": {}, "inner": { "default": "warn" } } },
        } } },
    });
    let mut report = reviewed_with(
        configuration,
        json!({ "root": { "value": "warn" } }),
        vec![],
    );
    let addresses: Vec<&str> = report
        .findings
        .iter()
        .map(|one| one.address.as_str())
        .collect();
    assert_eq!(
        addresses,
        [
            "module.keys.provider.other.preflight",
            "module.keys.provider.other.z.preflight",
            "provider.dbxcmk.eu.preflight"
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|one| one.id == Rule::PreflightWarns && one.level == Level::Error)
    );
    report.accept(
        "preflight-warns",
        Some("provider.dbxcmk.eu.preflight"),
        "drill",
    );
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn a_resource_that_begins_to_ignore_findings_is_an_error() {
    let with = |ids: Json| json!({ "workspace_id": "1", "ignore_findings": ids });
    let rows = [
        (json!(["a"]), json!(["a"]), vec![]),
        (json!(["a"]), json!([]), vec![]),
        (Json::Null, json!(["a"]), vec![("finding-ignored", "error")]),
        (
            json!(["a"]),
            json!(["a", "b"]),
            vec![("finding-ignored", "error")],
        ),
    ];
    for (before, after, expected) in rows {
        let one = change(
            "dbxcmk_workspace_binding.x",
            &["update"],
            with(before),
            with(after),
        );
        assert_eq!(found(&reviewed(vec![one])), expected);
    }
}

/// Each row: a key that goes, in a plan that says nothing else of it, beside a workspace that uses it, and beside its own things that go.
#[test]
fn a_key_that_goes_is_said_also_where_the_plan_does_not_show_its_use() {
    let rows = [
        (
            Cloud::Aws,
            "aws_kms_key.k",
            "delete",
            json!({ "arn": key(&Cloud::Aws, 1) }),
            Json::Null,
            "key-deleted",
        ),
        (
            Cloud::Aws,
            "aws_kms_replica_key.k",
            "delete",
            json!({ "arn": key(&Cloud::Aws, 1) }),
            Json::Null,
            "key-deleted",
        ),
        (
            Cloud::Aws,
            "aws_kms_key.k",
            "update",
            json!({ "arn": key(&Cloud::Aws, 1), "is_enabled": true }),
            json!({ "arn": key(&Cloud::Aws, 1), "is_enabled": false }),
            "key-disabled",
        ),
        (
            Cloud::Aws,
            "aws_kms_external_key.k",
            "update",
            json!({ "arn": key(&Cloud::Aws, 1), "enabled": true }),
            json!({ "arn": key(&Cloud::Aws, 1), "enabled": false }),
            "key-disabled",
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key.k",
            "delete",
            json!({ "id": key(&Cloud::Gcp, 1) }),
            Json::Null,
            "key-deleted",
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key_version.k",
            "delete",
            json!({ "crypto_key": key(&Cloud::Gcp, 1) }),
            Json::Null,
            "key-deleted",
        ),
        (
            Cloud::Gcp,
            "google_kms_crypto_key_version.k",
            "update",
            json!({ "crypto_key": key(&Cloud::Gcp, 1), "state": "ENABLED" }),
            json!({ "crypto_key": key(&Cloud::Gcp, 1), "state": "DISABLED" }),
            "key-disabled",
        ),
        (
            Cloud::Azure,
            "azurerm_key_vault_key.k",
            "delete",
            json!({ "versionless_id": key(&Cloud::Azure, 1) }),
            Json::Null,
            "key-deleted",
        ),
        (
            Cloud::Azure,
            "azurerm_key_vault.k",
            "delete",
            json!({ "vault_uri": "https://acme.vault.azure.net/" }),
            Json::Null,
            "key-deleted",
        ),
    ];
    for (cloud, address, action, before, after, rule) in rows {
        let one = change(address, &[action], before, after);
        let alone = reviewed(vec![one.clone()]);
        assert_eq!(
            found(&alone),
            [(rule, "warning")],
            "{address} alone: {}",
            text(&alone)
        );
        assert!(
            text(&alone).contains("does not show whether Databricks uses"),
            "{}",
            text(&alone)
        );
        let used = reviewed([around(&cloud), vec![one.clone()]].concat());
        assert!(
            found(&used).contains(&(rule, "error")),
            "{address} used: {}",
            text(&used)
        );
        if address.contains("azurerm_key_vault.") {
            continue;
        }
        // The provider refuses the removal of a policy that is in use, and of nothing else: not by force, and not on Azure.
        let gone = |address: &str, before: Json| change(address, &["delete"], before, Json::Null);
        let of_configuration = gone("dbxcmk_key_configuration.x", configuration(&cloud, 1));
        let with_policy = gone("dbxcmk_key_policy.x", policy(&cloud, 1));
        let mut forced = policy(&cloud, 1);
        forced["force_destroy"] = json!(true);
        let by_force = gone("dbxcmk_key_policy.x", forced);
        let of_azure = match cloud {
            Cloud::Azure => "error",
            _ => "warning",
        };
        for (ours, level) in [
            (vec![of_configuration.clone(), with_policy], of_azure),
            (vec![of_configuration.clone(), by_force], "error"),
            (vec![of_configuration], "error"),
        ] {
            let given_up = reviewed([ours, vec![one.clone()]].concat());
            assert!(
                found(&given_up).contains(&(rule, level)),
                "{address} given up: {}",
                text(&given_up)
            );
        }
        let meant = vec![
            quiet("dbxcmk_key_configuration.x", &configuration(&cloud, 1)),
            one,
        ];
        let meant = reviewed(meant);
        assert!(
            found(&meant).contains(&(rule, "error")),
            "{address} meant: {}",
            text(&meant)
        );
        assert!(
            !text(&meant).contains("that Databricks uses"),
            "{}",
            text(&meant)
        );
    }
}

/// Whether a key stays enabled may be known after the apply only.
#[test]
fn a_key_that_may_be_disabled_is_a_warning() {
    let rows = [
        ("aws_kms_key.k", "is_enabled"),
        ("aws_kms_external_key.k", "enabled"),
        ("aws_kms_replica_key.k", "enabled"),
    ];
    for (address, attribute) in rows {
        let arn = json!({ "arn": key(&Cloud::Aws, 1) });
        let mut before = arn.clone();
        before[attribute] = json!(true);
        let unknown = json!({ attribute: true });
        let one = with_unknown(address, &["update"], before, arn, unknown);
        let used = reviewed([around(&Cloud::Aws), vec![one]].concat());
        assert!(
            found(&used).contains(&("key-disabled", "warning")),
            "{address}: {}",
            text(&used)
        );
        assert!(text(&used).contains("may be disabled"), "{}", text(&used));
    }
}

/// What stops without a key is what the plan uses it for.
#[test]
fn a_key_for_managed_services_alone_stops_no_cluster() {
    for cloud in &CLOUDS {
        let mut binding = binding(cloud, "1");
        binding["storage_key_configuration_id"] = Json::Null;
        if *cloud == Cloud::Azure {
            binding["managed_disks_key_configuration_id"] = Json::Null;
        }
        let action = json!({ "address": "action.dbxcmk_disable_key.now", "type": "dbxcmk_disable_key",
            "config_values": { attribute(cloud).0: { attribute(cloud).1: key(cloud, 1) } } });
        let plan = json!({ "format_version": "1.2", "action_invocations": [action], "resource_changes": [
            quiet("dbxcmk_key_configuration.x", &configuration(cloud, 1)), quiet("dbxcmk_workspace_binding.x", &binding),
        ] });
        let report = review(&plan.to_string()).expect("it is a plan");
        let shown = text(&report);
        assert!(
            shown.contains("jobs and queries that need notebooks") && !shown.contains("cluster"),
            "{cloud}: {shown}"
        );
    }
}

/// Each row: a policy whose values cannot be read, and what the report names.
#[test]
fn what_cannot_be_read_is_never_dropped() {
    let with = |name: &str, value: Json| {
        let mut own = policy(&Cloud::Aws, 1);
        own[name] = value;
        change(
            "dbxcmk_key_policy.x",
            &["update"],
            policy(&Cloud::Aws, 1),
            own,
        )
    };
    let role = json!({ "key_arn": key(&Cloud::Aws, 1), "cross_account_role_arn": "arn:aws:iam::1:user/x" });
    let whole = |policy: &str| {
        change(
            "aws_kms_key_policy.x",
            &["update"],
            json!({ "key_id": key(&Cloud::Aws, 1), "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }),
            json!({ "key_id": key(&Cloud::Aws, 1), "policy": policy }),
        )
    };
    let rows = [
        (Cloud::Aws, with("use_cases", json!(["FOO"])), "FOO"),
        (
            Cloud::Aws,
            with("databricks_account_ids", json!(["not-an-id"])),
            "not-an-id",
        ),
        (Cloud::Aws, with("aws", role), "arn:aws:iam::1:user/x"),
        (
            Cloud::Aws,
            with("statements", json!("[{\"Effect\":\"Maybe\"}]")),
            "Maybe",
        ),
        (Cloud::Aws, whole("{\"Statement\":7}"), "policy"),
        (
            Cloud::Gcp,
            change(
                "google_kms_crypto_key_iam_policy.x",
                &["create"],
                Json::Null,
                json!({ "crypto_key_id": key(&Cloud::Gcp, 1), "policy_data": "nope" }),
            ),
            "nope",
        ),
        (
            Cloud::Aws,
            change(
                "databricks_mws_customer_managed_keys.x",
                &["update"],
                json!({}),
                json!({ "use_cases": ["NEW"] }),
            ),
            "NEW",
        ),
    ];
    for (cloud, one, words) in rows {
        let mut changes = around(&cloud);
        changes.retain(|own| own["address"] != one["address"]);
        changes.push(one);
        let report = reviewed(changes);
        let unreadable: Vec<&ReviewFinding> = report
            .findings
            .iter()
            .filter(|one| one.id == Rule::ResourceUnreadable)
            .collect();
        assert!(
            unreadable
                .iter()
                .any(|one| one.level == Level::Error && one.detail.contains(words)),
            "{words}: {}",
            text(&report)
        );
    }
}

/// A new key policy whose key is not known yet. Each row: what the plan shows of the deployment, and which one it is; `None`: it is assumed,
/// and said.
#[test]
fn the_deployment_of_a_new_key_is_read_or_said() {
    let host = |host: &str| json!({ "provider_config": { "dbxcmk": { "name": "dbxcmk", "expressions": { "host": { "constant_value": host } } } } });
    let rows = [
        (json!({}), None, true),
        (host("https://accounts.cloud.databricks.com"), None, false),
        (host("https://accounts.cloud.databricks.us/"), None, false),
        (json!({}), Some("arn:aws:iam::123456789012:role/x"), false),
        // Two deployments are in this partition.
        (
            json!({}),
            Some("arn:aws-us-gov:iam::123456789012:role/x"),
            true,
        ),
    ];
    for (configuration, role, is_assumed) in rows {
        let after = json!({ "use_cases": ["STORAGE"], "databricks_account_ids": [ID], "aws": { "cross_account_role_arn": role } });
        let unknown = json!({ "aws": { "key_arn": true }, "statements": true });
        let one = with_unknown(
            "dbxcmk_key_policy.x",
            &["create"],
            Json::Null,
            after,
            unknown,
        );
        let report = reviewed_with(configuration.clone(), json!({}), vec![one]);
        let shown = text(&report);
        assert_eq!(
            shown.contains("Shown for"),
            is_assumed,
            "{configuration} {role:?}: {shown}"
        );
        assert!(shown.contains("Databricks gains"), "{shown}");
    }
}

/// The report lists what a plan with unknown values could not examine.
#[test]
fn a_plan_that_had_unknown_values_does_not_claim_a_proof() {
    let after = json!({ "use_cases": ["STORAGE"], "aws": {} });
    let unknown =
        json!({ "aws": { "key_arn": true, "cross_account_role_arn": true }, "statements": true });
    let changes = vec![
        with_unknown(
            "aws_kms_key.k",
            &["create"],
            Json::Null,
            json!({}),
            json!({ "arn": true }),
        ),
        with_unknown(
            "dbxcmk_key_policy.x",
            &["create"],
            Json::Null,
            after,
            unknown,
        ),
    ];
    let configuration = json!({ "root_module": { "resources": [
        { "address": "dbxcmk_key_policy.x", "expressions": { "aws": { "references": ["aws_kms_key.k.arn", "aws_kms_key.k"] } } },
    ] } });
    let lines = reviewed_with(configuration, json!({}), changes)
        .not_examined
        .join("\n");
    assert!(
        lines.contains(
            "keys that are known only after the apply: `aws_kms_key.k` (the apply examines them"
        ),
        "{lines}"
    );
    assert!(
        lines.contains("who gets access by `dbxcmk_key_policy.x`"),
        "{lines}"
    );
}

/// Plans that bring up every text of a cloud.
fn everything(cloud: &Cloud) -> Vec<Vec<Json>> {
    let moved = |name: &str| {
        change(
            "dbxcmk_workspace_binding.x",
            &["delete", "create"],
            binding(cloud, "1"),
            binding(cloud, name),
        )
    };
    let with = |state: &Json, name: &str, value: Json| {
        let mut state = state.clone();
        state[name] = value;
        state
    };
    let (first, second) = (id(cloud, 1), id(cloud, 2));
    let bound = binding(cloud, "1");
    let rotated = with(
        &bound,
        "managed_services_key_configuration_id",
        json!(second),
    );
    let changed = with(&bound, "storage_key_configuration_id", json!(second));
    let removed = with(&bound, "storage_key_configuration_id", Json::Null);
    let (used, none) = (around(cloud), Json::Null);
    let mut plans = vec![
        [used.clone(), vec![moved("2")]].concat(),
        vec![change(
            "dbxcmk_workspace_binding.x",
            &["delete"],
            bound.clone(),
            none.clone(),
        )],
        vec![change(
            "dbxcmk_workspace_binding.x",
            &["update"],
            bound.clone(),
            rotated,
        )],
        vec![change(
            "dbxcmk_workspace_binding.x",
            &["update"],
            bound.clone(),
            changed,
        )],
        vec![change(
            "dbxcmk_workspace_binding.x",
            &["update"],
            bound.clone(),
            removed,
        )],
        vec![change(
            "dbxcmk_workspace_binding.x",
            &["create"],
            none.clone(),
            bound,
        )],
        [
            used.clone(),
            vec![change(
                "dbxcmk_key_policy.x",
                &["delete", "create"],
                policy(cloud, 1),
                policy(cloud, 2),
            )],
        ]
        .concat(),
        [
            used.clone(),
            vec![change(
                "dbxcmk_key_policy.x",
                &["delete"],
                policy(cloud, 1),
                none.clone(),
            )],
        ]
        .concat(),
        vec![change(
            "dbxcmk_key_policy.x",
            &["update"],
            policy(cloud, 1),
            with(&policy(cloud, 1), "force_destroy", json!(true)),
        )],
        vec![change(
            "dbxcmk_key_policy.x",
            &["create"],
            none.clone(),
            with(&policy(cloud, 1), "use_cases", json!(["X"])),
        )],
        [
            used.clone(),
            vec![change(
                "dbxcmk_key_configuration.x",
                &["delete"],
                configuration(cloud, 1),
                none.clone(),
            )],
        ]
        .concat(),
    ];
    let mut peer = |address: &str, actions: &[&str], before: Json, after: Json| {
        plans.push(vec![change(
            address,
            actions,
            before.clone(),
            after.clone(),
        )]);
        plans.push([used.clone(), vec![change(address, actions, before, after)]].concat());
    };
    match cloud {
        Cloud::Aws => {
            let arn = key(cloud, 1);
            let state = |enabled: bool, rotates: bool, days: u32| json!({ "arn": arn, "is_enabled": enabled, "enable_key_rotation": rotates, "deletion_window_in_days": days });
            peer(
                "aws_kms_key.k",
                &["delete"],
                state(true, true, 30),
                none.clone(),
            );
            peer(
                "aws_kms_key.k",
                &["update"],
                state(true, true, 30),
                state(false, false, 7),
            );
            peer(
                "aws_kms_key_policy.k",
                &["delete"],
                json!({ "key_id": arn, "policy": "{}" }),
                none.clone(),
            );
            let workspace = |storage: Json| json!({ "workspace_id": 9, "workspace_name": "n", "storage_customer_managed_key_id": storage });
            peer(
                "databricks_mws_workspaces.w",
                &["update"],
                workspace(none.clone()),
                workspace(json!(first)),
            );
            peer(
                "databricks_mws_workspaces.w",
                &["delete"],
                workspace(none.clone()),
                none,
            );
        }
        Cloud::Gcp => {
            let state =
                |rotation: Json| json!({ "id": key(cloud, 1), "rotation_period": rotation });
            peer(
                "google_kms_crypto_key.k",
                &["delete"],
                state(json!("1s")),
                none.clone(),
            );
            peer(
                "google_kms_crypto_key.k",
                &["update"],
                state(json!("1s")),
                state(none.clone()),
            );
            let version = |state: &str| json!({ "crypto_key": key(cloud, 1), "state": state });
            peer(
                "google_kms_crypto_key_version.k",
                &["delete"],
                version("ENABLED"),
                none.clone(),
            );
            peer(
                "google_kms_crypto_key_version.k",
                &["update"],
                version("ENABLED"),
                version("DISABLED"),
            );
            let member = json!({ "crypto_key_id": key(cloud, 1), "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "member": "serviceAccount:a@b" });
            peer(
                "google_kms_crypto_key_iam_member.k",
                &["delete"],
                member,
                none,
            );
        }
        _ => {
            let state = |ops: Json, end: Json| json!({ "versionless_id": key(cloud, 1), "key_opts": ops, "expiration_date": end });
            let both = json!(["wrapKey", "unwrapKey"]);
            peer(
                "azurerm_key_vault_key.k",
                &["delete"],
                state(both.clone(), none.clone()),
                none.clone(),
            );
            peer(
                "azurerm_key_vault_key.k",
                &["update"],
                state(both, none.clone()),
                state(json!([]), json!("2027-01-01T00:00:00Z")),
            );
            let vault = |bypass: &str| json!({ "vault_uri": "https://acme.vault.azure.net/", "network_acls": [{ "bypass": bypass }] });
            peer(
                "azurerm_key_vault.k",
                &["delete"],
                vault("None"),
                none.clone(),
            );
            peer(
                "azurerm_key_vault.k",
                &["update"],
                vault("AzureServices"),
                vault("None"),
            );
            let workspace = |key: Json| json!({ "id": resource("9"), "name": "n", "managed_services_cmk_key_vault_key_id": key });
            peer(
                "azurerm_databricks_workspace.w",
                &["update"],
                workspace(none.clone()),
                workspace(json!(first)),
            );
            peer(
                "azurerm_databricks_workspace.w",
                &["delete"],
                workspace(none.clone()),
                none,
            );
        }
    }
    plans
}

/// Every form of every report, on each cloud: no word of another cloud stands in it.
#[test]
fn nobody_reads_the_words_of_another_cloud() {
    let mut seen = std::collections::BTreeSet::new();
    for cloud in &CLOUDS {
        for changes in everything(cloud) {
            let report = reviewed(changes);
            seen.extend(report.findings.iter().map(|one| (cloud.clone(), one.id)));
            for shown in [
                markdown(&report),
                text(&report),
                json(&report),
                sarif(&report, &|_| None, "main.tf"),
            ] {
                assert_eq!(
                    foreign(cloud, &shown),
                    Vec::<String>::new(),
                    "{cloud}: {shown}"
                );
            }
        }
        let own = seen.iter().filter(|(own, _)| own == cloud).count();
        assert!(
            own >= 12,
            "{cloud}: only {own} kinds of findings were looked at"
        );
    }
}

/// The diagram draws what the key of each cloud encrypts.
#[test]
fn the_diagram_has_the_data_of_its_cloud() {
    let rows: [(Cloud, &[&str]); 3] = [
        (Cloud::Aws, &["EBS volumes of clusters", "workspace bucket"]),
        (
            Cloud::Gcp,
            &["persistent disks of clusters", "workspace bucket"],
        ),
        (
            Cloud::Azure,
            &["managed disks of clusters", "workspace storage account"],
        ),
    ];
    for (cloud, expected) in rows {
        let report = reviewed(vec![
            quiet("dbxcmk_key_configuration.x", &configuration(&cloud, 1)),
            change(
                "dbxcmk_workspace_binding.x",
                &["create"],
                Json::Null,
                binding(&cloud, "1"),
            ),
        ]);
        let drawn: Vec<&str> = report
            .nodes
            .iter()
            .filter(|node| node.kind == "data" && !node.name.contains("notebooks"))
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(drawn, expected);
        assert!(markdown(&report).contains(expected[0]));
    }
}

/// The report of every such plan is what the published schema says.
#[test]
fn every_report_is_what_its_schema_says() {
    let schema: Json =
        serde_json::from_str(include_str!("../../../docs/schemas/review.schema.json"))
            .expect("the schema is JSON");
    for cloud in &CLOUDS {
        for changes in everything(cloud) {
            let mut report = reviewed(changes);
            if let Some(first) = report.findings.first().cloned() {
                report.accept(first.id.name(), None, "why");
            }
            let shown: Json = serde_json::from_str(&json(&report)).expect("it is JSON");
            assert_eq!(
                schemas::against(&schema, &shown, "report"),
                Vec::<String>::new(),
                "{cloud}"
            );
        }
    }
}

/// Each row: a resource of tables before and after, whether an external location of the plan lies there, and what a review finds.
#[test]
fn what_becomes_of_the_own_key_of_tables_is_found() {
    let settings = |key: &str| json!({ "name": "main", "managed_encryption_settings": [{ "customer_managed_key_id": key }] });
    let attribute = json!({ "name": "main", "managed_encryption_settings": { "azure_key_vault_key_id": "https://v.vault.azure.net/keys/k" } });
    let s3 = |key: Option<&str>| json!({ "bucket": "acme-tables", "rule": [{ "apply_server_side_encryption_by_default": [{ "sse_algorithm": "aws:kms", "kms_master_key_id": key }] }] });
    let google = |key: Option<&str>| json!({ "name": "acme-tables", "encryption": key.map(|key| vec![json!({ "default_kms_key_name": key })]).unwrap_or_default() });
    let account = json!({ "storage_account_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acmetables", "key_vault_key_id": "https://v.vault.azure.net/keys/k" });
    let location = |key: Option<&str>| json!({ "name": "l", "url": "s3://acme-tables/", "encryption_details": [{ "sse_encryption_details": [{ "algorithm": "AWS_SSE_KMS", "aws_kms_key_arn": key }] }] });
    let (lost, set, other) = ("tables-key-lost", "tables-key-set", "tables-key-replaced");
    let bucket = "aws_s3_bucket_server_side_encryption_configuration.x";
    let cmk = "azurerm_storage_account_customer_managed_key.x";
    let plain = json!({ "name": "main" });
    type Row<'a> = (
        &'a str,
        &'a [&'a str],
        Json,
        Json,
        bool,
        Vec<(&'a str, &'a str)>,
    );
    let rows: [Row<'_>; 17] = [
        (
            "databricks_catalog.x",
            &["update"],
            settings("a"),
            plain.clone(),
            false,
            vec![(lost, "warning")],
        ),
        (
            "databricks_catalog.x",
            &["update"],
            settings("a"),
            settings("b"),
            false,
            vec![(other, "warning")],
        ),
        (
            "databricks_catalog.x",
            &["create"],
            Json::Null,
            attribute,
            false,
            vec![(set, "note")],
        ),
        (
            "databricks_catalog.x",
            &["create"],
            Json::Null,
            plain,
            false,
            vec![],
        ),
        (
            "databricks_catalog.x",
            &["delete"],
            settings("a"),
            Json::Null,
            false,
            vec![],
        ),
        (
            bucket,
            &["update"],
            s3(Some("k")),
            s3(None),
            true,
            vec![(lost, "warning")],
        ),
        (
            bucket,
            &["update"],
            s3(Some("k")),
            s3(Some("alias/aws/s3")),
            true,
            vec![(lost, "warning")],
        ),
        (
            bucket,
            &["update"],
            s3(Some("k")),
            s3(None),
            false,
            vec![(lost, "note")],
        ),
        (
            bucket,
            &["delete"],
            s3(Some("k")),
            Json::Null,
            true,
            vec![(lost, "warning")],
        ),
        (
            bucket,
            &["create"],
            Json::Null,
            s3(Some("k")),
            true,
            vec![(set, "note")],
        ),
        (
            bucket,
            &["update"],
            s3(Some("k")),
            s3(Some("l")),
            true,
            vec![(other, "warning")],
        ),
        (
            "google_storage_bucket.x",
            &["update"],
            google(Some("k")),
            google(None),
            true,
            vec![(lost, "warning")],
        ),
        (
            "google_storage_bucket.x",
            &["delete"],
            google(Some("k")),
            Json::Null,
            true,
            vec![],
        ),
        (
            cmk,
            &["delete"],
            account.clone(),
            Json::Null,
            true,
            vec![(lost, "warning")],
        ),
        (
            cmk,
            &["create"],
            Json::Null,
            account,
            false,
            vec![(set, "note")],
        ),
        (
            "databricks_external_location.x",
            &["update"],
            location(Some("k")),
            location(None),
            false,
            vec![(lost, "warning")],
        ),
        (
            "databricks_catalog.x",
            &["update"],
            json!({ "managed_encryption_settings": "k" }),
            json!({}),
            false,
            vec![("resource-unreadable", "error")],
        ),
    ];
    for (address, actions, before, after, has_location, expected) in rows {
        let mut all = vec![change(address, actions, before.clone(), after)];
        if has_location {
            let urls = [
                "s3://acme-tables/a",
                "gs://acme-tables",
                "abfss://t@acmetables.dfs.core.windows.net/",
            ];
            all.extend(urls.iter().enumerate().map(|(number, url)| {
                quiet(
                    &format!("databricks_external_location.l{number}"),
                    &json!({ "name": "l", "url": url }),
                )
            }));
        }
        assert_eq!(
            found(&reviewed(all)),
            expected,
            "{address} {actions:?} {before}"
        );
    }
}

/// A key configuration that goes while a catalog of the plan has it, a role that no key policy names, a workspace that is created with its storage
/// key, and a Lakebase project beside the attach of its key.
#[test]
fn what_else_concerns_tables_and_lakebase_is_found() {
    let catalog = json!({ "name": "main", "managed_encryption_settings": [{ "customer_managed_key_id": ID }] });
    let gone = change(
        "databricks_mws_customer_managed_keys.x",
        &["delete"],
        json!({ "customer_managed_key_id": ID, "use_cases": ["MANAGED_SERVICES"] }),
        Json::Null,
    );
    let report = reviewed(vec![gone.clone(), quiet("databricks_catalog.x", &catalog)]);
    assert!(found(&report).contains(&("key-configuration-deleted", "error")));
    assert!(text(&report).contains("databricks_catalog.x"));
    let freed = change(
        "databricks_catalog.x",
        &["update"],
        catalog,
        json!({ "name": "main" }),
    );
    let report = reviewed(vec![gone, freed]);
    assert!(!found(&report).contains(&("key-configuration-deleted", "error")));

    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let credential =
        |name: &str| json!({ "name": "tables", "aws_iam_role": [{ "role_arn": role(name) }] });
    let moved = change(
        "databricks_storage_credential.x",
        &["update"],
        credential("a"),
        credential("b"),
    );
    let policy = |names: &[&str]| {
        let roles: Vec<String> = names.iter().map(|name| role(name)).collect();
        let own = json!({ "use_cases": ["UNITY_CATALOG"], "aws": { "key_arn": key(&Cloud::Aws, 1), "storage_credential_role_arns": roles } });
        quiet("dbxcmk_key_policy.x", &own)
    };
    let expected = [("cross-account-role-changed", "warning")];
    assert_eq!(
        found(&reviewed(vec![moved.clone(), policy(&["a"])])),
        expected
    );
    assert_eq!(
        found(&reviewed(vec![moved.clone(), policy(&["a", "b"])])),
        []
    );
    assert_eq!(found(&reviewed(vec![moved])), []);

    let created = json!({ "workspace_name": "prod", "storage_customer_managed_key_id": ID });
    let created = change(
        "databricks_mws_workspaces.x",
        &["create"],
        Json::Null,
        created,
    );
    assert!(found(&reviewed(vec![created])).contains(&("storage-key-attached", "irreversible")));

    let project = change(
        "databricks_postgres_project.x",
        &["create"],
        Json::Null,
        json!({}),
    );
    let bound = change(
        "dbxcmk_workspace_binding.x",
        &["create"],
        Json::Null,
        json!({ "workspace_id": "1", "managed_services_key_configuration_id": ID }),
    );
    let report = reviewed(vec![project.clone(), bound]);
    assert!(found(&report).contains(&("lakebase-before-key", "warning")));
    assert_eq!(found(&reviewed(vec![project])), []);
}
