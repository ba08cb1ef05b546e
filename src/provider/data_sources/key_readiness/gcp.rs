//! On Google Cloud: a key of Cloud KMS and the IAM policies from it upward.

use serde::{Deserialize, Serialize};

use super::{KeyVerdict, NotExaminedModel, RequirementModel, incomplete, list, text};
use crate::preflight::gcp::{
    Access, CryptoKeyFacts, Denial, Question, VersionState, access, denied_by, granted_by, judge,
    state_of_primary,
};
use crate::preflight::{Fact, Stage};
use crate::provider::client::Client;
use crate::provider::keys::{GcpKeyCheck, KeyCheck};
use crate::provider::resources::{all_known, check_tables, names_something, with_users};
use crate::requirements::gcp::{Grantee, USE_TO_DECRYPT, USE_TO_ENCRYPT, Usage};
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber, ServiceAccount};
use crate::vocabulary::{Cloud, KeyUse};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::Attribute;

/// The `gcp` block of `dbxcmk_key_readiness`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyReadinessGcp {
    pub kms_key_id: Attr<CryptoKeyName>,
    pub databricks_service_accounts: Attr<Vec<Attr<ServiceAccount>>>,
    pub workspace_project_number: Attr<ProjectNumber>,
    pub bucket_project_numbers: Attr<Vec<Attr<ProjectNumber>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("kms_key_id")
            .required()
            .format::<CryptoKeyName>("Invalid key name")
            .describe("Name of the Cloud KMS key, without a version."),
        Attribute::string_set("databricks_service_accounts")
            .no_null_elements()
            .format::<ServiceAccount>("Invalid service account")
            .describe("E-mail addresses of the service accounts of Databricks that use the key."),
        Attribute::string("workspace_project_number")
            .format::<ProjectNumber>("Invalid project number")
            .describe(
                "Number of the project of the workspace, whose service agents need the key for `STORAGE`.",
            ),
        Attribute::string_set("bucket_project_numbers")
            .no_null_elements()
            .format::<ProjectNumber>("Invalid project number")
            .describe(
                "Numbers of the projects of buckets in which Unity Catalog keeps tables under this key; their Cloud Storage service agents need it. \
                 With the use case `UNITY_CATALOG`.",
            ),
    ]
}

fn standing(facts: &CryptoKeyFacts, grantee: &Grantee) -> &'static str {
    match denied_by(facts, &grantee.account).0 {
        Denial::No => {}
        Denial::Perhaps(_) => return "undetermined",
        Denial::Yes => return "denied",
    }
    match access(facts, &grantee.account) {
        Access::Granted => "allowed",
        Access::Conditional(_) => "undetermined",
        Access::UnknownRoles(_) | Access::Groups(_) => "unknown",
        Access::Deleted => "missing",
        Access::None if facts.is_read_to_the_top => "missing",
        Access::None => "unknown",
    }
}

fn requirements(facts: &CryptoKeyFacts, usage: &Usage) -> Vec<RequirementModel> {
    let mut all = Vec::new();
    for grantee in usage.grantees() {
        for (action, encrypt) in [(USE_TO_ENCRYPT, true), (USE_TO_DECRYPT, false)] {
            all.push(RequirementModel {
                use_case: text(grantee.use_case.name()),
                purpose: text(grantee.what_for),
                principal: text(&grantee.account.member()),
                databricks_account_id: Attr::Null,
                action: text(action),
                reason: text(&format!("Without it, {}.", grantee.without_it)),
                standing: text(standing(facts, &grantee)),
                granted_by: list(granted_by(facts, &grantee.account, encrypt)),
                denied_by: list(denied_by(facts, &grantee.account).1),
            });
        }
    }
    all
}

