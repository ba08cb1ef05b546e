//! Links over small plans: which resource refers to which, and where the links say that they cannot tell.

use serde_json::{Value as Json, json};

use super::*;

const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Gcp, Cloud::Azure];

/// One resource of a plan: its address, what happens to it, its state before and after, and what of it is known after apply.
fn resource(address: &str, action: &str, before: Json, after: Json, unknown: Json) -> Json {
    let kind = without_indexes(address);
    let kind = kind.rsplit('.').nth(1).unwrap_or_default().to_owned();
    let steps = address.rsplit_once(&kind).unwrap_or_default();
    let actions = match action {
        "replace" => vec!["delete", "create"],
        one => vec![one],
    };
    json!({
        "address": address, "module_address": steps.0.trim_end_matches('.'), "mode": "managed", "type": kind,
        "change": { "actions": actions, "before": before, "after": after, "after_unknown": unknown },
    })
}

/// A resource that the plan creates. `unknown`: what of it is known after apply.
fn new(address: &str, after: Json, unknown: Json) -> Json {
    resource(address, "create", Json::Null, after, unknown)
}

fn kept(address: &str, state: Json) -> Json {
    resource(address, "no-op", state.clone(), state, json!({}))
}

/// A new key, whose name is known after apply.
fn new_key(address: &str) -> Json {
    new(
        address,
        json!({}),
        json!({ "arn": true, "id": true, "versionless_id": true, "versioned_id": true }),
    )
}

/// A new key configuration, whose ID and key Terraform learns at apply.
fn new_configuration(address: &str) -> Json {
    let unknown = json!({ "id": true, "aws": { "key_arn": true } });
    new(
        address,
        json!({ "use_cases": ["STORAGE"], "aws": {} }),
        unknown,
    )
}

/// A new binding, whose storage key configuration is known after apply.
fn new_binding(address: &str, workspace: &str) -> Json {
    let unknown = json!({ "storage_key_configuration_id": true });
    new(address, json!({ "workspace_id": workspace }), unknown)
}

/// A resource of the configuration, and what an attribute of it refers to.
fn refers(address: &str, attribute: &str, to: &[&str]) -> Json {
    json!({ "address": address, "expressions": { attribute: { "references": to } } })
}

fn of(changes: Vec<Json>, root: Json) -> Links {
    let plan = json!({ "format_version": "1.2", "resource_changes": changes, "configuration": { "root_module": root } });
    Links::of(&Plan::read(&plan.to_string()).expect("it is a plan"))
}

fn root(resources: Vec<Json>) -> Json {
    json!({ "resources": resources })
}

/// What the links say of the storage of workspaces and of the keys of configurations, a line each.
fn said(links: &Links) -> Vec<String> {
    let configurations = links.configurations.values().map(|one| {
        let before = one
            .key_before
            .as_ref()
            .map(|key| format!(" (until now {key})"));
        format!(
            "{} has {}{}",
            one.name,
            one.key.as_deref().unwrap_or("no key that shows"),
            before.unwrap_or_default()
        )
    });
    let workspaces = links.workspaces.iter().flat_map(|one| {
        one.keys.iter().map(move |(case, step)| {
            let side = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
            format!(
                "{} gets for {case} {} after {}",
                one.name,
                side(&step.after),
                side(&step.before)
            )
        })
    });
    configurations.chain(workspaces).collect()
}

/// The storage configuration that each workspace gets, by the workspace.
fn gets(links: &Links) -> Vec<(String, String)> {
    let own = links.workspaces.iter().filter_map(|one| {
        let step = one.keys.get(&UseCase::Storage)?;
        Some((one.name.clone(), step.after.clone().unwrap_or_default()))
    });
    own.collect()
}

const UNKNOWN: &str = "(known after apply)";
const C: &str = "dbxcmk_key_configuration.c";

