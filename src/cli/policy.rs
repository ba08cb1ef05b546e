//! Asking about key policies without a cloud: `policy check` for a file, `policy evaluate` for a stream of requests.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use super::input::read;
use crate::policy::json::{self as places, Kind, Node};
use crate::policy::principal::{Caller, Principal};
use crate::policy::{Context, Document, Request, Verdict, evaluate};
use crate::preflight::key::{Question, judge};
use crate::preflight::{Fact, Finding, KeyDescription, KeyFacts, PolicySource, Severity, Stage};
use crate::requirements::aws::{Deployment, Usage};
use crate::vocabulary::{AccountId, KeyArn, RoleArn, UseCase};

/// Findings of severity error.
const FOUND: u8 = 1;
/// The question itself is not usable: no such file, no policy.
const UNUSABLE: u8 = 2;

/// `policy`
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say whether a key policy lets Databricks use its key, for pre-commit hooks.
    ///
    /// Exit code 0: it does (warnings may have been printed). 1: it does not. 2: the file cannot be read or is no key policy.
    Check(Box<Check>),
    /// Decide requests: JSON lines on standard input, one answer a line on standard output.
    ///
    /// A line reads {"policy":{…},"request":{"principal":"…","action":"…","resource":"…","context":{…}}}. A context key that is
    /// absent counts as absent from the request, a value of null as not known. The caller's own IAM is taken to allow
    /// everything. A line that cannot be decided answers {"error":…}, and the stream goes on.
    Evaluate,
}

/// `policy check`
#[derive(Debug, clap::Args)]
pub struct Check {
    /// What the key is to be used for: MANAGED_SERVICES or STORAGE; can be given twice.
    #[arg(long = "use-case", required = true)]
    use_cases: Vec<UseCase>,
    /// The Databricks account; can be given more than once.
    #[arg(long = "account-id", required = true)]
    accounts: Vec<AccountId>,
    /// The role with which Databricks launches clusters, to check cluster volumes as well.
    #[arg(long)]
    cross_account_role: Option<RoleArn>,
    /// The key; without it, the one that the policy names, or any.
    #[arg(long)]
    key_arn: Option<KeyArn>,
    /// The Databricks deployment: commercial, govcloud or dod.
    #[arg(long, default_value = "commercial", value_parser = deployment)]
    deployment: Deployment,
    /// Whether the storage grants of older documentation are needed, too.
    #[arg(long)]
    grants: bool,
    /// How to answer: text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// The policy; `-` for standard input.
    file: PathBuf,
}

fn deployment(text: &str) -> Result<Deployment, String> {
    match text {
        "commercial" => Ok(Deployment::Commercial),
        "govcloud" => Ok(Deployment::GovCloud),
        "dod" => Ok(Deployment::Dod),
        other => Err(format!("`{other}` is not commercial, govcloud or dod")),
    }
}

/// Runs the subcommand.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Check(arguments) => check(arguments),
        Command::Evaluate => stream(std::io::stdin().lock(), std::io::stdout().lock()),
    }
}

fn check(arguments: &Check) -> ExitCode {
    let unusable = |message: String| {
        let _ = writeln!(std::io::stderr(), "{}: {message}", arguments.file.display());
        ExitCode::from(UNUSABLE)
    };
    let text = match read(&arguments.file) {
        Ok(text) => text,
        Err(error) => return unusable(error.to_string()),
    };
    let policy = match Document::parse(&text).and_then(|policy| policy.check_limits().map(|()| policy)) {
        Ok(policy) => policy,
        Err(error) => return unusable(error.to_string()),
    };
    let Some(key) = arguments.key_arn.clone().or_else(|| key_of(&policy, arguments)) else {
        return unusable("no key could be made up for it; name one with --key-arn".to_owned());
    };
    let findings = findings(&policy, &key, arguments);
    let bad = findings.iter().any(|finding| finding.severity == Severity::Error);
    let answer = match arguments.format.as_str() {
        "json" => {
            let all: Vec<Json> = findings.iter().map(as_json).collect();
            json!({ "ok": !bad, "findings": all }).to_string()
        }
        _ if findings.is_empty() => format!("{}: Databricks can use the key.", arguments.file.display()),
        _ => findings.iter().map(as_text).collect::<Vec<_>>().join("\n\n"),
    };
    if writeln!(std::io::stdout(), "{answer}").is_err() {
        return ExitCode::from(UNUSABLE);
    }
    if bad { ExitCode::from(FOUND) } else { ExitCode::SUCCESS }
}

