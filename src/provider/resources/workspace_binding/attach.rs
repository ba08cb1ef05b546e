//! Attaching keys to a workspace, in the same order on every cloud: the binding reads the workspace, proves the keys, refuses what is not proven,
//! waits for the lock of the workspace, reads it again where the first read is old, sends, watches, gives the lock back, and explains what failed.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{CREATE, Examined, UPDATE, WorkspaceBindingModel};
use crate::preflight::{Finding, Stage};
use crate::provider::attach::{Failure, Orders, Platform, attach as attach_to};
use crate::provider::cache::live;
use crate::provider::client::{Client, enforce};
use crate::provider::deadline::Deadline;
use crate::provider::diagnose::as_warnings;
use crate::provider::keys::KeyCheck;
use crate::provider::resources::former_key::remember_former;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::duration::GoDuration;
use tfplugin::resource::Progress;

/// An attach: what the plan wants, and what was there before.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The context of the run.
    pub(super) cx: &'a Context<Client>,
    /// What Terraform asks the apply to reach.
    pub(super) plan: &'a WorkspaceBindingModel,
    /// The binding in the state; `None` for a new one.
    pub(super) prior: Option<&'a WorkspaceBindingModel>,
    /// Saves in the state what is true, even if the apply fails.
    pub(super) progress: &'a Progress<WorkspaceBindingModel>,
    /// By when the workspace must show the keys.
    pub(super) deadline: Deadline,
}

impl Wanted<'_> {
    /// How the attach waits, from the attributes of the plan. `usual`: the settle time, unless the user sets one.
    pub(super) fn orders(&self, keys: Vec<KeyCheck>, usual: Duration) -> Orders {
        let length = |attribute: &Attr<GoDuration>| attribute.known().map(GoDuration::length);
        Orders {
            keys,
            deadline: self.deadline,
            wait_for_compute: length(&self.plan.wait_for_compute).unwrap_or_default(),
            settle_time: length(&self.plan.settle_time).unwrap_or(usual),
            stops: self.cx.client().stops(&self.plan.ignore_findings),
        }
    }
}

/// A workspace of one cloud, as its binding attaches keys to it.
pub(super) trait Workspaces: Sync {
    /// A workspace as its platform shows it.
    type Workspace: Clone + Send + Sync;
    /// Reads a workspace, and changes its keys.
    type Platform<'a>: Platform<Workspace = Self::Workspace> + Send + Sync
    where
        Self: 'a;

    /// Whether a key policy of the run may have changed the workspace while its proof waited for that policy.
    const POLICIES_CHANGE_IT: bool;

    /// The attribute that a finding is about.
    fn place(finding: &Finding) -> &'static str;

    /// The key that a rotation of managed services takes from the workspace; `None` where there is none, or where the provider can no longer
    /// name it.
    fn former_key(
        &self,
        wanted: Wanted<'_>,
    ) -> impl Future<Output = Result<Option<String>, Diagnostics>> + Send;

    /// Reads the workspace. Where the plan changes nothing of it, a read of the last minute by
    /// another resource is enough.
    fn read(
        &self,
        wanted: Wanted<'_>,
    ) -> impl Future<Output = Result<Self::Workspace, Diagnostics>> + Send;

