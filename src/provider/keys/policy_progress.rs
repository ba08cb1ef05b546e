//! How far the `dbxcmk_key_policy` resources of a configuration are in this walk of Terraform's. A proof waits for the policy of
//! its key, because Terraform visits the resources in an order of its own.

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
    /// Terraform has planned it, and an apply will put a policy.
    WillPut,
    /// The provider is putting the policy, which may take long.
    Putting,
    /// The provider has put the policy, or failed to, or has nothing to put.
    Done,
}

/// How far each key policy is.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyProgress {
    /// The policies with a known key, by the key and by what tells several policies of one key apart.
    policies: BTreeMap<(Key, String), PolicyStep>,
    /// The policies whose key Terraform does not know yet, by what tells them apart. A name counts once:
    /// Terraform plans a resource twice that it replaces.
    without_key: BTreeSet<String>,
}

/// How long a proof waits for the `dbxcmk_key_policy` of its key to come. Terraform works on several resources at once, and the policy depends on
/// nothing that waits; with `-parallelism=1`, Terraform starts the policy only after the proof has stopped waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The progress of the key policies of all clouds: key policies write it, and proofs wait for it.
pub struct PolicyWalk {
    progress: watch::Sender<PolicyProgress>,
    expected: OnceLock<Blocks>,
    was_read: AtomicBool,
}

/// A guard: while a key policy holds it, proofs of its key wait. Dropping it lets them go on.
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

/// What a proof waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited<'a> {
    /// The key whose policy the proof waits for.
    pub(super) key: &'a Key,
    /// The workspace that the proof is about, where each workspace has a key policy of its own (Azure).
    pub(super) workspace: Option<&'a str>,
}

impl PolicyProgress {
    fn of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = PolicyStep> + 'a {
        let own = self.policies.iter().filter(move |((one, _), _)| one == key);
        own.map(|(_, step)| *step)
    }

    /// Whether a policy has come that decides what the proof asks: the one of its workspace where each has its own,
    /// otherwise any one of the key.
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
    /// A walk to which no key policy has come yet.
    pub(super) fn new() -> Self {
        Self {
            progress: watch::Sender::default(),
            expected: OnceLock::new(),
            was_read: AtomicBool::new(false),
        }
    }

    /// Effect: proofs wait for no policy, because Terraform does not run: no `dbxcmk_key_policy` of
    /// any directory will come.
    pub(super) fn expects_none(&self) {
        let none = Blocks {
            once: 0,
            repeated: 0,
        };
        // A proof that has begun to wait keeps the number that it read first.
        let _ = self.expected.set(none);
    }

    /// Effect: a `dbxcmk_key_policy` of a key has come this far in this walk, and the proofs that wait for it look again; `key` is `None` while
    /// Terraform does not know it. `of`: what tells several policies of one key apart; on Azure, the workspace that it is for. Without a key,
    /// what tells it from all others.
    pub(super) fn came_to(&self, key: Option<Key>, of: &str, step: PolicyStep) {
        self.progress.send_modify(|progress| match key {
            Some(key) => {
                progress.without_key.remove(of);
                progress.policies.insert((key, of.to_owned()), step);
            }
            None => drop(progress.without_key.insert(of.to_owned())),
        });
    }

    /// Effect: Terraform has planned a `dbxcmk_key_policy`, or its plan has failed; an apply will put a policy if it `will_put`.
    pub fn is_planned(&self, key: Option<Key>, of: &str, will_put: bool) {
        let step = match will_put {
            true => PolicyStep::WillPut,
            false => PolicyStep::Done,
        };
        self.came_to(key, of, step);
    }

    /// Effect: proofs of the key wait until the caller, which puts its `dbxcmk_key_policy`, drops the guard. That also happens
    /// when the put fails or Terraform interrupts it.
    #[must_use]
    pub fn putting(&self, key: Option<Key>, of: String) -> Putting<'_> {
        self.came_to(key.clone(), &of, PolicyStep::Putting);
        Putting {
            walk: self,
            key,
            of,
        }
    }

    /// Effect: Terraform refreshed an object, so this process does not apply a saved plan.
    pub fn saw_read(&self) {
        self.was_read.store(true, Ordering::Relaxed);
    }

    /// Whether Terraform may be applying a saved plan: it then refreshes nothing, and plans again only the resources that change.
    pub(super) fn may_apply(&self) -> bool {
        !self.was_read.load(Ordering::Relaxed)
    }

    /// A receiver that wakes when any policy takes a step.
    pub(super) fn subscribe(&self) -> watch::Receiver<PolicyProgress> {
        self.progress.subscribe()
    }

    /// Whether the provider is putting the policy of a key right now: a proof then waits for the
    /// end of the put, without a limit of its own.
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

    /// Whether a policy that did not come in time may still give the access that the proof misses.
    pub(super) fn is_open(&self, asked: Awaited<'_>, progress: &PolicyProgress) -> bool {
        is_open(asked, progress, self.expected())
    }
}

fn expects(asked: Awaited<'_>, stage: Stage, progress: &PolicyProgress, expected: Blocks) -> bool {
    let all_came = progress.came() >= expected.once + expected.repeated;
    match stage {
        // The provider does not know how many instances a block has, so another policy may come in any case.
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

    /// Each row: how far the policies of two workspaces are with the key that they share, and whether a proof of it waits at apply.
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
    /// the proof waits at plan, and whether its findings after that are only a warning.
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
            // On the other clouds, each policy of a key may be for any workspace.
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

    /// Each row: the policies whose key Terraform does not know yet (`-`) or knows (`+`), by their names, and how many of two have come.
    #[test]
    fn one_that_is_planned_twice_comes_once() -> Result<(), AzureNameError> {
        let key = key()?;
        let rows: [(&[&str], usize); 7] = [
            (&[], 0),
            (&["-a"], 1),
            // Terraform plans a resource twice that it replaces.
            (&["-a", "-a"], 1),
            (&["-a", "-b"], 2),
            // Terraform learns its key in the meantime.
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
            // A policy that has come with its key decides for the key.
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
    /// blocks there are, once and repeated; and whether a proof waits at apply.
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
            // A policy that decides for the key and is done leaves the proof nothing to wait for, however
            // many blocks there are.
            (&[("a", Done)], None, (3, 1), false),
            (&[("a", Done)], Some("A"), (3, 1), false),
            // The policy of another workspace does not decide for this one.
            (&[("b", Done)], Some("a"), (2, 0), true),
            (&[("b", Done)], Some("a"), (1, 0), false),
            (&[("b", Putting)], Some("a"), (1, 0), true),
            (&[("a", Done), ("b", WillPut)], Some("a"), (2, 0), true),
            // Nor does the policy of another key, which counts all the same.
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

    /// Each step of a policy wakes a proof that waits, and a process in which Terraform refreshed nothing may be an apply.
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
