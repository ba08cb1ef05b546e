//! `dbxcmk_key_policy`: it owns its own statements, and nothing else.

use dbxcmk_sandbox::{ROLE_ARN, WORKSPACE};
use kms_policy::Document;
use serde_json::{Value as Json, json};

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, over_both, policy};

over_both! {
    the_order_of_use_cases_means_nothing,
    a_foreign_statement_is_kept_and_is_no_difference,
    a_statement_that_was_removed_is_planned_again,
    documented_statements_are_adopted,
    a_use_case_that_is_given_up_loses_its_statement,
    nothing_is_put_that_is_there_already,
    two_accounts_share_a_key,
    destroying_statements_that_a_workspace_needs_is_refused,
}

fn resource(key: &str, more: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_policy\" \"lakehouse\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n{more}  aws = {{\n    key_arn \
         = \"{key}\"\n    cross_account_role_arn = \"{ROLE_ARN}\"\n  }}\n}}\n"
    )
}

const ADDRESS: &str = "dbxcmk_key_policy.lakehouse";

fn applied(over: Over) -> (Stage, String) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    (stage, key)
}

fn the_order_of_use_cases_means_nothing(over: Over) {
    let (stage, key) = applied(over);
    let turned = resource(&key, "").but(
        "\"MANAGED_SERVICES\", \"STORAGE\"",
        "\"STORAGE\", \"MANAGED_SERVICES\"",
    );
    stage.configure(&turned);
    stage.workdir.empty_plan();
}

fn a_foreign_statement_is_kept_and_is_no_difference(over: Over) {
    let (stage, key) = applied(over);
    let account = key.split(':').nth(4).unwrap();
    let foreign = format!(
        "{{ \"Sid\" : \"Backup\",\n \"Effect\":\"Allow\", \"Principal\":{{\"AWS\":\"{account}\"}},\t\"Action\":[\"kms:Decrypt\"], \"Resource\":\"*\" }}"
    );
    let text = stage.kms.policy(&key);
    let end = text.rfind(']').expect("a list of statements");
    stage
        .kms
        .put_policy(&key, &format!("{},{foreign}{}", &text[..end], &text[end..]));
    stage.workdir.empty_plan();

    // A change of ours leaves it byte for byte as it is.
    stage.configure(&resource(&key, "").but("key_arn =", "include_grants = true\n    key_arn ="));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(ADDRESS), "update");
    stage.workdir.apply();
    let text = stage.kms.policy(&key);
    assert!(text.contains(&foreign), "{text}");
    assert!(text.contains("kms:ListGrants"), "{text}");
    stage.workdir.empty_plan();
    stage.workdir.destroy();
    assert!(stage.kms.policy(&key).contains(&foreign));
}

fn a_statement_that_was_removed_is_planned_again(over: Over) {
    let (stage, key) = applied(over);
    let document = Document::parse(&stage.kms.policy(&key)).expect("a policy");
    let ours = document
        .statements
        .iter()
        .position(|s| s.sid.as_deref().is_some_and(|sid| sid.ends_with("DBFS")))
        .expect("the storage statement");
    let without = document
        .edited(&[kms_policy::Edit::Remove(ours)])
        .expect("a policy");
    stage.kms.put_policy(&key, without.text());

    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(ADDRESS), "update");
    stage.workdir.apply();
    assert!(
        Document::parse(&stage.kms.policy(&key))
            .expect("a policy")
            .means_the_same_as(&document)
    );
    stage.workdir.empty_plan();
}

fn documented_statements_are_adopted(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    // The older documentation: another Sid, no tag.
    let old = r#"{"Sid": "Allow Databricks to use KMS key for control plane managed services", "Effect": "Allow",
      "Principal": {"AWS": "arn:aws:iam::414351767826:root"}, "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}"#;
    stage.kms.put_policy(&key, &policy(&key, &[old, STORAGE]));
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    let document = Document::parse(&stage.kms.policy(&key)).expect("a policy");
    assert_eq!(
        document.statements.len(),
        4,
        "nothing is doubled:\n{document}"
    );
    assert!(
        !document.text().contains("control plane managed services\""),
        "the old form is brought up to date:\n{document}"
    );
    stage.workdir.empty_plan();
}

