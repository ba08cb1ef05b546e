//! The kill switch of Key Vault and Managed HSM: disabling every version, deleting the key so that it can be recovered, and taking both
//! back.

mod steps;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::steps::{Seen, SoFar, Step, TAG, is_left_over, is_ours, next, shows, tagged, untagged};
use super::drive::{Fate, Switch, Turn, Unseen, Words, drive};
use super::progress::{Record, of_call};
use super::{ANYWAY, KeyOperation, KeyStatus, NotDone, Options, Outcome, VersionStatus, WayBack};
use crate::clouds::azure::{Azure, AzureError, DeletedKey, KeyVersion, VersionChange};
use crate::preflight::NotVisible;
use crate::preflight::azure::{CHANGE_DATES, state_at};
use crate::provider::diagnose;
use crate::vocabulary::KeyState;
use crate::vocabulary::azure::VaultKeyId;
use tfplugin::diagnostics::Diagnostics;

fn rfc3339(moment: Option<OffsetDateTime>) -> Option<String> {
    moment.and_then(|moment| moment.format(&Rfc3339).ok())
}

/// The state of a key: that of its newest version, which everybody uses who names none.
fn state_of(versions: &[KeyVersion]) -> KeyState {
    versions.last().map_or(KeyState::Disabled, state_of_version)
}

/// The state of a version, in the words of the proof.
fn state_of_version(version: &KeyVersion) -> KeyState {
    let now = doors::clock::now();
    state_at(version.enabled, version.not_before, version.expires, now)
}

/// A key as it is there, and when it is purged if it is deleted.
async fn look(
    cloud: &Azure,
    key: &VaultKeyId,
) -> Result<(Seen, Option<DeletedKey>), (&'static str, AzureError)> {
    match cloud.key_versions(key).await {
        // A key that does not exist has no versions, and some vaults say so by an empty list.
        Ok(versions) if !versions.is_empty() => return Ok((Seen::There(versions), None)),
        Ok(_) | Err(AzureError::NotFound(_)) => {}
        Err(error) => return Err(("keys/list", error)),
    }
    match cloud.deleted_key(key).await {
        Ok(Some(deleted)) => Ok((Seen::Deleted, Some(deleted))),
        Ok(None) => Ok((Seen::Gone, None)),
        Err(error) => Err(("deletedkeys/get", error)),
    }
}

fn described(seen: &Seen, deleted: Option<&DeletedKey>) -> KeyStatus {
    let none = KeyStatus {
        state: KeyState::PendingDeletion,
        deletion_date: None,
        disabled_since: None,
        versions: Vec::new(),
        way_back: WayBack::Restore,
        notes: Vec::new(),
    };
    match seen {
        Seen::There(versions) => {
            let mut notes = Vec::new();
            let left_over = versions.iter().filter(|one| is_left_over(one));
            if let [_, ..] = left_over.collect::<Vec<_>>().as_slice() {
                notes.push(format!(
                    "An enabled version has the tag `{TAG}`: another tool enabled it, or the vault took the tag over to a new \
                     version. `key restore` removes the tag."
                ));
            }
            notes.extend(outside_its_dates(versions));
            notes.extend(enabled_beside_ours(versions));
            if state_of(versions) == KeyState::Disabled && !others(versions).is_empty() {
                notes.push(not_ours(versions));
            }
            KeyStatus {
                state: state_of(versions),
                disabled_since: versions.iter().filter_map(since).min(),
                versions: listed(versions),
                way_back: way_back(versions),
                notes,
                ..none
            }
        }
        Seen::Deleted => KeyStatus {
            deletion_date: deleted.and_then(|one| rfc3339(one.purged)),
            disabled_since: deleted.and_then(|one| one.disabled.clone()),
            ..none
        },
        Seen::Gone => none,
    }
}

/// What a restore would come to: it enables what is disabled, and changes no dates.
fn way_back(versions: &[KeyVersion]) -> WayBack {
    if versions.iter().any(is_ours) {
        WayBack::Restore
    } else if others(versions).is_empty() {
        WayBack::Nowhere
    } else {
        WayBack::Anyway
    }
}

