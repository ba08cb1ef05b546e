//! `dbxcmk_key_configuration`: made once, never two, never destroyed under a workspace.

use dbxcmk_sandbox::WORKSPACE;
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::{Value as Json, json};

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{Over, Stage, over_both};

over_both! {
    the_order_of_use_cases_means_nothing,
    not_reusing_the_key_for_cluster_volumes_reaches_the_api,
    another_alias_changes_nothing_at_databricks,
    another_key_replaces_the_configuration,
    destroying_one_in_use_is_refused_with_the_workspaces,
    one_that_disappeared_is_planned_again,
}

const ADDRESS: &str = "dbxcmk_key_configuration.lakehouse";

fn resource(key: &str, more: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_configuration\" \"lakehouse\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn \
         = \"{key}\"\n{more}  }}\n}}\n"
    )
}

fn the_order_of_use_cases_means_nothing(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    stage.configure(&resource(&key, "").but(
        "\"MANAGED_SERVICES\", \"STORAGE\"",
        "\"STORAGE\", \"MANAGED_SERVICES\"",
    ));
    stage.workdir.empty_plan();
}

fn not_reusing_the_key_for_cluster_volumes_reaches_the_api(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&resource(
        &key,
        "    reuse_key_for_cluster_volumes = false\n",
    ));
    stage.workdir.apply();
    let sent = stage.asked("POST /customer-managed-keys");
    assert_eq!(
        sent[0]["aws_key_info"]["reuse_key_for_cluster_volumes"],
        json!(false),
        "{sent:?}"
    );
    assert_eq!(
        stage
            .workdir
            .attribute(ADDRESS, "/aws/reuse_key_for_cluster_volumes"),
        "false"
    );
    stage.workdir.empty_plan();
    stage.workdir.destroy();
    assert_eq!(stage.configurations(), Vec::<Json>::new());
}

fn another_alias_changes_nothing_at_databricks(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&resource(&key, "    key_alias = \"alias/one\"\n"));
    stage.workdir.apply();
    stage.configure(&resource(&key, "    key_alias = \"alias/two\"\n"));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(ADDRESS), "update");
    let warning = plan
        .run
        .warning("Databricks does not change the alias of a key configuration");
    assert!(
        warning.detail.contains("`alias/one`") && warning.detail.contains("`alias/two`"),
        "{}",
        warning.detail
    );
    stage.workdir.apply();
    stage.workdir.empty_plan();
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert_eq!(stage.asked("POST /customer-managed-keys").len(), 1);
    assert_eq!(stage.asked("DELETE").len(), 0);
}

fn another_key_replaces_the_configuration(over: Over) {
    let stage = Stage::new(over);
    let (one, two) = (stage.good_key(), stage.good_key());
    stage.configure(&resource(&one, ""));
    stage.workdir.apply();
    let id = stage.workdir.attribute(ADDRESS, "/id");
    stage.configure(&resource(&two, ""));
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(ADDRESS), "delete, create");
    assert!(plan.is_unknown(ADDRESS, "/id"));
    stage.workdir.apply();
    assert_ne!(stage.workdir.attribute(ADDRESS, "/id"), id);
    assert_eq!(stage.configurations().len(), 1);
    stage.workdir.empty_plan();
}

fn destroying_one_in_use_is_refused_with_the_workspaces(over: Over) {
    let stage = Stage::new(over);
    let (one, two) = (stage.good_key(), stage.good_key());
    stage.configure(&resource(&one, ""));
    stage.workdir.apply();
    let id = stage.workdir.attribute(ADDRESS, "/id");
    stage.sandbox.with(|world| {
        let workspace = world.workspace(WORKSPACE);
        workspace.fields.insert(
            "managed_services_customer_managed_key_id".to_owned(),
            Json::from(id),
        );
    });
    let error = stage
        .workdir
        .refused_destroy()
        .error("The key configuration is in use")
        .detail
        .clone();
    assert!(
        error.contains("1234567890123456 (\"lakehouse-prod\")"),
        "{error}"
    );
    // A replacement would destroy it just as well, and before anything else.
    stage.configure(&resource(&two, ""));
    stage
        .workdir
        .refused_plan()
        .error("The key configuration is in use");
    assert_eq!(stage.asked("DELETE").len(), 0);
    assert_eq!(stage.configurations().len(), 1);
}

