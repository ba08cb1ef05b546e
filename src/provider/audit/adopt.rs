//! Configuration for what is there, with an `import` block for each: its first plan imports, and changes nothing.
//!
//! Key configurations and workspaces with keys are adopted. The policies of keys are not: a policy has one writer, and most keys have one already.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::Auditor;
use crate::preflight::azure::AttachedVaultKey;
use crate::provider::cache::lock;
use crate::provider::diagnose::unavailable;
use crate::provider::resources::key_configuration::{
    KeyConfigurationModel, KeyConfigurationResource, label,
};
use crate::provider::resources::workspace_binding::{
    WorkspaceBindingModel, WorkspaceBindingResource, binding_of, binding_of_arm,
};
use crate::vocabulary::{AttachedKey, Cloud, UseCase};
use tfplugin::bridge::{Attr, to_value};
use tfplugin::diagnostics::Diagnostics;
use tfplugin::resource::Resource;
use tfplugin::schema::{Attribute, Kind, Nesting, Presence};
use tfplugin::value::Value;

/// The longest name of a block; a name of a workspace can have hundreds of characters.
const LONGEST: usize = 60;

const HEAD: &str = r#"terraform {
  # Import blocks need Terraform 1.5.
  required_version = ">= 1.5"
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

# The account and the credentials come from the environment.
provider "dbxcmk" {}
"#;

/// Files of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Their names and contents.
    pub files: Vec<(&'static str, String)>,
    /// How many resources they have.
    pub resources: usize,
    /// What is there and not among them, each with why.
    pub left_out: Vec<String>,
}

impl Adoption {
    /// The names of the files that an adoption can have.
    pub const FILES: [&'static str; 3] = [
        "providers.tf",
        "key_configurations.tf",
        "workspace_bindings.tf",
    ];
}

/// A resource that is to be adopted.
struct Adopted {
    /// What somebody would call it.
    name: String,
    /// By what it is imported.
    id: String,
    /// Its values, as the state will have them.
    values: Value,
}

/// A name as a block may have it: letters, digits and underscores.
fn identifier(text: &str) -> String {
    let mut name = String::new();
    for one in text.chars().flat_map(char::to_lowercase) {
        match one {
            'a'..='z' | '0'..='9' => name.push(one),
            _ if !name.ends_with('_') && !name.is_empty() => name.push('_'),
            _ => {}
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => String::new(),
        Some('0'..='9') => format!("_{name}"),
        Some(_) => name.to_owned(),
    }
}

/// The name of each block: what the things are called, with the ID where two are called the same or one has no name that a block may have.
fn names(all: &[Adopted], otherwise: &str) -> Vec<String> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        *count.entry(identifier(&one.name)).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    all.iter()
        .map(|one| {
            let name = identifier(&one.name);
            let is_alone = !name.is_empty() && count.get(&name) == Some(&1);
            let mut name = match (is_alone, name.as_str()) {
                (true, _) => name,
                (false, "") => format!(
                    "{otherwise}_{}",
                    identifier(&one.id).trim_start_matches('_')
                ),
                (false, name) => format!("{name}_{}", identifier(&one.id).trim_start_matches('_')),
            };
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            name
        })
        .collect()
}

/// A text as HCL quotes it: no template, no control character.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                out.push(one);
                out.push(one);
            }
            one if one.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(one));
            }
            one => out.push(one),
        }
    }
    out.push('"');
    out
}

/// What stands for a value in a configuration. `references`: expressions for the IDs of what is adopted as well.
struct Writer<'a> {
    references: &'a BTreeMap<String, String>,
}

