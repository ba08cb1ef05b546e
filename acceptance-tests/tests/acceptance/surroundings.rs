//! The provider block, the environment and the profile: the provider reports what is missing before it does anything.

use acceptance_tests::harness::Workdir;
use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::hcl::Hcl as _;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, Options, Sandbox};

use acceptance_tests::stage::{HEAD, Over, Stage};

fn stage() -> Stage {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    stage
}

fn with_provider(stage: &Stage, block: &str) {
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write(
        "main.tf",
        &text.but(
            "provider \"dbxcmk\" {}",
            &format!("provider \"dbxcmk\" {{\n{block}\n}}"),
        ),
    );
}

#[test]
fn what_is_missing_is_told_with_what_to_set() {
    let rows = [
        (
            "DATABRICKS_HOST",
            "No Databricks account host is configured",
        ),
        (
            "DATABRICKS_ACCOUNT_ID",
            "No Databricks account ID is configured",
        ),
        (
            "DATABRICKS_CLIENT_SECRET",
            "Incomplete Databricks credential: `client_secret` is missing",
        ),
    ];
    for (name, summary) in rows {
        let mut stage = stage();
        stage.workdir.unset(name);
        let plan = stage.workdir.run(&["apply", "-json", "-auto-approve"]);
        assert!(
            plan.error(summary).detail.contains("DATABRICKS_"),
            "{}",
            plan.shown()
        );
        assert!(stage.configurations().is_empty());
    }
}

#[test]
fn a_token_and_a_service_principal_together_are_one_too_many() {
    let mut stage = stage();
    stage
        .workdir
        .set("DATABRICKS_TOKEN", dbxcmk_sandbox::account::TOKEN);
    let run = stage.workdir.failed_apply();
    assert!(
        run.error("More than one Databricks credential is configured")
            .detail
            .contains("pat and oauth-m2m")
    );
    stage.workdir.set("DATABRICKS_AUTH_TYPE", "pat");
    stage.workdir.apply();
    assert!(
        stage.asked("/oidc/").is_empty(),
        "a token needs no exchange"
    );
}

#[test]
fn a_profile_says_where_and_who() {
    let mut stage = stage();
    // The profile that the provider block names wins over an environment that would lead elsewhere.
    for (name, value) in [
        ("HOST", "https://accounts.gcp.databricks.com"),
        ("ACCOUNT_ID", "00000000-0000-4000-8000-000000000000"),
        ("CLIENT_SECRET", "of-somebody-else"),
        ("TOKEN", "of-somebody-else"),
    ] {
        stage.workdir.set(&format!("DATABRICKS_{name}"), value);
    }
    let file = format!(
        "[DEFAULT]\nhost = https://accounts.cloud.databricks.com\n\n[sandbox]\nhost          = {} # the sandbox\naccount_id    = \
         {ACCOUNT_ID}\nclient_id     = {CLIENT_ID}\nclient_secret = {CLIENT_SECRET}\n",
        stage.sandbox.url()
    );
    stage.workdir.write(".databrickscfg", &file);
    with_provider(&stage, "  profile = \"sandbox\"");
    stage.workdir.apply();
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage
        .workdir
        .write("main.tf", &text.but("\"sandbox\"", "\"nope\""));
    assert!(
        stage
            .workdir
            .refused_plan()
            .error("The Databricks profile does not exist")
            .detail
            .contains("[nope], which `profile` names")
    );
    std::fs::remove_file(stage.workdir.path().join(".databrickscfg")).unwrap();
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage
        .workdir
        .write("main.tf", &text.but("  profile = \"nope\"", ""));
    stage.workdir.set("DATABRICKS_CONFIG_PROFILE", "nope");
    let run = stage.workdir.refused_plan();
    let error = run.error("The Databricks configuration file cannot be read");
    assert!(
        error.detail.contains(
            "The profile `nope`, which the environment variable DATABRICKS_CONFIG_PROFILE names"
        ),
        "{}",
        error.detail
    );
}

