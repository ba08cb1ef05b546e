//! What is refused before it happens, and what is only said.

use acceptance_tests::azure::{OWN_VAULT, ROLE, first_version, managed_services, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Stage, between};
use dbxcmk_sandbox::azure::{DATABRICKS, POLICY_VAULT, key_id, vault_id, workspace_id};
use serde_json::{Value as Json, json};

/// What is wrong with a configuration, without any call.
#[test]
fn what_is_wrong_offline_is_said_at_validate() {
    let key = key_id(OWN_VAULT);
    let (vault, workspace) = (vault_id(OWN_VAULT), workspace_id());
    let configuration = |azure: &str, cases: &str| {
        format!(
            "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [{cases}]\n  {azure}\n}}\n"
        )
    };
    let policy = |azure: &str, cases: &str, more: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [{cases}]\n  azure = {{\n    {azure}\n  }}\n  {more}\n}}\n"
        )
    };
    let binding =
        |text: &str| format!("\nresource \"dbxcmk_workspace_binding\" \"x\" {{\n  {text}\n}}\n");
    let services = "\"MANAGED_SERVICES\"";
    let azure = |key: &str| format!("azure = {{\n    key_vault_key_id = \"{key}\"\n  }}");
    let named = format!("key_vault_key_id = \"{key}\"\n    vault_resource_id = \"{vault}\"");
    let on_azure = format!("azure = {{\n    workspace_resource_id = \"{workspace}\"\n  }}");
    let id = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
    let rows = [
        (
            configuration(&azure("https://acme.example.com/keys/x"), services),
            "Invalid key identifier",
            "is not that of a vault",
        ),
        (
            configuration(&azure(&key.but("/keys/", "/secrets/")), services),
            "Invalid key identifier",
            "one of the secrets",
        ),
        (
            configuration(&azure(&key), "\"DISKS\""),
            "Invalid use case",
            "write `MANAGED_DISKS`",
        ),
        (
            configuration(
                "aws = {\n    key_arn = \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"\n  }",
                "\"MANAGED_DISKS\"",
            ),
            "MANAGED_DISKS exists only on Azure",
            "reuse_key_for_cluster_volumes",
        ),
        (
            configuration("", services),
            "Missing required argument",
            "`azure`",
        ),
        (
            policy(
                &format!(
                    "key_vault_key_id = \"{key}\"\n    vault_resource_id = \"{}\"",
                    vault_id(POLICY_VAULT)
                ),
                services,
                "",
            ),
            "The vault is not that of the key",
            "azurerm_key_vault.….id",
        ),
        (
            policy(&named, "\"STORAGE\"", ""),
            "The workspace is not named",
            "workspace_resource_id",
        ),
        (
            policy(
                &named,
                services,
                &format!("databricks_account_ids = [\"{id}\"]"),
            ),
            "databricks_account_ids belongs to AWS",
            "principals of the tenant",
        ),
        (
            policy(
                &format!("{named}\n    databricks_principal_id = \"databricks\""),
                services,
                "",
            ),
            "Invalid object ID",
            "az ad sp show",
        ),
        (
            binding(&format!(
                "{on_azure}\n  managed_services_key_configuration_id = \"{id}\""
            )),
            "An Azure workspace needs a key configuration with an `azure` block",
            "key_vault_key_id",
        ),
        (
            binding(&format!(
                "workspace_id = \"123\"\n  managed_services_key_configuration_id = \"{key}\""
            )),
            "An Azure key cannot be attached to this workspace",
            "workspace_resource_id",
        ),
        (
            binding(&format!(
                "workspace_id = \"123\"\n  {on_azure}\n  managed_services_key_configuration_id = \"{key}\""
            )),
            "Conflicting arguments: `workspace_id` and `azure`",
            "Remove `workspace_id`",
        ),
        (
            binding(&format!(
                "managed_services_key_configuration_id = \"{key}\""
            )),
            "Missing required argument",
            "workspace_resource_id",
        ),
        (
            binding(&format!(
                "azure = {{\n    workspace_resource_id = \"{workspace}\"\n    rotate_managed_disks_to_latest_version = true\n  }}\n  \
                 managed_services_key_configuration_id = \"{key}\""
            )),
            "Only managed disks rotate by themselves",
            "managed_disks_key_configuration_id",
        ),
        (
            binding(&format!(
                "workspace_id = \"123\"\n  managed_disks_key_configuration_id = \"{id}\""
            )),
            "Managed disks have a key of their own only on Azure",
            "Remove the attribute",
        ),
        (
            binding(&format!(
                "azure = {{\n    workspace_resource_id = \"{vault}\"\n  }}\n  managed_services_key_configuration_id = \"{key}\""
            )),
            "Invalid resource ID of a workspace",
            "Microsoft.KeyVault/vaults",
        ),
    ];
    let stage = Stage::on_azure();
    for (text, summary, words) in rows {
        stage.configure_azure(&text);
        let run = stage.workdir.validated();
        let error = run.error(summary);
        assert!(error.detail.contains(words), "{summary}: {}", error.detail);
    }
    assert_eq!(stage.sandbox.requests().len(), 0, "nothing is called");
}

