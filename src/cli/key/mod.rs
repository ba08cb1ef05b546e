//! `key status|disable|restore`: the kill switch, when Terraform is not at hand.

#![allow(
    rustdoc::bare_urls,
    reason = "these texts are the help of the command line, too, where they stand as they are"
)]

mod interrupt;
mod report;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::interrupt::Interrupt;
use self::report::{Format, Report, Trouble};
use super::connection::ConnectionArguments;
use crate::preflight::Id;
use crate::provider::{
    Consent, Flags, Impact, KeyOperation, KeyStatus, KillSwitch, NotDone, NotFound, Options,
    Outcome, PARTLY_DISABLED, PATIENCE, WayBack, consented, hold, in_words, is_off,
};
use crate::vocabulary::{Cloud, Key, KeyState};
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::GoDuration;
use tfplugin::printable::printable;

/// Refused; nothing was changed.
const REFUSED: u8 = 1;
/// The arguments are not possible.
const USAGE: u8 = 2;
/// A call failed.
const FAILED: u8 = 3;
/// Not everything is back.
const IN_PART: u8 = 4;
/// How long a call that is under way may take to end after an interrupt.
const GRACE: Duration = Duration::from_secs(5);
/// How often a command that waits says so.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How this command names the options that the kill switch asks for before it takes a key away.
const FLAGS: Flags = Flags {
    former_key: "`--acknowledge-former-key`",
    skip_hold: "`--skip-hold`",
};

/// `key`
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Show a key: its state, the proof, and the workspaces that use it.
    Status(StatusArguments),
    /// Disable a key or schedule its deletion: the workspaces that use it stop.
    ///
    /// Needs the acknowledgement of exactly the workspaces that stop; --dry-run shows the set.
    Disable(DisableArguments),
    /// Restore a key: cancel its deletion, enable it, and prove it again.
    Restore(RestoreArguments),
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// The key: its ARN, its ID or alias together with --region, its name in Cloud KMS (projects/…), or its identifier on Azure
    /// (https://VAULT.vault.azure.net/keys/NAME).
    key: String,
    /// Output format: text or json.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// `key status`
#[derive(Debug, clap::Args)]
pub struct StatusArguments {
    #[command(flatten)]
    common: Common,
}

/// `key disable`
#[derive(Debug, clap::Args)]
pub struct DisableArguments {
    #[command(flatten)]
    common: Common,
    /// ID of a workspace that stops, on Azure also its resource ID; catalog/METASTORE/NAME for a catalog. Repeat it for each of them, or separate them by commas; one missing or
    /// one too many is refused.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    acknowledge: Vec<String>,
    /// Take the key away although Databricks may still need it after a rotation less than 24 hours ago.
    #[arg(long)]
    acknowledge_former_key: bool,
    /// Schedule the deletion of the key, instead of only disabling it: on AWS in so many days (7 to 30) [default: 30], on Google Cloud
    /// after the window of the key itself, on Azure after the retention of the vault.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, value_parser = days)]
    schedule_deletion: Option<Option<u8>>,
    /// Schedule the deletion of a key that is enabled and in use, without a time in which it is only disabled.
    #[arg(long, requires = "schedule_deletion")]
    skip_hold: bool,
    /// Show what stops, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until the change shows [default: 5m].
    #[arg(long, value_name = "DURATION")]
    wait: Option<GoDuration>,
    /// Continue even if the Databricks account cannot be read, so that the command cannot list what stops.
    #[arg(long, conflicts_with = "acknowledge")]
    without_impact: bool,
}

/// `key restore`
#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    #[command(flatten)]
    common: Common,
    /// Enable the key also if this provider did not disable it.
    #[arg(long)]
    enable_anyway: bool,
    /// Show what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until the workspaces that use the key are RUNNING, as 20m.
    #[arg(long, value_name = "DURATION")]
    wait: Option<GoDuration>,
}

/// A number of days, of whichever cloud.
fn days(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(days) if (1..=120).contains(&days) => Ok(days),
        _ => Err("it is not a whole number of days from 1 to 120".to_owned()),
    }
}