/// A profile of AWS that is named signs the calls or is an error, whatever access key the environment has; the sandbox sees whose key signed.
#[test]
fn a_profile_of_aws_that_is_named_wins_over_the_environment_or_fails() {
    let mut stage = stage();
    let files = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = x\n[profile other]\naws_access_key_id = AKIAOTHER\n\
                 aws_secret_access_key = x\n[profile empty]\nregion = eu-central-1\n";
    stage.workdir.write("aws-config", files);
    let file = stage.workdir.path().join("aws-config");
    let file = file.display().to_string();
    stage.workdir.set("AWS_CONFIG_FILE", &file);
    stage
        .workdir
        .set("AWS_SHARED_CREDENTIALS_FILE", "/no/credentials");
    let signed = |stage: &Stage| {
        let record = stage
            .sandbox
            .with(|world| std::mem::take(&mut world.record));
        let keys = record
            .iter()
            .filter(|one| one.operation.starts_with("KMS "))
            .map(|one| one.access_key.clone());
        keys.collect::<std::collections::BTreeSet<_>>()
    };
    let only = |key: &str| std::collections::BTreeSet::from([key.to_owned()]);
    signed(&stage);
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    // Each row: the flags, the variables, and the access key that signs, or the words of the error.
    let environment = "AKIASANDBOXSANDBOX00";
    let rows: [(&[&str], &[(&str, &str)], Result<&str, &str>); 7] = [
        (&[], &[], Ok(environment)),
        (&["--aws-profile", "other"], &[], Ok("AKIAOTHER")),
        (&["--aws-profile", "default"], &[], Ok("AKIADEFAULT")),
        (
            &["--aws-profile", "nope"],
            &[],
            Err("The profile `nope` is set"),
        ),
        (&["--aws-profile", "empty"], &[], Err("(profile `empty`)")),
        (
            &["--ca-bundle", "/no/such"],
            &[],
            Err("The certificates cannot be used"),
        ),
        // As with AWS's own tools, this variable names what is used when nothing else is configured.
        (&[], &[("AWS_PROFILE", "other")], Ok(environment)),
    ];
    for (flags, variables, expected) in rows {
        let output = std::process::Command::new(provider_binary())
            .args(["key", "status", key, "--format", "json"])
            .args(flags)
            .envs(stage.sandbox.environment())
            .env("HOME", stage.workdir.path())
            .env("AWS_CONFIG_FILE", &file)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/no/credentials")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match expected {
            Ok(key) => assert_eq!(signed(&stage), only(key), "{flags:?}: {said}"),
            Err(words) => {
                assert!(said.contains(words), "{flags:?}: {said}");
                assert!(signed(&stage).is_empty(), "{flags:?}");
            }
        }
    }
    with_provider(&stage, "  aws = {\n    profile = \"other\"\n  }");
    stage.workdir.apply();
    assert_eq!(signed(&stage), only("AKIAOTHER"));
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write(
        "main.tf",
        &text.but("profile = \"other\"", "profile = \"nope\""),
    );
    let run = stage.workdir.refused_plan();
    let error = run.error("The AWS profile does not exist");
    assert!(
        error.detail.contains(&file) && error.detail.contains("/no/credentials does not exist"),
        "{}",
        error.detail
    );
    // An access key in the block needs no profile.
    let own = "profile    = \"nope\"\n    access_key = \"AKIAOWN\"\n    secret_key = \"x\"";
    let text = text.but("profile = \"other\"", own);
    stage.workdir.write("main.tf", &text);
    stage.workdir.empty_plan();
    assert_eq!(signed(&stage), only("AKIAOWN"));
    stage.workdir.set("HTTP_PROXY", "::bad");
    let run = stage.workdir.refused_plan();
    let error = run.error("The proxy is not an address");
    assert!(
        error.detail.contains("HTTP_PROXY is `::bad`"),
        "{}",
        error.detail
    );
}

#[test]
fn the_attribute_wins_over_the_environment() {
    let mut stage = stage();
    stage
        .workdir
        .set("DATABRICKS_HOST", "https://accounts.cloud.databricks.com");
    with_provider(&stage, &format!("  host = \"{}\"", stage.sandbox.url()));
    stage.workdir.apply();
}

#[test]
fn a_wrong_secret_is_told_without_showing_it() {
    let mut stage = stage();
    stage.workdir.set(
        "DATABRICKS_CLIENT_SECRET",
        "a-wrong-secret-that-nobody-may-see",
    );
    stage.workdir.set("TF_LOG", "TRACE");
    let run = stage.workdir.failed_apply();
    assert!(
        run.error("The key configurations could not be read")
            .detail
            .contains("does not accept the credential"),
        "{}",
        run.shown()
    );
    assert!(!run.output.contains("a-wrong-secret-that-nobody-may-see"));
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
    assert!(
        record
            .iter()
            .any(|one| one.operation == "STS AssumeRole" && one.status == 200)
    );
}

