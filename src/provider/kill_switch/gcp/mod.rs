//! The kill switch of Cloud KMS: disabling every version, scheduling their destruction, and taking both back.

mod steps;

use std::collections::BTreeMap;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use self::steps::{BEFORE, Before, Memory, SINCE, SoFar, Step, label_of_unfinished, next, shows};
use super::drive::{Fate, Switch, Turn, Unseen, Words, drive};
use super::progress::{Record, of_call};
use super::{
    ANYWAY, KeyOperation, KeyStatus, NotDone, Options, Outcome, Tidying, VersionStatus, WayBack,
    stays,
};
use crate::clouds::gcp::{Gcp, GcpError};
use crate::preflight::NotVisible;
use crate::preflight::gcp::{Binding, CryptoKey, CryptoKeyVersion, VersionState, state_of};
use crate::provider::diagnose;
use crate::requirements::gcp::rights_of;
use crate::vocabulary::KeyState;
use crate::vocabulary::gcp::{CryptoKeyName, whole_days};
use tfplugin::diagnostics::Diagnostics;

/// How the label writes a time: labels have no capitals and no colons.
const SINCE_FORM: &[time::format_description::BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]t[hour][minute][second]z");

fn memory(key: &CryptoKey) -> Memory {
    match key.labels.get(BEFORE) {
        None => Memory::None,
        Some(label) => match Before::parse(label) {
            Some(before) => Memory::Known(before),
            None => Memory::Unreadable(label.clone()),
        },
    }
}

/// Since when the label says that the key is taken away.
fn since(key: &CryptoKey) -> Option<String> {
    let label = key.labels.get(SINCE)?;
    let at = time::PrimitiveDateTime::parse(label, SINCE_FORM).ok()?;
    at.assume_utc().format(&Rfc3339).ok()
}

/// A key as it is, with what the switch remembers.
///
/// # Errors
/// When Cloud KMS refuses or cannot be reached.
pub async fn status(cloud: &Gcp, name: &CryptoKeyName) -> Result<KeyStatus, GcpError> {
    let key = cloud.key(name).await?;
    let versions = cloud.versions(name).await?;
    let (state, deletion_date) = state_of(&key, &versions);
    let (own, others) = taken_by(&key, &versions);
    let note = match memory(&key) {
        Memory::Known(before) if before.is_left_over(&versions) => Some(format!(
            "The key has the label `{BEFORE}`, and no version that this provider has disabled: a disable or a restore did not finish or does \
             not show yet, or another tool enabled the versions. `key restore` removes the label."
        )),
        memory if !others.is_empty() && state != KeyState::Enabled => {
            Some(not_ours(&others, &memory))
        }
        Memory::Unreadable(label) => Some(format!(
            "The label `{BEFORE}` of the key is `{label}`, which this version cannot read, so it is not known what this provider disabled."
        )),
        _ => None,
    };
    let still_enabled = enabled_beside(&own, &versions);
    Ok(KeyStatus {
        way_back: way_back(own.len(), others.len()),
        state,
        deletion_date,
        disabled_since: (!own.is_empty()).then(|| when(&key)),
        versions: listed(&key, &versions),
        notes: note.into_iter().chain(still_enabled).collect(),
    })
}

/// A disable that stopped half-way leaves versions that can be used, and so does a rotation since.
fn enabled_beside(own: &[&CryptoKeyVersion], versions: &[CryptoKeyVersion]) -> Option<String> {
    let enabled: Vec<&str> = versions
        .iter()
        .filter(|one| one.state == VersionState::Enabled)
        .map(|one| one.number.as_str())
        .collect();
    let which = match enabled.as_slice() {
        _ if own.is_empty() => return None,
        [] => return None,
        [one] => format!("Version {one} is"),
        many => format!("The versions {} are", many.join(", ")),
    };
    Some(format!(
        "{which} enabled, while this provider has disabled others: what was encrypted with an enabled version can be read. To disable it too, run \
         `key disable` again."
    ))
}

/// What a restore would come to: it gives back what is our own, and nothing else.
fn way_back(own: usize, others: usize) -> WayBack {
    match (own, others) {
        (0, 0) => WayBack::Nowhere,
        (0, _) => WayBack::Anyway,
        _ => WayBack::Restore,
    }
}

/// Since when the versions are disabled that this switch has disabled.
fn when(key: &CryptoKey) -> String {
    since(key).unwrap_or_else(|| "an unknown time".to_owned())
}