/// Each row: what is wrong with the key, the vault or the workspace, and the error of the plan.
#[test]
fn what_would_fail_is_refused_at_plan() {
    type Change = fn(&Stage);
    let rows: [(&str, Change, &str, &str); 16] = [
        (
            "expired",
            |stage| stage.change_version(OWN_VAULT, |version| version.expires = Some(1)),
            "The key in the vault is outside its dates",
            "[azure-key-expired]",
        ),
        (
            "not yet valid",
            |stage| {
                stage.change_version(OWN_VAULT, |version| {
                    version.not_before = Some(4_000_000_000)
                })
            },
            "The key in the vault is outside its dates",
            "[azure-key-expired]",
        ),
        (
            "disabled",
            |stage| stage.change_version(OWN_VAULT, |version| version.enabled = false),
            "The key in the vault is disabled",
            "key restore",
        ),
        (
            "elliptic",
            |stage| stage.change_version(OWN_VAULT, |version| version.kind = "EC".to_owned()),
            "The key in the vault is not an RSA key",
            "[azure-key-type]",
        ),
        (
            "too small for disks",
            |stage| stage.change_version(OWN_VAULT, |version| version.bits = 1024),
            "The key in the vault has a size that a feature does not take",
            "2048, 3072, 4096",
        ),
        (
            "without unwrapping",
            |stage| {
                stage.change_version(OWN_VAULT, |version| {
                    version.operations = vec!["wrapKey".to_owned()]
                })
            },
            "The key in the vault does not permit wrapping and unwrapping",
            "key_opts",
        ),
        (
            "of a certificate",
            |stage| stage.change_version(OWN_VAULT, |version| version.managed = true),
            "The key in the vault belongs to a certificate",
            "[azure-key-of-certificate]",
        ),
        (
            "gone",
            |stage| stage.azure(|azure| azure.keys.clear()),
            "The vault does not have the key",
            "[azure-key-not-found]",
        ),
        (
            "shut to trusted services",
            |stage| {
                stage.azure(|azure| {
                    azure.vault(OWN_VAULT).unwrap()["properties"]["networkAcls"]["bypass"] =
                        json!("None");
                });
            },
            "The vault's network rules block Databricks",
            "--bypass AzureServices",
        ),
        (
            "in a perimeter",
            |stage| {
                stage.azure(|azure| {
                    azure.vault(OWN_VAULT).unwrap()["properties"]["publicNetworkAccess"] =
                        json!("SecuredByPerimeter");
                });
            },
            "The vault's network rules block Databricks",
            "perimeter",
        ),
        (
            "in another region",
            |stage| {
                stage.azure(|azure| {
                    azure.vault(OWN_VAULT).unwrap()["location"] = json!("northeurope")
                });
            },
            "The vault is in another region than the workspace",
            "[azure-vault-region]",
        ),
        (
            "standard tier",
            |stage| {
                stage.azure(|azure| {
                    azure.workspace().unwrap().shown["sku"]["name"] = json!("standard")
                });
            },
            "The workspace's pricing tier does not include customer-managed keys",
            "--sku premium",
        ),
        (
            "serverless",
            |stage| {
                stage.azure(|azure| {
                    azure.workspace().unwrap().shown["properties"]["computeMode"] =
                        json!("Serverless")
                });
            },
            "The workspace has no storage that a storage key could encrypt",
            "managed services key covers it",
        ),
        (
            "FedRAMP",
            |stage| {
                stage.azure(|azure| {
                    azure.workspace().unwrap().shown["properties"]["parameters"]["enableFedRampCertification"] = json!({ "value": true });
                });
            },
            "The workspace cannot have a key for managed disks",
            "[azure-disks-fedramp]",
        ),
        (
            "an unreadable key",
            |stage| {
                stage.azure(|azure| {
                    azure.workspace().unwrap().shown["properties"]["encryption"] =
                        json!({ "entities": { "managedServices": { "keySource": "Microsoft.Keyvault" } } });
                });
            },
            "The key configuration of the workspace cannot be read",
            "[workspace-key-unreadable]",
        ),
        (
            "without AzureDatabricks",
            |stage| stage.azure(|azure| azure.has_databricks = false),
            "The application AzureDatabricks is not in the tenant",
            "az ad sp create",
        ),
    ];
    for (what, change, summary, words) in rows {
        let stage = Stage::on_azure();
        change(&stage);
        stage.configure_azure(&resources(OWN_VAULT));
        let run = stage.workdir.refused_plan();
        run.error(summary);
        // Of several resources, one says it in full.
        assert!(run.shown().contains(words), "{what}: {}", run.shown());
        assert_eq!(stage.asked_times("PUT"), 0, "{what}");
    }
}