fn a_use_case_that_is_given_up_loses_its_statement(over: Over) {
    let (stage, key) = applied(over);
    stage.configure(&resource(&key, "").but(", \"STORAGE\"", "").but(
        &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
        "",
    ));
    assert_eq!(stage.workdir.plan().actions(ADDRESS), "update");
    stage.workdir.apply();
    let text = stage.kms.policy(&key);
    assert!(
        !text.contains("kms:ReEncrypt*") && !text.contains(ROLE_ARN),
        "{text}"
    );
    stage.workdir.empty_plan();
}

fn nothing_is_put_that_is_there_already(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    let before = policy(&key, &[MANAGED_SERVICES, STORAGE]);
    stage.kms.put_policy(&key, &before);
    stage.configure(&resource(&key, "").but(
        &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
        "",
    ));
    stage.workdir.apply();
    assert_eq!(stage.kms.policy(&key), before, "byte for byte");
    stage.workdir.empty_plan();
}

fn two_accounts_share_a_key(over: Over) {
    let (stage, key) = applied(over);
    let other = "11111111-2222-4333-8444-555555555555";
    let second = resource(&key, &format!("  databricks_account_ids = [\"{other}\"]\n"))
        .but("\"lakehouse\"", "\"other\"")
        .but(
            &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
            "",
        );
    stage.configure(&format!("{}{second}", resource(&key, "")));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert!(stage.kms.policy(&key).contains(other));
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    let text = stage.kms.policy(&key);
    assert!(
        !text.contains(other) && text.contains(dbxcmk_sandbox::ACCOUNT_ID),
        "{text}"
    );
    stage.workdir.empty_plan();
}

fn destroying_statements_that_a_workspace_needs_is_refused(over: Over) {
    let (stage, key) = applied(over);
    stage.sandbox.with(|world| {
        let configuration = json!({ "customer_managed_key_id": "c1000000-0000-4000-8000-000000000001", "use_cases": ["STORAGE"],
            "aws_key_info": { "key_arn": key, "key_region": "eu-central-1" } });
        world.now.configurations.insert("c1000000-0000-4000-8000-000000000001".to_owned(), configuration);
        let workspace = world.workspace(WORKSPACE);
        workspace
            .fields
            .insert("storage_customer_managed_key_id".to_owned(), Json::from("c1000000-0000-4000-8000-000000000001"));
    });
    let run = stage.workdir.refused_destroy();
    let error = run.error("Workspaces need these statements of the key policy");
    assert!(
        error
            .detail
            .contains("1234567890123456 (\"lakehouse-prod\")"),
        "{}",
        error.detail
    );
    assert!(stage.kms.policy(&key).contains("414351767826"));
    // Giving up a use case would do the same harm.
    stage.configure(&resource(&key, "").but(", \"STORAGE\"", "").but(
        &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
        "",
    ));
    stage
        .workdir
        .refused_plan()
        .error("Workspaces need these statements of the key policy");
    // Who insists says so in the configuration first.
    stage.configure(&resource(&key, "  force_destroy = true\n"));
    stage.workdir.apply();
    stage.workdir.destroy();
    assert!(!stage.kms.policy(&key).contains("414351767826"));
}

/// Several `dbxcmk_key_policy` of one key, and what workspaces need of it.
mod with_twins {
    use acceptance_tests::harness::Workdir;

    use super::*;

    const STAYS: &str = "Statements that this resource did not add stay in the key policy";

    fn twin(name: &str, cases: &str, key: &str) -> String {
        format!(
            "\nresource \"dbxcmk_key_policy\" \"{name}\" {{\n  use_cases = [{cases}]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
        )
    }

    const BOTH: &str = "\"MANAGED_SERVICES\", \"STORAGE\"";
    const SERVICES: &str = "\"MANAGED_SERVICES\"";

    /// A workspace that has, for storage, what is given: a configuration of the key or anything else.
    fn attach(stage: &Stage, key: &str, shown: &str) {
        const ID: &str = "c1000000-0000-4000-8000-000000000001";
        stage.sandbox.with(|world| {
            let configuration = json!({ "customer_managed_key_id": ID, "use_cases": ["STORAGE"],
                "aws_key_info": { "key_arn": key, "key_region": "eu-central-1" } });
            world
                .now
                .configurations
                .insert(ID.to_owned(), configuration);
            let shown = if shown.is_empty() { ID } else { shown };
            let fields = &mut world.workspace(WORKSPACE).fields;
            fields.insert(
                "storage_customer_managed_key_id".to_owned(),
                Json::from(shown),
            );
        });
    }

