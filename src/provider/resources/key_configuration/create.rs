//! Creating a key configuration, never two.
//!
//! The API has no token that makes a create safe to repeat. So the provider reads first whether an equal one is there. It adopts
//! one that the [`Journal`] explains: a create of this working directory whose answer was lost has left it behind. Any other one
//! belongs to another configuration, as far as the provider can tell: it reports that one, and neither adopts nor doubles it.

use super::journal::{Answered, Journal};
use crate::databricks::key_configurations::{KeyConfiguration, NewKey, NewKeyConfiguration};
use crate::databricks::{Account, Error};
use crate::provider::client::Client;
use crate::provider::deadline::Deadline;
use crate::provider::diagnose;
use crate::provider::timestamps::rfc3339;
use crate::vocabulary::{AccountId, KeyConfigurationId};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// What the account already has of the configuration that a create would make.
enum There {
    /// The account has no equal configuration.
    Nothing,
    /// One that a create of this working directory has left behind.
    LeftBehind(Box<KeyConfiguration>, Answered),
    /// One or more that no create of this working directory has made.
    Others(Vec<KeyConfiguration>),
}

/// What the journal calls a request.
fn request(account: &AccountId, new: &NewKeyConfiguration) -> Result<String, Diagnostics> {
    let text = serde_json::to_string(new).map_err(|error| Diagnostic::bug(error.to_string()))?;
    Ok(format!("{account} {text}"))
}

/// Sorts configurations that agree with `new` in everything, but for those of this state.
fn there<'a>(
    all: impl Iterator<Item = &'a KeyConfiguration>,
    new: &NewKeyConfiguration,
    request: &str,
    is_own: impl Fn(&str) -> bool,
) -> There {
    let journal = Journal::here();
    let equal: Vec<KeyConfiguration> = all
        .filter(|one| new.matches(one) && !is_own(&one.customer_managed_key_id))
        .cloned()
        .collect();
    let explained = |one: &KeyConfiguration| {
        let answered =
            journal.explains(request, &one.customer_managed_key_id, one.creation_time)?;
        Some((one.clone(), answered))
    };
    match (equal.as_slice(), equal.iter().find_map(explained)) {
        ([], _) => There::Nothing,
        (_, Some((one, answered))) => There::LeftBehind(Box::new(one), answered),
        (_, None) => There::Others(equal),
    }
}

/// Reports at plan what a create would find: the ID of the object that it will adopt, if there is one.
///
/// # Errors
/// When an equal one is there that no create of this working directory has left behind.
pub fn announce<'a>(
    cx: &Context<Client>,
    account: &AccountId,
    all: impl Iterator<Item = &'a KeyConfiguration> + Clone,
    new: &NewKeyConfiguration,
) -> Result<Option<KeyConfigurationId>, Diagnostics> {
    let client = cx.client();
    let own: Vec<String> = all
        .clone()
        .filter(|one| {
            new.matches(one)
                && client
                    .run()
                    .is_managed_configuration(&one.customer_managed_key_id)
        })
        .map(|one| one.customer_managed_key_id.clone())
        .collect();
    let request = request(account, new)?;
    let journal = Journal::here();
    // A plan that refreshes knows which objects are in the state. The note of an earlier plan may be about an object that no longer is.
    let knows = client.keys().shares().reads();
    match own.is_empty() {
        // One that is replaced by an equal one is still there when the new one is created first, and the run that applies this plan is
        // not told whose it is.
        false => journal.own(&request, own),
        true if knows => journal.disown(&request),
        true => {}
    }
    match there(all, new, &request, |id| {
        client.run().is_managed_configuration(id) || !knows && journal.is_own(&request, id)
    }) {
        There::Nothing => Ok(None),
        There::LeftBehind(one, answered) => {
            cx.warn(adopted(
                &one,
                answered,
                "will adopt it instead of creating a second one",
            ));
            Ok(one.customer_managed_key_id.parse().ok())
        }
        There::Others(others) => Err(there_already(new, &others)),
    }
}

fn failed(error: &Error) -> Diagnostics {
    diagnose::account("The key configuration could not be created", error).into()
}

/// Makes one, or adopts the equal one that a create of this working directory has left behind.
///
/// # Errors
/// When Databricks refuses, when an equal one of another owner is there, or when the provider cannot find out what became of the
/// request.
pub async fn make(
    cx: &Context<Client>,
    account: &Account,
    new: &NewKeyConfiguration,
    deadline: Deadline,
) -> Result<KeyConfiguration, Diagnostics> {
    let request = request(account.id(), new)?;
    // One list serves every create of a run: two resources of a run that describe the same object were refused at plan.
    let reads = cx.client().reads();
    let before = reads.configurations_before(account, |one| new.matches(one));
    let before = before.await.map_err(|error| failed(&error))?;
    let journal = Journal::here();
    match there(before.iter(), new, &request, |id| {
        cx.client().run().is_managed_configuration(id) || journal.is_own(&request, id)
    }) {
        There::Nothing => {}
        There::LeftBehind(one, answered) => {
            let what = "adopted it instead of creating a second one";
            cx.warn(adopted(&one, answered, what));
            return Ok(*one);
        }
        There::Others(others) => return Err(there_already(new, &others)),
    }
    let known: Vec<String> = before
        .iter()
        .map(|one| one.customer_managed_key_id.clone())
        .collect();
    let note = match journal.begin(&request, known.clone()) {
        Ok(note) => Some(note),
        Err(error) => {
            tracing::warn!(%error, "no note of the create could be written; if its answer is lost, import the configuration");
            None
        }
    };
    let made = match sent(account, new, deadline).await {
        Sent::Made(made) => *made,
        Sent::Refused(error) => {
            note.iter().for_each(|note| journal.refused(note));
            return Err(failed(&error));
        }
        Sent::Lost(lost) => after_a_lost_answer(account, new, &known, &lost).await?,
    };
    if let Some(note) = note {
        journal.made(note, &made.customer_managed_key_id);
    }
    Ok(made)
}

