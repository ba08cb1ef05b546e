//! `key status|disable|restore`: the kill switch, when Terraform is not at hand.

#![allow(
    rustdoc::bare_urls,
    reason = "these texts are the help of the command line, too, where they stand as they are"
)]

mod report;

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use self::report::{Format, Report, Trouble};
use crate::provider::{
    Connection, Endpoints, Impact, KeyStatus, KillSwitch, Manner, Order, Outcome, PATIENCE,
    Stopped, in_words,
};
use crate::vocabulary::azure::PrincipalId;
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
    /// Databricks account host [default: DATABRICKS_HOST, then the profile].
    #[arg(long)]
    host: Option<String>,
    /// ID of the Databricks account [default: DATABRICKS_ACCOUNT_ID, then the profile].
    #[arg(long)]
    account_id: Option<String>,
    /// Profile of the Databricks configuration file.
    #[arg(long)]
    databricks_profile: Option<String>,
    /// AWS region, for a key that is named by its ID or alias.
    #[arg(long)]
    region: Option<String>,
    /// Profile of the AWS configuration.
    #[arg(long)]
    aws_profile: Option<String>,
    /// ARN of a role to assume.
    #[arg(long)]
    assume_role: Option<String>,
    /// File of certificates (PEM) to trust in addition to those of the system.
    #[arg(long)]
    ca_bundle: Option<String>,
    /// Google service account to impersonate.
    #[arg(long)]
    impersonate_service_account: Option<String>,
    /// Address of AWS KMS.
    #[arg(long, value_name = "URL")]
    endpoint_kms: Option<String>,
    /// Address of AWS STS.
    #[arg(long, value_name = "URL")]
    endpoint_sts: Option<String>,
    /// Address of AWS IAM.
    #[arg(long, value_name = "URL")]
    endpoint_iam: Option<String>,
    /// Address of Google Cloud KMS [default: GOOGLE_KMS_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_cloudkms: Option<String>,
    /// Address of Google's Resource Manager [default: GOOGLE_RESOURCE_MANAGER_V3_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_resourcemanager: Option<String>,
    /// Address of Google's IAM credentials [default: GOOGLE_IAM_CREDENTIALS_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_iamcredentials: Option<String>,
    /// Tenant of Microsoft Entra ID [default: ARM_TENANT_ID].
    #[arg(long)]
    tenant_id: Option<String>,
    /// Subscription of the workspaces, beside those that you see [default: ARM_SUBSCRIPTION_ID].
    #[arg(long)]
    subscription_id: Option<String>,
    /// Azure cloud: public, usgovernment or china [default: ARM_ENVIRONMENT, then public].
    #[arg(long, value_parser = ["public", "usgovernment", "china"])]
    azure_environment: Option<String>,
    /// Object ID of the application AzureDatabricks [default: looked up in Microsoft Graph].
    #[arg(long, value_name = "ID")]
    databricks_principal_id: Option<PrincipalId>,
    /// Address of Azure Resource Manager.
    #[arg(long, value_name = "URL")]
    endpoint_resource_manager: Option<String>,
    /// Address at which Microsoft Entra ID gives out tokens.
    #[arg(long, value_name = "URL")]
    endpoint_login: Option<String>,
    /// Address of Microsoft Graph.
    #[arg(long, value_name = "URL")]
    endpoint_graph: Option<String>,
    /// Address of Azure Key Vault: a request for https://NAME.vault.azure.net/PATH goes to URL/NAME/PATH.
    #[arg(long, value_name = "URL")]
    endpoint_key_vault: Option<String>,
}