impl Writer<'_> {
    fn plain(&self, value: &Value) -> Option<String> {
        Some(match value.undynamic() {
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => quoted(text),
            Value::List(all) => {
                let all: Option<Vec<String>> = all.iter().map(|one| self.plain(one)).collect();
                format!("[{}]", all?.join(", "))
            }
            Value::Map(all) => {
                let pair = |(name, value): (&String, &Value)| {
                    Some(format!("{} = {}", quoted(name), self.plain(value)?))
                };
                let all: Option<Vec<String>> = all.iter().map(pair).collect();
                format!("{{ {} }}", all?.join(", "))
            }
            _ => return None,
        })
    }

    /// The attributes that somebody would write: what the provider computes, and what is as it is by default, is left to it.
    fn body(&self, attributes: &[Attribute], values: &Value, indent: usize) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut nested = String::new();
        let space = "  ".repeat(indent);
        for attribute in attributes {
            let name: &str = attribute.name.as_ref();
            let value = values.get(name).undynamic();
            let is_default = attribute.default.as_ref() == Some(value);
            let is_left = attribute.presence == Presence::Computed || attribute.quiet;
            if value.is_null() || value.is_unknown() || is_default || is_left {
                continue;
            }
            if let Kind::Nested(Nesting::Single, inner) = &attribute.kind {
                let equals = if attribute.is_block() { "" } else { "= " };
                let body = self.body(inner, value, indent + 1);
                let _ = write!(nested, "{space}{name} {equals}{{\n{body}{space}}}\n");
                continue;
            }
            let reference = value
                .as_str()
                .filter(|_| name.ends_with("_key_configuration_id"))
                .and_then(|id| self.references.get(id));
            if let Some(text) = reference.cloned().or_else(|| self.plain(value)) {
                lines.push((name.to_owned(), text));
            }
        }
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut body = String::new();
        for (name, text) in lines {
            let _ = writeln!(body, "{space}{name:width$} = {text}");
        }
        body + &nested
    }

    /// An import and the resource that it brings in.
    fn block(&self, kind: &str, attributes: &[Attribute], (name, one): (&str, &Adopted)) -> String {
        format!(
            "import {{\n  to = {kind}.{name}\n  id = {}\n}}\n\nresource \"{kind}\" \"{name}\" {{\n{}}}\n",
            quoted(&one.id),
            self.body(attributes, &one.values, 1)
        )
    }
}

fn values(model: &impl Serialize) -> Result<Value, String> {
    to_value(model).map_err(|error| error.to_string())
}

fn said(diagnostics: &Diagnostics) -> String {
    let all = diagnostics.iter().map(|one| one.summary.as_str());
    all.collect::<Vec<_>>().join("; ")
}

/// What is there, before it is written.
#[derive(Default)]
struct There {
    configurations: Vec<Adopted>,
    bindings: Vec<Adopted>,
    left_out: Vec<String>,
}

impl There {
    fn binding(
        &mut self,
        (name, words): (&str, String),
        model: Result<WorkspaceBindingModel, Diagnostics>,
    ) {
        let read = model.map_err(|why| said(&why)).and_then(|mut model| {
            let id = model.id.known().cloned().unwrap_or_default();
            if !model.azure.is_null() {
                // There the resource ID names the workspace, and the number is read.
                model.workspace_id = Attr::Null;
            }
            Ok((id, values(&model)?))
        });
        match read {
            Ok((id, values)) => self.bindings.push(Adopted {
                name: name.to_owned(),
                id,
                values,
            }),
            Err(why) => self.left_out.push(format!("workspace {words}: {why}")),
        }
    }

    fn written(mut self) -> Adoption {
        self.configurations
            .sort_by(|one, other| one.id.cmp(&other.id));
        self.bindings
            .sort_by(|one, other| (one.id.len(), &one.id).cmp(&(other.id.len(), &other.id)));
        let kind = "dbxcmk_key_configuration";
        let called = names(&self.configurations, "key");
        let references: BTreeMap<String, String> = called
            .iter()
            .zip(&self.configurations)
            .map(|(name, one)| (one.id.clone(), format!("{kind}.{name}.id")))
            .collect();
        let writer = Writer {
            references: &references,
        };
        let blocks =
            |kind: &str, attributes: &[Attribute], called: Vec<String>, all: &[Adopted]| {
                let each = called.iter().zip(all);
                let each = each.map(|(name, one)| writer.block(kind, attributes, (name, one)));
                each.collect::<Vec<_>>().join("\n")
            };
        let own = KeyConfigurationResource.schema().attributes;
        let configurations = blocks(kind, &own, called, &self.configurations);
        let own = WorkspaceBindingResource.schema().attributes;
        let called = names(&self.bindings, "workspace");
        let bindings = blocks("dbxcmk_workspace_binding", &own, called, &self.bindings);
        let [providers, keys, workspaces] = Adoption::FILES;
        let mut files = vec![(providers, HEAD.to_owned())];
        let written = [(keys, configurations), (workspaces, bindings)];
        files.extend(written.into_iter().filter(|(_, text)| !text.is_empty()));
        Adoption {
            files,
            resources: self.configurations.len() + self.bindings.len(),
            left_out: self.left_out,
        }
    }
}

impl Auditor {
    /// Configuration for what was read. It asks for nothing that was not read already.
    pub async fn adopt(&self, cloud: &Cloud) -> Adoption {
        let mut there = There::default();
        match cloud {
            Cloud::Azure => self.adopt_azure(&mut there),
            _ => self.adopt_account(&mut there).await,
        }
        there.written()
    }

