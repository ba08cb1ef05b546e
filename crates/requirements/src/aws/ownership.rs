//! Which statements of a policy are ours, by what they mean and by their Sid: the provider adopts the documented
//! statements instead of doubling them, and never touches a statement of others.

use std::collections::{BTreeMap, BTreeSet};

use super::purpose::Purpose;
use super::usage::{ACCOUNT_TAG, GrantingStatement};
use kms_policy::{Document, Edit, Effect, Meaning, PolicyError, Principal, Statement, meaning};
use vocabulary::aws::RoleArn;
use vocabulary::{AccountId, Deployment, KeyUse};

/// Joins statements into a policy document, which the caller can read and compare.
///
/// # Errors
/// When one of them is not a statement.
pub fn document_of(statements: &[String]) -> Result<Document, PolicyError> {
    Document::parse(&format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statements.join(",")
    ))
}

/// The statements of a JSON list, each as its own text.
///
/// # Errors
/// When `list` is not a list of statements.
pub fn statements_of(list: &str) -> Result<Vec<String>, PolicyError> {
    if list.trim() == "[]" {
        return Ok(Vec::new());
    }
    let document = Document::parse(&format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":{list}}}"
    ))?;
    Ok(document
        .statements
        .iter()
        .map(|statement| document.statement_text(statement).to_owned())
        .collect())
}

/// A JSON list of statements.
pub fn list_of(statements: &[String]) -> String {
    format!("[{}]", statements.join(","))
}

fn meanings(statements: &[String]) -> Result<Vec<Meaning>, PolicyError> {
    if statements.is_empty() {
        Ok(Vec::new())
    } else {
        Ok(document_of(statements)?.meanings())
    }
}

/// Statements by what they mean: two spellings of one statement have one meaning.
///
/// # Errors
/// When one of them is not a statement.
pub fn by_meaning(statements: &[String]) -> Result<BTreeMap<String, String>, PolicyError> {
    let meanings = meanings(statements)?;
    let named = meanings.iter().map(|meaning| format!("{meaning:?}"));
    Ok(named.zip(statements.iter().cloned()).collect())
}

/// Whether two lists hold statements of the same meaning.
pub fn mean_the_same(left: &[String], right: &[String]) -> bool {
    match (meanings(left), meanings(right)) {
        (Ok(left), Ok(right)) => {
            left.into_iter().collect::<BTreeSet<_>>() == right.into_iter().collect()
        }
        _ => left == right,
    }
}

/// Those of `statements` that `live` still has, in their own spelling.
///
/// # Errors
/// When one of them is not a statement.
pub fn still_there(live: &Document, statements: &[String]) -> Result<Vec<String>, PolicyError> {
    let live: BTreeSet<Meaning> = live.meanings().into_iter().collect();
    let own = meanings(statements)?;
    Ok(statements
        .iter()
        .zip(own)
        .filter(|(_, meaning)| live.contains(meaning))
        .map(|(text, _)| text.clone())
        .collect())
}

/// The edits after which `live` has what is `wanted`, and no longer has what is only in `previous`.
///
/// # Errors
/// When one of the statements is not valid.
pub fn edits(
    live: &Document,
    wanted: &[GrantingStatement],
    previous: &[String],
) -> Result<Vec<Edit>, PolicyError> {
    let texts: Vec<String> = wanted.iter().map(|grant| grant.statement.clone()).collect();
    let (wanted_meanings, previous) = (meanings(&texts)?, meanings(previous)?);
    let live_meanings = live.meanings();
    let mut edits = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut sids: BTreeSet<String> = live
        .statements
        .iter()
        .filter_map(|statement| statement.sid.clone())
        .collect();

    for (grant, meaning) in wanted.iter().zip(&wanted_meanings) {
        if let Some(index) = live_meanings.iter().position(|live| live == meaning) {
            used.insert(index);
            continue;
        }
        let replaced = live
            .statements
            .iter()
            .enumerate()
            .position(|(index, statement)| {
                !used.contains(&index)
                    && !wanted_meanings.contains(live_meanings.get(index).unwrap_or(meaning))
                    && is_older_form(live, statement, grant, &previous)
            });
        match replaced {
            Some(index) => {
                used.insert(index);
                edits.push(Edit::Replace(index, grant.statement.clone()));
            }
            None => {
                let text = with_free_sid(&grant.statement, grant.purpose, &sids);
                if let Some(sid) = sid_of(&text) {
                    sids.insert(sid);
                }
                edits.push(Edit::Append(text));
            }
        }
    }
    for (index, live) in live_meanings.iter().enumerate() {
        if !used.contains(&index) && previous.contains(live) && !wanted_meanings.contains(live) {
            edits.push(Edit::Remove(index));
        }
    }
    Ok(edits)
}