impl Common {
    fn connect(&self) -> KillSwitch {
        KillSwitch::new(&Connection {
            host: self.host.clone(),
            account_id: self.account_id.clone(),
            databricks_profile: self.databricks_profile.clone(),
            region: self.region.clone(),
            aws_profile: self.aws_profile.clone(),
            assume_role: self.assume_role.clone(),
            ca_bundle: self.ca_bundle.clone(),
            endpoints: Endpoints {
                kms: self.endpoint_kms.clone(),
                sts: self.endpoint_sts.clone(),
                iam: self.endpoint_iam.clone(),
                cloudkms: self.endpoint_cloudkms.clone(),
                resourcemanager: self.endpoint_resourcemanager.clone(),
                iamcredentials: self.endpoint_iamcredentials.clone(),
                resource_manager: self.endpoint_resource_manager.clone(),
                login: self.endpoint_login.clone(),
                graph: self.endpoint_graph.clone(),
                key_vault: self.endpoint_key_vault.clone(),
            },
            tenant_id: self.tenant_id.clone(),
            subscription_id: self.subscription_id.clone(),
            azure_environment: self.azure_environment.clone(),
            databricks_principal_id: self.databricks_principal_id.clone(),
            impersonate_service_account: self.impersonate_service_account.clone(),
        })
    }
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
    /// ID of a workspace that stops, on Azure also its resource ID. Repeat it for each of them; one missing or one too many is refused.
    #[arg(long, value_name = "ID")]
    acknowledge: Vec<String>,
    /// Schedule the deletion of the key, instead of only disabling it: on AWS in so many days (7 to 30) [default: 30], on Google Cloud
    /// after the window of the key itself, on Azure after the retention of the vault.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, value_parser = clap::value_parser!(u8).range(1..=120))]
    schedule_deletion: Option<Option<u8>>,
    /// Show what stops, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until the change shows [default: 5m].
    #[arg(long, value_name = "DURATION")]
    wait: Option<GoDuration>,
    /// Go on although the Databricks account cannot be read, so that nobody knows what stops.
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
    let (common, (report, code)) = match command {
        KeyCommand::Status(arguments) => (&arguments.common, runtime.block_on(status(arguments))),
        KeyCommand::Disable(arguments) => (&arguments.common, runtime.block_on(disable(arguments))),
        KeyCommand::Restore(arguments) => (&arguments.common, runtime.block_on(restore(arguments))),
    };
    let shown = report.shown(common.format);
    match std::io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

/// What came of a subcommand: the report, and the exit code.
type Ended = (Report, u8);

fn failed(report: Report, why: Diagnostics) -> Ended {
    (report.with_errors(why), FAILED)
}

fn refused(report: Report, why: Diagnostics) -> Ended {
    (report.with_errors(why), REFUSED)
}

/// A line on a terminal while something is done.
fn say(line: &str) {
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr(), "  {}", printable(line));
    }
}

/// The key, its state, and what stops without it.
struct Seen {
    switch: KillSwitch,
    key: crate::provider::AnyKey,
    report: Report,
    impact: Result<Impact, Diagnostics>,
    status: KeyStatus,
}

async fn look(common: &Common) -> Result<Seen, Ended> {
    let switch = common.connect();
    let mut report = Report::of(&common.key);
    let key = match switch.find(&common.key).await {
        Ok(key) => key,
        Err(why) => return Err(failed(report, why)),
    };
    report.key = key.name().to_string();
    let status = match switch.status(&key).await {
        Ok(status) => status,
        Err(why) => return Err(failed(report, why)),
    };
    report.saw(&status);
    let impact = switch.impact(&key, &status).await;
    match &impact {
        Ok(found) => report.impact = Some(found.clone()),
        Err(why) => report.impact_unknown = Some(Trouble::of(why)),
    }
    Ok(Seen {
        switch,
        key,
        report,
        impact,
        status,
    })
}

async fn status(arguments: &StatusArguments) -> Ended {
    let mut seen = match look(&arguments.common).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    if let Ok(impact) = &seen.impact {
        match seen.switch.examine(impact).await {
            Ok(findings) => seen.report.examined(&findings),
            Err(why) => seen.report.notes.push(Trouble::of(&why).in_a_line()),
        }
        if seen.status.state == crate::vocabulary::KeyState::Enabled {
            seen.report.next = Some(disabling(&seen.report.key, &impact.acknowledgement));
        }
    }
    if seen.status.state != crate::vocabulary::KeyState::Enabled {
        seen.report.next = Some(restoring(&seen.report.key));
    }
    (seen.report, 0)
}

/// The command that takes a key away.
fn disabling(key: &str, ids: &[String]) -> String {
    let named: Vec<String> = ids
        .iter()
        .map(|id| format!(" --acknowledge {id}"))
        .collect();
    format!(
        "terraform-provider-dbxcmk key disable {key}{}",
        named.concat()
    )
}

/// The command that gives it back.
fn restoring(key: &str) -> String {
    format!("terraform-provider-dbxcmk key restore {key}")
}

/// AWS admits 7 to 30 days. Source: KMS API reference, ScheduleKeyDeletion.
fn impossible_window(key: &str, days: Option<u8>) -> Option<Diagnostics> {
    let is_elsewhere = key.starts_with("projects/") || key.starts_with("https://");
    let days = days.filter(|days| !is_elsewhere && !(7..=30).contains(days))?;
    let why = format!(
        "`--schedule-deletion {days}` is not possible on AWS: the window has 7 to 30 days."
    );
    Some(Diagnostic::error("Invalid deletion window", why).into())
}

