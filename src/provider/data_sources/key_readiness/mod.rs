//! `dbxcmk_key_readiness`: is this key ready for Databricks, and what grants each thing that Databricks needs? For `check`
//! blocks, postconditions, and users who do not manage the key here.

mod aws;
mod azure;
mod gcp;

pub use aws::KeyReadinessAws;
pub use azure::KeyReadinessAzure;
pub use gcp::KeyReadinessGcp;

use serde::{Deserialize, Serialize};

use super::{account_ids, accounts, incomplete, list, text, use_cases};
use crate::preflight::{Finding, LastUse, Severity};
use crate::provider::client::Client;
use crate::provider::diagnose::{Unavailable, in_hcl};
use crate::provider::resources::{all_known, known_set, refuse_managed_disks};
use crate::vocabulary::{AccountId, Key, KeyUse};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Name, Nesting, Schema};
use tfplugin::types::Type;

/// `dbxcmk_key_readiness`: runs the proof of a key, and shows all of it.
pub struct KeyReadinessDataSource;

/// The arguments and results of `dbxcmk_key_readiness`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessModel {
    pub use_cases: Attr<Vec<Attr<KeyUse>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyReadinessAws>,
    pub gcp: Attr<KeyReadinessGcp>,
    pub azure: Attr<KeyReadinessAzure>,
    pub id: Attr<String>,
    pub ready: Attr<bool>,
    pub key_state: Attr<String>,
    pub last_used: Attr<LastUsedModel>,
    pub policy_source: Attr<String>,
    pub findings: Attr<Vec<Attr<FindingModel>>>,
    pub requirements: Attr<Vec<Attr<RequirementModel>>>,
    pub not_examined: Attr<Vec<Attr<NotExaminedModel>>>,
}

/// The last use of the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct LastUsedModel {
    pub standing: Attr<String>,
    pub at: Attr<String>,
    pub operation: Attr<String>,
    pub tracked_since: Attr<String>,
    pub protected_resources: Attr<u64>,
    pub permission: Attr<String>,
    pub why: Attr<String>,
}

impl From<LastUse> for LastUsedModel {
    fn from(read: LastUse) -> Self {
        Self {
            standing: text(read.standing.name()),
            at: read.at.into(),
            operation: read.operation.into(),
            tracked_since: read.tracked_since.into(),
            protected_resources: read.protected_resources.into(),
            permission: read.permission.map(str::to_owned).into(),
            why: read.why.into(),
        }
    }
}

/// The schema of `last_used`, the same on every cloud.
fn last_used() -> Vec<Attribute> {
    vec![
        Attribute::string("standing").computed().describe(
            "`used`; `never_used` since the key was created; `not_since_tracked`, when the key is older than the record; \
             `protects_resources`, on Google Cloud; `not_known`, always on Azure.",
        ),
        Attribute::string("at")
            .computed()
            .describe("When the key was last used (RFC 3339); only AWS records it."),
        Attribute::string("operation")
            .computed()
            .describe("Operation that used it, as `Decrypt`."),
        Attribute::string("tracked_since")
            .computed()
            .describe("Since when AWS records uses of this key (RFC 3339)."),
        Attribute::number("protected_resources")
            .computed()
            .describe("Number of resources that the key protects now, as Cloud KMS Inventory lists them."),
        Attribute::string("permission")
            .computed()
            .describe("Missing permission, if that is why the last use is not known."),
        Attribute::string("why")
            .computed()
            .describe("Why the last use is not known, or why the number of resources may be partial."),
    ]
}

/// A finding of the proof, as the data source shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct FindingModel {
    pub id: Attr<String>,
    pub severity: Attr<String>,
    pub summary: Attr<String>,
    pub found: Attr<String>,
    pub why: Attr<String>,
    pub remedy: Attr<String>,
}

/// One thing that is needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct RequirementModel {
    pub use_case: Attr<String>,
    pub purpose: Attr<String>,
    pub principal: Attr<String>,
    pub databricks_account_id: Attr<String>,
    pub action: Attr<String>,
    pub reason: Attr<String>,
    pub standing: Attr<String>,
    pub granted_by: Attr<Vec<Attr<String>>>,
    pub denied_by: Attr<Vec<Attr<String>>>,
}

impl From<Finding> for FindingModel {
    fn from(finding: Finding) -> Self {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self {
            id: text(finding.id.name()),
            severity: text(severity),
            summary: text(&finding.summary),
            found: text(&finding.found),
            why: text(&finding.why),
            remedy: text(&finding.remedy.text(|hint| Some(in_hcl(hint)))),
        }
    }
}

