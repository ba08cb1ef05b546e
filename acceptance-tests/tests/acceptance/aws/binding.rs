//! `dbxcmk_workspace_binding`: attached permanently, or not at all; and the provider never reports what is not true.

use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, REGION, WORKSPACE};
use serde_json::{Value as Json, json};

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, over_both, policy};

over_both! {
    a_storage_rotation_is_refused_at_plan,
    a_managed_services_rotation_happens_in_place,
    removing_a_key_is_refused_at_plan,
    a_key_in_another_region_is_refused_at_plan,
    the_cross_account_role_of_the_workspace_is_checked,
    a_key_that_breaks_between_plan_and_apply_is_not_attached,
}

const BINDING: &str = "dbxcmk_workspace_binding.prod";
const MANAGED_FIELD: &str = "managed_services_customer_managed_key_id";
const STORAGE_FIELD: &str = "storage_customer_managed_key_id";

fn configuration(name: &str, key: &str) -> String {
    format!(
        "\nresource \"dbxcmk_key_configuration\" \"{name}\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn = \
         \"{key}\"\n    reuse_key_for_cluster_volumes = false\n  }}\n}}\n"
    )
}

fn binding(managed: &str, storage: &str) -> String {
    let line = |name: &str, of: &str| match of {
        "" => String::new(),
        of => format!("  {name}_key_configuration_id = dbxcmk_key_configuration.{of}.id\n"),
    };
    format!(
        "\nresource \"dbxcmk_workspace_binding\" \"prod\" {{\n  workspace_id = \"{WORKSPACE}\"\n{}{}  settle_time = \"0s\"\n}}\n",
        line("managed_services", managed),
        line("storage", storage)
    )
}

/// Two good configurations, the first one under the workspace.
fn bound(over: Over) -> (Stage, String) {
    let stage = Stage::new(over);
    let configurations = format!(
        "{}{}",
        configuration("one", &stage.good_key()),
        configuration("two", &stage.good_key())
    );
    stage.configure(&format!("{configurations}{}", binding("one", "one")));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    (stage, configurations)
}

/// Databricks undoes the attach of a workspace after the apply, and a saved refresh has seen it: the state has no key, and the plan sets them
/// again. It is not an import.
#[test]
fn a_binding_without_keys_is_planned_again() {
    let (stage, _) = bound(Over::Sandbox);
    stage.sandbox.with(|world| {
        let own = world.workspace(WORKSPACE);
        own.update = None;
        own.fields
            .retain(|name, _| name != MANAGED_FIELD && name != STORAGE_FIELD);
    });
    let refresh = stage
        .workdir
        .run(&["apply", "-refresh-only", "-auto-approve"]);
    assert!(refresh.success, "{}", refresh.shown());
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions(BINDING), "update");
    stage.workdir.apply();
    assert_ne!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), "");
    stage.workdir.empty_plan();
}

fn a_storage_rotation_is_refused_at_plan(over: Over) {
    let (stage, configurations) = bound(over);
    let before = stage.workspace_field(WORKSPACE, STORAGE_FIELD);
    stage.configure(&format!("{configurations}{}", binding("one", "two")));
    let run = stage.workdir.refused_plan();
    let error = run.error("The storage key of a workspace cannot be changed");
    assert!(
        error.code.contains("storage_key_configuration_id"),
        "it points at the line: {}",
        error.code
    );
    assert!(
        error
            .detail
            .contains(&format!("storage_key_configuration_id = {before}")),
        "{}",
        error.detail
    );
    assert_eq!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), before);
}