/// Whether a statement of the policy is what `grant` grew out of: one that we put before, or a documented one for the same
/// principal and for no other Databricks accounts than ours.
fn is_older_form(
    live: &Document,
    statement: &Statement,
    grant: &GrantingStatement,
    previous: &[Meaning],
) -> bool {
    let has_documented_sid = statement
        .sid
        .as_deref()
        .is_some_and(|sid| grant.purpose.documented_sids().contains(&sid));
    if !has_documented_sid || statement.effect != Effect::Allow {
        return false;
    }
    if previous.contains(&meaning(statement, live.version, live.partition())) {
        return true;
    }
    let Ok(document) = document_of(std::slice::from_ref(&grant.statement)) else {
        return false;
    };
    let Some(own) = document.statements.first() else {
        return false;
    };
    let same_principal = meaning(statement, live.version, live.partition())
        .has_principals_of(&meaning(own, document.version, document.partition()));
    let (theirs, ours) = (accounts(statement), accounts(own));
    same_principal && theirs.is_none_or(|theirs| ours.is_some_and(|ours| theirs.is_subset(&ours)))
}

/// The Databricks accounts that a statement is for; `None` when it does not ask.
fn accounts(statement: &Statement) -> Option<BTreeSet<String>> {
    let tags = statement
        .conditions
        .iter()
        .filter(|condition| condition.key.eq_ignore_ascii_case(ACCOUNT_TAG));
    tags.map(|condition| condition.values.iter().cloned().collect::<BTreeSet<_>>())
        .reduce(|all, more| all.union(&more).cloned().collect())
}

/// The Databricks accounts that a policy lets use the key, by their tag.
pub fn accounts_let_in(policy: &Document) -> BTreeSet<String> {
    let allowing = policy
        .statements
        .iter()
        .filter(|statement| statement.effect == Effect::Allow);
    allowing.filter_map(accounts).flatten().collect()
}

fn sid_of(statement: &str) -> Option<String> {
    document_of(&[statement.to_owned()])
        .ok()?
        .statements
        .first()?
        .sid
        .clone()
}

/// A Sid must be unique in its policy: if a statement of others has the documented one, ours gets another.
fn with_free_sid(statement: &str, purpose: Purpose, taken: &BTreeSet<String>) -> String {
    if !taken.contains(purpose.sid()) {
        return statement.to_owned();
    }
    let free = (2_u32..)
        .map(|number| format!("{} ({number})", purpose.sid()))
        .find(|sid| !taken.contains(sid));
    match free {
        Some(free) => statement.replacen(
            &serde_json::Value::from(purpose.sid()).to_string(),
            &serde_json::Value::from(free).to_string(),
            1,
        ),
        None => statement.to_owned(),
    }
}

/// What the provider recognizes in a policy as granted to Databricks: it adopts an existing policy
/// this way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recognised {
    /// The statements, in the policy's spelling and order.
    pub statements: Vec<String>,
    /// The use cases that they are for.
    pub use_cases: BTreeSet<KeyUse>,
    /// The Databricks accounts that they are for.
    pub accounts: BTreeSet<AccountId>,
    /// The role that may use the key for cluster volumes.
    pub cross_account_role: Option<RoleArn>,
    /// The roles of storage credentials that may use the key for tables.
    pub table_roles: BTreeSet<RoleArn>,
    /// Whether the storage grants are there.
    pub grants: bool,
}

/// Whether a statement has our Sid for tables: others than Unity Catalog need the same actions for the objects of a bucket.
fn is_for_tables(statement: &Statement) -> bool {
    let own = Purpose::Tables.sid();
    let sid = statement.sid.as_deref().unwrap_or_default();
    statement.conditions.is_empty() && sid.starts_with(own)
}

