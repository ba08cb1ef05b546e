//! What surrounds the proof of a key, the same on every cloud: how old a read may be, waiting for the key policies of the same run, and examining
//! again what is refused.
//!
//! **How old a read may be.** A plan rests on a read of its run. An apply rests on a read that began after the last write of this run to the key,
//! and within the last minute; before a refusal stops it, what is older than the examination is read again. [`Staged`] keeps the first
//! two sentences, [`examined`] the third.
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
    /// It does, so that the order in which Terraform visits the resources does not matter.
    ForPolicies,
    /// It does not: it is asked what is true now. Whoever holds what a key policy may need must not wait for that policy.
    No,
}

/// What a proof is about.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The key, as key policies name it.
    pub(super) key: Key,
    /// The workspace, where each has a key policy of its own.
    pub(super) workspace: Option<String>,
    /// When it is asked.
    pub(super) stage: Stage,
}

/// A key service, as proofs use it. Its facts, its questions and its judge are its own.
pub(super) trait Service: Sync {
    /// A key, and what is asked of it.
    type KeyCheck: Sync;

    /// What a case is about.
    fn about(&self, case: &Self::KeyCheck) -> About;

    /// What the proof finds, from reads that are young enough for the stage of the case.
    fn judged(&self, case: &Self::KeyCheck) -> impl Future<Output = Vec<Finding>> + Send;

    /// Whether something has been read that the proof of a case may rest on.
    fn has_been_read(&self, case: &Self::KeyCheck) -> bool;

    /// Effect: what was read for a case before this moment is not enough any more. `false` when there was nothing of the kind.
    fn forget_before(
        &self,
        moment: Instant,
        case: &Self::KeyCheck,
    ) -> impl Future<Output = bool> + Send;
}

/// Something that is looked at until it is enough, or until no key policy of the run can change it any more.
pub(super) trait Look: Send {
    /// What is found.
    type Found: Send;

    /// What is found now, and whether a key policy may change it.
    fn look(&mut self) -> impl Future<Output = (Self::Found, bool)> + Send;
}

/// What is found in the end, and whether a key policy that was waited for in vain may still change it.
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
            // Putting can take minutes, and comes to its end.
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
    case: &'a S::KeyCheck,
    stage: Stage,
}

impl<S: Service> Look for Examination<'_, S> {
    type Found = Vec<Finding>;

    async fn look(&mut self) -> (Vec<Finding>, bool) {
        let findings = self.service.judged(self.case).await;
        let may_change = findings
            .iter()
            .any(|one| one.id.by_policy().is_waited_for(self.stage));
        (findings, may_change)
    }
}

/// What the proof says about a case.
pub(super) async fn examine<S: Service>(
    service: &S,
    walk: &PolicyWalk,
    case: &S::KeyCheck,
    waits: Waits,
) -> Vec<Finding> {
    let about = service.about(case);
    let what = Examination {
        service,
        case,
        stage: about.stage,
    };
    let (findings, in_vain) = settled(walk, &about, waits, what).await;
    match about.stage {
        // The policy of this plan may grant it; the apply examines it again.
        Stage::Plan if in_vain => without_policy(findings, &about.key, walk.may_apply()),
        Stage::Plan | Stage::Apply => findings,
    }
}

/// Who examines cases of any cloud.
pub(super) trait Examiner {
    /// A key, and what is asked of it.
    type KeyCheck;

    /// Whether the proof of a case may rest on what was read before.
    fn has_been_read(&self, case: &Self::KeyCheck) -> bool;

    /// Effect: what was read for a case before this moment is not enough any more. `false` when there was nothing of the kind.
    fn forget_before(
        &self,
        moment: Instant,
        case: &Self::KeyCheck,
    ) -> impl Future<Output = bool> + Send;

    /// What the proof says about each case.
    fn examine_once(
        &self,
        cases: &[Self::KeyCheck],
    ) -> impl Future<Output = Vec<Vec<Finding>>> + Send;
}

/// What the proof says about each case. A case that is refused while Terraform applies is examined once more: what was read for another resource may
/// be older than what this one has waited for, such as a key policy that another provider puts.
pub(super) async fn examined<E: Examiner>(
    by: &E,
    is_applying: bool,
    cases: &[E::KeyCheck],
) -> Vec<Vec<Finding>> {
    let begun = Instant::now();
    // Another resource that is refused at the same time may replace what this one rests on before this one is refused.
    let rests: Vec<bool> = cases.iter().map(|case| by.has_been_read(case)).collect();
    let findings = by.examine_once(cases).await;
    if !is_applying {
        return findings;
    }
    let mut is_old = false;
    for ((case, found), rests) in cases.iter().zip(&findings).zip(rests) {
        if found.iter().any(|one| one.severity == Severity::Error) {
            is_old |= rests;
            is_old |= by.forget_before(begun, case).await;
        }
    }
    match is_old {
        true => by.examine_once(cases).await,
        false => findings,
    }
}

#[cfg(test)]
mod tests;