/// The versions that cannot be used and could come back: those that this switch has taken away, and the others.
fn taken_by<'a>(
    key: &CryptoKey,
    versions: &'a [CryptoKeyVersion],
) -> (Vec<&'a CryptoKeyVersion>, Vec<&'a CryptoKeyVersion>) {
    let memory = memory(key);
    let is_taken = |one: &&CryptoKeyVersion| {
        matches!(
            one.state,
            VersionState::Disabled | VersionState::DestroyScheduled
        )
    };
    versions
        .iter()
        .filter(is_taken)
        .partition(|one| matches!(&memory, Memory::Known(before) if before.is_ours(one)))
}

fn listed(key: &CryptoKey, versions: &[CryptoKeyVersion]) -> Vec<VersionStatus> {
    let (own, _) = taken_by(key, versions);
    let primary = key.primary.as_ref().map(|one| one.number.as_str());
    versions
        .iter()
        .map(|one| VersionStatus {
            version: one.number.clone(),
            state: one.state.as_str().to_owned(),
            is_current: Some(one.number.as_str()) == primary,
            deletion_date: match one.state {
                VersionState::DestroyScheduled => one.destroy_time.clone(),
                _ => None,
            },
            disabled_since: own.contains(&one).then(|| when(key)),
            used_by: Vec::new(),
        })
        .collect()
}

/// Versions, for people.
fn in_words(versions: &[&CryptoKeyVersion]) -> String {
    let named: Vec<String> = versions
        .iter()
        .map(|one| {
            let date = one.destroy_time.as_ref();
            let date = date
                .filter(|_| one.state == VersionState::DestroyScheduled)
                .map(|date| format!(", will be destroyed on {date}"))
                .unwrap_or_default();
            format!("version {} ({}{date})", one.number, one.state.as_str())
        })
        .collect();
    named.join(", ")
}

/// A restore of these versions will need more.
fn not_ours(versions: &[&CryptoKeyVersion], memory: &Memory) -> String {
    if let Memory::Unreadable(_) = memory {
        return format!(
            "Whether this provider disabled {} is not known: {}, which this version cannot read. Find out who did and why (Cloud Audit Logs, \
             UpdateCryptoKeyVersion). To enable every version all the same, restore the key with {ANYWAY}.",
            in_words(versions),
            who(memory)
        );
    }
    format!(
        "This provider did not disable {}: {}. Find out who did and why (Cloud Audit Logs, UpdateCryptoKeyVersion). To enable every \
         version, restore the key with {ANYWAY}.",
        in_words(versions),
        who(memory)
    )
}

/// Removes the labels of a disable that did not come about. `may_take_effect`: whether it may still come about. What was done, in words.
pub async fn tidy(cloud: &Gcp, name: &CryptoKeyName, may_take_effect: bool) -> Option<String> {
    let key = cloud.key(name).await.ok()?;
    let versions = cloud.versions(name).await.ok()?;
    match label_of_unfinished(&memory(&key), &versions, may_take_effect) {
        Tidying::Nothing => None,
        Tidying::Leave => Some(stays(&format!("The label `{BEFORE}` of the key"))),
        Tidying::Remove => Some(match cloud.set_labels(name, &without_memory(&key)).await {
            Ok(()) => format!(
                "Every version is as it was before. The label `{BEFORE}` was removed again."
            ),
            Err(error) => cannot_unlabel(name, &error),
        }),
    }
}

fn without_memory(key: &CryptoKey) -> BTreeMap<String, String> {
    let own = [BEFORE, SINCE];
    let others = key
        .labels
        .iter()
        .filter(|(label, _)| !own.contains(&label.as_str()));
    others
        .map(|(label, value)| (label.clone(), value.clone()))
        .collect()
}

/// Whether a call may have been carried out although it failed: its answer did not arrive, or cannot be read.
fn is_lost(error: &GcpError) -> bool {
    match error {
        GcpError::Unreachable(_) | GcpError::Malformed(_) => true,
        GcpError::Other { status, .. } => *status >= 500,
        _ => false,
    }
}

fn cannot_label(error: &GcpError) -> String {
    format!(
        "The label `{BEFORE}` could not be written ({error}). To restore the key later, use {ANYWAY}."
    )
}

fn cannot_unlabel(name: &CryptoKeyName, error: &GcpError) -> String {
    format!(
        "The label `{BEFORE}` could not be removed ({error}). The versions are as they were before. Remove the labels:\n\n  gcloud kms keys \
         update {} --project {} --location {} --keyring {} --remove-labels {BEFORE},{SINCE}",
        name.key(),
        name.project(),
        name.location(),
        name.ring()
    )
}

