//! What the IAM policies of the cross-account role and of the roles of storage credentials say: the other half of the truth.

use super::facts::{ROLE_ACTIONS, RoleFacts, RoleKnowledge};
use super::{KeyFacts, Question};
use crate::{Finding, Id, Remedy, Severity, Subject, capitalized};
use kms_policy::{
    Authorization, Caller, Context, Document, Identity, Request, Source, Verdict, authorize,
    evaluate,
};
use requirements::aws::{User, request};
use vocabulary::AccountId;
use vocabulary::aws::RoleArn;

/// The policies of a role, understood.
pub(super) struct RolePolicies<'a> {
    facts: &'a RoleFacts,
    policies: Vec<Document>,
    boundary: Option<Document>,
}

impl<'a> RolePolicies<'a> {
    /// The policies of a role; `None` where the provider did not read it.
    ///
    /// # Errors
    /// When a policy of the role is not valid: its name and the mistake.
    pub(super) fn of(knowledge: &'a RoleKnowledge) -> Result<Option<Self>, String> {
        let RoleKnowledge::Known(facts) = knowledge else {
            return Ok(None);
        };
        let read = |policy: &super::NamedPolicy| {
            Document::parse_identity(&policy.text)
                .map_err(|error| format!("{} is not a valid policy: {error}", policy.name))
        };
        let policies = facts.policies.iter().map(read).collect::<Result<_, _>>()?;
        let boundary = facts.boundary.as_ref().map(read).transpose()?;
        Ok(Some(Self {
            facts,
            policies,
            boundary,
        }))
    }

    /// How a request of the role is decided by all policies.
    pub(super) fn authorize(&self, key_policy: &Document, request: &Request) -> Authorization {
        let identity = Identity {
            policies: Some(&self.policies),
            boundary: self.boundary.as_ref(),
            session: None,
        };
        authorize(key_policy, identity, request)
    }

    /// What to call a statement: `"Deny all" of arn:…`.
    pub(super) fn label(&self, source: Source, index: usize) -> Option<String> {
        let (document, named) = match source {
            Source::Identity(at) => (self.policies.get(at)?, self.facts.policies.get(at)?),
            Source::Boundary => (self.boundary.as_ref()?, self.facts.boundary.as_ref()?),
            Source::Key | Source::Session(_) => return None,
        };
        let statement = document.statements.get(index)?;
        Some(format!("{} of {}", statement.label(index), named.name))
    }

    /// The boundary's name.
    pub(super) fn boundary(&self) -> &str {
        self.facts
            .boundary
            .as_ref()
            .map_or("", |boundary| boundary.name.as_str())
    }
}

/// The statement that lets the provider read a role.
pub(super) fn allow_examining(role: &RoleArn) -> Remedy {
    let actions: Vec<String> = ROLE_ACTIONS
        .iter()
        .map(|action| format!("\"{action}\""))
        .collect();
    Remedy::say("To have the provider examine the role, allow the identity that runs Terraform to read it:").paste(format!(
        "{{\n  \"Effect\": \"Allow\",\n  \"Action\": [{}],\n  \"Resource\": [\"{role}\", \"arn:{}:iam::{}:policy/*\"]\n}}",
        actions.join(", "),
        role.partition(),
        role.account()
    ))
}

/// Why the role's IAM policies are not part of the proof, in a sentence; `None` where they are.
pub(super) fn why_not_examined(knowledge: &RoleKnowledge) -> Option<String> {
    match knowledge {
        RoleKnowledge::Known(_) | RoleKnowledge::Missing => None,
        RoleKnowledge::NotAsked => Some("They are not part of this check.".to_owned()),
        RoleKnowledge::Off => Some(
            "The provider does not examine them, because `aws.examine_iam` is `false`.".to_owned(),
        ),
        RoleKnowledge::Elsewhere(account) => Some(format!(
            "The provider cannot examine them, because its AWS credentials belong to the account {account}."
        )),
        RoleKnowledge::Unreadable(why) => Some(format!(
            "The provider could not examine them: {}.",
            why.reason
        )),
    }
}

/// What the roles themselves say, apart from the key: whether each is there, can be read, and lets Databricks use it.
pub(super) fn role(facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut users: Vec<User> = question
        .usage
        .purposes()
        .into_iter()
        .map(|(_, user)| user)
        .collect();
    users.dedup();
    users
        .iter()
        .flat_map(|user| one(user, facts, question))
        .collect()
}