#[test]
fn missing_aws_credentials_are_told() {
    let mut stage = stage();
    stage.workdir.unset("AWS_ACCESS_KEY_ID");
    stage.workdir.unset("AWS_SECRET_ACCESS_KEY");
    let run = stage.workdir.failed_apply();
    let error = run.error("The key policy could not be read");
    assert!(
        error.detail.to_lowercase().contains("credentials"),
        "{}",
        error.detail
    );
}

#[test]
fn a_provider_that_is_not_known_yet_does_not_stop_a_plan() {
    let stage = stage();
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    let text = text.but("provider \"dbxcmk\" {}", "resource \"terraform_data\" \"host\" {\n  input = \"HOST\"\n}\n\nprovider \"dbxcmk\" {\n  host = terraform_data.host.output\n}");
    stage
        .workdir
        .write("main.tf", &text.but("HOST", &stage.sandbox.url()));
    stage.workdir.plan();
    stage.workdir.apply();
    stage.workdir.empty_plan();
    // The state keeps its values as long as the provider cannot read.
    let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
    stage.workdir.write(
        "main.tf",
        &text.but(
            "terraform_data\" \"host\" {\n",
            "terraform_data\" \"host\" {\n  triggers_replace = \"anew\"\n",
        ),
    );
    let plan = stage.workdir.plan();
    plan.run
        .warning("Refresh skipped: the provider configuration is not known yet");
    assert_eq!(plan.actions("dbxcmk_key_configuration.x"), "no-op");
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

#[test]
fn the_user_agent_follows_the_conventions() {
    let stage = stage();
    stage.workdir.apply();
    let record = stage.sandbox.requests();
    let agent = record
        .iter()
        .find(|one| one.operation.starts_with("GET /api"))
        .map(|one| one.user_agent.clone())
        .unwrap();
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
    let asked = stage
        .sandbox
        .requests()
        .into_iter()
        .filter(|one| one.operation.contains("/api/2.0/"))
        .count();
    assert!(asked >= 3, "{asked}");
    let paced = stage.sandbox.with(|world| world.pace.clone());
    // Plan and apply each send one at once. When a request arrives says on a busy machine little of when it left, but all of them
    // together cannot arrive sooner than the last one leaves.
    let (first, last) = (
        paced.first().unwrap().elapsed(),
        paced.last().unwrap().elapsed(),
    );
    let whole = first.saturating_sub(last).as_millis();
    let least = 1000 * u128::try_from(paced.len() - 2).unwrap() - 700;
    assert!(whole >= least, "{} in {whole} ms", paced.len());
}

#[test]
fn no_more_than_ten_requests_are_under_way_at_once() {
    let mut stage = stage();
    stage.sandbox.inject(
        Fault::new(
            "POST /customer-managed-keys",
            Effect::Delay { milliseconds: 400 },
        )
        .times(1000),
    );
    let keys: Vec<String> = (0..24).map(|_| stage.good_key()).collect();
    let list = keys
        .iter()
        .map(|key| format!("\"{key}\""))
        .collect::<Vec<_>>()
        .join(", ");
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"all\" {{\n  for_each = toset([{list}])\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    \
         key_arn = each.value\n  }}\n}}\n"
    ));
    with_provider(&stage, "  http = {\n    requests_per_second = 1000\n  }");
    stage.workdir.set("TF_CLI_ARGS_apply", "-parallelism=24");
    stage.workdir.apply();
    assert_eq!(stage.configurations().len(), 24);
    let most = stage.sandbox.with(|world| world.under_way.1);
    // How many there are at once below that is a matter of the machine.
    assert!((2..=10).contains(&most), "{most} at once");
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let proxy = tunnel(sandbox.url().trim_start_matches("https://").to_owned());
    let mut workdir = Workdir::new(&sandbox);
    workdir.write("authority.pem", sandbox.authority());
    workdir.configuration(&HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  http = {\n    retry_timeout = \"1s\"\n    ca_bundle = \"authority.pem\"\n  }\n}\n\ndata \
         \"dbxcmk_key_configurations\" \"x\" {}",
    ));
    // Only the proxy knows this name.
    workdir.set("DATABRICKS_HOST", "https://accounts.sandbox.test");
    let run = workdir.refused_plan();
    assert!(
        run.output
            .contains("the host could not be reached: https://accounts.sandbox.test/"),
        "{}",
        run.shown()
    );
    workdir.set("HTTPS_PROXY", &proxy);
    workdir.set("NO_PROXY", "localhost");
    workdir.apply();
    workdir.set("NO_PROXY", "sandbox.test");
    assert!(
        workdir
            .refused_plan()
            .output
            .contains("the host could not be reached")
    );
}

