//! What is known of a KMS key.

use std::collections::BTreeMap;

use crate::{Fact, Severity, Stage, Unreadable};
use requirements::aws::User;
use vocabulary::aws::{KeyArn, RoleArn};
use vocabulary::{Deployment, KeyState};

/// A key as KMS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// The state, in KMS's own word.
    pub state: KeyState,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY`, …
    pub usage: String,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048`, …
    pub spec: String,
    /// `CUSTOMER` or `AWS`.
    pub manager: String,
    /// When it will be deleted, if it will be (RFC 3339).
    pub deletion_date: Option<String>,
    /// When its imported material expires, if it does (RFC 3339).
    pub material_expires: Option<String>,
    /// The primary key, if this is a replica of a multi-region key.
    pub replica_of: Option<String>,
}

impl KeyDescription {
    /// A key without findings.
    pub fn good() -> Self {
        Self {
            state: KeyState::Enabled,
            usage: "ENCRYPT_DECRYPT".to_owned(),
            spec: "SYMMETRIC_DEFAULT".to_owned(),
            manager: "CUSTOMER".to_owned(),
            deletion_date: None,
            material_expires: None,
            replica_of: None,
        }
    }
}

/// A grant on a key: a second way to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsGrant {
    /// The ID with which the owner revokes it.
    pub id: String,
    /// The ARN of the principal that has the grant.
    pub grantee: String,
    /// What: `Decrypt`, `GenerateDataKey`.
    pub operations: Vec<String>,
    /// Whether it holds only under constraints on the encryption context.
    pub constrained: bool,
}

impl KmsGrant {
    /// The deployment of Databricks whose AWS account was granted. Such a grant works without a statement of the key policy.
    pub fn deployment(&self) -> Option<Deployment> {
        Deployment::named_in(&self.grantee)
    }
}

/// Which policy a key is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// The one that KMS has now.
    Live,
    /// The one that the same configuration is about to put.
    Planned,
    /// A policy that the user gives, by this name (a file). The provider may not know the key's own ARN then, and no text shows it.
    Given(String),
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The ARN of the key.
    pub arn: KeyArn,
    /// As KMS describes it.
    pub description: Fact<KeyDescription>,
    /// Its policy's text.
    pub policy: Fact<String>,
    /// Where that policy comes from.
    pub policy_source: PolicySource,
    /// Its grants, where they were worth a read ([`super::grants_matter`]). They only add, so what is not known is as if there were none.
    pub grants: Option<Fact<Vec<KmsGrant>>>,
    /// Whether its material is rotated automatically, where that was worth a read ([`super::rotation_matters`]).
    pub rotates: Option<Fact<bool>>,
    /// The role that launches clusters, where the question is about one.
    pub role: RoleKnowledge,
    /// The roles of storage credentials, where the question is about such.
    pub table_roles: BTreeMap<RoleArn, RoleKnowledge>,
    /// Whether the same configuration may change roles and their policies, so that what they say now is not what an apply finds.
    pub may_change_roles: bool,
    /// What AWS itself says of that role's use of the key.
    pub simulation: Simulation,
}

impl KeyFacts {
    /// The role of a user of the key, as far as IAM shows it.
    pub fn role_of(&self, user: &User) -> &RoleKnowledge {
        match user {
            User::Databricks(_) => &RoleKnowledge::NotAsked,
            User::CrossAccountRole(_) => &self.role,
            User::StorageCredential(role) => self
                .table_roles
                .get(role)
                .unwrap_or(&RoleKnowledge::NotAsked),
        }
    }

    /// How much it weighs what is wrong with the role: what the same plan may repair is a warning until the apply.
    pub(super) fn role_severity(&self, stage: Stage) -> Severity {
        match stage {
            Stage::Plan if self.may_change_roles => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// What follows from what is wrong with the role.
    pub(super) fn role_outlook(&self, stage: Stage) -> &'static str {
        match stage {
            Stage::Plan if self.may_change_roles => {
                " The configuration has resources that may change the role: if this plan does, the proof at apply uses the new policies. If it \
                 does not, the apply stops before it attaches anything."
            }
            _ => "",
        }
    }

    /// What texts call the policy.
    pub(super) fn policy_called(&self) -> String {
        match &self.policy_source {
            PolicySource::Live => format!("the policy of {}", self.arn),
            PolicySource::Planned => format!(
                "the planned policy (dbxcmk_key_policy in this configuration) of {}",
                self.arn
            ),
            PolicySource::Given(name) => name.clone(),
        }
    }
}

/// A policy by the name that a person finds it by: its ARN, or `the inline policy x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPolicy {
    /// The name in messages.
    pub name: String,
    /// The JSON text of the policy.
    pub text: String,
}

/// What is known of the role that launches clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its trust policy.
    pub trust: String,
    /// Its policies, attached and inline.
    pub policies: Vec<NamedPolicy>,
    /// Its permissions boundary, if it has one.
    pub boundary: Option<NamedPolicy>,
}

/// The role that launches clusters, or why it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RoleKnowledge {
    /// The provider did not read it: there is no role, or no cloud.
    #[default]
    NotAsked,
    /// The user has turned it off.
    Off,
    /// It is in another account than the credentials, whose account this is.
    Elsewhere(String),
    /// IAM shows the role.
    Known(RoleFacts),
    /// The service refused, or could not be reached.
    Unreadable(Unreadable),
    /// Its account has no such role.
    Missing,
}

/// The actions with which a role is read.
pub const ROLE_ACTIONS: [&str; 6] = [
    "iam:GetRole",
    "iam:ListAttachedRolePolicies",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListRolePolicies",
    "iam:GetRolePolicy",
];

/// How AWS's policy simulator decides. Source: IAM API reference, EvaluationResult, `EvalDecision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimulatedDecision {
    /// `allowed`: the role's policies allow the call.
    Allowed,
    /// `explicitDeny`: a statement denies the call.
    ExplicitDeny,
    /// `implicitDeny`: no statement allows the call.
    ImplicitDeny,
    /// Something that this version does not know.
    Other(String),
}

impl SimulatedDecision {
    /// As IAM writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitDeny => "explicitDeny",
            Self::ImplicitDeny => "implicitDeny",
            Self::Other(other) => other,
        }
    }
}

impl From<&str> for SimulatedDecision {
    fn from(text: &str) -> Self {
        match text {
            "allowed" => Self::Allowed,
            "explicitDeny" => Self::ExplicitDeny,
            "implicitDeny" => Self::ImplicitDeny,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What AWS's policy simulator says of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The action with its service: `kms:Decrypt`.
    pub action: String,
    /// How it is decided.
    pub decision: SimulatedDecision,
    /// Whether the service control policies of the organization allow it; `None` where there is no organization.
    pub allowed_by_organization: Option<bool>,
}

/// What AWS's policy simulator says of the role, or why that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Simulation {
    /// The provider did not ask.
    #[default]
    NotAsked,
    /// It answered.
    Known(Vec<Simulated>),
    /// The simulator refused, or could not be reached.
    Unreadable(Unreadable),
}
