//! `dbxcmk_key_policy`: the access with which Databricks may use a key. It owns that and nothing else of the key.

mod aws;
mod azure;
mod catalogs;
mod gcp;
mod in_use;
mod leaving;
mod tables;

pub use azure::KeyPolicyAzure;
pub use gcp::KeyPolicyGcp;
pub use in_use::with_users;

use aws::KeyPolicyAws;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Timeouts, all_known, known_set, refuse_managed_disks};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::diagnose::{IgnoreFindings, ignore_findings};
use crate::vocabulary::azure::{VaultResourceId, WorkspaceResourceId};
use crate::vocabulary::{AccountId, Cloud, Key, KeyUse};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::identity::{Identity, IdentityAttribute};
use tfplugin::list_resource::Found;
use tfplugin::resource::{Change, Import, Moved, Plan, Progress, Resource, Source};
use tfplugin::schema::{Attribute, Name, Schema};
use tfplugin::timeouts::{self, Timeout};
use tfplugin::value::Value;

/// How long a new policy may take to show in reads, and a new principal or service account to be known. On Azure, more than the policy is changed.
const CREATE: Timeout = Timeout::new("create", Duration::from_secs(10 * 60));
/// The same for a change.
const UPDATE: Timeout = Timeout::new("update", Duration::from_secs(10 * 60));
/// The same for a removal.
const DELETE: Timeout = Timeout::new("delete", Duration::from_secs(10 * 60));

/// What a destruction is called where it takes something away.
const DESTROYING: &str = "Destroying this resource";

/// `dbxcmk_key_policy`: gives Databricks the use of a key, in the form of each cloud.
pub struct KeyPolicyResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyModel {
    pub id: Attr<String>,
    pub use_cases: Attr<Vec<Attr<KeyUse>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyPolicyAws>,
    pub gcp: Attr<KeyPolicyGcp>,
    pub azure: Attr<KeyPolicyAzure>,
    pub force_destroy: Attr<bool>,
    pub statements: Attr<String>,
    pub policy: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

impl KeyPolicyModel {
    /// A key policy of which nothing is known.
    fn unnamed() -> Self {
        Self {
            id: Attr::Null,
            use_cases: Attr::Null,
            databricks_account_ids: Attr::Null,
            aws: Attr::Null,
            gcp: Attr::Null,
            azure: Attr::Null,
            force_destroy: Attr::Known(false),
            statements: Attr::Null,
            policy: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// The cloud that keeps the key.
    fn cloud(&self) -> Cloud {
        match (&self.gcp, &self.azure) {
            (Attr::Null, Attr::Null) => Cloud::Aws,
            (Attr::Null, _) => Cloud::Azure,
            _ => Cloud::Gcp,
        }
    }

    /// The key that the blocks name; `None` while Terraform does not know it.
    fn key_name(&self) -> Option<Key> {
        match self.cloud() {
            Cloud::Gcp => self
                .gcp
                .known()?
                .kms_key_id
                .known()
                .cloned()
                .map(Into::into),
            Cloud::Azure => self
                .azure
                .known()?
                .key_vault_key_id
                .known()
                .map(azure::key_name),
            _ => self.aws.known()?.key_arn.known().cloned().map(Into::into),
        }
    }

    fn may_be_destroyed(&self) -> bool {
        self.force_destroy.known() == Some(&true)
    }
}

/// Every key of a Google key ring whose policy has members for Databricks.
///
/// # Errors
/// When the keys cannot be listed.
pub async fn list_of_ring(
    cx: &Context<Client>,
    ring: &str,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    gcp::list(cx, ring, found).await
}

/// Every key of a vault that Databricks may use. `workspace`: whose identities count as well.
///
/// # Errors
/// When the keys cannot be listed.
pub async fn list_of_vault(
    cx: &Context<Client>,
    vault: &VaultResourceId,
    workspace: Option<&WorkspaceResourceId>,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    azure::list(cx, vault, workspace, found).await
}

/// Every key of a region whose policy has statements for Databricks.
///
/// # Errors
/// When the keys cannot be listed.
pub async fn list(
    cx: &Context<Client>,
    region: Option<&str>,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    aws::list(cx, region, found).await
}

/// Says what `force_destroy` means, in the plan that sets it.
async fn warn_of_force(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &Plan<KeyPolicyModel>,
) {
    let was_set = change
        .prior
        .as_ref()
        .is_some_and(KeyPolicyModel::may_be_destroyed);
    let Some(key) = plan.model.key_name() else {
        return;
    };
    if was_set || !plan.model.may_be_destroyed() {
        return;
    }
    let workspaces = match plan.model.cloud() {
        Cloud::Azure => azure::users_in_words(cx, &plan.model).await,
        _ => in_use::users_in_words(cx.client(), &key).await,
    };
    // If the provider cannot read the workspaces, the plan that takes something away reports that.
    if let Ok(workspaces) = workspaces {
        leaving::force_is_set(cx, &key, &workspaces);
    }
}

/// What a change of the key takes from the former one, as a destruction of it.
fn former<'a>(
    change: &'a Change<KeyPolicyModel>,
    plan: &Plan<KeyPolicyModel>,
) -> Option<&'a KeyPolicyModel> {
    let prior = change.prior.as_ref()?;
    (prior.key_name() != plan.model.key_name()).then_some(prior)
}

/// The one place that tells the clouds apart: what the module of the cloud of a key policy does, its name being `cloud` in `$work`. Each has the same
/// functions.
macro_rules! on_its_cloud {
    ($model:expr, |cloud| cloud::$work:ident($($argument:expr),*) $(. $wait:tt)?) => {
        match $model.cloud() {
            Cloud::Gcp => gcp::$work($($argument),*) $(. $wait)?,
            Cloud::Azure => azure::$work($($argument),*) $(. $wait)?,
            Cloud::Aws | Cloud::Other(_) => aws::$work($($argument),*) $(. $wait)?,
        }
    };
}

/// The outcome of a plan, and what is said about the former key.
async fn with_former(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &Plan<KeyPolicyModel>,
    outcome: Result<(), Diagnostics>,
) -> Result<(), Unfinished> {
    let Some(prior) = former(change, plan) else {
        return Ok(outcome?);
    };
    let mut found = outcome.err().unwrap_or_default();
    let what = "Changing the key of this resource";
    let left = on_its_cloud!(prior, |cloud| cloud::plan_leaving(cx, prior, what).await);
    found.extend(left.err().unwrap_or_default());
    match found.has_errors() {
        true => Err(found.into()),
        false => Ok(()),
    }
}

impl Resource for KeyPolicyResource {
    type Client = Client;
    type Model = KeyPolicyModel;

