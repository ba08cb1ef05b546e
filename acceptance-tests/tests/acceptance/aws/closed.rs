//! Closed, never open: what the account answers and this version cannot read is a finding, not a skipped check.

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::{ACCOUNT_ID, REGION, WORKSPACE};
use serde_json::{Value as Json, json};

const ID: &str = "c1000000-0000-4000-8000-000000000001";

fn storage_configuration(key: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n    \
         reuse_key_for_cluster_volumes = false\n  }}\n}}\n"
    )
}

fn binding(case: &str) -> String {
    format!(
        "\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n  {case}_key_configuration_id = \
         \"{ID}\"\n  settle_time = \"0s\"\n}}\n"
    )
}

/// A stage whose account has this key in its one configuration.
fn with_key(key: &Json) -> Stage {
    let stage = Stage::new(Over::Sandbox);
    let mut configuration = json!({ "customer_managed_key_id": ID, "account_id": ACCOUNT_ID, "use_cases": ["MANAGED_SERVICES", "STORAGE"] });
    if let (Some(fields), Some(key)) = (configuration.as_object_mut(), key.as_object()) {
        fields.extend(key.clone());
    }
    stage.sandbox.with(|world| {
        world
            .now
            .configurations
            .insert(ID.to_owned(), configuration)
    });
    stage
}

