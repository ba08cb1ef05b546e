//! Tokens of command lines in which the user has logged in: Databricks' own, and Azure's.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::azure::{DATABRICKS, MANAGEMENT_HEADER};
use super::{Fetched, until};
use crate::databricks::auth::{AuthError, AuthType, AzureEnvironment, Site};

/// How long a program may take; Azure's is slow to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `databricks auth token` prints.
#[derive(Deserialize)]
struct DatabricksToken {
    access_token: SecretString,
    expiry: Option<String>,
}

/// What `az account get-access-token` prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureToken {
    access_token: SecretString,
    /// Seconds since 1970, as a number or as text.
    #[serde(
        rename = "expires_on",
        default,
        deserialize_with = "crate::network::seconds"
    )]
    expires_on: Option<u64>,
}

/// The token of `databricks auth login`.
pub(super) async fn databricks(program: &Path, site: &Site) -> Result<Fetched, AuthError> {
    let host = site.host();
    let mut who = vec!["--host".to_owned(), host];
    if let Site::Account(_, account) = site {
        who.extend(["--account-id".to_owned(), account.to_string()]);
    }
    let remedy = format!("Log in first:\n\n  databricks auth login {}", who.join(" "));
    let mut arguments = vec!["auth", "token"];
    arguments.extend(who.iter().map(String::as_str));
    let answer: DatabricksToken =
        printed(AuthType::DatabricksCli, program, &arguments, &remedy).await?;
    let end = answer
        .expiry
        .and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
    Ok(Fetched {
        token: answer.access_token,
        life: Some(end.map_or(super::USUAL_LIFE, until)),
        extra: Vec::new(),
    })
}

/// The token of `az login`. The one for Azure's management API comes along when the login may have it.
pub(super) async fn azure(
    program: &Path,
    tenant: Option<&str>,
    environment: &AzureEnvironment,
) -> Result<Fetched, AuthError> {
    let ask = async |resource: &str| -> Result<AzureToken, AuthError> {
        let mut arguments = vec![
            "account",
            "get-access-token",
            "--resource",
            resource,
            "--output",
            "json",
        ];
        arguments.extend(tenant.into_iter().flat_map(|tenant| ["--tenant", tenant]));
        printed(
            AuthType::AzureCli,
            program,
            &arguments,
            "Log in first:\n\n  az login",
        )
        .await
    };
    let answer = ask(DATABRICKS).await?;
    let end = answer
        .expires_on
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok());
    let management = ask(environment.management).await.ok();
    Ok(Fetched {
        token: answer.access_token,
        life: Some(end.map_or(super::USUAL_LIFE, until)),
        extra: management
            .map(|answer| (MANAGEMENT_HEADER, answer.access_token))
            .into_iter()
            .collect(),
    })
}

/// What a program prints, as JSON. Its standard output holds a token and is never quoted; its complaints are.
async fn printed<T: for<'de> Deserialize<'de>>(
    method: AuthType,
    program: &Path,
    arguments: &[&str],
    remedy: &str,
) -> Result<T, AuthError> {
    let failed = |reason: String| AuthError::Failed {
        method,
        reason,
        remedy: remedy.to_owned(),
    };
    let name = program.display();
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(format!("{name} could not be started ({error})"))),
        Err(_) => return Err(failed(format!("{name} did not end within a minute"))),
    };
    if !output.status.success() {
        let complaint: String = String::from_utf8_lossy(&output.stderr)
            .trim()
            .chars()
            .take(400)
            .collect();
        return Err(failed(format!("{name} said: \"{complaint}\"")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|_| failed(format!("{name} did not print a token")))
}