/// Each row: who may use the key of a vault without a policy of this configuration, and what the plan says.
#[test]
fn access_counts_wherever_it_comes_from() {
    type Change = fn(&Stage);
    let granted: [(&str, Change); 5] = [
        ("at the vault", |stage| stage.allow_databricks(OWN_VAULT)),
        ("at the key", |stage| {
            stage.assign(
                &format!("{}/keys/main", vault_id(OWN_VAULT)),
                ROLE,
                DATABRICKS,
            );
        }),
        ("at the subscription, as Administrator", |stage| {
            let scope = vault_id(OWN_VAULT)
                .split("/resourceGroups")
                .next()
                .unwrap()
                .to_owned();
            stage.assign(&scope, "00482a5a-887f-4fb3-b363-3b7fe8e74483", DATABRICKS);
        }),
        ("as a member of a group", |stage| {
            let group = "9f000000-0000-4000-8000-000000000001";
            stage.assign(&vault_id(OWN_VAULT), ROLE, group);
            stage.azure(|azure| {
                azure
                    .groups
                    .insert(group.to_owned(), vec![DATABRICKS.to_owned()])
            });
        }),
        ("by a custom role", |stage| {
            let role = "c0000000-0000-4000-8000-000000000001";
            stage.azure(|azure| {
                let shown = json!({ "properties": { "roleName": "own", "permissions": [{ "dataActions": ["Microsoft.KeyVault/vaults/keys/*"], "notDataActions": [] }] } });
                azure.role_definitions.insert(role.to_owned(), shown);
            });
            stage.assign(&vault_id(OWN_VAULT), role, DATABRICKS);
        }),
    ];
    for (what, change) in granted {
        let stage = Stage::on_azure();
        change(&stage);
        stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
        let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
        assert!(run.success, "{what}: {}", run.shown());
        stage.workdir.apply();
    }
    let refused: [(&str, Change, &str, &str); 6] = [
        (
            "nothing",
            |_| {},
            "A principal that needs the key is not allowed to use it",
            "az role assignment create",
        ),
        (
            "Contributor",
            |stage| {
                stage.assign(
                    &vault_id(OWN_VAULT),
                    "b24988ac-6180-42a0-ab88-20f7382dd24c",
                    DATABRICKS,
                )
            },
            "A principal that needs the key is not allowed to use it",
            "lacks get, wrapKey, unwrapKey",
        ),
        (
            "another key",
            |stage| {
                stage.assign(
                    &format!("{}/keys/other", vault_id(OWN_VAULT)),
                    ROLE,
                    DATABRICKS,
                )
            },
            "A principal that needs the key is not allowed to use it",
            "dbxcmk_key_policy",
        ),
        (
            "a deny assignment",
            |stage| {
                stage.allow_databricks(OWN_VAULT);
                deny(
                    stage,
                    json!([{ "id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined" }]),
                    json!([]),
                );
            },
            "A deny assignment takes the key from a principal that needs it",
            "\"perimeter\"",
        ),
        (
            "a role that reads alone",
            |stage| {
                stage.assign(
                    &vault_id(OWN_VAULT),
                    "21090545-7ca7-4776-b22c-e363652d74d2",
                    DATABRICKS,
                )
            },
            "A principal that needs the key is not allowed to use it",
            "lacks wrapKey, unwrapKey",
        ),
        (
            "Graph closed",
            |stage| {
                stage.azure(|azure| azure.denied.insert("graph".to_owned()));
            },
            "",
            "",
        ),
    ];
    for (what, change, summary, words) in refused {
        let stage = Stage::on_azure();
        change(&stage);
        stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
        if summary.is_empty() {
            // What cannot be read is a warning at plan, and an error right before the attach.
            let plan = stage.workdir.plan();
            plan.run.warning("Who may use the key could not be read");
            stage
                .workdir
                .failed_apply()
                .error("Who may use the key could not be read");
            // With the ID in the provider block, the provider does not ask Graph.
            stage.allow_databricks(OWN_VAULT);
            stage.configure_azure_with(
                &format!("databricks_principal_id = \"{DATABRICKS}\""),
                &managed_services(&key_id(OWN_VAULT)),
            );
            stage.workdir.apply();
            stage.workdir.empty_plan();
            continue;
        }
        let run = stage.workdir.refused_plan();
        let error = run.error(summary);
        assert!(error.detail.contains(words), "{what}: {}", error.detail);
    }
    // Access policies, in any case of their words.
    let stage = Stage::on_azure();
    stage.configure_azure(&managed_services(&key_id(POLICY_VAULT)));
    let run = stage.workdir.refused_plan();
    let error = run.error("A principal that needs the key is not allowed to use it");
    assert!(
        error.detail.contains("az keyvault set-policy"),
        "{}",
        error.detail
    );
    stage.allow_databricks(POLICY_VAULT);
    stage.workdir.apply();
}