    /// What one of them wants stays when the other one goes, gets another name, or is in another state.
    #[test]
    fn a_twin_takes_nothing_away() {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        let puts = || stage.asked("KMS PutKeyPolicy").len();
        // In another state: it added nothing, and takes nothing.
        stage.configure(&twin("a", BOTH, &key));
        stage.workdir.apply();
        let all = stage.kms.policy(&key);
        let other = Workdir::new(&stage.sandbox);
        other.configuration(&format!(
            "{}{}",
            acceptance_tests::stage::HEAD,
            twin("b", SERVICES, &key)
        ));
        other.apply();
        other.destroy().warning(STAYS);
        assert_eq!(stage.kms.policy(&key), all);
        // In the same configuration, while a workspace uses the key.
        attach(&stage, &key, "");
        let both = format!("{}{}", twin("a", BOTH, &key), twin("b", BOTH, &key));
        stage.configure(&both);
        stage.workdir.apply();
        let before = puts();
        stage.configure(&twin("b", BOTH, &key));
        stage.workdir.apply();
        assert_eq!((stage.kms.policy(&key), puts()), (all.clone(), before));
        stage.workdir.empty_plan();
        // Another name without `moved`.
        stage.configure(&twin("c", BOTH, &key));
        stage.workdir.apply();
        assert_eq!((stage.kms.policy(&key), puts()), (all.clone(), before));
        stage.workdir.empty_plan();
        // It has added nothing of it itself.
        stage.workdir.destroy().warning(STAYS);
        assert_eq!(stage.kms.policy(&key), all);
    }

    /// With another name, what the old one added is the new one's to remove.
    #[test]
    fn a_new_name_owns_what_the_old_one_added() {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        let before = stage.kms.policy(&key);
        stage.configure(&twin("a", BOTH, &key));
        stage.workdir.apply();
        stage.configure(&twin("b", SERVICES, &key));
        stage.workdir.apply();
        let text = stage.kms.policy(&key);
        assert!(
            !text.contains("kms:ReEncrypt*") && text.contains("414351767826"),
            "{text}"
        );
        stage.workdir.empty_plan();
        stage.workdir.destroy();
        assert_eq!(stage.kms.policy(&key), before);
    }

    /// A workspace that got the key after the plan keeps it, and the apply leaves no object behind that nothing could remove.
    #[test]
    fn a_replaced_policy_always_ends() {
        let stage = Stage::new(Over::Sandbox);
        let (key, second) = (
            stage.kms.create_key(&json!({})),
            stage.kms.create_key(&json!({})),
        );
        let safe = |key: &str| {
            let own = twin("a", BOTH, key);
            let own = own.trim_end().trim_end_matches('}');
            format!("{own}  lifecycle {{\n    create_before_destroy = true\n  }}\n}}\n")
        };
        stage.configure(&safe(&key));
        stage.workdir.apply();
        let all = stage.kms.policy(&key);
        stage.configure(&safe(&second));
        stage
            .workdir
            .run(&["plan", "-json", "-input=false", "-out=plan"]);
        attach(&stage, &key, "");
        let run = stage
            .workdir
            .run(&["apply", "-json", "-input=false", "plan"]);
        assert!(run.success, "{}", run.shown());
        let id = key.rsplit('/').next().unwrap();
        run.warning(&format!("Access to the key {id} stays"));
        assert_eq!(stage.kms.policy(&key), all);
        stage.workdir.empty_plan();
        assert_eq!(stage.workdir.addresses(), ["dbxcmk_key_policy.a"]);
    }

