//! `dbxcmk_key_configuration`: a key as the Databricks account knows it. The API cannot change one, only make and remove it.

mod aws;
mod azure;
mod create;
mod gcp;
mod in_use;
mod journal;

pub use aws::KeyConfigurationAws;
pub use azure::KeyConfigurationAzure;
pub use gcp::KeyConfigurationGcp;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::create::{announce, make};
use self::in_use::{Ending, refuse_at_plan, refuse_catalogs_at_delete, refuse_while_in_use};
use super::{
    Timeouts, all_known, known_set, owner, proof_attribute, proof_of, refuse_managed_disks,
    with_users,
};
use crate::databricks::Error;
use crate::databricks::key_configurations::{KeyConfiguration, NewKey, NewKeyConfiguration};
use crate::preflight::{Finding, Stage};
use crate::provider::client::{Client, account_to_read, enforce};
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose::{self, Unavailable, as_warnings, later};
use crate::provider::diagnose::{IgnoreFindings, ignore_findings};
use crate::provider::keys::KeyCheck;
use crate::provider::run::{Claim, Claimed, Holding, PlannedConfiguration};
use crate::provider::timestamps::rfc3339;
use crate::vocabulary::aws::KeyAlias;
use crate::vocabulary::{
    AccountId, Cloud, IdError, Key, KeyConfigurationId, KeyReference, UseCase,
};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::identity::{Identity, IdentityAttribute};
use tfplugin::path::Path;
use tfplugin::resource::{Change, Import, Moved, Plan, Progress, Resource, Source};
use tfplugin::schema::{Attribute, Name, Schema};
use tfplugin::timeouts::{self, Timeout};

/// How long a create may take.
const CREATE: Timeout = Timeout::new("create", Duration::from_secs(10 * 60));
/// How long a delete may be tried while a workspace that is being deleted still holds the configuration.
const DELETE: Timeout = Timeout::new("delete", Duration::from_secs(15 * 60));