/// Each row: how the configuration of a binding is written, and which configuration it is: of two instances, `a` and `b`.
#[test]
fn a_reference_to_one_of_several_instances_is_that_instance_or_not_known() {
    type Row<'a> = (&'a str, &'a [&'a str], [&'a str; 2]);
    let (a, b) = (format!("{C}[\"a\"]"), format!("{C}[\"b\"]"));
    let ([first, second], [both_a, both_b, neither]) = (
        [a.as_str(), b.as_str()],
        [[a.as_str(); 2], [b.as_str(); 2], [UNKNOWN; 2]],
    );
    let rows: [Row<'_>; 11] = [
        ("its own key", &[C, "each.key"], [first, second]),
        (
            "the first, by its key",
            &[
                "dbxcmk_key_configuration.c[\"a\"].id",
                "dbxcmk_key_configuration.c[\"a\"]",
                C,
            ],
            both_a,
        ),
        (
            "the second, by its key",
            &[
                "dbxcmk_key_configuration.c[\"b\"].id",
                "dbxcmk_key_configuration.c[\"b\"]",
                C,
            ],
            both_b,
        ),
        (
            "one of the two, by a condition",
            &[
                "var.is_a",
                "dbxcmk_key_configuration.c[\"a\"].id",
                "dbxcmk_key_configuration.c[\"a\"]",
                C,
                "dbxcmk_key_configuration.c[\"b\"].id",
                "dbxcmk_key_configuration.c[\"b\"]",
                C,
            ],
            neither,
        ),
        (
            "the first, or that of its own key",
            &[
                "dbxcmk_key_configuration.c[\"a\"].id",
                "dbxcmk_key_configuration.c[\"a\"]",
                C,
                C,
                "each.key",
            ],
            [first, UNKNOWN],
        ),
        (
            "some value of the instance",
            &[C, "each.value.key", "each.value"],
            neither,
        ),
        ("some variable", &[C, "var.which"], neither),
        ("some local", &[C, "local.which"], neither),
        ("a local alone", &["local.configuration_id"], neither),
        (
            "a data source alone",
            &["data.dbxcmk_key_configurations.all.ids"],
            neither,
        ),
        (
            "an instance that the plan does not have",
            &[
                "dbxcmk_key_configuration.c[\"z\"].id",
                "dbxcmk_key_configuration.c[\"z\"]",
                C,
            ],
            neither,
        ),
    ];
    for (name, references, expected) in rows {
        let links = of(
            vec![
                new_configuration(&a),
                new_configuration(&b),
                new_binding("dbxcmk_workspace_binding.w[\"a\"]", "1"),
                new_binding("dbxcmk_workspace_binding.w[\"b\"]", "2"),
            ],
            root(vec![refers(
                "dbxcmk_workspace_binding.w",
                "storage_key_configuration_id",
                references,
            )]),
        );
        let seen = gets(&links);
        let expected: Vec<_> = ["1", "2"]
            .iter()
            .zip(expected)
            .map(|(workspace, one)| ((*workspace).to_owned(), one.to_owned()))
            .collect();
        assert_eq!(seen, expected, "{name}");
    }
}

/// What `count` numbers is found by its number, and what one binding alone refers to is not guessed.
#[test]
fn a_number_is_an_index() {
    let numbered = |number: usize| format!("{C}[{number}]");
    let rows: [(&str, &[&str], &str); 4] = [
        (
            "the second",
            &[
                "dbxcmk_key_configuration.c[1].id",
                "dbxcmk_key_configuration.c[1]",
                C,
            ],
            "dbxcmk_key_configuration.c[1]",
        ),
        ("all of them", &[C], UNKNOWN),
        ("a computed one", &[C, "var.number"], UNKNOWN),
        (
            "the number of a resource without one",
            &[C, "count.index"],
            UNKNOWN,
        ),
    ];
    for (name, references, expected) in rows {
        let links = of(
            vec![
                new_configuration(&numbered(0)),
                new_configuration(&numbered(1)),
                new_binding("dbxcmk_workspace_binding.w", "1"),
            ],
            root(vec![refers(
                "dbxcmk_workspace_binding.w",
                "storage_key_configuration_id",
                references,
            )]),
        );
        assert_eq!(
            gets(&links),
            [("1".to_owned(), expected.to_owned())],
            "{name}"
        );
    }
    // The only instance that there is needs no index.
    let links = of(
        vec![
            new_configuration(&numbered(0)),
            new_binding("dbxcmk_workspace_binding.w", "1"),
        ],
        root(vec![refers(
            "dbxcmk_workspace_binding.w",
            "storage_key_configuration_id",
            &[C],
        )]),
    );
    assert_eq!(gets(&links), [("1".to_owned(), numbered(0))]);
}

