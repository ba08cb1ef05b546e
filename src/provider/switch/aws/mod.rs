//! The kill switch of AWS KMS: disabling, scheduling a deletion, and taking both back.

mod steps;

use std::time::Duration;

use tokio::time::Instant;

use self::steps::{
    Mark, Refused, SoFar, Standing, Step, TAG, next, standing, tag_of_unfinished, way_back,
};
use super::record::Record;
use super::{ANYWAY, KeyStatus, Manner, NotVisible, Order, Outcome, Stopped, Tidying, stays};
use crate::clouds::aws::{Aws, AwsError};
use crate::preflight::aws::{KeyDescription, KmsGrant};
use crate::provider::diagnose;
use crate::provider::moments::now;
use crate::vocabulary::KeyState;
use crate::vocabulary::aws::KeyArn;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Days until a deletion, unless the user says another number. Source: KMS API reference, ScheduleKeyDeletion.
const LONGEST_WINDOW: u8 = 30;
/// After this time a change that does not show is ordered again, and each time later. Usually a change shows within seconds, so that
/// somebody else has probably taken it back. Each of the calls may be repeated: KMS accepts it, or says that the key is so already.
const AGAIN: Duration = Duration::from_secs(5);
/// More than any order needs; somebody else may change the key at the same time.
const MOST_STEPS: usize = 20;
/// How often a look shows whether a call was carried out whose answer was lost: within two seconds.
const LOOKS_AFTER_LOSS: u8 = 4;

/// A key as it is, with what the switch remembers.
///
/// # Errors
/// When KMS refuses or cannot be reached.
pub async fn status(cloud: &Aws, key: &KeyArn) -> Result<KeyStatus, AwsError> {
    let description = cloud.describe(key).await?;
    let mark = mark(cloud, key).await;
    let (disabled_since, note) = match standing(&description.state, &mark) {
        Standing::Clean => (None, None),
        Standing::Ours(since) => (Some(since), None),
        Standing::LeftOver(since) => (
            None,
            Some(format!(
                "The key is enabled, and it has the tag `{TAG}` of {since}: a disable or a restore did not finish or does not show yet, or \
                 another tool enabled the key. `key restore` removes the tag."
            )),
        ),
        Standing::Others(why) => (None, Some(not_ours(&description.state, &why))),
        Standing::NotKnown(why) => (None, Some(not_known(&description.state, &why))),
    };
    Ok(KeyStatus {
        way_back: way_back(&description.state, &mark),
        state: description.state,
        deletion_date: description.deletion_date,
        disabled_since,
        versions: Vec::new(),
        notes: note.into_iter().collect(),
    })
}

/// What was done to a key that is taken away, also as it is said of the past, and the event that shows it.
fn done_to(state: &KeyState) -> (&'static str, &'static str, &'static str) {
    match state.is_being_deleted() {
        true => (
            "schedule the deletion of",
            "scheduled the deletion of",
            "ScheduleKeyDeletion",
        ),
        false => ("disable", "disabled", "DisableKey"),
    }
}

/// Who has taken a key away is not known, as long as its tags are not.
fn not_known(state: &KeyState, why: &str) -> String {
    let (_, did, event) = done_to(state);
    format!(
        "Whether this provider {did} the key is not known ({why}). {READ_TAGS} Or find out who did it (AWS CloudTrail, event {event}). To \
         enable the key all the same, restore it with {ANYWAY}."
    )
}

/// How the tags become readable.
const READ_TAGS: &str =
    "Allow the caller to call kms:ListResourceTags on the key, then run `key status` again.";

/// A restore of this key will need more.
fn not_ours(state: &KeyState, why: &str) -> String {
    let (did, _, event) = done_to(state);
    format!(
        "This provider did not {did} the key ({why}). Find out who did and why (AWS CloudTrail, event {event}). To enable it, \
         restore it with {ANYWAY}."
    )
}

/// The key was shown as taken away before the order, without a tag.
fn taken_before(state: &KeyState, why: &str) -> String {
    let (_, did, event) = done_to(state);
    format!(
        "KMS showed the key as {state} before this command ({why}). A read of KMS can be late, so the provider made the call all the same, and wrote \
         no tag. Unless that read was late, another person or tool {did} the key: find out who did and why (AWS CloudTrail, event {event}). To \
         enable the key, restore it with {ANYWAY}."
    )
}

