//! The provider block, the environment and the profile; what is missing is told before anything is done.

use acceptance_tests::sandbox::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET};

use crate::stage::{HEAD, Over, Stage};

fn stage() -> Stage {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    stage
}

fn without_databricks(stage: &mut Stage) {
    for name in ["HOST", "ACCOUNT_ID", "CLIENT_ID", "CLIENT_SECRET"] {
        stage.workdir.unset(&format!("DATABRICKS_{name}"));
    }
}

fn with_provider(stage: &Stage, block: &str) {
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write("main.tf", &text.replace("provider \"dbxcmk\" {}", &format!("provider \"dbxcmk\" {{\n{block}\n}}")));
}

#[test]
fn what_is_missing_is_told_with_what_to_set() {
    let rows = [
        ("DATABRICKS_HOST", "No Databricks account host is configured"),
        ("DATABRICKS_ACCOUNT_ID", "No Databricks account id is configured"),
        ("DATABRICKS_CLIENT_SECRET", "Half a Databricks credential is configured"),
    ];
    for (name, summary) in rows {
        let mut stage = stage();
        stage.workdir.unset(name);
        let plan = stage.workdir.run(&["apply", "-json", "-auto-approve"]);
        assert!(plan.error(summary).detail.contains("DATABRICKS_"), "{}", plan.shown());
        assert!(stage.configurations().is_empty());
    }
}

#[test]
fn a_token_and_a_service_principal_together_are_one_too_many() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_TOKEN", acceptance_tests::sandbox::account::TOKEN);
    let run = stage.workdir.failed_apply();
    assert!(run.error("More than one Databricks credential is configured").detail.contains("oauth-m2m and pat"));
    stage.workdir.set("DATABRICKS_AUTH_TYPE", "pat");
    stage.workdir.apply();
    assert!(stage.asked("/oidc/").is_empty(), "a token needs no exchange");
}

#[test]
fn a_profile_says_where_and_who() {
    let mut stage = stage();
    without_databricks(&mut stage);
    let file = format!(
        "[DEFAULT]\nhost = https://accounts.cloud.databricks.com\n\n[sandbox]\nhost          = {} # the sandbox\naccount_id    = \
         {ACCOUNT_ID}\nclient_id     = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}\n",
        stage.sandbox.url()
    );
    stage.workdir.write(".databrickscfg", &file);
    with_provider(&stage, "  profile = \"sandbox\"");
    stage.workdir.apply();
    with_provider(&stage, "");
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write("main.tf", &text.replace("\"sandbox\"", "\"nope\""));
    assert!(stage.workdir.refused_plan().error("The Databricks profile does not exist").detail.contains("[nope]"));
}

#[test]
fn the_attribute_wins_over_the_environment() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_HOST", "https://accounts.cloud.databricks.com");
    with_provider(&stage, &format!("  host = \"{}\"", stage.sandbox.url()));
    stage.workdir.apply();
}

#[test]
fn a_wrong_secret_is_told_without_showing_it() {
    let mut stage = stage();
    stage.workdir.set("DATABRICKS_CLIENT_SECRET", "a-wrong-secret-that-nobody-may-see");
    stage.workdir.set("TF_LOG", "TRACE");
    let run = stage.workdir.failed_apply();
    assert!(
        run.error("The key configuration could not be created").detail.contains("credential is not accepted"),
        "{}",
        run.shown()
    );
    assert!(!run.output.contains("a-wrong-secret-that-nobody-may-see"));
}

#[test]
fn no_secret_is_written_anywhere_at_trace_level() {
    let mut stage = stage();
    stage.workdir.set("TF_LOG", "TRACE");
    let mut written = stage.workdir.plan().run.output;
    written.push_str(&stage.workdir.apply().output);
    written.push_str(&std::fs::read_to_string(stage.workdir.path().join("terraform.tfstate")).unwrap());
    let tokens: Vec<String> = stage.sandbox.with(|world| world.tokens.iter().cloned().collect());
    assert!(!tokens.is_empty());
    for secret in tokens.iter().map(String::as_str).chain([CLIENT_SECRET, "sandbox-secret-access-key"]) {
        assert!(!written.contains(secret), "{secret} was written");
    }
    assert!(written.contains("calling the account API"), "the provider's own log is there");
}

#[test]
fn a_role_is_taken_on_for_aws() {
    let stage = stage();
    with_provider(
        &stage,
        &format!(
            "  aws = {{\n    region = \"eu-central-1\"\n    assume_role = {{\n      role_arn = \"arn:aws:iam::123456789012:role/keys\"\n      \
             session_name = \"s\"\n      external_id = \"e\"\n    }}\n    endpoints = {{\n      kms = \"{0}\"\n      sts = \"{0}\"\n    }}\n  }}",
            stage.sandbox.url()
        ),
    );
    stage.workdir.apply();
    let record = stage.sandbox.requests();
    assert!(record.iter().any(|one| one.operation == "STS AssumeRole" && one.status == 200));
}

#[test]
fn missing_aws_credentials_are_told() {
    let mut stage = stage();
    stage.workdir.unset("AWS_ACCESS_KEY_ID");
    stage.workdir.unset("AWS_SECRET_ACCESS_KEY");
    let run = stage.workdir.failed_apply();
    let error = run.error("The key policy could not be read");
    assert!(error.detail.to_lowercase().contains("credentials"), "{}", error.detail);
}

#[test]
fn a_provider_that_is_not_known_yet_does_not_stop_a_plan() {
    let stage = stage();
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let text = text.replace("provider \"dbxcmk\" {}", "resource \"terraform_data\" \"host\" {\n  input = \"HOST\"\n}\n\nprovider \"dbxcmk\" {\n  host = terraform_data.host.output\n}");
    stage.workdir.write("main.tf", &text.replace("HOST", &stage.sandbox.url()));
    stage.workdir.plan();
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

#[test]
fn the_user_agent_follows_the_conventions() {
    let stage = stage();
    stage.workdir.apply();
    let record = stage.sandbox.requests();
    let agent = record.iter().find(|one| one.operation.starts_with("GET /api")).map(|one| one.user_agent.clone()).unwrap();
    for part in ["dbxcmk/", " terraform/1.", " os/", " auth/oauth-m2m"] {
        assert!(agent.contains(part), "{agent}");
    }
    assert!(HEAD.contains("dbxcmk"));
}

#[test]
fn requests_keep_to_the_pace_that_is_set() {
    let stage = stage();
    // One may go at once, the others leave a second apart.
    with_provider(&stage, "  http = {\n    requests_per_second = 1\n  }");
    stage.workdir.apply();
    let asked = stage.sandbox.requests().into_iter().filter(|one| one.operation.contains("/api/2.0/")).count();
    assert!(asked >= 3, "{asked}");
    let paced = stage.sandbox.with(|world| world.pace.clone());
    let gaps: Vec<u128> = paced.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(gaps.iter().skip(1).all(|gap| *gap >= 700), "{gaps:?}");
}