fn one_that_disappeared_is_planned_again(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&resource(&key, ""));
    stage.workdir.apply();
    stage.sandbox.with(|world| world.now.configurations.clear());
    assert_eq!(stage.workdir.plan().actions(ADDRESS), "create");
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

/// What happens to the account API is the same over any KMS.
mod faults {
    use super::*;

    fn stage() -> (Stage, String) {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        stage.configure(&resource(&key, ""));
        (stage, key)
    }

    #[test]
    fn a_lost_answer_never_makes_two() {
        for effect in [
            Effect::DropAfter,
            Effect::StatusAfter { status: 504 },
            Effect::Truncate,
            // The object is made, and the answer does not say which one it is.
            Effect::Field {
                field: "/customer_managed_key_id".to_owned(),
                value: json!("c1000000-0000-4"),
            },
        ] {
            let (stage, _) = stage();
            stage
                .sandbox
                .inject(Fault::new("POST /customer-managed-keys", effect.clone()));
            stage.workdir.apply();
            assert_eq!(stage.configurations().len(), 1, "{effect:?}");
            stage.workdir.empty_plan();
        }
    }

    #[test]
    fn a_request_that_was_not_taken_is_told_and_can_be_repeated() {
        let (stage, _) = stage();
        stage.sandbox.inject(Fault::new(
            "POST /customer-managed-keys",
            Effect::DropBefore,
        ));
        let run = stage.workdir.failed_apply();
        run.error("The key configuration could not be created");
        assert_eq!(stage.configurations().len(), 0);
        stage.workdir.apply();
        assert_eq!(stage.configurations().len(), 1);
    }

    #[test]
    fn a_busy_api_is_waited_for() {
        let (stage, _) = stage();
        let busy = |status, retry_after: Option<&str>| Effect::Status {
            status,
            body: String::new(),
            content_type: None,
            retry_after: retry_after.map(str::to_owned),
        };
        stage.sandbox.inject(Fault::new(
            "POST /customer-managed-keys",
            busy(429, Some("1")),
        ));
        stage
            .sandbox
            .inject(Fault::new("POST /customer-managed-keys", busy(503, None)));
        stage.workdir.apply();
        assert_eq!(stage.configurations().len(), 1);
    }