/// Runs the subcommand.
pub fn run(command: &KeyCommand) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let (common, (report, code)) = runtime.block_on(async {
        let interrupt = Interrupt::listen();
        match command {
            KeyCommand::Status(all) => (&all.common, status(all, &interrupt).await),
            KeyCommand::Disable(all) => (&all.common, disable(all, &interrupt).await),
            KeyCommand::Restore(all) => (&all.common, restore(all, &interrupt).await),
        }
    });
    // A call that hangs does not keep an interrupted command from its end.
    runtime.shutdown_background();
    let report = report.with_flags(&common.connection.repeated());
    let shown = report.shown(common.format);
    match std::io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

/// How a subcommand ends: the report, and the exit code.
type Ended = (Report, u8);

fn failed(report: Report, why: Diagnostics) -> Ended {
    (report.with_errors(why), FAILED)
}

fn refused(report: Report, why: Diagnostics) -> Ended {
    (report.with_errors(why), REFUSED)
}

/// Interrupted before anything was changed.
fn interrupted(report: Report, interrupt: &Interrupt) -> Ended {
    let why = Diagnostic::error("The command was interrupted", "Nothing was changed.");
    (report.with_errors(why.into()), interrupt.code())
}

/// Diagnostics as one text, for people.
pub(super) fn said(why: &Diagnostics) -> String {
    let texts: Vec<String> = why
        .iter()
        .map(|one| format!("{}\n\n{}", one.summary, one.detail))
        .collect();
    texts.join("\n\n")
}

/// A line for people while something is done; the report is on the standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "  {}", printable(line));
}

/// Some work, with a sign of life where it takes long.
async fn alive<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut passed = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(HEARTBEAT) => {
                passed += HEARTBEAT;
                say(&format!("still {what} after {} s (Ctrl-C stops and shows what is true)", passed.as_secs()));
            }
        }
    }
}

/// The key, its state, and what stops without it.
struct Seen {
    switch: KillSwitch,
    key: Key,
    report: Report,
    impact: Result<Impact, Diagnostics>,
    status: KeyStatus,
}

async fn look(common: &Common, interrupt: &Interrupt) -> Result<Seen, Ended> {
    let looking = alive("reading", look_now(common));
    match interrupt.unless(Duration::ZERO, looking).await {
        Some(seen) => seen,
        None => Err(interrupted(Report::of(&common.key), interrupt)),
    }
}

async fn look_now(common: &Common) -> Result<Seen, Ended> {
    let switch = KillSwitch::new(&common.connection.connection());
    let mut report = Report::of(&common.key);
    say("reading the key");
    let key = match switch.find(&common.key).await {
        Ok(key) => key,
        Err(NotFound::NoKey(why)) => return Err((report.with_errors(why), USAGE)),
        Err(NotFound::Failed(why)) => return Err(failed(report, why)),
    };
    report.key = key.to_string();
    let status = match switch.status(&key).await {
        Ok(status) => status,
        Err(why) => return Err(failed(report, why)),
    };
    say("looking for the workspaces that use it");
    let impact = switch.impact(&key, &status).await;
    let status = match &impact {
        Ok(found) => {
            report.impact = Some(found.clone());
            found.seen_in_use(status)
        }
        Err(why) => {
            report.impact_unknown = Some(Trouble::of(why));
            status
        }
    };
    report.saw(&status);
    Ok(Seen {
        switch,
        key,
        report,
        impact,
        status,
    })
}

