//! Every method of Databricks unified authentication, each against a service that gives out such tokens.

use acceptance_tests::harness::terraform::has;
use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{HEAD, Over, Stage};
use dbxcmk_sandbox::account::TOKEN;
use dbxcmk_sandbox::identities::{ENTRA_SECRET, GITHUB_REQUEST_TOKEN, OIDC_TOKEN};
use dbxcmk_sandbox::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET};

fn stage() -> Stage {
    let mut stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&resource(&key));
    for name in ["CLIENT_ID", "CLIENT_SECRET"] {
        stage.workdir.unset(&format!("DATABRICKS_{name}"));
    }
    stage
}

fn resource(key: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    )
}

/// Applies, and says which method it was.
fn applied(stage: &Stage) -> String {
    stage.workdir.apply();
    stage.workdir.empty_plan();
    method(stage)
}

fn method(stage: &Stage) -> String {
    let record = stage.sandbox.requests();
    let agent = record
        .iter()
        .rev()
        .find(|one| one.operation.contains("/api/2.0/"))
        .map(|one| one.user_agent.clone())
        .unwrap();
    agent
        .split_whitespace()
        .find_map(|part| part.strip_prefix("auth/"))
        .unwrap()
        .to_owned()
}

/// A program that prints something, first on PATH.
fn program(stage: &mut Stage, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let directory = stage.workdir.path().join("bin");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let rest = std::env::var("PATH").unwrap();
    stage
        .workdir
        .set("PATH", &format!("{}:{rest}", directory.display()));
}

#[test]
fn a_token_is_sent_as_it_is() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_TOKEN", TOKEN);
    assert_eq!(applied(&stage), "pat");
    assert!(stage.asked("/oidc/").is_empty());
}

#[test]
fn an_oidc_token_in_a_variable_is_exchanged() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
    stage.workdir.set("DATABRICKS_OIDC_TOKEN", OIDC_TOKEN);
    assert_eq!(applied(&stage), "env-oidc");
    stage.workdir.unset("DATABRICKS_OIDC_TOKEN");
    stage.workdir.set("DATABRICKS_OIDC_TOKEN_ENV", "CI_TOKEN");
    let run = stage.workdir.refused_plan();
    let error = run.error("Could not get a Databricks access token");
    assert!(
        error.detail.contains("CI_TOKEN holds no token") && error.detail.contains("oidc_token_env"),
        "{}",
        error.detail
    );
    stage.workdir.set("CI_TOKEN", OIDC_TOKEN);
    stage.workdir.empty_plan();
}

#[test]
fn an_oidc_token_in_a_file_is_exchanged() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
    let file = stage.workdir.path().join("token");
    stage.workdir.set(
        "DATABRICKS_OIDC_TOKEN_FILEPATH",
        &file.display().to_string(),
    );
    assert!(
        stage
            .workdir
            .refused_plan()
            .error("Could not get a Databricks access token")
            .detail
            .contains("cannot be read")
    );
    stage.workdir.write("token", &format!("{OIDC_TOKEN}\n"));
    assert_eq!(applied(&stage), "file-oidc");
}

#[test]
fn a_github_job_needs_no_secret() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
    stage.workdir.set(
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        &format!("{}/github/token?api-version=2.0", stage.sandbox.url()),
    );
    stage
        .workdir
        .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", GITHUB_REQUEST_TOKEN);
    assert_eq!(applied(&stage), "github-oidc");
    // The user can name another audience.
    stage
        .workdir
        .set("DATABRICKS_TOKEN_AUDIENCE", "somebody-else");
    let run = stage.workdir.refused_plan();
    assert!(
        run.output
            .contains("could not get a Databricks access token"),
        "{}",
        run.shown()
    );
}

#[test]
fn an_application_in_entra_is_let_in_with_both_tokens() {
    let mut stage = stage();
    stage
        .workdir
        .set("DATABRICKS_AUTH_TYPE", "azure-client-secret");
    stage.workdir.set(
        "AZURE_AUTHORITY_HOST",
        &format!("{}/entra", stage.sandbox.url()),
    );
    stage
        .workdir
        .set("ARM_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47");
    stage.workdir.set("ARM_CLIENT_ID", CLIENT_ID);
    let run = stage.workdir.refused_plan();
    assert!(
        run.error("The Databricks authentication type lacks a setting")
            .detail
            .contains("azure_client_secret")
    );
    stage.workdir.set("ARM_CLIENT_SECRET", ENTRA_SECRET);
    assert_eq!(applied(&stage), "azure-client-secret");
    assert_eq!(
        stage.asked("POST /entra/").len() % 2,
        0,
        "one token for Databricks, one for Azure"
    );
}