/// Each row: what the account shows as the key, the error, and what it quotes.
#[test]
fn a_key_that_cannot_be_read_is_not_attached() {
    let rows = [
        (
            json!({ "aws_key_info": { "key_arn": "arn:aws-iso:kms:us-iso-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "key_region": REGION } }),
            "The key of the key configuration cannot be read",
            "arn:aws-iso:kms:us-iso-east-1",
        ),
        (
            json!({ "aws_key_info": { "key_arn": "", "key_region": REGION } }),
            "The key of the key configuration cannot be read",
            "``",
        ),
        (
            json!({}),
            "The key of the key configuration cannot be read",
            "shows no key",
        ),
        (
            json!({ "gcp_key_info": { "kms_key_id": "projects/p/locations/l/keyRings/r/cryptoKeys/k" } }),
            "The workspace is in another cloud than the key",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        ),
    ];
    for (key, summary, quoted) in rows {
        for case in ["managed_services", "storage"] {
            let stage = with_key(&key);
            stage.configure(&binding(case));
            let run = stage.workdir.refused_plan();
            let error = run.error(summary);
            assert!(
                error.detail.contains(quoted),
                "{quoted} is missing in:\n{}",
                error.detail
            );
            assert!(error.code.contains(case), "{}", error.code);
            stage.workdir.failed_apply();
            assert_eq!(stage.asked("PATCH /workspaces/").len(), 0);
        }
    }
}

/// The account does not show it, or shows something new: said, and stopped where an attach could not be undone.
#[test]
fn what_is_not_known_of_a_workspace_is_said() {
    let unknown = "The workspace's pricing tier is not known";
    let nowhere = "Where the workspace keeps its data is not known";
    let cloudless = "The cloud of the workspace is not known";
    let refused = "The keys of the workspace could not be changed";
    for (fields, summary, stops_plan, stops_apply) in [
        (json!({ "pricing_tier": null }), unknown, false, refused),
        (
            json!({ "pricing_tier": "GALACTIC" }),
            unknown,
            false,
            refused,
        ),
        (json!({ "compute_mode": "EDGE" }), nowhere, false, nowhere),
        (
            json!({ "cloud": null, "aws_region": null }),
            cloudless,
            true,
            cloudless,
        ),
    ] {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        stage.configure(&format!(
            "{}{}",
            storage_configuration(&key),
            binding("storage").but(&format!("\"{ID}\""), "dbxcmk_key_configuration.one.id")
        ));
        stage.sandbox.with(|world| {
            let workspace = world.workspace(WORKSPACE);
            for (name, value) in fields.as_object().unwrap() {
                workspace.fields.insert(name.clone(), value.clone());
            }
        });
        if stops_plan {
            stage.workdir.refused_plan().error(summary);
        } else {
            stage.workdir.plan().run.warning(summary);
        }
        let run = stage.workdir.failed_apply();
        let error = run.error(stops_apply);
        let was_asked = stage.asked("PATCH /workspaces/").len();
        assert_eq!(was_asked, usize::from(stops_apply == refused), "{summary}");
        assert!(
            stops_apply != refused || error.detail.contains("need the Enterprise tier"),
            "{}",
            error.detail
        );
    }
}

/// Nothing here is the provider's fault, and the message says what is.
#[test]
fn a_state_that_this_version_did_not_write_is_named() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&storage_configuration(&key));
    stage.workdir.apply();
    let path = stage.workdir.path().join("terraform.tfstate");
    let good = std::fs::read_to_string(&path).unwrap();
    for (before, after) in [
        (format!("\"key_arn\": \"{key}\""), "\"key_arn\": \"x\""),
        ("\"STORAGE\"".to_owned(), "\"FOO\""),
    ] {
        assert!(good.contains(&before), "{good}");
        std::fs::write(&path, good.but(&before, after)).unwrap();
        let run = stage.workdir.refused_plan();
        let error = run.error("The state of dbxcmk_key_configuration cannot be read");
        assert!(
            error.detail.contains("newer version") && error.detail.contains("terraform state rm"),
            "{}",
            error.detail
        );
    }
}

#[test]
fn an_attached_key_that_cannot_be_read_is_not_taken_for_none() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let configuration = storage_configuration(&key);
    stage.configure(&configuration);
    stage.workdir.apply();
    let field = "storage_customer_managed_key_id";
    stage.sandbox.with(|world| {
        world
            .workspace(WORKSPACE)
            .fields
            .insert(field.to_owned(), Json::from("cmk-42"))
    });
    stage.configure(&format!(
        "{configuration}{}",
        binding("storage").but(&format!("\"{ID}\""), "dbxcmk_key_configuration.one.id")
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key configuration of the workspace cannot be read");
    assert!(error.detail.contains("`cmk-42`"), "{}", error.detail);
    // Nor does a data source or an import show it as no key.
    stage.configure(&format!(
        "\ndata \"dbxcmk_workspace_encryption\" \"x\" {{\n  workspace_id = {WORKSPACE}\n}}\n"
    ));
    stage
        .workdir
        .refused_plan()
        .error("The key configuration of the workspace cannot be read");
}

/// Each row: what the account shows as the role, and what the error says.
#[test]
fn a_role_that_cannot_be_read_is_a_finding() {
    let rows = [
        (json!("arn:aws:iam::1:role/x"), "arn:aws:iam::1:role/x"),
        (json!("nobody"), "nobody"),
    ];
    for (role, quoted) in rows {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        let configuration = format!(
            "\nresource \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
        );
        stage.configure(&configuration);
        stage.workdir.apply();
        stage.sandbox.with(|world| {
            for credentials in world.now.credentials.values_mut() {
                credentials["aws_credentials"]["sts_role"]["role_arn"] = role.clone();
            }
        });
        stage.configure(&format!(
            "{configuration}{}",
            binding("storage").but(&format!("\"{ID}\""), "dbxcmk_key_configuration.one.id")
        ));
        let run = stage.workdir.refused_plan();
        let error = run.error("The cross-account role of the workspace cannot be read");
        assert!(error.detail.contains(quoted), "{}", error.detail);
    }
}

/// A key that waits for its material can come back, and then it still has Databricks' statements.
#[test]
fn statements_are_removed_from_a_key_that_waits_for_its_material() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_policy\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    stage.workdir.apply();
    assert!(stage.kms.policy(&key).contains("414351767826"));
    let id = key.rsplit('/').next().unwrap_or_default().to_owned();
    stage.sandbox.with(|world| {
        let key = world
            .now
            .keys
            .get_mut(&(REGION.to_owned(), id))
            .expect("the key");
        key.metadata
            .insert("KeyState".to_owned(), Json::from("PendingImport"));
    });
    stage.workdir.destroy();
    assert!(
        !stage.kms.policy(&key).contains("414351767826"),
        "the statements were left in the key:\n{}",
        stage.kms.policy(&key)
    );
}

/// IDs that come as a number, or as text where the provider expects a number.
#[test]
fn a_workspace_id_is_a_number_or_a_text() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.sandbox.with(|world| {
        world
            .workspace(WORKSPACE)
            .fields
            .insert("workspace_id".to_owned(), Json::from(WORKSPACE.to_string()));
    });
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n\
         {}\ndata \"dbxcmk_workspace_encryption\" \"x\" {{\n  workspace_id = {WORKSPACE}\n}}\n",
        binding("managed_services")
            .but(&format!("\"{ID}\""), "dbxcmk_key_configuration.one.id")
            .but(&format!("\"{WORKSPACE}\""), &WORKSPACE.to_string())
    ));
    stage.sandbox.with(|world| {
        for configuration in world.now.configurations.values_mut() {
            configuration["creation_time"] = Json::from("1700000000000");
        }
    });
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.workdir.forget("dbxcmk_workspace_binding.prod");
    stage
        .workdir
        .import("dbxcmk_workspace_binding.prod", &WORKSPACE.to_string());
    stage.workdir.apply();
}