/// One thing that the proof does not cover.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NotExaminedModel {
    pub what: Attr<String>,
    pub why: Attr<String>,
    pub how: Attr<String>,
}

/// What an examination of a key came to.
struct KeyVerdict {
    /// The key that was examined.
    key: Key,
    /// Its state, when it could be read.
    state: Option<String>,
    /// By which policy it was judged.
    policy_source: &'static str,
    /// Whether everything that the proof needs could be read.
    is_known: bool,
    /// What there is to say, errors first.
    findings: Vec<Finding>,
    /// What is needed, and what grants it.
    requirements: Vec<RequirementModel>,
    /// What the proof does not cover.
    not_examined: Vec<NotExaminedModel>,
    /// Whether each of them is proven.
    all_proven: bool,
}

impl KeyVerdict {
    fn is_ready(&self) -> bool {
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        self.is_known && self.all_proven && !self.findings.iter().any(is_error)
    }
}

impl DataSource for KeyReadinessDataSource {
    type Client = Client;
    type Model = KeyReadinessModel;

    fn name(&self) -> Name {
        "dbxcmk_key_readiness".into()
    }

    #[expect(clippy::too_many_lines, reason = "a table of attributes")]
    fn schema(&self) -> Schema {
        let finding = vec![
            Attribute::string("id")
                .computed()
                .describe("Stable name; the guide on findings has all of them."),
            Attribute::string("severity")
                .computed()
                .describe("`error` or `warning`."),
            Attribute::string("summary")
                .computed()
                .describe("What is wrong, in one line."),
            Attribute::string("found")
                .computed()
                .describe("What was found."),
            Attribute::string("why")
                .computed()
                .describe("Why it matters."),
            Attribute::string("remedy")
                .computed()
                .describe("What to do, ready to paste."),
        ];
        let not_examined = vec![
            Attribute::string("what")
                .computed()
                .describe("Policies that the proof does not cover."),
            Attribute::string("why")
                .computed()
                .describe("Reason why the provider does not examine them."),
            Attribute::string("how")
                .computed()
                .describe("How to have them examined, or how to check them yourself."),
        ];
        let requirement = vec![
            Attribute::string("use_case").computed().describe("`MANAGED_SERVICES`, `STORAGE`, `MANAGED_DISKS` or `UNITY_CATALOG`."),
            Attribute::string("purpose").computed().describe("What it is for, in words."),
            Attribute::string("principal").computed().describe("Who needs it, as a key policy names them."),
            Attribute::string("databricks_account_id")
                .computed()
                .describe("Databricks account that makes the call; null when the caller is the cross-account role."),
            Attribute::string("action").computed().describe("The KMS action."),
            Attribute::string("reason").computed().describe("What it is needed for."),
            Attribute::string("standing").computed().describe(
                "`allowed` by a statement; `delegated` to the IAM policies of the principal's account; \
                 `allowed_by_key_policy_only`, when the principal is in another account, whose IAM policies must allow it too; \
                 `granted` by a grant; `undetermined`, when a condition depends on the call itself; `denied`; `missing`; \
                 `unknown`, when the policy could not be read. Only `allowed` and `granted` prove that the call is allowed.",
            ),
            Attribute::of("granted_by", Type::list(Type::String))
                .computed()
                .describe("`Sid` of each statement that allows it; `#` and its number for a statement without a `Sid`."),
            Attribute::of("denied_by", Type::list(Type::String))
                .computed()
                .describe("`Sid` of each statement that denies it or may deny it."),
        ];
        Schema::new(
            "Whether a key is ready for Databricks: its state, its kind, and what grants each permission that Databricks \
             needs. It does not fail because of what it finds, so you can use it in `check` blocks and postconditions. It \
             reads only the key service and needs no Databricks credentials.",
            vec![
                use_cases(),
                account_ids(),
                Attribute::object("aws", aws::attributes()).describe("The AWS key. Set exactly one of `aws`, `gcp` and `azure`."),
                Attribute::object("gcp", gcp::attributes()).describe("The Google Cloud key and the service accounts that use it."),
                Attribute::object("azure", azure::attributes()).describe("The Azure key and the workspace whose identities use it."),
                Attribute::string("id").computed().describe("ARN of the key, its name in Cloud KMS, or its identifier on Azure."),
                Attribute::bool("ready").computed().describe(
                    "Whether the proof is complete: no finding of severity `error`, nothing unreadable, and no permission that \
                     depends on IAM policies.",
                ),
                Attribute::string("key_state").computed().describe("State of the key, as `Enabled`; null when it could not be read."),
                Attribute::nested("last_used", Nesting::Single, last_used()).computed().describe(
                    "Last use of the key, as its cloud records it. It does not change `ready`, and it is never the only reason to delete a \
                     key: disable the key first, and watch for errors.",
                ),
                Attribute::string("policy_source").computed().describe(
                    "Which policy was examined: `live`, `planned` (by a `dbxcmk_key_policy` of the same plan), or `given`.",
                ),
                Attribute::nested("findings", Nesting::List, finding).computed().describe("Findings, errors first."),
                Attribute::nested("not_examined", Nesting::List, not_examined)
                    .computed()
                    .describe("What the proof does not cover, and how to have it examined."),
                Attribute::nested("requirements", Nesting::List, requirement)
                    .computed()
                    .describe("Every permission that is needed, and what grants it."),
            ],
        )
    }

