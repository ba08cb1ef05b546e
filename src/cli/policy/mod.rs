//! Asking about key policies without a cloud: `policy check` for a file, `policy evaluate` for a stream of requests.

mod aws;

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use self::aws::{AwsArguments, examine};
use super::input::read;
use crate::preflight::aws::NotExamined;
use crate::preflight::{Finding, Hint, Severity, Silenced};
use crate::vocabulary::{AccountId, IdError, KeyUse, UseCase};
use kms_policy::json::{self as places, Kind, Node};
use kms_policy::{Caller, Context, Document, Identity, Part, Request, Source, authorize, evaluate};
use tfplugin::printable::{printable, printable_line};

/// Findings of severity error.
const FOUND: u8 = 1;
/// The question itself is not usable: no such file, no policy.
const UNUSABLE: u8 = 2;

/// `policy`
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Check whether key policies allow Databricks to use their keys, for pre-commit hooks.
    ///
    /// Exit code 0: they do (the output can contain warnings). 1: a policy does not. 2: a file cannot be read or is not a key policy.
    Check(Box<CheckArguments>),
    /// Evaluate requests: JSON lines on standard input, one line of JSON on standard output for each.
    ///
    /// A line is {"policy":{…},"request":{"principal":"…","action":"…","resource":"…","context":{…}}}. A context key that you leave
    /// out is absent from the request; a key with the value null is unknown. Optional members "identity_policies" (list),
    /// "permissions_boundary" and "session_policies" (list) are the caller's; without the first, the evaluation assumes that the
    /// caller's IAM policies allow everything. For an invalid line, the answer is {"error":…}, and the stream continues.
    Evaluate,
}

/// `policy check`
#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// Use case of the key: MANAGED_SERVICES, STORAGE or UNITY_CATALOG. Can be repeated.
    #[arg(long = "use-case", required = true, value_parser = of_a_key_policy)]
    use_cases: Vec<KeyUse>,
    /// ID of the Databricks account. Can be repeated.
    #[arg(long = "account-id", required = true)]
    accounts: Vec<AccountId>,
    #[command(flatten)]
    aws: AwsArguments,
    /// ID of a finding to accept. Can be repeated. A finding that makes an attach fail cannot be accepted.
    #[arg(long = "ignore")]
    ignored: Vec<Silenced>,
    /// Output format: text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// Files with key policies; `-` for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// A use case that a key policy can be for: managed disks have their key in Azure alone.
fn of_a_key_policy(text: &str) -> Result<KeyUse, String> {
    match text.parse().map_err(|error: IdError| error.to_string())? {
        KeyUse::Workspace(UseCase::ManagedDisks) => {
            Err("MANAGED_DISKS exists only on Azure; write STORAGE".to_owned())
        }
        case => Ok(case),
    }
}

/// Runs the subcommand.
pub fn run(command: &PolicyCommand) -> ExitCode {
    match command {
        PolicyCommand::Check(arguments) => check(arguments),
        PolicyCommand::Evaluate => stream(std::io::stdin().lock(), std::io::stdout().lock()),
    }
}

/// What a file came to.
struct Checked {
    file: String,
    outcome: Result<Vec<Finding>, String>,
    not_examined: Vec<NotExamined>,
}

impl Checked {
    fn of(file: &Path, arguments: &CheckArguments) -> Self {
        let name = printable_line(&file.display().to_string()).into_owned();
        let outcome = read(file).and_then(|text| {
            let parsed =
                Document::parse(&text).and_then(|policy| policy.check_limits().map(|()| policy));
            let policy = parsed.map_err(|error| error.to_string())?;
            arguments.aws.check(&arguments.use_cases)?;
            let called = if name == "-" {
                "the policy".to_owned()
            } else {
                name.clone()
            };
            examine(&policy, called, arguments)
        });
        let (outcome, not_examined) = match outcome {
            Ok((findings, not_examined)) => (Ok(findings), not_examined),
            Err(error) => (Err(error), Vec::new()),
        };
        Self {
            file: name,
            outcome,
            not_examined,
        }
    }

    fn exit_code(&self) -> u8 {
        match &self.outcome {
            Err(_) => UNUSABLE,
            Ok(findings)
                if findings
                    .iter()
                    .any(|finding| finding.severity == Severity::Error) =>
            {
                FOUND
            }
            Ok(_) => 0,
        }
    }

    fn as_text(&self) -> String {
        match &self.outcome {
            Err(error) => format!("{}: {error}", self.file),
            Ok(findings) if findings.is_empty() => {
                format!("{}: Databricks can use the key.", self.file)
            }
            Ok(findings) => findings
                .iter()
                .map(|finding| as_text(&self.file, finding))
                .collect::<Vec<_>>()
                .join("\n\n"),
        }
    }
}