/// A configuration and a binding, with further lines in each of them.
fn bound_with(key: &str, configuration: &str, of_binding: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  \
         }}\n{configuration}}}\n\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n  \
         managed_services_key_configuration_id = dbxcmk_key_configuration.one.id\n{of_binding}}}\n"
    )
}

/// An attribute that only tells the provider how to work makes nothing unknown, and causes no call.
#[test]
fn another_wait_is_no_change_of_the_object() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&bound_with(&key, "", "  settle_time = \"0s\"\n"));
    stage.workdir.apply();
    stage.configure(&bound_with(
        &key,
        "  ignore_findings = [\"kms-key-no-rotation\"]\n  timeouts = {\n    create = \"1m\"\n  }\n",
        "  settle_time = \"1s\"\n  wait_for_compute = \"1m\"\n  ignore_findings = [\"kms-key-no-rotation\"]\n",
    ));
    let before = stage.sandbox.requests().len();
    let plan = stage.workdir.plan_with(&["-refresh=false"]);
    for address in [
        "dbxcmk_workspace_binding.prod",
        "dbxcmk_key_configuration.one",
    ] {
        assert_eq!(plan.actions(address), "update");
    }
    for attribute in [
        "/workspace_name",
        "/workspace_status",
        "/region",
        "/pricing_tier",
        "/id",
    ] {
        assert!(
            !plan.is_unknown("dbxcmk_workspace_binding.prod", attribute),
            "{attribute} is unknown"
        );
    }
    let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
    assert!(run.success, "{}", run.shown());
    let asked: Vec<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .skip(before)
        .map(|record| record.operation)
        .collect();
    assert_eq!(asked, Vec::<String>::new(), "somebody was called");
    assert_eq!(
        stage
            .workdir
            .attribute("dbxcmk_workspace_binding.prod", "/settle_time"),
        "1s"
    );
    stage.workdir.empty_plan();
}

/// Each row: a configuration with a null where there must be a value, and the attribute that the error names.
#[test]
fn null_in_a_required_argument_is_missing() {
    let configuration = |cases: &str, aws: &str| {
        format!(
            "\nvariable \"none\" {{\n  type = string\n  default = null\n}}\n\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = {cases}\n  aws = {aws}\n}}\n"
        )
    };
    let key = "{ key_arn = \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\" }";
    let rows = [
        (configuration("null", key), "use_cases"),
        (configuration("[\"STORAGE\"]", "null"), "aws"),
        (
            configuration("[\"STORAGE\"]", "{ key_arn = null }"),
            "aws.key_arn",
        ),
        (
            configuration("[\"STORAGE\"]", "{ key_arn = var.none }"),
            "aws.key_arn",
        ),
        (
            configuration("[\"STORAGE\"]", key)
                .but("dbxcmk_key_configuration", "dbxcmk_key_policy")
                .but("[\"STORAGE\"]", "null"),
            "use_cases",
        ),
        (
            format!(
                "\nresource \"dbxcmk_workspace_binding\" \"x\" {{\n  workspace_id = null\n  storage_key_configuration_id = \"{ID}\"\n}}\n"
            ),
            "workspace_id",
        ),
        (
            "\ndata \"dbxcmk_workspace_encryption\" \"x\" {\n  workspace_id = null\n}\n".to_owned(),
            "workspace_id",
        ),
        (
            format!(
                "\ndata \"dbxcmk_key_readiness\" \"x\" {{\n  use_cases = null\n  aws = {key}\n}}\n"
            ),
            "use_cases",
        ),
    ];
    for (text, attribute) in rows {
        let stage = Stage::new(Over::Sandbox);
        stage.configure(&text);
        let run = stage.workdir.refused_plan();
        let error = run.error("Missing required argument");
        assert!(
            error.detail.contains(&format!("`{attribute}`")),
            "{}",
            error.detail
        );
        assert_eq!(run.errors(), 1, "{}", run.shown());
    }
    let stage = Stage::new(Over::Sandbox);
    stage.configure(&configuration("[\"STORAGE\", null]", key));
    stage.workdir.refused_plan().error("Null value in a list");
    // Only some credentials have a role, so a list that is made of credentials has nulls.
    let roles = "storage_credential_role_arns = [\"arn:aws:iam::123456789012:role/tables\", null]";
    for kind in [
        "resource \"dbxcmk_key_policy\"",
        "data \"dbxcmk_key_readiness\"",
    ] {
        let stage = Stage::new(Over::Sandbox);
        stage.configure(&format!(
            "\n{kind} \"x\" {{\n  use_cases = [\"UNITY_CATALOG\"]\n  aws = {{\n    key_arn = \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"\n    {roles}\n  }}\n}}\n"
        ));
        stage.workdir.refused_plan().error("Null value in a list");
    }
}

