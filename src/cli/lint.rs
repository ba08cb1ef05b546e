//! `lint`: names inside of nested attributes that do not exist. Terraform drops them before a provider sees them, so that
//! `aws = { reuse_key_for_cluster_volume = false }` (without the last letter) plans the default, which cannot be taken back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body};
use serde_json::{Value as Json, json};

use super::input::read;
use super::sources::{Source, files, is_json, labels};
use crate::provider::{Client, Dbxcmk};
use kms_policy::json::{self as places, Kind as NodeKind, Member, Node, Place};
use kms_policy::nearest;
use tfplugin::data_source;
use tfplugin::printable::{printable, printable_line};
use tfplugin::provider::Provider;
use tfplugin::resource;
use tfplugin::schema::{Attribute, Kind, Schema};

/// A name that does not exist was found.
const FOUND: u8 = 1;
/// A file or directory cannot be read.
const UNUSABLE: u8 = 2;

/// `lint`
#[derive(Debug, clap::Args)]
pub struct LintArguments {
    /// Output format: text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// Directories, and .tf and .tf.json files. Searches directories recursively, except hidden ones.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
}

/// A name that does not exist.
#[derive(Debug, PartialEq, Eq)]
struct Unknown {
    line: u32,
    /// `dbxcmk_key_configuration.x`
    block: String,
    /// `aws.reuse_key_for_cluster_volume`
    name: String,
    /// The one that may be meant.
    near: Option<String>,
}

/// The schemas of everything that the provider offers.
struct Schemas {
    provider: Schema,
    resources: Vec<resource::Registered<Client>>,
    data_sources: Vec<data_source::Registered<Client>>,
}

impl Schemas {
    fn of_block(&self, block: &Block) -> Option<(&Schema, String)> {
        match (block.ident.as_str(), labels(block).as_slice()) {
            ("resource", [kind, name]) => {
                let resource = self
                    .resources
                    .iter()
                    .find(|resource| resource.name() == *kind)?;
                Some((resource.schema(), format!("{kind}.{name}")))
            }
            ("data", [kind, name]) => {
                let source = self
                    .data_sources
                    .iter()
                    .find(|source| source.name() == *kind)?;
                Some((source.schema(), format!("data.{kind}.{name}")))
            }
            ("provider", ["dbxcmk"]) => Some((&self.provider, "provider.dbxcmk".to_owned())),
            _ => None,
        }
    }
}

/// Runs the subcommand.
pub fn run(arguments: &LintArguments) -> ExitCode {
    let mut code = 0;
    let mut unusable = |path: &str, reason: String| {
        code = UNUSABLE;
        let _ = writeln!(
            std::io::stderr(),
            "{}",
            printable(&format!("{path}: {reason}"))
        );
    };
    let mut paths = Vec::new();
    for path in &arguments.paths {
        match path.is_dir() {
            true => match files(path, true) {
                Ok(all) => paths.extend(all),
                Err(error) => unusable(&path.display().to_string(), error),
            },
            false => paths.push(path.clone()),
        }
    }
    let schemas = Schemas {
        provider: Dbxcmk.schema(),
        resources: Dbxcmk.resources(),
        data_sources: Dbxcmk.data_sources(),
    };
    let mut lines = Vec::new();
    let mut all = Vec::new();
    let mut number = 0;
    for path in paths {
        let found = match look_at(&path, &schemas) {
            Ok(found) => found,
            Err(reason) => {
                unusable(&path.display().to_string(), reason);
                continue;
            }
        };
        number += 1;
        let file = printable_line(&path.display().to_string()).into_owned();
        for one in found {
            let hint = one
                .near
                .as_deref()
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            lines.push(format!(
                "{file}:{}: {}: `{}` does not exist{hint}",
                one.line, one.block, one.name
            ));
            all.push(as_json(&file, &one));
        }
    }
    let found = !all.is_empty();
    let answer = if arguments.format == "json" {
        Json::from(all).to_string()
    } else if found {
        format!(
            "{}\n\nTerraform ignores unknown names inside a nested attribute, and the default applies. Correct the names.",
            lines.join("\n")
        )
    } else {
        match number {
            0 if code != 0 => String::new(),
            0 => "There is no `.tf` or `.tf.json` file here.".to_owned(),
            1 => {
                "1 file: every name inside a nested attribute exists. Terraform checks the others."
                    .to_owned()
            }
            number => format!(
                "{number} files: every name inside a nested attribute exists. Terraform checks the others."
            ),
        }
    };
    if !answer.is_empty() && writeln!(std::io::stdout(), "{}", printable(&answer)).is_err() {
        return ExitCode::from(UNUSABLE);
    }
    ExitCode::from(if code == 0 && found { FOUND } else { code })
}

/// One name as JSON; the schema is docs/schemas/lint.schema.json.
fn as_json(file: &str, one: &Unknown) -> Json {
    json!({ "file": file, "line": one.line, "block": one.block, "name": one.name, "did_you_mean": one.near })
}

