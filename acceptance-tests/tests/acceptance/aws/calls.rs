//! How many calls an apply makes. Calls are counted, never timed: what is read once serves every resource of the run.

use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::faults::{Effect, Fault};
use serde_json::json;

/// The requests of one `apply`, which plans in one process and applies in another, and how many full minutes it took: on a busy
/// machine, what may be a minute old for an apply is read again.
fn asked_within(stage: &Stage) -> (Vec<String>, usize) {
    stage.sandbox.with(|world| world.record.clear());
    let begun = std::time::Instant::now();
    stage.workdir.apply();
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    let requests = stage.sandbox.requests();
    (
        requests.into_iter().map(|one| one.operation).collect(),
        minutes,
    )
}

fn asked(stage: &Stage) -> Vec<String> {
    asked_within(stage).0
}

fn many(asked: &[String], fits: impl Fn(&str) -> bool) -> usize {
    asked.iter().filter(|one| fits(one)).count()
}

fn is_account(operation: &str) -> bool {
    operation.contains("/api/2.0/")
}

/// The provider reads a key twice at plan and twice at apply: its description, and its policy. Nothing else of it could change
/// the findings here.
fn two_reads_of_the_key(asked: &[String], minutes: usize) {
    let operations = ["KMS DescribeKey", "KMS GetKeyPolicy"];
    for operation in operations {
        let reads = many(asked, |one| one == operation);
        // One at plan, one at apply, and one more in each minute after the first.
        assert!(
            (2..=2 + minutes).contains(&reads),
            "{operation}: {reads} in {minutes} minutes"
        );
    }
    let other = |one: &str| one.starts_with("KMS ") && !operations.contains(&one);
    assert_eq!(many(asked, other), 0, "{asked:#?}");
}

/// The list that finds twins is one a run, the answer of a create is the object, and a key is read once for all of them.
#[test]
fn a_hundred_configurations_are_a_hundred_creates() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"all\" {{\n  count = 100\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \
         \"{key}\"\n    key_alias = \"alias/lakehouse-${{count.index}}\"\n  }}\n}}\n"
    ));
    let (asked, minutes) = asked_within(&stage);
    assert_eq!(stage.configurations().len(), 100);
    let creates = |operation: &str| operation.starts_with("POST") && is_account(operation);
    assert_eq!(many(&asked, creates), 100);
    let others: Vec<&String> = asked
        .iter()
        .filter(|one| is_account(one) && !creates(one))
        .collect();
    // Plan and apply each list the configurations.
    assert!(others.len() <= 2, "{others:#?}");
    two_reads_of_the_key(&asked, minutes);
}

/// A thousand bindings of workspaces that have their keys already: lists, and nothing for any one of them.
#[test]
fn a_thousand_bindings_are_adopted_by_a_few_lists() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let id = "c1000000-0000-4000-8000-000000000001";
    stage.workspaces(1000);
    stage.sandbox.with(|world| {
        let configuration = json!({ "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID,
            "use_cases": ["MANAGED_SERVICES", "STORAGE"], "aws_key_info": { "key_arn": key, "key_region": dbxcmk_sandbox::REGION } });
        world.now.configurations.insert(id.to_owned(), configuration);
        for number in 1..=1000 {
            let fields = &mut world.workspace(number).fields;
            fields.insert(
                "managed_services_customer_managed_key_id".to_owned(),
                json!(id),
            );
        }
    });
    stage.configure(&format!(
        "\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = 1000\n  workspace_id = count.index + 1\n  \
         managed_services_key_configuration_id = \"{id}\"\n}}\n"
    ));
    let (asked, minutes) = asked_within(&stage);
    assert_eq!(
        many(&asked, |one| one.starts_with("PATCH")),
        0,
        "nothing is sent"
    );
    let of_one =
        |one: &str| one.contains("/workspaces/") || one.contains("/customer-managed-keys/");
    assert_eq!(many(&asked, of_one), 0, "no workspace is read on its own");
    two_reads_of_the_key(&asked, minutes);
    let account = many(&asked, is_account);
    // Plan: workspaces, configurations and credentials. Apply: the same, and lists for a minute, until the key has stayed.
    assert!(
        account <= 20 * (1 + minutes),
        "{account} in {minutes} minutes"
    );
    assert_eq!(stage.workdir.addresses().len(), 1000);
}

/// A binding that attaches makes at most three calls of its own; all bindings share the lists in which they wait.
#[test]
fn bindings_that_attach_share_what_they_wait_for() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.workspaces(10);
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  \
         }}\n}}\n\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = 10\n  workspace_id = count.index + 1\n  \
         managed_services_key_configuration_id = dbxcmk_key_configuration.x.id\n  settle_time = \"0s\"\n}}\n"
    ));
    let (asked, minutes) = asked_within(&stage);
    assert_eq!(many(&asked, |one| one.starts_with("PATCH")), 10);
    for number in 1..=10 {
        let own = many(&asked, |one| {
            is_account(one)
                && one
                    .split(['?', ' '])
                    .any(|part| part.ends_with(&format!("/workspaces/{number}")))
        });
        assert!(
            (1..=3).contains(&own),
            "workspace {number}: {own} in {asked:#?}"
        );
    }
    let configurations = many(&asked, |one| one.contains("/customer-managed-keys/"));
    assert_eq!(configurations, 0, "the answer of the create is the object");
    let lists = many(&asked, |one| {
        one.starts_with("GET") && one.ends_with("/workspaces")
    });
    // Ten bindings that waited each for itself would be thirty and more.
    assert!(
        (3..=25 * (1 + minutes)).contains(&lists),
        "{lists} in {minutes} minutes"
    );
}

/// An answer to a create that is only a part of the object: the object is read.
#[test]
fn a_part_of_an_answer_is_completed() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let fields = vec!["customer_managed_key_id".to_owned()];
    stage.sandbox.inject(Fault::new(
        "POST /customer-managed-keys",
        Effect::Part { fields },
    ));
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    let asked = asked(&stage);
    let one = |one: &str| one.starts_with("GET") && one.contains("/customer-managed-keys/");
    assert_eq!(many(&asked, one), 1);
    let state = stage.workdir.state("dbxcmk_key_configuration.x");
    assert!(state["creation_time"].is_string(), "{state}");
    stage.workdir.empty_plan();
}