/// `dbxcmk_key_configuration`: registers a key in the Databricks account.
pub struct KeyConfigurationResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationModel {
    pub id: Attr<KeyReference>,
    pub account_id: Attr<AccountId>,
    pub creation_time: Attr<String>,
    pub use_cases: Attr<Vec<Attr<UseCase>>>,
    pub aws: Attr<KeyConfigurationAws>,
    pub gcp: Attr<KeyConfigurationGcp>,
    pub azure: Attr<KeyConfigurationAzure>,
    pub proof: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

impl KeyConfigurationModel {
    /// A configuration of which only the ID is known.
    fn named(id: KeyReference) -> Self {
        Self {
            id: Attr::Known(id),
            account_id: Attr::Null,
            creation_time: Attr::Null,
            use_cases: Attr::Null,
            aws: Attr::Null,
            gcp: Attr::Null,
            azure: Attr::Null,
            proof: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// A configuration as the API shows it.
    ///
    /// # Errors
    /// When this version cannot represent it: a key of another cloud.
    pub fn of(remote: &KeyConfiguration) -> Result<Self, Diagnostics> {
        let id: Result<KeyConfigurationId, _> = remote.customer_managed_key_id.parse();
        state(
            remote,
            &Self::named(KeyReference::Configuration(
                id.map_err(|error| Diagnostic::bug(error.to_string()))?,
            )),
        )
    }

    /// Whether only the ID is known: Terraform is importing it.
    fn is_only_named(&self) -> bool {
        self.use_cases.is_null() && self.aws.is_null() && self.gcp.is_null()
    }

    /// The ID in the Databricks account, once Terraform knows it.
    fn configuration_id(&self) -> Option<&KeyConfigurationId> {
        self.id.known()?.configuration()
    }

    /// Whether its key is one of Azure, so that it has no remote object.
    fn is_azure(&self) -> bool {
        !self.azure.is_null()
    }

    /// Its use cases in their order, when they are known.
    fn cases(&self) -> Option<Vec<UseCase>> {
        let mut cases = all_known(&self.use_cases)?;
        cases.sort_unstable();
        Some(cases)
    }

    /// The check of the key, once Terraform knows all of it.
    fn case(&self, client: &Client, account: &AccountId, stage: Stage) -> Option<KeyCheck> {
        match (self.aws.known(), self.gcp.known()) {
            (Some(aws), _) => aws.case(client, account, self.cases()?, stage),
            (None, gcp) => gcp?.case(self.cases()?, stage),
        }
    }

    /// The attribute that names the key.
    fn key_attribute(&self) -> &'static str {
        match (&self.gcp, &self.azure) {
            (Attr::Null, Attr::Null) => "aws.key_arn",
            (Attr::Null, _) => "azure.key_vault_key_id",
            _ => "gcp.kms_key_id",
        }
    }

    /// The key that the blocks name; `None` while Terraform does not know it.
    fn key(&self) -> Option<Key> {
        match (self.aws.known(), self.gcp.known(), self.azure.known()) {
            (Some(aws), _, _) => aws.key_arn.known().cloned().map(Key::Aws),
            (None, Some(gcp), _) => gcp.kms_key_id.known().cloned().map(Key::Gcp),
            (None, None, azure) => {
                let key = azure?.key_vault_key_id.known()?;
                Some(Key::Azure(key.versionless()))
            }
        }
    }

    /// The lines about the proof, once the key and the use cases are known. Where they are those that the state has, its lines stay.
    fn plan_proof(&mut self, client: &Client, prior: Option<&Self>) {
        let what = (self.key(), self.cases());
        self.proof = match prior.filter(|prior| (prior.key(), prior.cases()) == what) {
            Some(prior) => prior.proof.clone(),
            None => match what {
                (Some(key), Some(cases)) => {
                    Attr::Known(proof_of(client, &[(key, cases)], &self.ignore_findings))
                }
                _ => Attr::Unknown,
            },
        };
    }

    /// Whether the key is known only after apply.
    fn key_is_unknown(&self) -> bool {
        let aws = self.aws.known().is_none_or(|aws| aws.key_arn.is_unknown());
        let gcp = self
            .gcp
            .known()
            .is_none_or(|gcp| gcp.kms_key_id.is_unknown());
        aws && gcp
    }

    /// What creates it, when all of it is known.
    fn request(&self) -> Option<NewKeyConfiguration> {
        match (self.aws.known(), self.gcp.known()) {
            (Some(aws), _) => aws.request(self.cases()?),
            (None, gcp) => gcp?.request(self.cases()?),
        }
    }

    /// Whether one object of the API has what both say.
    fn is_same_object(&self, other: &Self) -> bool {
        let same_key = match (self.aws.known(), other.aws.known()) {
            (Some(own), Some(other)) => own.is_same_object(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        let same_gcp_key = match (self.gcp.known(), other.gcp.known()) {
            (Some(own), Some(other)) => own.is_same_object(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        same_key && same_gcp_key && self.cases() == other.cases()
    }
}

/// The name that people have for a configuration, and its key; `None` for a key that this version cannot manage.
pub fn label(remote: &KeyConfiguration) -> Option<(&str, &str)> {
    let google = || {
        let key = remote.gcp_key_info.as_ref()?.kms_key_id.as_str();
        Some((key, key))
    };
    aws::label(remote).or_else(google)
}

/// The attribute by which configurations of a key of AWS are found.
pub fn key_filter() -> Attribute {
    aws::key_filter()
}

/// The attribute by which configurations of a key of Google Cloud are found.
pub fn gcp_key_filter() -> Attribute {
    gcp::key_filter()
}

/// The warning that the account shows another configuration than the provider asked for. The answer may have changed on its way; the next
/// plan reads it again.
fn not_as_asked(id: &KeyConfigurationId) -> Diagnostic {
    Diagnostic::warning(
        "The account shows another key configuration than it was asked for",
        format!(
            "Databricks created the key configuration {id}, and its answer does not show the key, the use cases or \
             `reuse_key_for_cluster_volumes` as they were sent. The state has what was sent.\n\nRun `terraform plan`: it reads the key \
             configuration again, and shows what is different."
        ),
    )
}

fn state(
    remote: &KeyConfiguration,
    before: &KeyConfigurationModel,
) -> Result<KeyConfigurationModel, Diagnostics> {
    let odd = |what: String| {
        Diagnostics::from(Diagnostic::error(
            "The key configuration cannot be managed by this provider version",
            format!(
                "Databricks shows the key configuration {} with {what}. This provider version cannot read that.",
                remote.customer_managed_key_id
            ),
        ))
    };
    if remote.aws_key_info.is_none() && remote.gcp_key_info.is_none() {
        return Err(odd("a key of another cloud".to_owned()));
    }
    let use_cases: Vec<UseCase> = remote
        .use_cases
        .iter()
        .map(|case| case.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| odd(format!("the use cases {}", remote.use_cases.join(", "))))?;
    let is_storage = use_cases.contains(&UseCase::Storage);
    Ok(KeyConfigurationModel {
        id: remote
            .customer_managed_key_id
            .parse()
            .map_or(Attr::Unknown, |id| {
                Attr::Known(KeyReference::Configuration(id))
            }),
        account_id: match remote.account_id.as_deref().map(str::parse) {
            Some(Ok(account)) => Attr::Known(account),
            _ => before.account_id.clone(),
        },
        creation_time: remote
            .creation_time
            .and_then(rfc3339)
            .map_or_else(|| before.creation_time.clone(), Attr::Known),
        aws: remote
            .aws_key_info
            .as_ref()
            .map(|info| KeyConfigurationAws::of(info, before, is_storage).map_err(odd))
            .transpose()?
            .into(),
        gcp: remote
            .gcp_key_info
            .as_ref()
            .map(|info| KeyConfigurationGcp::of(info, before).map_err(odd))
            .transpose()?
            .into(),
        azure: Attr::Null,
        proof: before.proof.clone(),
        use_cases: known_set(use_cases),
        ignore_findings: before.ignore_findings.clone(),
        timeouts: before.timeouts.clone(),
    })
}

/// Proves the key at plan, as far as it is known. Of a configuration that stays, findings only warn.
async fn prove_at_plan(
    cx: &Context<Client>,
    model: &KeyConfigurationModel,
    case: Option<KeyCheck>,
    stays: bool,
) -> Result<(), Unfinished> {
    let client = cx.client();
    let Some(case) = case.filter(|case| client.can_prove(cx, case)) else {
        return Ok(());
    };
    let case = match stays {
        true => with_users(client, case).await,
        false => case,
    };
    let mut findings = client.keys().examine(&[case]).await.concat();
    if stays {
        findings = as_warnings(findings);
    }
    let ignored = &model.ignore_findings;
    Ok(enforce(cx, findings, ignored, Stage::Plan, place(model))?)
}

/// Every finding here is about the key.
fn place(model: &KeyConfigurationModel) -> impl Fn(&Finding) -> &'static str {
    let path = model.key_attribute();
    move |_| path
}

/// Exactly one cloud.
fn one_cloud(config: &KeyConfigurationModel) -> Result<(), Diagnostics> {
    let blocks = [
        ("aws", config.aws.is_null()),
        ("gcp", config.gcp.is_null()),
        ("azure", config.azure.is_null()),
    ];
    let set: Vec<&str> = blocks
        .into_iter()
        .filter(|(_, is_null)| !is_null)
        .map(|(block, _)| block)
        .collect();
    match set.as_slice() {
        [] => Err(Diagnostic::error(
            "Missing required argument",
            "Set exactly one of `aws` (a key of AWS KMS), `gcp` (a key of Google Cloud KMS) and `azure` (a key of Azure).",
        )
        .on("aws")
        .into()),
        [_] => Ok(()),
        [first, .., last] => Err(Diagnostic::error(
            "A key configuration has one key",
            format!(
                "Both `{first}` and `{last}` are set. A key configuration has one key, of the cloud of its workspaces. Remove one of them."
            ),
        )
        .on(last)
        .into()),
    }
}

impl Resource for KeyConfigurationResource {
    type Client = Client;
    type Model = KeyConfigurationModel;

    fn name(&self) -> Name {
        "dbxcmk_key_configuration".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new(
            "id",
            "the ID of the key configuration, a UUID; on Azure the identifier of the key",
        )])
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "Registers a customer-managed key with the Databricks account. Before the provider does so, it proves from the key's state and \
             policy that Databricks can use the key. The API cannot change a configuration, so every change except to `key_alias` \
             replaces it. The provider never deletes a configuration that a workspace uses.",
            vec![
                Attribute::string("id").computed().stable().describe("ID of the configuration, a UUID; on Azure the identifier of the key."),
                Attribute::string("account_id").computed().stable().describe("ID of its Databricks account."),
                Attribute::string("creation_time").computed().stable().describe("Time of its creation (RFC 3339)."),
                Attribute::string_set("use_cases")
                    .no_null_elements()
                    .required()
                    .format::<UseCase>("Invalid use case")
                    .not_empty("No use case", "Name at least one of `MANAGED_SERVICES` and `STORAGE`.")
                    .describe(
                        "What the key can be attached for: `MANAGED_SERVICES`, `STORAGE`, or both, in any order; on Azure also `MANAGED_DISKS`. A \
                         change replaces the configuration, except on Azure.",
                    ),
                Attribute::object("aws", aws::attributes()).describe("The AWS key. Set exactly one of `aws`, `gcp` and `azure`."),
                Attribute::object("gcp", gcp::attributes()).describe("The Google Cloud key."),
                Attribute::object("azure", azure::attributes()).describe(
                    "The Azure key. Azure Databricks has no key configurations, so nothing is created: the resource checks the key and describes \
                     it for bindings. It needs no Databricks account.",
                ),
                proof_attribute(),
                ignore_findings("this resource"),
                timeouts::attribute(&[CREATE, DELETE]),
            ],
        )
    }

    fn validate(&self, config: &KeyConfigurationModel) -> Diagnostics {
        if let Err(found) = one_cloud(config) {
            return found;
        }
        let elsewhere = config
            .cases()
            .filter(|_| !config.is_azure())
            .and_then(|cases| refuse_managed_disks(&cases));
        if let Some(refused) = elsewhere {
            return refused.into();
        }
        match (config.aws.known(), config.gcp.known(), config.cases()) {
            (Some(aws), _, Some(cases)) => aws.validate(&cases),
            (_, Some(gcp), _) => gcp.validate(),
            _ => Diagnostics::new(),
        }
    }

    async fn plan(
        &self,
        cx: &Context<Client>,
        change: &Change<KeyConfigurationModel>,
        plan: &mut Plan<KeyConfigurationModel>,
    ) -> Result<(), Unfinished> {
        if plan.model.is_azure() {
            return azure::plan(cx, change, plan).await;
        }
        let client = cx.client();
        let cases = plan.model.cases();
        if let Some(refused) = cases.as_deref().and_then(refuse_managed_disks) {
            return Err(refused.into());
        }
        if let Attr::Known(aws) = &mut plan.model.aws {
            aws.complete(change.config.aws.known(), cases.as_deref());
        }
        if let Attr::Known(gcp) = &mut plan.model.gcp {
            let prior = change.prior.as_ref();
            gcp.complete(prior.and_then(|prior| prior.gcp.known()));
        }
        let account = match client.account_id() {
            Ok(account) => account,
            Err(Unavailable::NotYetKnown(unknown)) => {
                client.warn_unproven(cx, &unknown);
                return Err(later(Diagnostics::new()));
            }
            Err(reason) => return Err(reason.into()),
        };
        let prior = change.prior.as_ref();
        if let Some(prior) = prior
            && (prior.is_azure() || prior.cases() != cases)
        {
            let path = if prior.is_azure() {
                "azure"
            } else {
                "use_cases"
            };
            plan.replace.push(Path::of(path));
        }
        if let Some(id) = prior.and_then(KeyConfigurationModel::configuration_id) {
            client.run().manages_configuration(id.as_str());
        }
        let stays = prior.is_some_and(|prior| prior.is_same_object(&plan.model));
        plan.model.plan_proof(client, prior);
        match prior {
            None => {
                plan.model.account_id = Attr::Known(account.clone());
                plan_creation(cx, &plan.model, &account).await?;
            }
            Some(prior) if !stays => {
                if let Some(id) = prior.configuration_id() {
                    refuse_at_plan(cx, id, Ending::Replaced).await?;
                }
            }
            Some(prior) => warn_of_alias(cx, prior, &plan.model),
        }
        if change.quiet {
            return Ok(());
        }
        let case = plan.model.case(client, &account, Stage::Plan);
        prove_at_plan(cx, &plan.model, case, stays).await
    }

    async fn plan_destroy(
        &self,
        cx: &Context<Client>,
        state: &KeyConfigurationModel,
    ) -> Result<(), Unfinished> {
        let Some(id) = state.configuration_id() else {
            return Ok(());
        };
        Ok(refuse_at_plan(cx, id, Ending::Destroyed).await?)
    }

    async fn create(
        &self,
        cx: &Context<Client>,
        plan: KeyConfigurationModel,
        progress: &Progress<KeyConfigurationModel>,
    ) -> Result<KeyConfigurationModel, Unfinished> {
        if plan.is_azure() {
            return Ok(azure::create(cx, plan).await?);
        }
        let client = cx.client();
        let account = client.account().await?;
        let (Some(new), Some(case)) = (
            plan.request(),
            plan.case(client, account.id(), Stage::Apply),
        ) else {
            return Err(Diagnostic::bug(
                "A key configuration was applied before its configuration was known.",
            )
            .into());
        };
        let findings = client.keys().examine(&[case]).await.concat();
        enforce(
            cx,
            findings,
            &plan.ignore_findings,
            Stage::Apply,
            place(&plan),
        )?;
        let deadline = Deadline::after(CREATE.of(&plan.timeouts));
        let made = make(cx, account, &new, deadline).await?;
        client
            .run()
            .manages_configuration(&made.customer_managed_key_id);
        let id: KeyConfigurationId = made.customer_managed_key_id.parse().map_err(|_| {
            Diagnostic::error(
                "Databricks answered with an invalid ID",
                format!(
                    "The ID of the new key configuration is `{}`, which is not a UUID. Find the configuration in the account console.",
                    made.customer_managed_key_id
                ),
            )
        })?;
        // The answer to a create is the object. Where the answer is only a part of it and the provider cannot read the rest, it keeps
        // that part in the state.
        let complete = match made.is_whole() && made.is_as_asked(&new) {
            true => made,
            false => account.key_configuration(&id).await.unwrap_or(made),
        };
        let complete = match complete.is_as_asked(&new) {
            true => complete,
            false => {
                cx.warn(not_as_asked(&id));
                complete.made_as_asked(&new)
            }
        };
        client.reads().made_configuration(complete.clone());
        let mut state = match state(&complete, &plan) {
            Ok(state) => state,
            Err(_) => KeyConfigurationModel {
                id: Attr::Known(KeyReference::Configuration(id.clone())),
                ..plan.clone()
            },
        };
        state.id = Attr::Known(KeyReference::Configuration(id));
        state.use_cases = plan.use_cases.clone();
        if state.proof.is_unknown() {
            state.plan_proof(client, None);
        }
        if state.creation_time.is_unknown() {
            state.creation_time = Attr::Null;
        }
        if let Attr::Known(gcp) = &mut state.gcp
            && gcp.service_account_email.is_unknown()
        {
            gcp.service_account_email = Attr::Null;
        }
        progress.save(state.clone());
        if let Attr::Known(gcp) = &state.gcp {
            gcp.show_grant(cx).await;
        }
        Ok(state)
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        before: KeyConfigurationModel,
    ) -> Result<Option<KeyConfigurationModel>, Unfinished> {
        cx.client().keys().saw_read();
        if before.is_azure() {
            return azure::read(cx, before).await;
        }
        let Some(id) = before.configuration_id() else {
            return Ok(None);
        };
        let account = account_to_read(cx).await?;
        cx.client().run().manages_configuration(id.as_str());
        if let Attr::Known(own) = before.account_id.as_ref()
            && own != account.id()
        {
            return Err(Diagnostic::error(
                    "The key configuration belongs to another Databricks account",
                    format!(
                        "The state has the key configuration {id} of account {own}, but the provider is configured for account {}. The \
                         provider did not look for it there, because it would seem to be deleted. Configure the provider for account {own}.",
                        account.id()
                    ),
                )
                .into());
        }
        let found = cx
            .client()
            .reads()
            .configuration(account, id)
            .await
            .map_err(|error| {
                diagnose::account("The key configuration could not be read", &error)
            })?;
        let Some(remote) = found else {
            return match before.is_only_named() {
                true => Err(nothing_to_import(id, account.id()).into()),
                false => Ok(None),
            };
        };
        Ok(Some(state(&remote, &before)?))
    }

    async fn update(
        &self,
        cx: &Context<Client>,
        _: KeyConfigurationModel,
        plan: KeyConfigurationModel,
        _: &Progress<KeyConfigurationModel>,
    ) -> Result<KeyConfigurationModel, Unfinished> {
        if plan.is_azure() {
            return Ok(azure::update(cx, plan).await?);
        }
        // Only the alias and the timeouts can change in place, and both live here alone.
        Ok(plan)
    }

    async fn delete(
        &self,
        cx: &Context<Client>,
        state: KeyConfigurationModel,
    ) -> Result<(), Unfinished> {
        let Some(id) = state.configuration_id() else {
            // On Azure there is no remote object.
            return Ok(());
        };
        let account = cx.client().account().await?;
        refuse_catalogs_at_delete(cx, id).await?;
        let deadline = Deadline::after(DELETE.of(&state.timeouts));
        cx.client().reads().removed_configuration(id);
        let mut wait = Duration::from_millis(500);
        loop {
            let error = match account.delete_key_configuration(id).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => {
                    let still = account.find_key_configuration(id).await;
                    match still {
                        Ok(None) => return Ok(()),
                        _ => error,
                    }
                }
                Err(error) => error,
            };
            let failed = || {
                Diagnostics::from(diagnose::account(
                    "The key configuration could not be deleted",
                    &error,
                ))
            };
            if !error.is_conflict() {
                return Err(failed().into());
            }
            // A workspace that is being deleted holds its configuration for some minutes. One that is not, holds it permanently.
            let using = account.workspaces_using(id).await;
            if using.as_ref().is_ok_and(|using| {
                using
                    .iter()
                    .any(|workspace| !workspace.workspace_status.is_going())
            }) {
                refuse_while_in_use(id, Ending::Destroyed, using)?;
            }
            if deadline.has_passed() || pause(wait, cx.stop()).await == Pause::Stopped {
                return Err(failed().into());
            }
            wait = (wait * 2).min(Duration::from_secs(15));
        }
    }