    async fn adopt_account(&self, there: &mut There) {
        let account = match self.client.account().await {
            Ok(account) => account,
            Err(why) => {
                there.left_out.push(unavailable(&why).summary.clone());
                return;
            }
        };
        let reads = self.client.reads();
        match reads.configurations(account).await {
            Err(error) => there.left_out.push(format!("key configurations: {error}")),
            Ok(all) => {
                for one in all.values() {
                    let id = one.customer_managed_key_id.clone();
                    let model = KeyConfigurationModel::of(one).map_err(|why| said(&why));
                    let alias = label(one).map_or("", |(name, _)| name);
                    let alias = alias.rsplit('/').next().unwrap_or_default();
                    // An ARN says nothing that a reader would call the key.
                    let name = match alias.contains(':') || alias.len() == 36 {
                        true => "",
                        false => alias,
                    };
                    match model.and_then(|model| values(&model)) {
                        Ok(values) => there.configurations.push(Adopted {
                            name: name.to_owned(),
                            id,
                            values,
                        }),
                        Err(why) => there
                            .left_out
                            .push(format!("key configuration {id}: {why}")),
                    }
                }
            }
        }
        match reads.workspaces(account).await {
            Err(error) => there.left_out.push(format!("workspaces: {error}")),
            Ok(all) => {
                for one in all.values() {
                    let mut cases = UseCase::ACCOUNT.iter();
                    if cases.any(|case| one.key(*case) != AttachedKey::None) {
                        let called = (one.workspace_name.as_str(), one.in_words());
                        there.binding(called, binding_of(one));
                    }
                }
            }
        }
    }

    fn adopt_azure(&self, there: &mut There) {
        for one in lock(&self.arm).iter() {
            let mut cases = UseCase::ALL.iter();
            if cases.any(|case| one.key(*case) != AttachedVaultKey::None) {
                let called = (one.id().id().name(), one.id().to_string());
                there.binding(called, binding_of_arm(one));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(name: &str, id: &str) -> Adopted {
        Adopted {
            name: name.to_owned(),
            id: id.to_owned(),
            values: Value::Null,
        }
    }

    /// Each row: what something is called, and the name of its block.
    #[test]
    fn a_name_is_one_that_a_block_may_have() {
        let long = "x".repeat(300);
        for (text, name) in [
            ("Lakehouse Prod (EU)", "lakehouse_prod_eu"),
            ("7 seas", "_7_seas"),
            ("<img onerror>", "img_onerror"),
            ("\u{202e}gnp", "gnp"),
            ("……", ""),
            (&long, &"x".repeat(LONGEST)),
        ] {
            assert_eq!(identifier(text), name, "{text}");
        }
        let all = [
            adopted("same", "1"),
            adopted("Same", "2"),
            adopted("", "3"),
            adopted("other", "4"),
        ];
        assert_eq!(
            names(&all, "workspace"),
            ["same_1", "same_2", "workspace_3", "other"]
        );
    }

    #[test]
    fn a_text_is_no_template() {
        assert_eq!(
            quoted("a\"b\\c\n${d}%{e}$f\u{1b}"),
            "\"a\\\"b\\\\c\\n$${d}%%{e}$f\\u001b\""
        );
    }

    #[test]
    fn what_is_written_is_hcl_and_refers_to_what_is_adopted() {
        let binding = |id: &str| Adopted {
            name: "prod".to_owned(),
            id: id.to_owned(),
            values: Value::map([
                ("id", Value::string(id)),
                ("workspace_id", Value::string(id)),
                ("storage_key_configuration_id", Value::string("c-1")),
                (
                    "managed_services_key_configuration_id",
                    Value::string("c-2"),
                ),
                ("workspace_name", Value::string("prod")),
            ]),
        };
        let there = There {
            configurations: vec![Adopted {
                name: "lakehouse".to_owned(),
                id: "c-1".to_owned(),
                values: Value::map([("use_cases", Value::List(vec![Value::string("STORAGE")]))]),
            }],
            bindings: vec![binding("10"), binding("9")],
            left_out: Vec::new(),
        };
        let adoption = there.written();
        assert_eq!(adoption.resources, 3);
        for (name, text) in &adoption.files {
            assert!(hcl_edit::parser::parse_body(text).is_ok(), "{name}: {text}");
        }
        let Some((_, bindings)) = adoption.files.last() else {
            panic!("no bindings");
        };
        let expected = "import {\n  to = dbxcmk_workspace_binding.prod_9\n  id = \"9\"\n}\n\nresource \"dbxcmk_workspace_binding\" \"prod_9\" {\n  \
                        workspace_id                          = \"9\"\n  managed_services_key_configuration_id = \"c-2\"\n  \
                        storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id\n}\n";
        assert!(bindings.starts_with(expected), "{bindings}");
    }
}