/// The key of a Google service account (PEM).
pub struct GoogleKey {
    pub public: String,
    pub private: String,
}

pub fn google_key() -> GoogleKey {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    GoogleKey {
        public: key.public_key_pem(),
        private: key.serialize_pem(),
    }
}

#[test]
fn a_google_service_account_signs_for_itself() {
    let mut stage = stage();
    let key = google_key();
    stage
        .sandbox
        .with(|world| world.google_key = Some(key.public.clone()));
    let credentials = serde_json::json!({
        "type": "service_account",
        "client_email": "keys@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": key.private,
        "token_uri": format!("{}/google/token", stage.sandbox.url()),
    });
    stage.workdir.write("google.json", &credentials.to_string());
    stage
        .workdir
        .set("DATABRICKS_AUTH_TYPE", "google-credentials");
    // The file, or what is in it.
    stage.workdir.set(
        "GOOGLE_CREDENTIALS",
        &stage
            .workdir
            .path()
            .join("google.json")
            .display()
            .to_string(),
    );
    assert_eq!(applied(&stage), "google-credentials");
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", &credentials.to_string());
    stage.workdir.empty_plan();
    stage
        .workdir
        .set("GOOGLE_CREDENTIALS", "{\"type\": \"service_account\"}");
    stage
        .workdir
        .refused_plan()
        .error("Could not get a Databricks access token");
}

#[test]
fn the_login_of_the_command_line_is_used_when_nothing_is_configured() {
    let mut stage = stage();
    let url = stage.sandbox.url();
    program(
        &mut stage,
        "databricks",
        &format!(
            "[ \"$*\" = \"auth token --host {url} --account-id {ACCOUNT_ID}\" ] || exit 3\n\
             echo '{{\"access_token\": \"{TOKEN}\", \"token_type\": \"Bearer\", \"expiry\": \"2099-01-01T00:00:00Z\"}}'"
        ),
    );
    assert_eq!(applied(&stage), "databricks-cli");
    program(
        &mut stage,
        "databricks",
        "echo 'cache: no such login' >&2\nexit 1",
    );
    let run = stage.workdir.refused_plan();
    let error = run.error("Could not get a Databricks access token");
    for words in ["no such login", "databricks auth login --host", ACCOUNT_ID] {
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
    }
}

#[test]
fn the_login_of_azures_command_line_is_used_when_it_is_asked_for() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_AUTH_TYPE", "azure-cli");
    program(
        &mut stage,
        "az",
        &format!(
            "[ \"$4\" = 2ff814a6-3304-4ab8-85cb-cd0e6f879c1d ] || exit 1\necho '{{\"accessToken\": \"{TOKEN}\", \"expires_on\": 4070908800}}'"
        ),
    );
    assert_eq!(applied(&stage), "azure-cli");
}

#[test]
fn a_token_that_is_about_to_end_is_renewed_before_it_does() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
    stage.workdir.set("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET);
    stage.workdir.apply();
    let with_long = stage.asked("POST /oidc/").len();
    // One for the plan, one for the apply.
    assert_eq!(with_long, 2);
    stage.sandbox.with(|world| world.token_life = 0);
    stage.workdir.run(&[
        "apply",
        "-auto-approve",
        "-json",
        "-replace=dbxcmk_key_configuration.x",
    ]);
    assert!(
        stage.asked("POST /oidc/").len() > with_long + 2,
        "each request fetches its own"
    );
}

#[test]
fn a_workspaces_host_is_told_so() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_TOKEN", TOKEN);
    stage
        .workdir
        .set("DATABRICKS_HOST", "https://dbc-1234.cloud.databricks.com");
    let run = stage.workdir.refused_plan();
    let error = run.error("The host is a workspace, not an account");
    assert!(
        error
            .detail
            .contains("https://accounts.cloud.databricks.com"),
        "{}",
        error.detail
    );
}

