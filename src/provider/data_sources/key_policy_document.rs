//! `dbxcmk_key_policy_document`: the statements for Databricks, and a whole policy with them, for users who manage the
//! policy elsewhere. It makes no API calls.

use serde::{Deserialize, Serialize};

use super::{account_ids, accounts, incomplete, use_cases};
use crate::provider::client::Client;
use crate::provider::resources::{
    all_known, check_tables, known_set, names_something, refuse_managed_disks,
};
use crate::requirements::aws::Usage;
use crate::requirements::aws::list_of;
use crate::requirements::aws::{self as documents, DocumentError};
use crate::vocabulary::aws::RoleArn;
use crate::vocabulary::{AccountId, Cloud, Deployment, KeyUse};
use kms_policy::is_account;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Name, Problem, Schema};
use tfplugin::value::Value;

/// `dbxcmk_key_policy_document`: a policy as text, without a call to any service.
pub struct KeyPolicyDocumentDataSource;

/// The arguments and results of `dbxcmk_key_policy_document`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyDocumentModel {
    pub use_cases: Attr<Vec<Attr<KeyUse>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyPolicyDocumentAws>,
    pub id: Attr<String>,
    pub statements: Attr<String>,
    pub json: Attr<String>,
}

/// The `aws` block of `dbxcmk_key_policy_document`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyDocumentAws {
    pub account_id: Attr<String>,
    pub source_policy: Attr<String>,
    pub partition: Attr<Deployment>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub include_grants: Attr<bool>,
    pub storage_credential_role_arns: Attr<Vec<Attr<RoleArn>>>,
}

/// A wrong source policy, for the user.
fn unusable(error: &DocumentError) -> Diagnostic {
    let detail = match error {
        DocumentError::Source(error) => {
            format!("`source_policy` is not a valid key policy: {error}. Correct it at that place.")
        }
        DocumentError::Limits(reason) => {
            format!("With the statements for Databricks, {reason}. Shorten other statements.")
        }
    };
    Diagnostic::error("The key policy cannot be made", detail).on("aws.source_policy")
}

impl DataSource for KeyPolicyDocumentDataSource {
    type Client = Client;
    type Model = KeyPolicyDocumentModel;

    fn name(&self) -> Name {
        "dbxcmk_key_policy_document".into()
    }

    fn schema(&self) -> Schema {
        let aws = vec![
            Attribute::string("account_id")
                .check(|value: &Value| match value.as_str() {
                    Some(text) if !is_account(text) => Err(Problem::new("Invalid AWS account ID", format!("`{text}` is not the ID of an AWS account. Use 12 digits, as \"123456789012\"."))),
                    _ => Ok(()),
                })
                .describe(
                    "AWS account that owns the key. The policy allows its administrators everything, as the AWS default policy does. \
                     Required unless `source_policy` is set.",
                ),
            Attribute::string("source_policy").describe(
                "Key policy (JSON) to which the statements are added. Statements for Databricks that it has already are not \
                 added again.",
            ),
            Attribute::string("partition")
                .format::<Deployment>("Invalid partition")
                .describe(
                    "Databricks deployment on AWS: `aws`, `aws-us-gov` (GovCloud, civilian) or `aws-us-gov-dod`. Default: the \
                     deployment of the provider's host, then `aws`.",
                ),
            Attribute::string("cross_account_role_arn").format::<RoleArn>("Invalid role ARN").describe(
                "ARN of the role with which Databricks launches clusters. Adds the statement for cluster volumes (EBS).",
            ),
            Attribute::bool("include_grants")
                .describe("Whether to add the statement for grants. Older Databricks documentation shows it, and the present one does not. Default: `false`."),
            Attribute::string_set("storage_credential_role_arns").no_null_elements().format::<RoleArn>("Invalid role ARN").describe(
                "ARNs of the roles of storage credentials, for tables of Unity Catalog in buckets that the key encrypts. With the use case \
                 `UNITY_CATALOG`.",
            ),
        ];
        Schema::new(
            "Builds a complete key policy that lets Databricks use a KMS key, and its statements alone, for where you \
             manage the policy, for example in `aws_kms_key.policy`. This data source makes no API calls and needs no \
             credentials.",
            vec![
                use_cases().describe(
                    "What the key is used for: `MANAGED_SERVICES`, `STORAGE`, `UNITY_CATALOG`.",
                ),
                account_ids(),
                Attribute::object("aws", aws)
                    .required()
                    .describe("Parts of the policy."),
                Attribute::string("id")
                    .computed()
                    .describe("The same as `json`."),
                Attribute::string("statements")
                    .computed()
                    .describe("The statements for Databricks, as a JSON list."),
                Attribute::string("json")
                    .computed()
                    .describe("The whole policy, as JSON."),
            ],
        )
    }

    fn validate(&self, config: &KeyPolicyDocumentModel) -> Diagnostics {
        let disks = all_known(&config.use_cases).and_then(|cases| refuse_managed_disks(&cases));
        if let Some(refused) = disks {
            return refused.into();
        }
        let Some(aws) = config.aws.known() else {
            return Diagnostics::new();
        };
        let cases = all_known(&config.use_cases);
        let roles = names_something(&aws.storage_credential_role_arns);
        if let Some(found) = check_tables(&Cloud::Aws, cases.as_deref(), roles) {
            return found.into();
        }
        if aws.account_id.is_null() && aws.source_policy.is_null() {
            return Diagnostic::error(
                "The key policy would lock everyone out of the key",
                "A key policy without a statement for the key's own account locks everybody out. Set `account_id` to the AWS account of the \
                 key (`data.aws_caller_identity.….account_id`), or `source_policy` to the policy to which the statements are added.",
            )
            .on("aws.account_id")
            .into();
        }
        Diagnostics::new()
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: KeyPolicyDocumentModel,
    ) -> Result<KeyPolicyDocumentModel, Unfinished> {
        let client = cx.client();
        let (Attr::Known(aws), Some(cases)) = (&model.aws, all_known(&model.use_cases)) else {
            return Err(incomplete().into());
        };
        if let Some(refused) = refuse_managed_disks(&cases) {
            return Err(refused.into());
        }
        let roles = match &aws.storage_credential_role_arns {
            Attr::Null => Vec::new(),
            roles => all_known(roles).ok_or_else(incomplete)?,
        };
        if let Some(found) = check_tables(&Cloud::Aws, Some(&cases), Some(!roles.is_empty())) {
            return Err(found.into());
        }
        let accounts = accounts(client, &model.databricks_account_ids)?;
        let usage = Usage::of(
            (aws.partition.known().copied())
                .unwrap_or_else(|| client.databricks().usual_deployment()),
            accounts.clone(),
            cases,
        )
        .with_grants(aws.include_grants.known() == Some(&true))
        .with_cross_account_role(aws.cross_account_role_arn.known().cloned())
        .with_table_roles(roles);
        let grants = usage.grants();
        let source = match (&aws.source_policy, &aws.account_id) {
            (Attr::Known(source), _) => source.clone(),
            (_, Attr::Known(account)) => documents::administration(usage.deployment, account),
            _ => return Err(incomplete().into()),
        };
        let whole = documents::with_grants(&source, &grants).map_err(|error| unusable(&error))?;
        let statements: Vec<String> = grants.into_iter().map(|grant| grant.statement).collect();
        model.statements = Attr::Known(list_of(&statements));
        model.json = Attr::Known(whole.clone());
        model.id = Attr::Known(whole);
        model.databricks_account_ids = known_set(accounts);
        Ok(model)
    }
}