fn check(arguments: &CheckArguments) -> ExitCode {
    let checked: Vec<Checked> = arguments
        .files
        .iter()
        .map(|file| Checked::of(file, arguments))
        .collect();
    let code = checked
        .iter()
        .map(Checked::exit_code)
        .max()
        .unwrap_or_default();
    for unusable in checked.iter().filter(|one| one.outcome.is_err()) {
        let _ = writeln!(std::io::stderr(), "{}", printable(&unusable.as_text()));
    }
    let usable: Vec<&Checked> = checked.iter().filter(|one| one.outcome.is_ok()).collect();
    let answer = if arguments.format == "json" {
        report(&usable, code == 0).to_string()
    } else {
        let mut parts: Vec<String> = usable.iter().map(|one| one.as_text()).collect();
        let what: BTreeSet<&str> = usable
            .iter()
            .flat_map(|one| &one.not_examined)
            .map(|one| one.what.as_str())
            .collect();
        parts.push(format!(
            "Not examined: {}. For details, use --format json.",
            what.into_iter().collect::<Vec<_>>().join("; ")
        ));
        printable(&parts.join("\n\n")).into_owned()
    };
    if !usable.is_empty() && writeln!(std::io::stdout(), "{answer}").is_err() {
        return ExitCode::from(UNUSABLE);
    }
    ExitCode::from(code)
}

