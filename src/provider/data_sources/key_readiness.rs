//! `dbxcmk_key_readiness`: is this key ready for Databricks, and by what is each thing granted that is needed? For `check`
//! blocks, postconditions, and whoever does not manage the key here.

use serde::{Deserialize, Serialize};

use super::{account_ids, accounts, incomplete, list, text, use_cases};
use crate::preflight::aws::PolicySource;
use crate::preflight::aws::{Question, judge};
use crate::preflight::aws::{Requirement, proof};
use crate::preflight::{Fact, Finding, Severity, Stage};
use crate::provider::client::Client;
use crate::provider::diagnose::Unavailable;
use crate::provider::resources::{all_known, known_set};
use crate::requirements::aws::Usage;
use crate::vocabulary::{AccountId, KeyArn, RoleArn, UseCase};
use kms_policy::Document;
use tfplugin::bridge::Attr;
use tfplugin::data_source::DataSource;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::resource::Context;
use tfplugin::schema::{Attribute, Nesting, Schema};
use tfplugin::types::Type;

/// The data source.
pub struct KeyReadinessDataSource;

/// Configuration and result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessModel {
    pub use_cases: Attr<Vec<Attr<UseCase>>>,
    pub databricks_account_ids: Attr<Vec<Attr<AccountId>>>,
    pub aws: Attr<KeyReadinessAws>,
    pub id: Attr<String>,
    pub ready: Attr<bool>,
    pub key_state: Attr<String>,
    pub policy_source: Attr<String>,
    pub findings: Attr<Vec<Attr<Found>>>,
    pub requirements: Attr<Vec<Attr<Needed>>>,
}

/// `aws`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessAws {
    pub key_arn: Attr<KeyArn>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub policy: Attr<String>,
}

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Found {
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
pub struct Needed {
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

impl From<Finding> for Found {
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
            remedy: text(&finding.remedy),
        }
    }
}

impl From<Requirement> for Needed {
    fn from(need: Requirement) -> Self {
        Self {
            use_case: text(need.purpose.use_case().name()),
            purpose: text(need.purpose.in_words()),
            principal: text(&need.principal),
            databricks_account_id: text(
                need.account
                    .as_ref()
                    .map(AccountId::as_str)
                    .unwrap_or_default(),
            ),
            action: text(need.action),
            reason: text(need.reason),
            standing: text(need.standing.name()),
            granted_by: list(need.granted_by),
            denied_by: list(need.denied_by),
        }
    }
}

impl DataSource for KeyReadinessDataSource {
    type Client = Client;
    type Model = KeyReadinessModel;

    const NAME: &'static str = "dbxcmk_key_readiness";