fn findings(policy: &Document, key: &KeyArn, arguments: &Check) -> Vec<Finding> {
    let facts = KeyFacts {
        arn: key.clone(),
        // A file says nothing about the key itself: it is taken to be a good one.
        description: Fact::Known(KeyDescription::good()),
        policy: Fact::Known(policy.text().to_owned()),
        policy_source: PolicySource::Live,
        grants: Fact::Known(Vec::new()),
        rotates: Fact::Known(true),
    };
    let usage = Usage {
        deployment: arguments.deployment,
        accounts: arguments.accounts.clone(),
        use_cases: arguments.use_cases.clone(),
        grants: arguments.grants,
        cross_account_role: arguments.cross_account_role.clone(),
    };
    judge(&facts, &Question { usage, cluster_volumes: false, stage: Stage::Plan })
}

/// The key that a policy is for, as far as it says so: the one that it names, or some key of an account that it names.
fn key_of(policy: &Document, arguments: &Check) -> Option<KeyArn> {
    let resources = policy.statements.iter().flat_map(|statement| &statement.resources.items);
    if let Some(key) = resources.into_iter().find_map(|resource| resource.parse::<KeyArn>().ok()) {
        return Some(key);
    }
    let principals = policy.statements.iter().flat_map(|statement| &statement.principals.items);
    let account = principals
        .filter_map(Principal::account)
        .find(|account| *account != arguments.deployment.account())
        .or_else(|| arguments.cross_account_role.as_ref().map(RoleArn::account))
        .unwrap_or("000000000000");
    let (partition, region) = match arguments.deployment {
        Deployment::Commercial => ("aws", "us-east-1"),
        Deployment::GovCloud | Deployment::Dod => ("aws-us-gov", "us-gov-west-1"),
    };
    format!("arn:{partition}:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000").parse().ok()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn as_json(finding: &Finding) -> Json {
    json!({
        "id": finding.id.name(),
        "severity": word(finding.severity),
        "summary": finding.summary,
        "found": finding.found,
        "why": finding.why,
        "remedy": finding.remedy,
    })
}

fn as_text(finding: &Finding) -> String {
    let Finding { id, summary, found, why, remedy, .. } = finding;
    format!("{}: {summary} [{id}]\n\n{found}\n\n{why}\n\n{remedy}", word(finding.severity))
}

/// Answers line by line, until the input ends or nobody reads the answers any more.
fn stream(input: impl BufRead, output: impl Write) -> ExitCode {
    let mut output = std::io::BufWriter::new(output);
    for line in input.split(b'\n') {
        let Ok(line) = line else { return ExitCode::from(UNUSABLE) };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = match std::str::from_utf8(&line) {
            Ok(line) => decide(line).unwrap_or_else(|error| json!({ "error": error })),
            Err(_) => json!({ "error": "the line is not UTF-8" }),
        };
        // Whoever asks line by line waits for each answer.
        if writeln!(output, "{answer}").and_then(|()| output.flush()).is_err() {
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::SUCCESS
}

/// The answer to one line of `policy evaluate`.
///
/// # Errors
/// What is wrong with the line, for a person.
pub fn decide(line: &str) -> Result<Json, String> {
    let root = places::parse(line).map_err(|fault| format!("column {}: {}", fault.offset + 1, fault.message))?;
    let member = |name: &str| root.member(name).ok_or_else(|| format!("the line has no \"{name}\""));
    let (policy, asked) = (member("policy")?, member("request")?);
    // The text itself is read, so that an error can name the place and a key that occurs twice is seen.
    let text = line.get(policy.span.clone()).unwrap_or_default();
    let policy = match &policy.kind {
        Kind::String(text) => Document::parse(text),
        _ => Document::parse(text),
    };
    let policy = policy.map_err(|error| format!("the policy is not valid: {error}"))?;
    let decision = evaluate(&policy, &request(asked)?);
    let decided = match decision.verdict {
        Verdict::Allowed => "allowed",
        Verdict::DeniedExplicitly => "denied_explicit",
        Verdict::DeniedImplicitly => "denied_implicit",
        Verdict::Undetermined => "undetermined",
    };
    let name = |index: &usize| {
        let statement = policy.statements.get(*index);
        statement.and_then(|statement| statement.sid.clone()).unwrap_or_else(|| format!("#{}", index + 1))
    };
    Ok(json!({
        "decision": decided,
        "delegated": decision.delegated,
        "statements": decision.statements.iter().map(name).collect::<Vec<_>>(),
        "undetermined_keys": decision.undetermined_keys,
    }))
}

fn request(asked: &Node) -> Result<Request, String> {
    let text = |name: &str| match asked.member(name).map(|node| &node.kind) {
        Some(Kind::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("\"{name}\" of the request is not a string")),
        None => Err(format!("the request has no \"{name}\"")),
    };
    let caller = Caller::parse(&text("principal")?).map_err(|error| error.to_string())?;
    let mut context = Context::closed();
    match asked.member("context").map(|node| &node.kind) {
        None | Some(Kind::Null) => {}
        Some(Kind::Object(members)) => {
            for member in members {
                match values(&member.value) {
                    Ok(Some(values)) => context.set(&member.name, values),
                    Ok(None) => context.set_unknown(&member.name),
                    Err(found) => return Err(format!("the context key \"{}\" holds {found}", member.name)),
                }
            }
        }
        Some(_) => return Err("\"context\" of the request is not an object".to_owned()),
    }
    Ok(Request { caller, action: text("action")?, resource: text("resource")?, context })
}

/// The values of a context key; `None` when they are not known.
fn values(node: &Node) -> Result<Option<Vec<String>>, &'static str> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::String(text) | Kind::Number(text) => Ok(Some(vec![text.clone()])),
        Kind::Bool(value) => Ok(Some(vec![value.to_string()])),
        Kind::Array(elements) => {
            let all: Option<Vec<Vec<String>>> = elements.iter().map(values).collect::<Result<_, _>>()?;
            Ok(all.map(|all| all.into_iter().flatten().collect()))
        }
        Kind::Object(_) => Err(node.describe()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(lines: &str) -> Vec<Json> {
        let mut output = Vec::new();
        stream(lines.as_bytes(), &mut output);
        let text = String::from_utf8(output).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Sid":"a","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:SourceIp":"x"}}}}"#;

    fn line(context: &str) -> String {
        format!(
            "{{\"policy\":{POLICY},\"request\":{{\"principal\":\"arn:aws:iam::123456789012:role/r\",\"action\":\"kms:Decrypt\",\"resource\":\"arn:aws:kms:eu-central-1:123456789012:key/k\",\"context\":{context}}}}}"
        )
    }

    #[test]
    fn each_line_gets_its_answer_and_the_stream_goes_on() {
        let rows = [
            (
                line(r#"{"aws:SourceIp":"x"}"#),
                json!({"decision":"allowed","delegated":true,"statements":["a"],"undetermined_keys":[]}),
            ),
            (line("{}"), json!({"decision":"denied_implicit","delegated":false,"statements":[],"undetermined_keys":[]})),
            (
                line(r#"{"aws:SourceIp":null}"#),
                json!({"decision":"undetermined","delegated":false,"statements":["a"],"undetermined_keys":["aws:SourceIp"]}),
            ),
            ("nope".to_owned(), json!({"error":"column 1: expected a JSON value, found `n`"})),
            (
                line("{}").replace("\"Allow\"", "\"Maybe\""),
                json!({"error":"the policy is not valid: line 1, column 57: `Maybe` is no effect; expected \"Allow\" or \"Deny\""}),
            ),
            (line("{}").replace("\"action\"", "\"act\""), json!({"error":"the request has no \"action\""})),
            (
                line(r#"{"aws:SourceIp":["y","x"]}"#),
                json!({"decision":"allowed","delegated":true,"statements":["a"],"undetermined_keys":[]}),
            ),
        ];
        let lines: Vec<&str> = rows.iter().map(|(line, _)| line.as_str()).collect();
        let found = answers(&lines.join("\n"));
        assert_eq!(found.len(), rows.len());
        for ((line, expected), found) in rows.iter().zip(found) {
            assert_eq!(&found, expected, "{line}");
        }
    }
}
