//! What surrounds the proof of a key, the same on every cloud: how old a read may be, how a proof waits for the key policies of the same run, and
//! when the provider examines again before it refuses.
//!
//! **How old a read may be.** A plan rests on a read of its run. An apply rests on a read that began after the last write of this run to the key,
//! and within the last minute. Before a refusal stops it, the provider reads again what is older than the examination; right before it sends an attach,
//! what is older than a quarter of a minute. [`Staged`] keeps the first two sentences, [`examined`] and [`examined_again`] the third.
//!
//! [`Staged`]: crate::provider::cache::Staged

use std::future::Future;

use tokio::time::Instant;

use super::policy_progress::{Awaited, PATIENCE, PolicyWalk};
use crate::preflight::{Finding, Severity, Stage, without_policy};
use crate::vocabulary::Key;

/// Whether a proof waits for the key policies of the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The proof waits for them, so that the order in which Terraform visits the resources does not matter.
    ForPolicies,
    /// The proof does not wait, and judges what is true now. A caller that holds a lock which a key policy may need must
    /// not wait for that policy: each would wait for the other.
    No,
}

/// What a proof is about: from it, the proof knows for which policies it waits.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The key, in the form in which key policies report theirs.
    pub(super) key: Key,
    /// The workspace, where each has a key policy of its own (Azure).
    pub(super) workspace: Option<String>,
    /// Whether Terraform plans or applies.
    pub(super) stage: Stage,
}

/// A key service, as proofs use it. It has its own facts, its own questions and its own judge.
pub(super) trait Service: Sync {
    /// A key, and what a proof asks of it.
    type KeyCheck: Sync;

    /// The key, the workspace and the stage of a check.
    fn about(&self, check: &Self::KeyCheck) -> About;

    /// What the proof finds, from reads that are young enough for the stage of the check.
    fn judged(&self, check: &Self::KeyCheck) -> impl Future<Output = Vec<Finding>> + Send;

    /// Whether the run has read a fact on which the proof of a check may rest.
    fn has_been_read(&self, check: &Self::KeyCheck) -> bool;

    /// Effect: drops what the run read for a check before `moment`. `false` when there was no such read.
    fn forget_before(
        &self,
        moment: Instant,
        check: &Self::KeyCheck,
    ) -> impl Future<Output = bool> + Send;
}

/// A question that [`settled`] asks again and again, until the answer is enough or no key policy of the run can change it.
pub(super) trait Look: Send {
    /// The answer.
    type Found: Send;

    /// The answer now, and whether a key policy may change it.
    fn look(&mut self) -> impl Future<Output = (Self::Found, bool)> + Send;
}

/// Asks until the answer is enough, waiting for the key policies of the run in between. Returns the
/// last answer, and whether a policy that did not come in time may still change it.
pub(super) async fn settled<L: Look>(
    walk: &PolicyWalk,
    about: &About,
    waits: Waits,
    mut what: L,
) -> (L::Found, bool) {
    let mut policies = walk.subscribe();
    let patience = Instant::now() + PATIENCE;
    let asked = Awaited {
        key: &about.key,
        workspace: about.workspace.as_deref(),
    };
    loop {
        let progress = policies.borrow_and_update().clone();
        let (found, may_change) = what.look().await;
        let is_over =
            waits == Waits::No || !may_change || !walk.expects(asked, about.stage, &progress);
        if is_over {
            return (found, false);
        }
        if walk.is_putting(&about.key, &progress) {
            // The policy resource is putting its policy: that can take minutes, and always ends.
            let _ = policies.changed().await;
        } else if tokio::time::timeout_at(patience, policies.changed())
            .await
            .is_err()
        {
            return (found, walk.is_open(asked, &progress));
        }
    }
}

struct Examination<'a, S: Service> {
    service: &'a S,
    check: &'a S::KeyCheck,
    stage: Stage,
}

impl<S: Service> Look for Examination<'_, S> {
    type Found = Vec<Finding>;

    async fn look(&mut self) -> (Vec<Finding>, bool) {
        let findings = self.service.judged(self.check).await;
        let may_change = findings
            .iter()
            .any(|one| one.id.by_policy().is_waited_for(self.stage));
        (findings, may_change)
    }
}

/// What the proof finds for a check, once it has waited for the policies that it `waits` for.
pub(super) async fn examine<S: Service>(
    service: &S,
    walk: &PolicyWalk,
    check: &S::KeyCheck,
    waits: Waits,
) -> Vec<Finding> {
    let about = service.about(check);
    let what = Examination {
        service,
        check,
        stage: about.stage,
    };
    let (findings, in_vain) = settled(walk, &about, waits, what).await;
    match about.stage {
        // The policy that did not come in time may grant it; the apply examines the key again.
        Stage::Plan if in_vain => without_policy(findings, &about.key, walk.may_apply()),
        Stage::Plan | Stage::Apply => findings,
    }
}

/// Examines keys of any cloud.
pub(super) trait Examiner {
    /// A key, and what a proof asks of it.
    type KeyCheck;

    /// Whether the proof of a check may rest on a read from before the examination.
    fn has_been_read(&self, check: &Self::KeyCheck) -> bool;

    /// Effect: drops what the run read for a check before `moment`. `false` when there was no such read.
    fn forget_before(
        &self,
        moment: Instant,
        check: &Self::KeyCheck,
    ) -> impl Future<Output = bool> + Send;

    /// What the proof finds for each check.
    fn examine_once(
        &self,
        checks: &[Self::KeyCheck],
    ) -> impl Future<Output = Vec<Vec<Finding>>> + Send;
}

/// What the proof finds for each check. While Terraform applies, the provider examines a refused check once more: it may rest on a read for another
/// resource, older than the resource for which this one waited in Terraform's order, such as a key policy of another provider.
pub(super) async fn examined<E: Examiner>(
    by: &E,
    is_applying: bool,
    checks: &[E::KeyCheck],
) -> Vec<Vec<Finding>> {
    let begun = Instant::now();
    // The answer counts from now: another resource that the provider refuses at the same time may drop the read and fetch again.
    let rests: Vec<bool> = checks.iter().map(|check| by.has_been_read(check)).collect();
    let findings = by.examine_once(checks).await;
    if !is_applying {
        return findings;
    }
    let mut is_old = false;
    for ((check, found), rests) in checks.iter().zip(&findings).zip(rests) {
        if found.iter().any(|one| one.severity == Severity::Error) {
            is_old |= rests;
            is_old |= by.forget_before(begun, check).await;
        }
    }
    match is_old {
        true => by.examine_once(checks).await,
        false => findings,
    }
}

/// What the proof says about each check, if a read behind it began before `earliest` or this run has forgotten it; `None` if every read is younger,
/// so that the earlier answer stands.
pub(super) async fn examined_again<E: Examiner>(
    by: &E,
    earliest: Instant,
    checks: &[E::KeyCheck],
) -> Option<Vec<Vec<Finding>>> {
    let mut is_old = false;
    for check in checks {
        is_old |= !by.has_been_read(check);
        is_old |= by.forget_before(earliest, check).await;
    }
    match is_old {
        true => Some(examined(by, true, checks).await),
        false => None,
    }
}

#[cfg(test)]
mod tests;