    fn schema() -> Schema {
        let aws = vec![
            Attribute::string("key_arn").required().format::<KeyArn>("Invalid key ARN").describe("ARN of the KMS key."),
            Attribute::string("cross_account_role_arn").format::<RoleArn>("Invalid role ARN").describe(
                "ARN of the role with which Databricks launches clusters, if the key is for cluster volumes (EBS) as well.",
            ),
            Attribute::string("policy").describe(
                "Key policy (JSON) by which the key is judged. Default: the policy that KMS has, or that a `dbxcmk_key_policy` of the \
                 same plan is about to put.",
            ),
        ];
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
        let requirement = vec![
            Attribute::string("use_case").computed().describe("`MANAGED_SERVICES` or `STORAGE`."),
            Attribute::string("purpose").computed().describe("What it is for, in words."),
            Attribute::string("principal").computed().describe("Who needs it, as a key policy names them."),
            Attribute::string("databricks_account_id")
                .computed()
                .describe("For which Databricks account; null when the caller is the cross-account role."),
            Attribute::string("action").computed().describe("The KMS action."),
            Attribute::string("reason").computed().describe("What it is needed for."),
            Attribute::string("standing").computed().describe(
                "`allowed` by a statement; `delegated` to the IAM policies of the principal's account; `allowed_by_key_policy_only`, when the \
                 principal is in another account, whose IAM policies have to allow it as well; `granted` by a grant; `undetermined`, when a \
                 condition depends on the call itself; `denied`; `missing`; `unknown`, when the policy could not be read. Only `allowed` and \
                 `granted` prove that the call is allowed.",
            ),
            Attribute::of("granted_by", Type::list(Type::String))
                .computed()
                .describe("`Sid` of each statement that allows it, or `#` and its number where it has none."),
            Attribute::of("denied_by", Type::list(Type::String))
                .computed()
                .describe("The same for each statement that denies it, or may."),
        ];
        Schema::new(
            "Whether a KMS key is ready for Databricks: its state, its kind, and by what each permission is granted that Databricks needs. \
             It never fails for what it finds, so it can be used in `check` blocks and postconditions. It reads KMS alone; no credential for \
             Databricks is needed.",
            vec![
                use_cases(),
                account_ids(),
                Attribute::object("aws", aws).required().describe("The AWS key."),
                Attribute::string("id").computed().describe("ARN of the key."),
                Attribute::bool("ready").computed().describe(
                    "Whether everything that is needed was proven: no finding of severity `error`, nothing that could not be read, and no \
                     permission that depends on IAM policies.",
                ),
                Attribute::string("key_state").computed().describe("State of the key, as `Enabled`; null when it could not be read."),
                Attribute::string("policy_source").computed().describe(
                    "By which policy the key was judged: `live`, `planned` (by a `dbxcmk_key_policy` of the same plan), or `given`.",
                ),
                Attribute::nested("findings", Nesting::List, finding).computed().describe("What there is to say, errors first."),
                Attribute::nested("requirements", Nesting::List, requirement)
                    .computed()
                    .describe("Every permission that is needed, and what grants it."),
            ],
        )
    }

    fn validate(config: &KeyReadinessModel) -> Diagnostics {
        let policy = config.aws.known().and_then(|aws| aws.policy.known());
        match policy.map(|policy| Document::parse(policy)) {
            Some(Err(error)) => Diagnostic::error(
                "The key policy cannot be read",
                format!("`policy` is no valid key policy: {error}. Correct it at that place."),
            )
            .on("aws.policy")
            .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn read(
        cx: &Context<Client>,
        mut model: KeyReadinessModel,
    ) -> Result<KeyReadinessModel, Diagnostics> {
        let client = cx.client();
        let Attr::Known(aws) = &model.aws else {
            return Err(incomplete());
        };
        let (Some(key), Some(cases)) = (aws.key_arn.known().cloned(), all_known(&model.use_cases))
        else {
            return Err(incomplete());
        };
        if !client.aws_is_known() {
            cx.defer();
            return Err(Unavailable::NotYetKnown(vec!["aws"]).into());
        }
        let accounts = accounts(client, &model.databricks_account_ids)?;
        let mut facts = client.facts_for_plan(&key).await;
        let source = |source: &PolicySource| match source {
            PolicySource::Live => "live",
            PolicySource::Planned => "planned",
            PolicySource::Given(_) => "given",
        };
        if let Attr::Known(policy) = &aws.policy {
            facts.policy = Fact::Known(policy.clone());
            facts.policy_source = PolicySource::Given("`aws.policy`".to_owned());
        }
        let usage = Usage::of(client.deployment(&key), accounts.clone(), cases)
            .with_cross_account_role(aws.cross_account_role_arn.known().cloned());
        let question = Question {
            usage,
            cluster_volumes: false,
            stage: Stage::Plan,
        };
        let findings = judge(&facts, &question);
        let is_known = matches!(
            (&facts.description, &facts.policy),
            (Fact::Known(_), Fact::Known(_))
        );
        let requirements = proof(&facts, &question);
        model.ready = Attr::Known(
            is_known
                && findings
                    .iter()
                    .all(|finding| finding.severity != Severity::Error)
                && requirements.iter().all(|one| one.standing.is_proven()),
        );
        model.key_state = match &facts.description {
            Fact::Known(description) => text(description.state.as_str()),
            Fact::Unreadable(_) => Attr::Null,
        };
        model.policy_source = text(source(&facts.policy_source));
        model.requirements = list(requirements.into_iter().map(Needed::from));
        model.findings = list(findings.into_iter().map(Found::from));
        model.databricks_account_ids = known_set(accounts);
        model.id = Attr::Known(key.to_string());
        Ok(model)
    }
}