/// No restore changes the dates of a version.
fn outside_its_dates(versions: &[KeyVersion]) -> Option<String> {
    let version = versions.last()?;
    let (state, at) = match state_of_version(version).as_str() {
        "Expired" => ("has expired", rfc3339(version.expires)),
        "NotYetValid" => ("is not valid yet", rfc3339(version.not_before)),
        _ => return None,
    };
    Some(format!(
        "The version {} {state} ({}), and a restore does not change that. {CHANGE_DATES}",
        short(version),
        at.unwrap_or_else(|| "at an unknown time".to_owned())
    ))
}

/// A disable that stopped half-way leaves versions that can be used, and so does a rotation while the key is taken away.
fn enabled_beside_ours(versions: &[KeyVersion]) -> Option<String> {
    let enabled: Vec<String> = versions
        .iter()
        .filter(|one| one.enabled)
        .map(short)
        .collect();
    let which = match enabled.as_slice() {
        _ if !versions.iter().any(is_ours) => return None,
        [] => return None,
        [one] => format!("The version {one} is"),
        many => format!("The versions {} are", many.join(", ")),
    };
    Some(format!(
        "{which} enabled, while this provider has disabled others. To disable it too, run `key disable` again."
    ))
}

/// Since when this switch has disabled a version.
fn since(version: &KeyVersion) -> Option<String> {
    let tag = version.tags.get(TAG).filter(|_| is_ours(version));
    tag.cloned()
}

fn listed(versions: &[KeyVersion]) -> Vec<VersionStatus> {
    let newest = versions.last().map(|one| &one.id);
    versions
        .iter()
        .map(|one| VersionStatus {
            version: short(one),
            state: state_of_version(one).to_string(),
            is_current: Some(&one.id) == newest,
            deletion_date: None,
            disabled_since: since(one),
            used_by: Vec::new(),
        })
        .collect()
}

/// The versions that are disabled, and not by this switch.
fn others(versions: &[KeyVersion]) -> Vec<String> {
    versions
        .iter()
        .filter(|one| !one.enabled && !is_ours(one))
        .map(short)
        .collect()
}

/// A restore of these versions will need more.
fn not_ours(versions: &[KeyVersion]) -> String {
    format!(
        "This provider did not disable {} (no tag `{TAG}`). Find out who did and why (diagnostic logs of the vault, KeyUpdate). To enable every \
         version, restore the key with {ANYWAY}.",
        in_words(&others(versions))
    )
}

fn in_words(versions: &[String]) -> String {
    match versions {
        [one] => format!("version {one}"),
        _ => format!("the versions {}", versions.join(", ")),
    }
}

/// A key as it is, with what the switch remembers.
///
/// # Errors
/// When the vault refuses or cannot be reached, or has no such key.
pub async fn status(cloud: &Azure, key: &VaultKeyId) -> Result<KeyStatus, AzureError> {
    match look(cloud, key).await {
        Ok((Seen::Gone, _)) => Err(AzureError::NotFound(format!(
            "the vault {} has no key {}, and no deleted one either",
            key.vault(),
            key.name()
        ))),
        Ok((seen, deleted)) => Ok(described(&seen, deleted.as_ref())),
        Err((_, error)) => Err(error),
    }
}

/// Who else may use a key, as far as the vault shows it.
pub fn other_users(key: &VaultKeyId) -> Vec<NotVisible> {
    vec![NotVisible {
        what: "Other users of the key".to_owned(),
        why: format!(
            "Each principal with a role on the key or an access policy of the vault {} may have encrypted something with it. The provider \
             cannot see that.",
            key.vault()
        ),
    }]
}

/// A key while the provider carries out an order on it.
struct VaultSwitch<'a> {
    cloud: &'a Azure,
    key: &'a VaultKeyId,
    so_far: SoFar,
    record: Record<'a>,
}

/// Carries an order out.
///
/// # Errors
/// When it cannot be done, or stops half-way: the message says what was changed and what is true.
pub async fn execute(
    cloud: &Azure,
    key: &VaultKeyId,
    order: KeyOperation,
    options: Options<'_>,
) -> Result<Outcome, NotDone> {
    drive(VaultSwitch {
        cloud,
        key,
        so_far: SoFar::default(),
        record: Record::new(order, options),
    })
    .await
}

