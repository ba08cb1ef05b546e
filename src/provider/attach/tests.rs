//! An attach from beginning to end, with a platform and keys in memory, on a clock that advances only while a task waits: what the
//! provider sends, how often, and what it reports.

use std::sync::Mutex;

use super::*;
use crate::preflight::azure::Question;
use crate::preflight::{Id, Stage, Subject};
use crate::provider::cache::lock;
use crate::provider::keys::AzureKeyCheck;

/// A script of answers, a letter each; after its end, the last letter repeats.
struct Script(Mutex<String>);

impl Script {
    fn of(letters: &str) -> Self {
        Self(Mutex::new(letters.to_owned()))
    }

    fn next(&self) -> char {
        let mut left = lock(&self.0);
        match left.len() {
            0 => '?',
            1 => left.chars().next().unwrap_or('?'),
            _ => left.remove(0),
        }
    }
}

/// A workspace in memory, as the account shows it (a failed one takes no change, and a change may begin late) or as Azure does.
struct Fake<const IS_ARM: bool> {
    looks: Script,
    puts: Script,
    has_long_had_all: bool,
    /// The calls of the provider, and when they came.
    calls: Mutex<Vec<(char, Duration)>>,
    begun: Instant,
}

/// What a read of a workspace shows: b(efore), w(anted), c(hanging), W(anted, and changing), f(ailed), F(ailed with the wanted value),
/// x (the read fails).
fn shown(letter: char) -> Result<Look<char>, Diagnostics> {
    match letter {
        'x' => Err(Diagnostic::error("The workspace could not be read", "no network").into()),
        letter => Ok(seen(letter)),
    }
}

fn seen(letter: char) -> Look<char> {
    let condition = match letter {
        'c' | 'W' => Condition::Changing,
        'f' | 'F' => Condition::Failed,
        _ => Condition::Ready,
    };
    Look {
        workspace: letter,
        has_all: matches!(letter, 'w' | 'W' | 'F'),
        condition,
        is_busy: condition == Condition::Changing,
        status: format!("STATUS {letter}"),
    }
}

impl<const IS_ARM: bool> Fake<IS_ARM> {
    fn note(&self, call: char) {
        lock(&self.calls).push((call, self.begun.elapsed()));
    }
}

impl<const IS_ARM: bool> Platform for Fake<IS_ARM> {
    type Workspace = char;

    const FAILED_IS_FINAL: bool = !IS_ARM;
    const KEPT_AFTER: Option<Duration> = if IS_ARM {
        Some(Duration::from_secs(60))
    } else {
        None
    };

    fn seen(&self, workspace: char) -> Look<char> {
        seen(workspace)
    }

    async fn look(&self, _: Instant) -> AsOf<Result<Look<char>, Diagnostics>> {
        let begun = Instant::now();
        let letter = self.looks.next();
        self.note(letter);
        AsOf {
            begun,
            value: shown(letter),
        }
    }

    fn has_long_had_all(&self) -> bool {
        self.has_long_had_all
    }

    /// A(ccepted), P(repared), B(usy), C(ompute), R(efused, and the key may be the reason), r(efused), L(ost).
    async fn put(&self, _: &char) -> PutOutcome {
        let letter = self.puts.next();
        self.note(letter);
        let refused = || Diagnostic::error("The keys of the workspace could not be changed", "no");
        match letter {
            'A' => PutOutcome::Accepted,
            'P' => PutOutcome::Prepared,
            'B' => PutOutcome::Busy,
            'C' => PutOutcome::Compute(Diagnostic::error(
                "Compute is running in the workspace",
                "no",
            )),
            'L' => PutOutcome::Lost(refused().into()),
            letter => PutOutcome::Refused(refused().into(), letter == 'R'),
        }
    }

    fn name(&self) -> String {
        "workspace 7".to_owned()
    }

    fn what_is_true(&self, now: &char) -> String {
        format!("The workspace shows {now}.")
    }

    fn status_message<'a>(&self, now: &'a char) -> Option<&'a str> {
        matches!(now, 'f' | 'F').then_some("no network")
    }

    fn usual_time(&self, _: &char) -> &'static str {
        " It usually takes a while."
    }
}