/// A secret of each kind, in the environment or in the provider block, and nothing that was written has it.
#[test]
fn no_secret_is_written_anywhere_at_trace_level() {
    let secrets = |stage: &Stage| -> Vec<String> {
        let mut all: Vec<String> = stage
            .sandbox
            .with(|world| world.tokens.iter().cloned().collect());
        let fixed = [
            CLIENT_SECRET,
            TOKEN,
            OIDC_TOKEN,
            GITHUB_REQUEST_TOKEN,
            ENTRA_SECRET,
            "sandbox-secret-access-key",
            "sandbox-session-secret",
            "sandbox-session-token",
            "sandbox-management-token",
        ];
        all.extend(fixed.map(str::to_owned));
        all
    };
    let github = |stage: &mut Stage| {
        stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
        stage.workdir.set(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            &format!("{}/github/token?api-version=2.0", stage.sandbox.url()),
        );
        stage
            .workdir
            .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", GITHUB_REQUEST_TOKEN);
    };
    let entra = |stage: &mut Stage| {
        stage
            .workdir
            .set("DATABRICKS_AUTH_TYPE", "azure-client-secret");
        stage.workdir.set(
            "AZURE_AUTHORITY_HOST",
            &format!("{}/entra", stage.sandbox.url()),
        );
        for (name, value) in [
            ("ARM_TENANT_ID", "t"),
            ("ARM_CLIENT_ID", CLIENT_ID),
            ("ARM_CLIENT_SECRET", ENTRA_SECRET),
        ] {
            stage.workdir.set(name, value);
        }
    };
    let m2m = |stage: &mut Stage| {
        stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
        stage.workdir.set("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET);
    };
    let pat = |stage: &mut Stage| stage.workdir.set("DATABRICKS_TOKEN", TOKEN);
    let oidc = |stage: &mut Stage| {
        stage.workdir.set("DATABRICKS_CLIENT_ID", CLIENT_ID);
        stage.workdir.set("DATABRICKS_OIDC_TOKEN", OIDC_TOKEN);
    };
    let wrong = |stage: &mut Stage| {
        m2m(stage);
        stage
            .workdir
            .set("DATABRICKS_CLIENT_SECRET", "dose-a-wrong-secret");
    };
    // Values that Terraform itself must not keep: ephemeral variables, in the provider block.
    let block = |stage: &mut Stage| {
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let provider = format!(
            "variable \"secret\" {{\n  type = string\n  ephemeral = true\n}}\n\nprovider \"dbxcmk\" {{\n  client_id = \"{CLIENT_ID}\"\n  \
             client_secret = var.secret\n  aws = {{\n    assume_role = {{\n      role_arn = \"arn:aws:iam::123456789012:role/keys\"\n    }}\n    \
             endpoints = {{\n      sts = \"{}\"\n    }}\n  }}\n}}",
            stage.sandbox.url()
        );
        stage
            .workdir
            .write("main.tf", &text.but("provider \"dbxcmk\" {}", &provider));
        stage.workdir.set("TF_VAR_secret", CLIENT_SECRET);
    };
    type Way<'a> = (&'a str, &'a dyn Fn(&mut Stage), bool);
    let ways: [Way<'_>; 7] = [
        ("oauth-m2m", &m2m, true),
        ("pat", &pat, true),
        ("github-oidc", &github, true),
        ("env-oidc", &oidc, true),
        ("azure-client-secret", &entra, true),
        ("a wrong secret", &wrong, false),
        ("the provider block", &block, true),
    ];
    std::thread::scope(|scope| {
        for (name, arrange, succeeds) in ways {
            if name == "the provider block" && !has("ephemeral variables", (1, 10)) {
                continue;
            }
            let mut stage = stage();
            arrange(&mut stage);
            stage.workdir.set("TF_LOG", "TRACE");
            scope.spawn(move || {
                let mut written = stage
                    .workdir
                    .run(&["plan", "-input=false", "-no-color", "-out=plan.tfplan"])
                    .output;
                written.push_str(
                    &stage
                        .workdir
                        .run(&["apply", "-input=false", "-no-color", "-auto-approve"])
                        .output,
                );
                for file in ["terraform.tfstate", "plan.tfplan"] {
                    let path = stage.workdir.path().join(file);
                    assert!(path.is_file() || !succeeds, "{name}: {file}");
                    written.push_str(&unpacked(&path));
                }
                let mut secrets = secrets(&stage);
                secrets.push("dose-a-wrong-secret".to_owned());
                for secret in secrets {
                    assert!(!written.contains(&secret), "{name}: {secret} was written");
                }
                if succeeds {
                    for ours in [
                        "calling Databricks",
                        "the answer's body",
                        "customer_managed_key_id",
                    ] {
                        assert!(
                            written.contains(ours),
                            "{name}: the provider's own log is there ({ours})"
                        );
                    }
                }
            });
        }
    });
}

/// Everything that is in a file, also when it is an archive as plans are.
fn unpacked(path: &std::path::Path) -> String {
    let script = "import sys, zipfile\np = sys.argv[1]\nout = sys.stdout.buffer\nif zipfile.is_zipfile(p):\n    z = zipfile.ZipFile(p)\n    [out.write(z.read(n)) for n in z.namelist()]\nelse:\n    out.write(open(p, 'rb').read())";
    if !path.is_file() {
        return String::new();
    }
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success() && !output.stdout.is_empty(),
        "{} cannot be looked into",
        path.display()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_head_is_what_these_tests_rewrite() {
    assert!(HEAD.contains("provider \"dbxcmk\" {}"));
}