/// The answer as JSON; its schema is docs/schemas/policy.schema.json.
fn report(usable: &[&Checked], ok: bool) -> Json {
    let findings = usable.iter().flat_map(|one| {
        one.outcome
            .iter()
            .flatten()
            .map(|finding| as_json(&one.file, finding))
    });
    let not_examined = usable.iter().flat_map(|one| {
        one.not_examined.iter().map(|what| {
            json!({
                "file": one.file,
                "what": what.what,
                "why": what.why,
                "how": what.how.text(in_flags),
            })
        })
    });
    json!({
        "ok": ok,
        "findings": findings.collect::<Vec<_>>(),
        "not_examined": not_examined.collect::<Vec<_>>(),
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A hint as what a person types here; `None` where the command has nothing to offer.
fn in_flags(hint: &Hint) -> Option<String> {
    match hint {
        Hint::Suppression(id) => Some(format!(
            "If you know that this is correct, accept it with `--ignore {id}`."
        )),
        Hint::NameRoleOrExcludeVolumes => {
            Some("Name the role with `--cross-account-role`.".to_owned())
        }
        _ => None,
    }
}

fn as_json(file: &str, finding: &Finding) -> Json {
    json!({
        "file": file,
        "id": finding.id.name(),
        "severity": word(finding.severity),
        "summary": finding.summary,
        "found": finding.found,
        "why": finding.why,
        "remedy": finding.remedy.text(in_flags),
    })
}

fn as_text(file: &str, finding: &Finding) -> String {
    let Finding {
        id,
        summary,
        found,
        why,
        remedy,
        ..
    } = finding;
    let remedy = remedy.text(in_flags);
    format!(
        "{file}: {}: {summary} [{id}]\n\n{found}\n\n{why}\n\n{remedy}",
        word(finding.severity)
    )
}

/// Answers line by line, until the input ends or the reader closes the pipe.
fn stream(input: impl BufRead, output: impl Write) -> ExitCode {
    let mut output = std::io::BufWriter::new(output);
    for (number, line) in input.split(b'\n').enumerate() {
        let Ok(line) = line else {
            return ExitCode::from(UNUSABLE);
        };
        // Some tools begin with a byte order mark.
        let line = match (number, line.as_slice()) {
            (0, [0xEF, 0xBB, 0xBF, rest @ ..]) => rest,
            (_, line) => line,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = match std::str::from_utf8(line) {
            Ok(line) => decide(line).unwrap_or_else(|error| json!({ "error": error })),
            Err(_) => json!({ "error": "the line is not UTF-8" }),
        };
        // A program that asks line by line waits for each answer.
        if writeln!(output, "{answer}")
            .and_then(|()| output.flush())
            .is_err()
        {
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
    let root = places::parse(line)
        .map_err(|fault| format!("column {}: {}", fault.offset + 1, fault.message))?;
    let member = |name: &str| {
        root.member(name)
            .ok_or_else(|| format!("the line has no \"{name}\""))
    };
    let (policy, asked) = (member("policy")?, member("request")?);
    // The command parses the text itself, so that an error can name the place, and it notices a key that occurs twice.
    let text = line.get(policy.span.clone()).unwrap_or_default();
    let policy = match &policy.kind {
        Kind::String(text) => Document::parse(text),
        _ => Document::parse(text),
    };
    let policy = policy.map_err(|error| format!("the policy is not valid: {error}"))?;
    let request = request(asked)?;
    let known = Known::of(&root, line)?;
    if let Some(known) = known {
        return Ok(known.decide(&policy, &request));
    }
    let decision = evaluate(&policy, &request);
    Ok(json!({
        "decision": decision.verdict.name(),
        "delegated": decision.delegated,
        "statements": names(&policy, decision.statements.iter().copied()),
        "undetermined_keys": decision.undetermined_keys,
    }))
}

fn names(policy: &Document, indexes: impl Iterator<Item = usize>) -> Vec<String> {
    indexes
        .filter_map(|index| Some(policy.statements.get(index)?.name(index)))
        .collect()
}

/// What a line says about the identity that calls.
struct Known {
    identity: Option<Vec<Document>>,
    boundary: Option<Document>,
    session: Option<Vec<Document>>,
}

impl Known {
    /// `None` where the line says nothing about it.
    fn of(root: &Node, line: &str) -> Result<Option<Self>, String> {
        let read = |node: &Node, what: &str| {
            let policy = match &node.kind {
                Kind::String(text) => Document::parse_identity(text),
                _ => Document::parse_identity(line.get(node.span.clone()).unwrap_or_default()),
            };
            policy.map_err(|error| format!("{what} is not valid: {error}"))
        };
        let list = |name: &str| match root.member(name).map(|node| &node.kind) {
            None | Some(Kind::Null) => Ok(None),
            Some(Kind::Array(elements)) => elements
                .iter()
                .enumerate()
                .map(|(index, node)| read(node, &format!("\"{name}\"[{index}]")))
                .collect::<Result<Vec<_>, _>>()
                .map(Some),
            Some(_) => Err(format!("\"{name}\" is not a list of policies")),
        };
        let boundary = match root.member("permissions_boundary") {
            Some(node) if node.kind != Kind::Null => Some(read(node, "\"permissions_boundary\"")?),
            _ => None,
        };
        let known = Self {
            identity: list("identity_policies")?,
            boundary,
            session: list("session_policies")?,
        };
        let is_silent =
            known.identity.is_none() && known.boundary.is_none() && known.session.is_none();
        Ok((!is_silent).then_some(known))
    }

    fn decide(&self, policy: &Document, request: &Request) -> Json {
        let identity = Identity {
            policies: self.identity.as_deref(),
            boundary: self.boundary.as_ref(),
            session: self.session.as_deref(),
        };
        let found = authorize(policy, identity, request);
        let of_key = found
            .statements
            .iter()
            .filter(|(source, _)| *source == Source::Key);
        let decided_by: Vec<Json> = found
            .statements
            .iter()
            .filter_map(|(source, index)| {
                let (document, name) = match source {
                    Source::Key => (Some(policy), "policy".to_owned()),
                    Source::Identity(at) => (
                        self.identity.as_ref().and_then(|all| all.get(*at)),
                        format!("identity_policies[{at}]"),
                    ),
                    Source::Boundary => (self.boundary.as_ref(), "permissions_boundary".to_owned()),
                    Source::Session(at) => (
                        self.session.as_ref().and_then(|all| all.get(*at)),
                        format!("session_policies[{at}]"),
                    ),
                };
                let statement = document?.statements.get(*index)?.name(*index);
                Some(json!({ "document": name, "statement": statement }))
            })
            .collect();
        let lacking: Vec<&str> = found
            .lacking
            .iter()
            .map(|part| match part {
                Part::Key => "policy",
                Part::Identity => "identity_policies",
                Part::Boundary => "permissions_boundary",
                Part::Session => "session_policies",
            })
            .collect();
        json!({
            "decision": found.verdict.name(),
            "delegated": found.delegated,
            "statements": names(policy, of_key.map(|(_, index)| *index)),
            "decided_by": decided_by,
            "lacking": lacking,
            "undetermined_keys": found.undetermined_keys,
        })
    }
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
                    Err(found) => {
                        return Err(format!("the context key \"{}\" holds {found}", member.name));
                    }
                }
            }
        }
        Some(_) => return Err("\"context\" of the request is not an object".to_owned()),
    }
    Ok(Request {
        caller,
        action: text("action")?,
        resource: text("resource")?,
        context,
    })
}

/// The values of a context key; `None` when they are not known.
fn values(node: &Node) -> Result<Option<Vec<String>>, &'static str> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::String(text) | Kind::Number(text) => Ok(Some(vec![text.clone()])),
        Kind::Bool(value) => Ok(Some(vec![value.to_string()])),
        Kind::Array(elements) => {
            let all: Option<Vec<Vec<String>>> =
                elements.iter().map(values).collect::<Result<_, _>>()?;
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
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[derive(clap::Parser)]
    struct Asked {
        #[command(flatten)]
        check: CheckArguments,
    }

    #[test]
    fn the_answer_is_what_its_schema_says() {
        let schema = serde_json::from_str(include_str!("../../../docs/schemas/policy.schema.json"))
            .expect("the schema is JSON");
        let file = std::env::temp_dir().join(format!("dbxcmk-policy-{}.json", std::process::id()));
        std::fs::write(&file, format!("\u{feff}{POLICY}")).expect("it is written");
        let name = file.display().to_string();
        let asked = [
            "check",
            "--use-case",
            "STORAGE",
            "--account-id",
            "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
            &name,
        ];
        let asked = <Asked as clap::Parser>::try_parse_from(asked).expect("they are arguments");
        let checked = Checked::of(&file, &asked.check);
        let answer = report(&[&checked], false);
        assert!(
            answer["findings"][0]["id"].is_string()
                && answer["not_examined"][0]["what"].is_string(),
            "{answer}"
        );
        assert_eq!(
            schemas::against(&schema, &answer, "answer"),
            Vec::<String>::new()
        );
        let missing = Checked::of(std::path::Path::new("/no/such/file"), &asked.check).as_text();
        assert_eq!(missing, "/no/such/file: there is no such file or directory");
        let _ = std::fs::remove_file(&file);
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
            (
                line("{}"),
                json!({"decision":"denied_implicit","delegated":false,"statements":[],"undetermined_keys":[]}),
            ),
            (
                line(r#"{"aws:SourceIp":null}"#),
                json!({"decision":"undetermined","delegated":false,"statements":["a"],"undetermined_keys":["aws:SourceIp"]}),
            ),
            (
                "nope".to_owned(),
                json!({"error":"column 1: expected a JSON value, found `n`"}),
            ),
            (
                line("{}").replace("\"Allow\"", "\"Maybe\""),
                json!({"error":"the policy is not valid: line 1, column 57: `Maybe` is not an effect; expected \"Allow\" or \"Deny\""}),
            ),
            (
                line("{}").replace("\"action\"", "\"act\""),
                json!({"error":"the request has no \"action\""}),
            ),
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

    /// Each row: what the line says about the identity, the decision, what decided, and what lacks.
    #[test]
    fn the_policies_of_the_identity_have_their_say() {
        let rows = [
            ("", "allowed", true, json!(null), json!(null)),
            (
                r#","identity_policies":[]"#,
                "denied_implicit",
                false,
                json!([]),
                json!(["identity_policies"]),
            ),
            (
                r#","identity_policies":[{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"kms:*","Resource":"*"}]}]"#,
                "allowed",
                false,
                json!([{"document":"policy","statement":"#1"},{"document":"identity_policies[0]","statement":"A"}]),
                json!([]),
            ),
            (
                r#","permissions_boundary":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
                "denied_implicit",
                false,
                json!([]),
                json!(["permissions_boundary"]),
            ),
            (
                r#","session_policies":[{"Version":"2012-10-17","Statement":[{"Sid":"D","Effect":"Deny","Action":"*","Resource":"*"}]}]"#,
                "denied_explicit",
                false,
                json!([{"document":"session_policies[0]","statement":"D"}]),
                json!([]),
            ),
        ];
        for (more, decision, delegated, decided_by, lacking) in rows {
            let line = format!(
                r#"{{"policy":{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"111111111111"}},"Action":"kms:*","Resource":"*"}}]}},"request":{{"principal":"arn:aws:iam::111111111111:role/r","action":"kms:Decrypt","resource":"arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"}}{more}}}"#
            );
            let answer = decide(&line).unwrap_or_default();
            assert_eq!(answer["decision"], decision, "{more}: {answer}");
            assert_eq!(answer["delegated"], delegated, "{more}: {answer}");
            assert_eq!(answer["decided_by"], decided_by, "{more}");
            assert_eq!(answer["lacking"], lacking, "{more}");
        }
        let wrong = r#"{"policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]},"request":{"principal":"111111111111","action":"kms:Decrypt","resource":"*"},"identity_policies":[{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}]}"#;
        let error = decide(wrong).err().unwrap_or_default();
        assert!(
            error.contains("\"identity_policies\"[0] is not valid")
                && error.contains("names a principal"),
            "{error}"
        );
    }
}