async fn disable(arguments: &DisableArguments) -> Ended {
    let days = arguments.schedule_deletion.flatten();
    if let Some(why) = impossible_window(&arguments.common.key, days) {
        return (Report::of(&arguments.common.key).with_errors(why), USAGE);
    }
    let seen = match look(&arguments.common).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    let Seen {
        switch,
        key,
        mut report,
        impact,
        ..
    } = seen;
    let order = match arguments.schedule_deletion {
        Some(days) => Order::ScheduleDeletion { days },
        None => Order::Disable,
    };
    let given: BTreeSet<String> = arguments.acknowledge.iter().cloned().collect();
    match &impact {
        Ok(found) => {
            report.words = Some(in_words(order, found));
            let paste = |ids: &[String]| {
                let days = arguments
                    .schedule_deletion
                    .map(|days| match days {
                        Some(days) => format!(" --schedule-deletion {days}"),
                        None => " --schedule-deletion".to_owned(),
                    })
                    .unwrap_or_default();
                format!("{}{days}", disabling(&report.key, ids))
            };
            let is_asked = !(arguments.dry_run && given.is_empty());
            if arguments.dry_run {
                report.next = Some(paste(&found.acknowledgement));
            }
            if is_asked && let Err(why) = switch.acknowledged(found, &given, paste) {
                return refused(report, why);
            }
        }
        Err(why) if !arguments.without_impact && !arguments.dry_run => {
            let why = Trouble::of(why);
            return refused(report, report::impact_unknown(&why));
        }
        Err(_) => {}
    }
    if arguments.dry_run {
        report.dry_run = true;
        return (report, 0);
    }
    let shown = |line: String| say(&line);
    let manner = Manner {
        say: &shown,
        patience: arguments.wait.as_ref().map_or(PATIENCE, GoDuration::length),
    };
    match switch.carry_out(&key, order, manner).await {
        Ok(outcome) => {
            report.came_to(&outcome);
            report.next = Some(restoring(&report.key));
            (report, 0)
        }
        Err(stopped) => stop(&switch, &key, report, stopped).await,
    }
}

/// What is true after an order was not carried out.
async fn stop(
    switch: &KillSwitch,
    key: &crate::provider::AnyKey,
    mut report: Report,
    stopped: Stopped,
) -> Ended {
    if let Ok(status) = switch.status(key).await {
        report.saw(&status);
    }
    match stopped {
        Stopped::Refused(why) => refused(report, why),
        Stopped::Failed(why) => failed(report, why),
    }
}

/// Somebody else changed the key as soon as it was restored.
fn changed_again(key: &str, outcome: &Outcome, status: &KeyStatus) -> Diagnostics {
    Diagnostic::error(
        "Somebody else changed the key at the same time",
        format!(
            "After the command had done its work {key} was in the state {}; the next read shows {}. Another person or program works on \
             the same key.\n\nFind out who it is (the audit log of the cloud), agree on what is to be, then run the command again.",
            outcome.state, status.state
        ),
    )
    .into()
}

async fn restore(arguments: &RestoreArguments) -> Ended {
    let seen = match look(&arguments.common).await {
        Ok(seen) => seen,
        Err(ended) => return ended,
    };
    let Seen {
        switch,
        key,
        mut report,
        impact,
        ..
    } = seen;
    if arguments.dry_run {
        report.dry_run = true;
        report.next = Some(restoring(&report.key));
        return (report, 0);
    }
    let order = Order::Restore {
        enable_anyway: arguments.enable_anyway,
    };
    let shown = |line: String| say(&line);
    let manner = Manner {
        say: &shown,
        patience: PATIENCE,
    };
    let outcome = match switch.carry_out(&key, order, manner).await {
        Ok(outcome) => outcome,
        Err(stopped) => return stop(&switch, &key, report, stopped).await,
    };
    report.came_to(&outcome);
    if let Ok(status) = switch.status(&key).await {
        report.saw(&status);
        if status.state != outcome.state {
            let why = changed_again(&report.key, &outcome, &status);
            return failed(report, why);
        }
    }
    if !outcome.complete {
        return (report, IN_PART);
    }
    let Ok(impact) = impact else {
        report.notes.push(
            "The Databricks account could not be read, so the key was not examined for the workspaces that use it.".to_owned(),
        );
        return (report, 0);
    };
    match switch.examine(&impact).await {
        Ok(findings) => report.examined(&findings),
        Err(why) => report.notes.push(Trouble::of(&why).in_a_line()),
    }
    let within = arguments.wait.as_ref().map(GoDuration::length);
    if let Some(within) = within.filter(|within| *within > Duration::ZERO)
        && let Err(why) = switch.wait(&impact, within, &shown).await
    {
        return (report.with_errors(why), IN_PART);
    }
    (report, 0)
}