#[test]
fn a_configuration_of_the_same_plan_is_judged_by_its_use_cases() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&bound_with(&key, "", "").but(
        "managed_services_key_configuration_id",
        "storage_key_configuration_id",
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key configuration is not for workspace storage");
    assert!(
        error.code.contains("storage_key_configuration_id"),
        "{}",
        error.code
    );
}

/// A key that certainly does not exist is one error at plan; with credentials of another account the provider cannot know.
#[test]
fn a_key_that_does_not_exist_is_refused_at_plan() {
    let stage = Stage::new(Over::Sandbox);
    let missing = |account: &str| {
        format!("arn:aws:kms:{REGION}:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    };
    let configuration = |account: &str| {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{0}\"\n  }}\n}}\n\nresource \
             \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = dbxcmk_key_policy.one.aws.key_arn\n  \
             }}\n}}\n",
            missing(account)
        )
    };
    stage.configure(&configuration("123456789012"));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key does not exist");
    assert!(
        error.detail.contains("aws kms list-keys"),
        "{}",
        error.detail
    );
    assert_eq!(run.warnings(), Vec::<&str>::new());
    stage.configure(&configuration("999999999999"));
    let plan = stage.workdir.plan();
    plan.run.warning("The key's state could not be read");
}

/// The provider reports a finding about a key once, however many resources have it.
#[test]
fn the_same_advice_comes_once_a_run() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let configuration = storage_configuration(&key);
    stage.configure(&configuration);
    stage.workdir.apply();
    stage.workspaces(5);
    stage.configure(&format!(
        "{configuration}\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = 5\n  workspace_id = count.index + 1\n  \
         storage_key_configuration_id = dbxcmk_key_configuration.one.id\n  settle_time = \"0s\"\n}}\n"
    ));
    let plan = stage.workdir.plan();
    assert_eq!(
        plan.run.warnings(),
        ["The key is not rotated automatically"],
        "{}",
        plan.run.shown()
    );
    // The key breaks: each of them is refused, and one of them says why in full.
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    let run = stage.workdir.refused_plan();
    // Newer versions of Terraform show equal errors once: the full one and one of the four short ones then.
    assert!([2, 5].contains(&run.errors()), "{}", run.shown());
    let full = run
        .messages
        .iter()
        .filter(|one| one.severity == "error" && one.detail.contains("aws kms enable-key"))
        .count();
    assert_eq!(full, 1, "{}", run.shown());
    // The configuration itself is not stopped; no advice comes ahead of the errors.
    assert_eq!(run.warnings(), ["The key is disabled"], "{}", run.shown());
}

/// With an unknown provider configuration the plan proves nothing, and reports that once.
#[test]
fn what_is_not_proven_is_said_once() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let text = format!(
        "{}{}",
        acceptance_tests::stage::HEAD,
        bound_with(&key, "", "")
    );
    stage.workdir.configuration(&text.but(
        "provider \"dbxcmk\" {}",
        "resource \"terraform_data\" \"host\" {\n  input = \"x\"\n}\n\nprovider \"dbxcmk\" {\n  token = terraform_data.host.id\n}",
    ));
    let plan = stage.workdir.plan();
    let said = plan
        .run
        .warnings()
        .into_iter()
        .filter(|warning| *warning == "This plan proves nothing")
        .count();
    assert_eq!(said, 1, "{}", plan.run.shown());
    assert!(
        plan.run
            .warning("This plan proves nothing")
            .detail
            .contains("token")
    );
}

