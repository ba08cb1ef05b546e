//! Which identity calls Google Cloud, and which one calls Databricks on Google Cloud: every way.

use acceptance_tests::google::{KEY, resources};
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{HEAD, Stage};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp;
use dbxcmk_sandbox::identities::OIDC_TOKEN;
use serde_json::json;

/// A stage whose environment has no Google token yet.
fn stage() -> Stage {
    let mut stage = Stage::on_google();
    stage.workdir.unset("GOOGLE_OAUTH_ACCESS_TOKEN");
    // Nothing answers there: a machine that is not on Google Cloud.
    stage.workdir.set("GCE_METADATA_HOST", "127.0.0.1:1");
    stage.configure(&resources());
    stage
}

fn works(stage: &Stage) {
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// The configuration with a `gcp` block in the provider.
fn with_block(stage: &Stage, block: &str) {
    let head = HEAD.but(
        "provider \"dbxcmk\" {}",
        &format!("provider \"dbxcmk\" {{\n  gcp = {{\n{block}\n  }}\n}}"),
    );
    stage
        .workdir
        .configuration(&format!("{head}{}", resources()));
}

#[test]
fn without_an_identity_it_says_which_there_are() {
    let stage = stage();
    let run = stage.workdir.refused_plan();
    let error = run.error("Could not get a Databricks access token");
    for words in [
        "it needs a Google access token, with which Databricks acts on your keys",
        "gcloud auth application-default login",
    ] {
        assert!(error.detail.contains(words), "{words}: {}", error.detail);
    }
    assert!(
        !error.detail.contains("serviceAccountTokenCreator"),
        "nobody is impersonated: {}",
        error.detail
    );
}

/// A service principal of Databricks and an identity in the block: both tokens go along, and no method is named. The token of the
/// environment counts for nothing then.
#[test]
fn an_identity_in_the_block_goes_along_by_itself() {
    let mut stage = stage();
    stage.workdir.unset("DATABRICKS_AUTH_TYPE");
    stage
        .workdir
        .set("GOOGLE_OAUTH_ACCESS_TOKEN", "of somebody else");
    let keys = crate::authentication::google_key();
    stage
        .sandbox
        .with(|world| world.google_key = Some(keys.public.clone()));
    let credentials = json!({
        "type": "service_account", "client_email": "terraform@acme-lakehouse.iam.gserviceaccount.com",
        "private_key": keys.private, "token_uri": format!("{}/google/token", stage.sandbox.url()),
    });
    stage.workdir.write("key.json", &credentials.to_string());
    let path = stage.workdir.path().join("key.json");
    // The endpoint fails at first, as any other may.
    stage
        .sandbox
        .inject(Fault::new("POST /google/token", Effect::status(503)).times(2));
    let block = format!("    credentials = \"{}\"", path.display());
    let granting = format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  gcp = {{\n    kms_key_id = \"{KEY}\"\n  }}\n}}\n"
    );
    let head = HEAD.but(
        "provider \"dbxcmk\" {}",
        &format!("provider \"dbxcmk\" {{\n  gcp = {{\n{block}\n  }}\n}}"),
    );
    stage.workdir.configuration(&format!("{head}{granting}"));
    stage.workdir.apply();
    // A caller who may not impersonate learns which account, and nothing else.
    stage.google(|google| {
        google
            .denied
            .insert("iam.serviceAccounts.getAccessToken".to_owned())
    });
    let whom = "keys@acme-lakehouse.iam.gserviceaccount.com";
    with_block(
        &stage,
        &format!("{block}\n    impersonate_service_account = \"{whom}\""),
    );
    let run = stage.workdir.refused_plan();
    let error = run.error("Could not get a Databricks access token");
    assert!(
        error.detail.contains(&format!("impersonate {whom}"))
            && error
                .detail
                .contains(&format!("add-iam-policy-binding {whom}"))
            && !error.detail.contains("application-default login"),
        "{}",
        error.detail
    );
}

#[test]
fn an_access_token_in_the_block() {
    let stage = stage();
    with_block(&stage, &format!("    access_token = \"{}\"", gcp::TOKEN));
    works(&stage);
}

#[test]
fn the_metadata_server_of_a_machine() {
    let mut stage = stage();
    let host = stage.sandbox.url().but("http://", "");
    stage.workdir.set("GCE_METADATA_HOST", &host);
    works(&stage);
}

#[test]
fn a_key_of_a_service_account_and_impersonation() {
    let mut stage = stage();
    let keys = crate::authentication::google_key();
    stage
        .sandbox
        .with(|world| world.google_key = Some(keys.public.clone()));
    let credentials = json!({
        "type": "service_account", "client_email": "terraform@acme-lakehouse.iam.gserviceaccount.com",
        "private_key": keys.private, "private_key_id": "1",
        "token_uri": format!("{}/google/token", stage.sandbox.url()),
    });
    // A path, as well as the JSON itself.
    stage.workdir.write("key.json", &credentials.to_string());
    let path = stage.workdir.path().join("key.json");
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", &path.display().to_string());
    works(&stage);
    with_block(
        &stage,
        "    impersonate_service_account = \"keys@acme-lakehouse.iam.gserviceaccount.com\"\n    impersonate_service_account_delegates = [\"between@acme-lakehouse.iam.gserviceaccount.com\"]",
    );
    stage.workdir.empty_plan();
    let asked = stage.asked("keys@acme-lakehouse.iam.gserviceaccount.com:generateAccessToken");
    assert_eq!(
        asked[0]["delegates"],
        json!(["projects/-/serviceAccounts/between@acme-lakehouse.iam.gserviceaccount.com"])
    );
    stage.google(|google| {
        google
            .denied
            .insert("iam.serviceAccounts.getAccessToken".to_owned())
    });
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("roles/iam.serviceAccountTokenCreator"),
        "{}",
        run.shown()
    );
}

/// Workload identity federation: from a file, an address, and a program.
#[test]
fn another_providers_token_is_exchanged() {
    let mut stage = stage();
    let url = stage.sandbox.url();
    let account = |source: serde_json::Value| {
        json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{url}/v1/token"),
            "service_account_impersonation_url":
                format!("{url}/v1/projects/-/serviceAccounts/keys@acme-lakehouse.iam.gserviceaccount.com:generateAccessToken"),
            "credential_source": source,
        })
        .to_string()
    };
    stage.workdir.write("token", OIDC_TOKEN);
    let file = stage.workdir.path().join("token").display().to_string();
    let program = stage.workdir.path().join("give");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho '{}'\n", json!({ "version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt", "id_token": OIDC_TOKEN })),
    )
    .unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", &account(json!({ "file": file })));
    works(&stage);
    let github = json!({
        "url": format!("{url}/github/token?audience={}&api-version=2.0", dbxcmk_sandbox::ACCOUNT_ID),
        "headers": { "Authorization": format!("Bearer {}", dbxcmk_sandbox::identities::GITHUB_REQUEST_TOKEN) },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    stage.workdir.set("GOOGLE_CREDENTIALS", &account(github));
    stage.workdir.empty_plan();
    let executable = json!({ "executable": { "command": program.display().to_string() } });
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", &account(executable));
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown()
            .contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"),
        "{}",
        run.shown()
    );
    stage
        .workdir
        .set("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    stage.workdir.empty_plan();
}

/// `google-id`: the identity of the block impersonates a service account, for Databricks alone.
#[test]
fn databricks_takes_an_id_token_of_google() {
    let mut stage = stage();
    for name in ["CLIENT_ID", "CLIENT_SECRET"] {
        stage.workdir.unset(&format!("DATABRICKS_{name}"));
    }
    stage.workdir.set("DATABRICKS_AUTH_TYPE", "google-id");
    stage.workdir.set("GOOGLE_OAUTH_ACCESS_TOKEN", gcp::TOKEN);
    let run = stage.workdir.refused_plan();
    assert!(
        run.shown().contains("google_service_account"),
        "{}",
        run.shown()
    );
    stage.workdir.set(
        "DATABRICKS_GOOGLE_SERVICE_ACCOUNT",
        "databricks@acme-lakehouse.iam.gserviceaccount.com",
    );
    works(&stage);
    let asked = stage.asked(":generateIdToken");
    assert_eq!(asked[0]["audience"], json!(stage.sandbox.url()));
}

/// Without a Google token Databricks cannot grant: the plan refuses, and the error says in full what helps.
#[test]
fn a_missing_google_token_is_explained() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_AUTH_TYPE", "oauth-m2m");
    stage.workdir.set("GOOGLE_OAUTH_ACCESS_TOKEN", gcp::TOKEN);
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  gcp = {{\n    kms_key_id = \"{KEY}\"\n  }}\n}}\n"
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("Databricks needs a Google access token to grant itself the key");
    for words in [
        "The authentication method `oauth-m2m` sends none",
        "auth_type = \"oauth-m2m-gcp\"",
        "cloudkms.cryptoKeys.setIamPolicy",
        "gcp.manual = true",
    ] {
        assert!(error.detail.contains(words), "{words}: {}", error.detail);
    }
}

/// At the loudest level of logging, no token and no key shows anywhere.
#[test]
fn no_secret_is_written_anywhere_at_trace_level() {
    let mut stage = stage();
    let keys = crate::authentication::google_key();
    stage
        .sandbox
        .with(|world| world.google_key = Some(keys.public.clone()));
    let credentials = json!({
        "type": "service_account", "client_email": "terraform@acme-lakehouse.iam.gserviceaccount.com",
        "private_key": keys.private, "token_uri": format!("{}/google/token", stage.sandbox.url()),
    });
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", &credentials.to_string());
    stage.workdir.set(
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
        "keys@acme-lakehouse.iam.gserviceaccount.com",
    );
    stage.workdir.set("TF_LOG", "TRACE");
    let mut said = stage.workdir.apply().output;
    said.push_str(&stage.workdir.empty_plan().output);
    let state = stage.workdir.path().join("terraform.tfstate");
    said.push_str(&std::fs::read_to_string(state).unwrap());
    let mut secrets: Vec<String> = stage.sandbox.with(|world| {
        world
            .google_tokens
            .iter()
            .chain(&world.tokens)
            .cloned()
            .collect()
    });
    secrets.push(gcp::TOKEN.to_owned());
    secrets.extend(keys.private.lines().skip(1).take(3).map(str::to_owned));
    assert!(secrets.len() > 5, "{secrets:?}");
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is written");
    }
}
