//! What the provider's configuration is made into, shared by all operations of one run.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::account::{AccountReads, DatabricksAccount};
use super::catalogs::{CatalogReads, Catalogs};
use super::config::Config;
use super::diagnose::{self, IgnoreFindings, Reporter, Stops, Unavailable, later, silenced, split};
use super::keys::{KeyCheck, Keys};
use super::locations::{LocationReads, Locations, Sources};
use super::run::RunMemory;
use crate::databricks::Account;
use crate::preflight::{Finding, Stage};
use crate::vocabulary::AccountId;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::provider::Run;

/// The configured provider: the Databricks account, the keys of each cloud, and what the resources of one run know of each
/// other.
pub struct Client {
    databricks: DatabricksAccount,
    keys: Keys,
    catalogs: CatalogReads,
    locations: LocationReads,
    run: RunMemory,
    reporter: Reporter,
}

impl Client {
    /// A client from the provider block. Nothing is called yet; what is wrong shows when it is needed.
    pub fn new(config: &Config, run: Run) -> Self {
        let databricks = DatabricksAccount::new(config, run);
        Self {
            keys: Keys::new(config, databricks.deployment_of_host()),
            catalogs: CatalogReads::new(config.reads_catalogs(), config.workspace_endpoint()),
            locations: LocationReads::default(),
            databricks,
            run: RunMemory::default(),
            reporter: Reporter::new(config.enforces(), silenced(&config.ignore_findings)),
        }
    }

    /// The Databricks account, as far as it is configured.
    pub fn databricks(&self) -> &DatabricksAccount {
        &self.databricks
    }

    /// The Databricks account, ready to be called.
    ///
    /// # Errors
    /// When it is not known where or who.
    pub async fn account(&self) -> Result<&Account, Unavailable> {
        self.databricks.connected().await
    }

    /// The ID of the Databricks account, which needs no credential.
    ///
    /// # Errors
    /// When none is configured.
    pub fn account_id(&self) -> Result<AccountId, Unavailable> {
        self.databricks.id()
    }

    /// What this run has read of the account, for plans and refreshes.
    pub fn reads(&self) -> &AccountReads {
        self.databricks.reads()
    }

    /// The keys of each cloud.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The catalogs of the account with their keys, and the gaps: what the provider could not read.
    pub async fn catalogs(&self, stage: Stage) -> Arc<Catalogs> {
        self.catalogs.get(&self.databricks, stage).await
    }

    /// The catalogs as a read shows them that begins now.
    pub async fn catalogs_now(&self) -> Arc<Catalogs> {
        self.catalogs.now(&self.databricks).await
    }

    /// Where the tables of these metastores lie, or of all of the account, and by whose key. What could not be read is said in it.
    pub async fn locations(&self, stage: Stage, of: Option<&BTreeSet<String>>) -> Locations {
        let catalogs = self.catalogs(stage).await;
        let from = Sources {
            databricks: &self.databricks,
            keys: &self.keys,
            stage,
        };
        self.locations.get(from, &catalogs, of).await
    }

    /// What the resources of this run know of each other.
    pub fn run(&self) -> &RunMemory {
        &self.run
    }

    /// Says once a run that nothing can be proven before the provider's own configuration is known.
    pub fn warn_unproven(&self, cx: &Context<Self>, unknown: &[&str]) {
        if self.run.is_first_report("unproven".to_owned()) {
            cx.warn(Diagnostic::warning(
                "This plan proves nothing",
                format!(
                    "These attributes of the provider block are known only after apply: {}. So the provider cannot read the account or the \
                     keys yet. It runs the proof at apply, right before each call. To see the proof in the plan, first apply the resources \
                     that these values come from (`terraform apply -target=…`), or set the values directly.",
                    unknown.join(", ")
                ),
            ));
        }
    }

    /// Whether a key's cloud can be called for a proof at plan; says once a run when it cannot.
    pub fn can_prove(&self, cx: &Context<Self>, check: &KeyCheck) -> bool {
        self.warn_of_unknown_clouds(cx);
        self.keys.is_known(check)
    }

    /// Says once a run when a cloud cannot be called yet.
    pub fn warn_of_unknown_clouds(&self, cx: &Context<Self>) {
        let unknown = self.keys.unknown();
        if !unknown.is_empty() {
            self.warn_unproven(cx, &unknown);
        }
    }

    /// Warns once in a run that a part of the proof waits for what the same plan creates. `attributes`: the names of attributes, and
    /// whether each is unknown. While the provider block itself has unknown values, the warning names those instead.
    pub fn warn_of_later_proof(&self, cx: &Context<Self>, attributes: &[(&str, bool)]) {
        if let Err(Unavailable::NotYetKnown(unknown)) = self.databricks.id() {
            return self.warn_unproven(cx, &unknown);
        }
        if !self.run.is_first_report("later".to_owned()) {
            return;
        }
        let unknown: Vec<String> = attributes
            .iter()
            .filter(|(_, is_unknown)| *is_unknown)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let what = match unknown.as_slice() {
            [] => "This plan creates what a resource refers to, so that its values are".to_owned(),
            [one] => format!("{one} is"),
            several => format!("{} are", several.join(" and ")),
        };
        cx.warn(Diagnostic::warning(
            "Part of the proof happens at apply",
            format!(
                "{what} known only after apply, so this plan cannot prove everything. The provider runs the rest of the proof at apply, right \
                 before each call. A failure there stops the apply, and nothing is attached."
            ),
        ));
    }

    /// Which findings stop a run; see [`Reporter::stops`].
    pub fn stops(&self, ignored: &IgnoreFindings) -> Stops {
        self.reporter.stops(ignored)
    }

    /// Findings as diagnostics; see [`Reporter::report`].
    pub fn report(
        &self,
        findings: Vec<Finding>,
        ignored: &IgnoreFindings,
        stage: Stage,
        place: impl Fn(&Finding) -> &'static str,
    ) -> Diagnostics {
        self.reporter
            .report(&self.run, findings, ignored, stage, place)
    }
}

/// Shows what findings only warn of, and fails with what stops.
///
/// # Errors
/// What of the findings stops.
pub fn enforce(
    cx: &Context<Client>,
    findings: Vec<Finding>,
    ignored: &IgnoreFindings,
    stage: Stage,
    place: impl Fn(&Finding) -> &'static str,
) -> Result<(), Diagnostics> {
    split(cx, cx.client().report(findings, ignored, stage, place))
}

/// The account, to read an object of the state. While the provider's own configuration is not known, it defers the read, and
/// the object keeps the values in state.
///
/// # Errors
/// When the provider does not know the host or the credential.
pub async fn account_to_read(cx: &Context<Client>) -> Result<&Account, Unfinished> {
    cx.client().account().await.map_err(|reason| match reason {
        Unavailable::NotYetKnown(_) => later(not_read(&reason)),
        reason => reason.into(),
    })
}

/// A state that could not be compared with what is there, because the provider is not configured yet.
pub fn not_read(reason: &Unavailable) -> Diagnostic {
    let detail = diagnose::unavailable(reason).detail;
    Diagnostic::warning(
        "Refresh skipped: the provider configuration is not known yet",
        format!("The provider keeps the values in state. {detail}"),
    )
}
