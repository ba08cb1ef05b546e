//! Where the things of a report stand in a configuration: the first block that names one by its ID.

use std::collections::HashMap;
use std::path::Path;

use crate::audit::{AuditSubject, SubjectKind};
use crate::cli::sources::{Source, files, is_json};
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body};

/// The blocks of a directory by the texts in them.
#[derive(Debug, Default)]
pub(super) struct Blocks(HashMap<String, (u8, String, u32)>);

/// How well a block stands for what it names: a resource of ours, an import, another resource, anything else.
fn rank(block: &Block) -> u8 {
    let mut labels = block.labels.iter();
    let is_ours = labels
        .next()
        .is_some_and(|label| label.as_str().starts_with("dbxcmk_"));
    match block.ident.as_str() {
        "resource" if is_ours => 0,
        "import" => 1,
        "resource" => 2,
        _ => 3,
    }
}

/// The texts of an expression, as far as they stand there as they are.
fn texts<'a>(expression: &'a Expression, found: &mut Vec<&'a str>) {
    match expression {
        Expression::String(text) => found.push(text.as_str()),
        Expression::Array(all) => all.iter().for_each(|one| texts(one, found)),
        Expression::Object(all) => {
            for (key, value) in all.iter() {
                if let ObjectKey::Expression(key) = key {
                    texts(key, found);
                }
                texts(value.expr(), found);
            }
        }
        Expression::Parenthesis(inner) => texts(inner.inner(), found),
        _ => {}
    }
}

fn in_body<'a>(body: &'a Body, found: &mut Vec<&'a str>) {
    for attribute in body.attributes() {
        texts(&attribute.value, found);
    }
    for block in body.blocks() {
        in_body(&block.body, found);
    }
}

impl Blocks {
    /// Reads the `.tf` files of a directory and of those in it. A file that is not HCL has no blocks.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn of(directory: &Path) -> Result<Self, String> {
        let mut blocks = Self::default();
        let all =
            files(directory, true).map_err(|why| format!("{}: {why}", directory.display()))?;
        for file in all.iter().filter(|file| !is_json(file)) {
            let Ok(source) = Source::read(file) else {
                continue;
            };
            let path = file.strip_prefix("./").unwrap_or(file);
            let uri = path.to_string_lossy().replace('\\', "/");
            for block in source.blocks() {
                let mut found = Vec::new();
                in_body(&block.body, &mut found);
                let line = source.line(block);
                for text in found {
                    blocks.add(text, (rank(block), uri.clone(), line));
                }
            }
        }
        Ok(blocks)
    }

    fn add(&mut self, text: &str, place: (u8, String, u32)) {
        match self.0.get_mut(text) {
            None => {
                self.0.insert(text.to_owned(), place);
            }
            // The first of the best ones stays.
            Some(own) if place.0 < own.0 => *own = place,
            Some(_) => {}
        }
    }

    /// The file and the line of the block that stands for a subject.
    pub(super) fn place(&self, subject: &AuditSubject) -> Option<(String, u32)> {
        let name = match subject.kind() {
            // A catalog is named by its metastore, too, and an exception has its place in the policy file.
            SubjectKind::Catalog => subject.id().split_once('/').map(|(_, name)| name)?,
            SubjectKind::Exception => return None,
            _ => subject.id(),
        };
        let (_, uri, line) = self.0.get(name)?;
        Some((uri.clone(), *line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_stands_where_its_id_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("modules/keys");
        std::fs::create_dir_all(&inner).expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("a file");
        };
        write(
            "main.tf",
            "locals {\n  id = \"1234\"\n}\n\nimport {\n  to = dbxcmk_workspace_binding.x\n  id = \"1234\"\n}\n\nresource \
             \"dbxcmk_workspace_binding\" \"x\" {\n  workspace_id = \"1234\"\n}\n",
        );
        write("broken.tf", "resource {");
        write(
            "modules/keys/keys.tf",
            "resource \"dbxcmk_key_configuration\" \"x\" {\n  aws = {\n    key_arn = \"arn:1\"\n  }\n}\n",
        );
        let blocks = Blocks::of(directory.path()).expect("blocks");
        let place = |kind, id: &str| {
            let place = blocks.place(&AuditSubject::of(kind, id))?;
            let name = place.0.rsplit('/').next().unwrap_or_default().to_owned();
            Some((name, place.1))
        };
        let at = |name: &str, line| Some((name.to_owned(), line));
        assert_eq!(place(SubjectKind::Workspace, "1234"), at("main.tf", 10));
        assert_eq!(place(SubjectKind::Key, "arn:1"), at("keys.tf", 1));
        assert_eq!(place(SubjectKind::Key, "arn:2"), None);
        assert!(Blocks::of(&directory.path().join("nowhere")).is_err());
    }
}