fn deny(stage: &Stage, principals: Json, except: Json) {
    stage.azure(|azure| {
        let shown = json!({ "properties": { "denyAssignmentName": "perimeter", "principals": principals, "excludePrincipals": except,
            "permissions": [{ "dataActions": ["Microsoft.KeyVault/vaults/keys/*"], "notDataActions": [] }] } });
        azure.deny_assignments.push((vault_id(OWN_VAULT), shown));
    });
}

/// A condition is not decided, and a deny of groups is only pointed out.
#[test]
fn what_cannot_be_decided_is_said() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.azure(|azure| {
        for assignment in azure.role_assignments.values_mut() {
            assignment["properties"]["condition"] =
                json!("@Resource[Microsoft.KeyVault/vaults/keys:name] StringEquals 'main'");
        }
    });
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("A principal is allowed to use the key only under a condition");
    assert!(
        warning.detail.contains("StringEquals 'main'"),
        "{}",
        warning.detail
    );
    stage
        .workdir
        .failed_apply()
        .error("A principal is allowed to use the key only under a condition");

    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    deny(
        &stage,
        json!([{ "id": "9f000000-0000-4000-8000-000000000001", "type": "Group" }]),
        json!([]),
    );
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
    let plan = stage.workdir.plan();
    plan.run
        .warning("A deny assignment may take the key from a principal that needs it");
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// A vault that lets only others in is read by Resource Manager; where that is not allowed either, an apply stops.
#[test]
fn a_firewall_is_explained() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.azure(|azure| {
        azure.closed.insert(OWN_VAULT.to_owned());
        azure
            .denied
            .insert("Microsoft.KeyVault/vaults/keys/read".to_owned());
    });
    stage.configure_azure(&managed_services(&first_version(OWN_VAULT)));
    let plan = stage.workdir.plan();
    let warning = plan.run.warning("The key in the vault could not be read");
    assert!(
        warning.detail.contains("network rules of the vault"),
        "{}",
        warning.detail
    );
    assert!(!warning.detail.contains('\r'), "{}", warning.detail);
    let run = stage.workdir.failed_apply();
    let error = run.error("The key in the vault could not be read");
    assert!(
        error.detail.contains("ip_rules") && error.detail.contains("Resource Manager"),
        "{}",
        error.detail
    );
    assert_eq!(stage.asked_times("PUT"), 0);
}