    /// Each row: for what a workspace uses the key, what the policy is written for, what it is narrowed to, and what of the data of the workspace
    /// the refusal names; none where the workspace needs nothing of what is given up.
    #[test]
    fn only_workspaces_that_use_the_key_for_it_need_a_statement() {
        const ID: &str = "c1000000-0000-4000-8000-000000000001";
        const STORAGE: &str = "\"STORAGE\"";
        let rows: [(&str, &str, &str, Option<&str>); 4] = [
            ("managed_services", BOTH, SERVICES, None),
            ("storage", BOTH, SERVICES, Some("workspace storage")),
            // What remains grants all that managed services need.
            ("managed_services", BOTH, STORAGE, None),
            // The policy was written for storage alone, and a workspace relies on it for managed services.
            ("managed_services", STORAGE, SERVICES, None),
        ];
        for (uses, before, after, named) in rows {
            let stage = Stage::new(Over::Sandbox);
            let key = stage.kms.create_key(&json!({}));
            stage.configure(&twin("a", before, &key));
            stage.workdir.apply();
            stage.sandbox.with(|world| {
                let configuration = json!({ "customer_managed_key_id": ID, "use_cases": ["MANAGED_SERVICES", "STORAGE"],
                    "aws_key_info": { "key_arn": key, "key_region": "eu-central-1" } });
                world.now.configurations.insert(ID.to_owned(), configuration);
                let field = format!("{uses}_customer_managed_key_id");
                world.workspace(WORKSPACE).fields.insert(field, Json::from(ID));
            });
            let name = format!("{uses}: {before} to {after}");
            stage.configure(&twin("a", after, &key));
            if let Some(named) = named {
                let run = stage.workdir.refused_plan();
                let error = run.error("Workspaces need these statements of the key policy");
                assert!(error.detail.contains(named), "{name}: {}", error.detail);
                assert!(
                    !error.detail.contains("for managed services"),
                    "{name}: {}",
                    error.detail
                );
                continue;
            }
            stage.workdir.apply();
            stage.workdir.empty_plan();
            // Who uses the key for it needs what remains.
            let run = stage.workdir.refused_destroy();
            let error = run.error("Workspaces need these statements of the key policy");
            assert!(
                error.detail.contains("for managed services"),
                "{name}: {}",
                error.detail
            );
            assert!(
                !error.detail.contains("for workspace storage"),
                "{name}: {}",
                error.detail
            );
        }
    }

    /// A plan refuses to give up a key that workspaces use, also with an ID that the provider cannot read. A user who agrees gets a warning
    /// with what that means and with each workspace that is cut off.
    #[test]
    fn workspaces_that_need_a_key_are_named() {
        let stage = Stage::new(Over::Sandbox);
        let (key, second) = (
            stage.kms.create_key(&json!({})),
            stage.kms.create_key(&json!({})),
        );
        stage.configure(&twin("a", BOTH, &key));
        stage.workdir.apply();
        let name = "1234567890123456 (\"lakehouse-prod\")";
        for shown in ["", "cmk-1"] {
            attach(&stage, &key, shown);
            for life in [
                "",
                "  lifecycle {\n    create_before_destroy = true\n  }\n}\n",
            ] {
                let moved = twin("a", BOTH, &second);
                let moved = match life {
                    "" => moved,
                    life => format!("{}{life}", moved.trim_end().trim_end_matches('}')),
                };
                stage.configure(&moved);
                let run = stage.workdir.refused_plan();
                let error = run.error("Workspaces need these statements of the key policy");
                assert!(
                    error.detail.contains("Changing the key")
                        && error.detail.contains(name)
                        && error.detail.contains("removed {")
                        && error.detail.contains("cannot read") != shown.is_empty(),
                    "{}",
                    error.detail
                );
            }
        }
        // Another writer removes the statements.
        attach(&stage, &key, "");
        stage.kms.put_policy(&key, &policy(&key, &[]));
        stage.configure(&twin("a", BOTH, &key));
        let id = key.rsplit('/').next().unwrap();
        let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
        let warning = run.warning(&format!("Workspaces cannot use the key {id}"));
        assert!(warning.detail.contains(name), "{}", warning.detail);
        // A refresh that is saved does not make it silent.
        let run = ["apply", "-refresh-only", "-auto-approve"];
        assert!(stage.workdir.run(&run).success);
        let run = stage.workdir.run(&["plan", "-json", "-input=false"]);
        run.warning(&format!("Workspaces cannot use the key {id}"));
        stage.workdir.apply();
        // A user who agrees gets a warning.
        let forced =
            twin("a", BOTH, &key).but("  use_cases", "  force_destroy = true\n  use_cases");
        stage.configure(&forced);
        let run = stage.workdir.apply();
        let warning = run.warning(&format!("Workspaces can lose access to the key {id}"));
        assert!(warning.detail.contains(name), "{}", warning.detail);
        stage.workdir.empty_plan();
        let grant = json!({ "KeyId": key, "GranteePrincipal": "arn:aws:iam::414351767826:role/x", "Operations": ["Decrypt"] });
        stage.kms.call("CreateGrant", &grant);
        let run = stage.workdir.destroy();
        let warning = run.warning(&format!("Workspaces lose access to the key {id}"));
        assert!(
            warning.detail.contains(name) && warning.detail.contains("force_destroy"),
            "{}",
            warning.detail
        );
        run.warning("Grants to Databricks stay when the statements go");
    }
}

/// Others write the same policy.
mod with_others {
    use acceptance_tests::harness::Workdir;
    use dbxcmk_sandbox::faults::{Effect, Fault};

    use super::*;