fn one(user: &User, facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let Some(role) = user.role() else {
        return Vec::new();
    };
    let (without_it, named_in) = match user {
        User::StorageCredential(_) => (
            "Unity Catalog reads and writes the tables with this role, so without it that fails.",
            "the storage credential (`databricks_storage_credential`)",
        ),
        _ => (
            "Databricks launches the clusters of the workspace with this role, so without it clusters do not start.",
            "the credentials configuration of the workspace",
        ),
    };
    match facts.role_of(user) {
        RoleKnowledge::Missing => vec![
            Id::RoleNotFound
                .weighing(facts.role_severity(question.stage), Subject::Key)
                .found(format!("IAM has no role {role}, and the AWS credentials belong to its account {}.", role.account()))
                .why(format!(
                    "KMS refuses a key policy that names a role which does not exist, so a `dbxcmk_key_policy` that names it fails. \
                     {without_it}{}",
                    facts.role_outlook(question.stage)
                ))
                .remedy(format!(
                    "Check the ARN of the role in {named_in}. If this plan creates the role, make this resource depend on it (`depends_on`)."
                )),
        ],
        RoleKnowledge::Known(known) => match RolePolicies::of(facts.role_of(user)) {
            Err(mistake) => vec![unreadable(&mistake, facts.role_severity(question.stage))],
            // Databricks itself validates the trust of a storage credential's role, when the user creates the credential.
            Ok(_) if matches!(user, User::StorageCredential(_)) => Vec::new(),
            Ok(_) => trust(role, known, question).into_iter().collect(),
        },
        _ => Vec::new(),
    }
}

fn unreadable(mistake: &str, severity: Severity) -> Finding {
    Id::RoleIamUnreadable
        .weighing(severity, Subject::Key)
        .found(format!("{}.", capitalized(mistake)))
        .why("The provider cannot prove what a policy allows that it cannot read.")
        .remedy("Correct the policy at that place. If IAM accepts it as it is, report this as a bug of this provider.")
}

/// Whether Databricks may use the role, for every Databricks account.
fn trust(role: &RoleArn, known: &RoleFacts, question: &Question) -> Option<Finding> {
    let deployment = question.usage.deployment;
    let trusts = |policy: &Document, account: &AccountId| {
        let request = Request {
            caller: Caller::SomeoneIn {
                partition: deployment.partition().name().to_owned(),
                account: deployment.account().to_owned(),
            },
            action: "sts:AssumeRole".to_owned(),
            resource: role.to_string(),
            context: Context::open().with("sts:ExternalId", account.as_str()),
        };
        // What depends on the call itself may hold.
        matches!(
            evaluate(policy, &request).verdict,
            Verdict::Allowed | Verdict::Undetermined
        )
    };
    let found = match Document::parse_trust(&known.trust) {
        Err(error) => format!("The trust policy of {role} is not valid: {error}."),
        Ok(policy) => {
            let strangers: Vec<&str> = question
                .usage
                .accounts
                .iter()
                .filter(|account| !trusts(&policy, account))
                .map(AccountId::as_str)
                .collect();
            if strangers.is_empty() {
                return None;
            }
            format!(
                "The trust policy of {role} does not allow {} to assume the role with the external ID {}.",
                deployment.principal(),
                strangers.join(" or ")
            )
        }
    };
    let ids: Vec<String> = question
        .usage
        .accounts
        .iter()
        .map(|account| format!("\"{account}\""))
        .collect();
    let finding = Id::RoleTrust
        .warning(Subject::Key)
        .found(found)
        .why("Databricks launches clusters with this role. If it cannot assume the role, clusters do not start, whatever the key allows.")
        .remedy(Remedy::say("Add this statement to the trust policy:").paste(format!(
            "{{\n  \"Effect\": \"Allow\",\n  \"Principal\": {{ \"AWS\": \"{}\" }},\n  \"Action\": \"sts:AssumeRole\",\n  \"Condition\": {{ \
             \"StringEquals\": {{ \"sts:ExternalId\": [{}] }} }}\n}}",
            deployment.principal(),
            ids.join(", ")
        )));
    Some(finding)
}

/// How the IAM side of a request stands, beside what the key policy says.
pub(super) fn decide(
    roles: &RolePolicies<'_>,
    policy: &Document,
    user: &User,
    action: &str,
    facts: &KeyFacts,
) -> Authorization {
    roles.authorize(
        policy,
        &request(user, action, &facts.arn, &AccountId::nobody()),
    )
}

/// Whether the IAM policies of a role, together with a key policy, allow every one of some actions.
pub fn iam_allows(
    policy: &Document,
    facts: &KeyFacts,
    user: &User,
    actions: &[&'static str],
) -> bool {
    match RolePolicies::of(facts.role_of(user)) {
        Ok(Some(roles)) => actions
            .iter()
            .all(|action| decide(&roles, policy, user, action, facts).verdict == Verdict::Allowed),
        _ => false,
    }
}
