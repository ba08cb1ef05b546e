//! What a subcommand is asked about: a file, or standard input.

use std::io::Read;
use std::path::Path;

/// The text of a file; `-` is standard input.
pub fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
