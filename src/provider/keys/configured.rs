//! How many resources of a type the configuration on disk has.
//!
//! Terraform shows a provider one resource at a time, in an order that the references allow. A proof that depends on another
//! resource of the same configuration has to know whether that one is still to come; this is where it can be seen. It decides
//! only whether the proof waits, never what it says.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// The number of `resource` blocks of a type in the module in which Terraform works and in those that it calls. What cannot be
/// read has none: then nobody is waited for.
pub(super) fn resource_blocks(kind: &str) -> usize {
    let data = std::env::var_os("TF_DATA_DIR").filter(|value| !value.is_empty());
    let data = data.map_or_else(|| PathBuf::from(".terraform"), PathBuf::from);
    blocks_below(Path::new("."), &data, kind)
}

fn blocks_below(root: &Path, data: &Path, kind: &str) -> usize {
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
        .map(|directory| blocks_in(&root.join(directory), kind))
        .sum();
    blocks_in(root, kind) + called
}

fn blocks_in(directory: &Path, kind: &str) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let blocks = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let read = || std::fs::read_to_string(entry.path()).unwrap_or_default();
        if name.ends_with(".tf") || name.ends_with(".tofu") {
            blocks_of(&read(), kind)
        } else if name.ends_with(".tf.json") || name.ends_with(".tofu.json") {
            blocks_of_json(&read(), kind)
        } else {
            0
        }
    });
    blocks.sum()
}

fn blocks_of(text: &str, kind: &str) -> usize {
    let is_block = |line: &&str| {
        line.trim_start()
            .strip_prefix("resource")
            .is_some_and(|rest| rest.trim_start().starts_with(&format!("\"{kind}\"")))
    };
    text.lines().filter(is_block).count()
}

fn blocks_of_json(text: &str, kind: &str) -> usize {
    let all: Json = serde_json::from_str(text).unwrap_or_default();
    all.pointer(&format!("/resource/{kind}"))
        .and_then(Json::as_object)
        .map_or(0, serde_json::Map::len)
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
        let count = |kind| blocks_below(root.path(), Path::new(".terraform"), kind);
        assert_eq!(count("dbxcmk_key_policy"), 3 + 2);
        assert_eq!(count("dbxcmk_workspace_binding"), 0);
        Ok(())
    }
}
