//! Which service the provider asks with which identity, and what it only reads: credentials,
//! endpoints, data sources, unknown values.

use acceptance_tests::azure::{OWN_VAULT, managed_services, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::azure::{POLICY_VAULT, VERSION, key_id, vault_id, workspace_id};
use dbxcmk_sandbox::identities::{GITHUB_REQUEST_TOKEN, OIDC_TOKEN};
use serde_json::json;

/// Each way in which hashicorp/azurerm proves who it is, with real calls.
#[test]
fn every_credential_of_azurerm_is_known() {
    type Set = fn(&mut Stage);
    let rows: [(&str, Set); 6] = [
        ("a secret in a file", |stage| {
            stage.workdir.write("secret", dbxcmk_sandbox::azure::SECRET);
            let file = stage.workdir.path().join("secret").display().to_string();
            stage.workdir.set("ARM_CLIENT_SECRET_FILE_PATH", &file);
        }),
        ("a token of another provider", |stage| {
            stage.workdir.set("ARM_USE_OIDC", "true");
            stage.workdir.set("ARM_OIDC_TOKEN", OIDC_TOKEN);
        }),
        ("a token in a file", |stage| {
            stage.workdir.write("token", &format!("{OIDC_TOKEN}\n"));
            let file = stage.workdir.path().join("token").display().to_string();
            stage.workdir.set("ARM_USE_OIDC", "true");
            stage.workdir.set("ARM_OIDC_TOKEN_FILE_PATH", &file);
        }),
        ("GitHub Actions", |stage| {
            let url = format!("{}/github/token?api-version=2.0", stage.sandbox.url());
            stage.workdir.set("ARM_USE_OIDC", "true");
            stage.workdir.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url);
            stage
                .workdir
                .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", GITHUB_REQUEST_TOKEN);
        }),
        ("Azure Kubernetes Service", |stage| {
            stage.workdir.write("token", OIDC_TOKEN);
            let file = stage.workdir.path().join("token").display().to_string();
            stage.workdir.set("ARM_USE_AKS_WORKLOAD_IDENTITY", "true");
            stage.workdir.set("AZURE_FEDERATED_TOKEN_FILE", &file);
        }),
        ("a managed identity", |stage| {
            let url = format!(
                "{}/login/metadata/identity/oauth2/token",
                stage.sandbox.azure_url()
            );
            stage.workdir.set("ARM_USE_MSI", "true");
            stage.workdir.set("ARM_MSI_ENDPOINT", &url);
        }),
    ];
    for (what, set) in rows {
        let mut stage = Stage::on_azure();
        stage.allow_databricks(OWN_VAULT);
        stage.workdir.unset("ARM_CLIENT_SECRET");
        set(&mut stage);
        stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
        let run = stage
            .workdir
            .run(&["apply", "-json", "-input=false", "-auto-approve"]);
        assert!(run.success, "{what}: {}", run.shown());
        assert_eq!(stage.arm_versions(), [VERSION, "", ""], "{what}");
    }
}

