//! Keys that Databricks could not use: refused at plan, with what to do.

use serde_json::{Value as Json, json};

use acceptance_tests::hcl::Hcl as _;
use acceptance_tests::stage::{MANAGED_SERVICES, Over, STORAGE, Stage, over_both, policy};

over_both! {
    a_policy_that_lacks_one_action,
    a_policy_for_another_databricks_account,
    an_explicit_deny,
    a_deny_that_depends_on_what_nobody_knows,
    a_disabled_key,
    a_key_that_is_pending_deletion,
    an_asymmetric_key,
    a_key_that_does_not_exist,
    a_policy_that_the_same_configuration_fixes,
    findings_only_warn_when_asked_to,
    advice_can_be_ignored_and_errors_cannot,
}

fn configuration(key: &str) -> String {
    format!(
        r#"
resource "dbxcmk_key_configuration" "lakehouse" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                       = "{key}"
    reuse_key_for_cluster_volumes = false
  }}
}}
"#
    )
}

fn a_policy_that_lacks_one_action(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    stage.kms.put_policy(
        &key,
        &policy(
            &key,
            &[
                MANAGED_SERVICES,
                &STORAGE.but("\"kms:ReEncrypt*\", ", "\"kms:ReEncryptFrom\", "),
            ],
        ),
    );
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("The key policy does not let Databricks use the key for workspace storage");
    assert_eq!(run.errors(), 1);
    for words in [
        "kms:ReEncryptTo",
        "arn:aws:iam::414351767826:root",
        &key,
        "\"kms:ReEncrypt*\"",
        "[policy-missing-action]",
    ] {
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
    }
    assert!(
        !error.detail.contains("- kms:ReEncryptFrom,"),
        "only what is missing is named:\n{}",
        error.detail
    );
    assert!(
        error.code.contains("dbxcmk_key_configuration") || error.code.contains("key_arn"),
        "{}",
        error.code
    );
    assert_eq!(stage.configurations(), Vec::<Json>::new());

    // The statement that it shows is the one that helps.
    let start = error.detail.find("{\n").expect("a statement to paste");
    let end = error.detail.rfind("\n}").expect("its end") + 2;
    let statement = &error.detail[start..end];
    stage
        .kms
        .put_policy(&key, &policy(&key, &[MANAGED_SERVICES, statement]));
    stage.workdir.apply();
    stage.workdir.empty_plan();
}

fn a_policy_for_another_databricks_account(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    let other = "11111111-2222-4333-8444-555555555555";
    let wrong = policy(&key, &[MANAGED_SERVICES, STORAGE]).but(dbxcmk_sandbox::ACCOUNT_ID, other);
    stage.kms.put_policy(&key, &wrong);
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("The key policy does not let Databricks use the key for managed services");
    assert!(
        error
            .detail
            .contains(&format!("only for the Databricks account {other}")),
        "{}",
        error.detail
    );
}

fn an_explicit_deny(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    let deny = r#"{"Sid": "Nobody from outside", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
      "Condition": {"StringNotEquals": {"kms:CallerAccount": "123456789012"}}}"#;
    stage
        .kms
        .put_policy(&key, &policy(&key, &[MANAGED_SERVICES, STORAGE, deny]));
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("The key policy denies Databricks the use of the key for managed services");
    for words in [
        "\"Nobody from outside\"",
        "kms:Decrypt",
        "StringNotEquals",
        "[policy-explicit-deny]",
    ] {
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
    }
}

fn a_deny_that_depends_on_what_nobody_knows(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    let deny = r#"{"Sid": "Only from the office", "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
      "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:PrincipalIsAWSService": "false"}}}"#;
    stage
        .kms
        .put_policy(&key, &policy(&key, &[MANAGED_SERVICES, STORAGE, deny]));
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("It cannot be proven that Databricks may use the key for managed services");
    for words in [
        "aws:SourceIp",
        "\"Only from the office\"",
        "[policy-undetermined]",
    ] {
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
    }
}

fn a_disabled_key(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&configuration(&key));
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    let run = stage.workdir.refused_plan();
    assert!(
        run.error("The key is disabled")
            .detail
            .contains("aws kms enable-key"),
        "{}",
        run.shown()
    );
    stage.kms.call("EnableKey", &json!({ "KeyId": key }));
    stage.workdir.apply();
    // Later it is news, and no reason to stop a plan that changes nothing.
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    assert_eq!(
        stage.workdir.empty_plan().warnings(),
        ["The key is disabled"]
    );
}

fn a_key_that_is_pending_deletion(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&configuration(&key));
    stage.kms.call(
        "ScheduleKeyDeletion",
        &json!({ "KeyId": key, "PendingWindowInDays": 7 }),
    );
    let run = stage.workdir.refused_plan();
    let error = run.error("The key is scheduled for deletion");
    for words in [
        "will be deleted on 20",
        "aws kms cancel-key-deletion",
        "aws kms enable-key",
    ] {
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
    }
}

