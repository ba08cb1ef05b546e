//! Files, as `std::fs` has them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The bytes of a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read(file: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = file.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(read) = crate::machine::of(|machine| machine.disk.read(file)) {
        return read;
    }
    std::fs::read(file)
}

/// The text of a file.
///
/// # Errors
/// Why it cannot be read; `InvalidData` when it is not UTF-8.
pub fn read_to_string(file: impl AsRef<Path>) -> io::Result<String> {
    let file = file.as_ref();
    String::from_utf8(read(file)?).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "stream did not contain valid UTF-8",
        )
    })
}

/// Writes a file, and replaces one that is there.
///
/// # Errors
/// Why the system did not write it.
pub fn write(file: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let file = file.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(written) = crate::machine::of(|machine| machine.disk.write(file, bytes)) {
        return written;
    }
    std::fs::write(file, bytes)
}

/// Adds to the end of a file, and makes one that is not there.
///
/// # Errors
/// Why the system did not write it.
pub fn append(file: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let file = file.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(written) = crate::machine::of(|machine| {
        let mut all = machine.disk.read(file).unwrap_or_default();
        all.extend_from_slice(bytes);
        machine.disk.write(file, &all)
    }) {
        return written;
    }
    let mut options = std::fs::OpenOptions::new();
    options
        .append(true)
        .create(true)
        .open(file)?
        .write_all(bytes)
}

/// Writes a file that nobody else can read, where none is.
///
/// # Errors
/// `AlreadyExists` when one is there; otherwise why the system did not write it.
pub fn create_private(file: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let file = file.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(written) = crate::machine::of(|machine| match machine.disk.read(file) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => machine.disk.write(file, bytes),
    }) {
        return written;
    }
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .write(true)
        .create_new(true)
        .open(file)?
        .write_all(bytes)
}

/// Renames a file, and replaces one that has the new name.
///
/// # Errors
/// Why the system did not rename it.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    #[cfg(feature = "simulation")]
    if let Some(renamed) = crate::machine::of(|machine| machine.disk.rename(from, to)) {
        return renamed;
    }
    std::fs::rename(from, to)
}

/// Removes a file.
///
/// # Errors
/// Why it cannot be done.
pub fn remove(file: impl AsRef<Path>) -> io::Result<()> {
    let file = file.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(removed) = crate::machine::of(|machine| machine.disk.remove(file)) {
        return removed;
    }
    std::fs::remove_file(file)
}

/// Makes a directory, and those above it.
///
/// # Errors
/// Why it cannot be made.
pub fn create_directory(directory: impl AsRef<Path>) -> io::Result<()> {
    let directory = directory.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(made) = crate::machine::of(|machine| machine.disk.create_directory()) {
        return made;
    }
    std::fs::create_dir_all(directory)
}

/// The files of a directory, without those in directories below it, sorted.
///
/// # Errors
/// Why it cannot be read.
pub fn list(directory: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let directory = directory.as_ref();
    #[cfg(feature = "simulation")]
    if let Some(listed) = crate::machine::of(|machine| Ok(machine.disk.list(directory))) {
        return listed;
    }
    let mut all: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    all.sort();
    Ok(all)
}
