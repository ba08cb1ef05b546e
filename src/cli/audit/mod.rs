//! `audit`: the keys of a whole account, every morning.

mod adopt;
mod permissions;
mod places;
mod write;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use self::places::Blocks;
use self::write::{Output, write_all};
use super::connection::ConnectionArguments;
use super::input::read;
use super::key::said;
use crate::audit::{
    AuditFacts, AuditPolicy, AuditReport, AuditRules, Baseline, FailOn, Glob, Look, exit_code,
    json, judge, markdown, text,
};
use crate::clouds::aws::ACCOUNT;
use crate::provider::{Adoption, AuditOrder, Auditor, NoAudit, in_hcl};
use crate::vocabulary::aws::RoleArn;
use crate::vocabulary::{Cloud, why_unread};
use tfplugin::printable::printable;

/// The exit code when the command cannot use its arguments, a file that they name, or a file to write.
const USAGE: u8 = 2;

/// How often a call to AWS is tried. KMS throttles an account and region as a whole, so the reads of hundreds of keys meet its limit together; three
/// tries, as AWS's own tools make, then leave keys unread. Calls to Google Cloud and Azure are tried 7 and 6 times in any case.
const AWS_TRIES: u32 = 8;

/// How wide a text is where no terminal says it.
const WIDTH: usize = 100;

/// What goes to the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shown {
    /// For people.
    Text,
    /// For the summary of a job.
    Markdown,
    /// For programs.
    Json,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Failing {
    /// Errors.
    Error,
    /// Errors and warnings.
    Warning,
    /// What is new or got worse since the baseline.
    Worse,
    /// Nothing.
    Never,
}

impl From<Failing> for FailOn {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Error => Self::Error,
            Failing::Warning => Self::Warning,
            Failing::Worse => Self::Worse,
            Failing::Never => Self::Never,
        }
    }
}

/// The ARN of a role in any account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RolePattern(String);

