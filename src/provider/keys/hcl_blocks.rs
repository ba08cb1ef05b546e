//! How many resources of a type the configuration on disk has.
//!
//! Terraform shows a provider one resource at a time, in an order that the references allow. A proof that depends on another
//! resource of the same configuration must know whether that one is still to come, and the files on disk show it. They decide
//! only whether the proof waits, and whether the same plan may repair what is wrong with a role.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hcl_edit::structure::Body;
use serde_json::Value as Json;

/// The `resource` blocks of a type: those with one instance, and those whose number of instances the provider does not know. A file that it
/// cannot read has none: then a proof waits for no policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Blocks with one instance.
    pub(super) once: usize,
    /// Blocks with `count` or `for_each`, in the block or in a call of its module.
    pub(super) repeated: usize,
}

/// The `resource` blocks of a type in the module in which Terraform works and in those that it calls.
pub(super) fn blocks(kind: &str) -> Blocks {
    counted_below(Path::new("."), &data_directory(), kind)
}

fn counted_below(root: &Path, data: &Path, kind: &str) -> Blocks {
    let mut blocks = Blocks::default();
    for (own, is_repeated) in resources_below(root, data) {
        match (own == kind, is_repeated) {
            (false, _) => {}
            (true, false) => blocks.once += 1,
            (true, true) => blocks.repeated += 1,
        }
    }
    blocks
}

/// Whether a resource of the configuration may change an IAM role: every type but those that certainly cannot. `true` where no
/// resource can be read at all, because the resource that asks is one.
pub(super) fn may_change_roles() -> bool {
    let all = resources_below(Path::new("."), &data_directory());
    all.is_empty() || !all.iter().all(|(kind, _)| cannot_change_roles(kind))
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

/// A block, by its type or name, and whether it has `count` or `for_each`.
type Declared = (String, bool);

/// What a module declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Declarations {
    /// The type of each resource.
    resources: Vec<Declared>,
    /// The name of each module that it calls.
    calls: Vec<Declared>,
}

impl Declarations {
    fn add(&mut self, word: &str, label: &str, is_repeated: bool) {
        match word {
            "resource" => self.resources.push((label.to_owned(), is_repeated)),
            "module" => self.calls.push((label.to_owned(), is_repeated)),
            _ => {}
        }
    }

    fn repeats(&self, call: &str) -> bool {
        self.calls
            .iter()
            .any(|(name, is_repeated)| name == call && *is_repeated)
    }
}

/// The type of each `resource` block of the root and of each call of a module, and whether it may have any number of instances.
fn resources_below(root: &Path, data: &Path) -> Vec<Declared> {
    let mut modules = BTreeMap::from([(String::new(), declarations_in(root))]);
    for (key, directory) in called(root, data) {
        modules.insert(key, declarations_in(&directory));
    }
    let mut all = Vec::new();
    for (key, own) in &modules {
        let is_repeated_call = is_repeated(&modules, key);
        let own = own.resources.iter();
        all.extend(own.map(|(kind, is_repeated)| (kind.clone(), *is_repeated || is_repeated_call)));
    }
    all
}

/// Whether a module, by its key (`keys.inner`), or one that calls it, is called with `count` or `for_each`.
fn is_repeated(modules: &BTreeMap<String, Declarations>, key: &str) -> bool {
    let mut caller = String::new();
    key.split('.').filter(|name| !name.is_empty()).any(|name| {
        let is_it = modules.get(&caller).is_some_and(|own| own.repeats(name));
        if !caller.is_empty() {
            caller.push('.');
        }
        caller.push_str(name);
        is_it
    })
}

/// The key and the directory of each module that is called, one for each call.
fn called(root: &Path, data: &Path) -> Vec<(String, PathBuf)> {
    let modules = doors::files::read_to_string(root.join(data).join("modules/modules.json"));
    let modules: Option<Json> = modules
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    let all = modules.as_ref().and_then(|all| all.get("Modules"));
    let call = |module: &Json| {
        let text = |name: &str| module.get(name).and_then(Json::as_str);
        let key = text("Key").filter(|key| !key.is_empty())?;
        Some((key.to_owned(), root.join(text("Dir")?)))
    };
    let all = all.and_then(Json::as_array).into_iter().flatten();
    all.filter_map(call).collect()
}

/// What the files of a directory declare that Terraform reads.
fn declarations_in(directory: &Path) -> Declarations {
    let files = doors::files::list(directory).unwrap_or_default();
    let name_of = |file: &Path| {
        let name = file.file_name().map(std::ffi::OsStr::to_string_lossy);
        name.unwrap_or_default().into_owned()
    };
    let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
    let mut found = Declarations::default();
    for (file, name) in files.iter().zip(&names) {
        let Some(is_json) = is_json(name).filter(|_| counts(name, &names)) else {
            continue;
        };
        let text = doors::files::read_to_string(file).unwrap_or_default();
        let text = text.trim_start_matches('\u{feff}');
        match is_json {
            true => add_json(text, &mut found),
            false => add_hcl(text, &mut found),
        }
    }
    found
}

