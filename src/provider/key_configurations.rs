//! Making a key configuration, never two; and never taking one away from a workspace.
//!
//! The API has no token that would make a create safe to repeat. So whoever makes one looks first whether it is there: an
//! answer that was lost, and a run that was killed before Terraform wrote its state, leave a configuration behind that nobody
//! knows of. Two configurations that agree in everything serve nobody, so an equal one is taken over or pointed out.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::Client;
use super::diagnose;
use super::waiting::Deadline;
use crate::databricks::key_configurations::{KeyConfiguration, NewKeyConfiguration};
use crate::databricks::workspaces::Workspace;
use crate::databricks::{Account, Error};
use crate::plugin::diagnostics::{Diagnostic, Diagnostics};
use crate::plugin::resource::Context;
use crate::vocabulary::KeyConfigurationId;

/// How old an equal configuration may be so that it counts as left behind by a run that was interrupted.
const LEFT_BEHIND: time::Duration = time::Duration::hours(24);

/// RFC 3339 from milliseconds since 1970.
pub fn rfc3339(milliseconds: i64) -> Option<String> {
    moment(milliseconds)?.format(&Rfc3339).ok()
}

fn moment(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}

/// What is there already of what is to be made.
enum There {
    /// Nothing.
    Nothing,
    /// One that a run has left behind a short while ago.
    LeftBehind(Box<KeyConfiguration>),
    /// One or more that have been there for longer.
    Others(Vec<KeyConfiguration>),
}

/// Looks for configurations that agree with `new` in everything and that no resource of this run manages.
fn there<'a>(client: &Client, all: impl Iterator<Item = &'a KeyConfiguration>, new: &NewKeyConfiguration) -> There {
    let equal: Vec<KeyConfiguration> =
        all.filter(|one| new.matches(one) && !client.manages(&one.customer_managed_key_id)).cloned().collect();
    let is_recent = |one: &KeyConfiguration| {
        one.creation_time.and_then(moment).is_some_and(|made| OffsetDateTime::now_utc() - made < LEFT_BEHIND)
    };
    match equal.as_slice() {
        [] => There::Nothing,
        [one] if is_recent(one) => There::LeftBehind(Box::new(one.clone())),
        _ => There::Others(equal),
    }
}

/// Says at plan what a create would find.
///
/// # Errors
/// When an equal one is there that no interrupted run has left behind.
pub fn announce<'a>(
    cx: &Context<Client>,
    all: impl Iterator<Item = &'a KeyConfiguration>,
    new: &NewKeyConfiguration,
) -> Result<(), Diagnostics> {
    match there(cx.client(), all, new) {
        There::Nothing => Ok(()),
        There::LeftBehind(one) => {
            cx.warn(taken_over(&one, "will be taken over instead of making a second one"));
            Ok(())
        }
        There::Others(others) => Err(there_already(&others)),
    }
}

/// Makes one, or takes over the equal one that an interrupted run has left behind.
///
/// # Errors
/// When Databricks refuses, when an equal one was there before, or when it cannot be found out what became of the request.
pub async fn make(
    cx: &Context<Client>,
    account: &Account,
    new: &NewKeyConfiguration,
    deadline: Deadline,
) -> Result<KeyConfiguration, Diagnostics> {
    let failed = |error: &Error| Diagnostics::from(diagnose::account("The key configuration could not be created", error));
    let before = account.key_configurations().await.map_err(|error| failed(&error))?;
    match there(cx.client(), before.iter(), new) {
        There::Nothing => {}
        There::LeftBehind(one) => {
            cx.warn(taken_over(&one, "was taken over instead of making a second one"));
            return Ok(*one);
        }
        There::Others(others) => return Err(there_already(&others)),
    }
    let lost = match deadline.bound(account.create_key_configuration(new)).await {
        Some(Ok(made)) => return Ok(made),
        Some(Err(error)) if error.may_have_been_taken() => error,
        Some(Err(error)) => return Err(failed(&error)),
        None => Error::Transport {
            reason: "Databricks did not answer within the timeout of the operation".to_owned(),
            may_have_been_taken: true,
        },
    };
    tracing::warn!(error = %lost, "the answer to a create was lost; looking whether it was carried out");
    let unknown = |error: &Error| {
        Diagnostics::from(Diagnostic::error(
            "It is not known whether the key configuration was created",
            format!(
                "The answer to the create was lost ({lost}), and afterwards the configurations of the account could not be listed \
                 ({error}). Apply again: what is there by then is found and taken over, so that nothing is made twice."
            ),
        ))
    };
    let now = account.key_configurations().await.map_err(|error| unknown(&error))?;
    let is_new = |one: &KeyConfiguration| {
        !before.iter().any(|old| old.customer_managed_key_id == one.customer_managed_key_id) && new.matches(one)
    };
    let mut made = now.into_iter().filter(is_new);
    match (made.next(), made.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(failed(&lost)),
        (Some(one), Some(other)) => Err(Diagnostic::error(
            "It is not certain which key configuration was created",
            format!(
                "The answer to the create was lost, and since then the account has two new configurations of this key: {} and {}. Somebody \
                 else made one at the same time. Import the right one, and delete the other in the account console.",
                one.customer_managed_key_id, other.customer_managed_key_id
            ),
        )
        .into()),
    }
}