/// Two instances of a module, each with a configuration and a binding of its own.
#[test]
fn what_a_module_refers_to_is_of_the_same_instance() {
    let inner = json!({ "resources": [
        refers("dbxcmk_key_configuration.c", "aws", &["aws_kms_key.k.arn", "aws_kms_key.k"]),
        refers("dbxcmk_workspace_binding.w", "storage_key_configuration_id", &["dbxcmk_key_configuration.c.id", C]),
    ] });
    let root = json!({ "module_calls": { "m": { "module": inner } } });
    let changes = ["a", "b"].into_iter().flat_map(|name| {
        let within = |address: &str| format!("module.m[\"{name}\"].{address}");
        [
            new_key(&within("aws_kms_key.k")),
            new_configuration(&within(C)),
            new_binding(&within("dbxcmk_workspace_binding.w"), name),
        ]
    });
    assert_eq!(
        said(&of(changes.collect(), root)),
        [
            "module.m[\"a\"].dbxcmk_key_configuration.c has module.m[\"a\"].aws_kms_key.k",
            "module.m[\"b\"].dbxcmk_key_configuration.c has module.m[\"b\"].aws_kms_key.k",
            "a gets for STORAGE module.m[\"a\"].dbxcmk_key_configuration.c after none",
            "b gets for STORAGE module.m[\"b\"].dbxcmk_key_configuration.c after none",
        ]
    );
}

/// Each row: how the call of a module with two instances gives the configuration, and which one the bindings in it get.
#[test]
fn a_variable_is_what_the_call_of_the_module_gives() {
    let (a, b) = (format!("{C}[\"a\"]"), format!("{C}[\"b\"]"));
    let rows: [(&str, &[&str], [&str; 2]); 5] = [
        ("by the key of the module", &[C, "each.key"], [&a, &b]),
        (
            "by a key",
            &[
                "dbxcmk_key_configuration.c[\"b\"].id",
                "dbxcmk_key_configuration.c[\"b\"]",
                C,
            ],
            [&b, &b],
        ),
        (
            "by a value of the module",
            &[C, "each.value"],
            [UNKNOWN, UNKNOWN],
        ),
        ("by a local", &["local.id"], [UNKNOWN, UNKNOWN]),
        ("by a variable of the root", &["var.id"], [UNKNOWN, UNKNOWN]),
    ];
    for (name, references, expected) in rows {
        let inner = json!({ "resources": [refers(
            "dbxcmk_workspace_binding.w",
            "storage_key_configuration_id",
            &["var.configuration.id", "var.configuration"],
        )] });
        let call = json!({ "expressions": { "configuration": { "references": references } }, "module": inner });
        let root = json!({ "module_calls": { "m": call } });
        let links = of(
            vec![
                new_configuration(&a),
                new_configuration(&b),
                new_binding("module.m[\"a\"].dbxcmk_workspace_binding.w", "1"),
                new_binding("module.m[\"b\"].dbxcmk_workspace_binding.w", "2"),
            ],
            root,
        );
        let seen: Vec<String> = gets(&links).into_iter().map(|(_, one)| one).collect();
        assert_eq!(seen, expected, "{name}");
    }
}