/// Whether a file of the configuration is JSON; `None` for a file that does not belong to it. Source: Terraform, "Files and directories":
/// Terraform does not read what an editor leaves behind.
fn is_json(name: &str) -> Option<bool> {
    let ends = |all: [&str; 2]| all.into_iter().any(|end| name.ends_with(end));
    let is_left_behind = name.starts_with('.') || name.starts_with('#');
    match (
        is_left_behind,
        ends([".tf", ".tofu"]),
        ends([".tf.json", ".tofu.json"]),
    ) {
        (false, true, _) => Some(false),
        (false, _, true) => Some(true),
        _ => None,
    }
}

/// Whether the blocks of a file count: an override file changes the blocks of other files, and OpenTofu reads `x.tofu` instead of
/// `x.tf`. Sources: Terraform, "Override files"; OpenTofu, "Files and directories".
fn counts(name: &str, names: &[String]) -> bool {
    let plain = name.trim_end_matches(".json");
    let stem = plain.trim_end_matches(".tofu").trim_end_matches(".tf");
    let is_override = stem == "override" || stem.ends_with("_override");
    let twin = name.replace(".tofu", ".tf");
    !is_override && (twin == name || !names.contains(&twin))
}

fn add_hcl(text: &str, found: &mut Declarations) {
    let Ok(body) = hcl_edit::parser::parse_body(text) else {
        // Terraform may read a file that this parser does not.
        return add_lines(text, found);
    };
    for block in body.blocks() {
        let label = block.labels.first().map(|label| label.as_str());
        let has = |body: &Body, name: &str| body.get_attribute(name).is_some();
        let is_repeated = has(&block.body, "count") || has(&block.body, "for_each");
        found.add(block.ident.as_str(), label.unwrap_or_default(), is_repeated);
    }
}

/// The same by the beginnings of lines.
fn add_lines(text: &str, found: &mut Declarations) {
    let mut open: Option<(String, String, bool)> = None;
    let words = [
        "resource", "module", "data", "variable", "output", "provider",
    ];
    for line in text.lines().map(str::trim_start) {
        let begun = words.into_iter().find_map(|word| {
            let rest = line.strip_prefix(word)?.trim_start().strip_prefix('"')?;
            Some((word.to_owned(), rest.split('"').next()?.to_owned(), false))
        });
        let repeats = ["count", "for_each"].into_iter().any(|name| {
            let rest = line.strip_prefix(name).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with('='))
        });
        match (&mut open, begun) {
            (_, Some(begun)) => {
                if let Some((word, label, is_repeated)) = open.replace(begun) {
                    found.add(&word, &label, is_repeated);
                }
            }
            (Some((.., is_repeated)), None) => *is_repeated |= repeats,
            (None, None) => {}
        }
    }
    if let Some((word, label, is_repeated)) = open {
        found.add(&word, &label, is_repeated);
    }
}

/// Counts the blocks of a JSON file: they stand in objects by their labels, and JSON may have a list
/// wherever there may be several.
fn add_json(text: &str, found: &mut Declarations) {
    let all: Json = serde_json::from_str(text).unwrap_or_default();
    let is_repeated = |body: &&Json| body.get("count").is_some() || body.get("for_each").is_some();
    for (kind, named) in fields(all.get("resource")) {
        for (_, bodies) in fields(Some(named)) {
            found.add("resource", kind, each(bodies).iter().any(is_repeated));
        }
    }
    for (name, bodies) in fields(all.get("module")) {
        found.add("module", name, each(bodies).iter().any(is_repeated));
    }
}