impl FromStr for RolePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.matches(ACCOUNT).count() != 1 {
            return Err(format!(
                "write {ACCOUNT} once, where the ARN has the account"
            ));
        }
        match text.replace(ACCOUNT, "123456789012").parse::<RoleArn>() {
            Ok(role) if role.account() == "123456789012" => Ok(Self(text.to_owned())),
            Ok(_) => Err(format!("write {ACCOUNT} where the ARN has the account")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// `audit`
#[derive(Debug, clap::Args)]
pub struct AuditArguments {
    /// Cloud to audit: aws, gcp or azure [default: the one of the host].
    #[arg(long, value_parser = ["aws", "gcp", "azure"])]
    cloud: Option<String>,
    /// Policy file (audit.hcl): scope, requirements and exceptions.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Earlier report in JSON; the report shows what changed since.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Continue without a baseline if its file does not exist yet.
    #[arg(long, requires = "baseline")]
    baseline_may_be_missing: bool,
    /// Output format: text, markdown or json.
    #[arg(long, value_enum, default_value_t = Shown::Text)]
    format: Shown,
    /// Write a report to a file: text, markdown, json, html, csv, sarif, ocsf or openmetrics. Can be repeated. csv writes a second file
    /// for the findings, with -findings in its name.
    #[arg(long, value_name = "FORMAT=FILE")]
    write: Vec<Output>,
    /// Exit with 1 for errors, for errors and warnings, for what is new or got worse since the baseline, or never.
    #[arg(long, value_enum, default_value_t = Failing::Error)]
    fail_on: Failing,
    /// Judge only these workspaces: names with * and ?, or IDs. Can be repeated.
    #[arg(long, value_name = "PATTERN")]
    workspace: Vec<String>,
    /// AWS account, Google Cloud project, Azure tenant or Databricks account that may use keys. Can be repeated.
    #[arg(long, value_name = "ACCOUNT")]
    trusted: Vec<String>,
    /// Ask CloudTrail who used each key last: AWS, two keys a second for each region.
    #[arg(long)]
    who_used: bool,
    /// ARN of a role to assume for the keys of other AWS accounts, with {account} for the account: arn:aws:iam::{account}:role/Audit.
    #[arg(long, value_name = "ARN")]
    assume_role_pattern: Option<RolePattern>,
    /// Write configuration with import blocks for the key configurations and workspaces that were found, into this directory.
    #[arg(long, value_name = "DIR")]
    adopt: Option<PathBuf>,
    /// Directory with the configuration, so that results in SARIF point at the blocks that name what they are about.
    #[arg(long, value_name = "DIR")]
    sarif_directory: Option<PathBuf>,
    /// Print the least permissions for each cloud, and read nothing.
    #[arg(long)]
    permissions: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// A line for people; the report is on the standard output.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// Runs the subcommand.
pub fn run(arguments: &AuditArguments) -> ExitCode {
    if arguments.permissions {
        return match std::io::stdout().write_all(permissions::TEXT.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(USAGE),
        };
    }
    match report(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            complain(&format!("error: {why}"));
            ExitCode::from(USAGE)
        }
    }
}

/// The policy file, or what holds without one.
fn policy(file: Option<&Path>) -> Result<AuditPolicy, String> {
    let Some(file) = file else {
        return Ok(AuditPolicy::default());
    };
    let name = file.display();
    let text = read(file).map_err(|why| format!("{name}: {why}"))?;
    let today = doors::clock::now().date();
    AuditPolicy::parse(&text, today).map_err(|error| format!("{name}: {error}"))
}

/// The baseline; none where none is named, or its file may be missing and is.
fn baseline(arguments: &AuditArguments) -> Result<Option<Baseline>, String> {
    let Some(file) = &arguments.baseline else {
        return match arguments.fail_on {
            Failing::Worse => Err("`--fail-on worse` needs a `--baseline`".to_owned()),
            _ => Ok(None),
        };
    };
    let name = file.display();
    match File::open(file) {
        Ok(open) => Baseline::read(BufReader::new(open))
            .map(Some)
            .map_err(|error| format!("{name}: {error}")),
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && arguments.baseline_may_be_missing =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("{name}: {}", why_unread(&error))),
    }
}

/// Reads, judges, writes and shows. The exit code, or why nothing of that can be done.
fn report(arguments: &AuditArguments) -> Result<u8, String> {
    let policy = policy(arguments.policy.as_deref())?;
    let baseline = baseline(arguments)?;
    Output::check(&arguments.write)?;
    let blocks = match &arguments.sarif_directory {
        Some(directory) => Blocks::of(directory)?,
        None => Blocks::default(),
    };
    if let Some(directory) = &arguments.adopt {
        adopt::check(directory)?;
    }
    let (facts, adoption) = facts(arguments, &policy)?;
    if let Some(baseline) = &baseline {
        let name = arguments.baseline.as_deref().unwrap_or(Path::new(""));
        baseline
            .check(facts.account_id.as_deref(), facts.cloud.as_str())
            .map_err(|error| format!("{}: {error}", name.display()))?;
    }
    let rules = AuditRules {
        policy: &policy,
        only: arguments.workspace.iter().cloned().map(Glob::new).collect(),
        trusted: arguments.trusted.iter().cloned().collect::<BTreeSet<_>>(),
        words: &|hint| Some(in_hcl(hint)),
    };
    let judged = judge(facts, &rules, baseline.as_ref());
    if !judged.unmatched.is_empty() {
        return Err(format!(
            "no workspace is as `--workspace` says: {}",
            judged.unmatched.join(", ")
        ));
    }
    let report = judged.report;
    for note in &report.run.notes {
        if !arguments.quiet {
            complain(&format!("note: {note}"));
        }
    }
    let policy_file = arguments
        .policy
        .as_deref()
        .unwrap_or(Path::new("audit.hcl"));
    write_all(&report, &arguments.write, (policy_file, &blocks))?;
    if let (Some(directory), Some(adoption)) = (&arguments.adopt, &adoption) {
        adopt::write(directory, adoption)?;
        if !arguments.quiet {
            adopt::tell(directory, adoption);
        }
    }
    show(&report, arguments.format)?;
    Ok(exit_code(&report, arguments.fail_on.into()))
}

/// What the services show, and configuration for it where that is asked for.
fn facts(
    arguments: &AuditArguments,
    policy: &AuditPolicy,
) -> Result<(AuditFacts, Option<Adoption>), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let mut connection = arguments.connection.connection();
    let pattern = arguments.assume_role_pattern.as_ref();
    connection.role_pattern = pattern.map(|pattern| pattern.0.clone());
    connection.aws_tries = Some(AWS_TRIES);
    let auditor = Arc::new(Auditor::new(&connection));
    let order = AuditOrder {
        cloud: arguments.cloud.as_deref().map(Cloud::from),
        last_use: policy.last_use,
        discovery: policy.discovery,
        unity_catalog: policy.unity_catalog,
        who_used: arguments.who_used,
        adopt: arguments.adopt.is_some(),
    };
    let is_quiet = arguments.quiet;
    let say = move |line: String| {
        if !is_quiet {
            complain(&line);
        }
    };
    let adopts = order.adopt;
    let facts = runtime.block_on(async {
        let facts = auditor.read(order, &say).await?;
        let adoption = match adopts {
            true => Some(auditor.adopt(&facts.cloud).await),
            false => None,
        };
        Ok((facts, adoption))
    });
    // A call that hangs does not keep the command from its end.
    runtime.shutdown_background();
    facts.map_err(|why| match why {
        NoAudit::UnknownCloud => "the configured host does not say which cloud to audit: set `--cloud aws`, `gcp` or `azure`, or the host of the \
             account (`--host`)"
            .to_owned(),
        NoAudit::Failed(why) => said(&why),
    })
}

/// How a text looks: as wide as the terminal, and with colors on a terminal alone. Source of the variable: no-color.org.
fn look() -> Look {
    let variable =
        |name: &str| doors::environment::variable(name).filter(|value| !value.is_empty());
    let width = variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let is_plain = variable("NO_COLOR").is_some() || variable("TERM").as_deref() == Some("dumb");
    Look {
        width: width.unwrap_or(WIDTH),
        color: std::io::stdout().is_terminal() && !is_plain,
    }
}

fn show(report: &AuditReport, format: Shown) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        Shown::Text => out.write_all(text(report, look()).as_bytes()),
        Shown::Markdown => out.write_all(markdown(report).as_bytes()),
        Shown::Json => json(report, &mut out),
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error| format!("the report could not be shown: {error}"))
}