/// A key in memory. Its states: e(nabled), d(isabled), g(one), x (the read fails).
struct FakeKeys {
    states: Script,
    /// What the proof finds, a letter for each time: `-` nothing, `E` an error, `u` that it could not read a fact.
    proofs: Script,
    /// What it finds right before the keys are sent, in the same way; `.` where what was read is young.
    again: Script,
    forgotten: Mutex<u32>,
}

impl FakeKeys {
    fn found(letter: char) -> Vec<Vec<Finding>> {
        vec![match letter {
            'E' => vec![Id::AzurePrincipalMissing.error(Subject::Key)],
            'u' => vec![Id::PolicyUnreadable.unread(Subject::Key, Stage::Apply)],
            _ => Vec::new(),
        }]
    }
}

impl KeysInUse for FakeKeys {
    async fn state_after(&self, _: &KeyCheck, earliest: Instant) -> AsOf<Result<KeyState, String>> {
        AsOf {
            begun: earliest,
            value: match self.states.next() {
                'e' => Ok(KeyState::Enabled),
                'd' => Ok(KeyState::Disabled),
                'g' => Ok(KeyState::Other("deleted".to_owned())),
                _ => Err("no network".to_owned()),
            },
        }
    }

    async fn examine_now(&self, _: &[KeyCheck]) -> Vec<Vec<Finding>> {
        Self::found(self.proofs.next())
    }

    async fn examine_again(&self, _: &[KeyCheck], _: Instant) -> Option<Vec<Vec<Finding>>> {
        let letter = self.again.next();
        (letter != '.').then(|| Self::found(letter))
    }

    fn forget(&self, _: &KeyCheck) {
        *lock(&self.forgotten) += 1;
    }
}

/// What goes into an attach: scripts, and times in seconds.
#[derive(Clone, Copy)]
struct Given<'a> {
    before: char,
    puts: &'a str,
    looks: &'a str,
    states: &'a str,
    proofs: &'a str,
    again: &'a str,
    has_long_had_all: bool,
    timeout: u64,
    compute: u64,
    settle: u64,
    stop: Option<u64>,
}

const GIVEN: Given<'static> = Given {
    before: 'b',
    puts: "A",
    looks: "w",
    states: "e",
    proofs: "-",
    again: ".",
    has_long_had_all: false,
    timeout: 600,
    compute: 0,
    settle: 60,
    stop: None,
};

/// The outcome of an attach.
#[derive(Debug)]
struct Came {
    /// `ok`, or the summary of the error.
    outcome: String,
    detail: String,
    /// What the provider sent, a letter for each answer, and what its reads showed.
    sent: String,
    looked: String,
    /// When the provider sent its last request.
    sent_at: Option<Duration>,
    /// Since when every read has shown the wanted value at rest.
    good_since: Option<Duration>,
    elapsed: Duration,
    is_about_the_key: bool,
    was_sent: bool,
    now: char,
    warnings: Vec<String>,
    forgotten: u32,
}

fn keys() -> Result<Vec<KeyCheck>, Box<dyn std::error::Error>> {
    Ok(vec![KeyCheck::Azure(Box::new(AzureKeyCheck {
        key: "https://v.vault.azure.net/keys/k".parse()?,
        vault: None,
        question: Question::of_nobody(Stage::Apply),
        roles: None,
    }))])
}

/// Plays an attach on a clock of its own.
fn play<const IS_ARM: bool>(given: Given<'_>) -> Result<Came, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(played::<IS_ARM>(given))
}