impl<'a> Switch<'a> for VaultSwitch<'a> {
    type Seen = (Seen, Option<DeletedKey>);
    type Step = Step;
    type Error = AzureError;

    fn record(&mut self) -> &mut Record<'a> {
        &mut self.record
    }

    async fn look(&self) -> Result<Self::Seen, Unseen> {
        let seen = look(self.cloud, self.key).await;
        seen.map_err(|(permission, error)| Unseen {
            may_pass: is_lost(&error),
            why: self.look_failed(permission, &error),
        })
    }

    fn next(&self, (seen, _): &Self::Seen) -> Turn<Step> {
        let key = self.key;
        match next(self.record.order, seen, self.so_far) {
            Step::Finish => Turn::Finish,
            Step::StayDisabled => Turn::StayDisabled,
            Step::Wait => Turn::Wait,
            Step::RefuseDisabledByOthers => Turn::Refuse(format!(
                "The newest version of {key} is disabled, and this provider did not disable it (it has no tag `{TAG}`). The one who did may \
                 have had a reason.\n\nFind out who it was (diagnostic logs of the vault, KeyUpdate). To enable every version all the same, \
                 use {ANYWAY}."
            )),
            Step::RefuseGone => Turn::Refuse(format!(
                "The vault {} has no key {}, and no deleted one of this name that could be recovered. If it was purged, everything that was \
                 encrypted with it is lost permanently.",
                key.vault(),
                key.name()
            )),
            step => Turn::Take(step),
        }
    }

    async fn take(
        &mut self,
        step: &Step,
        _: &Self::Seen,
    ) -> Result<Option<Result<(), AzureError>>, NotDone> {
        let (cloud, key) = (self.cloud, self.key);
        Ok(Some(match step {
            Step::Disable(version, has_room) => {
                let at = rfc3339(doors::clock::now().replace_nanosecond(0).ok());
                let change = VersionChange {
                    enabled: false,
                    tags: match has_room {
                        true => tagged(version, &at.unwrap_or_default()),
                        false => version.tags.clone(),
                    },
                };
                if !has_room {
                    self.record.note(format!(
                        "The version {} has as many tags as it can have, so the tag `{TAG}` was not written. To restore it later, use \
                         {ANYWAY}.",
                        short(version)
                    ));
                }
                let call = cloud.change_version(&version.id, &change);
                self.record.taking(call, |error| !is_lost(error)).await
            }
            Step::Enable(version) => {
                let change = VersionChange {
                    enabled: true,
                    tags: untagged(version),
                };
                cloud.change_version(&version.id, &change).await
            }
            Step::Delete => {
                self.refuse_what_cannot_come_back().await?;
                let call = cloud.delete_key(key);
                let answer = self.record.taking(call, |error| !is_lost(error)).await;
                answer.map(|_| ())
            }
            Step::Recover => cloud.recover_key(key).await,
            Step::Wait
            | Step::Finish
            | Step::StayDisabled
            | Step::RefuseDisabledByOthers
            | Step::RefuseGone => return Ok(None),
        }))
    }

    fn called(&self, step: &Step) -> (String, String) {
        let (doing, done, _) = called(step);
        (doing, done)
    }

    fn fate(error: &AzureError) -> Fate {
        match error {
            AzureError::Conflict { .. } | AzureError::NotFound(_) => Fate::Overtaken,
            error if is_lost(error) => Fate::Lost,
            _ => Fate::Refused,
        }
    }

    fn shows(&self, step: &Step, (seen, _): &Self::Seen) -> bool {
        shows(step, seen)
    }

    fn took(&mut self, step: &Step) {
        self.so_far.enabled |= matches!(step, Step::Enable(_));
        self.so_far.deleted |= matches!(step, Step::Delete);
        self.so_far.recovered |= matches!(step, Step::Recover);
    }

    fn without(&self, _: &Step, _: &AzureError) -> Option<String> {
        // The call that disables a version writes its tag, too.
        None
    }

    fn failed(&self, step: &Step, error: &AzureError, was_lost: bool) -> Diagnostics {
        let (doing, _, permission) = called(step);
        let is_denied = matches!(error, AzureError::Denied(_));
        let call = match was_lost {
            true => String::new(),
            false => of_call(&doing, permission, is_denied),
        };
        self.failed_at(&call, error)
    }

    fn versions(&self, (seen, _): &Self::Seen) -> usize {
        match seen {
            Seen::There(versions) => versions.len(),
            Seen::Deleted | Seen::Gone => 0,
        }
    }

    fn state(&self, (seen, deleted): &Self::Seen) -> KeyState {
        described(seen, deleted.as_ref()).state
    }

    fn words(&self) -> Words {
        let key = self.key;
        Words {
            service: "The vault",
            key: key.to_string(),
            changed: format!("the versions of {key}"),
            log: "diagnostic logs of the vault",
            how_to_see: "Run the same command again: it continues from the state of the key."
                .to_owned(),
        }
    }

    fn finished(self, (seen, deleted): &Self::Seen, complete: bool) -> Outcome {
        self.outcome(seen, deleted.as_ref(), complete)
    }
}