/// Each row: how an output of a module is written, and which configuration a binding of the root gets by it.
#[test]
fn an_output_is_what_the_module_says() {
    let (a, b) = (
        format!("module.m[\"a\"].{C}"),
        format!("module.m[\"b\"].{C}"),
    );
    let rows: [(&str, &[&str], &str); 6] = [
        (
            "by its key",
            &[
                "module.m[\"b\"].configuration.id",
                "module.m[\"b\"].configuration",
                "module.m[\"b\"]",
                "module.m",
            ],
            &b,
        ),
        (
            "by its other key",
            &[
                "module.m[\"a\"].configuration",
                "module.m[\"a\"]",
                "module.m",
            ],
            &a,
        ),
        (
            "by a key that is computed",
            &["module.m", "each.key"],
            UNKNOWN,
        ),
        ("as a whole", &["module.m"], UNKNOWN),
        (
            "an output that there is not",
            &["module.m[\"a\"].nothing", "module.m"],
            UNKNOWN,
        ),
        (
            "a module that there is not",
            &["module.x.configuration", "module.x"],
            UNKNOWN,
        ),
    ];
    for (name, references, expected) in rows {
        let inner = json!({
            "outputs": { "configuration": { "expression": { "references": ["dbxcmk_key_configuration.c"] } } },
        });
        let root = json!({
            "resources": [refers("dbxcmk_workspace_binding.w", "storage_key_configuration_id", references)],
            "module_calls": { "m": { "module": inner } },
        });
        let links = of(
            vec![
                new_configuration(&a),
                new_configuration(&b),
                new_binding("dbxcmk_workspace_binding.w", "1"),
            ],
            root,
        );
        assert_eq!(
            gets(&links),
            [("1".to_owned(), expected.to_owned())],
            "{name}"
        );
    }
}

/// From a module in a module, out through two variables, and in again through an output.
#[test]
fn references_are_followed_through_modules_of_modules() {
    let innermost = json!({ "resources": [refers(
        "dbxcmk_workspace_binding.w", "storage_key_configuration_id", &["var.id"])] });
    let middle = json!({ "module_calls": { "inner": {
        "expressions": { "id": { "references": ["var.outer_id"] } }, "module": innermost } } });
    let keys = json!({
        "outputs": { "id": { "expression": { "references": ["module.deep.id", "module.deep"] } } },
        "module_calls": { "deep": { "module": {
            "outputs": { "id": { "expression": { "references": ["dbxcmk_key_configuration.c.id", C] } } } } } },
    });
    let root = json!({ "module_calls": {
        "outer": { "expressions": { "outer_id": { "references": ["module.keys.id", "module.keys"] } }, "module": middle },
        "keys": { "module": keys },
    } });
    let configuration = format!("module.keys.module.deep.{C}");
    let links = of(
        vec![
            new_configuration(&configuration),
            new_configuration(C),
            new_binding("module.outer.module.inner.dbxcmk_workspace_binding.w", "1"),
        ],
        root,
    );
    assert_eq!(gets(&links), [("1".to_owned(), configuration)]);
}

/// Hostile plans: references that lead back to themselves, or fan out at every step, end.
#[test]
fn a_circle_and_a_fan_end() {
    let call = json!({ "id": { "references": ["module.m.id", "module.m", "module.m.other"] } });
    let circle = json!({
        "resources": [refers("dbxcmk_workspace_binding.w", "storage_key_configuration_id", &["module.m.id"])],
        "module_calls": { "m": { "expressions": call, "module": { "outputs": {
            "id": { "expression": { "references": ["var.id", "var.id.x"] } },
            "other": { "expression": { "references": ["var.id", "var.id.y"] } },
        } } } },
    });
    let links = of(vec![new_binding("dbxcmk_workspace_binding.w", "1")], circle);
    assert_eq!(gets(&links), [("1".to_owned(), UNKNOWN.to_owned())]);

    let mut fan = json!({ "resources": [refers(
        "dbxcmk_workspace_binding.w", "storage_key_configuration_id", &["var.id"])] });
    let mut address = "dbxcmk_workspace_binding.w".to_owned();
    for _ in 0..16 {
        let references: Vec<String> = (0..10).map(|part| format!("var.id.part{part}")).collect();
        fan = json!({ "module_calls": { "m": { "expressions": { "id": { "references": references } }, "module": fan } } });
        address = format!("module.m.{address}");
    }
    let links = of(vec![new_binding(&address, "1")], fan);
    assert_eq!(gets(&links), [("1".to_owned(), UNKNOWN.to_owned())]);
}

