//! `lint`: names inside of nested attributes that do not exist. Terraform drops them before a provider sees them, so that
//! `aws = { reuse_key_for_cluster_volume = false }` (without the last letter) plans the default, which cannot be taken back.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body};
use serde_json::{Value as Json, json};

use super::sources::{Source, files, labels};
use crate::provider::{Client, Dbxcmk};
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
    /// Directories and .tf files. Searches directories recursively, except hidden ones.
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
    let mut sources = Vec::new();
    for path in &arguments.paths {
        let all = if path.is_dir() {
            files(path, true)
        } else {
            Ok(vec![path.clone()])
        };
        match all {
            Ok(all) => {
                for file in all {
                    match Source::read(&file) {
                        Ok(source) => sources.push(source),
                        Err(unparsed) => {
                            unusable(&unparsed.path.display().to_string(), unparsed.reason)
                        }
                    }
                }
            }
            Err(error) => unusable(&path.display().to_string(), error.to_string()),
        }
    }
    let schemas = Schemas {
        provider: Dbxcmk.schema(),
        resources: Dbxcmk.resources(),
        data_sources: Dbxcmk.data_sources(),
    };
    let mut lines = Vec::new();
    let mut all = Vec::new();
    for source in &sources {
        let file = printable_line(&source.path.display().to_string()).into_owned();
        for one in look(source, &schemas) {
            let hint = one
                .near
                .as_deref()
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            lines.push(format!(
                "{file}:{}: {}: `{}` does not exist{hint}",
                one.line, one.block, one.name
            ));
            all.push(json!({ "file": file, "line": one.line, "block": one.block, "name": one.name, "did_you_mean": one.near }));
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
        format!(
            "{} file{}: every name exists.",
            sources.len(),
            if sources.len() == 1 { "" } else { "s" }
        )
    };
    if writeln!(std::io::stdout(), "{}", printable(&answer)).is_err() {
        return ExitCode::from(UNUSABLE);
    }
    ExitCode::from(if code == 0 && found { FOUND } else { code })
}

fn look(source: &Source, schemas: &Schemas) -> Vec<Unknown> {
    let mut found = Vec::new();
    for block in source.blocks() {
        if let Some((schema, address)) = schemas.of_block(block) {
            in_body(
                source,
                &block.body,
                &schema.attributes,
                &address,
                &mut found,
            );
        }
    }
    found
}

fn in_body(
    source: &Source,
    body: &Body,
    attributes: &[Attribute],
    block: &str,
    found: &mut Vec<Unknown>,
) {
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
            in_expression(source, &written.value, inner, name, block, found);
        }
    }
}

/// Objects that are written out; what an expression makes cannot be seen before it is evaluated.
fn in_expression(
    source: &Source,
    expression: &Expression,
    attributes: &[Attribute],
    path: &str,
    block: &str,
    found: &mut Vec<Unknown>,
) {
    match expression {
        Expression::Object(object) => {
            for (key, value) in object.iter() {
                let name = match key {
                    ObjectKey::Ident(name) => Some(name.as_str()),
                    ObjectKey::Expression(Expression::String(name)) => Some(name.as_str()),
                    ObjectKey::Expression(Expression::Variable(name)) => Some(name.as_str()),
                    ObjectKey::Expression(_) => None,
                };
                let Some(name) = name else { continue };
                let here = format!("{path}.{name}");
                match attributes.iter().find(|attribute| attribute.name == name) {
                    Some(Attribute {
                        kind: Kind::Nested(_, inner),
                        ..
                    }) => {
                        in_expression(source, value.expr(), inner, &here, block, found);
                    }
                    Some(_) => {}
                    None => {
                        let names: Vec<&str> = attributes
                            .iter()
                            .map(|attribute| attribute.name.as_ref())
                            .collect();
                        let line = source.line(key);
                        let near = nearest(name, &names).map(|near| format!("{path}.{near}"));
                        found.push(Unknown {
                            line,
                            block: block.to_owned(),
                            name: here,
                            near,
                        });
                    }
                }
            }
        }
        Expression::Array(elements) => {
            elements
                .iter()
                .for_each(|element| in_expression(source, element, attributes, path, block, found));
        }
        Expression::Parenthesis(inner) => {
            in_expression(source, inner.inner(), attributes, path, block, found)
        }
        Expression::Conditional(conditional) => {
            in_expression(
                source,
                &conditional.true_expr,
                attributes,
                path,
                block,
                found,
            );
            in_expression(
                source,
                &conditional.false_expr,
                attributes,
                path,
                block,
                found,
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::kind;

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
