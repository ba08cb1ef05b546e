//! Generates the messages and services of tfplugin from `crates/plugin/proto`.
//!
//! The generated code is committed, in `crates/plugin/src/generated`: who builds a provider compiles what speaks the protocol, and not the fifty
//! packages that compile protocol files.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The files of the protocol, below `proto`.
const FILES: [&str; 2] = ["tfplugin6.proto", "go_plugin.proto"];

/// Where the generated files are committed.
#[must_use]
pub fn committed() -> PathBuf {
    crate_directory().join("src/generated")
}

fn crate_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin")
}

/// The generated files by their names, such as `tfplugin6.rs`.
///
/// # Errors
/// When a file of the protocol cannot be read or compiled.
pub fn generate() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let proto = crate_directory().join("proto");
    let descriptors = protox::compile(FILES, [&proto])?;
    let out = tempfile::tempdir()?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_well_known_types(false)
        .out_dir(out.path())
        .compile_fds(descriptors)?;
    read(out.path())
}

/// The files of a directory by their names.
///
/// # Errors
/// When the directory or a file of it cannot be read.
pub fn read(directory: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(files)
}
