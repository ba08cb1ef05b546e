//! `terraform validate`: no network, no credentials, and still every typing error is found.

use acceptance_tests::harness::Workdir;

use acceptance_tests::stage::HEAD;

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ID: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

fn good() -> String {
    format!(
        r#"{HEAD}
resource "dbxcmk_key_policy" "x" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn                = "{KEY}"
    cross_account_role_arn = "arn:aws:iam::123456789012:role/databricks"
    cluster_volumes        = true
  }}
  timeouts = {{
    create = "5m"
  }}
}}

resource "dbxcmk_key_configuration" "x" {{
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  aws = {{
    key_arn   = "{KEY}"
    key_alias = "alias/lakehouse"
  }}
}}

resource "dbxcmk_workspace_binding" "x" {{
  workspace_id                 = "1234567890123456"
  storage_key_configuration_id = "{ID}"
  settle_time                  = "20m"
}}
"#
    )
}

#[test]
fn a_good_configuration_is_valid_without_credentials_or_network() {
    let workdir = Workdir::without_services();
    workdir.configuration(&good());
    workdir.validate();
}

/// Each row: what replaces what, the headline, words of the text, and the line that it points at.
#[test]
fn every_typing_error_is_found_with_its_line() {
    let compound = format!("{ID}/{ID}");
    let rows = [
        (
            KEY,
            "arn:aws:s3:::bucket",
            "Invalid key ARN",
            "belongs to the service `s3`",
            "",
        ),
        (
            "\"alias/lakehouse\"",
            "\"lakehouse\"",
            "Invalid key alias",
            "begins with `alias/`",
            "",
        ),
        (
            ID,
            "123",
            "Invalid key configuration ID",
            "it is a UUID",
            "storage_key_configuration_id",
        ),
        (
            ID,
            compound.as_str(),
            "Invalid key configuration ID",
            "Use the part behind the slash",
            "storage_key_configuration_id",
        ),
        (
            "1234567890123456",
            "prod",
            "Invalid workspace ID",
            "it is a number",
            "workspace_id",
        ),
        (
            "role/databricks",
            "user/databricks",
            "Invalid role ARN",
            "it reads `arn:aws:iam",
            "",
        ),
        (
            "\"20m\"",
            "\"20 minutes\"",
            "Invalid duration",
            "write for example",
            "settle_time",
        ),
        (
            "\"5m\"",
            "\"5\"",
            "Invalid duration",
            "write for example",
            "",
        ),
        (
            "\"MANAGED_SERVICES\", \"STORAGE\"]\n  aws = {\n    key_arn   ",
            "]\n  aws = {\n    key_arn   ",
            "No use case",
            "at least one",
            "use_cases",
        ),
        (
            "[\"MANAGED_SERVICES\", \"STORAGE\"]",
            "[\"NOTEBOOKS\"]",
            "Invalid use case",
            "write `MANAGED_SERVICES`",
            "use_cases",
        ),
        (
            "    cross_account_role_arn = \"arn:aws:iam::123456789012:role/databricks\"\n",
            "",
            "Cluster volumes need the cross-account role",
            "databricks_mws_credentials",
            "",
        ),
        (
            "role_arn = \"arn:aws:iam::",
            "role_arn = \"arn:aws-us-gov:iam::",
            "The role is in another AWS partition than the key",
            "aws-us-gov",
            "",
        ),
        (
            "  storage_key_configuration_id = \"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11\"\n",
            "",
            "The binding has no key configuration",
            "storage_key_configuration_id",
            "",
        ),
        (
            "provider \"dbxcmk\" {}",
            "provider \"dbxcmk\" {\n  host = \"https://dbc-1.cloud.databricks.com\"\n}",
            "Invalid account host",
            "workspace",
            "host",
        ),
        (
            "provider \"dbxcmk\" {}",
            "provider \"dbxcmk\" {\n  preflight = \"maybe\"\n}",
            "Invalid value for preflight",
            "enforce, warn",
            "preflight",
        ),
        (
            "provider \"dbxcmk\" {}",
            "provider \"dbxcmk\" {\n  http = {\n    requests_per_second = 0\n  }\n}",
            "Invalid number of requests",
            "from 1 to 1000",
            "http",
        ),
    ];
    let workdir = Workdir::without_services();
    for (from, to, summary, words, line) in rows {
        let wrong = good().replacen(
            from,
            to,
            usize::from(from != KEY && from != "[\"MANAGED_SERVICES\", \"STORAGE\"]") * 9 + 1,
        );
        assert_ne!(wrong, good(), "{from} does not occur");
        workdir.configuration(&wrong);
        let run = workdir.validated();
        let error = run.error(summary);
        assert!(
            error.detail.contains(words),
            "{words} is missing in:\n{}",
            error.detail
        );
        assert!(
            error.code.contains(line),
            "{summary} points at {:?}",
            error.code
        );
    }
}