/// Removes the tag of a disable that did not come about: a tag on an enabled key says what is not true. `may_take_effect`: whether it may still
/// come about. What was done, in words.
pub async fn tidy(cloud: &Aws, key: &KeyArn, may_take_effect: bool) -> Option<String> {
    let state = cloud.describe(key).await.ok()?.state;
    match tag_of_unfinished(&state, &mark(cloud, key).await, may_take_effect) {
        Tidying::Nothing => None,
        Tidying::Leave => Some(stays(&format!("The tag `{TAG}` of the key"))),
        Tidying::Remove => Some(match cloud.remove_tag(key, TAG).await {
            Ok(()) => format!("The key is enabled. The tag `{TAG}` was removed again."),
            Err(error) => cannot_untag(key, &error),
        }),
    }
}

fn cannot_untag(key: &KeyArn, error: &AwsError) -> String {
    format!(
        "The tag `{TAG}` could not be removed ({error}). The key is enabled. Remove the tag:\n\n  aws kms untag-resource --key-id {} \
         --tag-keys {TAG} --region {}",
        key.key_id(),
        key.region()
    )
}

/// Whether a call may have been carried out although it failed: its answer did not arrive, or cannot be read.
fn is_lost(error: &AwsError) -> bool {
    match error {
        AwsError::Unreachable { .. } => true,
        AwsError::Other { .. } => !error.is_refusal(),
        _ => false,
    }
}

async fn mark(cloud: &Aws, key: &KeyArn) -> Mark {
    match cloud.tag(key, TAG).await {
        Ok(Some(since)) => Mark::Ours(since),
        Ok(None) => Mark::None,
        Err(error) => Mark::Unreadable(error.to_string()),
    }
}

/// The grants that let Databricks use a key: removing the statements of its policy does not end them.
pub fn granted(key: &KeyArn, grants: &[KmsGrant]) -> Vec<NotVisible> {
    let of_databricks = grants
        .iter()
        .filter_map(|one| one.deployment().map(|deployment| (one, deployment)));
    of_databricks
        .map(|(grant, deployment)| NotVisible {
            what: format!(
                "What uses the key by the grant {} to {} ({}: {})",
                grant.id,
                grant.grantee,
                deployment.in_words(),
                grant.operations.join(", ")
            ),
            why: format!(
                "A grant works without a statement of the key policy, and stays when the statements are removed. To end it: aws kms \
                 revoke-grant --key-id {} --region {} --grant-id {}",
                key.key_id(),
                key.region(),
                grant.id
            ),
        })
        .collect()
}

/// A key that KMS does not have.
pub fn gone(key: &KeyArn) -> Diagnostic {
    Diagnostic::error(
        "The key does not exist",
        format!(
            "KMS has no key {key}. If its deletion was scheduled and the window is over, the key is deleted: nothing brings it back, and \
             everything that was encrypted with it is lost permanently. Otherwise check the ARN, and that the credentials belong to \
             account {}.",
            key.account()
        ),
    )
}

/// An order under way.
struct Work<'a> {
    cloud: &'a Aws,
    key: &'a KeyArn,
    so_far: SoFar,
    record: Record<'a>,
    /// Until when a change has to show.
    deadline: Instant,
    /// After which time it is ordered again.
    again: Duration,
}