/// The names in a file that do not exist.
fn look_at(path: &Path, schemas: &Schemas) -> Result<Vec<Unknown>, String> {
    if is_json(path) {
        return in_json(&read(path)?, schemas);
    }
    Ok(look(&Source::read(path)?, schemas))
}

/// The names in a configuration in JSON that do not exist.
fn in_json(text: &str, schemas: &Schemas) -> Result<Vec<Unknown>, String> {
    let root = places::parse(text)
        .map_err(|fault| format!("{}: {}", Place::of(text, fault.offset), fault.message))?;
    let mut json = InJson {
        text,
        found: Vec::new(),
    };
    for (kind, bodies) in members_of(&root, "resource") {
        let schema = schemas.resources.iter().find(|one| one.name() == kind);
        if let Some(schema) = schema {
            json.bodies(&kind, bodies, &schema.schema().attributes);
        }
    }
    for (kind, bodies) in members_of(&root, "data") {
        let schema = schemas.data_sources.iter().find(|one| one.name() == kind);
        if let Some(schema) = schema {
            let attributes = &schema.schema().attributes;
            json.bodies(&format!("data.{kind}"), bodies, attributes);
        }
    }
    for (name, body) in members_of(&root, "provider") {
        if name == "dbxcmk" {
            let attributes = &schemas.provider.attributes;
            json.object(body, attributes, "provider.dbxcmk", None);
        }
    }
    Ok(json.found)
}

/// An object, or each of a list of objects: Terraform takes both for blocks.
fn objects(node: &Node) -> Vec<&[Member]> {
    match &node.kind {
        NodeKind::Object(members) => vec![members],
        NodeKind::Array(elements) => elements.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

/// What stands in the blocks of a kind, by name.
fn members_of<'a>(root: &'a Node, block: &str) -> Vec<(String, &'a Node)> {
    let blocks = root.member(block).map(objects).unwrap_or_default();
    let members = blocks.into_iter().flatten();
    members
        .map(|member| (member.name.clone(), &member.value))
        .collect()
}

/// A configuration in JSON, and the names in it that no schema has.
struct InJson<'a> {
    text: &'a str,
    found: Vec<Unknown>,
}

impl InJson<'_> {
    fn bodies(&mut self, kind: &str, bodies: &Node, attributes: &[Attribute]) {
        for member in objects(bodies).into_iter().flatten() {
            let block = format!("{kind}.{}", member.name);
            self.object(&member.value, attributes, &block, None);
        }
    }

    /// `path`: the nested attribute whose value this is; none for a block, whose names Terraform itself checks.
    fn object(&mut self, node: &Node, attributes: &[Attribute], block: &str, path: Option<&str>) {
        for member in objects(node).into_iter().flatten() {
            let here = match path {
                Some(path) => format!("{path}.{}", member.name),
                None => member.name.clone(),
            };
            let known = attributes.iter().find(|one| one.name == member.name);
            match (known, path) {
                (Some(known), _) => {
                    if let Kind::Nested(_, inner) = &known.kind {
                        self.object(&member.value, inner, block, Some(&here));
                    }
                }
                (None, None) => {}
                (None, Some(path)) => {
                    let line = Place::of(self.text, member.name_span.start).line;
                    self.found.push(Unknown {
                        line: u32::try_from(line).unwrap_or(u32::MAX),
                        block: block.to_owned(),
                        near: near(&member.name, attributes, path),
                        name: here,
                    });
                }
            }
        }
    }
}

/// The name that may be meant.
fn near(name: &str, attributes: &[Attribute], path: &str) -> Option<String> {
    let names: Vec<&str> = attributes.iter().map(|one| one.name.as_ref()).collect();
    nearest(name, &names).map(|near| format!("{path}.{near}"))
}

fn look(source: &Source, schemas: &Schemas) -> Vec<Unknown> {
    let mut look = InHcl {
        source,
        found: Vec::new(),
    };
    for block in source.blocks() {
        if let Some((schema, address)) = schemas.of_block(block) {
            look.body(&block.body, &schema.attributes, &address);
        }
    }
    look.found
}

/// A configuration in HCL, and the names in it that no schema has.
struct InHcl<'a> {
    source: &'a Source,
    found: Vec<Unknown>,
}

