//! How far the `dbxcmk_key_policy` resources of a configuration are in this walk, so that a proof can wait for the one of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::hcl_blocks::{Blocks, blocks};
use crate::preflight::Stage;
use crate::vocabulary::Key;

/// How far the `dbxcmk_key_policy` of a key is in this walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyStep {
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
    /// Those whose key is not known yet, by what tells them apart: Terraform plans twice what is to be replaced.
    without_key: BTreeSet<String>,
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

/// A key policy that is being put.
pub struct Putting<'a> {
    walk: &'a PolicyWalk,
    key: Option<Key>,
    of: String,
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        self.walk
            .came_to(self.key.take(), &self.of, PolicyStep::Done);
    }
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
        self.policies.len() + self.without_key.len()
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

    /// Effect: this is no walk of Terraform: no `dbxcmk_key_policy` of any directory will come.
    pub(super) fn expects_none(&self) {
        let none = Blocks {
            once: 0,
            repeated: 0,
        };
        // Who has begun to wait goes on.
        let _ = self.expected.set(none);
    }

    /// Effect: a `dbxcmk_key_policy` of a key has come this far in this walk; `None` for one whose key is not known yet. Proofs that wait for it
    /// go on. `of`: what tells several policies of one key apart; on Azure, the workspace that it is for. Without a key, what tells it from all
    /// others.
    pub(super) fn came_to(&self, key: Option<Key>, of: &str, step: PolicyStep) {
        self.progress.send_modify(|progress| match key {
            Some(key) => {
                progress.without_key.remove(of);
                progress.policies.insert((key, of.to_owned()), step);
            }
            None => drop(progress.without_key.insert(of.to_owned())),
        });
    }

    /// Effect: a `dbxcmk_key_policy` is planned, or its plan has failed; an apply will put a policy if it `will_put`.
    pub fn is_planned(&self, key: Option<Key>, of: &str, will_put: bool) {
        let step = match will_put {
            true => PolicyStep::WillPut,
            false => PolicyStep::Done,
        };
        self.came_to(key, of, step);
    }

    /// Effect: a `dbxcmk_key_policy` is being put, until what this gives is dropped, also where putting it fails or is broken off.
    #[must_use]
    pub fn putting(&self, key: Option<Key>, of: String) -> Putting<'_> {
        self.came_to(key.clone(), &of, PolicyStep::Putting);
        Putting {
            walk: self,
            key,
            of,
        }
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

    /// Each row: the policies whose key is not known yet (`-`) or known (`+`), by their names, and how many have come of two.
    #[test]
    fn one_that_is_planned_twice_comes_once() -> Result<(), AzureNameError> {
        let key = key()?;
        let rows: [(&[&str], usize); 7] = [
            (&[], 0),
            (&["-a"], 1),
            // What is to be replaced is planned twice.
            (&["-a", "-a"], 1),
            (&["-a", "-b"], 2),
            // Its key is known in the meantime.
            (&["-a", "+a"], 1),
            (&["+a", "+a"], 1),
            (&["-a", "+b"], 2),
        ];
        for (all, came) in rows {
            let walk = PolicyWalk::new();
            for one in all {
                let (mark, of) = one.split_at(1);
                walk.came_to((mark == "+").then(|| key.clone()), of, PolicyStep::WillPut);
            }
            let progress = walk.subscribe().borrow().clone();
            assert_eq!(progress.came(), came, "{all:?}");
            let asked = Awaited {
                key: &key,
                workspace: None,
            };
            let two = Blocks {
                once: 2,
                repeated: 0,
            };
            assert_eq!(
                expects(asked, Stage::Plan, &progress, two),
                came < 2,
                "{all:?}"
            );
            // Whoever has come for the key speaks for it.
            let has_spoken = all.iter().any(|one| one.starts_with('+'));
            assert_eq!(
                is_open(asked, &progress, two),
                came < 2 && !has_spoken,
                "{all:?}"
            );
        }
        Ok(())
    }

    /// Each row: how far the policies of the key (and of another one, with `/`) are, by their workspaces; the workspace of the proof; how many
    /// blocks there are, once and repeated; and whether an apply waits.
    #[test]
    fn an_apply_waits_for_what_is_under_way_and_for_what_may_still_come()
    -> Result<(), AzureNameError> {
        use PolicyStep::{Done, Putting, WillPut};
        let (key, other) = (
            key()?,
            Key::from("https://acme.vault.azure.net/keys/other".parse::<VaultKeyId>()?),
        );
        type Row<'a> = (
            &'a [(&'a str, PolicyStep)],
            Option<&'a str>,
            (usize, usize),
            bool,
        );
        let rows: [Row<'_>; 17] = [
            (&[], None, (0, 0), false),
            (&[], None, (1, 0), true),
            (&[], None, (0, 1), true),
            (&[], Some("a"), (1, 0), true),
            (&[("a", Done)], None, (1, 0), false),
            (&[("a", WillPut)], None, (1, 0), true),
            (&[("a", Putting)], None, (1, 0), true),
            // One that speaks for the key and is done leaves nothing to wait for, however many there are.
            (&[("a", Done)], None, (3, 1), false),
            (&[("a", Done)], Some("A"), (3, 1), false),
            // That of another workspace does not speak for this one.
            (&[("b", Done)], Some("a"), (2, 0), true),
            (&[("b", Done)], Some("a"), (1, 0), false),
            (&[("b", Putting)], Some("a"), (1, 0), true),
            (&[("a", Done), ("b", WillPut)], Some("a"), (2, 0), true),
            // Nor does that of another key, which counts all the same.
            (&[("/a", WillPut)], None, (1, 0), false),
            (&[("/a", WillPut)], None, (2, 0), true),
            (&[("/a", Putting), ("a", Done)], None, (2, 0), false),
            (&[("/a", Done), ("/b", Done)], Some("a"), (1, 1), false),
        ];
        for (all, workspace, (once, repeated), waits) in rows {
            let walk = PolicyWalk::new();
            for (of, step) in all {
                let (key, of) = match of.strip_prefix('/') {
                    Some(of) => (other.clone(), of),
                    None => (key.clone(), *of),
                };
                walk.came_to(Some(key), of, *step);
            }
            let progress = walk.subscribe().borrow().clone();
            let (asked, blocks) = (
                Awaited {
                    key: &key,
                    workspace,
                },
                Blocks { once, repeated },
            );
            let found = expects(asked, Stage::Apply, &progress, blocks);
            assert_eq!(found, waits, "{all:?} {workspace:?} {once} {repeated}");
            let is_put_now = all
                .iter()
                .any(|(of, step)| !of.starts_with('/') && *step == Putting);
            assert_eq!(walk.is_putting(&key, &progress), is_put_now, "{all:?}");
        }
        Ok(())
    }

    /// A proof that waits is woken by each step, and a process in which nothing was read may be an apply.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken() -> Result<(), Box<dyn std::error::Error>> {
        let walk = PolicyWalk::new();
        assert!(walk.may_apply());
        walk.saw_read();
        assert!(!walk.may_apply());
        let mut progress = walk.subscribe();
        let key = key()?;
        for step in [PolicyStep::WillPut, PolicyStep::Putting, PolicyStep::Done] {
            assert!(!progress.has_changed()?);
            walk.came_to(Some(key.clone()), "a", step);
            progress.changed().await?;
            let steps: Vec<PolicyStep> = progress.borrow_and_update().of(&key).collect();
            assert_eq!(steps, [step]);
        }
        Ok(())
    }
}