/// A value, or those of a list.
fn each(value: &Json) -> Vec<&Json> {
    match value {
        Json::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

/// The fields of an object, or of each object of a list. What is called `//` is a comment.
fn fields(value: Option<&Json>) -> Vec<(&String, &Json)> {
    let all = value.map(each).unwrap_or_default();
    let objects = all.into_iter().filter_map(Json::as_object);
    objects
        .flatten()
        .filter(|(name, _)| *name != "//")
        .collect()
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
        let count = |kind: &str| {
            let found = counted_below(root.path(), Path::new(".terraform"), kind);
            found.once + found.repeated
        };
        assert_eq!(count("dbxcmk_key_policy"), 3 + 2);
        assert_eq!(count("dbxcmk_workspace_binding"), 0);
        Ok(())
    }

    /// Each row: a configuration, how many of its key policies have one instance, and how many blocks have any number.
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
            // `count` of another block of the file says nothing.
            (
                r#"{"resource": {"dbxcmk_key_policy": {"z": {}}, "x": {"y": {"count": 1}}}}"#.to_owned(),
                (1, 0),
            ),
            // Lists, wherever JSON may have them.
            (
                r#"{"resource": [{"dbxcmk_key_policy": [{"z": [{"for_each": "${x}"}]}, {"y": {}}]}, {"x": {"z": {}}}]}"#
                    .to_owned(),
                (1, 1),
            ),
            (
                r#"{"//": "resource", "resource": {"//": {"x": {}}, "dbxcmk_key_policy": {"//": "none", "z": {}}}}"#.to_owned(),
                (1, 0),
            ),
            (r#"{"resource": ["dbxcmk_key_policy", 7, null]}"#.to_owned(), (0, 0)),
            ("{not JSON".to_owned(), (0, 0)),
            // What is not a block of its own.
            (format!("/*\n{}*/\n", policy("count = 1")), (0, 0)),
            (format!("locals {{\n  x = <<EOT\n{}EOT\n}}\n", policy("")), (0, 0)),
            (policy("lifecycle {\n    count = 1\n  }"), (1, 0)),
            // All in one line, with labels that have no quotes, and with a mark at the beginning of the file.
            ("resource \"dbxcmk_key_policy\" \"x\" { count = 2 }\n".to_owned(), (0, 1)),
            ("resource dbxcmk_key_policy x {\n}\n".to_owned(), (1, 0)),
            (format!("\u{feff}{}", policy("")), (1, 0)),
            // A file that the parser rejects counts by its lines.
            (format!("{}{}resource \"\n", policy("count = 1"), policy("")), (1, 1)),
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

    /// Each row: files of the configuration, and how many key policies they have.
    #[test]
    fn only_what_terraform_reads_counts() -> std::io::Result<()> {
        let rows: [(&[&str], usize); 10] = [
            (&["main.tf", "other.tf"], 2),
            (&["main.tofu"], 1),
            (&["main.tf", "main.tofu"], 1),
            (&["main.tf", "override.tf"], 1),
            (&["main.tf", "keys_override.tf"], 1),
            (&["overrides.tf"], 1),
            (&[".main.tf", "#main.tf"], 0),
            (&["main.tf~", "main.tf.bak", "main.tfvars"], 0),
            (&["readme.md"], 0),
            (&[], 0),
        ];
        for (files, expected) in rows {
            let root = tempfile::tempdir()?;
            for file in files {
                std::fs::write(
                    root.path().join(file),
                    "resource \"dbxcmk_key_policy\" \"x\" {\n}\n",
                )?;
            }
            let found = counted_below(root.path(), Path::new(".terraform"), "dbxcmk_key_policy");
            assert_eq!(found.once, expected, "{files:?}");
        }
        Ok(())
    }

    /// A module counts as often as it is called, and any number of times where it, or one that calls it, is called with `for_each`.
    #[test]
    fn each_call_of_a_module_counts_by_itself() -> std::io::Result<()> {
        let root = tempfile::tempdir()?;
        let write = |name: &str, text: &str| {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(root.path()))?;
            std::fs::write(file, text)
        };
        let call = |name: &str, more: &str| {
            format!("module \"{name}\" {{\n  source = \"./x\"\n  {more}\n}}\n")
        };
        write(
            "main.tf",
            &(call("many", "for_each = local.all") + &call("one", "")),
        )?;
        write("outer/main.tf", &call("inner", ""))?;
        write(
            "keys/main.tf",
            "resource \"dbxcmk_key_policy\" \"x\" {\n}\n",
        )?;
        let module = |key: &str, directory: &str| {
            format!("{{\"Key\": \"{key}\", \"Dir\": \"{directory}\"}}")
        };
        let rows: [(&[(&str, &str)], (usize, usize)); 6] = [
            (&[("one", "keys")], (1, 0)),
            (&[("many", "keys")], (0, 1)),
            (&[("one", "keys"), ("many", "keys")], (1, 1)),
            (&[("one", "outer"), ("one.inner", "keys")], (1, 0)),
            (&[("many", "outer"), ("many.inner", "keys")], (0, 1)),
            (&[("one", "gone")], (0, 0)),
        ];
        for (calls, (once, repeated)) in rows {
            let modules: Vec<String> = calls
                .iter()
                .map(|(key, directory)| module(key, directory))
                .collect();
            write(
                ".terraform/modules/modules.json",
                &format!(
                    "{{\"Modules\": [{}, {}]}}",
                    module("", "."),
                    modules.join(", ")
                ),
            )?;
            let found = counted_below(root.path(), Path::new(".terraform"), "dbxcmk_key_policy");
            assert_eq!(found, Blocks { once, repeated }, "{calls:?}");
        }
        for broken in [
            "",
            "{",
            "[]",
            "{\"Modules\": 7}",
            "{\"Modules\": [7, {\"Key\": \"one\"}]}",
        ] {
            write(".terraform/modules/modules.json", broken)?;
            let found = counted_below(root.path(), Path::new(".terraform"), "dbxcmk_key_policy");
            assert_eq!(found, Blocks::default(), "{broken}");
        }
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
