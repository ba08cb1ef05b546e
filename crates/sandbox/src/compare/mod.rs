//! `dbxcmk-sandbox compare`: asks the sandbox what a recording asked the real services, and says where the answers have another form.
//!
//! What is compared are the status, the code of a refusal, the fields, their types, and the words of the services (states, kinds); not
//! names, numbers, times or sentences. A read that was repeated until something changed is repeated here, too, so the order of states is
//! compared, and the times that they took are reported beside each other.

mod form;
mod names;
mod stage;

use std::fmt;
use std::path::Path;

use recording::{Exchange, Outcome};

use self::form::Form;
use self::stage::Stage;

/// A place where the sandbox answers in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was asked: `KMS DescribeKey`, `GET /api/2.0/accounts/…/workspaces/…`.
    pub operation: String,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.what)
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many requests were asked again.
    pub compared: usize,
    /// How many reads showed the same as the same read before them, and were compared as one with it.
    pub repeated: usize,
    /// The requests that were not compared, each with the reason.
    pub passed_over: Vec<Difference>,
    /// Where the sandbox differs, each once.
    pub differences: Vec<Difference>,
    /// How long the services took from one state to another: what was asked, the states, and the seconds.
    pub delays: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = |f: &mut fmt::Formatter<'_>, title: &str, lines: &[Difference]| {
            if !lines.is_empty() {
                writeln!(f, "{title}:")?;
            }
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        section(f, "The sandbox differs", &self.differences)?;
        section(f, "Not compared", &self.passed_over)?;
        if !self.delays.is_empty() {
            writeln!(f, "How long it took in the recording:")?;
        }
        for line in &self.delays {
            writeln!(f, "  {line}")?;
        }
        writeln!(
            f,
            "{} requests compared, {} repeated reads, {} not compared, {} differences.",
            self.compared,
            self.repeated,
            self.passed_over.len(),
            self.differences.len()
        )
    }
}

/// The exchanges of a recording, in the order in which they were sent.
///
/// # Errors
/// When the directory or a file cannot be read, a line is not an exchange, or there is none at all.
pub fn load(directory: &Path) -> Result<Vec<Exchange>, String> {
    let shown = |file: &Path, error: &dyn fmt::Display| format!("{}: {error}", file.display());
    let files = doors::files::list(directory).map_err(|error| shown(directory, &error))?;
    let mut all = Vec::new();
    for file in files {
        if file
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        let text = doors::files::read_to_string(&file).map_err(|error| shown(&file, &error))?;
        all.extend(recording::read(&text).map_err(|error| shown(&file, &error))?);
    }
    if all.is_empty() {
        return Err(shown(
            directory,
            &"there is no recording: no file that ends with `.jsonl` has a line",
        ));
    }
    all.sort_by_key(|exchange| exchange.at);
    Ok(all)
}