/// The name of a key of each cloud, the resource that makes it, and the attribute of ours that takes it.
fn maker(cloud: &Cloud) -> (&'static str, &'static str, &'static str, &'static str) {
    match cloud {
        Cloud::Aws => (
            "aws_kms_key.k",
            "aws",
            "key_arn",
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-123456789001",
        ),
        Cloud::Gcp => (
            "google_kms_crypto_key.k",
            "gcp",
            "kms_key_id",
            "projects/acme/locations/us-east4/keyRings/lakehouse/cryptoKeys/main",
        ),
        _ => (
            "azurerm_key_vault_key.k",
            "azure",
            "key_vault_key_id",
            "https://acme.vault.azure.net/keys/main",
        ),
    }
}

/// A key of the same plan, through the key policy or without it: the configuration has the key, by the address of what makes it.
#[test]
fn a_new_key_is_known_by_its_address_on_each_cloud() {
    for cloud in &CLOUDS {
        let (key, block, name, _) = maker(cloud);
        let ours = |address: &str| {
            new(
                address,
                json!({ "use_cases": ["STORAGE"], block: {} }),
                json!({ "id": true, block: { name: true } }),
            )
        };
        for path in [
            vec![key],
            vec!["dbxcmk_key_policy.p.x", "dbxcmk_key_policy.p"],
        ] {
            let links = of(
                vec![new_key(key), ours("dbxcmk_key_policy.p"), ours(C)],
                root(vec![
                    refers("dbxcmk_key_policy.p", block, &[key]),
                    refers(C, block, &path),
                ]),
            );
            assert_eq!(said(&links), [format!("{C} has {key}")], "{cloud}");
            assert_eq!(links.key_of.get(C).map(String::as_str), Some(key));
            assert!(links.is_for_databricks(key), "{cloud}");
            assert_eq!(&links.cloud_of_key(key), cloud);
            assert_eq!(
                links
                    .configurations
                    .get(C)
                    .and_then(|one| one.cloud.clone())
                    .as_ref(),
                Some(cloud)
            );
        }
    }
}