async fn status(arguments: &StatusArguments, interrupt: &Interrupt) -> Ended {
    let mut seen = match look(&arguments.common, interrupt).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    if seen.impact.is_ok() {
        say("examining the key for them");
    }
    // On the heap: as a part of this function, the two would be larger than the stack of a debug build.
    let last_use = Box::pin(seen.switch.last_use(&seen.key));
    let proof = Box::pin(async {
        match &seen.impact {
            Ok(impact) => Some(seen.switch.examine(impact).await),
            Err(_) => None,
        }
    });
    let both = async { tokio::join!(last_use, proof) };
    let examining = alive("examining the key", both);
    let Some((last_use, proof)) = interrupt.unless(Duration::ZERO, examining).await else {
        return interrupted(seen.report, interrupt);
    };
    match proof {
        Some(Ok(mut findings)) => {
            findings.extend(last_use.finding(&seen.key, &users(&seen.impact)));
            seen.report.examined(&findings);
        }
        Some(Err(why)) => {
            seen.report.not_proven = true;
            seen.report.notes.push(Trouble::of(&why).in_full());
        }
        None => {}
    }
    seen.report.last_used = Some(last_use);
    seen.report.not_proven |= seen.impact.is_err();
    // The reader sees the set of workspaces in a dry run first: the command does not print it in passing.
    let to_disable = || format!("{} --dry-run", disabling(&seen.report.key, &[]));
    let is_in_part = seen.status.reported() == PARTLY_DISABLED;
    // A version that can come back comes first.
    let lacks_versions = seen.report.has_finding(Id::GcpKeyVersions.name());
    seen.report.next = match seen.status.state {
        KeyState::Enabled if !lacks_versions => Some(to_disable()),
        _ if is_in_part => Some(to_disable()),
        _ => restoring(&seen.report.key, seen.status.way_back),
    };
    let code = match seen.report.not_proven {
        true => FAILED,
        false => 0,
    };
    (seen.report, code)
}

/// The workspaces that have the key, in words.
fn users(impact: &Result<Impact, Diagnostics>) -> Vec<String> {
    let workspaces = impact.iter().flat_map(|found| &found.workspaces);
    let catalogs = impact.iter().flat_map(|found| &found.catalogs);
    workspaces
        .map(|one| format!("{} (\"{}\")", one.workspace_id, one.name))
        .chain(catalogs.map(|one| one.acknowledgement.clone()))
        .collect()
}

/// The command that takes a key away.
fn disabling(key: &str, ids: &[String]) -> String {
    let named: Vec<String> = ids
        .iter()
        .map(|id| format!(" --acknowledge {id}"))
        .collect();
    format!("dbxcmk key disable {key}{}", named.concat())
}

/// The command that gives it back; none where a restore does not help.
fn restoring(key: &str, way_back: WayBack) -> Option<String> {
    let command = format!("dbxcmk key restore {key}");
    match way_back {
        WayBack::Restore => Some(command),
        WayBack::Anyway => Some(format!("{command} --enable-anyway")),
        WayBack::Nowhere => None,
    }
}

/// Whether a key is another one than before, whatever the answers to the calls said.
fn differs(before: &KeyStatus, after: &KeyStatus) -> bool {
    let of = |status: &KeyStatus| -> Vec<(String, String)> {
        let each = status.versions.iter();
        each.map(|one| (one.version.clone(), one.state.clone()))
            .collect()
    };
    before.state != after.state
        || before.deletion_date != after.deletion_date
        || of(before) != of(after)
}

/// AWS admits 7 to 30 days. Source: KMS API reference, ScheduleKeyDeletion.
fn impossible_window(key: &str, days: Option<u8>) -> Option<Diagnostics> {
    let is_elsewhere = matches!(Key::cloud_by_form(key), Some(Cloud::Gcp | Cloud::Azure));
    let days = days.filter(|days| !is_elsewhere && !(7..=30).contains(days))?;
    let why = format!(
        "`--schedule-deletion {days}` is not possible on AWS: the window has 7 to 30 days."
    );
    Some(Diagnostic::error("Invalid deletion window", why).into())
}

impl DisableArguments {
    fn order(&self) -> KeyOperation {
        match self.schedule_deletion {
            Some(days) => KeyOperation::ScheduleDeletion { days },
            None => KeyOperation::Disable,
        }
    }