fn with_age(one: &KeyConfiguration) -> String {
    match one.creation_time.and_then(rfc3339) {
        Some(time) => format!("{} (created {time})", one.customer_managed_key_id),
        None => one.customer_managed_key_id.clone(),
    }
}

fn taken_over(one: &KeyConfiguration, what: &str) -> Diagnostic {
    Diagnostic::warning(
        "The key configuration is there already",
        format!(
            "The account has the key configuration {}, which agrees in everything with this resource: a run that was interrupted before \
             Terraform wrote its state leaves one behind. It {what}.\n\nIf it belongs to somebody else's configuration, give this one \
             another `key_alias`: two configurations of Terraform must not manage the same object.",
            with_age(one)
        ),
    )
}

fn there_already(others: &[KeyConfiguration]) -> Diagnostics {
    let list: Vec<String> = others.iter().map(|one| format!("  - {}", with_age(one))).collect();
    let first = others.first().map(|one| one.customer_managed_key_id.as_str()).unwrap_or_default();
    Diagnostic::error(
        "The account has this key configuration already",
        format!(
            "These key configurations agree in everything with this resource, and no resource of this configuration manages them:\n{}\n\nA \
             second one would be the same again. Take the existing one over:\n\nimport {{\n  to = dbxcmk_key_configuration.…\n  id = \
             \"{first}\"\n}}\n\nor, if a second one is really wanted, give this one another `key_alias`.",
            list.join("\n")
        ),
    )
    .into()
}

/// The workspaces that use a configuration, as this run has read them.
///
/// # Errors
/// When the API refuses or cannot be reached.
pub async fn users(client: &Client, account: &Account, id: &KeyConfigurationId) -> Result<Vec<Workspace>, Error> {
    let all = client.reads().workspaces(account).await?;
    Ok(all.values().filter(|workspace| workspace.uses(id)).cloned().collect())
}

/// `using`: the workspaces that use it, or why that could not be found out.
///
/// # Errors
/// When there are any, or it could not be found out.
pub fn refuse_while_in_use(id: &KeyConfigurationId, using: Result<Vec<Workspace>, Error>) -> Result<(), Diagnostics> {
    let using = using.map_err(|error| {
        diagnose::account("It could not be found out whether a workspace uses the key configuration", &error)
    })?;
    if using.is_empty() {
        return Ok(());
    }
    let names: Vec<String> =
        using.iter().map(|workspace| format!("  - {} (\"{}\")", workspace.workspace_id, workspace.workspace_name)).collect();
    Err(Diagnostic::error(
        "The key configuration is in use",
        format!(
            "The key configuration {id} is attached to {}:\n{}\n\nDatabricks does not delete a configuration that a workspace uses, and a \
             key cannot be detached from a workspace (catalogs that use it are not checked here). Delete the workspaces first \
             (`terraform destroy -target=…`), then this. If it is to be replaced, attach another configuration for managed services \
             before; the storage key of a workspace stays for good.\n\nTo let Terraform only forget it, use a `removed` block with \
             `destroy = false`.",
            if using.len() == 1 { "this workspace" } else { "these workspaces" },
            names.join("\n")
        ),
    )
    .into())
}