/// Who else may use a key, as its own policy says.
pub fn others(bindings: &[Binding]) -> Vec<NotVisible> {
    let mut users: Vec<&str> = Vec::new();
    let members = bindings
        .iter()
        .filter(|binding| {
            rights_of(&binding.role).is_none_or(|rights| rights.encrypt || rights.decrypt)
        })
        .flat_map(|binding| &binding.members);
    for member in members {
        // Two roles, or two conditions of one, can name the same member.
        if !users.contains(&member.as_str()) {
            users.push(member);
        }
    }
    if users.is_empty() {
        return Vec::new();
    }
    vec![NotVisible {
        what: format!("What else uses the key as {}", users.join(", ")),
        why: "The IAM policy of the key lets them use it. What they encrypt with it is not visible from here.".to_owned(),
    }]
}

/// Who else may use a key, as far as its own policy says.
pub async fn other_users(cloud: &Gcp, key: &CryptoKeyName) -> Vec<NotVisible> {
    let bindings = match cloud.policy(key).await {
        Ok(policy) => policy.bindings(),
        Err(error) => Err(error.to_string()),
    };
    match bindings {
        Ok(bindings) => others(&bindings),
        Err(why) => vec![NotVisible {
            what: "Other users of the key".to_owned(),
            why: format!("The IAM policy of the key could not be read ({why})."),
        }],
    }
}

/// A key while the provider carries out an order on it.
struct CloudKmsSwitch<'a> {
    cloud: &'a Gcp,
    name: &'a CryptoKeyName,
    so_far: SoFar,
    record: Record<'a>,
}

/// Carries an order out.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub async fn execute(
    cloud: &Gcp,
    name: &CryptoKeyName,
    order: KeyOperation,
    options: Options<'_>,
) -> Result<Outcome, NotDone> {
    drive(CloudKmsSwitch {
        cloud,
        name,
        so_far: SoFar::default(),
        record: Record::new(order, options),
    })
    .await
}

/// Who disabled the versions, as far as the label says.
fn who(memory: &Memory) -> String {
    match memory {
        Memory::Unreadable(label) => format!("the label `{BEFORE}` of the key is `{label}`"),
        Memory::Known(_) => format!("the label `{BEFORE}` of the key says that it was so before"),
        Memory::None => format!("the key has no label `{BEFORE}`"),
    }
}

