//! What the proof of a binding came to, wherever its workspace is.

use std::cmp::Reverse;

use crate::preflight::Finding;
use crate::provider::keys::KeyCheck;

/// What was found, and of which keys.
#[derive(Default)]
pub(super) struct Examined {
    /// What the proof found.
    pub(super) findings: Vec<Finding>,
    /// The keys that the binding is going to attach.
    pub(super) keys: Vec<KeyCheck>,
}

impl Examined {
    /// Adds a finding. One that concerns the workspace or a key as a whole counts once, also when several attributes name the key.
    pub(super) fn add(&mut self, finding: Finding) {
        let said = self.findings.iter().any(|other| {
            other.id == finding.id
                && other.summary == finding.summary
                && other.found == finding.found
        });
        if !said {
            self.findings.push(finding);
        }
    }

    /// The same, errors first.
    pub(super) fn errors_first(mut self) -> Self {
        self.findings
            .sort_by_key(|finding| Reverse(finding.severity));
        self
    }
}