/// Each row: a slip of the configuration, and the one error of the plan.
#[test]
fn slips_are_refused_at_plan() {
    let policy = |vault: &str, more: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id  = \"{}\"\n    \
             vault_resource_id = \"{vault}\"\n    {more}\n  }}\n}}\n",
            key_id(OWN_VAULT)
        )
    };
    let configuration = |key: &str| {
        format!(
            "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id = \"{key}\"\n  \
             }}\n}}\n"
        )
    };
    let vault = vault_id(OWN_VAULT);
    let application = "databricks_principal_id = \"2ff814a6-3304-4ab8-85cb-cd0e6f879c1d\"";
    let rows = [
        (
            "",
            policy(&vault, application),
            "Invalid object ID",
            "az ad sp show",
        ),
        (
            "",
            policy(&vault.but("/lakehouse/", "/elsewhere/"), ""),
            "The vault of the key does not exist",
            "az resource list",
        ),
        (
            "",
            configuration(&format!("{}/{}", key_id(OWN_VAULT), "f".repeat(32))),
            "The key does not have this version",
            "list-versions",
        ),
        (
            "client_secret = \"wrong\"",
            configuration(&key_id(OWN_VAULT)),
            "Azure gives the provider no token",
            "az login",
        ),
        (
            "environment = \"usgovernment\"",
            configuration(&key_id(OWN_VAULT)),
            "The key is in another Azure environment than the provider",
            "ARM_ENVIRONMENT",
        ),
    ];
    for (more, text, summary, words) in rows {
        let stage = Stage::on_azure();
        stage.configure_azure_with(more, &text);
        let run = stage.workdir.refused_plan();
        let error = run.error(summary);
        assert!(error.detail.contains(words), "{summary}: {}", error.detail);
        assert_eq!(run.errors(), 1, "{}", run.shown());
    }
}

/// Without purge protection a key can be lost permanently: the user can silence that warning.
#[test]
fn a_vault_without_purge_protection_is_pointed_out() {
    let stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.azure(|azure| {
        azure.vault(OWN_VAULT).unwrap()["properties"]["enablePurgeProtection"] = Json::Null;
    });
    stage.change_version(OWN_VAULT, |version| {
        version.recovery_level = "Recoverable+Purgeable".to_owned()
    });
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
    let plan = stage.workdir.plan();
    let warning = plan
        .run
        .warning("The vault has no soft delete or no purge protection");
    assert!(
        warning.detail.contains("--enable-purge-protection"),
        "{}",
        warning.detail
    );
    let silenced = managed_services(&key_id(OWN_VAULT)).but(
        "use_cases = [\"MANAGED_SERVICES\"]",
        "use_cases = [\"MANAGED_SERVICES\"]\n  ignore_findings = [\"azure-vault-unprotected\"]",
    );
    let silenced = silenced.but(
        "settle_time",
        "ignore_findings = [\"azure-vault-unprotected\"]\n  settle_time",
    );
    stage.configure_azure(&silenced);
    assert_eq!(stage.workdir.plan().run.warnings(), Vec::<&str>::new());
}

/// With `preflight = "warn"`, findings do not stop; Azure's own refusal is explained then.
#[test]
fn what_azure_refuses_itself_is_explained() {
    let stage = Stage::on_azure();
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)).but(
        "settle_time",
        "timeouts = { create = \"20s\" }\n  settle_time",
    ));
    let main = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.configuration(&main.but(
        "provider \"dbxcmk\" {",
        "provider \"dbxcmk\" {\n  preflight = \"warn\"",
    ));
    let run = stage.workdir.failed_apply();
    let error = run.error("The keys of the workspace could not be changed");
    assert!(
        error
            .detail
            .contains("Invalid permissions on the specified KeyVault"),
        "{}",
        error.detail
    );
    run.warning("A principal that needs the key is not allowed to use it");
    assert_eq!(
        stage.workdir.addresses(),
        ["dbxcmk_key_configuration.lakehouse"]
    );
}

/// Another provider gives access to the key between two of our resources, in one apply.
#[test]
fn what_another_provider_grants_in_between_is_seen() {
    for vault in [OWN_VAULT, POLICY_VAULT] {
        let stage = Stage::on_azure();
        let id =
            "replace(terraform_data.between.id, \"/^.*$/\", dbxcmk_key_configuration.lakehouse.id)";
        let binding = managed_services(&key_id(vault)).but(
            "= dbxcmk_key_configuration.lakehouse.id",
            &format!("= {id}"),
        );
        let held = between("dbxcmk_key_configuration.lakehouse");
        stage.configure_azure(&format!("{binding}{held}"));
        let run = stage.apply_around(|| stage.allow_databricks(vault));
        assert!(run.success, "{vault}: {}", run.output);
        stage.workdir.empty_plan();
    }
}