/// The key policy names the role that launches clusters; taking the name away leaves it to IAM, whose policies the provider has not read.
#[test]
fn taking_the_role_away_from_workspaces_that_need_it_is_refused() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    let role = dbxcmk_sandbox::ROLE_ARN;
    let text = format!(
        "\nresource \"dbxcmk_key_policy\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n    cross_account_role_arn = \
         \"{role}\"\n  }}\n}}\n\nresource \"dbxcmk_key_configuration\" \"one\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \
         dbxcmk_key_policy.one.aws.key_arn\n  }}\n}}\n\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n  \
         storage_key_configuration_id = dbxcmk_key_configuration.one.id\n  settle_time = \"0s\"\n}}\n"
    );
    stage.configure(&text);
    stage.workdir.apply();
    let without = text.but(&format!("    cross_account_role_arn = \"{role}\"\n"), "");
    let off = text.but(
        &format!("\"{role}\"\n"),
        &format!("\"{role}\"\n    cluster_volumes = false\n"),
    );
    for changed in [without, off] {
        stage.configure(&changed);
        let run = stage.workdir.refused_plan();
        let error = run.error("Workspaces need these statements of the key policy");
        for words in [
            "only if its IAM policies allow it",
            &WORKSPACE.to_string(),
            "cross_account_role_arn",
        ] {
            assert!(
                error.detail.contains(words),
                "{words} is missing in:\n{}",
                error.detail
            );
        }
    }
    // Where no cluster uses the key, no role needs it.
    stage.sandbox.with(|world| {
        for configuration in world.now.configurations.values_mut() {
            configuration["aws_key_info"]["reuse_key_for_cluster_volumes"] = json!(false);
        }
    });
    stage
        .workdir
        .plan_with(&["-refresh=false", "-target=dbxcmk_key_policy.one"]);
}

/// The provider soon reports a host that does not exist, with its address; it does not use a proxy for an address on this machine.
#[test]
fn an_address_that_is_not_there_is_named() {
    let mut stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&bound_with(&key, "", "  settle_time = \"0s\"\n"));
    stage.workdir.unset("NO_PROXY");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        stage.workdir.set(name, "http://user:secret@127.0.0.1:9");
    }
    let begun = std::time::Instant::now();
    stage.workdir.apply();
    let usual = begun.elapsed();
    let begun = std::time::Instant::now();
    stage.workdir.set("DATABRICKS_HOST", "http://127.0.0.1:9");
    let run = stage.workdir.refused_plan();
    assert!(
        run.output.contains("http://127.0.0.1:9/"),
        "{}",
        run.shown()
    );
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(40) + usual,
        "a refused connection is not tried for a minute"
    );
    stage
        .workdir
        .set("DATABRICKS_HOST", "https://accounts.cloud.databricks.com");
    let run = stage.workdir.refused_plan();
    assert!(
        run.output.contains("through the proxy http://127.0.0.1:9")
            && !run.output.contains("secret"),
        "{}",
        run.shown()
    );
}

/// Files that cannot be used show at configure, and not as a broken connection.
#[test]
fn certificates_that_cannot_be_read_are_an_error_at_configure() {
    for (block, path) in [("aws", "aws.ca_bundle"), ("http", "http.ca_bundle")] {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        let text = format!(
            "{}{}",
            acceptance_tests::stage::HEAD,
            bound_with(&key, "", "")
        );
        let provider = |file: &str| {
            format!("provider \"dbxcmk\" {{\n  {block} = {{\n    ca_bundle = \"{file}\"\n  }}\n}}")
        };
        stage
            .workdir
            .configuration(&text.but("provider \"dbxcmk\" {}", &provider("/nowhere.pem")));
        let run = stage.workdir.refused_plan();
        let error = run.error("The certificates cannot be used");
        assert!(
            error.detail.contains("/nowhere.pem") && error.detail.contains(path),
            "{}",
            error.detail
        );
        stage.workdir.write("empty.pem", "nothing");
        stage
            .workdir
            .configuration(&text.but("provider \"dbxcmk\" {}", &provider("empty.pem")));
        stage
            .workdir
            .refused_plan()
            .error("The certificates cannot be used");
    }
}

