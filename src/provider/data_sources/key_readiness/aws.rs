//! On AWS: a KMS key and its policy.

use serde::{Deserialize, Serialize};

use super::{KeyVerdict, NotExaminedModel, RequirementModel, incomplete, list, text};
use crate::preflight::aws::{
    KeyFacts, NotExamined, PolicySource, Question, Requirement, judge, not_examined, proof,
};
use crate::preflight::{Fact, Stage};
use crate::provider::client::Client;
use crate::provider::diagnose::in_hcl;
use crate::provider::keys::{AwsKeyCheck, KeyCheck};
use crate::provider::resources::{all_known, check_tables, names_something, with_users};
use crate::requirements::aws::Usage;
use crate::vocabulary::aws::{KeyArn, RoleArn};
use crate::vocabulary::{AccountId, Cloud, KeyUse};
use kms_policy::Document;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The `aws` block of `dbxcmk_key_readiness`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessAws {
    pub key_arn: Attr<KeyArn>,
    pub cross_account_role_arn: Attr<RoleArn>,
    pub policy: Attr<String>,
    pub storage_credential_role_arns: Attr<Vec<Attr<RoleArn>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
            Attribute::string("key_arn").required().format::<KeyArn>("Invalid key ARN").describe("ARN of the KMS key."),
            Attribute::string("cross_account_role_arn").format::<RoleArn>("Invalid role ARN").describe(
                "ARN of the role with which Databricks launches clusters, if the key is for cluster volumes (EBS) as well.",
            ),
            Attribute::string("policy").describe(
                "Key policy (JSON) to examine. Default: the policy in KMS, or the one that a `dbxcmk_key_policy` of the same \
                 plan is about to put.",
            ),
            Attribute::string_set("storage_credential_role_arns").no_null_elements().format::<RoleArn>("Invalid role ARN").describe(
                "ARNs of the roles of storage credentials, with which Unity Catalog reads and writes tables in buckets that this key encrypts. With \
                 the use case `UNITY_CATALOG`.",
            ),
    ]
}

impl KeyReadinessAws {
    /// Checks the configuration without a call: everything that is wrong with it.
    pub(super) fn validate(&self, use_cases: &Attr<Vec<Attr<KeyUse>>>) -> Diagnostics {
        let cases = all_known(use_cases);
        let roles = names_something(&self.storage_credential_role_arns);
        if let Some(found) = check_tables(&Cloud::Aws, cases.as_deref(), roles) {
            return found.into();
        }
        match self.policy.known().map(|policy| Document::parse(policy)) {
            Some(Err(error)) => Diagnostic::error(
                "The key policy is not valid",
                format!("`policy` is not a valid key policy: {error}. Correct it at that place."),
            )
            .on("aws.policy")
            .into(),
            _ => Diagnostics::new(),
        }
    }

    /// What the proof says about the key.
    ///
    /// # Errors
    /// When something that it needs is not known.
    pub(super) async fn examine(
        &self,
        client: &Client,
        accounts: &[AccountId],
        use_cases: Vec<KeyUse>,
    ) -> Result<KeyVerdict, Diagnostics> {
        let key = self.key_arn.known().cloned().ok_or_else(incomplete)?;
        let keys = client.keys().aws();
        let roles = match &self.storage_credential_role_arns {
            Attr::Null => Vec::new(),
            roles => all_known(roles).ok_or_else(incomplete)?,
        };
        // What was not known at validate is judged here.
        if let Some(found) = check_tables(&Cloud::Aws, Some(&use_cases), Some(!roles.is_empty())) {
            return Err(found.into());
        }
        let usage =
            Usage::of(keys.deployment(&key), accounts.to_vec(), use_cases).with_table_roles(roles);
        let question = Question {
            usage: usage.with_cross_account_role(self.cross_account_role_arn.known().cloned()),
            cluster_volumes: false,
            stage: Stage::Plan,
            used_by: Vec::new(),
        };
        let case = KeyCheck::Aws(AwsKeyCheck {
            key: key.clone(),
            question,
        });
        // Who uses the key has nothing to do with a policy that is only tried.
        let case = match self.policy.known().is_some() {
            true => case,
            false => with_users(client, case).await,
        };
        let KeyCheck::Aws(case) = case else {
            return Err(incomplete());
        };
        let question = &case.question;
        let is_proven = |facts: &KeyFacts| {
            let requirements = proof(facts, question);
            requirements.iter().all(|one| one.standing.is_proven())
        };
        let facts = match &self.policy {
            Attr::Known(policy) => {
                let given = KeyFacts {
                    policy: Fact::Known(policy.clone()),
                    policy_source: PolicySource::Given("`aws.policy`".to_owned()),
                    ..keys.facts_for_plan(&key).await
                };
                keys.for_question(given, question).await
            }
            _ => keys.facts_with_policy(&case, is_proven).await,
        };
        let requirements = proof(&facts, question);
        Ok(KeyVerdict {
            key: key.clone().into(),
            state: match &facts.description {
                Fact::Known(description) => Some(description.state.to_string()),
                Fact::Unreadable(_) => None,
            },
            policy_source: match &facts.policy_source {
                PolicySource::Live => "live",
                PolicySource::Planned => "planned",
                PolicySource::Given(_) => "given",
            },
            is_known: matches!(
                (&facts.description, &facts.policy),
                (Fact::Known(_), Fact::Known(_))
            ),
            findings: judge(&facts, question),
            all_proven: is_proven(&facts),
            not_examined: not_examined(&facts, question)
                .into_iter()
                .map(NotExaminedModel::from)
                .collect(),
            requirements: requirements
                .into_iter()
                .map(RequirementModel::from)
                .collect(),
        })
    }
}

impl From<Requirement> for RequirementModel {
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

impl From<NotExamined> for NotExaminedModel {
    fn from(one: NotExamined) -> Self {
        Self {
            what: text(&one.what),
            why: text(&one.why),
            how: text(&one.how.text(|hint| Some(in_hcl(hint)))),
        }
    }
}