/// Loads a recording and compares it.
///
/// # Errors
/// As [`load`], or when the system gives no runtime.
pub fn compare_directory(directory: &Path) -> Result<Report, String> {
    let exchanges = load(directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    Ok(runtime.block_on(compare(&exchanges)))
}

/// Asks a fresh sandbox the requests of a recording, in order.
pub async fn compare(exchanges: &[Exchange]) -> Report {
    let mut report = Report::default();
    let mut stage = Stage::new(exchanges);
    for (index, exchange) in exchanges.iter().enumerate() {
        let operation = operation(exchange);
        let Outcome::Answer(recorded) = &exchange.outcome else {
            report.pass_over(operation, "no answer came");
            continue;
        };
        if let Some(former) = former_read(exchanges, index)
            && former.outcome_body() == exchange.outcome_body()
        {
            report.repeated += 1;
            continue;
        }
        let Some(answer) = stage.ask(exchange, recorded).await else {
            report.pass_over(operation, "the sandbox does not have this service");
            continue;
        };
        if stage.lacks(exchange, recorded, &answer) {
            report.pass_over(operation, "the sandbox has nothing of this name");
            continue;
        }
        report.compared += 1;
        let differences = Form::of(recorded).differences(&Form::of(&answer));
        for what in differences {
            report.differ(Difference {
                operation: operation.clone(),
                what,
            });
        }
        stage.learn(recorded, &answer);
        report.delays.extend(delay(exchanges, index));
    }
    report
}

impl Report {
    fn differ(&mut self, difference: Difference) {
        if !self.differences.contains(&difference) {
            self.differences.push(difference);
        }
    }

    fn pass_over(&mut self, operation: String, why: &str) {
        let line = Difference {
            operation,
            what: why.to_owned(),
        };
        if !self.passed_over.contains(&line) {
            self.passed_over.push(line);
        }
    }
}

/// What a comparison needs of an exchange.
trait Read {
    /// Whether it changes nothing.
    fn is_read(&self) -> bool;
    /// The status and body of the answer.
    fn outcome_body(&self) -> Option<(u16, &recording::Body)>;
}

impl Read for Exchange {
    fn is_read(&self) -> bool {
        let target = self.headers.get("x-amz-target").map(String::as_str);
        let aws = target.and_then(|target| target.rsplit('.').next());
        let reads = |name: &str| {
            ["Describe", "Get", "List", "Lookup", "Simulate"]
                .iter()
                .any(|verb| name.starts_with(verb))
        };
        match (self.method.as_str(), aws) {
            ("GET" | "HEAD", _) => true,
            (_, Some(name)) => reads(name),
            _ => false,
        }
    }

    fn outcome_body(&self) -> Option<(u16, &recording::Body)> {
        match &self.outcome {
            Outcome::Answer(answer) => Some((answer.status, &answer.body)),
            Outcome::Lost(_) => None,
        }
    }
}

fn is_same_request(one: &Exchange, other: &Exchange) -> bool {
    let asks = |exchange: &Exchange| {
        (
            exchange.method.clone(),
            exchange.host.clone(),
            exchange.path.clone(),
            exchange.query.clone(),
            exchange.headers.get("x-amz-target").cloned(),
            exchange.body.clone(),
        )
    };
    asks(one) == asks(other)
}

/// The same read before this one, if nothing was written between the two.
fn former_read(exchanges: &[Exchange], index: usize) -> Option<&Exchange> {
    let own = exchanges.get(index).filter(|one| one.is_read())?;
    let before = exchanges.get(..index).unwrap_or_default().iter().rev();
    before
        .take_while(|one| one.is_read())
        .find(|one| is_same_request(one, own))
}

/// What a request is called in a report.
fn operation(exchange: &Exchange) -> String {
    if let Some((_, name)) = exchange
        .headers
        .get("x-amz-target")
        .and_then(|target| target.rsplit_once('.'))
    {
        return format!("{} {name}", stage::service(exchange).unwrap_or("AWS"));
    }
    if let recording::Body::Form(fields) = &exchange.body
        && let Some((_, action)) = fields.iter().find(|(name, _)| name == "Action")
    {
        return format!("{} {action}", stage::service(exchange).unwrap_or("AWS"));
    }
    format!(
        "{} {}",
        exchange.method,
        form::without_marks(&exchange.path)
    )
}

/// How long it took until a read showed another word of the service than the reads before it.
fn delay(exchanges: &[Exchange], index: usize) -> Option<String> {
    let own = exchanges.get(index)?;
    let former = former_read(exchanges, index)?;
    let (Outcome::Answer(now), Outcome::Answer(then)) = (&own.outcome, &former.outcome) else {
        return None;
    };
    let before = exchanges.get(..index).unwrap_or_default();
    let first = before
        .iter()
        .rev()
        .take_while(|one| one.is_read())
        .filter(|one| is_same_request(one, own) && one.outcome_body() == former.outcome_body())
        .last()?;
    let changes = Form::of(then).words_that_change(&Form::of(now));
    let seconds = own.at.saturating_sub(first.at) / 1000;
    (!changes.is_empty()).then(|| format!("{}: {changes} after {seconds} s", operation(own)))
}
