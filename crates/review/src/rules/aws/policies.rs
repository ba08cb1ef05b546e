//! What a change of a key's policy means, asked of the policy engine.

use crate::catalog::Rule;
use std::collections::{BTreeMap, BTreeSet};

use crate::plan::ResourceChange;
use crate::report::{Level, PermissionLine, ProofLine};
use crate::rules::gathered::{Gathered, Said, in_words};
use crate::settings::provider_blocks;
use kms_policy::{Document, Verdict, evaluate};
use requirements::aws::administration_statement;
use requirements::aws::{PermissionChange, effects};
use requirements::aws::{Usage, User, request};
use requirements::aws::{document_of, recognise, statements_of};
use vocabulary::aws::{KeyArn, Partition, RoleArn};
use vocabulary::{AccountId, Deployment, Key, KeyUse, UseCase};

/// A key that stands for one whose ARN Terraform does not know yet: the questions about a policy do not depend on it.
fn stand_in(deployment: Deployment) -> Option<KeyArn> {
    let partition = deployment.partition().name();
    format!("arn:{partition}:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000")
        .parse()
        .ok()
}

fn deployment(text: &str, key: Option<&KeyArn>) -> Deployment {
    Deployment::named_in(text).unwrap_or(match key.map(KeyArn::partition) {
        Some(Partition::AwsUsGov) => Deployment::GovCloud,
        _ => Deployment::Commercial,
    })
}

/// Says what is lost, if anything is.
pub(in crate::rules) fn say_lost(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    lost: &[String],
    remedy: &str,
) {
    if lost.is_empty() {
        return;
    }
    let (key, users) = gathered.key_and_users(change);
    let said = Said {
        id: Rule::PermissionsLost,
        level: if users.is_empty() {
            Level::Warning
        } else {
            Level::Error
        },
        summary: "Permissions on a key are taken away".to_owned(),
        detail: format!(
            "On `{key}`:\n{}\n\nIt is used by {}.",
            lost.join("\n"),
            in_words(&users)
        ),
        remedy,
    };
    gathered.say(change, said);
}

/// The statements of a `dbxcmk_key_policy`, before and after: who gains and loses what. Gives what is lost, a line each.
pub(in crate::rules) fn of_statements(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
) -> Vec<String> {
    let (key, _) = gathered.key_and_users(change);
    let before = change.before("statements").map(|list| statements(&list));
    let before = before.unwrap_or_default();
    let (after, deployment) = after_of(gathered, change);
    let lost = match gathered.links.former_key_of.get(&change.address).cloned() {
        Some(former) => {
            let lost = between(gathered, change, &former, &before, &[]);
            between(gathered, change, &key, &[], &after);
            lost
        }
        None => between(gathered, change, &key, &before, &after),
    };
    what_stays(gathered, change);
    if let Some(Assumed(deployment)) = deployment
        && let Some(proof) = gathered
            .proofs
            .last_mut()
            .filter(|one| one.address == change.address)
    {
        proof.lines.push(format!(
            "Shown for {}: neither the key nor the account host is known from the plan",
            deployment.in_words()
        ));
    }
    lost
}

/// A list of statements; what cannot be read was reported with the resource.
fn statements(list: &str) -> Vec<String> {
    statements_of(list).unwrap_or_default()
}

/// A deployment that the plan does not show.
struct Assumed(Deployment);

/// The statements that a resource has after the apply, and the deployment if the review must assume one.
fn after_of(gathered: &Gathered<'_>, change: &ResourceChange) -> (Vec<String>, Option<Assumed>) {
    if !change.is_unknown("statements") {
        let after = change.after("statements").map(|list| statements(&list));
        return (after.unwrap_or_default(), None);
    }
    let shown = shown_deployment(gathered, change);
    let deployment = shown.unwrap_or(Deployment::Commercial);
    let assumed = shown.is_none().then_some(Assumed(deployment));
    (planned(change, deployment), assumed)
}

/// The deployment whose account the statements of a resource will name, as far as the plan shows it: by its statements of before, the
/// account host, and the partition of the key and of the role. A partition of the government has two deployments.
fn shown_deployment(gathered: &Gathered<'_>, change: &ResourceChange) -> Option<Deployment> {
    let before = change.before("statements");
    if let Some(known) = before.and_then(|text| Deployment::named_in(&text)) {
        return Some(known);
    }
    let hosts: BTreeSet<Deployment> = provider_blocks(gathered.plan)
        .iter()
        .filter_map(|block| block.host(gathered.plan))
        .map(|host| {
            let host = host.trim_start_matches("https://").trim_end_matches('/');
            Deployment::of_host(host)
        })
        .collect();
    if let (1, Some(one)) = (hosts.len(), hosts.first()) {
        return Some(*one);
    }
    let key = change.latest("aws.key_arn");
    let key = key.and_then(|key| key.parse::<KeyArn>().ok());
    let role = change.latest("aws.cross_account_role_arn");
    let role = role.and_then(|role| role.parse::<RoleArn>().ok());
    let partition = key
        .map(|key| key.partition())
        .or_else(|| role.map(|role| role.partition()))?;
    (partition == Partition::Aws).then_some(Deployment::Commercial)
}

