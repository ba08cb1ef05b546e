//! Attaching keys to a workspace, in the same order on every cloud: read the workspace, prove, refuse what is not proven, take the workspace for this
//! resource alone, read it again where that read is old, send, watch, give the workspace back, and explain what failed.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{ATTACH, Examined, WorkspaceBindingModel};
use crate::preflight::{Finding, Stage};
use crate::provider::attach::{Failure, Orders, Platform, attach as attach_to};
use crate::provider::cache::live;
use crate::provider::client::{Client, enforce};
use crate::provider::deadline::Deadline;
use crate::provider::diagnose::as_warnings;
use crate::provider::keys::KeyCheck;
use crate::provider::resources::former_key::remember_former;
use crate::provider::resources::timeout;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::duration::GoDuration;
use tfplugin::resource::Progress;

/// An attach: what is wanted, and what was there before.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The run.
    pub(super) cx: &'a Context<Client>,
    /// What is planned.
    pub(super) plan: &'a WorkspaceBindingModel,
    /// The binding in the state, if it is there already.
    pub(super) prior: Option<&'a WorkspaceBindingModel>,
    /// Where what is true can be written whatever happens.
    pub(super) progress: &'a Progress<WorkspaceBindingModel>,
    /// When it has to be done.
    pub(super) deadline: Deadline,
}

impl Wanted<'_> {
    /// How the keys are watched. `usual`: how long, unless the user says so.
    pub(super) fn orders(&self, keys: Vec<KeyCheck>, usual: Duration) -> Orders {
        let length = |attribute: &Attr<GoDuration>| attribute.known().map(GoDuration::length);
        Orders {
            keys,
            deadline: self.deadline,
            wait_for_compute: length(&self.plan.wait_for_compute).unwrap_or_default(),
            settle_time: length(&self.plan.settle_time).unwrap_or(usual),
        }
    }
}

/// A workspace of one cloud, as its binding attaches keys to it.
pub(super) trait Workspaces: Sync {
    /// A workspace as its platform shows it.
    type Workspace: Clone + Send + Sync;
    /// How it is read and changed.
    type Platform<'a>: Platform<Workspace = Self::Workspace> + Send + Sync
    where
        Self: 'a;

    /// Whether a key policy of the run may have changed the workspace while its proof waited for that policy.
    const POLICIES_CHANGE_IT: bool;

    /// Which attribute a finding is about.
    fn place(finding: &Finding) -> &'static str;

    /// The key that a rotation of managed services takes from the workspace; `None` where there is none, or where it cannot be named any more.
    fn former_key(
        &self,
        wanted: Wanted<'_>,
    ) -> impl Future<Output = Result<Option<String>, Diagnostics>> + Send;

    /// The workspace. One that others have just read will do where nothing of it is to be changed.
    fn read(
        &self,
        wanted: Wanted<'_>,
    ) -> impl Future<Output = Result<Self::Workspace, Diagnostics>> + Send;

    /// Whether something is to be changed.
    fn is_missing(&self, wanted: Wanted<'_>, now: &Self::Workspace) -> bool;

    /// What the proof says.
    fn examine(
        &self,
        wanted: Wanted<'_>,
        now: &Self::Workspace,
    ) -> impl Future<Output = Result<Examined, Diagnostics>> + Send;

    /// Held while the workspace is read, changed and watched: two resources of a run may change the same one.
    fn lock(&self, wanted: Wanted<'_>) -> impl Future<Output = OwnedMutexGuard<()>> + Send;

    /// What is sent and watched, once everything that the platform needs first is there.
    fn ready<'a>(
        &'a self,
        wanted: Wanted<'a>,
        now: &Self::Workspace,
        keys: Vec<KeyCheck>,
    ) -> impl Future<Output = Result<(Self::Platform<'a>, Orders), Diagnostics>> + Send;

    /// Effect: what this run has read of the workspace is not true any more where it was changed, and what it had before is remembered. `after`: as it was seen last.
    fn was_changed(&self, wanted: Wanted<'_>, before: &Self::Workspace, after: &Self::Workspace);

    /// What is left to do once the keys are attached, and the binding as the workspace shows it.
    fn complete(
        &self,
        wanted: Wanted<'_>,
        now: Self::Workspace,
    ) -> impl Future<Output = Result<WorkspaceBindingModel, Diagnostics>> + Send;

    /// The workspace as it is after a failure.
    fn after_failure(
        &self,
        wanted: Wanted<'_>,
        seen: Self::Workspace,
    ) -> impl Future<Output = Self::Workspace> + Send;

    /// The planned binding with what the workspace has.
    ///
    /// # Errors
    /// When it shows a key that cannot be read.
    fn truth(
        &self,
        wanted: Wanted<'_>,
        now: &Self::Workspace,
    ) -> Result<WorkspaceBindingModel, Diagnostics>;
}

/// Attaches what is not attached yet, and waits until it is there to stay.
///
/// # Errors
/// When something of it is not proven, is refused, or does not stay: the state has what is true.
pub(super) fn attach<'a, W: Workspaces + 'a>(
    workspaces: &'a W,
    cx: &'a Context<Client>,
    plan: &'a WorkspaceBindingModel,
    prior: Option<&'a WorkspaceBindingModel>,
    progress: &'a Progress<WorkspaceBindingModel>,
) -> Pin<Box<dyn Future<Output = Result<WorkspaceBindingModel, Diagnostics>> + Send + 'a>> {
    // Behind a pointer: it is a large future, and its lifetimes are not part of what waits for it.
    Box::pin(attached(workspaces, cx, plan, prior, progress))
}

async fn attached<W: Workspaces>(
    workspaces: &W,
    cx: &Context<Client>,
    plan: &WorkspaceBindingModel,
    prior: Option<&WorkspaceBindingModel>,
    progress: &Progress<WorkspaceBindingModel>,
) -> Result<WorkspaceBindingModel, Diagnostics> {
    let operation = if prior.is_some() { "update" } else { "create" };
    let wanted = Wanted {
        cx,
        plan,
        prior,
        progress,
        deadline: timeout(&plan.timeouts, operation, ATTACH),
    };
    let former = workspaces.former_key(wanted).await?;
    let read_at = Instant::now();
    let mut before = workspaces.read(wanted).await?;
    let is_missing = workspaces.is_missing(wanted, &before);
    let Examined { findings, keys } = workspaces.examine(wanted, &before).await?;
    // What is attached already cannot be stopped any more, only reported.
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
    // A key policy that is being put may wait for the workspace, and an examination of the key waits for that policy.
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

/// A failed attach, for the user and for the state. A new binding stays out of the state: written there together with an error, Terraform would
/// replace it. The next apply finds what is true in the workspace itself.
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
    // Without a key that can be read, the state stays what it was.
    if wanted.prior.is_some()
        && let Ok(truth) = workspaces.truth(wanted, &now)
    {
        wanted.progress.save(truth);
    }
    all
}