/// What the proof does not cover.
fn not_examined(facts: &CryptoKeyFacts, usage: &Usage) -> Vec<NotExaminedModel> {
    let one = |what: &str, why: &str, how: &str| NotExaminedModel {
        what: text(what),
        why: text(why),
        how: text(how),
    };
    let mut all = Vec::new();
    for level in &facts.policies {
        if let Fact::Unreadable(why) = &level.bindings {
            all.push(one(
                &format!("The IAM policy of {}", level.of),
                &why.reason,
                "Allow the identity that runs Terraform to read it (roles/iam.securityReviewer).",
            ));
        }
    }
    for level in &facts.denied {
        for why in &level.unread {
            all.push(one(
                &format!("Deny policies of {}", level.of),
                &why.reason,
                "Allow the identity that runs Terraform to read them (roles/iam.denyReviewer).",
            ));
        }
    }
    if let Some(why) = &usage.not_known {
        all.push(one(
            "Who may use the key",
            &format!("Not everybody who needs it is named: {why}."),
            "Set `databricks_service_accounts` and `workspace_project_number`, or `bucket_project_numbers` for tables.",
        ));
    }
    all.push(one(
        "Organization policies and VPC Service Controls",
        "They decide about calls and not about keys, and no API says what they will decide.",
        "Check gcp.restrictNonCmekServices and gcp.restrictCmekCryptoKeyProjects, and the ingress rules of the perimeter.",
    ));
    all
}

impl KeyReadinessGcp {
    /// What is wrong with tables, as far as it is known.
    pub(super) fn check(&self, cases: Option<&[KeyUse]>) -> Option<Diagnostic> {
        let named = names_something(&self.bucket_project_numbers);
        check_tables(&Cloud::Gcp, cases, named)
    }

    /// What the proof says about the key.
    ///
    /// # Errors
    /// When something that it needs is not known.
    pub(super) async fn examine(
        &self,
        client: &Client,
        cases: &[KeyUse],
    ) -> Result<KeyVerdict, Diagnostics> {
        if let Some(found) = self.check(Some(cases)) {
            return Err(found.into());
        }
        let key = self.kms_key_id.known().cloned().ok_or_else(incomplete)?;
        let databricks = match &self.databricks_service_accounts {
            Attr::Null => Vec::new(),
            accounts => all_known(accounts).ok_or_else(incomplete)?,
        };
        if self.workspace_project_number.is_unknown() {
            return Err(incomplete());
        }
        let table_projects = match &self.bucket_project_numbers {
            Attr::Null => Vec::new(),
            numbers => all_known(numbers).ok_or_else(incomplete)?,
        };
        let of_workspace = cases.iter().copied().filter_map(KeyUse::of_workspace);
        let mut usage = Usage {
            use_cases: of_workspace.collect(),
            table_projects,
            databricks,
            workspace_project: self.workspace_project_number.known().cloned(),
            not_known: None,
        };
        // A key is ready when everybody who needs it may use it: whom nobody names, nobody has examined.
        usage.not_known = usage.unnamed();
        let mut question = Question::new(usage, Stage::Plan);
        let named = question.usage.databricks.iter();
        let of_workspaces = named.filter(|one| one.workspace().is_some());
        question.workspace_accounts = of_workspaces.cloned().collect();
        let case = KeyCheck::Gcp(GcpKeyCheck {
            key: key.clone(),
            question,
        });
        let KeyCheck::Gcp(GcpKeyCheck { mut question, .. }) = with_users(client, case).await else {
            return Err(incomplete());
        };
        question.is_relied_on = true;
        let facts = client.keys().gcp().facts_for_plan(&key).await;
        let grantees = question.usage.grantees();
        let all_proven = question.usage.not_known.is_none()
            && grantees
                .iter()
                .all(|grantee| standing(&facts, grantee) == "allowed");
        let is_usable = |key: &crate::preflight::gcp::CryptoKey| {
            let primary = key.primary.as_ref();
            primary.is_some_and(|version| version.state == VersionState::Enabled)
        };
        Ok(KeyVerdict {
            key: key.clone().into(),
            state: match &facts.key {
                Fact::Known(found) => Some(state_of_primary(found.primary.as_ref()).to_string()),
                Fact::Unreadable(_) => None,
            },
            policy_source: match facts.planned {
                Some(_) => "planned",
                None => "live",
            },
            is_known: matches!((&facts.key, &facts.versions), (Fact::Known(key), Fact::Known(_)) if is_usable(key)),
            findings: judge(&facts, &question),
            requirements: requirements(&facts, &question.usage),
            not_examined: not_examined(&facts, &question.usage),
            all_proven,
        })
    }
}
