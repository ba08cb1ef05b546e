//! The kill switch of AWS KMS: disabling, scheduling a deletion, and taking both back.

mod steps;

use self::steps::{
    Mark, Refused, SoFar, Standing, Step, TAG, next, shows, standing, tag_of_unfinished, way_back,
};
use super::drive::{Fate, Switch, Turn, Unseen, Words, drive};
use super::progress::Record;
use super::{ANYWAY, KeyOperation, KeyStatus, NotDone, Options, Outcome, Tidying, stays};
use crate::clouds::aws::{Aws, AwsError};
use crate::preflight::aws::{KeyDescription, KmsGrant};
use crate::preflight::{Fact, NotVisible};
use crate::provider::diagnose;
use crate::provider::timestamps::now;
use crate::requirements::aws::accounts_let_in;
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::{AccountId, KeyState};
use kms_policy::Document;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// Days until a deletion, unless the user says another number. Source: KMS API reference, ScheduleKeyDeletion.
const LONGEST_WINDOW: u8 = 30;
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

/// What another writer did to a key that is taken away, as a verb and in the past tense, and the
/// CloudTrail event that shows it.
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

/// The note that the provider does not know who has taken a key away, because it cannot read the tags.
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

/// The note that KMS showed the key as taken away before the order, without a tag.
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
    let mut read = cloud.tag(key, TAG).await;
    // A restore that ends with tags that it cannot read leaves its own behind.
    if read.as_ref().is_err_and(is_lost) {
        read = cloud.tag(key, TAG).await;
    }
    match read {
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

/// Who else uses a key, as far as its policy and its grants say.
pub async fn other_users(cloud: &Aws, key: &KeyArn, account: &AccountId) -> Vec<NotVisible> {
    let (mut others, grants) =
        tokio::join!(accounts_in_policy(cloud, key, account), cloud.grants(key));
    others.extend(match grants {
        Fact::Known(grants) => granted(key, &grants),
        Fact::Unreadable(why) => vec![NotVisible {
            what: "Grants of the key".to_owned(),
            why: format!(
                "They could not be listed ({}). A grant lets Databricks use the key without a statement of its policy.",
                why.reason
            ),
        }],
    });
    others
}

/// The other Databricks accounts that the policy of a key lets in.
async fn accounts_in_policy(cloud: &Aws, key: &KeyArn, account: &AccountId) -> Vec<NotVisible> {
    let unreadable = |why: String| {
        vec![NotVisible {
            what: "Other Databricks accounts".to_owned(),
            why: format!(
                "The key policy could not be read ({why}), so it is not known whether it lets other accounts in."
            ),
        }]
    };
    let policy = match cloud.policy(key).await {
        Ok(text) => Document::parse(&text),
        Err(error) => return unreadable(error.to_string()),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return unreadable(error.to_string()),
    };
    accounts_let_in(&policy)
        .into_iter()
        .filter(|other| other != account.as_str())
        .map(|other| NotVisible {
            what: format!("Workspaces of the Databricks account {other}"),
            why: "The key policy lets this account use the key, and these credentials cannot read it.".to_owned(),
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

/// A key while the provider carries out an order on it.
struct KmsSwitch<'a> {
    cloud: &'a Aws,
    key: &'a KeyArn,
    so_far: SoFar,
    record: Record<'a>,
}

/// Carries an order out.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub async fn execute(
    cloud: &Aws,
    key: &KeyArn,
    order: KeyOperation,
    options: Options<'_>,
) -> Result<Outcome, NotDone> {
    drive(KmsSwitch {
        cloud,
        key,
        so_far: SoFar::default(),
        record: Record::new(order, options),
    })
    .await
}

/// Who disabled a key, as far as its tag says.
fn who(mark: &Mark) -> String {
    match mark {
        Mark::Unreadable(why) => format!("its tags cannot be read: {why}"),
        _ => format!("it has no tag `{TAG}`"),
    }
}

impl<'a> Switch<'a> for KmsSwitch<'a> {
    type Seen = (KeyDescription, Mark);
    type Step = Step;
    type Error = AwsError;

    fn record(&mut self) -> &mut Record<'a> {
        &mut self.record
    }

    async fn look(&self) -> Result<Self::Seen, Unseen> {
        match self.cloud.describe(self.key).await {
            Ok(seen) => Ok((seen, mark(self.cloud, self.key).await)),
            Err(error) => Err(Unseen {
                may_pass: !matches!(
                    error,
                    AwsError::AccessDenied { .. }
                        | AwsError::Credentials { .. }
                        | AwsError::NotFound(_)
                ),
                why: self.call_failed("kms:DescribeKey", &error),
            }),
        }
    }

    fn next(&self, (seen, mark): &Self::Seen) -> Turn<Step> {
        match next(self.record.order, &seen.state, mark, self.so_far) {
            Step::Finish => Turn::Finish,
            Step::StayDisabled => Turn::StayDisabled,
            Step::Refuse(reason) => Turn::Refuse(self.why_not(reason, seen, mark)),
            step => Turn::Take(step),
        }
    }

    async fn take(
        &mut self,
        step: &Step,
        _: &Self::Seen,
    ) -> Result<Option<Result<(), AwsError>>, NotDone> {
        let (cloud, key) = (self.cloud, self.key);
        Ok(Some(match step {
            Step::Mark => {
                self.so_far.marked = true;
                cloud.set_tag(key, TAG, &now()).await
            }
            Step::Unmark => {
                self.so_far.unmarked = true;
                cloud.remove_tag(key, TAG).await
            }
            Step::Disable => {
                let call = cloud.disable(key);
                self.record.taking(call, AwsError::is_refusal).await
            }
            Step::ScheduleDeletion => {
                let call = cloud.schedule_deletion(key, self.window());
                self.record.taking(call, AwsError::is_refusal).await
            }
            Step::MakeSure => {
                self.make_sure().await.map_err(NotDone::Failed)?;
                return Ok(None);
            }
            Step::CancelDeletion => cloud.cancel_deletion(key).await,
            Step::Enable => cloud.enable(key).await,
            Step::Finish | Step::StayDisabled | Step::Refuse(_) => return Ok(None),
        }))
    }

    fn called(&self, step: &Step) -> (String, String) {
        let done = match step {
            Step::Mark => format!("wrote the tag `{TAG}`"),
            Step::Unmark => format!("removed the tag `{TAG}`"),
            Step::Disable => "disabled the key".to_owned(),
            Step::ScheduleDeletion => format!("scheduled the deletion in {} days", self.window()),
            Step::CancelDeletion => "cancelled the deletion".to_owned(),
            Step::Enable => "enabled the key".to_owned(),
            Step::MakeSure | Step::Finish | Step::StayDisabled | Step::Refuse(_) => String::new(),
        };
        (permission_of(*step).to_owned(), done)
    }

    fn fate(error: &AwsError) -> Fate {
        match error {
            AwsError::InvalidState(_) => Fate::Overtaken,
            error if is_lost(error) => Fate::Lost,
            _ => Fate::Refused,
        }
    }

    fn shows(&self, step: &Step, (seen, mark): &Self::Seen) -> bool {
        shows(*step, &seen.state, mark)
    }

    fn took(&mut self, step: &Step) {
        self.so_far.cancelled |= *step == Step::CancelDeletion;
        self.so_far.taken |= matches!(step, Step::Disable | Step::ScheduleDeletion);
    }

    fn without(&self, step: &Step, error: &AwsError) -> Option<String> {
        // Taking the key away and giving it back do not wait for the tag.
        match step {
            Step::Mark => Some(format!(
                "The tag `{TAG}` could not be written ({error}). To restore the key later, use {ANYWAY}."
            )),
            Step::Unmark => Some(cannot_untag(self.key, error)),
            _ => None,
        }
    }

    fn failed(&self, step: &Step, error: &AwsError, _: bool) -> Diagnostics {
        self.call_failed(permission_of(*step), error)
    }

    fn takes_again(&mut self) {
        // Who took the change back may have removed the tag too.
        (self.so_far.marked, self.so_far.taken) = (false, false);
    }

    fn versions(&self, _: &Self::Seen) -> usize {
        0
    }

    fn state(&self, (seen, _): &Self::Seen) -> KeyState {
        seen.state.clone()
    }

    fn words(&self) -> Words {
        Words {
            service: "KMS",
            key: self.key.to_string(),
            changed: self.key.to_string(),
            log: "AWS CloudTrail",
            how_to_see: format!(
                "To see the state, run:\n\n  aws kms describe-key --key-id {} --region {}",
                self.key.key_id(),
                self.key.region()
            ),
        }
    }

    fn finished(self, (seen, mark): &Self::Seen, complete: bool) -> Outcome {
        self.outcome(seen, mark, complete)
    }
}