/// Carries an order out: looks, does the next step, waits until it shows, and looks again. What somebody else does to the key at the
/// same time is seen at the next look, and a change that does not show is ordered again.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub async fn carry_out(
    cloud: &Aws,
    key: &KeyArn,
    order: Order,
    manner: Manner<'_>,
) -> Result<Outcome, Stopped> {
    let mut work = Work {
        cloud,
        key,
        so_far: SoFar::default(),
        record: Record::new(order, manner),
        deadline: Instant::now() + manner.patience,
        again: AGAIN,
    };
    for _ in 0..MOST_STEPS {
        if work.record.is_interrupted() {
            return Err(Stopped::Interrupted(work.record.interrupted()));
        }
        let seen = match cloud.describe(key).await {
            Ok(seen) => seen,
            Err(error) => return Err(Stopped::Failed(work.failed("kms:DescribeKey", &error))),
        };
        let mark = mark(cloud, key).await;
        match next(order, &seen.state, &mark, work.so_far) {
            Step::Finish => return Ok(work.finished(seen, &mark, true)),
            Step::StayDisabled => {
                let why = match mark {
                    Mark::Unreadable(_) => "whether this provider disabled it is not known",
                    _ => "this provider did not disable it",
                };
                work.record.notes.push(format!(
                    "The deletion is cancelled. The key stays disabled, because {why} ({}). To enable it, restore it with {ANYWAY}.",
                    who(&mark)
                ));
                return Ok(work.finished(seen, &mark, false));
            }
            Step::Refuse(reason) => {
                return Err(Stopped::Refused(work.refused(reason, &seen, &mark)));
            }
            step => work.take(step).await.map_err(Stopped::Failed)?,
        }
    }
    Err(Stopped::Failed(
        work.record.restless(&key.to_string(), "AWS CloudTrail"),
    ))
}

/// Who disabled a key, as far as its tag says.
fn who(mark: &Mark) -> String {
    match mark {
        Mark::Unreadable(why) => format!("its tags cannot be read: {why}"),
        _ => format!("it has no tag `{TAG}`"),
    }
}

