//! A second opinion: what AWS's policy simulator says of the cross-account role, beside what this crate makes of its policies.

use std::collections::BTreeMap;

use super::facts::{KeyFacts, RoleKnowledge, Simulated, SimulatedDecision, Simulation};
use super::role::RolePolicies;
use super::{NotExamined, Question};
use crate::{Finding, Id, Remedy, Subject};
use kms_policy::{Document, Verdict};
use requirements::aws::{User, request};
use vocabulary::AccountId;
use vocabulary::aws::{KeyArn, RoleArn};

/// Actions that are simulated with the same context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallToSimulate {
    /// The actions with their service: `kms:Decrypt`.
    pub actions: Vec<&'static str>,
    /// The context keys and their values.
    pub context: Vec<(String, String)>,
}

/// Whether the simulator takes a context key from its caller. What it knows of the principal itself it finds out.
fn is_given(key: &str) -> bool {
    key.starts_with("kms:") && key != "kms:bypasspolicylockoutsafetycheck"
        || ["aws:requestedregion", "aws:securetransport"].contains(&key)
}

/// What to ask the simulator about the role of a question.
pub fn calls_to_simulate(key: &KeyArn, question: &Question) -> Vec<CallToSimulate> {
    let mut calls: BTreeMap<Vec<(String, String)>, Vec<&'static str>> = BTreeMap::new();
    for (user, action) in of_the_role(question) {
        let request = request(&user, action, key, &AccountId::nobody());
        let context = request
            .context
            .known()
            .filter(|(name, _)| is_given(name))
            .filter_map(|(name, values)| Some((name.to_owned(), values.first()?.clone())))
            .collect();
        calls.entry(context).or_default().push(action);
    }
    calls
        .into_iter()
        .map(|(context, actions)| CallToSimulate { actions, context })
        .collect()
}

fn of_the_role(question: &Question) -> Vec<(User, &'static str)> {
    let purposes = question.usage.purposes();
    let of_role = purposes
        .into_iter()
        .filter(|(_, user)| matches!(user, User::CrossAccountRole(_)));
    of_role
        .flat_map(|(purpose, user)| {
            let actions = purpose.needed_actions().iter();
            actions.map(move |(action, _)| (user.clone(), *action))
        })
        .collect()
}

/// What the simulator says that the policies do not say.
pub(super) fn simulation(facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let (Some(role), Simulation::Known(results)) =
        (&question.usage.cross_account_role, &facts.simulation)
    else {
        return Vec::new();
    };
    let (by_organization, others): (Vec<&Simulated>, Vec<&Simulated>) = results
        .iter()
        .partition(|one| one.allowed_by_organization == Some(false));
    let mut findings = Vec::new();
    if !by_organization.is_empty() {
        let actions: Vec<&str> = by_organization
            .iter()
            .map(|one| one.action.as_str())
            .collect();
        findings.push(
            Id::RoleOrganizationDenies
                .unread(Subject::Key, question.stage)
                .found(format!(
                    "AWS's policy simulator says that a service control policy (SCP) does not allow {role} to call {}.",
                    actions.join(", ")
                ))
                .why(
                    "Clusters of classic compute do not start, because EC2 cannot attach their volumes. No policy of the account can \
                     allow what an SCP does not.",
                )
                .remedy(format!(
                    "Ask the administrators of the AWS organization to allow these actions for this key:\n\n  {}",
                    facts.arn
                )),
        );
    }
    findings.extend(disagreement(role, &others, facts, question));
    findings
}

/// How the role's own policies decide, as the simulator of IAM evaluates them: without the key
/// policy.
fn by_own_policies(
    roles: &RolePolicies<'_>,
    role: &RoleArn,
    user: &User,
    action: &str,
    key: &KeyArn,
) -> Option<Verdict> {
    // A key policy that leaves everything to the account of the role decides nothing by itself.
    let delegating = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:{}:iam::{}:root"}},"Action":"kms:*","Resource":"*"}}]}}"#,
        role.partition(),
        role.account()
    );
    let delegating = Document::parse(&delegating).ok()?;
    let request = request(user, action, key, &AccountId::nobody());
    Some(roles.authorize(&delegating, &request).verdict)
}

fn disagreement(
    role: &RoleArn,
    results: &[&Simulated],
    facts: &KeyFacts,
    question: &Question,
) -> Option<Finding> {
    let RoleKnowledge::Known(_) = &facts.role else {
        return None;
    };
    // What cannot be read is a finding of its own.
    let roles = RolePolicies::of(&facts.role).ok()??;
    let mut lines = Vec::new();
    for (user, action) in of_the_role(question) {
        let ours = by_own_policies(&roles, role, &user, action, &facts.arn)?;
        let agrees = |theirs: &SimulatedDecision| match ours {
            Verdict::Allowed => *theirs == SimulatedDecision::Allowed,
            Verdict::DeniedExplicitly => *theirs == SimulatedDecision::ExplicitDeny,
            Verdict::DeniedImplicitly => *theirs == SimulatedDecision::ImplicitDeny,
            // The answer depends on what only the call itself has, which the simulator must guess.
            Verdict::Undetermined => true,
        };
        let theirs = results.iter().find(|one| one.action == action);
        match theirs {
            Some(one) if agrees(&one.decision) => {}
            Some(one) => lines.push(format!(
                "  {action}: the simulator says {}, this provider says {}",
                one.decision.name(),
                match ours {
                    Verdict::Allowed => "allowed",
                    Verdict::DeniedExplicitly => "explicitDeny",
                    _ => "implicitDeny",
                }
            )),
            None => {}
        }
    }
    if lines.is_empty() {
        return None;
    }
    let finding = Id::RoleSimulationDisagrees
        .unread(Subject::Key, question.stage)
        .found(format!(
            "AWS's policy simulator and this provider judge the IAM policies of {role} differently:\n\n{}",
            lines.join("\n")
        ))
        .why("One of the two is wrong, so the proof is not safe.")
        .remedy(
            "Check the policies of the role in the IAM console (policy simulator). If the simulator is right, report this as a bug of this \
             provider. To go on without the second opinion, set `aws.simulate = false`.",
        );
    Some(finding)
}

/// What the second opinion could not say.
pub(super) fn not_simulated(facts: &KeyFacts, question: &Question) -> Option<NotExamined> {
    let (Some(role), Simulation::Unreadable(why)) =
        (&question.usage.cross_account_role, &facts.simulation)
    else {
        return None;
    };
    Some(NotExamined {
        what: format!("Second opinion of AWS's policy simulator about {role}"),
        why: format!("The provider could not ask it: {}.", why.reason),
        how: Remedy::say("Allow the identity that runs Terraform to ask it:").paste(format!(
            "{{\n  \"Effect\": \"Allow\",\n  \"Action\": \"iam:SimulatePrincipalPolicy\",\n  \"Resource\": \"{role}\"\n}}"
        )),
    })
}
