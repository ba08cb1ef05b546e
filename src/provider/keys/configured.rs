//! How many resources of a type the configuration on disk has.
//!
//! Terraform shows a provider one resource at a time, in an order that the references allow. A proof that depends on another
//! resource of the same configuration has to know whether that one is still to come; this is where it can be seen. It decides
//! only whether the proof waits, and whether what is wrong with a role may be repaired by the same plan.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// The `resource` blocks of a type: those with one instance, and those whose number of instances is not known. What cannot be read has none: then
/// nobody is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// With one instance.
    pub(super) once: usize,
    /// With `count` or `for_each`, in the block or, as far as shows, in the call of its module.
    pub(super) repeated: usize,
}

/// The `resource` blocks of a type in the module in which Terraform works and in those that it calls.
pub(super) fn blocks(kind: &str) -> Blocks {
    counted_below(Path::new("."), &data_directory(), kind)
}

fn counted_below(root: &Path, data: &Path, kind: &str) -> Blocks {
    let all = blocks_below(root, data, |own| own == kind);
    let own = blocks_in(root, |own| own == kind);
    let mut directories = vec![root.to_owned()];
    directories.extend(called(root, data));
    let texts: Vec<(bool, String)> = directories
        .iter()
        .enumerate()
        .flat_map(|(place, directory)| texts_in(directory).map(move |text| (place == 0, text)))
        .collect();
    let mut texts_of_calls = texts.iter().map(|(_, text)| text);
    let is_repeated_call = texts_of_calls.any(|text| repeated_in(text, "module", None) > 0);
    let repeated = texts
        .iter()
        .filter(|(is_root, _)| *is_root || !is_repeated_call)
        .map(|(_, text)| repeated_in(text, "resource", Some(kind)))
        .sum::<usize>();
    let in_calls = match is_repeated_call {
        true => all.saturating_sub(own),
        false => 0,
    };
    let repeated = (repeated + in_calls).min(all);
    Blocks {
        once: all - repeated,
        repeated,
    }
}

/// How many blocks of a text, with this word and type, have `count` or `for_each`. In JSON, a block says so with the same words, and there
/// it counts for the whole file.
fn repeated_in(text: &str, word: &str, kind: Option<&str>) -> usize {
    if text.trim_start().starts_with('{') {
        let is_repeated = text.contains("\"count\"") || text.contains("\"for_each\"");
        let has = match kind {
            Some(kind) => blocks_of_json(text, |own| own == kind),
            None => usize::from(text.contains("\"module\"")),
        };
        return if is_repeated { has } else { 0 };
    }
    let (mut found, mut is_inside) = (0, false);
    for line in text.lines().map(str::trim_start) {
        let begins = |word: &str| {
            let rest = line.strip_prefix(word)?.trim_start();
            rest.starts_with('"').then_some(rest)
        };
        if let Some(rest) = begins(word) {
            let own = rest.trim_start_matches('"').split('"').next();
            is_inside = kind.is_none_or(|kind| own == Some(kind));
        } else if [
            "resource", "module", "data", "variable", "output", "provider",
        ]
        .into_iter()
        .any(|other| begins(other).is_some())
        {
            is_inside = false;
        }
        let is_repeated = ["count", "for_each"].into_iter().any(|name| {
            let rest = line.strip_prefix(name).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with('='))
        });
        if is_inside && is_repeated {
            found += 1;
            is_inside = false;
        }
    }
    found
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
    doors::environment::path("TF_DATA_DIR").unwrap_or_else(|| PathBuf::from(".terraform"))
}

fn blocks_below(root: &Path, data: &Path, counts: impl Fn(&str) -> bool + Copy) -> usize {
    let called = called(root, data);
    let called: usize = called.iter().map(|one| blocks_in(one, counts)).sum();
    blocks_in(root, counts) + called
}

/// The directories of the modules that are called, one for each call.
fn called(root: &Path, data: &Path) -> Vec<PathBuf> {
    let modules = doors::files::read_to_string(root.join(data).join("modules/modules.json"));
    let modules: Option<Json> = modules
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    modules
        .as_ref()
        .and_then(|all| all.get("Modules"))
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter(|module| module.get("Key").is_some_and(|key| key != ""))
        .filter_map(|module| module.get("Dir").and_then(Json::as_str))
        .map(|directory| root.join(directory))
        .collect()
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().map(std::ffi::OsStr::to_string_lossy);
    name.unwrap_or_default().into_owned()
}

/// The texts of a directory that Terraform reads.
fn texts_in(directory: &Path) -> impl Iterator<Item = String> {
    const ENDS: [&str; 4] = [".tf", ".tofu", ".tf.json", ".tofu.json"];
    let files = doors::files::list(directory).unwrap_or_default();
    files.into_iter().filter_map(|file| {
        let name = name_of(&file);
        let is_read = ENDS.into_iter().any(|end| name.ends_with(end));
        is_read.then(|| doors::files::read_to_string(&file).unwrap_or_default())
    })
}

fn blocks_in(directory: &Path, counts: impl Fn(&str) -> bool + Copy) -> usize {
    let files = doors::files::list(directory).unwrap_or_default();
    let blocks = files.iter().map(|file| {
        let name = name_of(file);
        let read = || doors::files::read_to_string(file).unwrap_or_default();
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
#[allow(clippy::disallowed_methods, reason = "the tests write real files")]
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

    /// Each row: a configuration, and how many key policies have one instance, and how many blocks any number of them.
    #[test]
    fn blocks_with_any_number_of_instances_are_told_apart() -> std::io::Result<()> {
        let policy = |more: &str| {
            format!("resource \"dbxcmk_key_policy\" \"x\" {{\n  {more}\n  aws = {{\n  }}\n}}\n")
        };
        let rows = [
            (policy(""), (1, 0)),
            (policy("count = 0"), (0, 1)),
            (policy("for_each   = local.keys"), (0, 1)),
            (policy("counted = 1"), (1, 0)),
            (format!("{}{}", policy(""), policy("count=2")), (1, 1)),
            (
                format!("{}resource \"x\" \"y\" {{\n  count = 2\n}}\n", policy("")),
                (1, 0),
            ),
            (
                r#"{"resource": {"dbxcmk_key_policy": {"z": {"count": 1}}}}"#.to_owned(),
                (0, 1),
            ),
        ];
        for (text, (once, repeated)) in rows {
            let root = tempfile::tempdir()?;
            let is_json = text.starts_with('{');
            let name = if is_json { "main.tf.json" } else { "main.tf" };
            std::fs::write(root.path().join(name), &text)?;
            let found = counted_below(root.path(), Path::new(".terraform"), "dbxcmk_key_policy");
            assert_eq!(found, Blocks { once, repeated }, "{text}");
        }
        let root = tempfile::tempdir()?;
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("keys"))?;
        std::fs::create_dir_all(at(".terraform/modules"))?;
        std::fs::write(
            at("main.tf"),
            format!("module \"a\" {{\n  for_each = x\n}}\n{}", policy("")),
        )?;
        std::fs::write(at("keys/main.tf"), policy("count = 1"))?;
        std::fs::write(
            at(".terraform/modules/modules.json"),
            r#"{"Modules": [{"Key": "", "Dir": "."}, {"Key": "a", "Dir": "keys"}]}"#,
        )?;
        let found = counted_below(root.path(), Path::new(".terraform"), "dbxcmk_key_policy");
        assert_eq!(
            found,
            Blocks {
                once: 1,
                repeated: 1
            }
        );
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