/// What moves to a key of the same plan, whose name is not known yet, gets that key: the name that it has until now is of the former one.
#[test]
fn a_configuration_that_moves_to_a_new_key_does_not_have_the_former_one() {
    for cloud in &CLOUDS {
        let (key, block, name, former) = maker(cloud);
        let state = json!({ "id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["STORAGE"], block: { name: former } });
        let moves = |address: &str| {
            resource(
                address,
                "replace",
                state.clone(),
                json!({ "use_cases": ["STORAGE"], block: {} }),
                json!({ "id": true, block: { name: true } }),
            )
        };
        let links = of(
            vec![new_key(key), moves("dbxcmk_key_policy.p"), moves(C)],
            root(vec![
                refers("dbxcmk_key_policy.p", block, &[key]),
                refers(C, block, &["dbxcmk_key_policy.p"]),
            ]),
        );
        assert_eq!(
            said(&links),
            [format!("{C} has {key} (until now {former})")],
            "{cloud}"
        );
        assert_eq!(
            links
                .former_key_of
                .get("dbxcmk_key_policy.p")
                .map(String::as_str),
            Some(former)
        );
        // Both are of interest: one gets the statements, the other loses them.
        for one in [key, former] {
            assert!(links.is_for_databricks(one), "{cloud}: {one}");
        }
        // Where the plan does not show which key it gets, the former one is all there is to say.
        let links = of(
            vec![new_key(key), moves(C)],
            root(vec![refers(C, block, &["local.key"])]),
        );
        assert_eq!(said(&links), [format!("{C} has {former}")], "{cloud}");
    }
}

/// A configuration that goes keeps the name of its key, and the links say what a plan does not show.
#[test]
fn a_configuration_has_the_key_that_its_state_names() {
    for cloud in &CLOUDS {
        let (_, block, name, key) = maker(cloud);
        let state = json!({ "id": key, "use_cases": ["STORAGE"], block: { name: key } });
        for action in ["no-op", "update", "delete", "forget"] {
            let after = match action {
                "delete" | "forget" => Json::Null,
                _ => state.clone(),
            };
            let links = of(
                vec![resource(C, action, state.clone(), after, json!({}))],
                json!({}),
            );
            assert_eq!(said(&links), [format!("{C} has {key}")], "{cloud} {action}");
            let stays = links.configurations.get(C).map(|one| one.stays);
            assert_eq!(
                stays,
                Some(matches!(action, "no-op" | "update")),
                "{cloud} {action}"
            );
        }
        let links = of(
            vec![new(
                C,
                json!({ "use_cases": ["STORAGE"], block: {} }),
                json!({ block: { name: true } }),
            )],
            json!({}),
        );
        assert_eq!(
            said(&links),
            [format!("{C} has no key that shows")],
            "{cloud}"
        );
    }
}

/// Each row: two names, and whether they are one key.
#[test]
fn a_key_is_the_same_by_each_of_its_names() {
    let (_, _, _, arn) = maker(&Cloud::Aws);
    let (_, _, _, google) = maker(&Cloud::Gcp);
    let (_, _, _, vault) = maker(&Cloud::Azure);
    let version = "https://acme.vault.azure.net/keys/main/0123456789abcdef0123456789abcdef";
    let rows = [
        (
            "aws_kms_key_policy.p",
            "key_id",
            arn,
            "1234abcd-12ab-34cd-56ef-123456789001",
            true,
        ),
        (
            "aws_kms_key_policy.p",
            "key_id",
            arn,
            "1234abcd-12ab-34cd-56ef-123456789002",
            false,
        ),
        (
            "google_kms_crypto_key_iam_member.p",
            "crypto_key_id",
            google,
            "acme/us-east4/lakehouse/main",
            true,
        ),
        (
            "google_kms_crypto_key_iam_member.p",
            "crypto_key_id",
            google,
            "acme/us-east4/lakehouse/other",
            false,
        ),
        (
            "google_kms_crypto_key_iam_policy.p",
            "crypto_key_id",
            google,
            google,
            true,
        ),
        (
            "google_kms_crypto_key_version.p",
            "crypto_key",
            google,
            google,
            true,
        ),
        (
            "dbxcmk_key_policy.p",
            "azure.key_vault_key_id",
            vault,
            version,
            true,
        ),
        (
            "dbxcmk_key_policy.p",
            "azure.key_vault_key_id",
            vault,
            "https://acme.vault.azure.net/keys/other",
            false,
        ),
    ];
    for (address, path, key, named, is_same) in rows {
        let (maker, attribute) = match key {
            key if key == arn => ("aws_kms_key.k", "arn"),
            key if key == google => ("google_kms_crypto_key.k", "id"),
            _ => ("azurerm_key_vault_key.k", "versionless_id"),
        };
        let state = match path.split_once('.') {
            Some((block, name)) => json!({ block: { name: named } }),
            None => json!({ path: named }),
        };
        let links = of(
            vec![kept(maker, json!({ attribute: key })), kept(address, state)],
            json!({}),
        );
        let own = links.key_of.get(address).map(String::as_str);
        assert_eq!(own == Some(key), is_same, "{address} {named}: {own:?}");
    }
}

/// On Azure the identifier of a key stands for its configuration, with its version, without it, and in any case.
#[test]
fn the_users_of_a_key_are_found_by_each_identifier_of_it() {
    for named in [
        "https://acme.vault.azure.net/keys/main",
        "https://acme.vault.azure.net/keys/main/0123456789abcdef0123456789abcdef",
        "https://ACME.vault.azure.net/keys/main",
    ] {
        let workspace = json!({ "name": "lake", "id": "/w/lake", "managed_services_cmk_key_vault_key_id": named });
        let links = of(
            vec![
                kept(
                    "azurerm_key_vault_key.k",
                    json!({ "versionless_id": "https://acme.vault.azure.net/keys/main" }),
                ),
                kept("azurerm_databricks_workspace.w", workspace),
            ],
            json!({}),
        );
        assert_eq!(
            links.users_of("https://acme.vault.azure.net/keys/main"),
            BTreeSet::from(["/w/lake".to_owned()]),
            "{named}"
        );
    }
}

/// Each row: what a binding says of its workspace, and how the report calls it.
#[test]
fn a_workspace_is_called_by_what_shows_of_it() {
    let peer = "databricks_mws_workspaces.w";
    let azure = "azurerm_databricks_workspace.w";
    let rows = [
        (
            "its number",
            json!({ "workspace_id": "7" }),
            json!({}),
            "workspace_id",
            vec![],
            "7",
        ),
        (
            "its name and number",
            json!({ "workspace_id": 7, "workspace_name": "lake" }),
            json!({}),
            "workspace_id",
            vec![],
            "lake (7)",
        ),
        (
            "a new workspace of the peer",
            json!({}),
            json!({ "workspace_id": true }),
            "workspace_id",
            vec![peer],
            peer,
        ),
        (
            "a new workspace on Azure",
            json!({ "azure": {} }),
            json!({ "azure": { "workspace_resource_id": true } }),
            "azure",
            vec![azure],
            azure,
        ),
        (
            "one of two, which does not show",
            json!({}),
            json!({ "workspace_id": true }),
            "workspace_id",
            vec![peer, "databricks_mws_workspaces.other"],
            "dbxcmk_workspace_binding.b",
        ),
        (
            "nothing at all",
            json!({}),
            json!({ "workspace_id": true }),
            "workspace_id",
            vec!["local.workspace"],
            "dbxcmk_workspace_binding.b",
        ),
    ];
    for (name, after, unknown, attribute, references, expected) in rows {
        let other = |address: &str| {
            new(
                address,
                json!({}),
                json!({ "workspace_id": true, "id": true }),
            )
        };
        let links = of(
            vec![
                other(peer),
                other("databricks_mws_workspaces.other"),
                other(azure),
                new("dbxcmk_workspace_binding.b", after, unknown),
            ],
            root(vec![refers(
                "dbxcmk_workspace_binding.b",
                attribute,
                &references,
            )]),
        );
        let names: Vec<&str> = links
            .workspaces_at("dbxcmk_workspace_binding.b")
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, [expected], "{name}");
    }
}

/// What `create_before_destroy` leaves over is not what a reference means.
#[test]
fn a_deposed_object_is_not_referred_to() {
    let mut deposed = resource(C, "delete", json!({ "id": "c2" }), Json::Null, json!({}));
    deposed["deposed"] = json!("0123abcd");
    let links = of(
        vec![
            deposed,
            new_configuration(C),
            new_binding("dbxcmk_workspace_binding.w", "1"),
        ],
        root(vec![refers(
            "dbxcmk_workspace_binding.w",
            "storage_key_configuration_id",
            &[C],
        )]),
    );
    assert_eq!(gets(&links), [("1".to_owned(), C.to_owned())]);
}

/// The peer's key configurations have their keys in blocks, by value or by reference.
#[test]
fn the_key_of_the_peers_configuration_is_found() {
    const PEER: &str = "databricks_mws_customer_managed_keys.c";
    for (cloud, block, name) in [
        (Cloud::Aws, "aws_key_info", "key_arn"),
        (Cloud::Gcp, "gcp_key_info", "kms_key_id"),
    ] {
        let (key, _, _, value) = maker(&cloud);
        let known = kept(
            PEER,
            json!({ "use_cases": ["STORAGE"], block: [{ name: value }] }),
        );
        let links = of(vec![known], json!({}));
        assert_eq!(said(&links), [format!("{PEER} has {value}")], "{cloud}");
        let unknown = new(
            PEER,
            json!({ "use_cases": ["STORAGE"], block: [{}] }),
            json!({ block: [{ name: true }] }),
        );
        let resources = json!([{ "address": PEER, "expressions": { block: [{ name: { "references": [key] } }] } }]);
        let links = of(
            vec![new_key(key), unknown],
            json!({ "resources": resources }),
        );
        assert_eq!(said(&links), [format!("{PEER} has {key}")], "{cloud}");
        let own = links
            .configurations
            .get(PEER)
            .and_then(|one| one.cloud.clone());
        assert_eq!(own, Some(cloud));
    }
}
