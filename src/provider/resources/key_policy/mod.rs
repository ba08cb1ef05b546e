//! `dbxcmk_key_policy`: the access with which Databricks may use a key. It owns that and nothing else of the key.

mod aws;
mod gcp;
mod in_use;

pub use aws::KeyPolicyAws;
pub use gcp::KeyPolicyGcp;

use serde::{Deserialize, Serialize};

use super::{Timeouts, known_set};
use crate::provider::client::Client;
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose;
use crate::vocabulary::{AccountId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::identity::{Identity, IdentityAttribute};
use tfplugin::list_resource::Listed;
use tfplugin::resource::{Change, Context, Plan, Private, Progress, Resource, Source};
use tfplugin::schema::{Attribute, Schema};
use tfplugin::value::Value;

/// The resource.
pub struct KeyPolicyResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyModel {
    pub id: Attr<String>,
    pub use_cases: Attr<Vec<Attr<UseCase>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyPolicyAws>,
    pub gcp: Attr<KeyPolicyGcp>,
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
            force_destroy: Attr::Known(false),
            statements: Attr::Null,
            policy: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// Whether its key is one of Google Cloud.
    fn is_gcp(&self) -> bool {
        !self.gcp.is_null()
    }

    fn may_be_destroyed(&self) -> bool {
        self.force_destroy.known() == Some(&true)
    }
}

/// Every key of a Google key ring whose policy has members for Databricks, up to `limit`.
///
/// # Errors
/// When the keys cannot be listed.
pub async fn list_of_ring(
    cx: &Context<Client>,
    ring: &str,
    limit: usize,
) -> Result<Vec<Listed<KeyPolicyModel>>, Diagnostics> {
    gcp::list(cx, ring, limit).await
}

/// Every key of a region whose policy has statements for Databricks, up to `limit`.
///
/// # Errors
/// When the keys cannot be listed.
pub async fn list(
    cx: &Context<Client>,
    region: Option<&str>,
    limit: usize,
) -> Result<Vec<Listed<KeyPolicyModel>>, Diagnostics> {
    aws::list(cx, region, limit).await
}

impl Resource for KeyPolicyResource {
    type Client = Client;
    type Model = KeyPolicyModel;

    const NAME: &'static str = "dbxcmk_key_policy";
    const IDENTITY: Identity = Identity {
        attributes: &[
            IdentityAttribute {
                name: "key_arn",
                path: "aws.key_arn",
                description: "the ARN of the key",
            },
            IdentityAttribute {
                name: "kms_key_id",
                path: "gcp.kms_key_id",
                description: "the name of the key in Google Cloud KMS",
            },
        ],
    };

    fn schema() -> Schema {
        Schema::new(
            "Allows Databricks to use a key: on AWS it adds the documented statements to the key policy, on Google Cloud it adds the service \
             accounts to the IAM policy of the key, and keeps them there. It owns nothing else \
             of the policy. It leaves statements of others exactly as they are, and adopts documented statements that are there already. It \
             refuses a plan when the policy would lock you out, when KMS would reject it, or when a workspace would lose access to its \
             key.\n\nDo not combine it with `aws_kms_key_policy`, or with `policy` of `aws_kms_key`, on the same key: those write the whole \
             policy on every change. Let `aws_kms_key` ignore changes of `policy`.",
            vec![
                Attribute::string("id").computed().stable().describe("ARN of the key, or its name in Cloud KMS."),
                Attribute::string_set("use_cases")
                    .required()
                    .format::<UseCase>("Invalid use case")
                    .not_empty("No use case", "Name at least one of `MANAGED_SERVICES` and `STORAGE`.")
                    .describe("What Databricks may use the key for: `MANAGED_SERVICES`, `STORAGE`, or both."),
                Attribute::string_set("databricks_account_ids")
                    .optional_computed()
                    .stable()
                    .format::<AccountId>("Invalid Databricks account ID")
                    .not_empty("No Databricks account", "Name at least one account, or remove the attribute.")
                    .describe("Databricks accounts that may use the key. Default: the account of the provider."),
                Attribute::object("aws", aws::attributes())
                    .describe("The AWS key and the role that uses it. Set exactly one of `aws` and `gcp`."),
                Attribute::object("gcp", gcp::attributes()).describe("The Google Cloud key and the service accounts that use it."),
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
                Attribute::timeouts(&[("create", "10m"), ("update", "10m"), ("delete", "10m")]),
            ],
        )
    }

    fn validate(config: &KeyPolicyModel) -> Diagnostics {
        match (&config.aws, &config.gcp) {
            (Attr::Null, Attr::Null) => Diagnostic::error(
                "Missing required argument",
                "Set exactly one of `aws` (a key of AWS KMS) and `gcp` (a key of Google Cloud KMS).",
            )
            .on("aws")
            .into(),
            (Attr::Null, _) => gcp::validate(config),
            (_, Attr::Null) => aws::validate(config),
            _ => Diagnostic::error(
                "A key policy has one key",
                "Both `aws` and `gcp` are set. Use one dbxcmk_key_policy for each key.",
            )
            .on("gcp")
            .into(),
        }
    }

    async fn plan(
        cx: &Context<Client>,
        change: &Change<KeyPolicyModel>,
        plan: &mut Plan<KeyPolicyModel>,
    ) -> Result<(), Diagnostics> {
        if change.config.is_gcp() {
            plan.model.databricks_account_ids = Attr::Null;
            plan.model.statements = Attr::Null;
            plan.model.policy = Attr::Null;
            return gcp::plan(cx, change, plan).await;
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

    async fn plan_destroy(cx: &Context<Client>, state: &KeyPolicyModel) -> Result<(), Diagnostics> {
        match state.is_gcp() {
            true => gcp::plan_destroy(cx, state).await,
            false => aws::plan_destroy(cx, state).await,
        }
    }

    async fn create(
        cx: &Context<Client>,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Diagnostics> {
        match plan.is_gcp() {
            true => gcp::put(cx, plan, None, progress).await,
            false => aws::put(cx, plan, None, progress).await,
        }
    }

    async fn read(
        cx: &Context<Client>,
        state: KeyPolicyModel,
    ) -> Result<Option<KeyPolicyModel>, Diagnostics> {
        match state.is_gcp() {
            true => gcp::read(cx, state).await,
            false => aws::read(cx, state).await,
        }
    }

    async fn update(
        cx: &Context<Client>,
        prior: KeyPolicyModel,
        plan: KeyPolicyModel,
        progress: &Progress<KeyPolicyModel>,
    ) -> Result<KeyPolicyModel, Diagnostics> {
        match plan.is_gcp() {
            true => gcp::put(cx, plan, Some(&prior), progress).await,
            false => aws::put(cx, plan, Some(&prior), progress).await,
        }
    }

    async fn delete(cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Diagnostics> {
        match state.is_gcp() {
            true => gcp::delete(cx, state).await,
            false => aws::delete(cx, state).await,
        }
    }

    async fn import_state(_: &Context<Client>, id: &str) -> Result<KeyPolicyModel, Diagnostics> {
        match id.starts_with("projects/") {
            true => gcp::import(id),
            false => aws::import(id),
        }
    }

    fn move_state(source: &Source) -> Option<Result<(KeyPolicyModel, Private), Diagnostics>> {
        aws::move_state(source)
    }
}
