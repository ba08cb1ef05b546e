//! How far the `dbxcmk_key_policy` resources of a configuration are in this walk, so that a proof can wait for the one of its key.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use super::configured::resource_blocks;
use crate::preflight::Stage;
use crate::vocabulary::Key;

/// How far the `dbxcmk_key_policy` of a key is in this walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyStep {
    /// It is planned, and an apply will put a policy.
    WillPut,
    /// It is being put, which may take long.
    Putting,
    /// It has put its policy, has failed to, or has nothing to put.
    Done,
}

/// How far each of them is.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyProgress {
    keys: BTreeMap<Key, PolicyStep>,
    /// Those whose key is not known yet.
    without_key: usize,
}

/// How long a proof waits for the `dbxcmk_key_policy` of its key. Terraform works on several resources at once, and the policy
/// depends on nothing that waits; with `-parallelism=1` it cannot come before the proof ends.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The progress of all of them, whatever their cloud.
pub struct PolicyWalk {
    progress: watch::Sender<PolicyProgress>,
    expected: OnceLock<usize>,
}

impl PolicyWalk {
    /// None has come yet.
    pub(super) fn new() -> Self {
        Self {
            progress: watch::Sender::default(),
            expected: OnceLock::new(),
        }
    }

    /// Effect: the `dbxcmk_key_policy` of a key has come this far in this walk; `None` for one whose key is not known yet. Proofs
    /// that wait for it go on.
    pub fn came_to(&self, key: Option<Key>, step: PolicyStep) {
        self.progress.send_modify(|progress| match key {
            Some(key) => {
                progress.keys.insert(key, step);
            }
            None => progress.without_key += 1,
        });
    }

    /// What tells of progress.
    pub(super) fn subscribe(&self) -> watch::Receiver<PolicyProgress> {
        self.progress.subscribe()
    }

    /// Whether the policy of a key is being put right now, so that its end can be waited for.
    pub(super) fn is_putting(&self, key: &Key, progress: &PolicyProgress) -> bool {
        progress.keys.get(key) == Some(&PolicyStep::Putting)
    }

    /// Whether a `dbxcmk_key_policy` of the configuration may still change what the proof of a key finds.
    pub(super) fn expects(&self, key: &Key, stage: Stage, progress: &PolicyProgress) -> bool {
        let all = *self
            .expected
            .get_or_init(|| resource_blocks("dbxcmk_key_policy"));
        match (progress.keys.get(key), stage) {
            (Some(PolicyStep::Done), _) | (Some(PolicyStep::WillPut), Stage::Plan) => false,
            (Some(PolicyStep::WillPut | PolicyStep::Putting), Stage::Apply) => true,
            (Some(PolicyStep::Putting), Stage::Plan) => false,
            (None, _) => progress.keys.len() + progress.without_key < all,
        }
    }
}