/// What changes on a key, beside the statements that other resources of the plan keep there. Gives what is lost, a line each.
fn between(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    key: &str,
    before: &[String],
    after: &[String],
) -> Vec<String> {
    // A list without statements is not a policy that the rule could read.
    if before.is_empty() && after.is_empty() {
        return Vec::new();
    }
    let others: Vec<String> = gathered
        .other_policies(change, key)
        .into_iter()
        .flat_map(|other| after_of(gathered, other).0)
        .collect();
    let own = document_of(after);
    let documents = (
        with_administration(&[before, &others].concat()),
        with_administration(&[after, &others].concat()),
        document_of(&[before, after].concat()),
    );
    match documents {
        (Ok(before), Ok(after), Ok(users)) => compare(
            gathered,
            change,
            key,
            &Policies {
                before: &before,
                after: &after,
                own: own.as_ref().ok(),
                users: &users,
            },
        ),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            unreadable(gathered, change, "statements", &error);
            Vec::new()
        }
    }
}

/// A policy that cannot be read is an error: the review says nothing about it otherwise.
fn unreadable(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    what: &str,
    error: &kms_policy::PolicyError,
) {
    gathered.say(
        change,
        Said {
            id: Rule::ResourceUnreadable,
            level: Level::Error,
            summary: format!("A {} cannot be read", change.kind),
            detail: format!("`{what}`: {error}.\n\nThe review does not cover this policy."),
            remedy: "Review this policy by hand, or correct it.",
        },
    );
}

/// The statements of others in the policy of a key, which a `dbxcmk_key_policy` leaves as they are.
fn what_stays(gathered: &mut Gathered<'_>, change: &ResourceChange) {
    let Some(whole) = change
        .before("policy")
        .and_then(|text| Document::parse(&text).ok())
    else {
        return;
    };
    let own = change
        .before("statements")
        .and_then(|list| statements_of(&list).ok())
        .unwrap_or_default();
    let own = if own.is_empty() {
        Vec::new()
    } else {
        document_of(&own)
            .map(|own| own.meanings())
            .unwrap_or_default()
    };
    let meanings = whole.meanings();
    let foreign: Vec<String> = whole
        .statements
        .iter()
        .enumerate()
        .filter(|(index, _)| {
            meanings
                .get(*index)
                .is_none_or(|meaning| !own.contains(meaning))
        })
        .map(|(index, statement)| statement.label(index))
        .collect();
    if let (false, Some(proof)) = (
        foreign.is_empty(),
        gathered
            .proofs
            .last_mut()
            .filter(|one| one.address == change.address),
    ) {
        proof
            .lines
            .push(format!("Stays as it is: {}", foreign.join(", ")));
    }
}

/// The statements that a new `dbxcmk_key_policy` is going to have, where its key is not known yet: its use cases, accounts and
/// role say them. Those that cannot be read were reported with the resource.
fn planned(change: &ResourceChange, deployment: Deployment) -> Vec<String> {
    let use_cases: Vec<UseCase> = change
        .latest_all("use_cases")
        .iter()
        .filter_map(|case| case.parse().ok())
        .collect();
    let accounts: Vec<AccountId> = change
        .latest_all("databricks_account_ids")
        .iter()
        .filter_map(|id| id.parse().ok())
        .collect();
    let usage = Usage::of(deployment, accounts, use_cases)
        .with_grants(change.latest("aws.include_grants").as_deref() == Some("true"))
        .with_cross_account_role(
            change
                .latest("aws.cross_account_role_arn")
                .and_then(|role| role.parse().ok()),
        );
    usage
        .grants()
        .into_iter()
        .map(|grant| grant.statement)
        .collect()
}

/// Two whole policies: who gains and loses what. Gives what is lost, a line each.
pub(in crate::rules) fn of_policies(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    before: &str,
    after: &str,
) -> Vec<String> {
    let (before, after) = match (Document::parse(before), Document::parse(after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(error), _) | (_, Err(error)) => {
            unreadable(gathered, change, "policy", &error);
            return Vec::new();
        }
    };
    let texts = |document: &Document| -> Vec<String> {
        document
            .statements
            .iter()
            .map(|statement| document.statement_text(statement).to_owned())
            .collect()
    };
    let users = match document_of(&texts(&before)) {
        Ok(users) => users,
        Err(error) => {
            unreadable(gathered, change, "policy", &error);
            return Vec::new();
        }
    };
    let (key, _) = gathered.key_and_users(change);
    compare(
        gathered,
        change,
        &key,
        &Policies {
            before: &before,
            after: &after,
            own: Some(&after),
            users: &users,
        },
    )
}

