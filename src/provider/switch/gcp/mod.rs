//! The kill switch of Cloud KMS: disabling every version, scheduling their destruction, and taking both back.

mod steps;

use std::collections::BTreeMap;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use self::steps::{BEFORE, Before, Memory, SINCE, SoFar, Step, label_of_unfinished, next, shows};
use super::record::{Lost, Record, of_call};
use super::{
    ANYWAY, KeyStatus, Manner, NotVisible, Order, Outcome, Stopped, Tidying, VersionStatus,
    WayBack, stays,
};
use crate::clouds::gcp::{Gcp, GcpError};
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
    let users: Vec<&str> = bindings
        .iter()
        .filter(|binding| {
            rights_of(&binding.role).is_none_or(|rights| rights.encrypt || rights.decrypt)
        })
        .flat_map(|binding| &binding.members)
        .map(String::as_str)
        .collect();
    if users.is_empty() {
        return Vec::new();
    }
    vec![NotVisible {
        what: format!("What else uses the key as {}", users.join(", ")),
        why: "The IAM policy of the key lets them use it. What they encrypt with it is not visible from here.".to_owned(),
    }]
}

/// An order under way.
struct Work<'a> {
    cloud: &'a Gcp,
    name: &'a CryptoKeyName,
    so_far: SoFar,
    record: Record<'a>,
    /// The step under way.
    current: Step,
    lost: Option<Lost<Step, GcpError>>,
}

/// Carries an order out: looks, does the next step, and looks again. What somebody else does to the key at the same time is seen at
/// the next look.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub async fn carry_out(
    cloud: &Gcp,
    name: &CryptoKeyName,
    order: Order,
    manner: Manner<'_>,
) -> Result<Outcome, Stopped> {
    let mut work = Work {
        cloud,
        name,
        so_far: SoFar::default(),
        record: Record::new(order, manner),
        current: Step::Finish,
        lost: None,
    };
    let mut most = 12;
    let mut steps = 0;
    while steps < most {
        if work.record.is_interrupted() {
            return Err(Stopped::Interrupted(work.record.interrupted()));
        }
        steps += 1;
        let (key, versions) = work.look().await.map_err(Stopped::Failed)?;
        work.resolved(&key, &versions).map_err(Stopped::Failed)?;
        if steps == 1 {
            work.refuse_other_window(&key)?;
        }
        // Each version takes two steps at most; somebody else may change them at the same time.
        most = most.max(12 + 3 * versions.len());
        let primary = key.primary.as_ref().map(|one| one.number.as_str());
        match next(order, &versions, primary, &memory(&key), work.so_far) {
            Step::Finish => return Ok(work.finished(&key, &versions, true)),
            Step::StayDisabled => return Ok(work.finished(&key, &versions, false)),
            Step::RefuseDisabledByOthers => {
                let whose = match memory(&key) {
                    Memory::Unreadable(_) => "whether this provider disabled it is not known",
                    _ => "this provider did not disable it",
                };
                let why = format!(
                    "{name} has no enabled primary version, and {whose} ({}). The one who did may have had a reason.\n\nFind out who it was (Cloud Audit Logs, UpdateCryptoKeyVersion). To enable every version all the same, use \
                     {ANYWAY}.",
                    who(&memory(&key))
                );
                return Err(Stopped::Refused(work.record.refused(&why)));
            }
            Step::RefuseDestroyed => {
                let why = format!(
                    "{name} has no version that could be used: all of them are destroyed. Nothing brings them back, and everything that was \
                     encrypted with them is lost permanently."
                );
                return Err(Stopped::Refused(work.record.refused(&why)));
            }
            step => work.take(step, &key).await.map_err(Stopped::Failed)?,
        }
    }
    Err(Stopped::Failed(work.record.restless(
        &format!("the versions of {name}"),
        "Cloud Audit Logs",
    )))
}

/// Who disabled the versions, as far as the label says.
fn who(memory: &Memory) -> String {
    match memory {
        Memory::Unreadable(label) => format!("the label `{BEFORE}` of the key is `{label}`"),
        Memory::Known(_) => format!("the label `{BEFORE}` of the key says that it was so before"),
        Memory::None => format!("the key has no label `{BEFORE}`"),
    }
}