    fn validate(&self, config: &KeyReadinessModel) -> Diagnostics {
        let blocks = [
            ("aws", config.aws.is_null()),
            ("gcp", config.gcp.is_null()),
            ("azure", config.azure.is_null()),
        ];
        let mut set = blocks.into_iter().filter(|(_, is_null)| !is_null);
        let (first, second) = (set.next(), set.next());
        if let Some((last, _)) = second {
            return Diagnostic::error(
                "Conflicting arguments: a key has one name",
                "Set only one of `aws`, `gcp` and `azure`.",
            )
            .on(last)
            .into();
        }
        let Some((cloud, _)) = first else {
            return Diagnostic::error(
                "Missing required argument",
                "Set exactly one of `aws` (a key of AWS KMS), `gcp` (a key of Google Cloud KMS) and `azure` (a key of Azure).",
            )
            .on("aws")
            .into();
        };
        if cloud != "azure"
            && let Some(refused) =
                all_known(&config.use_cases).and_then(|cases| refuse_managed_disks(&cases))
        {
            return refused.into();
        }
        if cloud != "aws" && !config.databricks_account_ids.is_null() {
            let instead = match cloud {
                "gcp" => {
                    "On Google Cloud, service accounts use the key, not accounts. Remove `databricks_account_ids`, and name the service \
                     accounts in `gcp.databricks_service_accounts`."
                }
                _ => {
                    "On Azure, principals of the tenant use the key, not accounts. Remove `databricks_account_ids`."
                }
            };
            return Diagnostic::error("databricks_account_ids belongs to AWS", instead)
                .on("databricks_account_ids")
                .into();
        }
        let cases = all_known(&config.use_cases);
        let wrong = match (&config.aws, &config.gcp, &config.azure) {
            (Attr::Known(aws), ..) => return aws.validate(&config.use_cases),
            (_, Attr::Known(gcp), _) => gcp.check(cases.as_deref()),
            (.., Attr::Known(azure)) => azure.check(cases.as_deref()),
            _ => None,
        };
        wrong.map(Diagnostics::from).unwrap_or_default()
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: KeyReadinessModel,
    ) -> Result<KeyReadinessModel, Unfinished> {
        let client = cx.client();
        let Some(cases) = all_known(&model.use_cases) else {
            return Err(incomplete().into());
        };
        let not_yet_known = |block: &'static str, is_known: bool| match is_known {
            true => Ok(()),
            false => Err(Unfinished::from(Unavailable::NotYetKnown(vec![block]))),
        };
        let verdict = match (&model.aws, &model.gcp) {
            (Attr::Known(aws), _) => {
                not_yet_known("aws", client.keys().aws().is_known())?;
                let accounts = accounts(client, &model.databricks_account_ids)?;
                let verdict = aws.examine(client, &accounts, cases).await?;
                model.databricks_account_ids = known_set(accounts);
                verdict
            }
            (_, Attr::Known(gcp)) => {
                not_yet_known("gcp", client.keys().gcp().is_known())?;
                gcp.examine(client, &cases).await?
            }
            _ => match &model.azure {
                Attr::Known(azure) => {
                    not_yet_known("azure", client.keys().azure().is_known())?;
                    azure.examine(client, &cases).await?
                }
                _ => return Err(incomplete().into()),
            },
        };
        model.ready = Attr::Known(verdict.is_ready());
        let last_used = client.keys().last_use(&verdict.key).await;
        model.last_used = Attr::Known(last_used.into());
        model.id = Attr::Known(verdict.key.to_string());
        model.key_state = verdict.state.into();
        model.policy_source = text(verdict.policy_source);
        model.requirements = list(verdict.requirements);
        model.not_examined = list(verdict.not_examined);
        model.findings = list(verdict.findings.into_iter().map(FindingModel::from));
        Ok(model)
    }
}