fn a_managed_services_rotation_happens_in_place(over: Over) {
    let (stage, configurations) = bound(over);
    let storage = stage.workspace_field(WORKSPACE, STORAGE_FIELD);
    stage.configure(&format!("{configurations}{}", binding("two", "one")));
    assert_eq!(stage.workdir.plan().actions(BINDING), "update");
    stage.workdir.apply();
    stage.workdir.empty_plan();
    let two = stage
        .workdir
        .attribute("dbxcmk_key_configuration.two", "/id");
    assert_eq!(
        stage.workspace_field(WORKSPACE, MANAGED_FIELD),
        Json::from(two.clone())
    );
    assert_eq!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), storage);
    // Only the field that changes is sent, and named in the mask.
    let patches: Vec<_> = stage
        .sandbox
        .requests()
        .into_iter()
        .filter(|record| record.operation.starts_with("PATCH"))
        .collect();
    let last = patches.last().expect("a patch");
    assert_eq!(last.body, json!({ MANAGED_FIELD: two }));
    assert_eq!(last.query["update_mask"], MANAGED_FIELD);
}

fn removing_a_key_is_refused_at_plan(over: Over) {
    let (stage, configurations) = bound(over);
    stage.configure(&format!("{configurations}{}", binding("one", "")));
    let run = stage.workdir.refused_plan();
    let error = run.error("A key cannot be detached from a workspace");
    assert!(
        error.detail.contains("storage_key_configuration_id = \""),
        "{}",
        error.detail
    );
}

fn a_key_in_another_region_is_refused_at_plan(over: Over) {
    let stage = Stage::new(over);
    let elsewhere = stage.kms.in_region("us-east-1");
    let key = elsewhere.create_key(&json!({}));
    elsewhere.put_policy(&key, &policy(&key, &[MANAGED_SERVICES, STORAGE]));
    stage.configure(&configuration("one", &key));
    stage.workdir.apply();
    stage.configure(&format!(
        "{}{}",
        configuration("one", &key),
        binding("one", "")
    ));
    let run = stage.workdir.refused_plan();
    let error = run.error("The key is in another region than the workspace");
    assert!(
        error.detail.contains(REGION) && error.detail.contains("us-east-1"),
        "{}",
        error.detail
    );
    assert_eq!(stage.asked("PATCH").len(), 0);
}

fn the_cross_account_role_of_the_workspace_is_checked(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    let for_clusters =
        configuration("one", &key).but("    reuse_key_for_cluster_volumes = false\n", "");
    stage.configure(&for_clusters);
    let plan = stage.workdir.plan();
    plan.run
        .warning("No statement of the key policy is for cluster volumes");
    stage.workdir.apply();
    stage.configure(&format!("{for_clusters}{}", binding("one", "one")));
    let run = stage.workdir.run(&["plan", "-json"]);
    let role = dbxcmk_sandbox::ROLE_ARN;
    // A role of the key's own account is left to IAM, and nothing in this configuration can change what IAM says.
    let summary = match key.contains(":123456789012:") {
        true => "The IAM policies of the cross-account role do not allow what it needs",
        false => {
            "The key policy does not let the cross-account role use the key for cluster volumes (EBS)"
        }
    };
    let error = run.error(summary);
    assert!(error.detail.contains(role), "{}", error.detail);
}

fn a_key_that_breaks_between_plan_and_apply_is_not_attached(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&configuration("one", &key));
    stage.workdir.apply();
    stage.configure(&format!(
        "{}{}",
        configuration("one", &key),
        binding("one", "one")
    ));
    stage.workdir.plan();
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
    run.error("The key is disabled");
    assert_eq!(stage.asked("PATCH").len(), 0);
    assert_eq!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), Json::Null);
}

/// What the account does is the same over any KMS.
mod the_account {
    use super::*;

    fn ready() -> Stage {
        let stage = Stage::new(Over::Sandbox);
        let key = stage.good_key();
        stage.configure(&format!(
            "{}{}",
            configuration("one", &key),
            binding("one", "one")
        ));
        stage
    }

    #[test]
    fn a_silent_revert_is_found_and_told() {
        let stage = ready();
        stage
            .sandbox
            .inject(Fault::new("PATCH /workspaces/", Effect::Revert));
        let run = stage.workdir.failed_apply();
        let error = run.error("Databricks accepted the key, then reverted to the previous one");
        assert!(
            error.detail.contains("workspace storage: none"),
            "{}",
            error.detail
        );
        // Nothing is claimed that is not true, and the next apply brings it about.
        assert_eq!(stage.workdir.plan().actions(BINDING), "create");
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }

    /// Databricks answers RUNNING with the new key, and goes back only later.
    #[test]
    fn a_late_revert_is_found_while_the_key_settles() {
        for milliseconds in [2000, 4000] {
            let stage = ready();
            settling(&stage, "8s");
            stage.sandbox.inject(Fault::new(
                "PATCH /workspaces/",
                Effect::RevertAfter { milliseconds },
            ));
            let run = stage.workdir.failed_apply();
            let error = run.error("Databricks accepted the key, then reverted to the previous one");
            for words in [
                "workspace storage: none",
                "It showed the new keys after",
                "Last seen: 20",
            ] {
                assert!(
                    error.detail.contains(words),
                    "{words} is missing in:\n{}",
                    error.detail
                );
            }
            assert_eq!(stage.workdir.plan().actions(BINDING), "create");
        }
    }

    #[test]
    fn a_key_that_is_disabled_while_it_settles_ends_the_wait() {
        let stage = ready();
        settling(&stage, "120s");
        let key = key_of(&stage);
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.failed_apply());
            assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
            stage.kms.call("DisableKey", &json!({ "KeyId": key }));
            apply.join().unwrap()
        });
        let error = run.error("A key became unusable while the workspace was taking it");
        assert!(
            error.detail.contains("is in the state Disabled")
                && error.detail.contains("aws kms enable-key"),
            "{}",
            error.detail
        );
        // Neither does an enabled key serve that lets Databricks do nothing.
        let stage = ready();
        settling(&stage, "3s");
        let key = key_of(&stage);
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.failed_apply());
            assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
            stage.kms.put_policy(&key, &policy(&key, &[]));
            apply.join().unwrap()
        });
        run.error("A key lost its access rules while the workspace was taking it");
        run.error("The key policy does not let Databricks use the key for workspace storage");
    }

    /// A key of which nothing is known is not a good one, whether or not something is about to change.
    #[test]
    fn a_key_that_cannot_be_read_is_said_by_every_plan() {
        let stage = ready();
        stage.workdir.apply();
        for (operation, summary) in [
            ("KMS DescribeKey", "The key's state could not be read"),
            ("KMS GetKeyPolicy", "The key policy could not be read"),
        ] {
            stage.sandbox.inject(Fault {
                times: 100,
                ..Fault::new(
                    operation,
                    Effect::aws("AccessDeniedException", "not authorized to perform it"),
                )
            });
            stage.workdir.empty_plan().warning(summary);
            stage.sandbox.with(|world| world.faults.clear());
        }
    }

    /// Whatever state a key gets into while the workspace takes it, the apply does not say that all is well.
    #[test]
    fn every_state_of_a_key_is_seen_while_it_settles() {
        let denied = || Fault {
            times: 1000,
            ..Fault::new(
                "KMS DescribeKey",
                Effect::aws("AccessDeniedException", "not authorized to perform it"),
            )
        };
        let gone = || Fault {
            times: 1000,
            ..Fault::new(
                "KMS DescribeKey",
                Effect::aws("NotFoundException", "Key is not found"),
            )
        };
        type Change = Box<dyn Fn(&Stage, &str)>;
        let rows: [(&str, Change); 2] = [
            (
                "PendingDeletion",
                Box::new(|stage, key| {
                    let order = json!({ "KeyId": key, "PendingWindowInDays": 7 });
                    stage.kms.call("ScheduleKeyDeletion", &order);
                }),
            ),
            (
                "deleted",
                Box::new(move |stage, _| stage.sandbox.inject(gone())),
            ),
        ];
        for (state, change) in rows {
            let stage = ready();
            settling(&stage, "120s");
            let key = key_of(&stage);
            let run = std::thread::scope(|scope| {
                let apply = scope.spawn(|| stage.workdir.failed_apply());
                assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
                change(&stage, &key);
                apply.join().unwrap()
            });
            let error = run.error("A key became unusable while the workspace was taking it");
            assert!(
                error.detail.contains(&format!("is in the state {state}")),
                "{}",
                error.detail
            );
        }
        let stage = ready();
        settling(&stage, "3s");
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.apply());
            assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
            stage.sandbox.inject(denied());
            apply.join().unwrap()
        });
        let warning =
            run.warning("The state of a key could not be read at the end of `settle_time`");
        assert!(
            warning.detail.contains(&key_of(&stage)) && warning.detail.contains("kms:DescribeKey"),
            "{}",
            warning.detail
        );
    }

    /// The provider adopts what the account has already, and it is not another key for the workspace. After a rename, the
    /// error says what keeps everything.
    #[test]
    fn a_configuration_that_the_state_lost_is_adopted_and_a_rename_is_told_of_moved() {
        let stage = ready();
        stage.workdir.apply();
        let id = stage
            .workdir
            .attribute("dbxcmk_key_configuration.one", "/id");
        stage.workdir.forget("dbxcmk_key_configuration.one");
        let run = stage.workdir.plan().run;
        let warning = run.warning("The key configuration exists already");
        assert!(
            warning.detail.contains(&id) && warning.detail.contains("moved {"),
            "{}",
            warning.detail
        );
        stage.workdir.apply();
        assert_eq!(
            stage
                .workdir
                .attribute("dbxcmk_key_configuration.one", "/id"),
            id
        );
        assert_eq!(stage.asked("POST /customer-managed-keys").len(), 1);
        stage.workdir.empty_plan();

        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let renamed = text
            .but(
                "\"dbxcmk_key_configuration\" \"one\"",
                "\"dbxcmk_key_configuration\" \"other\"",
            )
            .but(
                "dbxcmk_key_configuration.one",
                "dbxcmk_key_configuration.other",
            );
        assert_ne!(text, renamed);
        stage.workdir.configuration(&renamed);
        let run = stage.workdir.refused_plan();
        let error = run.error("The key configuration is in use");
        assert!(error.detail.contains("moved {"), "{}", error.detail);
    }

    /// What the plan has promised stays as promised, whatever the account shows by then.
    #[test]
    fn a_workspace_that_changes_between_plan_and_apply_is_shown_by_the_next_plan() {
        let stage = ready();
        let whole = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let one = whole
            .lines()
            .filter(|line| !line.contains("  storage_key_configuration_id"))
            .collect::<Vec<_>>()
            .join("\n");
        assert_ne!(one, whole);
        stage.workdir.configuration(&one);
        stage.workdir.apply();
        stage.workdir.configuration(&whole);
        stage.workdir.plan();
        stage.sandbox.with(|world| {
            let fields = &mut world.workspace(WORKSPACE).fields;
            fields.insert("workspace_name".to_owned(), json!("renamed"));
        });
        let run = stage.workdir.run(&["apply", "-json", "plan.tfplan"]);
        assert!(run.success, "{}", run.shown());
        stage.workdir.apply();
        assert_eq!(
            stage.workdir.attribute(BINDING, "/workspace_name"),
            "renamed"
        );
    }

    /// Between the last proof and the moment at which Databricks uses the key there is always a gap: the provider notices what happens
    /// in it, and explains the refusal by the key as it is then, not by what the proof read.
    #[test]
    fn a_key_that_is_disabled_after_its_last_proof_explains_the_refusal() {
        let stage = ready();
        let key = key_of(&stage);
        stage.sandbox.inject(Fault::new(
            "PATCH /workspaces/",
            Effect::Delay {
                milliseconds: 5_000,
            },
        ));
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.failed_apply());
            // The update is there, so the proof is over; it is carried out later.
            assert!(stage.sandbox.has_been_asked("PATCH /workspaces/"));
            stage.kms.call("DisableKey", &json!({ "KeyId": key }));
            apply.join().unwrap()
        });
        let said = run.shown();
        assert!(
            said.contains("is in the state Disabled") && said.contains("aws kms enable-key"),
            "{said}"
        );
        assert_eq!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), Json::Null);
        // The state claims no key that is not there, and the next apply attaches it.
        stage.workdir.refused_plan();
        stage.kms.call("EnableKey", &json!({ "KeyId": key }));
        assert_eq!(stage.workdir.plan().actions(BINDING), "create");
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }

    #[test]
    fn a_workspace_that_fails_while_the_key_settles_ends_the_wait() {
        let stage = ready();
        settling(&stage, "120s");
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.failed_apply());
            assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
            stage.sandbox.with(|world| {
                world
                    .workspace(WORKSPACE)
                    .fields
                    .insert("workspace_status".to_owned(), Json::from("FAILED"))
            });
            apply.join().unwrap()
        });
        run.error("The workspace failed while its keys were changed");
    }

    /// Bindings that wait together share the lists, and the last read confirms.
    #[test]
    fn bindings_that_wait_share_their_reads() {
        let stage = ready();
        let key = stage.good_key();
        let many = 8;
        stage.workspaces(many);
        stage.configure(&format!(
            "{}\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = {many}\n  workspace_id = count.index + 1\n  \
             managed_services_key_configuration_id = dbxcmk_key_configuration.one.id\n  settle_time = \"6s\"\n}}\n",
            configuration("one", &key)
        ));
        stage.workdir.apply();
        let asked: Vec<String> = stage
            .sandbox
            .requests()
            .into_iter()
            .map(|record| record.operation)
            .collect();
        let first_patch = asked
            .iter()
            .position(|operation| operation.starts_with("PATCH"))
            .unwrap();
        let last_patch = asked
            .iter()
            .rposition(|operation| operation.starts_with("PATCH"))
            .unwrap();
        let lists = asked
            .iter()
            .skip(first_patch)
            .filter(|operation| operation.ends_with("/workspaces"))
            .count();
        // One binding alone reads about a dozen times in these seconds; eight of them do not read eight times as often.
        assert!((4..=40).contains(&lists), "{lists} lists: {asked:?}");
        let own = asked
            .iter()
            .skip(last_patch)
            .filter(|operation| operation.contains("GET") && operation.contains("/workspaces/"))
            .count();
        assert_eq!(
            own, 0,
            "nobody reads a workspace alone while it waits: {asked:?}"
        );
        stage.workdir.empty_plan();
    }

    #[test]
    fn running_compute_is_told_with_what_to_stop() {
        let stage = ready();
        stage
            .sandbox
            .with(|world| world.workspace(WORKSPACE).has_running_compute = true);
        let run = stage.workdir.failed_apply();
        let error = run.error("Compute is running in the workspace");
        assert!(
            error.detail.contains("databricks clusters list"),
            "{}",
            error.detail
        );
        stage
            .sandbox
            .with(|world| world.workspace(WORKSPACE).has_running_compute = false);
        stage.workdir.apply();
    }

    #[test]
    fn running_compute_is_waited_for_when_asked_to() {
        let stage = ready();
        stage
            .sandbox
            .with(|world| world.workspace(WORKSPACE).has_running_compute = true);
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        stage.workdir.write(
            "main.tf",
            &text.but(
                "  settle_time",
                "  wait_for_compute = \"10m\"\n  settle_time",
            ),
        );
        let run = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.workdir.apply());
            assert!(stage.sandbox.has_answered("PATCH /workspaces/"));
            stage
                .sandbox
                .with(|world| world.workspace(WORKSPACE).has_running_compute = false);
            apply.join().unwrap()
        });
        assert!(run.success);
        assert!(stage.asked("PATCH /workspaces/").len() >= 2);
        stage.workdir.empty_plan();
        // It does not wait forever.
        let again = ready();
        again
            .sandbox
            .with(|world| world.workspace(WORKSPACE).has_running_compute = true);
        let text = std::fs::read_to_string(again.workdir.path().join("main.tf")).unwrap();
        again.workdir.write(
            "main.tf",
            &text.but(
                "  settle_time",
                "  wait_for_compute = \"1s\"\n  settle_time",
            ),
        );
        let run = again.workdir.failed_apply();
        assert!(
            run.error("Compute is running in the workspace")
                .detail
                .contains("waited 1s for the compute to stop"),
            "{}",
            run.shown()
        );
    }

    #[test]
    fn a_workspace_without_storage_of_its_own_gets_no_storage_key() {
        for (field, value, words) in [
            ("compute_mode", "SERVERLESS", "only serverless compute"),
            ("storage_mode", "DEFAULT_STORAGE", "default storage"),
        ] {
            let stage = ready();
            stage.sandbox.with(|world| {
                world
                    .workspace(WORKSPACE)
                    .fields
                    .insert(field.to_owned(), Json::from(value))
            });
            stage.workdir.apply_configuration_alone();
            let run = stage.workdir.refused_plan();
            let error = run.error("The workspace has no storage that a storage key could encrypt");
            assert!(error.detail.contains(words), "{}", error.detail);
            assert!(
                error.code.contains("storage_key_configuration_id"),
                "{}",
                error.code
            );
        }
    }

    #[test]
    fn a_workspace_in_another_cloud_is_refused_at_plan() {
        let stage = ready();
        stage.sandbox.with(|world| {
            world
                .workspace(WORKSPACE)
                .fields
                .insert("cloud".to_owned(), Json::from("gcp"))
        });
        stage.workdir.apply_configuration_alone();
        stage
            .workdir
            .refused_plan()
            .error("The workspace is in another cloud than the key");
    }

    #[test]
    fn two_bindings_for_one_workspace_are_refused_at_plan() {
        let stage = ready();
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let other = configuration("two", &stage.good_key());
        let second = binding("two", "one").but("\"prod\"", "\"second\"");
        stage
            .workdir
            .write("main.tf", &format!("{text}{other}{second}"));
        let run = stage.workdir.refused_plan();
        assert!(
            run.error("The workspace is bound twice")
                .detail
                .contains(&WORKSPACE.to_string())
        );
        // The same once one of them is there.
        stage.workdir.write("main.tf", &text);
        stage.workdir.apply();
        stage
            .workdir
            .write("main.tf", &format!("{text}{other}{second}"));
        stage
            .workdir
            .refused_plan()
            .error("The workspace is bound twice");
        // Also where both want the same, no matter which of them is new.
        let equal = binding("one", "one").but("\"prod\"", "\"second\"");
        stage.workdir.write("main.tf", &format!("{text}{equal}"));
        let run = stage.workdir.refused_plan();
        run.error("The workspace is bound twice");
        // Two that are in the state and agree do not stop the rest of the plan.
        let id = WORKSPACE.to_string();
        let imported = ["import", "dbxcmk_workspace_binding.second", &id];
        assert!(stage.workdir.run(&imported).success);
        let run = stage.workdir.run(&["plan", "-json"]);
        assert!(run.success, "{}", run.shown());
        run.warning(&format!("The workspace is bound twice: {id}"));
        let forget = ["state", "rm", "dbxcmk_workspace_binding.second"];
        assert!(stage.workdir.run(&forget).success);
        // A replacement does not count as a second binding.
        stage.workdir.write("main.tf", &text);
        let run = stage
            .workdir
            .run(&["plan", "-json", &format!("-replace={BINDING}")]);
        assert!(run.success, "{}", run.shown());
    }

    #[test]
    fn a_failed_update_leaves_the_truth_in_the_state() {
        let (stage, configurations) = bound(Over::Sandbox);
        let before = stage
            .workdir
            .attribute(BINDING, "/managed_services_key_configuration_id");
        stage.configure(&format!("{configurations}{}", binding("two", "one")));
        stage
            .sandbox
            .inject(Fault::new("PATCH /workspaces/", Effect::Revert));
        stage
            .workdir
            .failed_apply()
            .error("Databricks accepted the key, then reverted to the previous one");
        assert_eq!(
            stage
                .workdir
                .attribute(BINDING, "/managed_services_key_configuration_id"),
            before
        );
        assert_eq!(stage.workdir.plan().actions(BINDING), "update");
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }

    #[test]
    fn a_timeout_leaves_the_truth_behind() {
        let stage = ready();
        // The first look after the keys were sent takes longer than there is time.
        let slow = Effect::Delay {
            milliseconds: 11_000,
        };
        let fault = Fault::new("GET /workspaces", slow).after("PATCH");
        stage.sandbox.inject(fault.times(1000));
        let text = format!(
            "{}{}",
            configuration("one", &stage.good_key()),
            binding("one", "one")
        )
        .but(
            "  settle_time",
            "  timeouts = {\n    create = \"10s\"\n  }\n  settle_time",
        );
        stage.configure(&text);
        let run = stage.workdir.failed_apply();
        run.error("The workspace did not show the keys in time");
        stage.sandbox.with(|world| world.faults.clear());
        stage.configure(&text.but("create = \"10s\"", "create = \"10m\""));
        stage.workdir.apply();
        stage.workdir.empty_plan();
    }

    #[test]
    fn a_lower_tier_is_refused_at_plan() {
        let stage = ready();
        stage.sandbox.with(|world| {
            world
                .workspace(WORKSPACE)
                .fields
                .insert("pricing_tier".to_owned(), Json::from("PREMIUM"))
        });
        stage.workdir.apply_configuration_alone();
        stage
            .workdir
            .refused_plan()
            .error("The workspace's pricing tier does not include customer-managed keys");
    }

    #[test]
    fn a_workspace_that_is_not_there_is_refused_at_plan() {
        let stage = ready();
        stage
            .sandbox
            .with(|world| world.now.workspaces.remove(&WORKSPACE));
        let run = stage.workdir.refused_plan();
        let error = run.error("The workspace does not exist in this Databricks account");
        assert!(error.code.contains("workspace_id"), "{}", error.code);
    }

    #[test]
    fn a_workspace_that_vanished_does_not_stand_in_the_way_of_a_destroy() {
        let stage = ready();
        stage.workdir.apply();
        stage
            .sandbox
            .with(|world| world.now.workspaces.remove(&WORKSPACE));
        let plan = stage.workdir.plan();
        plan.run.warning("The workspace no longer exists");
        // No key stays attached to what is gone.
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        let (without, _) = text
            .split_once("resource \"dbxcmk_workspace_binding\"")
            .unwrap();
        stage.workdir.write("main.tf", without);
        let shown = stage.workdir.plan().run.shown();
        assert!(!shown.contains("stay attached"), "{shown}");
        stage.workdir.write("main.tf", &text);
        stage.workdir.destroy();
        // Once Terraform has forgotten it, a wrong number and a deleted workspace look alike: the text speaks of both.
        let run = stage.workdir.refused_plan();
        let error = run.error("The workspace does not exist in this Databricks account");
        assert!(
            error
                .detail
                .contains("remove this binding from the configuration"),
            "{}",
            error.detail
        );
    }

    #[test]
    fn destroying_a_binding_forgets_it_and_says_that_the_keys_stay() {
        let stage = ready();
        stage.workdir.apply();
        let id = stage.workspace_field(WORKSPACE, STORAGE_FIELD);
        let run = stage.workdir.run(&[
            "destroy",
            "-json",
            "-auto-approve",
            "-target=dbxcmk_workspace_binding.prod",
        ]);
        assert!(run.success, "{}", run.shown());
        let warning = run.warning("The keys stay attached to the workspace");
        assert!(
            warning.detail.contains(id.as_str().unwrap()),
            "{}",
            warning.detail
        );
        assert_eq!(stage.workspace_field(WORKSPACE, STORAGE_FIELD), id);
        // Binding it again finds everything in place.
        stage.workdir.apply();
        assert_eq!(stage.asked("PATCH").len(), 1);
    }

    #[test]
    fn another_workspace_means_another_binding_and_replaces_no_workspace() {
        let stage = ready();
        stage.workdir.apply();
        let other = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        stage.workdir.write(
            "main.tf",
            &other.but(&WORKSPACE.to_string(), &MANAGED_VPC_WORKSPACE.to_string()),
        );
        assert_eq!(stage.workdir.plan().actions(BINDING), "delete, create");
        stage.workdir.apply();
        stage.workdir.empty_plan();
        assert_eq!(stage.sandbox.with(|world| world.now.workspaces.len()), 2);
    }

    #[test]
    fn a_missing_use_case_is_refused_at_plan() {
        let stage = ready();
        let key = stage.good_key();
        let less = configuration("one", &key)
            .but(", \"STORAGE\"", "")
            .but("    reuse_key_for_cluster_volumes = false\n", "");
        stage.configure(&less);
        stage.workdir.apply();
        stage.configure(&format!("{less}{}", binding("one", "one")));
        stage
            .workdir
            .refused_plan()
            .error("The key configuration is not for workspace storage");
    }

    fn settling(stage: &Stage, time: &str) {
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        stage.workdir.write(
            "main.tf",
            &text.but("settle_time = \"0s\"", &format!("settle_time = \"{time}\"")),
        );
    }

    /// The key that the configuration names.
    fn key_of(stage: &Stage) -> String {
        let text = std::fs::read_to_string(stage.workdir.path().join("main.tf")).unwrap();
        text.split('"')
            .find(|part| part.starts_with("arn:aws:kms:"))
            .unwrap()
            .to_owned()
    }

    trait Alone {
        fn apply_configuration_alone(&self);
    }

    impl Alone for acceptance_tests::harness::Workdir {
        fn apply_configuration_alone(&self) {
            let run = self.run(&[
                "apply",
                "-json",
                "-auto-approve",
                "-target=dbxcmk_key_configuration.one",
            ]);
            assert!(run.success, "{}", run.shown());
        }
    }
}

