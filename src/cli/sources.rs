//! Configurations as they are written: the blocks of `.tf` files, and where they stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::input::read;
use crate::vocabulary::why_unread;
use hcl_edit::repr::Span;
use hcl_edit::structure::{Block, Body};

/// A file, parsed.
pub struct Source {
    /// The path, as the user gave it or as the directory has it.
    pub path: PathBuf,
    text: String,
    body: Body,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not HCL: why, for a person.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = read(path)?;
        let body = hcl_edit::parser::parse_body(&text).map_err(|error| {
            let place = error.location();
            format!(
                "line {}, column {}: {}",
                place.line(),
                place.column(),
                error.message()
            )
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            text,
            body,
        })
    }

    /// Its blocks, outermost ones only.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.body.blocks()
    }

    /// The line on which something begins, counted from 1.
    pub fn line(&self, of: &impl Span) -> u32 {
        let start = of.span().map_or(0, |span| span.start);
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        u32::try_from(before.iter().filter(|byte| **byte == b'\n').count())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }
}

/// The labels of a block, without quotes: type and name of a resource.
pub fn labels(block: &Block) -> Vec<&str> {
    block.labels.iter().map(|label| label.as_str()).collect()
}

/// Whether a file has a configuration in JSON, by its name.
pub fn is_json(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".tf.json")
}

/// The `.tf` and `.tf.json` files of a directory, in order; with `deep`, also those of the directories in it, but for hidden ones.
///
/// # Errors
/// When the directory cannot be read: why, for a person.
pub fn files(directory: &Path, deep: bool) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| why_unread(&error))? {
        let entry = entry.map_err(|error| why_unread(&error))?;
        let kind = entry.file_type().map_err(|error| why_unread(&error))?;
        let path = entry.path();
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && deep && !is_hidden {
            found.extend(files(&path, deep)?);
        } else if kind.is_file()
            && (path.extension().is_some_and(|extension| extension == "tf") || is_json(&path))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Where each resource of some modules is written, by its address without indexes. `modules`: directories by the path of their
/// module (`module.keys`, empty for the root). What cannot be parsed has no places.
pub fn places(modules: &BTreeMap<String, PathBuf>) -> BTreeMap<String, (String, u32)> {
    let mut places = BTreeMap::new();
    for (module, directory) in modules {
        let prefix = if module.is_empty() {
            String::new()
        } else {
            format!("{module}.")
        };
        for source in files(directory, false)
            .unwrap_or_default()
            .iter()
            .filter(|file| !is_json(file))
            .filter_map(|file| Source::read(file).ok())
        {
            for block in source
                .blocks()
                .filter(|block| block.ident.as_str() == "resource")
            {
                if let [kind, name] = labels(block).as_slice() {
                    let file = source
                        .path
                        .strip_prefix("./")
                        .unwrap_or(&source.path)
                        .display()
                        .to_string();
                    places.insert(format!("{prefix}{kind}.{name}"), (file, source.line(block)));
                }
            }
        }
    }
    places
}