/// What became of a create, as far as its answer says.
enum Sent {
    /// It was made.
    Made(Box<KeyConfiguration>),
    /// It was not.
    Refused(Error),
    /// Nobody knows.
    Lost(Error),
}

async fn sent(account: &Account, new: &NewKeyConfiguration, deadline: Deadline) -> Sent {
    let lost = |reason: String| {
        Sent::Lost(Error::Transport {
            reason,
            source: None,
            may_have_been_taken: true,
            is_unreachable: false,
        })
    };
    match deadline.bound(account.create_key_configuration(new)).await {
        Some(Ok(made)) if made.has_readable_id() => Sent::Made(Box::new(made)),
        // It was made, and the answer does not say which one it is.
        Some(Ok(made)) => lost(format!(
            "Databricks answered with the ID `{}`, which is not the ID of a key configuration",
            made.customer_managed_key_id
        )),
        Some(Err(error)) if error.may_have_been_taken() => Sent::Lost(error),
        Some(Err(error)) => Sent::Refused(error),
        None => lost("Databricks did not answer within the timeout of the operation".to_owned()),
    }
}

/// The configuration that a create has made whose answer was lost. `known`: those that were there before it was sent.
///
/// # Errors
/// When there is none, or more than one, or the account cannot be asked: the note of the create stays, since it may still be carried out.
async fn after_a_lost_answer(
    account: &Account,
    new: &NewKeyConfiguration,
    known: &[String],
    lost: &Error,
) -> Result<KeyConfiguration, Diagnostics> {
    tracing::warn!(error = %lost, "the answer to a create was lost; looking whether it was carried out");
    let now = account.key_configurations().await.map_err(|error| {
        Diagnostic::error(
            "The provider does not know whether the key configuration was created",
            format!(
                "The answer to the create was lost ({lost}), and afterwards the configurations of the account could not be listed \
                 ({error}). Apply again within 15 minutes: the provider finds and adopts what was created, and creates nothing twice."
            ),
        )
    })?;
    let is_new = |one: &KeyConfiguration| {
        one.has_readable_id() && !known.contains(&one.customer_managed_key_id) && new.matches(one)
    };
    let mut made = now.into_iter().filter(is_new);
    match (made.next(), made.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(failed(lost)),
        (Some(one), Some(other)) => Err(Diagnostic::error(
            "The provider cannot tell which key configuration it created",
            format!(
                "The answer to the create was lost, and since then the account has two new configurations of this key: {} and {}. Somebody \
                 else created one at the same time. Import the right one, and delete the other in the account console.",
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

fn adopted(one: &KeyConfiguration, answered: Answered, what: &str) -> Diagnostic {
    let why = match answered {
        Answered::No => format!(
            "A create from this working directory, whose answer Terraform did not get, made it within the last 15 minutes. The provider {what}."
        ),
        Answered::Yes => format!(
            "A create from this working directory made it within the last 15 minutes. If this state does not have it, the provider {what}. If you \
             renamed the resource, the state has it under the former address, and this plan destroys it there: add a `moved` block instead, \
             which changes nothing:\n\nmoved {{\n  from = dbxcmk_key_configuration.OLD\n  to   = dbxcmk_key_configuration.NEW\n}}"
        ),
    };
    Diagnostic::warning(
        "The key configuration exists already",
        format!(
            "The account has the key configuration {}, which equals this resource. {why}",
            with_age(one)
        ),
    )
    .about(&one.customer_managed_key_id)
}

fn there_already(new: &NewKeyConfiguration, others: &[KeyConfiguration]) -> Diagnostics {
    // Nothing else tells two configurations of one key apart.
    let second = match new.key {
        NewKey::Aws(_) => " If you want a second one, give this one another `aws.key_alias`.",
        NewKey::Gcp(_) => "",
    };
    let list: Vec<String> = others
        .iter()
        .map(|one| format!("  - {}", with_age(one)))
        .collect();
    let first = others
        .first()
        .map(|one| one.customer_managed_key_id.as_str())
        .unwrap_or_default();
    Diagnostic::error(
        "The account has this key configuration already",
        format!(
            "These key configurations equal this resource, and this state does not manage them:\n{}\n\nAnother Terraform state may own them, and \
             two states must not manage one object. If none does, import the existing one:\n\nimport {{\n  to = dbxcmk_key_configuration.…\n  \
             id = \"{first}\"\n}}\n\nIf another state owns it, use its ID from there.{second}",
            list.join("\n")
        ),
    )
    .into()
}