    fn name(&self) -> Name {
        "dbxcmk_key_policy".into()
    }
    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new("key_arn", "the ARN of the key").path("aws.key_arn")])
            .or([
                IdentityAttribute::new("kms_key_id", "the name of the key in Google Cloud KMS")
                    .path("gcp.kms_key_id"),
            ])
            .or([
                IdentityAttribute::new("key_vault_key_id", "the identifier of the key on Azure")
                    .path("id"),
                IdentityAttribute::new("vault_resource_id", "the resource ID of its vault")
                    .path("azure.vault_resource_id"),
                IdentityAttribute::new(
                    "workspace_resource_id",
                    "the resource ID of the workspace whose identities use it",
                )
                .path("azure.workspace_resource_id")
                .optional(),
            ])
            // Another workspace can use the same key.
            .may_change()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "Lets Databricks use a key, and keeps it so. On AWS it manages the documented statements of the key policy, on Google Cloud the \
             members of the key's IAM policy, on Azure the access of AzureDatabricks and of the identities of the workspace, by role \
             assignments or access policies as the vault uses them. It owns nothing else there: it leaves what others added exactly as it is, \
             and adopts documented statements that are there already. It refuses a plan when the policy would lock you out, when KMS would \
             reject it, or when a workspace would lose access to its key.\n\nDo not combine it with `aws_kms_key_policy`, or with `policy` of `aws_kms_key`, on the same key: those write the whole \
             policy on every change. Let `aws_kms_key` ignore changes of `policy`.",
            vec![
                Attribute::string("id").computed().stable().describe("ARN of the key, its name in Cloud KMS, or its identifier on Azure."),
                Attribute::string_set("use_cases")
                    .required()
                    .no_null_elements()
                    .format::<KeyUse>("Invalid use case")
                    .not_empty("No use case", "Name at least one of `MANAGED_SERVICES` and `STORAGE`.")
                    .describe("What Databricks may use the key for: `MANAGED_SERVICES`, `STORAGE`, or both; on Azure also `MANAGED_DISKS`. `UNITY_CATALOG` is for tables in \
                         buckets or storage accounts under this key, with those who use it there: `aws.storage_credential_role_arns`, \
                         `gcp.bucket_project_numbers` or `azure.storage_account_principal_ids`. It alone gives nothing to Databricks itself."),
                Attribute::string_set("databricks_account_ids")
                    .optional_computed()
                    .stable()
                    .no_null_elements()
                    .format::<AccountId>("Invalid Databricks account ID")
                    .not_empty("No Databricks account", "Name at least one account, or remove the attribute.")
                    .describe("Databricks accounts that may use the key. Default: the account of the provider."),
                Attribute::object("aws", aws::attributes())
                    .describe("The AWS key and the role that uses it. Set exactly one of `aws`, `gcp` and `azure`."),
                Attribute::object("gcp", gcp::attributes()).describe("The Google Cloud key and the service accounts that use it."),
                Attribute::object("azure", azure::attributes()).describe("The Azure key and the workspace whose identities use it."),
                Attribute::bool("force_destroy").default_value(Value::Bool(false)).quiet().describe(
                    "Whether to remove the statements even if workspaces need them. Those workspaces lose access to the key. Default: \
                     `false`.",
                ),
                Attribute::string("statements")
                    .computed()
                    .describe(
                        "The statements of this resource, as a JSON list. Known at plan. For a key that the same plan creates, they are known \
                         at plan if the host of the provider is one of Databricks' own account hosts.",
                    ),
                Attribute::string("policy").computed().describe(
                    "The whole policy of the key, as JSON. Known after apply, because others can change it between plan and apply. `review` \
                     shows which statements stay as they are.",
                ),
                ignore_findings("this resource"),
                timeouts::attribute(&[CREATE, UPDATE, DELETE]).describe(
                    "How long each operation may take, as `30s`, `20m` or `1h30m`. On Azure, the default of create and update is `60m`.",
                ),
            ],
        )
    }

    fn validate(&self, config: &KeyPolicyModel) -> Diagnostics {
        let blocks = [
            ("aws", config.aws.is_null()),
            ("gcp", config.gcp.is_null()),
            ("azure", config.azure.is_null()),
        ];
        let mut set = blocks.into_iter().filter(|(_, is_null)| !is_null);
        let (Some((first, _)), second) = (set.next(), set.next()) else {
            return Diagnostic::error(
                "Missing required argument",
                "Set exactly one of `aws` (a key of AWS KMS), `gcp` (a key of Google Cloud KMS) and `azure` (a key of Azure).",
            )
            .on("aws")
            .into();
        };
        if let Some((second, _)) = second {
            return Diagnostic::error(
                "A key policy has one key",
                format!(
                    "Both `{first}` and `{second}` are set. Use one dbxcmk_key_policy for each key."
                ),
            )
            .on(second)
            .into();
        }
        if first != "azure"
            && let Some(refused) =
                all_known(&config.use_cases).and_then(|cases| refuse_managed_disks(&cases))
        {
            return refused.into();
        }
        on_its_cloud!(config, |cloud| cloud::validate(config))
    }

    async fn plan(
        &self,
        cx: &Context<Client>,
        change: &Change<KeyPolicyModel>,
        plan: &mut Plan<KeyPolicyModel>,
    ) -> Result<(), Unfinished> {
        let cloud = change.config.cloud();
        if cloud != Cloud::Aws {
            plan.model.databricks_account_ids = Attr::Null;
            plan.model.statements = Attr::Null;
            plan.model.policy = Attr::Null;
        }
        warn_of_force(cx, change, plan).await;
        match cloud {
            Cloud::Gcp => return gcp::plan(cx, change, plan).await,
            Cloud::Azure => return azure::plan(cx, change, plan).await,
            _ => {}
        }
        if change.config.databricks_account_ids.is_null() {
            plan.model.databricks_account_ids = match cx.client().account_id() {
                Ok(account) => known_set([account]),
                Err(diagnose::Unavailable::NotYetKnown(unknown)) => {
                    cx.client().warn_unproven(cx, &unknown);
                    Attr::Unknown
                }
                Err(reason) => return Err(reason.into()),
            };
        }
        aws::plan(cx, change, plan).await
    }

    async fn plan_destroy(
        &self,
        cx: &Context<Client>,
        state: &KeyPolicyModel,
    ) -> Result<(), Unfinished> {
        let what = DESTROYING;
        Ok(on_its_cloud!(state, |cloud| cloud::plan_leaving(
            cx, state, what
        )
        .await)?)
    }

    async fn create(
        &self,
        cx: &Context<Client>,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Unfinished> {
        Ok(on_its_cloud!(plan, |cloud| cloud::put(
            cx, plan, None, progress
        )
        .await)?)
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        state: KeyPolicyModel,
    ) -> Result<Option<KeyPolicyModel>, Unfinished> {
        let seen = on_its_cloud!(state, |cloud| cloud::seen(&state));
        let (scope, own) = seen.unzip();
        leaving::was_read(cx, &state, scope, own.unwrap_or_default()).await;
        on_its_cloud!(state, |cloud| cloud::read(cx, state).await)
    }

    async fn update(
        &self,
        cx: &Context<Client>,
        prior: KeyPolicyModel,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Unfinished> {
        Ok(on_its_cloud!(plan, |cloud| cloud::put(
            cx,
            plan,
            Some(&prior),
            progress
        )
        .await)?)
    }

    async fn delete(&self, cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Unfinished> {
        Ok(on_its_cloud!(state, |cloud| cloud::delete(cx, state).await)?)
    }

    async fn import_state(
        &self,
        _: &Context<Client>,
        import: &Import,
    ) -> Result<KeyPolicyModel, Unfinished> {
        let id = import.text();
        Ok(match Key::cloud_by_form(id) {
            Some(Cloud::Azure) => azure::import(id),
            Some(Cloud::Gcp) => gcp::import(id),
            _ => aws::import(id),
        }?)
    }

    fn move_state(&self, source: &Source) -> Result<Option<Moved<KeyPolicyModel>>, Diagnostics> {
        Ok(aws::move_state(source))
    }
}