impl<'a> Switch<'a> for CloudKmsSwitch<'a> {
    type Seen = (CryptoKey, Vec<CryptoKeyVersion>);
    type Step = Step;
    type Error = GcpError;

    fn record(&mut self) -> &mut Record<'a> {
        &mut self.record
    }

    async fn look(&self) -> Result<Self::Seen, Unseen> {
        let failed = |permission: &str, error: &GcpError| Unseen {
            may_pass: is_lost(error),
            why: self.look_failed(permission, error),
        };
        let key = self.cloud.key(self.name).await;
        let key = key.map_err(|error| failed("cloudkms.cryptoKeys.get", &error))?;
        let versions = self.cloud.versions(self.name).await;
        let versions =
            versions.map_err(|error| failed("cloudkms.cryptoKeyVersions.list", &error))?;
        Ok((key, versions))
    }

    fn next(&self, (key, versions): &Self::Seen) -> Turn<Step> {
        if let Some(why) = self.other_window(key) {
            return Turn::Refuse(why);
        }
        let name = self.name;
        let primary = key.primary.as_ref().map(|one| one.number.as_str());
        let memory = memory(key);
        match next(self.record.order, versions, primary, &memory, self.so_far) {
            Step::Finish => Turn::Finish,
            Step::StayDisabled => Turn::StayDisabled,
            Step::RefuseDisabledByOthers => {
                let whose = match memory {
                    Memory::Unreadable(_) => "whether this provider disabled it is not known",
                    _ => "this provider did not disable it",
                };
                Turn::Refuse(format!(
                    "{name} has no enabled primary version, and {whose} ({}). The one who did may have had a reason.\n\nFind out who it was \
                     (Cloud Audit Logs, UpdateCryptoKeyVersion). To enable every version all the same, use {ANYWAY}.",
                    who(&memory)
                ))
            }
            Step::RefuseDestroyed => Turn::Refuse(format!(
                "{name} has no version that could be used: all of them are destroyed. Nothing brings them back, and everything that was encrypted \
                 with them is lost permanently."
            )),
            step => Turn::Take(step),
        }
    }

    async fn take(
        &mut self,
        step: &Step,
        (key, _): &Self::Seen,
    ) -> Result<Option<Result<(), GcpError>>, NotDone> {
        let (cloud, name) = (self.cloud, self.name);
        Ok(Some(match step {
            Step::Mark(before) => {
                self.so_far.marked = true;
                let at = doors::clock::now().format(SINCE_FORM);
                let (Some(value), Ok(at)) = (before.label(), at) else {
                    self.record.note(format!(
                        "So many versions were disabled before that they do not fit into the label `{BEFORE}`. To restore the key later, \
                         enable the versions that you need by hand."
                    ));
                    return Ok(None);
                };
                let mut labels = key.labels.clone();
                labels.insert(BEFORE.to_owned(), value);
                labels.insert(SINCE.to_owned(), at);
                cloud.set_labels(name, &labels).await
            }
            Step::Unmark => {
                self.so_far.unmarked = true;
                cloud.set_labels(name, &without_memory(key)).await
            }
            Step::Disable(number) => {
                let call = cloud.set_version_state(name, number, false);
                self.record.taking(call, GcpError::is_refusal).await
            }
            Step::Enable(number) => cloud.set_version_state(name, number, true).await,
            Step::Destroy(number) => {
                let call = cloud.destroy_version(name, number);
                self.record.taking(call, GcpError::is_refusal).await
            }
            Step::Restore(number) => cloud.restore_version(name, number).await,
            Step::Finish
            | Step::StayDisabled
            | Step::RefuseDisabledByOthers
            | Step::RefuseDestroyed => return Ok(None),
        }))
    }

    fn called(&self, step: &Step) -> (String, String) {
        let (doing, done, _) = called(step);
        (doing, done)
    }

    fn fate(error: &GcpError) -> Fate {
        match error {
            GcpError::Precondition(_) => Fate::Overtaken,
            error if is_lost(error) => Fate::Lost,
            _ => Fate::Refused,
        }
    }

    fn shows(&self, step: &Step, (key, versions): &Self::Seen) -> bool {
        shows(step, versions, &memory(key))
    }

    fn took(&mut self, step: &Step) {
        self.so_far.restored |= matches!(step, Step::Restore(_));
    }

    fn without(&self, step: &Step, error: &GcpError) -> Option<String> {
        // Taking the key away and giving it back do not wait for the labels.
        match step {
            Step::Mark(_) => Some(cannot_label(error)),
            Step::Unmark => Some(cannot_unlabel(self.name, error)),
            _ => None,
        }
    }

    fn failed(&self, step: &Step, error: &GcpError, was_lost: bool) -> Diagnostics {
        let (doing, _, permission) = called(step);
        let is_denied = matches!(error, GcpError::Denied(_));
        let call = match was_lost {
            true => String::new(),
            false => of_call(&doing, permission, is_denied),
        };
        self.failed_at(&call, error)
    }

    fn versions(&self, (_, versions): &Self::Seen) -> usize {
        versions.len()
    }

    fn state(&self, (key, versions): &Self::Seen) -> KeyState {
        state_of(key, versions).0
    }

    fn words(&self) -> Words {
        let name = self.name;
        Words {
            service: "Cloud KMS",
            key: name.to_string(),
            changed: format!("the versions of {name}"),
            log: "Cloud Audit Logs",
            how_to_see: format!(
                "To see the versions, run:\n\n  gcloud kms keys versions list --key {} --keyring {} --location {} --project {}",
                name.key(),
                name.ring(),
                name.location(),
                name.project()
            ),
        }
    }

    fn finished(self, (key, versions): &Self::Seen, complete: bool) -> Outcome {
        self.outcome(key, versions, complete)
    }
}

/// What a step is called before and after it is done, and the permission that it needs.
fn called(step: &Step) -> (String, String, &'static str) {
    const UPDATE: &str = "cloudkms.cryptoKeyVersions.update";
    let label = |verb: &str| format!("{verb} the label `{BEFORE}`");
    let version = |verb: &str, number: &str| format!("{verb} version {number}");
    match step {
        Step::Mark(_) => (label("write"), label("wrote"), "cloudkms.cryptoKeys.update"),
        Step::Unmark => (
            label("remove"),
            label("removed"),
            "cloudkms.cryptoKeys.update",
        ),
        Step::Disable(number) => (
            version("disable", number),
            version("disabled", number),
            UPDATE,
        ),
        Step::Enable(number) => (
            version("enable", number),
            version("enabled", number),
            UPDATE,
        ),
        Step::Destroy(number) => (
            version("schedule the destruction of", number),
            version("scheduled the destruction of", number),
            "cloudkms.cryptoKeyVersions.destroy",
        ),
        Step::Restore(number) => (
            format!("take the destruction of version {number} back"),
            format!("took the destruction of version {number} back"),
            "cloudkms.cryptoKeyVersions.restore",
        ),
        Step::Finish
        | Step::StayDisabled
        | Step::RefuseDisabledByOthers
        | Step::RefuseDestroyed => (String::new(), String::new(), ""),
    }
}