    const OTHER: &str = "11111111-2222-4333-8444-555555555555";

    /// A second person with a configuration of their own for the same key.
    fn second(stage: &Stage, key: &str) -> Workdir {
        let workdir = Workdir::new(&stage.sandbox);
        let own = resource(key, &format!("  databricks_account_ids = [\"{OTHER}\"]\n")).but(
            &format!("    cross_account_role_arn = \"{ROLE_ARN}\"\n"),
            "",
        );
        workdir.configuration(&format!("{}{own}", acceptance_tests::stage::HEAD));
        workdir
    }

    #[test]
    fn two_processes_that_write_at_once_both_end_with_their_statements() {
        for delay in [150, 400, 700] {
            let stage = Stage::new(Over::Sandbox);
            let key = stage.kms.create_key(&json!({}));
            stage.configure(&resource(&key, ""));
            let other = second(&stage, &key);
            // The sandbox holds the first writer up between its read and its put, so that the puts cross.
            stage.sandbox.inject(Fault::new(
                "KMS PutKeyPolicy",
                Effect::Delay {
                    milliseconds: delay,
                },
            ));
            std::thread::scope(|scope| {
                let one = scope.spawn(|| stage.workdir.apply());
                let two = scope.spawn(|| other.apply());
                one.join().unwrap();
                two.join().unwrap();
            });
            let text = stage.kms.policy(&key);
            for account in [OTHER, dbxcmk_sandbox::ACCOUNT_ID] {
                assert!(
                    text.contains(account),
                    "{account} lost its statements after {delay} ms:\n{text}"
                );
            }
            stage.workdir.empty_plan();
            other.empty_plan();
        }
    }

    #[test]
    fn a_put_that_took_so_long_that_it_may_have_overwritten_others_says_so() {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        stage.configure(&resource(&key, ""));
        stage.sandbox.inject(Fault::new(
            "KMS PutKeyPolicy",
            Effect::Delay { milliseconds: 1200 },
        ));
        let run = stage.workdir.apply();
        assert!(
            run.warning("Another change of the key policy may have been overwritten")
                .detail
                .contains("plan their configurations again")
        );
    }

    #[test]
    fn a_foreign_change_of_our_statements_since_the_plan_stops_the_apply() {
        let (stage, key) = applied(Over::Sandbox);
        stage.configure(
            &resource(&key, "").but("key_arn =", "include_grants = true\n    key_arn ="),
        );
        stage.workdir.plan();
        let before = stage.kms.policy(&key);
        stage.kms.put_policy(
            &key,
            &before.but("\"kms:Encrypt\",\"kms:Decrypt\"]", "\"kms:Encrypt\"]"),
        );
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        let error = run.error("Somebody else changed the statements for Databricks since the plan");
        assert!(
            error.detail.contains("~ \"Allow Databricks to use KMS key for managed services in the control plane\", Action"),
            "{}",
            error.detail
        );
        assert!(
            !stage.kms.policy(&key).contains("kms:ListGrants"),
            "nothing was put"
        );
        // The next plan shows what is missing, and the apply does it.
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }

    #[test]
    fn a_foreign_change_of_other_statements_since_the_plan_is_merged_with() {
        let (stage, key) = applied(Over::Sandbox);
        stage.configure(
            &resource(&key, "").but("key_arn =", "include_grants = true\n    key_arn ="),
        );
        stage.workdir.plan();
        let before = stage.kms.policy(&key);
        let end = before.rfind(']').unwrap();
        let foreign = r#"{"Sid":"Backup","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:Decrypt","Resource":"*"}"#;
        stage.kms.put_policy(
            &key,
            &format!("{},{foreign}{}", &before[..end], &before[end..]),
        );
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        assert!(run.success, "{}", run.shown());
        let text = stage.kms.policy(&key);
        assert!(
            text.contains("\"Backup\"") && text.contains("kms:ListGrants"),
            "{text}"
        );
        stage.workdir.empty_plan();
    }

    #[test]
    fn old_reads_after_a_put_are_waited_out() {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        stage.configure(&resource(&key, ""));
        // The plan and the apply read before they put; the reads after it are old for a while.
        stage.sandbox.inject(Fault {
            skip: 0,
            times: 2,
            ..Fault::new("KMS GetKeyPolicy", Effect::StaleRead)
        });
        stage.workdir.apply();
        stage.workdir.empty_plan();
        assert_eq!(stage.asked("KMS PutKeyPolicy").len(), 1);
    }
}

