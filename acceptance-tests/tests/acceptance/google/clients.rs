//! The sandbox's Google Cloud is what it claims to be: Google's own clients drive it, and Google's own documents say whether every
//! request of the provider, and every answer, is one.

use std::process::Command;

use acceptance_tests::google::{KEY, resources};
use acceptance_tests::harness;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::stage::Stage;
use dbxcmk_sandbox::{Options, Sandbox, gcp};
use serde_json::json;

/// Google's clients are not to look for a certificate of this machine.
fn python(script: &str, arguments: &[&str], sandbox: &Sandbox) -> String {
    let environment = [
        ("GOOGLE_API_USE_CLIENT_CERTIFICATE", "false"),
        ("GOOGLE_API_USE_MTLS_ENDPOINT", "never"),
    ];
    harness::python::python("google-clients", script, arguments, sandbox, &environment)
}

/// One test, so that the clients are installed once.
#[test]
fn googles_own_clients_and_documents_agree() {
    let sandbox = Sandbox::start(Options {
        google: true,
        ..Options::default()
    })
    .unwrap();
    let said = python("drive.py", &[], &sandbox);
    assert!(said.contains("all as Google's clients expect"), "{said}");

    let stage = Stage::on_google();
    stage.google(|google| {
        let rule = json!({ "rules": [{ "denyRule": { "deniedPrincipals": ["principalSet://goog/public:all"],
            "deniedPermissions": ["cloudkms.googleapis.com/cryptoKeys.create"] } }] });
        google
            .deny_policies
            .insert("projects/acme-lakehouse".to_owned(), vec![rule]);
        let policy = google.policies.entry(KEY.to_owned()).or_default();
        policy.fields.insert(
            "bindings".to_owned(),
            json!([{ "role": "projects/acme-lakehouse/roles/own", "members": ["user:ann@example.com"] }]),
        );
        google.roles.insert(
            "projects/acme-lakehouse/roles/own".to_owned(),
            vec!["cloudkms.cryptoKeys.get".to_owned()],
        );
    });
    stage.configure(&resources());
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let id = gcp::WORKSPACE.to_string();
    for arguments in [
        &["disable", KEY, "--acknowledge", &id][..],
        &["restore", KEY],
        &[
            "disable",
            KEY,
            "--acknowledge",
            &id,
            "--schedule-deletion",
            "--skip-hold",
        ],
        &["restore", KEY],
    ] {
        let status = Command::new(provider_binary())
            .arg("key")
            .args(arguments)
            .envs(stage.sandbox.environment())
            .env(
                "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
                "keys@acme-lakehouse.iam.gserviceaccount.com",
            )
            .env("HOME", stage.workdir.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{arguments:?}");
    }
    let requests: Vec<_> = stage
        .sandbox
        .requests()
        .into_iter()
        .filter(|one| one.operation.split(' ').nth(1).is_some_and(gcp::is_google))
        .collect();
    stage
        .workdir
        .write("requests.json", &serde_json::to_string(&requests).unwrap());
    let file = stage.workdir.path().join("requests.json");
    let said = python(
        "validate.py",
        &[&file.display().to_string()],
        &stage.sandbox,
    );
    // Each method that the provider has is among them.
    for method in [
        "cloudkms.projects.locations.keyRings.cryptoKeys.get",
        "cloudkms.projects.locations.keyRings.cryptoKeys.patch",
        "cloudkms.projects.locations.keyRings.cryptoKeys.getIamPolicy",
        "cloudkms.projects.locations.keyRings.cryptoKeys.setIamPolicy",
        "cloudkms.projects.locations.keyRings.cryptoKeys.testIamPermissions",
        "cloudkms.projects.locations.keyRings.getIamPolicy",
        "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.list",
        "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.patch",
        "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.destroy",
        "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.restore",
        "cloudresourcemanager.projects.get",
        "cloudresourcemanager.projects.getIamPolicy",
        "cloudresourcemanager.folders.getIamPolicy",
        "cloudresourcemanager.organizations.getIamPolicy",
        "iam.projects.roles.get",
        "iam.policies.listPolicies",
        "iam.policies.get",
        "iamcredentials.projects.serviceAccounts.generateAccessToken",
        "storage.projects.serviceAccount.get",
    ] {
        assert!(
            said.split([' ', ',', '\n']).any(|one| one == method),
            "{method} is missing: {said}"
        );
    }
}
