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
    /// By the key, and by what tells several policies of one key apart.
    policies: BTreeMap<(Key, String), PolicyStep>,
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

impl PolicyProgress {
    fn of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = PolicyStep> + 'a {
        let own = self.policies.iter().filter(move |((one, _), _)| one == key);
        own.map(|(_, step)| *step)
    }
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
        self.one_came_to(key, "", step);
    }

    /// The same where a key may have several of them, one for each workspace: `of` tells them apart.
    pub fn one_came_to(&self, key: Option<Key>, of: &str, step: PolicyStep) {
        self.progress.send_modify(|progress| match key {
            Some(key) => {
                progress.policies.insert((key, of.to_owned()), step);
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
        progress.of(key).any(|step| step == PolicyStep::Putting)
    }

    /// Whether a `dbxcmk_key_policy` of the configuration may still change what the proof of a key finds.
    pub(super) fn expects(&self, key: &Key, stage: Stage, progress: &PolicyProgress) -> bool {
        let all = *self
            .expected
            .get_or_init(|| resource_blocks("dbxcmk_key_policy"));
        let mut steps = progress.of(key).peekable();
        if steps.peek().is_none() {
            return progress.policies.len() + progress.without_key < all;
        }
        stage == Stage::Apply && steps.any(|step| step != PolicyStep::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::azure::{AzureNameError, VaultKeyId};

    /// Each row: how far the policies of two workspaces are with the key that they share, and whether a proof of it may still change at plan
    /// and at apply.
    #[test]
    fn one_policy_of_a_key_does_not_speak_for_another() -> Result<(), AzureNameError> {
        use PolicyStep::{Done, Putting, WillPut};
        let id: VaultKeyId = "https://acme.vault.azure.net/keys/main".parse()?;
        let key = Key::from(id);
        let rows = [
            (Done, Done, false, false),
            (Done, WillPut, false, true),
            (WillPut, Done, false, true),
            (Putting, Done, false, true),
        ];
        for (a, b, at_plan, at_apply) in rows {
            let walk = PolicyWalk::new();
            walk.one_came_to(Some(key.clone()), "a", a);
            walk.one_came_to(Some(key.clone()), "b", b);
            let progress = walk.subscribe().borrow().clone();
            let expects = |stage| walk.expects(&key, stage, &progress);
            assert_eq!(
                (expects(Stage::Plan), expects(Stage::Apply)),
                (at_plan, at_apply),
                "{a:?} {b:?}"
            );
        }
        Ok(())
    }
}