async fn played<const IS_ARM: bool>(given: Given<'_>) -> Result<Came, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let platform = Fake::<IS_ARM> {
        looks: Script::of(given.looks),
        puts: Script::of(given.puts),
        has_long_had_all: given.has_long_had_all,
        calls: Mutex::default(),
        begun,
    };
    let reads = FakeKeys {
        states: Script::of(given.states),
        proofs: Script::of(given.proofs),
        again: Script::of(given.again),
        forgotten: Mutex::default(),
    };
    let (stop, warnings) = (CancellationToken::new(), Mutex::new(Vec::new()));
    let around = Around {
        keys: &reads,
        stop: &stop,
        warn: &|warning: Diagnostic| lock(&warnings).push(warning.summary),
    };
    let orders = Orders {
        keys: keys()?,
        deadline: Deadline::after(Duration::from_secs(given.timeout)),
        wait_for_compute: Duration::from_secs(given.compute),
        settle_time: Duration::from_secs(given.settle),
        stops: Stops::of(true, &[]),
    };
    let before = shown(given.before).map_err(|_| "what was seen before is no failed look")?;
    let attach = attach_within(&around, &platform, before, &orders);
    let interrupt = async {
        match given.stop {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let attached = tokio::select! {
        attached = attach => attached,
        () = interrupt => return Err("an interrupt has no end of its own".into()),
    };
    let calls = lock(&platform.calls).clone();
    let is_put = |one: &&(char, Duration)| "APBCRrL".contains(one.0);
    let is_good = |one: &&&(char, Duration)| one.0 == 'w';
    let good: Vec<_> = calls.iter().rev().take_while(|one| is_good(&one)).collect();
    let (outcome, detail, failure) = match attached {
        Ok(now) => ("ok".to_owned(), String::new(), (false, false, now)),
        Err(failure) => {
            let all: Vec<&Diagnostic> = failure.diagnostics.iter().collect();
            let joined = |of: fn(&Diagnostic) -> &str| -> String {
                all.iter().map(|one| of(one)).collect::<Vec<_>>().join("; ")
            };
            (
                joined(|one| &one.summary),
                joined(|one| &one.detail),
                (failure.is_about_the_key, failure.was_sent, failure.now),
            )
        }
    };
    Ok(Came {
        outcome,
        detail,
        sent: calls.iter().filter(is_put).map(|one| one.0).collect(),
        looked: calls
            .iter()
            .filter(|one| !is_put(one))
            .map(|one| one.0)
            .collect(),
        sent_at: calls.iter().rfind(is_put).map(|one| one.1),
        good_since: good.last().map(|one| one.1),
        elapsed: begun.elapsed(),
        is_about_the_key: failure.0,
        was_sent: failure.1,
        now: failure.2,
        warnings: lock(&warnings).clone(),
        forgotten: *lock(&reads.forgotten),
    })
}

/// A row: its name, the scripts, the outcome, what the provider sent, whether the workspace may have the new keys, whether the key may be
/// the reason, and how many seconds it took (from, to).
type Row<'a> = (
    &'a str,
    Given<'a>,
    &'a str,
    &'a str,
    (bool, bool),
    (u64, u64),
);

const NOT_CHANGED: &str = "The keys of the workspace could not be changed";
const REVERTED: &str = "Databricks accepted the key, then reverted to the previous one";
const GONE: &str = "The workspace no longer has the keys";
const NOT_AT_REST: &str = "The workspace was not at rest in time";
const LATE: &str = "The workspace did not show the keys in time";
const NOT_READY: &str = "The workspace could not take the keys in time";
const INTERRUPTED: &str = "Waiting for the workspace was interrupted";
const COMPUTE: &str = "Compute is running in the workspace";
const UNREAD: &str = "The workspace could not be read";
const FAILED: &str = "The workspace failed while its keys were changed";
const FAILED_BEFORE: &str = "The workspace failed before its keys were changed";
const NO_PROOF: &str = "A key became unusable before the workspace took it";
const KEY_LOST: &str = "A key became unusable while the workspace was taking it";
const ACCESS_LOST: &str = "A key lost its access rules while the workspace was taking it";

