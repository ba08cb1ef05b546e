//! The sandbox's Azure is what it claims to be: Azure's own clients drive it, every request of the provider is one that these clients
//! send, too, and their models read every body and every answer.

use std::collections::BTreeSet;

use acceptance_tests::azure::{OWN_VAULT, resources};
use acceptance_tests::harness::python::python;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{HSM, POLICY_VAULT, key_id, workspace_id};
use dbxcmk_sandbox::world::Record;

use super::switch::key;

/// A request without the names in it: the method, the path, the names of its parameters, and the version of the API.
fn shape(request: &Record) -> String {
    let is_name = |segment: &str| {
        segment.contains("00000000")
            || segment.contains("-0000-4000-")
            || segment.len() == 36 && segment.matches('-').count() == 4
            || segment.len() == 32 && segment.chars().all(|c| c.is_ascii_hexdigit())
            || segment.starts_with("acme-")
            || ["main", "lakehouse", "lakehouse-azure", "not-there"].contains(&segment)
    };
    let path: Vec<String> = request
        .operation
        .to_ascii_lowercase()
        // The client for keys ends with an empty version.
        .trim_end_matches('/')
        .split('/')
        .map(|segment| match is_name(segment) {
            true => "*".to_owned(),
            false => segment.to_owned(),
        })
        .collect();
    let parameters: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| match name.as_str() {
            // The clients for vaults know a newer version. This one is hashicorp/azurerm's, and all Azure clouds have it.
            "api-version" if ["2026-05-15", "2026-02-01"].contains(&value.as_str()) => {
                "api-version of vaults".to_owned()
            }
            "api-version" => format!("api-version={value}"),
            _ => name.clone(),
        })
        .collect();
    format!("{}?{}", path.join("/"), parameters.join("&"))
}

fn shapes(requests: &[Record]) -> BTreeSet<String> {
    requests
        .iter()
        .filter(|one| {
            ["/arm/", "/vault/"]
                .iter()
                .any(|part| one.operation.contains(part))
        })
        .map(shape)
        .collect()
}

/// One test, so that the clients are installed once.
#[test]
fn azures_own_clients_agree() {
    let driven = Stage::on_azure();
    let bundle = driven.workdir.path().join("sandbox.pem");
    std::fs::write(&bundle, driven.sandbox.authority()).unwrap();
    let bundle = bundle.display().to_string();
    let url = driven.sandbox.azure_url();
    let environment = [
        ("SANDBOX_AZURE_URL", url.as_str()),
        ("SANDBOX_CA_BUNDLE", &bundle),
        ("SANDBOX_AZURE_WORKSPACE", &workspace_id()),
    ];
    let said = python(
        "azure-clients",
        "drive.py",
        &[],
        &driven.sandbox,
        &environment,
    );
    assert!(said.contains("all as Azure's clients expect"), "{said}");
    let theirs = shapes(&driven.sandbox.requests());

    let mut ours = Vec::new();
    for vault in [OWN_VAULT, POLICY_VAULT, HSM] {
        let stage = Stage::on_azure();
        stage.configure_azure(&resources(vault));
        stage.workdir.apply();
        stage.workdir.empty_plan();
        let id = key_id(vault);
        let workspace = workspace_id();
        for arguments in [
            &["disable", &id, "--acknowledge", &workspace][..],
            &["restore", &id],
            &[
                "disable",
                &id,
                "--acknowledge",
                &workspace,
                "--schedule-deletion",
                "--skip-hold",
            ],
            &["restore", &id],
        ] {
            let (code, report) = key(&stage, arguments);
            assert_eq!(code, 0, "{arguments:?}: {report}");
        }
        stage.azure(|azure| azure.workspaces.clear());
        let run = stage
            .workdir
            .run(&["destroy", "-auto-approve", "-refresh=false", "-no-color"]);
        assert!(run.success, "{}", run.output);
        ours.extend(stage.sandbox.requests());
    }
    let own = shapes(&ours);
    let alone: Vec<&String> = own
        .difference(&theirs)
        // A Managed HSM's own paths are those of a vault's; the list of subscriptions is of a client that is not among these.
        .filter(|shape| !shape.contains("get /arm/subscriptions?"))
        .collect();
    assert!(
        alone.is_empty(),
        "no client of Azure sends {alone:#?}, but {theirs:#?}"
    );
    assert!(own.len() > 15, "{own:#?}");

    let azure: Vec<Record> = ours
        .into_iter()
        .filter(|one| {
            ["/arm/", "/vault/"]
                .iter()
                .any(|part| one.operation.contains(part))
        })
        .collect();
    driven
        .workdir
        .write("requests.json", &serde_json::to_string(&azure).unwrap());
    let file = driven.workdir.path().join("requests.json");
    let said = python(
        "azure-clients",
        "validate.py",
        &[&file.display().to_string()],
        &driven.sandbox,
        &environment,
    );
    for model in [
        "Workspace",
        "Vault",
        "ManagedHsm",
        "VaultAccessPolicyParameters",
        "RoleAssignmentCreateParameters",
        "KeyBundle",
        "DeletedKeyBundle",
        "KeyUpdateParameters",
    ] {
        assert!(
            said.contains(&format!("{model} ")),
            "{model} is missing: {said}"
        );
    }
}