    async fn import_state(
        &self,
        _: &Context<Client>,
        import: &Import,
    ) -> Result<KeyConfigurationModel, Unfinished> {
        let id = import.text();
        let of_key = Key::cloud_by_form(id);
        if of_key == Some(Cloud::Azure) {
            return Ok(azure::import(id)?);
        }
        let is_key = of_key.is_some();
        let id: KeyConfigurationId = id.parse().map_err(|error: IdError| {
            let why = match is_key {
                true => format!(
                    "A dbxcmk_key_configuration is imported by its UUID, and `{id}` is the name of a key. A key can have several key \
                     configurations. Find the UUID in the account console under Cloud resources > Encryption keys, or with the data source \
                     `dbxcmk_key_configurations`."
                ),
                false => format!("A dbxcmk_key_configuration is imported by its UUID, but {error}."),
            };
            Diagnostic::error("Not the ID of a key configuration", why)
        })?;
        Ok(KeyConfigurationModel::named(KeyReference::Configuration(
            id,
        )))
    }

    fn move_state(
        &self,
        source: &Source,
    ) -> Result<Option<Moved<KeyConfigurationModel>>, Diagnostics> {
        let is_peer = source.is_of("databricks", "databricks")
            && source.type_name == "databricks_mws_customer_managed_keys";
        match is_peer {
            true => Ok(Some(Moved::new(aws::moved(&source.state)?))),
            false => Ok(None),
        }
    }
}

fn nothing_to_import(id: &KeyConfigurationId, account: &AccountId) -> Diagnostic {
    Diagnostic::error(
        "The key configuration does not exist in this Databricks account",
        format!(
            "The account {account} has no key configuration {id}, so there is nothing to import.\n\nFind its ID in the account console under \
             Cloud resources > Encryption keys. If the ID is correct, check `account_id` and `host` of the provider: each cloud has its own \
             account host."
        ),
    )
}

/// The one change that the API does not take and that replaces nothing.
fn warn_of_alias(
    cx: &Context<Client>,
    before: &KeyConfigurationModel,
    after: &KeyConfigurationModel,
) {
    let alias = |model: &KeyConfigurationModel| model.aws.known().map(|aws| aws.key_alias.clone());
    let (Some(before), Some(after), Some(id)) = (alias(before), alias(after), after.id.known())
    else {
        return;
    };
    if before == after {
        return;
    }
    let shown = |alias: &Attr<KeyAlias>| match alias {
        Attr::Known(alias) => format!("`{alias}`"),
        Attr::Null => "none".to_owned(),
        Attr::Unknown => "an alias that is known after apply".to_owned(),
    };
    cx.warn(
        Diagnostic::warning(
            "Databricks does not change the alias of a key configuration",
            format!(
                "The plan changes `key_alias` of the key configuration {id} from {} to {}. The API cannot change it, so only the state changes: \
                 the account console still shows the alias that the configuration was created with.\n\nThe alias is for people only: Databricks \
                 finds the key by its ARN. To have another alias in the account console, create another configuration \
                 (`terraform apply -replace=…`), which is possible only while no workspace uses this one.",
                shown(&before),
                shown(&after)
            ),
        )
        .about(id)
        .on("aws.key_alias"),
    );
}

/// What a new configuration means for the other resources of the run, and what a create would find.
async fn plan_creation(
    cx: &Context<Client>,
    model: &KeyConfigurationModel,
    account: &AccountId,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    // A missing credential is reported now, not in the middle of the apply.
    let connected = client.account().await?;
    let request = model.request();
    let will_create = |adopts: Option<KeyConfigurationId>| {
        if let Some(use_cases) = model.cases() {
            let request = request.clone();
            client
                .run()
                .will_create_configuration(PlannedConfiguration {
                    use_cases,
                    request,
                    adopts,
                });
        }
    };
    let Some(new) = request.clone() else {
        let unknown = [
            ("use_cases", model.cases().is_none()),
            (model.key_attribute(), model.key_is_unknown()),
        ];
        client.warn_of_later_proof(cx, &unknown);
        will_create(None);
        return Ok(());
    };
    refuse_twins(cx, model, &new)?;
    if let Some(gcp) = model.gcp.known() {
        gcp.refuse_silent_caller(client, connected)?;
    }
    let all = client.reads().configurations(connected).await;
    let all = all.map_err(|error: Error| {
        diagnose::account("The key configurations could not be read", &error)
    })?;
    let adopted = announce(cx, account, all.values(), &new);
    will_create(adopted.as_ref().ok().cloned().flatten());
    adopted.map(|_| ())
}

/// Two new resources that describe the very same object.
fn refuse_twins(
    cx: &Context<Client>,
    model: &KeyConfigurationModel,
    new: &NewKeyConfiguration,
) -> Result<(), Diagnostics> {
    let client = cx.client();
    let fingerprint = serde_json::to_string(new).unwrap_or_default();
    let claim = Claim {
        value: String::new(),
        is_new: true,
        owner: owner(cx, true),
    };
    let thing = Claimed::NewConfiguration(fingerprint);
    if client.run().claim(thing, claim) == Holding::Own {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Two resources describe the same key configuration",
        format!(
            "Another new dbxcmk_key_configuration of this configuration describes the same object: key {}, use cases {}. Databricks would have \
             it twice, with nothing to tell the two apart.\n\nKeep one of them, and refer to it from everywhere.{}",
            new.key.name(),
            new.use_cases.join(" and "),
            match new.key {
                NewKey::Aws(_) => " If you need two, give them different aliases (`aws.key_alias`).",
                NewKey::Gcp(_) => "",
            }
        ),
    )
    .on(model.key_attribute())
    .into())
}