/// A proxy that looks into what goes through it has an authority of its own: both are in use at once.
#[test]
fn a_proxy_and_an_authority_of_the_company_go_together_for_aws() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let mut workdir = Workdir::new(&sandbox);
    workdir.write("authority.pem", sandbox.authority());
    let block = "provider \"dbxcmk\" {\n  http = {\n    ca_bundle = \"authority.pem\"\n  }\n  aws = {\n    ca_bundle = \"authority.pem\"\n  }\n}";
    let head = HEAD.but("provider \"dbxcmk\" {}", block);
    let key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";
    workdir.configuration(&format!(
        "{head}\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    workdir.set(
        "HTTPS_PROXY",
        &tunnel(sandbox.url().trim_start_matches("https://").to_owned()),
    );
    workdir.set("NO_PROXY", "localhost");
    // Only the proxy knows these names.
    workdir.set("DATABRICKS_HOST", "https://accounts.sandbox.test");
    for service in ["KMS", "STS", "IAM"] {
        let name = format!("AWS_ENDPOINT_URL_{service}");
        workdir.set(&name, "https://aws.sandbox.test");
    }
    workdir.refused_plan().error("The key does not exist");
}

/// A proxy that leads every CONNECT to one address; it ends with the test's process.
fn tunnel(to: String) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let to = to.clone();
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n")
                    && client.read(&mut byte).is_ok_and(|read| read == 1)
                {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head);
                let asked = head.lines().next().unwrap_or_default();
                assert!(
                    asked.starts_with("CONNECT ") && asked.contains(".sandbox.test:443 "),
                    "{head}"
                );
                let mut server = std::net::TcpStream::connect(to).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut back, mut there) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut back, &mut there));
                let _ = std::io::copy(&mut client, &mut server);
            });
        }
    });
    address
}

#[test]
fn an_authority_of_the_company_is_trusted_when_it_is_named() {
    let sandbox = Sandbox::start(Options {
        tls: true,
        ..Options::default()
    })
    .unwrap();
    let mut workdir = Workdir::new(&sandbox);
    let key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";
    let configuration = |http: &str, aws: &str| {
        let block = format!(
            "provider \"dbxcmk\" {{\n  http = {{\n    retry_timeout = \"2s\"\n{http}  }}\n{aws}}}"
        );
        let head = HEAD.but("provider \"dbxcmk\" {}", &block);
        format!(
            "{head}\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
        )
    };
    workdir.write("authority.pem", sandbox.authority());
    workdir.write("nothing.pem", "nothing");
    workdir.configuration(&configuration("", ""));
    let run = workdir.refused_plan();
    assert!(
        run.error("The key configurations could not be read")
            .detail
            .contains("certificate"),
        "{}",
        run.shown()
    );
    workdir.configuration(&configuration("    ca_bundle = \"nothing.pem\"\n", ""));
    assert!(
        workdir
            .refused_plan()
            .output
            .contains("must contain certificates in PEM form")
    );
    // The account is reached; KMS has settings of its own.
    workdir.configuration(&configuration("    ca_bundle = \"authority.pem\"\n", ""));
    let plan = workdir.plan();
    let detail = plan
        .run
        .warning("The key's state could not be read")
        .detail
        .clone();
    assert!(!detail.contains("KMS has no such key"), "{detail}");
    workdir.configuration(&configuration(
        "    ca_bundle = \"authority.pem\"\n",
        "  aws = {\n    ca_bundle = \"authority.pem\"\n  }\n",
    ));
    workdir.refused_plan().error("The key does not exist");
    // Or as the AWS tools have it.
    workdir.configuration(&configuration("    ca_bundle = \"authority.pem\"\n", ""));
    workdir.set(
        "AWS_CA_BUNDLE",
        &workdir.path().join("authority.pem").display().to_string(),
    );
    workdir.refused_plan().error("The key does not exist");
}
