//! The recordings that are kept are asked of the sandbox again, in memory: a change of its answers shows, and needs no network.
//!
//! Each directory of `recordings` has the files of one run, and `differences.txt` where the sandbox is known to differ from it: what is
//! learned of a live account stays there until the sandbox does the same.

#![allow(clippy::expect_used, missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};

use dbxcmk_sandbox::compare::compare_directory;

fn kept() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let entries = std::fs::read_dir(all).expect("the recordings");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

#[test]
fn the_sandbox_differs_from_what_is_kept_where_that_is_known() {
    let kept = kept();
    assert!(kept.len() >= 3, "{kept:?}");
    for directory in kept {
        let report = compare_directory(&directory).expect("a recording");
        assert!(report.compared > 30, "{}: {report}", directory.display());
        let lines = report.differences.iter().map(|one| format!("{one}\n"));
        let known = std::fs::read_to_string(directory.join("differences.txt")).unwrap_or_default();
        assert_eq!(lines.collect::<String>(), known, "{}", directory.display());
    }
}