    /// The command with these workspaces acknowledged.
    fn paste(&self, key: &str, impact: &Impact, ids: &[String]) -> String {
        let mut command = disabling(key, ids);
        if impact.needed_until.is_some() {
            command.push_str(" --acknowledge-former-key");
        }
        match self.schedule_deletion {
            Some(Some(days)) => command.push_str(&format!(" --schedule-deletion {days}")),
            Some(None) => command.push_str(" --schedule-deletion"),
            None => {}
        }
        if self.skip_hold {
            command.push_str(" --skip-hold");
        }
        command
    }

    /// Why the order is not carried out as it was given.
    fn objection(
        &self,
        status: &KeyStatus,
        impact: &Result<Impact, Diagnostics>,
        key: &str,
    ) -> Option<Diagnostics> {
        let given: BTreeSet<String> = self.acknowledge.iter().cloned().collect();
        match impact {
            // A dry run without an acknowledgement asks what to acknowledge.
            Ok(_) if self.dry_run && given.is_empty() => None,
            Ok(found) => {
                let consent = Consent {
                    workspaces: &given,
                    former_key: self.acknowledge_former_key,
                    skip_hold: self.skip_hold,
                };
                let paste = |ids: &[String]| self.paste(key, found, ids);
                consented(self.order(), (status, found), consent, FLAGS, paste).err()
            }
            Err(_) if self.dry_run => None,
            Err(why) if !self.without_impact => Some(report::impact_unknown(&Trouble::of(why))),
            Err(_) if self.skip_hold => None,
            Err(_) => hold(self.order(), status, None, FLAGS).map(Diagnostics::from),
        }
    }
}

async fn disable(arguments: &DisableArguments, interrupt: &Interrupt) -> Ended {
    let days = arguments.schedule_deletion.flatten();
    if let Some(why) = impossible_window(&arguments.common.key, days) {
        return (Report::of(&arguments.common.key).with_errors(why), USAGE);
    }
    let mut seen = match look(&arguments.common, interrupt).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    let order = arguments.order();
    if let Ok(found) = &seen.impact {
        seen.report.words = Some(in_words(order, found));
    }
    if let Some(why) = arguments.objection(&seen.status, &seen.impact, &seen.report.key) {
        return refused(seen.report, why);
    }
    if arguments.dry_run {
        return (rehearsed(arguments, seen), 0);
    }
    say(&format!(
        "the order is to {} the key ({})",
        order.verb(),
        seen.report.key
    ));
    let patience = arguments.wait.as_ref().map_or(PATIENCE, GoDuration::length);
    match work(&mut seen, order, patience, interrupt).await {
        Ok(outcome) => {
            seen.report.came_to(&outcome);
            // A key that another person or tool disabled, or that has no mark, stays so.
            seen.report.next = restoring(&seen.report.key, outcome.way_back);
            (seen.report, 0)
        }
        Err(stopped) => stop(seen, stopped, interrupt).await,
    }
}

/// What a dry run shows.
fn rehearsed(arguments: &DisableArguments, seen: Seen) -> Report {
    let Seen {
        mut report,
        impact,
        status,
        ..
    } = seen;
    report.dry_run = true;
    let held = match arguments.skip_hold {
        true => None,
        false => hold(arguments.order(), &status, impact.as_ref().ok(), FLAGS),
    };
    let is_done = |found: &Impact| match arguments.order() {
        KeyOperation::Disable => is_off(found),
        _ => status.state.is_being_deleted(),
    };
    if let Ok(found) = &impact
        && !is_done(found)
    {
        report.next = Some(match &held {
            Some(_) => disabling(&report.key, &found.acknowledgement),
            None => arguments.paste(&report.key, found, &found.acknowledgement),
        });
    }
    if let Some(why) = held {
        report
            .notes
            .push(format!("{}. {}", why.summary, why.detail));
    }
    report
}