impl Work<'_> {
    async fn look(&self) -> Result<(CryptoKey, Vec<CryptoKeyVersion>), Diagnostics> {
        let failed = |error| self.failed("cloudkms.cryptoKeys.get", &error);
        let key = self.cloud.key(self.name).await.map_err(failed)?;
        let failed = |error| self.failed("cloudkms.cryptoKeyVersions.list", &error);
        let versions = self.cloud.versions(self.name).await.map_err(failed)?;
        Ok((key, versions))
    }

    /// The window belongs to the key, and no call can choose another.
    fn refuse_other_window(&self, key: &CryptoKey) -> Result<(), Stopped> {
        let Order::ScheduleDeletion { days: Some(days) } = self.record.order else {
            return Ok(());
        };
        let own = key.destroy_window.as_deref();
        if own.and_then(whole_days) == Some(u64::from(days)) {
            return Ok(());
        }
        let why = format!(
            "Cloud KMS destroys versions after the key's own `destroy_scheduled_duration`, which is {} for {}. It cannot be changed after \
             the creation of the key, and {days} days cannot be chosen for one destruction.\n\nLeave the number of days out.",
            own.unwrap_or("not shown"),
            self.name
        );
        Err(Stopped::Refused(self.record.refused(&why)))
    }

    async fn take(&mut self, step: Step, key: &CryptoKey) -> Result<(), Diagnostics> {
        let (cloud, name) = (self.cloud, self.name);
        self.current = step.clone();
        match step {
            Step::Mark(before) => {
                self.so_far.marked = true;
                let at = doors::clock::now().format(SINCE_FORM);
                let (Some(value), Ok(at)) = (before.label(), at) else {
                    self.record.note(format!(
                        "So many versions were disabled before that they do not fit into the label `{BEFORE}`. To restore the key later, \
                         enable the versions that you need by hand."
                    ));
                    return Ok(());
                };
                let mut labels = key.labels.clone();
                labels.insert(BEFORE.to_owned(), value);
                labels.insert(SINCE.to_owned(), at);
                match cloud.set_labels(name, &labels).await {
                    Ok(()) => self.record.changed(format!("wrote the label `{BEFORE}`")),
                    Err(error) if is_lost(&error) => self.await_look(
                        format!("write the label `{BEFORE}`"),
                        format!("wrote the label `{BEFORE}`"),
                        error,
                    ),
                    // Taking the key away does not wait for this.
                    Err(error) => self.record.note(cannot_label(&error)),
                }
            }
            Step::Unmark => {
                self.so_far.unmarked = true;
                match cloud.set_labels(name, &without_memory(key)).await {
                    Ok(()) => self.record.changed(format!("removed the label `{BEFORE}`")),
                    Err(error) if is_lost(&error) => self.await_look(
                        format!("remove the label `{BEFORE}`"),
                        format!("removed the label `{BEFORE}`"),
                        error,
                    ),
                    Err(error) => self.record.note(cannot_unlabel(name, &error)),
                }
            }
            Step::Disable(number) => {
                let call = cloud.set_version_state(name, &number, false);
                let answer = self.record.taking(call, GcpError::is_refusal).await;
                self.answered(
                    "cloudkms.cryptoKeyVersions.update",
                    format!("disable version {number}"),
                    format!("disabled version {number}"),
                    answer,
                )?;
            }
            Step::Enable(number) => {
                let answer = cloud.set_version_state(name, &number, true).await;
                self.answered(
                    "cloudkms.cryptoKeyVersions.update",
                    format!("enable version {number}"),
                    format!("enabled version {number}"),
                    answer,
                )?;
            }
            Step::Destroy(number) => {
                let call = cloud.destroy_version(name, &number);
                let answer = self.record.taking(call, GcpError::is_refusal).await;
                self.answered(
                    "cloudkms.cryptoKeyVersions.destroy",
                    format!("schedule the destruction of version {number}"),
                    format!("scheduled the destruction of version {number}"),
                    answer,
                )?;
            }
            Step::Restore(number) => {
                let answer = cloud.restore_version(name, &number).await;
                self.so_far.restored |= answer.is_ok();
                self.answered(
                    "cloudkms.cryptoKeyVersions.restore",
                    format!("take the destruction of version {number} back"),
                    format!("took the destruction of version {number} back"),
                    answer,
                )?;
            }
            Step::Finish
            | Step::StayDisabled
            | Step::RefuseDisabledByOthers
            | Step::RefuseDestroyed => {}
        }
        Ok(())
    }

    /// What this look says of a step whose answer was lost.
    fn resolved(
        &mut self,
        key: &CryptoKey,
        versions: &[CryptoKeyVersion],
    ) -> Result<(), Diagnostics> {
        let Some(lost) = self.lost.take() else {
            return Ok(());
        };
        if shows(&lost.step, versions, &memory(key)) {
            self.so_far.restored |= matches!(lost.step, Step::Restore(_));
            self.record.shown(&lost.done);
            return Ok(());
        }
        match lost.step {
            Step::Mark(_) => self.record.note(cannot_label(&lost.error)),
            Step::Unmark => self.record.note(cannot_unlabel(self.name, &lost.error)),
            _ => return Err(self.failed_at("", &lost.error)),
        }
        self.record.unsure = None;
        Ok(())
    }

    fn answered(
        &mut self,
        permission: &str,
        doing: String,
        what: String,
        answer: Result<(), GcpError>,
    ) -> Result<(), Diagnostics> {
        match answer {
            Ok(()) => self.record.changed(what),
            // Somebody was faster; the next look shows what is true.
            Err(GcpError::Precondition(_)) => {}
            Err(error) if is_lost(&error) => self.await_look(doing, what, error),
            Err(error) => {
                let is_denied = matches!(error, GcpError::Denied(_));
                let call = of_call(&doing, permission, is_denied);
                return Err(self.failed_at(&call, &error));
            }
        }
        Ok(())
    }

    /// The answer was lost: the next look shows what is true.
    fn await_look(&mut self, doing: String, done: String, error: GcpError) {
        self.record.unsure = Some(doing);
        self.lost = Some(Lost {
            step: self.current.clone(),
            done,
            error,
        });
    }

    fn finished(self, key: &CryptoKey, versions: &[CryptoKeyVersion], complete: bool) -> Outcome {
        let mut notes = self.record.notes;
        let (state, deletion_date) = state_of(key, versions);
        let is_taking = !matches!(self.record.order, Order::Restore { .. });
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

    fn failed(&self, permission: &str, error: &GcpError) -> Diagnostics {
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