    /// Whether the workspace lacks keys that the plan wants.
    fn is_missing(&self, wanted: Wanted<'_>, now: &Self::Workspace) -> bool;

    /// The findings of the proof, and the keys that the attach watches.
    fn examine(
        &self,
        wanted: Wanted<'_>,
        now: &Self::Workspace,
    ) -> impl Future<Output = Result<Examined, Diagnostics>> + Send;

    /// Waits for the lock of the workspace. A binding holds it while it reads, changes and watches the
    /// workspace: two resources of a run may change the same one.
    fn lock(&self, wanted: Wanted<'_>) -> impl Future<Output = OwnedMutexGuard<()>> + Send;

    /// The platform and the orders of the attach, once everything is there that the platform needs first.
    fn ready<'a>(
        &'a self,
        wanted: Wanted<'a>,
        now: &Self::Workspace,
        keys: Vec<KeyCheck>,
    ) -> impl Future<Output = Result<(Self::Platform<'a>, Orders), Diagnostics>> + Send;

    /// Effect: drops what this run has read of the workspace if the attach changed it, and keeps for other resources which keys it had before.
    /// `after`: the workspace as the last read showed it.
    fn was_changed(&self, wanted: Wanted<'_>, before: &Self::Workspace, after: &Self::Workspace);

    /// Does what is left once the keys are attached. Returns the binding as the workspace shows it.
    fn complete(
        &self,
        wanted: Wanted<'_>,
        now: Self::Workspace,
    ) -> impl Future<Output = Result<WorkspaceBindingModel, Diagnostics>> + Send;

    /// The workspace after a failure; `seen` is what the attach saw last.
    fn after_failure(
        &self,
        wanted: Wanted<'_>,
        seen: Self::Workspace,
    ) -> impl Future<Output = Self::Workspace> + Send;

    /// The planned binding with the keys that the workspace has.
    ///
    /// # Errors
    /// When the workspace shows a key that the provider cannot read.
    fn truth(
        &self,
        wanted: Wanted<'_>,
        now: &Self::Workspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics>;
}

/// Attaches the keys that the workspace lacks, and waits until it has kept them for the settle time.
///
/// # Errors
/// When the proof fails, the platform refuses, or the keys do not stay: the state has what is true.
pub(super) fn attach<'a, W: Workspaces + 'a>(
    workspaces: &'a W,
    cx: &'a Context<Client>,
    plan: &'a WorkspaceBindingModel,
    prior: Option<&'a WorkspaceBindingModel>,
    progress: &'a Progress<WorkspaceBindingModel>,
) -> Pin<Box<dyn Future<Output = Result<WorkspaceBindingModel, Diagnostics>> + Send + 'a>> {
    // Behind a pointer: it is a large future, and its lifetimes are not part of the future that waits for it.
    Box::pin(attached(workspaces, cx, plan, prior, progress))
}

async fn attached<W: Workspaces>(
    workspaces: &W,
    cx: &Context<Client>,
    plan: &WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let limit = if prior.is_some() { UPDATE } else { CREATE };
    let wanted = Wanted {
        cx,
        plan,
        prior,
        progress,
        deadline: Deadline::after(limit.of(&plan.timeouts)),
    };
    let former = workspaces.former_key(wanted).await?;
    let read_at = Instant::now();
    let mut before = workspaces.read(wanted).await?;
    let is_missing = workspaces.is_missing(wanted, &before);
    let Examined { findings, keys } = workspaces.examine(wanted, &before).await?;
    // The provider can no longer stop an attach that is done, only report what is wrong with it.
    let findings = match is_missing {
        true => findings,
        false => as_warnings(findings),
    };
    enforce(cx, findings, &plan.ignore_findings, Stage::Apply, W::place)?;
    let alone = workspaces.lock(wanted).await;
    if W::POLICIES_CHANGE_IT || is_missing && read_at < live() {
        before = workspaces.read(wanted).await?;
    }
    let (platform, orders) = workspaces.ready(wanted, &before, keys).await?;
    let look = platform.seen(before.clone());
    let outcome = attach_to(cx, &platform, look, &orders).await;
    // A key policy that is putting its policy may wait for this lock, and the examination below waits for that
    // policy: with the lock held, neither would go on.
    drop(alone);
    let seen = match &outcome {
        Ok(now) => now,
        Err(failure) => &failure.now,
    };
    workspaces.was_changed(wanted, &before, seen);
    let may_have_changed = outcome
        .as_ref()
        .err()
        .is_none_or(|failure| failure.was_sent);
    if may_have_changed && let Some(key) = former {
        remember_former(cx, plan.name(), key);
    }
    match outcome {
        Ok(now) => workspaces.complete(wanted, now).await,
        Err(failure) => Err(explained(workspaces, wanted, *failure).await),
    }
}

/// The diagnostics of a failed attach; it also saves in the state what is true. A new binding stays out of the state: Terraform would replace
/// it if the apply saved it together with an error. The next apply finds what is true in the workspace itself.
async fn explained<W: Workspaces>(
    workspaces: &W,
    wanted: Wanted<'_>,
    failure: Failure<W::Workspace>,
) -> Diagnostics {
    let mut all = failure.diagnostics;
    // A refused update can leave its mark on the workspace.
    let now = workspaces.after_failure(wanted, failure.now).await;
    if failure.is_about_the_key
        && let Ok(examined) = workspaces.examine(wanted, &now).await
    {
        all.extend(wanted.cx.client().report(
            examined.findings,
            &wanted.plan.ignore_findings,
            Stage::Apply,
            W::place,
        ));
    }
    // Where the provider cannot read the key, the state stays what it was.
    if wanted.prior.is_some()
        && let Ok(truth) = workspaces.truth(wanted, &now)
    {
        wanted.progress.save(truth);
    }
    all
}