/// What a step is called before and after it is done, and the permission that it needs.
fn called(step: &Step) -> (String, String, &'static str) {
    let of = |verb: &str, version: &KeyVersion| format!("{verb} version {}", short(version));
    match step {
        Step::Disable(version, _) => (
            of("disable", version),
            of("disabled", version),
            "keys/update",
        ),
        Step::Enable(version) if version.enabled => (
            of("remove the tag of", version),
            of("removed the tag of", version),
            "keys/update",
        ),
        Step::Enable(version) => (of("enable", version), of("enabled", version), "keys/update"),
        Step::Delete => (
            "delete the key".to_owned(),
            "deleted the key".to_owned(),
            "keys/delete",
        ),
        Step::Recover => (
            "recover the key".to_owned(),
            "recovered the key".to_owned(),
            "deletedkeys/recover",
        ),
        Step::Wait
        | Step::Finish
        | Step::StayDisabled
        | Step::RefuseDisabledByOthers
        | Step::RefuseGone => (String::new(), String::new(), ""),
    }
}

impl VaultSwitch<'_> {
    /// A deletion that cannot be taken back, or whose time was chosen and is not the vault's.
    async fn refuse_what_cannot_come_back(&self) -> Result<(), NotDone> {
        let KeyOperation::ScheduleDeletion { days } = self.record.order else {
            return Ok(());
        };
        let found = self
            .cloud
            .key(&self.key.versionless())
            .await
            .map_err(|error| NotDone::Failed(self.look_failed("keys/get", &error)))?;
        if found.recovery_level == "Purgeable" || found.recovery_level.is_empty() {
            let why = format!(
                "The vault of {} has no soft delete (recovery level `{}`): the deletion could not be taken back, and everything that was \
                 encrypted with the key would be lost at once. To take the key away so that it can come back, disable it:\n\n  \
                 dbxcmk key disable {}",
                self.key, found.recovery_level, self.key
            );
            return Err(NotDone::Refused(self.record.refused(&why)));
        }
        match (days, found.recoverable_days) {
            (Some(wanted), own) if own != Some(u32::from(wanted)) => {
                let why = format!(
                    "Azure keeps a deleted key as long as its vault says (`soft_delete_retention_days`), which is {} for {}. It cannot be \
                     changed after the creation of the vault, and {wanted} days cannot be chosen for one deletion.\n\nLeave the number of days \
                     out.",
                    own.map_or_else(|| "not shown".to_owned(), |days| format!("{days} days")),
                    self.key
                );
                Err(NotDone::Refused(self.record.refused(&why)))
            }
            _ => Ok(()),
        }
    }

    fn look_failed(&self, permission: &str, error: &AzureError) -> Diagnostics {
        let call = match error {
            AzureError::Denied(_) => format!("The call needs the permission {permission}."),
            _ => String::new(),
        };
        self.failed_at(&call, error)
    }

    fn failed_at(&self, call: &str, error: &AzureError) -> Diagnostics {
        let inner = diagnose::azure(&self.record.could_not(), self.key, error);
        self.record.failed(inner, call)
    }

    fn outcome(self, seen: &Seen, deleted: Option<&DeletedKey>, complete: bool) -> Outcome {
        let status = described(seen, deleted);
        let mut notes = self.record.notes;
        let is_taking = !matches!(self.record.order, KeyOperation::Restore { .. });
        if is_taking && matches!(seen, Seen::There(_)) && !self.record.done.is_empty() {
            notes.push(
                "A disabled key refuses to unwrap, decrypt and sign; wrapping still works, so what is written from now on cannot be read until \
                 the key is back. If the vault rotates the key automatically, the new version is enabled: run the command again then."
                    .to_owned(),
            );
        }
        if let Seen::There(versions) = seen {
            let left = others(versions);
            if !left.is_empty() && (self.record.done.is_empty() || !is_taking) {
                notes.push(match is_taking {
                    true => not_ours(versions),
                    false => format!(
                        "This stays disabled as it was before: {}. This provider did not disable it (no tag `{TAG}`). To enable every version, \
                         restore the key with {ANYWAY}.",
                        in_words(&left)
                    ),
                });
            }
        }
        if self.record.order == KeyOperation::Disable && matches!(seen, Seen::Deleted) {
            notes.push("The key is deleted, which is more than disabled.".to_owned());
        }
        Outcome {
            changed: !self.record.done.is_empty(),
            state: status.state,
            deletion_date: status.deletion_date,
            versions: status.versions,
            way_back: status.way_back,
            complete,
            notes,
        }
    }
}