/// AWS refuses what LocalStack takes, so these are for the sandbox's KMS alone.
mod what_aws_refuses {
    use dbxcmk_sandbox::iam::Role;

    use super::*;

    #[test]
    fn a_policy_that_would_lock_you_out_is_refused_at_plan() {
        let stage = Stage::new(Over::Sandbox);
        let only = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "Admins", "Effect": "Allow", "Principal": {"AWS":
          "arn:aws:iam::123456789012:role/admins"}, "Action": "kms:*", "Resource": "*"}]}"#;
        let admins = Role::named("arn:aws:iam::123456789012:role/admins");
        stage.sandbox.with(|world| world.now.roles.push(admins));
        let key = stage
            .kms
            .create_key(&json!({ "Policy": only, "BypassPolicyLockoutSafetyCheck": true }));
        stage.configure(&resource(&key, ""));
        let run = stage.workdir.refused_plan();
        let error = run.error("The key policy would lock you out");
        for words in [
            "assumed-role/terraform/sandbox",
            "kms:PutKeyPolicy",
            "\"Action\": \"kms:*\"",
        ] {
            assert!(
                error.detail.contains(words),
                "{words} is missing in:\n{}",
                error.detail
            );
        }
    }

    #[test]
    fn a_policy_that_would_be_too_large_is_refused_at_plan() {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        let long = format!(
            r#"{{"Sid": "{}", "Effect": "Allow", "Principal": {{"AWS": "123456789012"}}, "Action": "kms:Decrypt", "Resource": "*"}}"#,
            "x".repeat(31_800)
        );
        stage.kms.put_policy(&key, &policy(&key, &[&long]));
        stage.configure(&resource(&key, ""));
        assert!(
            stage
                .workdir
                .refused_plan()
                .error("KMS would reject the key policy")
                .detail
                .contains("at most 32768")
        );
    }

    #[test]
    fn a_role_that_does_not_exist_is_told() {
        use dbxcmk_sandbox::faults::{Effect, Fault};
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        // IAM has the role, and KMS does not see it for longer than the provider waits.
        let kind = "MalformedPolicyDocumentException";
        let words = "Policy contains a statement with one or more invalid principals.";
        let unseen = Effect::aws(kind, words);
        stage
            .sandbox
            .inject(Fault::new("KMS PutKeyPolicy", unseen).times(1000));
        stage.configure(&resource(
            &key,
            "  timeouts = {\n    create = \"2s\"\n  }\n",
        ));
        let run = stage.workdir.failed_apply();
        assert!(
            run.error("A principal of the key policy does not exist")
                .detail
                .contains(ROLE_ARN)
        );
    }

    #[test]
    fn a_role_that_was_just_created_is_waited_for() {
        use dbxcmk_sandbox::faults::{Effect, Fault};
        let stage = Stage::new(Over::Sandbox);
        let key = stage.kms.create_key(&json!({}));
        let body = r#"{"__type":"MalformedPolicyDocumentException","message":"Policy contains a statement with one or more invalid principals."}"#;
        let effect = Effect::Status {
            status: 400,
            body: body.to_owned(),
            content_type: Some("application/x-amz-json-1.1".to_owned()),
            retry_after: None,
        };
        stage
            .sandbox
            .inject(Fault::new("KMS PutKeyPolicy", effect).times(2));
        stage.configure(&resource(&key, ""));
        stage.workdir.apply();
        assert_eq!(stage.asked("KMS PutKeyPolicy").len(), 3);
        stage.workdir.empty_plan();
    }

    #[test]
    fn a_policy_that_may_not_be_read_is_a_warning_at_plan_and_an_error_at_apply() {
        use dbxcmk_sandbox::faults::{Effect, Fault};
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        let denied = Effect::Status {
            status: 400,
            body: r#"{"__type":"AccessDeniedException","message":"User is not authorized to perform: kms:GetKeyPolicy"}"#
                .to_owned(),
            content_type: Some("application/x-amz-json-1.1".to_owned()),
            retry_after: None,
        };
        stage
            .sandbox
            .inject(Fault::new("KMS GetKeyPolicy", denied).times(100));
        stage.configure(&format!(
            "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
        ));
        let plan = stage.workdir.plan();
        assert!(
            plan.run
                .warning("The key policy could not be read")
                .detail
                .contains("\"kms:GetKeyPolicy\"")
        );
        stage
            .workdir
            .failed_apply()
            .error("The key policy could not be read");
        assert_eq!(stage.configurations(), Vec::<Json>::new());
    }
}