impl CloudKmsSwitch<'_> {
    /// Why a window cannot be chosen: it belongs to the key, and no call can choose another.
    fn other_window(&self, key: &CryptoKey) -> Option<String> {
        let KeyOperation::ScheduleDeletion { days: Some(days) } = self.record.order else {
            return None;
        };
        let own = key.destroy_window.as_deref();
        if own.and_then(whole_days) == Some(u64::from(days)) {
            return None;
        }
        Some(format!(
            "Cloud KMS destroys versions after the key's own `destroy_scheduled_duration`, which is {} for {}. It cannot be changed after \
             the creation of the key, and {days} days cannot be chosen for one destruction.\n\nLeave the number of days out.",
            own.unwrap_or("not shown"),
            self.name
        ))
    }

    fn outcome(self, key: &CryptoKey, versions: &[CryptoKeyVersion], complete: bool) -> Outcome {
        let mut notes = self.record.notes;
        let (state, deletion_date) = state_of(key, versions);
        let is_taking = !matches!(self.record.order, KeyOperation::Restore { .. });
        if is_taking && !self.record.done.is_empty() {
            notes.push(
                "Cloud KMS can go on using a disabled version for about a minute, exceptionally for up to 3 hours. What was read shows the \
                 versions as ordered; whether a use is still answered cannot be seen from here."
                    .to_owned(),
            );
        }
        if is_taking && key.rotation_period.is_some() {
            let at = key
                .next_rotation_time
                .as_ref()
                .map(|at| format!(" ({at})"))
                .unwrap_or_default();
            notes.push(format!(
                "The key is rotated automatically: at the next rotation{at} Cloud KMS creates a new version, which is enabled. Data of \
                 before stays unreadable; to keep new data out too, disable that version as well (run the command again)."
            ));
        }
        let destroyed: Vec<&str> = versions
            .iter()
            .filter(|one| one.state == VersionState::Destroyed)
            .map(|one| one.number.as_str())
            .collect();
        let (own, others) = taken_by(key, versions);
        // Who takes a key away learns now what a restore will leave.
        if (self.record.done.is_empty() || !is_taking) && !others.is_empty() {
            notes.push(match is_taking {
                true => not_ours(&others, &memory(key)),
                false => format!(
                    "These versions stay as they were before: {}. This provider did not disable them. To enable them too, restore the key \
                     with {ANYWAY}.",
                    in_words(&others)
                ),
            });
        }
        if !is_taking && !destroyed.is_empty() {
            notes.push(format!(
                "These versions are destroyed, and what they encrypted is lost permanently: {}.",
                destroyed.join(", ")
            ));
        }
        Outcome {
            changed: !self.record.done.is_empty(),
            state,
            deletion_date,
            way_back: way_back(own.len(), others.len()),
            versions: listed(key, versions),
            complete,
            notes,
        }
    }

    fn look_failed(&self, permission: &str, error: &GcpError) -> Diagnostics {
        let call = match error {
            GcpError::Denied(_) => format!("The call needs the permission {permission}."),
            _ => String::new(),
        };
        self.failed_at(&call, error)
    }

    fn failed_at(&self, call: &str, error: &GcpError) -> Diagnostics {
        let inner = diagnose::gcp(&self.record.could_not(), self.name, error);
        self.record.failed(inner, call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member of two roles, or of one role under two conditions, is named once.
    #[test]
    fn each_user_of_a_key_is_named_once() {
        let binding = |role: &str, members: &[&str]| Binding {
            role: role.to_owned(),
            members: members.iter().map(|one| (*one).to_owned()).collect(),
            condition: None,
        };
        let found = others(&[
            binding("roles/cloudkms.cryptoKeyEncrypter", &["user:a", "user:b"]),
            binding(
                "roles/cloudkms.cryptoKeyDecrypter",
                &["user:b", "user:a", "user:c"],
            ),
            binding("roles/cloudkms.viewer", &["user:d"]),
        ]);
        let names: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(names, ["What else uses the key as user:a, user:b, user:c"]);
    }
}