/// A certificate is named by its thumbprint, and the assertion is signed with its key.
#[test]
fn a_certificate_proves_who_it_is() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut stage = Stage::on_azure();
    stage.allow_databricks(OWN_VAULT);
    stage.workdir.unset("ARM_CLIENT_SECRET");
    // Made once, because the tests generate no RSA keys: a self-signed certificate.
    let pem = include_str!("certificate.pem");
    let thumbprint = include_str!("certificate.sha256").trim();
    stage.azure(|azure| azure.certificates.insert(thumbprint.to_owned()));
    stage.workdir.write("client.pem", pem);
    let file = stage
        .workdir
        .path()
        .join("client.pem")
        .display()
        .to_string();
    stage.workdir.set("ARM_CLIENT_CERTIFICATE_PATH", &file);
    stage.configure_azure(&managed_services(&key_id(OWN_VAULT)));
    stage.workdir.apply();
    stage.workdir.unset("ARM_CLIENT_CERTIFICATE_PATH");
    stage
        .workdir
        .set("ARM_CLIENT_CERTIFICATE", &STANDARD.encode(pem));
    stage.workdir.empty_plan();
    // As hashicorp/azurerm takes it: PKCS#12 with a password (AES), as base64; and one of an older tool without (3DES), as a file.
    let pfx = include_bytes!("certificate.pfx");
    stage
        .workdir
        .set("ARM_CLIENT_CERTIFICATE", &STANDARD.encode(pfx));
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("ARM_CLIENT_CERTIFICATE_PASSWORD"),
        "{}",
        run.shown()
    );
    stage
        .workdir
        .set("ARM_CLIENT_CERTIFICATE_PASSWORD", "own-words");
    stage.workdir.empty_plan();
    stage.workdir.unset("ARM_CLIENT_CERTIFICATE");
    stage.workdir.unset("ARM_CLIENT_CERTIFICATE_PASSWORD");
    let legacy = stage.workdir.path().join("legacy.pfx");
    std::fs::write(&legacy, include_bytes!("certificate-legacy.pfx")).unwrap();
    stage
        .workdir
        .set("ARM_CLIENT_CERTIFICATE_PATH", &legacy.display().to_string());
    stage.workdir.empty_plan();
    stage.azure(|azure| azure.certificates.clear());
    let run = stage.workdir.refused_plan();
    assert!(run.shown().contains("AADSTS7000215"), "{}", run.shown());
}

/// Without any credential, the message lists the possible ones; it also reports a typo in a switch of the environment.
#[test]
fn what_is_missing_is_said() {
    let mut stage = Stage::on_azure();
    stage.workdir.unset("ARM_CLIENT_SECRET");
    stage.configure_azure_with("use_cli = false", &managed_services(&key_id(OWN_VAULT)));
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("no credential is configured")
            && run.shown().contains("ARM_CLIENT_ID"),
        "{}",
        run.shown()
    );
    stage.workdir.set("ARM_ENVIRONMENT", "german");
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("`german` is not a cloud of Microsoft"),
        "{}",
        run.shown()
    );
    stage.configure_azure_with(
        "environment = \"german\"",
        &managed_services(&key_id(OWN_VAULT)),
    );
    stage
        .workdir
        .validated()
        .error("Invalid value for environment");
    stage.configure_azure_with(
        "ca_bundle = \"/no/such/file\"\n    #",
        &managed_services(&key_id(OWN_VAULT)),
    );
    let main = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let main = main.replacen("ca_bundle", "# ca_bundle", 1);
    stage.workdir.configuration(&main);
    stage.workdir.unset("ARM_ENVIRONMENT");
    let run = stage.workdir.refused_plan();
    assert!(run.shown().contains("azure.ca_bundle"), "{}", run.shown());
}

/// Nothing of a Databricks account is needed, and nothing of it is called.
#[test]
fn no_databricks_account_is_needed() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.validate();
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let account: Vec<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .map(|one| one.operation)
        .filter(|one| one.contains("/api/") || one.contains("/oidc/"))
        .collect();
    assert_eq!(account, Vec::<String>::new());
}

/// Readiness names each permission, for each principal, and what grants it.
#[test]
fn readiness_is_a_data_source() {
    let stage = Stage::on_azure();
    let data = |vault: &str| {
        format!(
            "\ndata \"dbxcmk_key_readiness\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  azure = {{\n    key_vault_key_id = \"{}\"\n    \
             workspace_resource_id = \"{}\"\n  }}\n}}\n",
            key_id(vault),
            workspace_id()
        )
    };
    stage.configure_azure(&data(OWN_VAULT));
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], json!(false));
    assert_eq!(state["findings"][0]["id"], "azure-principal-missing");
    assert_eq!(state["requirements"][0]["standing"], "missing");
    stage.allow_databricks(OWN_VAULT);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], json!(true), "{state}");
    assert_eq!(state["last_used"]["standing"], "not_known");
    let why = state["last_used"]["why"].as_str().unwrap();
    assert!(why.contains("AuditEvent"), "{why}");
    assert_eq!(state["requirements"].as_array().unwrap().len(), 3);
    let granted = state["requirements"][0]["granted_by"][0].as_str().unwrap();
    assert!(
        granted.starts_with("Key Vault Crypto Service Encryption User at ")
            && granted.ends_with(&vault_id(OWN_VAULT)),
        "{granted}"
    );
    assert_eq!(state["key_state"], "Enabled");
    stage.allow_databricks(POLICY_VAULT);
    stage.configure_azure(&data(POLICY_VAULT));
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.x");
    assert_eq!(state["ready"], json!(true), "{state}");
    assert_eq!(
        state["requirements"][0]["granted_by"][0],
        "access policy of the vault acme-policies"
    );
}