fn with_administration(statements: &[String]) -> Result<Document, kms_policy::PolicyError> {
    let administration = administration_statement("aws", "000000000000")
        .replace("Enable IAM User Permissions", "Administration");
    document_of(&[&[administration][..], statements].concat())
}

/// What a policy grants to those who use a key, and by which statements: a line for each user, purpose and way.
fn granted(policy: &Document, key: &KeyArn, usage: &Usage) -> Vec<String> {
    let mut lines = Vec::new();
    for (purpose, user) in usage.purposes() {
        let mut by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (action, _) in purpose.needed_actions() {
            let decisions: Vec<_> = usage
                .accounts
                .iter()
                .map(|account| evaluate(policy, &request(&user, action, key, account)))
                .collect();
            let names: BTreeSet<String> = decisions
                .iter()
                .filter(|decision| decision.verdict == Verdict::Allowed)
                .flat_map(|decision| &decision.statements)
                .filter_map(|index| {
                    policy
                        .statements
                        .get(*index)
                        .map(|statement| statement.label(*index))
                })
                .collect();
            let is_left =
                user.role().is_some() && decisions.iter().any(|decision| decision.delegated);
            let way = match (
                decisions
                    .iter()
                    .all(|decision| decision.verdict == Verdict::Allowed),
                is_left,
            ) {
                (false, _) => "not proven".to_owned(),
                (true, true) => "left to the IAM policies of the role".to_owned(),
                (true, false) => {
                    format!("by {}", names.into_iter().collect::<Vec<_>>().join(" and "))
                }
            };
            by.entry(way).or_default().push(action);
        }
        let who = match &user {
            User::Databricks(_) => "Databricks".to_owned(),
            User::CrossAccountRole(role) | User::StorageCredential(role) => role.to_string(),
        };
        lines.extend(by.into_iter().map(|(way, actions)| {
            format!(
                "{who}, {}: {} ({way})",
                purpose.in_words(),
                actions.join(", ")
            )
        }));
    }
    lines
}

/// Two policies of a key, and what the review compares them by.
struct Policies<'a> {
    before: &'a Document,
    after: &'a Document,
    /// The statements of the resource itself afterwards, from which the report takes the lines of the
    /// proof; `None` when it has none.
    own: Option<&'a Document>,
    /// Whose statements say who uses the key, and for what.
    users: &'a Document,
}

/// Who gains and loses what. Gives what is lost, a line each.
fn compare(
    gathered: &mut Gathered<'_>,
    change: &ResourceChange,
    name: &str,
    policies: &Policies<'_>,
) -> Vec<String> {
    let Policies {
        before,
        after,
        own,
        users,
    } = *policies;
    let name = name.to_owned();
    let arn = gathered
        .links
        .keys
        .get(&name)
        .and_then(|key| match &key.key {
            Some(Key::Aws(arn)) => Some(arn.clone()),
            _ => None,
        });
    let deployment = deployment(users.text(), arn.as_ref());
    let recognised = recognise(users, deployment);
    let accounts: BTreeSet<AccountId> = recognised.accounts.iter().cloned().collect();
    let named: Option<RoleArn> = change
        .latest("aws.cross_account_role_arn")
        .and_then(|role| role.parse().ok());
    let usage = Usage::of(
        deployment,
        if accounts.is_empty() {
            vec![AccountId::nobody()]
        } else {
            accounts.into_iter().collect()
        },
        if recognised.use_cases.is_empty() {
            UseCase::ACCOUNT.map(KeyUse::from).to_vec()
        } else {
            recognised.use_cases.into_iter().collect()
        },
    )
    .with_grants(recognised.grants)
    .with_cross_account_role(recognised.cross_account_role.or(named))
    .with_table_roles(recognised.table_roles);
    let Some(key) = arn.or_else(|| stand_in(deployment)) else {
        return Vec::new();
    };
    let lines = own
        .map(|own| granted(own, &key, &usage))
        .unwrap_or_default();
    if !lines.is_empty() {
        gathered.proofs.push(ProofLine {
            key: name.clone(),
            address: change.address.clone(),
            lines,
        });
    }
    let changes = effects(before, after, &key, &usage);
    let words = |part: fn(PermissionChange) -> Option<PermissionChange>| -> Vec<String> {
        changes
            .iter()
            .cloned()
            .filter_map(part)
            .flat_map(|change| change.in_words())
            .collect()
    };
    let (gained, lost) = (words(PermissionChange::gain), words(PermissionChange::loss));
    if !gained.is_empty() || !lost.is_empty() {
        gathered.permissions.push(PermissionLine {
            key: name,
            address: change.address.clone(),
            gained,
            lost: lost.clone(),
        });
    }
    lost.into_iter().map(|line| format!("  - {line}")).collect()
}