fn an_asymmetric_key(over: Over) {
    let stage = Stage::new(over);
    let key = stage
        .kms
        .create_key(&json!({ "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY" }));
    stage
        .kms
        .put_policy(&key, &policy(&key, &[MANAGED_SERVICES, STORAGE]));
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    assert!(
        run.error("The key is not symmetric")
            .detail
            .contains("RSA_2048")
    );
    assert!(
        run.error("The key is not for encryption")
            .detail
            .contains("SIGN_VERIFY")
    );
}

fn a_key_that_does_not_exist(over: Over) {
    let stage = Stage::new(over);
    let real = stage.good_key();
    let account = real.split(':').nth(4).unwrap();
    let key =
        format!("arn:aws:kms:eu-central-1:{account}:key/00000000-0000-4000-8000-000000000000");
    stage.configure(&configuration(&key));
    let run = stage.workdir.refused_plan();
    assert!(
        run.error("The key does not exist").detail.contains(&key),
        "{}",
        run.shown()
    );
    assert_eq!(run.errors(), 1, "{}", run.shown());
    assert_eq!(
        stage.configurations(),
        Vec::<Json>::new(),
        "nothing is made for a key that could not be proven"
    );
}

fn a_policy_that_the_same_configuration_fixes(over: Over) {
    let stage = Stage::new(over);
    let key = stage.kms.create_key(&json!({}));
    // Alone, the configuration is refused; with the policy in the same configuration, it is judged by what will be there.
    stage.configure(&configuration(&key));
    stage.workdir.refused_plan();
    let own = format!(
        "\nresource \"dbxcmk_key_policy\" \"lakehouse\" {{\n  use_cases = [\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {{\n    key_arn = \
         \"{key}\"\n  }}\n}}\n"
    );
    let referring = configuration("KEY").but("\"KEY\"", "dbxcmk_key_policy.lakehouse.aws.key_arn");
    stage.configure(&format!("{own}{referring}"));
    stage.workdir.plan();
    let depending = configuration(&key).replacen(
        "{\n  use_cases",
        "{\n  depends_on = [dbxcmk_key_policy.lakehouse]\n  use_cases",
        1,
    );
    stage.configure(&format!("{own}{depending}"));
    stage.workdir.plan();
    // And when the planned policy does not do either, the diagnostic says which policy it speaks of.
    let less = own.but(", \"STORAGE\"", "");
    stage.configure(&format!("{less}{depending}"));
    let run = stage.workdir.refused_plan();
    let error =
        run.error("The key policy does not let Databricks use the key for workspace storage");
    assert!(
        error
            .detail
            .contains("the planned policy (dbxcmk_key_policy in this configuration)"),
        "{}",
        error.detail
    );
}

fn findings_only_warn_when_asked_to(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.kms.call("DisableKey", &json!({ "KeyId": key }));
    let head = acceptance_tests::stage::HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  preflight = \"warn\"\n}",
    );
    stage
        .workdir
        .configuration(&format!("{head}{}", configuration(&key)));
    let run = stage.workdir.apply();
    assert!(
        run.warning("The key is disabled")
            .detail
            .contains("preflight = \"warn\"")
    );
    assert_eq!(stage.configurations().len(), 1);
}

fn advice_can_be_ignored_and_errors_cannot(over: Over) {
    let stage = Stage::new(over);
    let key = stage.good_key();
    stage.configure(&configuration(&key));
    let plan = stage.workdir.plan();
    assert_eq!(
        plan.run.warnings(),
        ["The key is not rotated automatically"]
    );
    let ignoring = |id: &str| {
        configuration(&key).replacen("{\n", &format!("{{\n  ignore_findings = [\"{id}\"]\n"), 1)
    };
    stage.configure(&ignoring("kms-key-no-rotation"));
    assert_eq!(stage.workdir.plan().run.warnings(), Vec::<&str>::new());
    let head = acceptance_tests::stage::HEAD.but(
        "provider \"dbxcmk\" {}",
        "provider \"dbxcmk\" {\n  ignore_findings = [\"kms-key-no-rotation\"]\n}",
    );
    stage
        .workdir
        .configuration(&format!("{head}{}", configuration(&key)));
    assert_eq!(stage.workdir.plan().run.warnings(), Vec::<&str>::new());
    for (id, words) in [
        ("kms-key-disabled", "Fix the cause"),
        ("kms-key-nice", "is not the ID of a finding"),
    ] {
        stage.configure(&ignoring(id));
        let run = stage.workdir.validated();
        assert!(
            run.error("Not a finding that can be ignored")
                .detail
                .contains(words),
            "{}",
            run.shown()
        );
    }
}