    #[test]
    fn every_shape_of_refusal_reads_well() {
        let rows = [
            (
                400,
                r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"The key is odd."}"#,
                "application/json",
                "\"The key is odd.\" (HTTP 400, INVALID_PARAMETER_VALUE)",
            ),
            (
                400,
                "MALFORMED_REQUEST: The key is odd.",
                "text/plain",
                "\"The key is odd.\" (HTTP 400, MALFORMED_REQUEST)",
            ),
            (
                400,
                r#"{"message":"MALFORMED_REQUEST: The key is odd."}"#,
                "application/json",
                "\"The key is odd.\" (HTTP 400, MALFORMED_REQUEST)",
            ),
            (
                403,
                r#"{"error_code":403,"message":"Invalid access to Org"}"#,
                "application/json",
                "account admins",
            ),
            (
                200,
                "<html><body>Sign in</body></html>",
                "text/html",
                "login page",
            ),
        ];
        for (status, body, content_type, words) in rows {
            let (stage, _) = stage();
            let effect = Effect::Status {
                status,
                body: body.to_owned(),
                content_type: Some(content_type.to_owned()),
                retry_after: None,
            };
            stage
                .sandbox
                .inject(Fault::new("POST /customer-managed-keys", effect));
            let run = stage.workdir.failed_apply();
            let error = run.error("The key configuration could not be created");
            assert!(
                error.detail.contains(words),
                "{words} is missing in:\n{}",
                error.detail
            );
        }
    }

    #[test]
    fn a_404_is_not_believed_until_the_list_confirms_it() {
        let (stage, _) = stage();
        stage.workdir.apply();
        let effect = Effect::Status {
            status: 404,
            body: r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Invalid endpoint"}"#
                .to_owned(),
            content_type: None,
            retry_after: None,
        };
        stage
            .sandbox
            .inject(Fault::new("GET /customer-managed-keys/", effect).times(2));
        stage.workdir.empty_plan();
    }

    #[test]
    fn another_account_is_not_taken_for_a_deleted_configuration() {
        let (mut stage, _) = stage();
        stage.workdir.apply();
        stage.workdir.set(
            "DATABRICKS_ACCOUNT_ID",
            "11111111-2222-4333-8444-555555555555",
        );
        stage
            .workdir
            .refused_plan()
            .error("The key configuration belongs to another Databricks account");
    }

    /// A configuration as a run leaves it behind that was killed, so many hours ago.
    fn left_behind(stage: &Stage, key: &str, hours: i64) -> String {
        let id = "c1000000-0000-4000-8000-000000000009";
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let made = i64::try_from(now).unwrap() - hours * 3_600_000;
        let configuration = json!({
            "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID, "creation_time": made,
            "use_cases": ["STORAGE", "MANAGED_SERVICES"],
            "aws_key_info": { "key_arn": key, "key_region": "eu-central-1", "reuse_key_for_cluster_volumes": true },
        });
        stage.sandbox.with(|world| {
            world
                .now
                .configurations
                .insert(id.to_owned(), configuration)
        });
        id.to_owned()
    }

    /// A create whose answer was lost, and after which the provider could not read.
    #[test]
    fn what_a_lost_create_left_behind_is_adopted() {
        let (stage, _) = stage();
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let http = "provider \"dbxcmk\" {\n  http = {\n    retry_timeout = \"3s\"\n  }\n}";
        stage
            .workdir
            .write("main.tf", &text.but("provider \"dbxcmk\" {}", http));
        stage.sandbox.inject(Fault::new(
            "POST /customer-managed-keys",
            Effect::StatusAfter { status: 504 },
        ));
        // The list of the plan, and the one of the apply, which serves the plan that it makes again and the create.
        let lists = Fault {
            skip: 2,
            ..Fault::new("GET /customer-managed-keys", Effect::status(500)).times(1000)
        };
        stage.sandbox.inject(lists);
        let run = stage.workdir.failed_apply();
        let error =
            run.error("The provider does not know whether the key configuration was created");
        assert!(
            error.detail.contains("Apply again within 15 minutes"),
            "{}",
            error.detail
        );
        stage.sandbox.with(|world| world.faults.clear());
        let id = stage.configurations()[0]["customer_managed_key_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let plan = stage.workdir.plan();
        let warning = plan.run.warning("The key configuration exists already");
        assert!(
            warning.detail.contains(&id) && warning.detail.contains("will adopt it"),
            "{}",
            warning.detail
        );
        let run = stage.workdir.apply();
        assert!(
            run.messages
                .iter()
                .any(|message| message.detail.contains("The provider adopted it")),
            "{}",
            run.shown()
        );
        assert_eq!(stage.workdir.attribute(ADDRESS, "/id"), id);
        assert_eq!(stage.asked("POST /customer-managed-keys").len(), 1);
        stage.workdir.empty_plan();
        // A replacement is not a reason to believe that a create left it behind.
        let run = stage.workdir.run(&[
            "apply",
            "-json",
            "-auto-approve",
            &format!("-replace={ADDRESS}"),
        ]);
        assert!(
            run.success
                && run
                    .warnings()
                    .iter()
                    .all(|warning| !warning.contains("there already")),
            "{}",
            run.shown()
        );
        assert_ne!(stage.workdir.attribute(ADDRESS, "/id"), id);
        assert_eq!(stage.configurations().len(), 1);
    }

    /// However young an equal one is: what this working directory has not made may be another state's.
    #[test]
    fn an_equal_one_that_is_not_ours_is_to_be_imported() {
        for hours in [0, 48] {
            let (stage, key) = stage();
            let id = left_behind(&stage, &key, hours);
            let run = stage.workdir.refused_plan();
            let error = run.error("The account has this key configuration already");
            assert!(
                error.detail.contains(&format!("id = \"{id}\"")),
                "{}",
                error.detail
            );
            stage.workdir.import(ADDRESS, &id);
            stage.workdir.empty_plan();
            assert_eq!(stage.asked("POST /customer-managed-keys").len(), 0);
        }
    }

    #[test]
    fn one_that_comes_between_plan_and_apply_is_not_adopted() {
        let (stage, key) = stage();
        stage.workdir.plan();
        left_behind(&stage, &key, 0);
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        run.error("The account has this key configuration already");
        assert_eq!(stage.asked("POST /customer-managed-keys").len(), 0);
    }

    /// Two states that create the same at the same time end with one owner for each object.
    #[test]
    fn two_states_never_own_one_object() {
        for _ in 0..3 {
            let (stage, key) = stage();
            let other = acceptance_tests::harness::Workdir::new(&stage.sandbox);
            other.configuration(&format!(
                "{}{}",
                acceptance_tests::stage::HEAD,
                resource(&key, "")
            ));
            let slow = Effect::Delay { milliseconds: 300 };
            stage
                .sandbox
                .inject(Fault::new("POST /customer-managed-keys", slow).times(2));
            let apply = |workdir: &acceptance_tests::harness::Workdir| {
                workdir.run(&["apply", "-json", "-input=false", "-auto-approve"])
            };
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| apply(&stage.workdir));
                let two = scope.spawn(|| apply(&other));
                (one.join().unwrap(), two.join().unwrap())
            });
            assert!(one.success || two.success, "{}{}", one.shown(), two.shown());
            for run in [&one, &two].into_iter().filter(|run| !run.success) {
                run.error("The account has this key configuration already");
            }
            if one.success && two.success {
                assert_ne!(
                    stage.workdir.attribute(ADDRESS, "/id"),
                    other.attribute(ADDRESS, "/id")
                );
                assert_eq!(stage.configurations().len(), 2);
            }
        }
    }

    #[test]
    fn an_equal_one_can_be_created_before_the_old_one_is_destroyed() {
        let (stage, key) = stage();
        let text = resource(&key, "");
        let before = text.trim_end().trim_end_matches('}').to_owned()
            + "  lifecycle {\n    create_before_destroy = true\n  }\n}\n";
        stage.configure(&before);
        stage.workdir.apply();
        let id = stage.workdir.attribute(ADDRESS, "/id");
        stage.workdir.plan_with(&[&format!("-replace={ADDRESS}")]);
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        assert!(
            run.success
                && run
                    .warnings()
                    .iter()
                    .all(|warning| !warning.contains("there already")),
            "{}",
            run.shown()
        );
        assert_ne!(stage.workdir.attribute(ADDRESS, "/id"), id);
        assert_eq!(stage.configurations().len(), 1);
        stage.workdir.empty_plan();
        // The note of a plan that was not applied does not lead to a second object for what the state has lost.
        let policy = format!(
            "\nresource \"dbxcmk_key_policy\" \"p\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
        );
        let refers = text.but(&format!("\"{key}\""), "dbxcmk_key_policy.p.aws.key_arn");
        stage.configure(&format!("{policy}{refers}"));
        stage.workdir.apply();
        stage.workdir.plan_with(&[&format!("-replace={ADDRESS}")]);
        assert!(stage.workdir.run(&["state", "rm", ADDRESS]).success);
        stage.workdir.apply();
        assert_eq!(stage.configurations().len(), 1);
    }

    #[test]
    fn another_alias_makes_it_another_one() {
        let (stage, key) = stage();
        left_behind(&stage, &key, 48);
        stage.configure(&resource(&key, "    key_alias = \"alias/second\"\n"));
        stage.workdir.apply();
        assert_eq!(stage.configurations().len(), 2);
    }

    #[test]
    fn twins_are_refused_at_plan() {
        let (stage, key) = stage();
        stage.configure(&format!(
            "{}{}",
            resource(&key, ""),
            resource(&key, "").but("\"lakehouse\"", "\"twin\"")
        ));
        stage
            .workdir
            .refused_plan()
            .error("Two resources describe the same key configuration");
    }

    #[test]
    fn configurations_of_other_clouds_are_passed_over() {
        let (stage, _) = stage();
        stage.sandbox.with(|world| {
            for (id, info) in [
                (
                    "c2000000-0000-4000-8000-000000000001",
                    json!({ "gcp_key_info": { "kms_key_id": "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k",
                    "gcp_service_account": { "service_account_email": "x@y" }, "manual": true } }),
                ),
                (
                    "c2000000-0000-4000-8000-000000000002",
                    json!({ "azure_key_info": { "key_vault_uri": "https://v", "key_name": "k", "version": "1" } }),
                ),
                ("c2000000-0000-4000-8000-000000000003", json!({ "use_cases": null, "aws_key_info": null })),
            ] {
                let mut one = json!({ "customer_managed_key_id": id, "use_cases": ["STORAGE"], "creation_time": 1 });
                one.as_object_mut().unwrap().extend(info.as_object().unwrap().clone());
                world.now.configurations.insert(id.to_owned(), one);
            }
        });
        stage.workdir.apply();
        stage.workdir.empty_plan();
        stage.workdir.destroy();
        // Taking one over says what it is.
        stage.workdir.write(
            "import.tf",
            "import {\n  to = dbxcmk_key_configuration.lakehouse\n  id = \"c2000000-0000-4000-8000-000000000002\"\n}\n",
        );
        let run = stage.workdir.refused_plan();
        assert!(
            run.error("The key configuration cannot be managed by this provider version")
                .detail
                .contains("another cloud"),
            "{}",
            run.shown()
        );
    }

    #[test]
    fn a_workspace_that_is_on_its_way_out_is_waited_for() {
        let (stage, _) = stage();
        stage.workdir.apply();
        let id = stage.workdir.attribute(ADDRESS, "/id");
        // The plan sees no user; then another person attaches it to a workspace that Databricks is deleting.
        let conflict = Effect::Status {
            status: 409,
            body: r#"{"error_code":"RESOURCE_CONFLICT","message":"You cannot delete a configuration that is associated with a running workspace."}"#.to_owned(),
            content_type: None,
            retry_after: None,
        };
        stage
            .sandbox
            .inject(Fault::new("DELETE /customer-managed-keys", conflict.clone()).times(2));
        stage.workdir.destroy();
        assert_eq!(stage.asked("DELETE /customer-managed-keys").len(), 3);
        // One that stays is named at once.
        stage.workdir.apply();
        let second = stage.workdir.attribute(ADDRESS, "/id");
        assert_ne!(id, second);
        let listing = Fault {
            skip: 2,
            ..Fault::new("GET /workspaces", Effect::StaleRead)
        };
        stage.sandbox.inject(listing);
        stage.workdir.plan_with(&["-destroy"]);
        stage.sandbox.with(|world| {
            world.faults.clear();
            let fields = &mut world.workspace(WORKSPACE).fields;
            fields.insert(
                "storage_customer_managed_key_id".to_owned(),
                Json::from(second),
            );
        });
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        assert!(
            run.error("The key configuration is in use")
                .detail
                .contains("1234567890123456"),
            "{}",
            run.shown()
        );
        assert_eq!(stage.configurations().len(), 1);
    }
}