impl Work<'_> {
    async fn take(&mut self, step: Step) -> Result<(), Diagnostics> {
        let (cloud, key) = (self.cloud, self.key);
        match step {
            Step::Mark => {
                self.so_far.marked = true;
                match cloud.set_tag(key, TAG, &now()).await {
                    Ok(()) => self.record.changed(format!("wrote the tag `{TAG}`")),
                    Err(error)
                        if is_lost(&error) && matches!(mark(cloud, key).await, Mark::Ours(_)) =>
                    {
                        self.record.shown(&format!("wrote the tag `{TAG}`"));
                    }
                    // Taking the key away does not wait for this.
                    Err(error) => self.record.note(format!(
                        "The tag `{TAG}` could not be written ({error}). To restore the key later, use {ANYWAY}."
                    )),
                }
            }
            Step::Unmark => {
                self.so_far.unmarked = true;
                match cloud.remove_tag(key, TAG).await {
                    Ok(()) => self.record.changed(format!("removed the tag `{TAG}`")),
                    Err(error)
                        if is_lost(&error) && matches!(mark(cloud, key).await, Mark::None) =>
                    {
                        self.record.shown(&format!("removed the tag `{TAG}`"));
                    }
                    Err(error) => self.record.note(cannot_untag(key, &error)),
                }
            }
            Step::Disable => {
                let answer = self
                    .record
                    .taking(cloud.disable(key), AwsError::is_refusal)
                    .await;
                self.verified("kms:DisableKey", "disabled the key", answer, |state| {
                    *state != KeyState::Enabled
                })
                .await?;
            }
            Step::ScheduleDeletion => {
                let Order::ScheduleDeletion { days } = self.record.order else {
                    return Ok(());
                };
                let days = days.unwrap_or(LONGEST_WINDOW);
                let call = cloud.schedule_deletion(key, days);
                let answer = self.record.taking(call, AwsError::is_refusal).await;
                let what = format!("scheduled the deletion in {days} days");
                self.verified(
                    "kms:ScheduleKeyDeletion",
                    &what,
                    answer,
                    KeyState::is_being_deleted,
                )
                .await?;
            }
            Step::MakeSure => return self.make_sure().await,
            Step::CancelDeletion => {
                let answer = cloud.cancel_deletion(key).await;
                let is_lost = answer.as_ref().is_err_and(is_lost);
                self.so_far.cancelled |= answer.is_ok() || is_lost;
                self.verified(
                    "kms:CancelKeyDeletion",
                    "cancelled the deletion",
                    answer,
                    |state| !state.is_being_deleted(),
                )
                .await?;
            }
            Step::Enable => {
                let answer = cloud.enable(key).await;
                self.verified("kms:EnableKey", "enabled the key", answer, |state| {
                    *state == KeyState::Enabled
                })
                .await?;
            }
            Step::Finish | Step::StayDisabled | Step::Refuse(_) => {}
        }
        Ok(())
    }

    /// Makes the call of the order on a key that is shown as ordered. A read of KMS can show what was before, so that only the call is certain.
    async fn make_sure(&mut self) -> Result<(), Diagnostics> {
        let (cloud, key) = (self.cloud, self.key);
        let (permission, answer) = match self.record.order {
            Order::ScheduleDeletion { days } => {
                let call = cloud.schedule_deletion(key, days.unwrap_or(LONGEST_WINDOW));
                let answer = self.record.taking(call, AwsError::is_refusal).await;
                ("kms:ScheduleKeyDeletion", answer)
            }
            _ => {
                let call = cloud.disable(key);
                let answer = self.record.taking(call, AwsError::is_refusal).await;
                ("kms:DisableKey", answer)
            }
        };
        match answer {
            Ok(()) => (self.record.manner.say)(format!(
                "the key is shown as ordered; called {permission} all the same, because a read of KMS can be late"
            )),
            // It is pending deletion indeed.
            Err(AwsError::InvalidState(_)) => {}
            Err(error) => {
                if is_lost(&error) {
                    self.record.unsure = Some(permission.to_owned());
                }
                return Err(self.failed(permission, &error));
            }
        }
        self.so_far.taken = true;
        Ok(())
    }

    /// Waits until a change shows. A state that has changed under the call is looked at anew, and so is a change that does not show.
    async fn verified(
        &mut self,
        permission: &str,
        what: &str,
        answer: Result<(), AwsError>,
        shows: impl Fn(&KeyState) -> bool,
    ) -> Result<(), Diagnostics> {
        self.so_far.taken |= answer.is_ok() && !matches!(self.record.order, Order::Restore { .. });
        match answer {
            Ok(()) => self.record.changed(what),
            // Somebody was faster; the next look shows what is true.
            Err(AwsError::InvalidState(_)) => return Ok(()),
            Err(error) if is_lost(&error) => {
                self.record.unsure = Some(permission.to_owned());
                if self.comes_to(shows).await {
                    self.so_far.taken = true;
                    self.record.shown(what);
                    return Ok(());
                }
                return Err(self.failed(permission, &error));
            }
            Err(error) => return Err(self.failed(permission, &error)),
        }
        let look_anew = Instant::now() + self.again;
        let mut pause = PAUSES.0;
        loop {
            if self.record.is_interrupted() {
                return Ok(());
            }
            match self.cloud.describe(self.key).await {
                Ok(seen) if shows(&seen.state) => return Ok(()),
                Ok(seen) if Instant::now() >= self.deadline => {
                    return Err(Diagnostic::error(
                        "The change of the key does not show",
                        format!(
                            "KMS accepted the call ({what}), and {} is still in the state {} after {} seconds.{}\n\nSomebody else may have \
                             changed it at the same time. To see the state, run:\n\n  aws kms describe-key --key-id {} --region {}",
                            self.key,
                            seen.state,
                            self.record.manner.patience.as_secs(),
                            self.record.so_far_in_words(),
                            self.key.key_id(),
                            self.key.region()
                        ),
                    )
                    .into());
                }
                Ok(seen) if Instant::now() >= look_anew => {
                    self.record.note(format!(
                        "KMS accepted the call ({what}), and the key is still in the state {} after {} seconds. Somebody else may have \
                         changed it at the same time. The provider makes the call again.",
                        seen.state,
                        self.again.as_secs()
                    ));
                    self.again *= 2;
                    // Who took the change back may have removed the tag too.
                    (self.so_far.marked, self.so_far.taken) = (false, false);
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) if Instant::now() >= self.deadline => {
                    return Err(self.failed("kms:DescribeKey", &error));
                }
                Err(error @ (AwsError::AccessDenied { .. } | AwsError::Credentials { .. })) => {
                    return Err(self.failed("kms:DescribeKey", &error));
                }
                Err(_) => {}
            }
            self.record.pause(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Whether a change shows within a few looks whose answer was lost.
    async fn comes_to(&self, shows: impl Fn(&KeyState) -> bool) -> bool {
        let mut pause = PAUSES.0;
        for _ in 0..LOOKS_AFTER_LOSS {
            if let Ok(seen) = self.cloud.describe(self.key).await
                && shows(&seen.state)
            {
                return true;
            }
            if self.record.is_interrupted() {
                return false;
            }
            self.record.pause(pause).await;
            pause *= 2;
        }
        false
    }

    fn finished(self, seen: KeyDescription, mark: &Mark, complete: bool) -> Outcome {
        let mut notes = self.record.notes;
        let is_taking = !matches!(self.record.order, Order::Restore { .. });
        if is_taking && !self.so_far.marked {
            match standing(&seen.state, mark) {
                Standing::Others(why) => notes.push(taken_before(&seen.state, &why)),
                Standing::NotKnown(why) => notes.push(not_known(&seen.state, &why)),
                _ => {}
            }
        }
        if let (Order::ScheduleDeletion { days }, true, Some(date)) = (
            self.record.order,
            self.record.done.is_empty(),
            &seen.deletion_date,
        ) {
            notes.push(format!(
                "The deletion was scheduled before, for {date}. The window of {} days was not applied.",
                days.unwrap_or(LONGEST_WINDOW)
            ));
        }
        if self.record.order == Order::Disable && seen.state.is_being_deleted() {
            notes.push("The key is pending deletion, which is more than disabled.".to_owned());
        }
        Outcome {
            changed: !self.record.done.is_empty(),
            way_back: way_back(&seen.state, mark),
            state: seen.state,
            deletion_date: seen.deletion_date,
            versions: Vec::new(),
            complete,
            notes,
        }
    }

    fn failed(&self, permission: &str, error: &AwsError) -> Diagnostics {
        if let AwsError::NotFound(_) = error {
            return gone(self.key).into();
        }
        let inner = diagnose::aws_call(&self.record.could_not(), self.key, error);
        self.record
            .failed(inner, &format!("The call was {permission}."))
    }

    fn refused(&self, reason: Refused, seen: &KeyDescription, mark: &Mark) -> Diagnostics {
        let key = self.key;
        let detail = match reason {
            Refused::DisabledByOthers if matches!(mark, Mark::Unreadable(_)) => format!(
                "{key} is disabled, and whether this provider did it is not known ({}).\n\n{READ_TAGS} Or find out who it was (AWS CloudTrail, event \
                 DisableKey). To enable the key all the same, use {ANYWAY}.",
                who(mark)
            ),
            Refused::DisabledByOthers => format!(
                "{key} is disabled, and this provider did not disable it ({}). The one who did may have had a reason.\n\nFind out who it was (AWS \
                 CloudTrail, event DisableKey). To enable the key all the same, use {ANYWAY}.",
                who(mark)
            ),
            Refused::NoMaterial => format!(
                "{key} is in the state PendingImport: it has no key material, so nobody can use it. Import the same material again:\n\n  aws \
                 kms get-parameters-for-import --key-id {} --region {}",
                key.key_id(),
                key.region()
            ),
            Refused::StoreDisconnected => format!(
                "{key} is in the state Unavailable: its custom key store is not connected. Connect it:\n\n  aws kms \
                 connect-custom-key-store --custom-key-store-id … --region {}",
                key.region()
            ),
            Refused::Busy => format!(
                "{key} is in the state {}. Wait until the state has changed, and run the command again.",
                seen.state
            ),
            Refused::UnknownState => format!(
                "{key} is in the state {}, which this version of the provider does not know. Use the AWS console or the AWS command line.",
                seen.state
            ),
        };
        self.record.refused(&detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: who was granted, and whether the impact names it.
    #[test]
    fn grants_to_databricks_are_named() {
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()
                .expect("an ARN");
        for (grantee, is_named) in [
            ("arn:aws:iam::414351767826:root", true),
            ("arn:aws:iam::414351767826:role/unity-catalog-prod", true),
            ("arn:aws-us-gov:iam::044793339203:root", true),
            ("arn:aws-us-gov:iam::170661010020:root", true),
            ("arn:aws:iam::123456789012:role/own", false),
            ("", false),
        ] {
            let grant = KmsGrant {
                id: "abc".to_owned(),
                grantee: grantee.to_owned(),
                operations: vec!["Decrypt".to_owned()],
                constrained: false,
            };
            let found = granted(&key, &[grant]);
            assert_eq!(!found.is_empty(), is_named, "{grantee}");
            for one in found {
                assert!(
                    one.what.contains(grantee) && one.what.contains("Decrypt"),
                    "{one:?}"
                );
                assert!(one.why.contains("--grant-id abc"), "{one:?}");
            }
        }
    }
}
