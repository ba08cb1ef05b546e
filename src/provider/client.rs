//! What the provider's configuration is made into, shared by all operations of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::config::{Config, IgnoreFindings, silenced};
use super::diagnose::{self, Unavailable};
use super::reads::Reads;
use crate::clouds::aws::Aws;
use crate::databricks::auth::Surroundings;
use crate::databricks::transport::Behaviour;
use crate::databricks::{Account, AuthError, Settings};
use crate::preflight::aws::{KeyFacts, PolicySource};
use crate::preflight::{Fact, Finding, Id, Severity, Stage};
use crate::vocabulary::{AccountId, Deployment, KeyArn, UseCase, WorkspaceId};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::provider::Run;
use tfplugin::resource::Context;

/// What a resource of a run wants of something that only one may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it wants it to be.
    pub value: String,
    /// Whether the resource is to be created.
    pub is_new: bool,
}

/// A key configuration that this run is about to create; its id is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedConfiguration {
    /// What it is made for.
    pub use_cases: Vec<UseCase>,
    /// Its key, when that is known.
    pub key: Option<KeyArn>,
    /// Whether it is reused for cluster volumes.
    pub cluster_volumes: bool,
}

/// The configured provider.
pub struct Client {
    settings: Result<Settings, AuthError>,
    unknown: Vec<&'static str>,
    behaviour: Behaviour,
    account: OnceCell<Account>,
    reads: Reads,
    aws: Aws,
    aws_unknown: bool,
    enforces: bool,
    ignored: Vec<Id>,
    planned_policies: Mutex<BTreeMap<KeyArn, String>>,
    facts: Mutex<BTreeMap<KeyArn, Arc<OnceCell<KeyFacts>>>>,
    vanished: Mutex<BTreeSet<WorkspaceId>>,
    managed: Mutex<BTreeSet<String>>,
    claims: Mutex<BTreeMap<String, Claim>>,
    policy_locks: Mutex<BTreeMap<KeyArn, Arc<tokio::sync::Mutex<()>>>>,
    said: Mutex<BTreeSet<String>>,
    planned_configurations: Mutex<BTreeSet<PlannedConfiguration>>,
}

impl Client {
    /// A client from the provider block. Nothing is called yet; what is wrong shows when it is needed.
    pub fn new(config: &Config, run: Run) -> Self {
        let (settings, unknown) = config.databricks();
        let (aws, aws_unknown) = config.aws();
        Self {
            settings: settings.completed(&Surroundings::OWN),
            unknown,
            behaviour: Behaviour {
                stop: run.stop,
                ..config.behaviour(&run.terraform_version)
            },
            account: OnceCell::new(),
            reads: Reads::default(),
            aws: Aws::new(aws),
            aws_unknown,
            enforces: config.enforces(),
            ignored: silenced(&config.ignore_findings),
            planned_policies: Mutex::default(),
            facts: Mutex::default(),
            vanished: Mutex::default(),
            managed: Mutex::default(),
            claims: Mutex::default(),
            policy_locks: Mutex::default(),
            said: Mutex::default(),
            planned_configurations: Mutex::default(),
        }
    }

    fn settings(&self) -> Result<&Settings, Unavailable> {
        if !self.unknown.is_empty() {
            return Err(Unavailable::NotYetKnown(self.unknown.clone()));
        }
        self.settings
            .as_ref()
            .map_err(|error| Unavailable::Auth(error.clone()))
    }

    /// The Databricks account, ready to be called.
    ///
    /// # Errors
    /// When it is not known where or who.
    pub async fn account(&self) -> Result<&Account, Unavailable> {
        let settings = self.settings()?;
        self.account
            .get_or_try_init(|| async {
                let resolved = settings
                    .resolve(&Surroundings::OWN)
                    .map_err(Unavailable::Auth)?;
                Account::new(resolved, self.behaviour.clone()).map_err(Unavailable::Transport)
            })
            .await
    }

    /// The id of the Databricks account, which needs no credential.
    ///
    /// # Errors
    /// When none is configured.
    pub fn account_id(&self) -> Result<AccountId, Unavailable> {
        self.settings()?.account().map_err(Unavailable::Auth)
    }