/// What each key of a workspace covers.
#[test]
fn encryption_is_a_data_source() {
    let stage = Stage::on_azure();
    let data = format!(
        "{}\ndata \"dbxcmk_workspace_encryption\" \"x\" {{\n  azure = {{\n    workspace_resource_id = \"{}\"\n  }}\n  depends_on = \
         [dbxcmk_workspace_binding.prod]\n}}\n",
        resources(OWN_VAULT),
        workspace_id()
    );
    stage.configure_azure(&data);
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_workspace_encryption.x");
    let kinds = state["data"].as_array().unwrap();
    let by = |case: &str| kinds.iter().filter(|one| one["covered_by"] == case).count();
    assert_eq!(
        (by("MANAGED_SERVICES"), by("MANAGED_DISKS"), by("STORAGE")),
        (9, 1, 12)
    );
    assert_eq!(
        state["managed_disks_key"],
        json!(format!("{}/{VERSION}", key_id(OWN_VAULT)))
    );
    let covered = |kind: &str| {
        let row = kinds.iter().find(|one| one["kind"] == kind);
        row.map(|one| one["covered"].clone())
    };
    assert_eq!(covered("DBFS root"), Some(json!("yes")));
    assert_eq!(covered("dashboards"), Some(json!("partly")));
    assert_eq!(covered("local disks of classic compute"), Some(json!("no")));
    assert_eq!(covered("Genie"), Some(json!("not_known")));
}

/// A key that the same plan creates: the plan proves nothing and reports that, and the apply proves everything.
#[test]
fn what_is_not_known_yet_is_proven_at_apply() {
    let stage = Stage::on_azure();
    let unknown = resources(OWN_VAULT).but(
        &format!("\"{}\"", key_id(OWN_VAULT)),
        "terraform_data.key.output",
    );
    stage.configure_azure(&format!(
        "\nresource \"terraform_data\" \"key\" {{\n  input = \"{}\"\n}}\n{unknown}",
        key_id(OWN_VAULT)
    ));
    let plan = stage.workdir.plan();
    plan.run.warning("Part of the proof happens at apply");
    assert!(plan.is_unknown("dbxcmk_key_configuration.lakehouse", "/azure/key_version"));
    assert!(plan.is_unknown(
        "dbxcmk_workspace_binding.prod",
        "/storage_key_configuration_id"
    ));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.arm_versions(), [VERSION, VERSION, VERSION]);
}

/// How often the provider asks each service: it does not read again for another resource what it has read in the same plan.
#[test]
fn calls_are_counted() {
    let stage = Stage::on_azure();
    stage.configure_azure(&resources(OWN_VAULT));
    stage.workdir.apply();
    stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    stage.sandbox.with(|world| world.record.clear());
    stage.workdir.empty_plan();
    let count = |words: &str| stage.asked_times(words);
    assert_eq!(count("POST /login/"), 3, "one token for each audience");
    assert_eq!(count("GET /graph/"), 1);
    assert_eq!(count("GET /vault/"), 1, "the key is read once");
    assert_eq!(count("GET /arm/ Microsoft.Databricks/workspaces"), 1);
    assert_eq!(
        count("GET /arm/ roleAssignments"),
        3,
        "one list for each principal"
    );
    assert_eq!(count("GET /arm/ denyAssignments"), 1);
    assert!(count("PUT") == 0 && count("DELETE") == 0 && count("PATCH") == 0);
}