/// The plan undoes a changed use case, or gives it a configuration of its own; the user need not delete a workspace for it.
#[test]
fn another_use_case_of_a_configuration_in_use_is_refused_with_what_helps() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let text = bound_with(&key, "", "  settle_time = \"0s\"\n");
    stage.configure(&text);
    stage.workdir.apply();
    stage.configure(&text.but(
        "[\"MANAGED_SERVICES\"]",
        "[\"MANAGED_SERVICES\", \"STORAGE\"]",
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key configuration is in use");
    assert!(
        error.detail.contains("Undo the change, or add a second")
            && !error.detail.contains("Delete the workspaces"),
        "{}",
        error.detail
    );
    stage.configure(&text);
    let run = stage.workdir.refused_destroy();
    let error = run.error("The key configuration is in use");
    assert!(
        error.detail.contains(
            "removed {\n  from = dbxcmk_key_configuration.…\n  lifecycle {\n    destroy = false"
        ),
        "{}",
        error.detail
    );
}

/// With one of Databricks' own hosts the statements do not depend on the key, so a reviewer sees them although it is new.
#[test]
fn the_statements_for_a_new_key_are_known_at_plan() {
    let mut stage = Stage::new(Over::Sandbox);
    stage.configure(
        "\nresource \"terraform_data\" \"key\" {\n  input = \"arn\"\n}\n\nresource \"dbxcmk_key_policy\" \"x\" {\n  use_cases = \
         [\"STORAGE\"]\n  aws = {\n    key_arn = terraform_data.key.output\n  }\n}\n",
    );
    assert!(
        stage
            .workdir
            .plan()
            .is_unknown("dbxcmk_key_policy.x", "/statements"),
        "the partition of the key decides"
    );
    stage
        .workdir
        .set("DATABRICKS_HOST", "https://accounts.cloud.databricks.us");
    let plan = stage.workdir.plan();
    let statements = plan.after("dbxcmk_key_policy.x", "/statements");
    assert!(
        statements
            .as_str()
            .is_some_and(|text| text.contains("arn:aws-us-gov:iam::044793339203:root")),
        "{statements}"
    );
}

#[test]
fn credentials_of_aws_that_cannot_be_had_name_the_profile() {
    let mut stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.workdir.unset("AWS_ACCESS_KEY_ID");
    stage.workdir.unset("AWS_SECRET_ACCESS_KEY");
    stage.workdir.set("AWS_PROFILE", "nobody");
    stage.configure(&bound_with(&key, "", ""));
    let run = stage.workdir.failed_apply();
    let error = run.error("The key's state could not be read");
    assert!(
        error.detail.contains("(profile `nobody`)"),
        "{}",
        error.detail
    );
    assert!(
        error.detail.contains("aws sso login --profile nobody"),
        "{}",
        error.detail
    );
    assert!(
        !run.output.contains("dispatch failure") && !run.output.contains(".. "),
        "{}",
        run.shown()
    );
}

/// Each row: an address of a workspace, and the account host that is named.
#[test]
fn the_address_of_a_workspace_is_answered_with_its_account_host() {
    for (workspace, account) in [
        (
            "https://adb-1234567890123456.7.azuredatabricks.net",
            "https://accounts.azuredatabricks.net",
        ),
        (
            "https://1234567890123456.7.gcp.databricks.com",
            "https://accounts.gcp.databricks.com",
        ),
        (
            "https://dbc-1.cloud.databricks.com",
            "https://accounts.cloud.databricks.com",
        ),
    ] {
        let mut stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        stage.configure(&bound_with(&key, "", ""));
        stage.workdir.set("DATABRICKS_HOST", workspace);
        let run = stage.workdir.refused_plan();
        let error = run.error("The host is a workspace, not an account");
        assert!(
            error.detail.contains(&format!("use `{account}`")),
            "{}",
            error.detail
        );
    }
}

/// Control characters in what the account answers do nothing to a terminal.
#[test]
fn control_characters_of_an_answer_are_shown_and_not_obeyed() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.sandbox.with(|world| {
        let fields = &mut world.workspace(WORKSPACE).fields;
        fields.insert(
            "workspace_name".to_owned(),
            Json::from("evil\u{1b}[2J\u{7}"),
        );
        fields.insert("pricing_tier".to_owned(), Json::from("PREMIUM"));
    });
    stage.configure(&bound_with(&key, "", ""));
    let run = stage.workdir.refused_plan();
    let error = run.error("The workspace's pricing tier does not include customer-managed keys");
    assert!(
        error.detail.contains("evil\\u{1b}[2J\\u{7}"),
        "{}",
        error.detail
    );
}