/// The call of a step.
fn permission_of(step: Step) -> &'static str {
    match step {
        Step::Mark => "kms:TagResource",
        Step::Unmark => "kms:UntagResource",
        Step::Disable => "kms:DisableKey",
        Step::ScheduleDeletion => "kms:ScheduleKeyDeletion",
        Step::CancelDeletion => "kms:CancelKeyDeletion",
        Step::Enable => "kms:EnableKey",
        Step::MakeSure | Step::Finish | Step::StayDisabled | Step::Refuse(_) => "",
    }
}

impl KmsSwitch<'_> {
    /// After how many days a key is deleted.
    fn window(&self) -> u8 {
        match self.record.order {
            KeyOperation::ScheduleDeletion { days } => days.unwrap_or(LONGEST_WINDOW),
            KeyOperation::Disable | KeyOperation::Restore { .. } => LONGEST_WINDOW,
        }
    }

    /// Makes the call of the order on a key that KMS shows as ordered. A read of KMS can be late, so only the call is certain.
    async fn make_sure(&mut self) -> Result<(), Diagnostics> {
        let (cloud, key) = (self.cloud, self.key);
        let (step, answer) = match self.record.order {
            KeyOperation::ScheduleDeletion { .. } => {
                let call = cloud.schedule_deletion(key, self.window());
                let answer = self.record.taking(call, AwsError::is_refusal).await;
                (Step::ScheduleDeletion, answer)
            }
            _ => {
                let call = cloud.disable(key);
                let answer = self.record.taking(call, AwsError::is_refusal).await;
                (Step::Disable, answer)
            }
        };
        let permission = permission_of(step);
        match answer {
            Ok(()) => (self.record.options.say)(format!(
                "the key is shown as ordered; called {permission} all the same, because a read of KMS can be late"
            )),
            // It is pending deletion indeed.
            Err(AwsError::InvalidState(_)) => {}
            Err(error) => {
                if is_lost(&error) {
                    self.record.unsure = Some(permission.to_owned());
                }
                return Err(self.call_failed(permission, &error));
            }
        }
        self.so_far.taken = true;
        Ok(())
    }

    fn outcome(self, seen: &KeyDescription, mark: &Mark, complete: bool) -> Outcome {
        let mut notes = self.record.notes;
        if !complete {
            let why = match mark {
                Mark::Unreadable(_) => "whether this provider disabled it is not known",
                _ => "this provider did not disable it",
            };
            notes.push(format!(
                "The deletion is cancelled. The key stays disabled, because {why} ({}). To enable it, restore it with {ANYWAY}.",
                who(mark)
            ));
        }
        let is_taking = !matches!(self.record.order, KeyOperation::Restore { .. });
        if is_taking && !self.so_far.marked {
            match standing(&seen.state, mark) {
                Standing::Others(why) => notes.push(taken_before(&seen.state, &why)),
                Standing::NotKnown(why) => notes.push(not_known(&seen.state, &why)),
                _ => {}
            }
        }
        if let (KeyOperation::ScheduleDeletion { days }, true, Some(date)) = (
            self.record.order,
            self.record.done.is_empty(),
            &seen.deletion_date,
        ) {
            notes.push(format!(
                "The deletion was scheduled before, for {date}. The window of {} days was not applied.",
                days.unwrap_or(LONGEST_WINDOW)
            ));
        }
        if self.record.order == KeyOperation::Disable && seen.state.is_being_deleted() {
            notes.push("The key is pending deletion, which is more than disabled.".to_owned());
        }
        Outcome {
            changed: !self.record.done.is_empty(),
            way_back: way_back(&seen.state, mark),
            state: seen.state.clone(),
            deletion_date: seen.deletion_date.clone(),
            versions: Vec::new(),
            complete,
            notes,
        }
    }

    fn call_failed(&self, permission: &str, error: &AwsError) -> Diagnostics {
        if let AwsError::NotFound(_) = error {
            return gone(self.key).into();
        }
        let inner = diagnose::aws_call(&self.record.could_not(), self.key, error);
        self.record
            .failed(inner, &format!("The call was {permission}."))
    }

    fn why_not(&self, reason: Refused, seen: &KeyDescription, mark: &Mark) -> String {
        let key = self.key;
        match reason {
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
        }
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
