//! How far the `dbxcmk_key_policy` resources of a configuration are in this walk, so that a proof can wait for the one of its key.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::configured::{Blocks, blocks};
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
    expected: OnceLock<Blocks>,
    was_read: AtomicBool,
}

/// The key whose policy a proof waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited<'a> {
    /// The key.
    pub(super) key: &'a Key,
    /// The workspace that the proof is about, where each has a key policy of its own.
    pub(super) workspace: Option<&'a str>,
}

impl PolicyProgress {
    fn of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = PolicyStep> + 'a {
        let own = self.policies.iter().filter(move |((one, _), _)| one == key);
        own.map(|(_, step)| *step)
    }

    /// Whether one has come that speaks for what is asked: for the workspace where each has its own, otherwise for the key.
    fn has_spoken(&self, asked: Awaited<'_>) -> bool {
        let mut own = self.policies.keys().filter(|(key, _)| key == asked.key);
        own.any(|(_, of)| {
            asked
                .workspace
                .is_none_or(|own| of.eq_ignore_ascii_case(own))
        })
    }

    fn came(&self) -> usize {
        self.policies.len() + self.without_key
    }
}

impl PolicyWalk {
    /// None has come yet.
    pub(super) fn new() -> Self {
        Self {
            progress: watch::Sender::default(),
            expected: OnceLock::new(),
            was_read: AtomicBool::new(false),
        }
    }

    /// Effect: a `dbxcmk_key_policy` of a key has come this far in this walk; `None` for one whose key is not known yet. Proofs that wait for it
    /// go on. `of`: what tells several policies of one key apart; on Azure, the workspace that it is for.
    pub fn came_to(&self, key: Option<Key>, of: &str, step: PolicyStep) {
        self.progress.send_modify(|progress| match key {
            Some(key) => {
                progress.policies.insert((key, of.to_owned()), step);
            }
            None => progress.without_key += 1,
        });
    }

    /// Effect: Terraform had an object read.
    pub fn saw_read(&self) {
        self.was_read.store(true, Ordering::Relaxed);
    }

    /// Whether Terraform may be applying a plan: then it reads nothing, and plans again what changes, without what does not.
    pub(super) fn may_apply(&self) -> bool {
        !self.was_read.load(Ordering::Relaxed)
    }

    /// What tells of progress.
    pub(super) fn subscribe(&self) -> watch::Receiver<PolicyProgress> {
        self.progress.subscribe()
    }

    /// Whether the policy of a key is being put right now, so that its end can be waited for.
    pub(super) fn is_putting(&self, key: &Key, progress: &PolicyProgress) -> bool {
        progress.of(key).any(|step| step == PolicyStep::Putting)
    }

    fn expected(&self) -> Blocks {
        *self.expected.get_or_init(|| blocks("dbxcmk_key_policy"))
    }

    /// Whether a `dbxcmk_key_policy` of the configuration may still change what the proof of a key finds.
    pub(super) fn expects(
        &self,
        asked: Awaited<'_>,
        stage: Stage,
        progress: &PolicyProgress,
    ) -> bool {
        expects(asked, stage, progress, self.expected())
    }

    /// Whether one that was waited for in vain may give what is missing all the same.
    pub(super) fn is_open(&self, asked: Awaited<'_>, progress: &PolicyProgress) -> bool {
        is_open(asked, progress, self.expected())
    }
}

fn expects(asked: Awaited<'_>, stage: Stage, progress: &PolicyProgress, expected: Blocks) -> bool {
    let all_came = progress.came() >= expected.once + expected.repeated;
    match stage {
        // How many instances a block has is not known, so that another one may come in any case.
        Stage::Plan if asked.workspace.is_none() => !all_came || expected.repeated > 0,
        Stage::Plan => !progress.has_spoken(asked) && (!all_came || expected.repeated > 0),
        Stage::Apply => {
            let is_under_way = progress.of(asked.key).any(|step| step != PolicyStep::Done);
            is_under_way || (!all_came && !progress.has_spoken(asked))
        }
    }
}

fn is_open(asked: Awaited<'_>, progress: &PolicyProgress, expected: Blocks) -> bool {
    let all_came = progress.came() >= expected.once + expected.repeated;
    let is_of_another = asked.workspace.is_some() && progress.of(asked.key).next().is_some();
    !progress.has_spoken(asked) && (!all_came || (is_of_another && expected.repeated > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::azure::{AzureNameError, VaultKeyId};

    fn key() -> Result<Key, AzureNameError> {
        let id: VaultKeyId = "https://acme.vault.azure.net/keys/main".parse()?;
        Ok(Key::from(id))
    }

    /// Each row: how far the policies of two workspaces are with the key that they share, and whether a proof of it may still change at apply.
    #[test]
    fn one_policy_of_a_key_does_not_speak_for_another() -> Result<(), AzureNameError> {
        use PolicyStep::{Done, Putting, WillPut};
        let key = key()?;
        let all = Blocks {
            once: 2,
            repeated: 0,
        };
        let rows = [
            (Done, Done, false),
            (Done, WillPut, true),
            (WillPut, Done, true),
            (Putting, Done, true),
        ];
        for (a, b, at_apply) in rows {
            let walk = PolicyWalk::new();
            walk.came_to(Some(key.clone()), "a", a);
            walk.came_to(Some(key.clone()), "b", b);
            let progress = walk.subscribe().borrow().clone();
            let asked = Awaited {
                key: &key,
                workspace: None,
            };
            assert!(!expects(asked, Stage::Plan, &progress, all), "{a:?} {b:?}");
            let waits = expects(asked, Stage::Apply, &progress, all);
            assert_eq!(waits, at_apply, "{a:?} {b:?}");
        }
        Ok(())
    }

    /// Each row: which policies of the key have come, for which workspace the proof is, how many blocks there are, once and repeated, whether
    /// it waits at plan, and whether what it finds after that is only a warning.
    #[test]
    fn a_proof_waits_for_the_policy_of_its_own_workspace() -> Result<(), AzureNameError> {
        let key = key()?;
        let rows: [(&[&str], Option<&str>, (usize, usize), bool, bool); 10] = [
            (&[], Some("/w/A"), (1, 0), true, true),
            (&["/w/a"], Some("/w/A"), (2, 0), false, false),
            (&["/w/b"], Some("/w/A"), (2, 0), true, true),
            (&["/w/b"], Some("/w/A"), (1, 0), false, false),
            (&["/w/b"], Some("/w/A"), (0, 1), true, true),
            (&["/w/a", "/w/b"], Some("/w/A"), (0, 1), false, false),
            // On the other clouds, several policies of one key are for whomever.
            (&[], None, (0, 0), false, false),
            (&["1"], None, (2, 0), true, false),
            (&["1", "2"], None, (2, 0), false, false),
            (&["1"], None, (0, 1), true, false),
        ];
        for (came, workspace, (once, repeated), waits, open) in rows {
            let walk = PolicyWalk::new();
            for of in came {
                walk.came_to(Some(key.clone()), of, PolicyStep::WillPut);
            }
            let progress = walk.subscribe().borrow().clone();
            let (asked, all) = (
                Awaited {
                    key: &key,
                    workspace,
                },
                Blocks { once, repeated },
            );
            let found = (
                expects(asked, Stage::Plan, &progress, all),
                is_open(asked, &progress, all),
            );
            assert_eq!(
                found,
                (waits, open),
                "{came:?} {workspace:?} {once} {repeated}"
            );
        }
        Ok(())
    }
}