    /// The Databricks deployment whose account calls a key of this partition. A configured government host says which of the
    /// two it is; without a host the partition decides.
    pub fn deployment(&self, key: &KeyArn) -> Deployment {
        match self.deployment_of_host() {
            Some(deployment) => deployment,
            None if key.partition() == crate::vocabulary::Partition::AwsUsGov => {
                Deployment::GovCloud
            }
            None => Deployment::Commercial,
        }
    }

    /// The Databricks deployment that the configured host alone decides, whatever the key is; `None` where the partition of the
    /// key decides.
    pub fn deployment_of_host(&self) -> Option<Deployment> {
        let host = self.settings().ok()?.host().ok()?;
        let is_own =
            host.name().ends_with("databricks.us") || host.name().ends_with("databricks.com");
        is_own.then(|| host.deployment())
    }

    /// The deployment of the configured host, where no key says which partition it is.
    pub fn usual_deployment(&self) -> Deployment {
        self.settings()
            .ok()
            .and_then(|settings| settings.host().ok())
            .map_or(Deployment::Commercial, |host| host.deployment())
    }

    /// What this run has read of the account, for plans and refreshes.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// AWS.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Whether AWS can be called: not while the provider block still has unknown values in it.
    pub fn aws_is_known(&self) -> bool {
        !self.aws_unknown
    }

    /// Whether AWS can be called for a proof at plan; says once a run when it cannot.
    pub fn can_prove(&self, cx: &Context<Self>) -> bool {
        if self.aws_unknown {
            self.warn_unproven(cx, &["aws"]);
        }
        !self.aws_unknown
    }

    /// From now on, whoever plans something for this key judges it by this policy: the same configuration is about to put it.
    pub fn plan_policy(&self, key: &KeyArn, policy: String) {
        self.planned_policies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), policy);
    }

    /// What was read of a key in this run is not true any more.
    pub fn forget(&self, key: &KeyArn) {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        self.planned_policies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// Held while a key's policy is read, merged and put: Terraform works on several resources at once, and two of them may
    /// speak of the same key.
    pub async fn lock_policy(&self, key: &KeyArn) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = Arc::clone(
            self.policy_locks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.clone())
                .or_default(),
        );
        lock.lock_owned().await
    }

    /// A workspace of the state turned out to be gone in this run.
    pub fn workspace_vanished(&self, id: WorkspaceId) {
        self.vanished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
    }

    /// Whether a workspace of the state turned out to be gone in this run. Planning it anew must not stop the run: Terraform
    /// plans everything once before it destroys, and whoever deleted the workspace has to be able to destroy the rest.
    pub fn has_vanished(&self, id: WorkspaceId) -> bool {
        self.vanished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&id)
    }

    /// This run is about to create this key configuration.
    pub fn plan_configuration(&self, planned: PlannedConfiguration) {
        self.planned_configurations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(planned);
    }

    /// The key configurations that this run is about to create.
    pub fn planned_configurations(&self) -> Vec<PlannedConfiguration> {
        self.planned_configurations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// A resource of this run manages this key configuration.
    pub fn is_managed_here(&self, id: &str) {
        self.managed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned());
    }

    /// Whether a resource of this run is known to manage this key configuration.
    pub fn manages(&self, id: &str) -> bool {
        self.managed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    /// Lays claim to something that only one resource of a configuration may have. `false` when another one has it: one that
    /// wants another value, or that is new as well. (A resource that is to be replaced is planned twice, first as it is and then
    /// as a new one, with the same value.)
    pub fn claim(&self, thing: String, claim: Claim) -> bool {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.get_mut(&thing) {
            None => {
                claims.insert(thing, claim);
                true
            }
            Some(other) => {
                let free = other.value == claim.value && !(other.is_new && claim.is_new);
                other.is_new |= claim.is_new;
                free
            }
        }
    }

    /// What is known of a key for a plan: read once in a run, its policy replaced by the planned one.
    pub async fn facts_for_plan(&self, key: &KeyArn) -> KeyFacts {
        let cell = Arc::clone(
            self.facts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.clone())
                .or_default(),
        );
        let mut facts = cell.get_or_init(|| self.aws.facts(key)).await.clone();
        let planned = self
            .planned_policies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        if let Some(policy) = planned {
            facts.policy = Fact::Known(policy);
            facts.policy_source = PolicySource::Planned;
        }
        facts
    }

    /// What is true of a key now.
    pub async fn facts_now(&self, key: &KeyArn) -> KeyFacts {
        self.forget(key);
        self.aws.facts(key).await
    }

    /// Whether this is said for the first time in this run. What is about a thing that several resources share is said once.
    fn is_new(&self, what: String) -> bool {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(what)
    }

    /// Says once a run that nothing can be proven before the provider's own configuration is known.
    pub fn warn_unproven(&self, cx: &Context<Self>, unknown: &[&str]) {
        if self.is_new("unproven".to_owned()) {
            cx.warn(Diagnostic::warning(
                "Nothing is proven in this plan",
                format!(
                    "These attributes of the provider block will be known only after apply: {}. So the provider cannot read the account or the \
                     keys yet. The proof happens at apply, right before each call. To see it in the plan, apply first what these values come \
                     from (`terraform apply -target=…`), or set them directly.",
                    unknown.join(", ")
                ),
            ));
        }
    }

    /// Findings as diagnostics, without those that the provider or the resource ignores: errors stop under
    /// `preflight = "enforce"`, and are warnings under `"warn"`. Advice belongs to the plan, and comes not ahead of an error. What
    /// another resource of this run has said already is not said again; an error is said in short, so that it still stops.
    pub fn report(
        &self,
        findings: Vec<Finding>,
        ignored: &IgnoreFindings,
        stage: Stage,
        place: impl Fn(&Finding) -> &'static str,
    ) -> Diagnostics {
        let (enforces, here) = (self.enforces, silenced(ignored));
        let shown =
            |finding: &Finding| !self.ignored.contains(&finding.id) && !here.contains(&finding.id);
        let findings: Vec<Finding> = findings.into_iter().filter(shown).collect();
        let refused = enforces
            && findings
                .iter()
                .any(|finding| finding.severity == Severity::Error);
        let mut diagnostics = Diagnostics::new();
        for mut finding in findings {
            let is_error = finding.severity == Severity::Error;
            if finding.is_advice() && (stage == Stage::Apply || refused) {
                continue;
            }
            let is_new = self.is_new(format!("{} {is_error} {}", finding.id, finding.found));
            let softened = !enforces && is_error;
            if softened {
                finding.severity = Severity::Warning;
            }
            let path = place(&finding);
            match (is_new || stage == Stage::Apply, finding.severity) {
                (true, _) => diagnostics.push(diagnose::finding(&finding, softened).on(path)),
                (false, Severity::Error) => {
                    diagnostics.push(diagnose::said_before(&finding).on(path))
                }
                (false, Severity::Warning) => {}
            }
        }
        diagnostics
    }
}