impl InHcl<'_> {
    fn body(&mut self, body: &Body, attributes: &[Attribute], block: &str) {
        for written in body.attributes() {
            let known = attributes
                .iter()
                .find(|attribute| attribute.name == written.key.as_str());
            // Terraform itself refuses unknown names on this level.
            if let Some(Attribute {
                kind: Kind::Nested(_, inner),
                name,
                ..
            }) = known
            {
                self.expression(&written.value, inner, name, block);
            }
        }
    }

    /// Objects that are written out; what an expression makes cannot be seen before it is evaluated.
    fn expression(
        &mut self,
        expression: &Expression,
        attributes: &[Attribute],
        path: &str,
        block: &str,
    ) {
        match expression {
            Expression::Object(object) => {
                for (key, value) in object.iter() {
                    self.member(key, value.expr(), attributes, (path, block));
                }
            }
            Expression::Array(elements) => {
                for element in elements {
                    self.expression(element, attributes, path, block);
                }
            }
            Expression::Parenthesis(inner) => {
                self.expression(inner.inner(), attributes, path, block);
            }
            Expression::Conditional(conditional) => {
                for branch in [&conditional.true_expr, &conditional.false_expr] {
                    self.expression(branch, attributes, path, block);
                }
            }
            _ => {}
        }
    }

    fn member(
        &mut self,
        key: &ObjectKey,
        value: &Expression,
        attributes: &[Attribute],
        (path, block): (&str, &str),
    ) {
        let name = match key {
            ObjectKey::Ident(name) => name.as_str(),
            ObjectKey::Expression(Expression::String(name)) => name.as_str(),
            ObjectKey::Expression(Expression::Variable(name)) => name.as_str(),
            ObjectKey::Expression(_) => return,
        };
        let here = format!("{path}.{name}");
        match attributes.iter().find(|attribute| attribute.name == name) {
            Some(Attribute {
                kind: Kind::Nested(_, inner),
                ..
            }) => self.expression(value, inner, &here, block),
            Some(_) => {}
            None => self.found.push(Unknown {
                line: self.source.line(key),
                block: block.to_owned(),
                name: here,
                near: near(name, attributes, path),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::{AWS_SETTINGS, kind};

    /// A configuration in JSON: with a block as an object, as a list, and with names that exist.
    #[test]
    fn names_in_json_are_looked_at() {
        let schemas = Schemas {
            provider: Dbxcmk.schema(),
            resources: Dbxcmk.resources(),
            data_sources: Dbxcmk.data_sources(),
        };
        let text = r#"{
  "//": "a comment",
  "provider": { "dbxcmk": [{ "aws": { "regio": "x" } }] },
  "resource": [{ "dbxcmk_key_policy": { "x": { "nope": 1, "aws": {
    "key_arn": "x", "cross_account_role": "y" } } } }, { "aws_kms_key": { "k": { "x": { "y": 1 } } } }],
  "data": { "dbxcmk_key_readiness": { "r": [{ "aws": "${var.x}" }] } }
}"#;
        let found = in_json(text, &schemas).expect("it is JSON");
        let schema = serde_json::from_str(include_str!("../../docs/schemas/lint.schema.json"))
            .expect("the schema is JSON");
        let answer: Json = found.iter().map(|one| as_json("x", one)).collect();
        assert_eq!(
            schemas::against(&schema, &answer, "answer"),
            Vec::<String>::new()
        );
        let found: Vec<(u32, &str, &str, Option<&str>)> = found
            .iter()
            .map(|one| {
                (
                    one.line,
                    one.block.as_str(),
                    one.name.as_str(),
                    one.near.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (
                    5,
                    "dbxcmk_key_policy.x",
                    "aws.cross_account_role",
                    Some("aws.cross_account_role_arn")
                ),
                (3, "provider.dbxcmk", "aws.regio", Some("aws.region")),
            ]
        );
        let error = in_json("{\n nope", &schemas).expect_err("it is no JSON");
        assert!(error.starts_with("line 2, column 2: "), "{error}");
    }

    /// A review knows a whole `aws` block of the provider by its names.
    #[test]
    fn a_review_knows_every_name_of_the_aws_block() {
        let schema = Dbxcmk.schema();
        let aws = schema.attributes.iter().find(|one| one.name == "aws");
        let Some(Kind::Nested(_, inner)) = aws.map(|one| &one.kind) else {
            panic!("the provider has no `aws` block");
        };
        let names: Vec<&str> = inner.iter().map(|one| one.name.as_ref()).collect();
        assert_eq!(AWS_SETTINGS, names);
    }

    /// A review knows the names inside of our nested attributes by a list of its own; here the schemas say whether it is right.
    #[test]
    fn a_review_knows_every_name_inside_of_a_nested_attribute() {
        for resource in Dbxcmk.resources() {
            let known = kind(resource.name())
                .expect("a review knows our own types")
                .nested;
            for attribute in &resource.schema().attributes {
                let Kind::Nested(_, inner) = &attribute.kind else {
                    continue;
                };
                let mut names: Vec<&str> = inner.iter().map(|one| one.name.as_ref()).collect();
                let own = known
                    .iter()
                    .find(|(name, _)| *name == attribute.name)
                    .map(|(_, names)| names.to_vec());
                let mut own = own.unwrap_or_default();
                names.sort_unstable();
                own.sort_unstable();
                assert_eq!(own, names, "{}.{}", resource.name(), attribute.name);
            }
        }
    }
}