/// A plan asks for each thing once, however many resources want it.
#[test]
fn a_plan_over_a_thousand_bindings_asks_a_handful_of_questions() {
    let stage = Stage::new(Over::Sandbox);
    let keys = [stage.good_key(), stage.good_key()];
    let ids = [
        "c1000000-0000-4000-8000-000000000001",
        "c1000000-0000-4000-8000-000000000002",
    ];
    stage.sandbox.with(|world| {
        for (id, key) in ids.iter().zip(&keys) {
            let configuration = json!({ "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID,
                "use_cases": ["MANAGED_SERVICES", "STORAGE"],
                "aws_key_info": { "key_arn": key, "key_region": REGION, "reuse_key_for_cluster_volumes": false } });
            world.now.configurations.insert((*id).to_owned(), configuration);
        }
    });
    stage.workspaces(1000);
    stage.configure(&format!(
        "\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = 1000\n  workspace_id = count.index + 1\n  \
         managed_services_key_configuration_id = count.index % 2 == 0 ? \"{}\" : \"{}\"\n  storage_key_configuration_id = \"{}\"\n}}\n",
        ids[0], ids[1], ids[0]
    ));
    let before = stage.sandbox.requests().len();
    let plan = stage.workdir.plan();
    assert_eq!(plan.actions("dbxcmk_workspace_binding.all[999]"), "create");
    let asked: Vec<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .skip(before)
        .map(|record| record.operation)
        .collect();
    let account = asked
        .iter()
        .filter(|operation| operation.contains("/api/2.0/"))
        .count();
    let kms = asked
        .iter()
        .filter(|operation| operation.starts_with("KMS"))
        .count();
    assert!(
        account <= 4 && kms <= 8,
        "{account} account calls and {kms} KMS calls: {asked:?}"
    );
}