/// Carries an order out. Interrupted, it ends the call that is under way, and takes no further step.
async fn work(
    seen: &mut Seen,
    order: KeyOperation,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Outcome, NotDone> {
    let shown = |line: String| say(&line);
    let (changed, taking) = (AtomicBool::new(false), AtomicBool::new(false));
    let options = Options {
        say: &shown,
        patience,
        stop: interrupt.token(),
        changed: &changed,
        taking: &taking,
    };
    let working = alive("working", seen.switch.execute(&seen.key, order, options));
    let done = interrupt.unless(GRACE, working).await;
    seen.report.changed = changed.load(Ordering::Relaxed);
    match done {
        Some(done) => done,
        None => {
            let tidied = seen.switch.tidy(&seen.key, order, options).await;
            let tidied = tidied
                .map(|tidied| format!("\n\n{tidied}"))
                .unwrap_or_default();
            Err(NotDone::Interrupted(
                Diagnostic::error(
                    "The command was interrupted",
                    format!(
                        "A call to the key service was under way and was not answered. It may still take effect: read the state of the key \
                         again (`key status`).{tidied}\n\nRun the same command again: it continues from the state of the key."
                    ),
                )
                .into(),
            ))
        }
    }
}

/// What is true after an order was not carried out.
async fn stop(seen: Seen, stopped: NotDone, interrupt: &Interrupt) -> Ended {
    let Seen {
        switch,
        key,
        mut report,
        impact,
        status: before,
    } = seen;
    // A user who interrupted the command waits at most this long for a service that does not answer.
    let read = tokio::time::timeout(2 * GRACE, switch.status(&key)).await;
    match read {
        Ok(Ok(status)) => {
            let now = with_use(status, &impact);
            report.changed |= !matches!(stopped, NotDone::Refused(_)) && differs(&before, &now);
            report.saw(&now);
        }
        // An earlier read does not say what is true now.
        _ => report.state = None,
    }
    report.words = None;
    match stopped {
        NotDone::Refused(why) => refused(report, why),
        NotDone::Failed(why) => failed(report, why),
        NotDone::Interrupted(why) => (report.with_errors(why), interrupt.code()),
    }
}

fn with_use(status: KeyStatus, impact: &Result<Impact, Diagnostics>) -> KeyStatus {
    match impact {
        Ok(impact) => impact.seen_in_use(status),
        Err(_) => status,
    }
}

/// The error when another writer changed the key as soon as it was restored.
fn changed_again(key: &str, outcome: &Outcome, status: &KeyStatus) -> Diagnostics {
    Diagnostic::error(
        "Somebody else changed the key at the same time",
        format!(
            "After the command had done its work {key} was in the state {}; the next read shows {}. Another person or program works on \
             the same key.\n\nFind out who it is (the audit log of the cloud), agree on the intended state, then run the command again.",
            outcome.state, status.state
        ),
    )
    .into()
}

async fn restore(arguments: &RestoreArguments, interrupt: &Interrupt) -> Ended {
    let mut seen = match look(&arguments.common, interrupt).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    if arguments.dry_run {
        seen.report.dry_run = true;
        let way_back = match arguments.enable_anyway {
            true => WayBack::Anyway,
            false => seen.status.way_back,
        };
        seen.report.next = match seen.status.state {
            KeyState::Enabled => None,
            _ => restoring(&seen.report.key, way_back),
        };
        return (seen.report, 0);
    }
    let order = KeyOperation::Restore {
        enable_anyway: arguments.enable_anyway,
    };
    say(&format!(
        "starting to restore the key ({})",
        seen.report.key
    ));
    let outcome = match work(&mut seen, order, PATIENCE, interrupt).await {
        Ok(outcome) => outcome,
        Err(stopped) => return stop(seen, stopped, interrupt).await,
    };
    seen.report.came_to(&outcome);
    let checking = alive(
        "checking the key and its workspaces",
        check(arguments, &mut seen, &outcome),
    );
    let checked = interrupt.unless(Duration::ZERO, checking).await;
    match checked {
        Some((why, code)) => (seen.report.with_errors(why), code),
        None => {
            let why = Diagnostic::error(
                "The command was interrupted",
                format!(
                    "The key is {}: the command has done its work on it. It was interrupted while it examined the key for the workspaces, or \
                     waited for them.",
                    outcome.state
                ),
            );
            (seen.report.with_errors(why.into()), interrupt.code())
        }
    }
}

/// After a restore: is it fit again, and do the workspaces run? The errors, and the exit code.
async fn check(
    arguments: &RestoreArguments,
    seen: &mut Seen,
    outcome: &Outcome,
) -> (Diagnostics, u8) {
    let (switch, report) = (&seen.switch, &mut seen.report);
    if let Ok(status) = switch.status(&seen.key).await {
        // A deleted key did not show its versions, nor who uses which.
        let is_back = matches!(&seen.impact, Ok(found) if found.versions.is_empty());
        if is_back
            && !status.versions.is_empty()
            && let Ok(found) = switch.impact(&seen.key, &status).await
        {
            report.impact = Some(found.clone());
            seen.impact = Ok(found);
        }
        report.saw(&with_use(status.clone(), &seen.impact));
        if status.state != outcome.state {
            return (changed_again(&report.key, outcome, &status), FAILED);
        }
    }
    let in_part = |is_complete: bool| if is_complete { 0 } else { IN_PART };
    let Ok(impact) = &seen.impact else {
        report.notes.push(
            "The Databricks account could not be read, so the key was not examined for the workspaces that use it.".to_owned(),
        );
        return (Diagnostics::new(), in_part(outcome.complete));
    };
    say("examining the key for the workspaces that use it");
    match switch.examine(impact).await {
        Ok(findings) => report.examined(&findings),
        Err(why) => {
            report.not_proven = true;
            report.notes.push(Trouble::of(&why).in_full());
        }
    }
    if report.not_proven {
        return (Diagnostics::new(), FAILED);
    }
    // If another writer takes the key away during the examination, that is the reason for what the proof finds.
    if report.has_error_findings()
        && let Ok(status) = switch.status(&seen.key).await
        && status.state != outcome.state
    {
        report.saw(&with_use(status.clone(), &seen.impact));
        return (changed_again(&report.key, outcome, &status), FAILED);
    }
    if !outcome.complete || report.has_error_findings() {
        return (Diagnostics::new(), IN_PART);
    }
    let within = arguments.wait.as_ref().map(GoDuration::length);
    let shown = |line: String| say(&line);
    if let Some(within) = within.filter(|within| *within > Duration::ZERO)
        && let Err(why) = switch.wait(impact, within, &shown).await
    {
        return (why, IN_PART);
    }
    (Diagnostics::new(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::VersionStatus;

    fn status(state: KeyState, versions: &[(&str, &str)]) -> KeyStatus {
        KeyStatus {
            state,
            deletion_date: None,
            disabled_since: None,
            versions: versions
                .iter()
                .map(|(version, state)| VersionStatus {
                    version: (*version).to_owned(),
                    state: (*state).to_owned(),
                    is_current: false,
                    deletion_date: None,
                    disabled_since: None,
                    used_by: Vec::new(),
                })
                .collect(),
            way_back: WayBack::Restore,
            notes: Vec::new(),
        }
    }

    /// A key that is another one than before was changed, whatever was answered.
    #[test]
    fn a_change_shows_in_the_key() {
        let enabled = || status(KeyState::Enabled, &[("1", "ENABLED"), ("2", "DISABLED")]);
        assert!(!differs(&enabled(), &enabled()));
        assert!(differs(&enabled(), &status(KeyState::Disabled, &[])));
        let other = status(KeyState::Enabled, &[("1", "ENABLED"), ("2", "ENABLED")]);
        assert!(differs(&enabled(), &other));
    }

    /// The command that is printed is one that works.
    #[test]
    fn a_restore_is_offered_as_it_is_needed() {
        let command = "dbxcmk key restore K";
        assert_eq!(restoring("K", WayBack::Restore).as_deref(), Some(command));
        let anyway = restoring("K", WayBack::Anyway).expect("a command");
        assert_eq!(anyway, format!("{command} --enable-anyway"));
        assert_eq!(restoring("K", WayBack::Nowhere), None);
    }
}
