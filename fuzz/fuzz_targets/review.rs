//! Any text, reviewed as a plan: a report in every form, or a sentence that refuses it.
#![no_main]

use dbxcmk::review::render::{LARGEST_COMMENT, json, markdown, sarif, text};
use dbxcmk::review::review;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    if let Ok(report) = review(input) {
        assert!(markdown(&report).chars().count() <= LARGEST_COMMENT);
        let _ = (json(&report), sarif(&report, &|_| None, "main.tf"), text(&report));
    }
});
