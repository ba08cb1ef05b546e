//! What a report comes to: the exit code, and the four answers with which every format begins.

use super::report::{AuditReport, AuditedKey, Gravity};

/// What makes a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// An error that no exception covers.
    Error,
    /// Errors and warnings.
    Warning,
    /// What is new or got worse since the baseline.
    Worse,
    /// No finding: the exit code says only whether the audit read everything.
    Never,
}

impl FailOn {
    /// Whether a report has what this names.
    fn is_met(self, report: &AuditReport) -> bool {
        let has = |gravity| report.counting(gravity).next().is_some();
        match self {
            Self::Error => has(Gravity::Error),
            Self::Warning => has(Gravity::Error) || has(Gravity::Warning),
            Self::Worse => report.changes.iter().any(|change| change.worse),
            Self::Never => false,
        }
    }
}

/// 0: nothing to do. 1: what `fail_on` names. 3: nothing of that, and something was not read.
pub fn exit_code(report: &AuditReport, fail_on: FailOn) -> u8 {
    match (fail_on.is_met(report), report.run.complete) {
        (true, _) => 1,
        (false, false) => 3,
        (false, true) => 0,
    }
}

/// How an answer is meant. A word says it, never color alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    /// Nothing to do.
    Good,
    /// The question was not asked.
    NotAsked,
    /// It is not known, so it is not good.
    NotKnown,
    /// Something to do.
    Bad,
}

impl Mood {
    /// The word that a reader sees: `OK`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "OK",
            Self::NotAsked => "NOT ASKED",
            Self::NotKnown => "NOT KNOWN",
            Self::Bad => "ACT",
        }
    }

    /// The same for names of classes and the like.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotAsked => "not-asked",
            Self::NotKnown => "not-known",
            Self::Bad => "bad",
        }
    }
}

/// An answer to one of the four questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The question, as every format asks it.
    pub question: &'static str,
    /// How the answer is meant.
    pub mood: Mood,
    /// The answer in a sentence.
    pub answer: String,
}

/// A number of things, in the right form.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// The four answers, in their order.
pub fn headlines(report: &AuditReport) -> [Headline; 4] {
    [
        worse(report),
        danger(report),
        uncovered(report),
        unread(report),
    ]
}

fn worse(report: &AuditReport) -> Headline {
    let question = "What got worse?";
    let Some(since) = &report.run.baseline else {
        return Headline {
            question,
            mood: Mood::NotAsked,
            answer: "There is no baseline to compare with.".to_owned(),
        };
    };
    let (mood, answer) = match report.changes.iter().filter(|one| one.worse).count() {
        0 if report.run.complete => (Mood::Good, format!("Nothing since {since}.")),
        0 => (
            Mood::NotKnown,
            format!("Nothing of what could be read, since {since}."),
        ),
        number => (
            Mood::Bad,
            format!(
                "{} since {since}.",
                count(number, "thing got worse", "things got worse")
            ),
        ),
    };
    Headline {
        question,
        mood,
        answer,
    }
}

/// The keys in danger, those with the nearest date first.
pub fn endangered(report: &AuditReport) -> Vec<&AuditedKey> {
    let mut keys: Vec<&AuditedKey> = report
        .keys
        .iter()
        .filter(|key| key.is_in_danger())
        .collect();
    keys.sort_by(|one, other| {
        let of = |key: &AuditedKey| (key.until.is_none(), key.until.clone(), key.key.clone());
        of(one).cmp(&of(other))
    });
    keys
}

fn danger(report: &AuditReport) -> Headline {
    let endangered = endangered(report);
    let unknown = report.keys.iter().filter(|key| !key.is_known()).count();
    let are_listed = !report.not_read.iter().any(|one| {
        one.what.ends_with(": key configurations") || one.what.ends_with(": workspaces")
    });
    let unknown_words = match (unknown, are_listed) {
        (0, true) => String::new(),
        (0, false) => " Not every key is known.".to_owned(),
        (number, _) => format!(
            " The state of {} could not be read.",
            count(number, "key", "keys")
        ),
    };
    let all = report.counts.keys;
    let (mood, answer) = match endangered.first() {
        Some(first) => {
            let until = first
                .until
                .as_ref()
                .map(|until| format!("; the first can be saved until {until}"))
                .unwrap_or_default();
            (
                Mood::Bad,
                format!(
                    "{} of {}{until}.",
                    endangered.len(),
                    count(all, "key", "keys")
                ),
            )
        }
        None if !unknown_words.is_empty() => (
            Mood::NotKnown,
            "None of those that could be read.".to_owned(),
        ),
        None => (
            Mood::Good,
            match all {
                0 => "There are no keys.".to_owned(),
                1 => "The key is not in danger.".to_owned(),
                all => format!("None of {all} keys."),
            },
        ),
    };
    Headline {
        question: "Which key is in danger?",
        mood,
        answer: format!("{answer}{unknown_words}"),
    }
}

fn uncovered(report: &AuditReport) -> Headline {
    let counts = &report.counts;
    let locations = report
        .findings
        .iter()
        .filter(|one| one.counts() && one.id == "location-uncovered")
        .count();
    let tables = match locations {
        0 => String::new(),
        number => format!(
            " Tables lie in {} without an own key.",
            count(number, "location", "locations")
        ),
    };
    let is_unlisted = report
        .not_read
        .iter()
        .any(|one| one.what.ends_with(": workspaces"));
    let unknown = match (counts.not_known, is_unlisted) {
        (0, false) => String::new(),
        (0, true) => " Not every workspace is known.".to_owned(),
        (number, _) => format!(
            " It is not known of {}.",
            count(number, "workspace", "workspaces")
        ),
    };
    let judged = count(counts.judged, "workspace", "workspaces");
    let (mood, answer) = match (counts.uncovered, unknown.is_empty()) {
        (0, true) if locations == 0 && counts.judged == 0 => {
            (Mood::NotKnown, "No workspace was judged.".to_owned())
        }
        (0, true) if locations == 0 => (
            Mood::Good,
            format!(
                "None of the {judged} that {} judged.",
                if counts.judged == 1 { "was" } else { "were" }
            ),
        ),
        (0, true) => (
            Mood::Bad,
            match counts.judged {
                1 => "None of the workspace itself.".to_owned(),
                many => format!("None of the {many} workspaces themselves."),
            },
        ),
        (0, false) => (
            Mood::NotKnown,
            "None of those that could be judged.".to_owned(),
        ),
        (number, _) => (Mood::Bad, format!("That of {number} of {judged}.")),
    };
    Headline {
        question: "Which data is not under an own key?",
        mood,
        answer: format!("{answer}{unknown}{tables}"),
    }
}

fn unread(report: &AuditReport) -> Headline {
    let (mood, answer) = match report.not_read.len() {
        0 => (Mood::Good, "Everything was read.".to_owned()),
        number => {
            let permissions = report
                .not_read
                .iter()
                .filter(|one| one.permission.is_some())
                .count();
            let missing = match permissions {
                0 => String::new(),
                _ => format!(
                    " {} missing.",
                    match permissions {
                        1 => "1 permission is".to_owned(),
                        many => format!("{many} permissions are"),
                    }
                ),
            };
            (
                Mood::NotKnown,
                format!(
                    "{}.{missing}",
                    count(number, "thing was not read", "things were not read")
                ),
            )
        }
    };
    Headline {
        question: "What could not be read?",
        mood,
        answer,
    }
}