/// The account, to look at an object of the state; `None` while the provider's own configuration is not known, so that the
/// object stays what the state says.
///
/// # Errors
/// When it is not known where or who.
pub async fn account_to_read(cx: &Context<Client>) -> Result<Option<&Account>, Diagnostics> {
    match cx.client().account().await {
        Ok(account) => Ok(Some(account)),
        Err(reason @ Unavailable::NotYetKnown(_)) => {
            cx.defer();
            cx.warn(not_looked_at(&reason));
            Ok(None)
        }
        Err(reason) => Err(reason.into()),
    }
}

/// A state that could not be compared with what is there, because the provider is not configured yet.
pub fn not_looked_at(reason: &Unavailable) -> Diagnostic {
    let detail = diagnose::unavailable(reason).detail;
    Diagnostic::warning(
        "The object was not looked at",
        format!("It is taken for what the state says. {detail}"),
    )
}

/// Findings about something that is there already and does not change: what would fail now is worth knowing, and no reason to
/// stop a plan. Advice was given when it was made.
pub fn as_warnings(findings: Vec<Finding>) -> Vec<Finding> {
    let soften = |mut finding: Finding| {
        finding.severity = Severity::Warning;
        finding
    };
    findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(soften)
        .collect()
}

/// The same, as a warning: it is about one of several objects, and no reason to hide the others.
pub fn as_warning(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: tfplugin::diagnostics::Severity::Warning,
        ..diagnostic
    }
}

/// Keeps what only warns, for a context that collects warnings, and returns the errors.
pub fn split(diagnostics: Diagnostics) -> (Vec<Diagnostic>, Diagnostics) {
    let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics
        .into_iter()
        .partition(|diagnostic| diagnostic.severity == tfplugin::diagnostics::Severity::Error);
    (warnings, errors.into_iter().collect())
}