/// Finds the documented statements in a policy, by principal and actions rather than by Sid.
pub fn recognise(live: &Document, deployment: Deployment) -> Recognised {
    let mut found = Recognised::default();
    let documented = Purpose::ManagedServices.documented_sids();
    for statement in live
        .statements
        .iter()
        .filter(|statement| statement.effect == Effect::Allow)
    {
        let actions: BTreeSet<String> = statement
            .actions
            .items
            .iter()
            .map(|action| action.to_ascii_lowercase())
            .collect();
        let is = |purpose: Purpose| {
            let own: BTreeSet<String> = purpose
                .statement_actions()
                .iter()
                .map(|action| action.to_ascii_lowercase())
                .collect();
            !statement.actions.negated && actions == own
        };
        let for_databricks = statement
            .principals
            .items
            .iter()
            .any(|principal| matches!(principal, Principal::Account { account, .. } if account == deployment.account()));
        let through_ec2 = statement
            .conditions
            .iter()
            .any(|condition| condition.key.eq_ignore_ascii_case("kms:ViaService"));
        let purpose = if for_databricks && is(Purpose::Storage) {
            Purpose::Storage
        } else if for_databricks && is(Purpose::StorageGrants) {
            Purpose::StorageGrants
        } else if for_databricks
            && (is(Purpose::ManagedServices)
                || statement
                    .sid
                    .as_deref()
                    .is_some_and(|sid| documented.contains(&sid)))
        {
            Purpose::ManagedServices
        } else if through_ec2 && is(Purpose::ClusterVolumes) {
            Purpose::ClusterVolumes
        } else if is_for_tables(statement) && is(Purpose::Tables) {
            Purpose::Tables
        } else {
            continue;
        };
        let principals = statement.principals.items.iter();
        let mut roles =
            principals.filter_map(|principal| principal.to_string().parse::<RoleArn>().ok());
        if purpose == Purpose::Tables {
            found.use_cases.insert(purpose.use_case());
            found.table_roles.extend(roles);
        } else if purpose == Purpose::ClusterVolumes {
            let role = roles.next();
            let Some(role) = role.filter(|_| found.cross_account_role.is_none()) else {
                continue;
            };
            found.cross_account_role = Some(role);
        } else {
            found.grants |= purpose == Purpose::StorageGrants;
            found.use_cases.insert(purpose.use_case());
            found.accounts.extend(
                accounts(statement)
                    .into_iter()
                    .flatten()
                    .filter_map(|account| account.parse::<AccountId>().ok()),
            );
        }
        found
            .statements
            .push(live.statement_text(statement).to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Usage;
    use vocabulary::UseCase;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
    const OTHER: &str = "11111111-2222-4333-8444-555555555555";
    const ADMIN: &str = r#"{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}"#;

    fn usage(account: &str) -> Result<Usage, Box<dyn std::error::Error>> {
        Ok(
            Usage::of(Deployment::Commercial, [account.parse()?], UseCase::ACCOUNT)
                .with_cross_account_role(Some("arn:aws:iam::123456789012:role/dbx".parse()?)),
        )
    }

    fn texts(grants: &[GrantingStatement]) -> Vec<String> {
        grants.iter().map(|grant| grant.statement.clone()).collect()
    }

    fn with(statements: &[String]) -> Result<Document, String> {
        let mut all = vec![ADMIN.to_owned()];
        all.extend_from_slice(statements);
        document_of(&all).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_put_can_be_taken_out_and_the_policy_is_as_before() -> Outcome {
        let (before, wanted) = (with(&[])?, usage(ACCOUNT)?.grants());
        let after = before.edited(&edits(&before, &wanted, &[])?)?;
        assert_eq!(after.statements.len(), 4);
        assert_eq!(
            edits(&after, &wanted, &[])?,
            [],
            "a second time there is nothing to do"
        );
        let back = after.edited(&edits(&after, &[], &texts(&wanted))?)?;
        assert_eq!(back.text(), before.text());
        Ok(())
    }

    #[test]
    fn the_documented_statement_without_the_tag_is_brought_up_to_date() -> Outcome {
        let wanted = usage(ACCOUNT)?.grants();
        let old = r#"{"Sid":"Allow Databricks to use KMS key for control plane managed services","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::414351767826:root"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"}"#;
        let live = with(&[old.to_owned()])?;
        let found = edits(&live, &wanted, &[])?;
        assert!(
            matches!(found.first(), Some(Edit::Replace(1, _))),
            "{found:?}"
        );
        assert_eq!(live.edited(&found)?.statements.len(), 4);
        Ok(())
    }

    #[test]
    fn another_owners_statement_with_our_sid_is_left_alone() -> Outcome {
        let (ours, theirs) = (usage(ACCOUNT)?.grants(), texts(&usage(OTHER)?.grants()));
        let live = with(&theirs)?;
        let after = live.edited(&edits(&live, &ours, &[])?)?;
        assert_eq!(still_there(&after, &theirs)?, theirs);
        assert_eq!(still_there(&after, &texts(&ours))?, texts(&ours));
        let sids: Vec<_> = after
            .statements
            .iter()
            .filter_map(|statement| statement.sid.clone())
            .collect();
        assert_eq!(
            sids.iter().collect::<BTreeSet<_>>().len(),
            sids.len(),
            "Sids stay unique: {sids:?}"
        );
        Ok(())
    }

    #[test]
    fn a_use_case_that_is_given_up_loses_its_statements() -> Outcome {
        let (all, mut fewer) = (usage(ACCOUNT)?, usage(ACCOUNT)?);
        fewer.use_cases = vec![UseCase::ManagedServices.into()];
        let live = with(&texts(&all.grants()))?;
        let after = live.edited(&edits(&live, &fewer.grants(), &texts(&all.grants()))?)?;
        assert_eq!(after.statements.len(), 2);
        Ok(())
    }

    #[test]
    fn an_existing_policy_is_recognised() -> Outcome {
        let wanted = usage(ACCOUNT)?;
        let found = recognise(&with(&texts(&wanted.grants()))?, Deployment::Commercial);
        assert_eq!(found.statements, texts(&wanted.grants()));
        assert_eq!(
            found.use_cases.into_iter().collect::<Vec<_>>(),
            UseCase::ACCOUNT.map(KeyUse::from)
        );
        assert_eq!(
            found.accounts.into_iter().collect::<Vec<_>>(),
            wanted.accounts
        );
        assert_eq!(found.cross_account_role, wanted.cross_account_role);
        assert!(!found.grants);
        Ok(())
    }
}
