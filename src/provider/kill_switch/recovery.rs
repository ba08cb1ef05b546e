//! After a key came back: whether it is fit again, and whether the workspaces that use it run.

use std::time::Duration;

use tokio::time::Instant;

use super::{Impact, Say};
use crate::preflight::{Finding, Stage};
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{AttachNeed, GcpKeyCheck, KeyCheck};
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{Key, UseCase, WorkspaceId, WorkspaceStatus};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// The longest pause between two lists of workspaces.
const PAUSE: Duration = Duration::from_secs(5);
/// The first pause; each is longer than the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Judges a key for every workspace that uses it, as the proof of an attach would.
///
/// # Errors
/// When the Databricks account refuses or cannot be reached.
pub async fn judge_restored(client: &Client, impact: &Impact) -> Result<Vec<Finding>, Diagnostics> {
    if let Key::Azure(key) = &impact.key {
        return judge_on_azure(client, key).await;
    }
    let account = client.account().await?;
    let failed = |error| diagnose::account("The workspaces could not be read", &error);
    let configurations = account.key_configurations().await.map_err(failed)?;
    let mut findings: Vec<Finding> = Vec::new();
    for workspace in account.workspaces().await.map_err(failed)? {
        if impact
            .workspace(&workspace.workspace_id.to_string())
            .is_none()
        {
            continue;
        }
        let facts = workspace.facts();
        // One check for all data that the workspace encrypts with the key, so that the findings name an account once.
        let mut on_google: Option<GcpKeyCheck> = None;
        for case in UseCase::ACCOUNT {
            let attached = workspace.key(case);
            let of_key = configurations.iter().find(|one| {
                attached
                    .known()
                    .is_some_and(|id| id.as_str() == one.customer_managed_key_id)
                    && impact
                        .key_configurations
                        .iter()
                        .any(|own| own.id == one.customer_managed_key_id)
            });
            let Some(remote) = of_key else {
                continue;
            };
            let need = AttachNeed {
                account,
                reads: client.reads(),
                workspace: &workspace,
                facts: &facts,
                use_case: case,
                stage: Stage::Apply,
            };
            let (key, unknown) = KeyCheck::of_configuration(client.keys(), &need, remote).await;
            let examined = match key {
                Some(KeyCheck::Gcp(key)) => {
                    on_google = Some(match on_google.take() {
                        Some(other) => with(other, key),
                        None => key,
                    });
                    Vec::new()
                }
                Some(key) => {
                    let key = key.used_by(users_of(impact));
                    client.keys().examine(&[key]).await.concat()
                }
                None => Vec::new(),
            };
            for finding in unknown.into_iter().chain(examined) {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        if let Some(mut one) = on_google {
            // These workspaces have the key already.
            one.question.is_relied_on = true;
            let one = KeyCheck::Gcp(one).used_by(users_of(impact));
            let examined = client.keys().examine(&[one]).await.concat();
            for finding in examined {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    Ok(findings)
}

/// The workspaces that use the key, in words, each with the data that the key encrypts there.
fn users_of(impact: &Impact) -> Vec<(String, Vec<UseCase>)> {
    let users = impact.workspaces.iter().map(|one| {
        let cases = one.use_cases.iter().filter_map(|case| case.parse().ok());
        let named = format!("{} (\"{}\")", one.workspace_id, one.name);
        (named, cases.collect())
    });
    users.collect()
}

/// Joins the checks of one workspace about one key.
fn with(mut one: GcpKeyCheck, other: GcpKeyCheck) -> GcpKeyCheck {
    let (usage, more) = (&mut one.question.usage, other.question.usage);
    for case in more.use_cases {
        if !usage.use_cases.contains(&case) {
            usage.use_cases.push(case);
        }
    }
    for account in more.databricks {
        if !usage.databricks.contains(&account) {
            usage.databricks.push(account);
        }
    }
    usage.workspace_project = usage.workspace_project.take().or(more.workspace_project);
    let reasons: Vec<String> = [usage.not_known.take(), more.not_known]
        .into_iter()
        .flatten()
        .collect();
    usage.not_known = (!reasons.is_empty()).then(|| reasons.join("; "));
    for account in other.question.workspace_accounts {
        if !one.question.workspace_accounts.contains(&account) {
            one.question.workspace_accounts.push(account);
        }
    }
    for user in other.question.users {
        if !one.question.users.contains(&user) {
            one.question.users.push(user);
        }
    }
    one
}

/// [`judge_restored`] for a key on Azure, whose workspaces Resource Manager shows.
async fn judge_on_azure(client: &Client, key: &VaultKeyId) -> Result<Vec<Finding>, Diagnostics> {
    let azure = client.keys().azure();
    let users = azure
        .users(key)
        .await
        .map_err(|error| diagnose::azure_workspaces("The workspaces could not be read", &error))?;
    let mut findings: Vec<Finding> = Vec::new();
    for user in &users.workspaces {
        for case in &user.cases {
            let check = azure.check_of(&user.workspace, *case, Stage::Apply);
            let Some(check) = check.await else {
                continue;
            };
            let one = KeyCheck::Azure(Box::new(check));
            for finding in client.keys().examine(&[one]).await.concat() {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    Ok(findings)
}

/// Waits until the account shows every workspace that uses a key as RUNNING. On Azure a workspace has no such status.
///
/// # Errors
/// When one of them has failed, or the time is up; the message names them.
pub async fn wait_for_workspaces(
    client: &Client,
    impact: &Impact,
    within: Duration,
    say: Say<'_>,
) -> Result<(), Diagnostics> {
    if matches!(impact.key, Key::Azure(_)) {
        return Ok(());
    }
    let account = client.account().await?;
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    let mut said = Vec::new();
    loop {
        let waiting: Vec<(WorkspaceId, String, WorkspaceStatus)> = match account.workspaces().await
        {
            Ok(all) => all
                .into_iter()
                .filter(|one| impact.workspace(&one.workspace_id.to_string()).is_some())
                .filter(|one| one.workspace_status != WorkspaceStatus::Running)
                .map(|one| (one.workspace_id, one.workspace_name, one.workspace_status))
                .collect(),
            Err(error) if Instant::now() >= deadline => {
                return Err(diagnose::account("The workspaces could not be read", &error).into());
            }
            Err(_) => {
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let named: Vec<String> = waiting
            .iter()
            .map(|(id, name, status)| format!("{id} (\"{name}\") is {status}"))
            .collect();
        if Instant::now() >= deadline {
            return Err(Diagnostic::error(
                "Not every workspace is RUNNING again",
                format!(
                    "The key is restored. These workspaces are not RUNNING yet:\n  - {}\n\nWait, and check them in the account console. A \
                     workspace that stays in this status is a case for Databricks support.",
                    named.join("\n  - ")
                ),
            )
            .into());
        }
        if named != said {
            say(format!("waiting for {}", named.join(", ")));
            said = named;
        }
        tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 2).min(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::gcp::Question as OfGoogle;
    use crate::requirements::gcp::Usage;

    /// The proof asks once what a workspace needs of one key for two kinds of data, and names each account once.
    #[test]
    fn two_uses_are_one_question() {
        let case = |case, account: &str, user: &str| {
            let usage = Usage {
                use_cases: vec![case],
                databricks: vec![account.parse().expect("an account")],
                workspace_project: None,
                table_projects: Vec::new(),
                not_known: None,
            };
            let mut question = OfGoogle::new(usage, Stage::Apply);
            question.users.push(user.to_owned());
            GcpKeyCheck {
                key: "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k"
                    .parse()
                    .expect("a key"),
                question,
            }
        };
        let account = "cmk-1@prod-gcp-us-east4.iam.gserviceaccount.com";
        let one = case(UseCase::ManagedServices, account, "1");
        let both = with(one, case(UseCase::Storage, account, "1")).question;
        assert_eq!(
            both.usage.use_cases,
            [UseCase::ManagedServices, UseCase::Storage]
        );
        assert_eq!((both.usage.databricks.len(), both.users.len()), (1, 1));
    }
}
