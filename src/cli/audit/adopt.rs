//! The files of `--adopt`: written into a directory that has none of these names yet.

use std::path::Path;

use super::complain;
use super::write::whole;
use crate::provider::Adoption;

/// How many of the things that are left out are shown.
const MOST: usize = 20;

/// Makes the directory, and refuses one in which a file would be overwritten.
///
/// # Errors
/// When it cannot be made, or has such a file.
pub(super) fn check(directory: &Path) -> Result<(), String> {
    let name = directory.display();
    std::fs::create_dir_all(directory).map_err(|error| format!("{name}: {error}"))?;
    match Adoption::FILES
        .into_iter()
        .find(|file| directory.join(file).exists())
    {
        Some(file) => Err(format!(
            "{name} already has a file {file}, and `--adopt` overwrites nothing: name another directory"
        )),
        None => Ok(()),
    }
}

/// Writes the files, each whole.
///
/// # Errors
/// When one cannot be written.
pub(super) fn write(directory: &Path, adoption: &Adoption) -> Result<(), String> {
    for (name, text) in &adoption.files {
        whole(&directory.join(name), |to| to.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// Says what was written, what was not, and what to do next.
pub(super) fn tell(directory: &Path, adoption: &Adoption) {
    let name = directory.display();
    complain(&format!(
        "wrote configuration and import blocks for {} resources to {name}. Next: terraform -chdir={name} init, then plan: it imports, and \
         changes nothing.",
        adoption.resources
    ));
    for one in adoption.left_out.iter().take(MOST) {
        complain(&format!("note: not adopted: {one}"));
    }
    if adoption.left_out.len() > MOST {
        let more = adoption.left_out.len() - MOST;
        complain(&format!("note: not adopted: {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("a/b");
        check(&inner).expect("a new directory");
        let adoption = Adoption {
            files: vec![("providers.tf", "# one".to_owned())],
            ..Adoption::default()
        };
        write(&inner, &adoption).expect("written");
        let text = std::fs::read_to_string(inner.join("providers.tf"));
        assert_eq!(text.expect("a file"), "# one");
        let refused = check(&inner);
        assert!(
            refused.is_err_and(|why| why.contains("providers.tf")),
            "an existing file is left alone"
        );
    }
}