/// Whether a call may have been carried out although it failed: its answer did not arrive, or cannot be read.
fn is_lost(error: &AzureError) -> bool {
    match error {
        AzureError::Unreachable(_) | AzureError::Malformed(_) => true,
        AzureError::Other { status, .. } => *status >= 500,
        _ => false,
    }
}

/// A version, for people.
fn short(version: &KeyVersion) -> String {
    version.id.version().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn version(number: u8, enabled: bool, is_ours: bool) -> KeyVersion {
        let id = format!("https://acme.vault.azure.net/keys/lake/{number:032x}");
        let tags = is_ours.then(|| (TAG.to_owned(), "2026-11-30T00:00:00Z".to_owned()));
        KeyVersion {
            id: id.parse().expect("an identifier"),
            enabled,
            not_before: None,
            expires: None,
            created: None,
            tags: BTreeMap::from_iter(tags),
        }
    }

    /// Each row: the versions, what a restore would come to, and the words of the notes.
    #[test]
    fn the_status_offers_what_works() {
        let expired = KeyVersion {
            expires: OffsetDateTime::from_unix_timestamp(1_700_000_000).ok(),
            ..version(1, true, false)
        };
        let rows = [
            (
                vec![expired],
                WayBack::Nowhere,
                "Change the dates of the version",
            ),
            (
                vec![version(1, false, false)],
                WayBack::Anyway,
                "did not disable version",
            ),
            (vec![version(1, false, true)], WayBack::Restore, ""),
            (
                vec![version(1, false, true), version(2, true, true)],
                WayBack::Restore,
                "or the vault took the tag over",
            ),
            (
                vec![version(1, false, true), version(2, true, false)],
                WayBack::Restore,
                "run `key disable` again",
            ),
        ];
        for (versions, expected, words) in rows {
            let found = described(&Seen::There(versions), None);
            assert_eq!(found.way_back, expected, "{words}");
            let notes = found.notes.join(" ");
            assert!(notes.contains(words), "{words}: {notes}");
        }
    }

    /// A deleted key remembers that it was disabled here.
    #[test]
    fn a_deleted_key_was_disabled_before() {
        let deleted = DeletedKey {
            deleted: None,
            purged: None,
            disabled: Some("2026-11-30T00:00:00Z".to_owned()),
        };
        let found = described(&Seen::Deleted, Some(&deleted));
        assert_eq!(found.disabled_since, deleted.disabled);
    }
}