fn check<const IS_ARM: bool>(rows: &[Row<'_>]) -> Result<(), Box<dyn std::error::Error>> {
    for (name, given, outcome, sent, (was_sent, is_about_the_key), (from, to)) in rows {
        let came = play::<IS_ARM>(*given)?;
        let name = format!("{name}, Azure: {IS_ARM}: {came:?}");
        assert_eq!(
            (came.outcome.as_str(), came.sent.as_str()),
            (*outcome, *sent),
            "{name}"
        );
        assert_eq!(
            (came.was_sent, came.is_about_the_key),
            (*was_sent, *is_about_the_key),
            "{name}"
        );
        let seconds = came.elapsed.as_secs();
        assert!((*from..=*to).contains(&seconds), "{seconds} s: {name}");
    }
    Ok(())
}

/// What both platforms have in common.
#[test]
fn what_is_missing_is_sent_once_and_watched_until_it_stays()
-> Result<(), Box<dyn std::error::Error>> {
    let rows: &[Row<'_>] = &[
        (
            "it is there at once, and stays",
            GIVEN,
            "ok",
            "A",
            (false, false),
            (60, 62),
        ),
        (
            "it shows late",
            Given {
                looks: "bbbbw",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (62, 75),
        ),
        (
            "the workspace changes until it has it",
            Given {
                looks: "cccWWw",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (65, 85),
        ),
        (
            "what the keys need is made first, and the keys are sent after a new proof",
            Given {
                puts: "PA",
                looks: "bw",
                again: ".-",
                ..GIVEN
            },
            "ok",
            "PA",
            (false, false),
            (60, 65),
        ),
        (
            "the proof no longer holds once it is made",
            Given {
                puts: "PA",
                looks: "b",
                again: ".E",
                ..GIVEN
            },
            NO_PROOF,
            "P",
            (false, true),
            (0, 5),
        ),
        (
            "it is not to be watched",
            Given { settle: 0, ..GIVEN },
            "ok",
            "A",
            (false, false),
            (0, 3),
        ),
        (
            "a read that fails now and then is no reason to look away",
            Given {
                looks: "xwxxwxw",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (60, 75),
        ),
        (
            "three reads in a row that fail are",
            Given {
                looks: "wwxxx",
                ..GIVEN
            },
            UNREAD,
            "A",
            (true, false),
            (0, 10),
        ),
        (
            "a revert while it settles",
            Given {
                looks: "wwwwbbb",
                ..GIVEN
            },
            REVERTED,
            "A",
            (true, true),
            (1, 30),
        ),
        (
            "a revert after it changed, without ever showing",
            Given {
                looks: "ccbbb",
                ..GIVEN
            },
            "",
            "A",
            (true, true),
            (0, 10),
        ),
        (
            "one old read while it settles is no revert",
            Given {
                looks: "wwwwbw",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (60, 75),
        ),
        (
            "it goes back and forth until the time is over",
            Given {
                looks: &"wb".repeat(1000),
                timeout: 30,
                ..GIVEN
            },
            LATE,
            "A",
            (true, false),
            (30, 45),
        ),
        (
            "a workspace that fails with the change",
            Given {
                looks: "cf",
                ..GIVEN
            },
            FAILED,
            "A",
            (true, true),
            (0, 3),
        ),
        (
            "a workspace that changes for too long",
            Given {
                looks: "c",
                timeout: 100,
                ..GIVEN
            },
            LATE,
            "A",
            (true, false),
            (100, 110),
        ),
        (
            "another update is under way first",
            Given {
                before: 'c',
                looks: "ccbw",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (67, 72),
        ),
        (
            "another update is under way, and is refused once",
            Given {
                puts: "BBA",
                looks: "bbw",
                ..GIVEN
            },
            "ok",
            "BBA",
            (false, false),
            (63, 66),
        ),
        (
            "another update is under way for too long",
            Given {
                puts: "B",
                looks: "b",
                timeout: 100,
                ..GIVEN
            },
            NOT_READY,
            "BBBBBBBB",
            (false, false),
            (100, 100),
        ),
        (
            "what an earlier run has sent arrives, and is watched as well",
            Given {
                before: 'c',
                looks: "ccw",
                ..GIVEN
            },
            "ok",
            "",
            (false, false),
            (63, 72),
        ),
        (
            "what an earlier run has sent is reverted while this one watches",
            Given {
                before: 'c',
                looks: "ccwwwwbbb",
                ..GIVEN
            },
            REVERTED,
            "",
            (false, true),
            (3, 40),
        ),
        (
            "the workspace has all: it is looked at three times, and nothing is sent",
            Given {
                before: 'w',
                ..GIVEN
            },
            "ok",
            "",
            (false, false),
            (0, 3),
        ),
        (
            "the workspace has long had all",
            Given {
                before: 'w',
                looks: "",
                has_long_had_all: true,
                ..GIVEN
            },
            "ok",
            "",
            (false, false),
            (0, 0),
        ),
        (
            "others saw it arrive, and this run waited for it: it is watched",
            Given {
                before: 'c',
                looks: "ccw",
                has_long_had_all: true,
                ..GIVEN
            },
            "ok",
            "",
            (false, false),
            (63, 72),
        ),
        (
            "the workspace had all, and has not any more",
            Given {
                before: 'w',
                looks: "wbbb",
                ..GIVEN
            },
            GONE,
            "",
            (false, true),
            (0, 5),
        ),
        (
            "the workspace had all, and another update does not end",
            Given {
                before: 'w',
                looks: "W",
                timeout: 100,
                ..GIVEN
            },
            NOT_AT_REST,
            "",
            (false, false),
            (100, 110),
        ),
        (
            "the workspace had all, and the run is interrupted",
            Given {
                before: 'w',
                looks: "W",
                stop: Some(5),
                ..GIVEN
            },
            INTERRUPTED,
            "",
            (false, false),
            (5, 5),
        ),
        (
            "the workspace had all, and cannot be read",
            Given {
                before: 'w',
                looks: "x",
                ..GIVEN
            },
            UNREAD,
            "",
            (false, false),
            (0, 5),
        ),
        (
            "the time was over before it was sent",
            Given {
                timeout: 0,
                ..GIVEN
            },
            NOT_READY,
            "",
            (false, false),
            (0, 0),
        ),
        (
            "refused, perhaps for the key",
            Given {
                puts: "R",
                looks: "",
                ..GIVEN
            },
            NOT_CHANGED,
            "R",
            (false, true),
            (0, 0),
        ),
        (
            "refused, not for the key",
            Given {
                puts: "r",
                looks: "",
                ..GIVEN
            },
            NOT_CHANGED,
            "r",
            (false, false),
            (0, 0),
        ),
        (
            "an answer that is lost, and the workspace has all",
            Given { puts: "L", ..GIVEN },
            "ok",
            "L",
            (false, false),
            (60, 62),
        ),
        (
            "an answer that is lost, and the workspace goes back",
            Given {
                puts: "L",
                looks: "wwwwbbb",
                ..GIVEN
            },
            REVERTED,
            "L",
            (true, true),
            (0, 20),
        ),
        (
            "an answer that is lost, and the workspace shows nothing of it",
            Given {
                puts: "L",
                looks: "b",
                ..GIVEN
            },
            NOT_CHANGED,
            "L",
            (true, false),
            (0, 0),
        ),
        (
            "an answer that is lost, and the workspace cannot be read",
            Given {
                puts: "L",
                looks: "x",
                ..GIVEN
            },
            NOT_CHANGED,
            "L",
            (true, false),
            (0, 0),
        ),
        (
            "the key loses its access before anything is sent",
            Given {
                again: "E",
                ..GIVEN
            },
            NO_PROOF,
            "",
            (false, true),
            (0, 0),
        ),
        (
            "the proof is made again, and holds",
            Given {
                again: "-",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (60, 62),
        ),
        (
            "the key loses its access while compute runs",
            Given {
                puts: "CCCA",
                looks: "bbbw",
                compute: 120,
                again: "..E",
                ..GIVEN
            },
            NO_PROOF,
            "CC",
            (false, true),
            (3, 4),
        ),
        (
            "the key cannot be read any more while another update is under way",
            Given {
                puts: "BA",
                looks: "bw",
                again: ".u",
                ..GIVEN
            },
            NO_PROOF,
            "B",
            (false, true),
            (1, 2),
        ),
        (
            "compute runs, and is not waited for",
            Given {
                puts: "C",
                looks: "",
                ..GIVEN
            },
            COMPUTE,
            "C",
            (false, false),
            (0, 0),
        ),
        (
            "compute runs, and stops",
            Given {
                puts: "CCCA",
                looks: "bbbw",
                compute: 120,
                ..GIVEN
            },
            "ok",
            "CCCA",
            (false, false),
            (67, 72),
        ),
        (
            "compute runs on",
            Given {
                puts: "C",
                looks: "b",
                compute: 20,
                ..GIVEN
            },
            COMPUTE,
            "CCCCCC",
            (false, false),
            (20, 20),
        ),
        (
            "compute runs on, and the time is over before the wait for it",
            Given {
                puts: "C",
                looks: "b",
                compute: 1000,
                timeout: 20,
                ..GIVEN
            },
            NOT_READY,
            "CCCCC",
            (false, false),
            (20, 20),
        ),
        (
            "the workspace cannot be read any more while it is waited for",
            Given {
                puts: "B",
                looks: "x",
                ..GIVEN
            },
            UNREAD,
            "B",
            (false, false),
            (1, 1),
        ),
        (
            "interrupted before anything was sent",
            Given {
                puts: "B",
                looks: "b",
                stop: Some(5),
                ..GIVEN
            },
            INTERRUPTED,
            "BBB",
            (false, false),
            (5, 5),
        ),
        (
            "interrupted before it showed",
            Given {
                looks: "b",
                stop: Some(5),
                ..GIVEN
            },
            INTERRUPTED,
            "A",
            (true, false),
            (5, 5),
        ),
        (
            "interrupted while it settles: it is attached",
            Given {
                stop: Some(20),
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (20, 20),
        ),
        (
            "the key is disabled while it settles",
            Given {
                states: "eeed",
                ..GIVEN
            },
            KEY_LOST,
            "A",
            (true, true),
            (0, 60),
        ),
        (
            "the key cannot be read for a while",
            Given {
                states: "xxe",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (60, 62),
        ),
        (
            "the key loses its access while it settles",
            Given {
                proofs: "E",
                ..GIVEN
            },
            ACCESS_LOST,
            "A",
            (true, true),
            (60, 62),
        ),
        (
            "what cannot be read of the access is not lost",
            Given {
                proofs: "u",
                ..GIVEN
            },
            "ok",
            "A",
            (false, false),
            (60, 62),
        ),
        (
            "a workspace that had all is not kept from it by its key",
            Given {
                before: 'w',
                states: "d",
                proofs: "E",
                ..GIVEN
            },
            "ok",
            "",
            (false, false),
            (0, 3),
        ),
    ];
    for row in rows {
        let (name, given, outcome, sent, flags, times) = *row;
        let arm = match outcome {
            "" => "The workspace is as it was before the change",
            outcome => outcome,
        };
        let account = match outcome {
            "" => REVERTED,
            outcome => outcome,
        };
        check::<false>(&[(name, given, account, sent, flags, times)])?;
        check::<true>(&[(name, given, arm, sent, flags, times)])?;
    }
    Ok(())
}

/// How the account differs from Azure: a failed workspace accepts no change, and a change may begin late.
#[test]
fn the_platforms_differ_in_what_a_failed_or_a_quiet_workspace_means()
-> Result<(), Box<dyn std::error::Error>> {
    let fails = Given {
        before: 'c',
        looks: "cfw",
        ..GIVEN
    };
    let quiet = Given {
        looks: "b",
        ..GIVEN
    };
    check::<false>(&[
        (
            "another update fails",
            fails,
            FAILED_BEFORE,
            "",
            (false, false),
            (3, 3),
        ),
        (
            "nothing of it shows",
            quiet,
            LATE,
            "A",
            (true, false),
            (600, 620),
        ),
    ])?;
    check::<true>(&[
        (
            "another update fails, and the next one mends it",
            fails,
            "ok",
            "A",
            (false, false),
            (63, 66),
        ),
        (
            "nothing of it shows",
            quiet,
            "The workspace is as it was before the change",
            "A",
            (true, true),
            (60, 75),
        ),
    ])
}

/// Each row: the scripts, and pieces of the error.
#[test]
fn what_is_said_has_the_truth_and_the_advice() -> Result<(), Box<dyn std::error::Error>> {
    let rows: &[(Given<'_>, &[&str])] = &[
        (
            Given {
                looks: "wwwwbbb",
                ..GIVEN
            },
            &[
                "The workspace shows b.",
                "It showed the new keys after ",
                "Last seen: ",
                "Fix the cause and apply again.",
            ],
        ),
        (
            Given {
                looks: "b",
                timeout: 30,
                ..GIVEN
            },
            &[
                "The workspace shows b.",
                "The provider waited 30s.",
                "may still carry it out",
                "set `timeouts`",
                "It usually takes a while.",
            ],
        ),
        (
            Given {
                looks: "cf",
                ..GIVEN
            },
            &[
                "The workspace shows f.",
                "Databricks says: \"no network\".",
                "does not recover by itself",
            ],
        ),
        (
            Given {
                before: 'c',
                looks: "f",
                ..GIVEN
            },
            &[
                "The workspace shows f.",
                "Databricks says: \"no network\".",
                "this run changed nothing",
            ],
        ),
        (
            Given {
                puts: "B",
                looks: "b",
                timeout: 3,
                ..GIVEN
            },
            &[
                "For 3s, another update of the workspace is under way.",
                "No key was changed.",
            ],
        ),
        (
            Given {
                before: 'c',
                looks: "c",
                timeout: 3,
                ..GIVEN
            },
            &["For 3s, the workspace is STATUS c.", "No key was changed."],
        ),
        (
            Given { puts: "C", ..GIVEN },
            &["set for example `wait_for_compute = \"30m\"`"],
        ),
        (
            Given {
                puts: "C",
                looks: "b",
                compute: 3,
                ..GIVEN
            },
            &["The provider waited 3s for the compute to stop"],
        ),
        (
            Given {
                puts: "B",
                looks: "b",
                stop: Some(1),
                ..GIVEN
            },
            &[
                "The workspace shows b.",
                "This run changed no key. Apply again.",
            ],
        ),
        (
            Given {
                looks: "b",
                stop: Some(1),
                ..GIVEN
            },
            &[
                "The workspace shows b.",
                "carries it out without Terraform. Apply again",
            ],
        ),
        (
            Given {
                looks: "x",
                ..GIVEN
            },
            &[
                "Databricks accepted the keys for workspace 7",
                "does not send the request again",
                "no network",
            ],
        ),
        (
            Given {
                timeout: 0,
                ..GIVEN
            },
            &[
                "For 0s, the provider waited for the proof and for other changes",
                "No key was changed.",
            ],
        ),
        (
            Given {
                before: 'w',
                looks: "wbbb",
                ..GIVEN
            },
            &[
                "The workspace shows b.",
                "so the provider sent nothing",
                "Apply again to attach them.",
            ],
        ),
        (
            Given {
                before: 'w',
                looks: "W",
                timeout: 9,
                ..GIVEN
            },
            &[
                "The provider waited 9s.",
                "so the provider sent nothing",
                "another update of the workspace is under way",
            ],
        ),
        (
            Given {
                before: 'w',
                looks: "x",
                ..GIVEN
            },
            &["could not confirm that they stay", "no network"],
        ),
        (
            Given {
                states: "d",
                ..GIVEN
            },
            &[
                "The key https://v.vault.azure.net/keys/k is in the state Disabled",
                "dbxcmk key restore https://v.vault.azure.net/keys/k",
            ],
        ),
        (
            Given {
                states: "g",
                ..GIVEN
            },
            &["is in the state deleted", "The key no longer exists"],
        ),
        (
            Given {
                proofs: "E",
                ..GIVEN
            },
            &[
                "The access rules of https://v.vault.azure.net/keys/k no longer let Databricks use the key",
            ],
        ),
    ];
    for (given, pieces) in rows {
        let came = play::<false>(*given)?;
        for piece in *pieces {
            assert!(came.detail.contains(piece), "{piece}: {}", came.detail);
        }
    }
    Ok(())
}

/// Each row: the scripts, and the warnings of an attach that succeeds all the same.
#[test]
fn what_is_not_sure_of_a_done_attach_is_a_warning() -> Result<(), Box<dyn std::error::Error>> {
    let rows: &[(Given<'_>, &[&str])] = &[
        (GIVEN, &[]),
        (
            Given {
                stop: Some(20),
                ..GIVEN
            },
            &["The new key may not be in full effect yet: workspace 7"],
        ),
        (
            Given {
                states: "x",
                ..GIVEN
            },
            &["The state of a key could not be read at the end of `settle_time`: workspace 7"],
        ),
        (
            Given {
                states: "xxe",
                ..GIVEN
            },
            &[],
        ),
        // The provider sent nothing, so it does not watch the key.
        (
            Given {
                before: 'w',
                states: "x",
                ..GIVEN
            },
            &[],
        ),
    ];
    for (given, warnings) in rows {
        let came = play::<true>(*given)?;
        assert_eq!(came.outcome, "ok");
        assert_eq!(came.warnings, *warnings);
    }
    Ok(())
}

/// Every way in which a workspace may answer, in short scripts: these rules hold for each.
#[test]
fn whatever_a_workspace_answers() -> Result<(), Box<dyn std::error::Error>> {
    let letters = ["b", "w", "c", "W", "f", "x"];
    let mut scripts: Vec<String> = letters.map(str::to_owned).to_vec();
    for first in letters {
        scripts.extend(letters.map(|second| format!("{first}{second}")));
    }
    let often = ["b", "w", "c", "x"];
    for first in often {
        for second in often {
            let row = |third| format!("{first}{first}{second}{second}{second}{third}");
            scripts.extend(often.map(row));
        }
    }
    for before in ['b', 'w', 'c', 'f', 'W'] {
        for puts in ["A", "BA", "C", "R", "L"] {
            for looks in &scripts {
                let given = Given {
                    before,
                    puts,
                    looks,
                    compute: 10,
                    timeout: 100,
                    ..GIVEN
                };
                holds(given, &play::<false>(given)?, false);
                holds(given, &play::<true>(given)?, true);
            }
        }
    }
    Ok(())
}

fn holds(given: Given<'_>, came: &Came, is_arm: bool) {
    let Given {
        before,
        puts,
        looks,
        ..
    } = given;
    let name = format!("{before} {puts} {looks}, Azure: {is_arm}: {came:?}");
    let is_ok = came.outcome == "ok";
    let (taken, lost) = (came.sent.contains('A'), came.sent.contains('L'));
    // The provider does not send a request again that the platform accepted, or may have.
    assert!(
        came.sent.matches(['A', 'L', 'R', 'r']).count() <= 1,
        "{name}"
    );
    assert!(
        !came.sent.contains(['A', 'L', 'R', 'r']) || came.sent.ends_with(['A', 'L', 'R', 'r']),
        "{name}"
    );
    // The provider sends nothing to a workspace that has all keys, or that is busy.
    if matches!(before, 'w' | 'W') {
        assert_eq!(came.sent, "", "{name}");
    }
    // Success means: the last read shows the workspace at rest with the keys, and so did every read of the settle time.
    if is_ok {
        assert_eq!(came.looked.chars().next_back(), Some('w'), "{name}");
        assert!(came.looked.ends_with("www"), "{name}");
        let held = came.good_since.map(|since| came.elapsed - since);
        // One old read in between does not restart the settle time.
        let is_steady = !came.looked.trim_end_matches('w').contains(['w', 'W']);
        if !matches!(before, 'w' | 'W') && is_steady {
            assert!(held >= Some(Duration::from_secs(60)), "{held:?} {name}");
        }
        assert!(!came.sent.contains(['R', 'r']), "{name}");
    } else {
        assert!(
            !came.outcome.is_empty() && !came.detail.is_empty(),
            "{name}"
        );
        // The caller learns whether the workspace may have the keys.
        assert_eq!(came.was_sent, taken || lost, "{name}");
        // The message rests on the last read that did not fail.
        let seen = came
            .looked
            .chars()
            .rfind(|look| *look != 'x')
            .unwrap_or(before);
        assert_eq!(came.now, seen, "{name}");
        assert_eq!(came.forgotten > 0, came.is_about_the_key, "{name}");
    }
    // It ends: within the deadline, the settle time, and what the watch adds to that.
    assert!(
        came.elapsed <= Duration::from_secs(100 + 60 + 60 + 30),
        "{name}"
    );
    if let Some(at) = came.sent_at {
        assert!(at <= Duration::from_secs(100), "{name}");
    }
}
