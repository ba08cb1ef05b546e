//! How many resources of a type the configuration on disk has.
//!
//! Terraform shows a provider one resource at a time, in an order that the references allow. A proof that depends on another
//! resource of the same configuration has to know whether that one is still to come; this is where it can be seen. It decides
//! only whether the proof waits, and whether what is wrong with a role may be repaired by the same plan.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// The number of `resource` blocks of a type in the module in which Terraform works and in those that it calls. What cannot be
/// read has none: then nobody is waited for.
pub(super) fn resource_blocks(kind: &str) -> usize {
    blocks_below(Path::new("."), &data_directory(), |own| own == kind)
}

/// Whether a resource of the configuration may change an IAM role: every type but those that certainly cannot. `true` where no
/// resource can be read at all, because the resource that asks is one.
pub(super) fn may_change_roles() -> bool {
    let all = blocks_below(Path::new("."), &data_directory(), |_| true);
    let harmless = blocks_below(Path::new("."), &data_directory(), cannot_change_roles);
    all == 0 || all > harmless
}

fn cannot_change_roles(kind: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "dbxcmk_",
        "databricks_",
        "random_",
        "time_",
        "null_",
        "local_",
        "tls_",
    ];
    const OF_AWS: [&str; 6] = [
        "aws_kms_",
        "aws_s3_",
        "aws_vpc",
        "aws_subnet",
        "aws_security_group",
        "aws_route",
    ];
    let begins = |prefix: &&str| kind.starts_with(*prefix);
    kind == "terraform_data" || OTHERS.iter().any(begins) || OF_AWS.iter().any(begins)
}

fn data_directory() -> PathBuf {
    let data = std::env::var_os("TF_DATA_DIR").filter(|value| !value.is_empty());
    data.map_or_else(|| PathBuf::from(".terraform"), PathBuf::from)
}

fn blocks_below(root: &Path, data: &Path, counts: impl Fn(&str) -> bool + Copy) -> usize {
    let modules = std::fs::read_to_string(root.join(data).join("modules/modules.json"));
    let modules: Option<Json> = modules
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    let called = modules
        .as_ref()
        .and_then(|all| all.get("Modules"))
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter(|module| module.get("Key").is_some_and(|key| key != ""))
        .filter_map(|module| module.get("Dir").and_then(Json::as_str));
    let called: usize = called
        .map(|directory| blocks_in(&root.join(directory), counts))
        .sum();
    blocks_in(root, counts) + called
}

fn blocks_in(directory: &Path, counts: impl Fn(&str) -> bool + Copy) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let blocks = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let read = || std::fs::read_to_string(entry.path()).unwrap_or_default();
        if name.ends_with(".tf") || name.ends_with(".tofu") {
            blocks_of(&read(), counts)
        } else if name.ends_with(".tf.json") || name.ends_with(".tofu.json") {
            blocks_of_json(&read(), counts)
        } else {
            0
        }
    });
    blocks.sum()
}

fn blocks_of(text: &str, counts: impl Fn(&str) -> bool) -> usize {
    let kind = |line: &str| {
        let rest = line.trim_start().strip_prefix("resource")?.trim_start();
        let (kind, _) = rest.strip_prefix('"')?.split_once('"')?;
        counts(kind).then_some(())
    };
    text.lines().filter_map(kind).count()
}

fn blocks_of_json(text: &str, counts: impl Fn(&str) -> bool) -> usize {
    let all: Json = serde_json::from_str(text).unwrap_or_default();
    let kinds = all.get("resource").and_then(Json::as_object);
    kinds
        .into_iter()
        .flatten()
        .filter(|(kind, _)| counts(kind))
        .filter_map(|(_, blocks)| blocks.as_object())
        .map(serde_json::Map::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_the_root_and_of_every_call_are_counted() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("keys"))?;
        std::fs::create_dir_all(at(".terraform/modules"))?;
        let policy = "resource \"dbxcmk_key_policy\" \"x\" {\n}\n";
        std::fs::write(
            at("main.tf"),
            format!("# {policy}{policy}  resource  \"dbxcmk_key_policy\" \"y\" {{}}\n"),
        )?;
        std::fs::write(
            at("more.tf.json"),
            r#"{"resource": {"dbxcmk_key_policy": {"z": {}}}}"#,
        )?;
        std::fs::write(at("keys/main.tf"), policy)?;
        std::fs::write(
            at(".terraform/modules/modules.json"),
            r#"{"Modules": [{"Key": "", "Dir": "."}, {"Key": "a", "Dir": "keys"}, {"Key": "b", "Dir": "keys"}, {"Key": "c", "Dir": "gone"}]}"#,
        )?;
        let count =
            |kind: &str| blocks_below(root.path(), Path::new(".terraform"), |own| own == kind);
        assert_eq!(count("dbxcmk_key_policy"), 3 + 2);
        assert_eq!(count("dbxcmk_workspace_binding"), 0);
        Ok(())
    }

    #[test]
    fn what_may_change_a_role() {
        for (kind, cannot) in [
            ("dbxcmk_key_policy", true),
            ("databricks_mws_workspaces", true),
            ("aws_kms_key", true),
            ("terraform_data", true),
            ("aws_iam_role", false),
            ("aws_iam_role_policy_attachment", false),
            ("aws_cloudformation_stack", false),
            ("awscc_iam_role", false),
            ("something_else", false),
        ] {
            assert_eq!(cannot_change_roles(kind), cannot, "{kind}");
        }
    }
}
