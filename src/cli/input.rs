//! What a subcommand is asked about: a file, or standard input.

use std::io::Read;
use std::path::Path;

/// The bytes of a file; `-` is standard input.
pub fn read_bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file; `-` is standard input.
pub fn read(file: &Path) -> std::io::Result<String> {
    String::from_utf8(read_bytes(file)?)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
