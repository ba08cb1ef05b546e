//! When a proof rests on an earlier read, when it waits for a key policy, and when the provider makes it again: with a service in memory.

use std::sync::Mutex;
use std::time::Duration;

use super::super::policy_progress::PolicyStep;
use super::*;
use crate::preflight::{Fact, Id, Subject};
use crate::provider::cache::{Staged, lock};
use crate::vocabulary::azure::{AzureNameError, VaultKeyId};

/// An examiner that answers from a table. Findings are a letter each: `E` an error, `w` a warning, `-` nothing.
struct Fake {
    /// What each examination finds, a letter for each case.
    finds: [&'static str; 2],
    /// Whether the run read a fact for each case before, a letter each: `y` or `n`.
    was_read: &'static str,
    /// Whether dropping the reads of a case drops one, a letter each: `y` or `n`.
    forgets: &'static str,
    times: Mutex<usize>,
    asked: Mutex<usize>,
    forgot: Mutex<usize>,
}

impl Fake {
    fn letter(letters: &str, at: &Mutex<usize>) -> bool {
        let mut at = lock(at);
        let is_so = letters.chars().nth(*at) == Some('y');
        *at += 1;
        is_so
    }
}

impl Examiner for Fake {
    type KeyCheck = ();

    fn has_been_read(&self, (): &()) -> bool {
        Self::letter(self.was_read, &self.asked)
    }

    async fn forget_before(&self, _: Instant, (): &()) -> bool {
        Self::letter(self.forgets, &self.forgot)
    }

    async fn examine_once(&self, _: &[()]) -> Vec<Vec<Finding>> {
        let mut times = lock(&self.times);
        let finds = self.finds.get(*times).copied().unwrap_or_default();
        *times += 1;
        let found = |letter| match letter {
            'E' => vec![Id::AzureKeyDisabled.error(Subject::Key)],
            'w' => vec![Id::AzureVersionPinned.warning(Subject::Key)],
            _ => Vec::new(),
        };
        finds.chars().map(found).collect()
    }
}

/// Each row: whether Terraform applies, what the run read before of two keys, what it drops of those that the proof refuses, the
/// findings of the first and of the last examination, and how often it examines the keys.
#[tokio::test]
async fn what_is_refused_at_apply_is_examined_again_where_the_proof_may_be_old() {
    type Row = (
        &'static str,
        bool,
        &'static str,
        &'static str,
        [&'static str; 2],
        usize,
    );
    let rows: [Row; 11] = [
        (
            "a plan is refused at once",
            false,
            "yy",
            "yy",
            ["EE", "--"],
            1,
        ),
        ("nothing is found", true, "yy", "yy", ["--", "EE"], 1),
        ("a warning stops nothing", true, "yy", "yy", ["ww", "EE"], 1),
        ("refused by a fresh read", true, "nn", "nn", ["E-", "--"], 1),
        ("refused by an old one", true, "yn", "nn", ["E-", "--"], 2),
        ("old is what is fine", true, "ny", "nn", ["E-", "--"], 1),
        (
            "it was read while this one waited",
            true,
            "nn",
            "y",
            ["E-", "--"],
            2,
        ),
        (
            "the second is refused by an old read",
            true,
            "ny",
            "nn",
            ["EE", "-E"],
            2,
        ),
        (
            "nothing was forgotten of the first",
            true,
            "nn",
            "ny",
            ["EE", "--"],
            2,
        ),
        (
            "it is refused again, and not a third time",
            true,
            "yy",
            "yy",
            ["EE", "EE"],
            2,
        ),
        (
            "what is found at last counts",
            true,
            "yn",
            "nn",
            ["Ew", "-E"],
            2,
        ),
    ];
    for (name, is_applying, was_read, forgets, finds, times) in rows {
        let fake = Fake {
            finds,
            was_read,
            forgets,
            times: Mutex::default(),
            asked: Mutex::default(),
            forgot: Mutex::default(),
        };
        let found = examined(&fake, is_applying, &[(), ()]).await;
        assert_eq!(*lock(&fake.times), times, "{name}");
        let letters: String = found
            .iter()
            .map(|found| match found.first().map(|one| one.severity) {
                Some(Severity::Error) => 'E',
                Some(Severity::Warning) => 'w',
                None => '-',
            })
            .collect();
        assert_eq!(Some(&letters.as_str()), finds.get(times - 1), "{name}");
        // The provider drops reads only of the keys that the proof refuses.
        let refused = finds.first().map_or(0, |first| first.matches('E').count());
        assert_eq!(
            *lock(&fake.forgot),
            if is_applying { refused } else { 0 },
            "{name}"
        );
    }
}

/// A key service in which one key either lets Databricks in or does not.
#[derive(Default)]
struct Kms {
    lets_in: Mutex<bool>,
    read: Staged<&'static str, Fact<bool>>,
    reads: Mutex<usize>,
}

impl Service for Kms {
    type KeyCheck = (Key, Stage);

    fn about(&self, (key, stage): &(Key, Stage)) -> About {
        About {
            key: key.clone(),
            workspace: None,
            stage: *stage,
        }
    }

    async fn judged(&self, (_, stage): &(Key, Stage)) -> Vec<Finding> {
        let read = async || {
            *lock(&self.reads) += 1;
            Fact::Known(*lock(&self.lets_in))
        };
        match self.read.get(*stage, &"key", read).await {
            Fact::Known(true) => Vec::new(),
            _ => vec![Id::PolicyMissingAction.error(Subject::Key)],
        }
    }

    fn has_been_read(&self, _: &(Key, Stage)) -> bool {
        self.read.has_been_read(&"key")
    }

    async fn forget_before(&self, moment: Instant, _: &(Key, Stage)) -> bool {
        self.read.forget_before(moment, &"key").await
    }
}

struct One<'a>(&'a Kms, &'a PolicyWalk);

impl Examiner for One<'_> {
    type KeyCheck = (Key, Stage);

    fn has_been_read(&self, case: &(Key, Stage)) -> bool {
        self.0.has_been_read(case)
    }

    async fn forget_before(&self, moment: Instant, case: &(Key, Stage)) -> bool {
        self.0.forget_before(moment, case).await
    }

    async fn examine_once(&self, cases: &[(Key, Stage)]) -> Vec<Vec<Finding>> {
        let mut all = Vec::new();
        for case in cases {
            all.push(examine(self.0, self.1, case, Waits::No).await);
        }
        all
    }
}

fn key() -> Result<Key, AzureNameError> {
    let id: VaultKeyId = "https://acme.vault.azure.net/keys/main".parse()?;
    Ok(Key::from(id))
}

/// Each row: what happens, a letter each, and what each examination finds, and how often the key is read in the end. `p` a plan and `a` an apply are
/// examined (found: `E` an error, `-` nothing); `+` and `x`: somebody gives and takes the access; `w`: this run writes to the key; `m`: a minute
/// passes; `s`: a second; `q`: a quarter of a minute. `i`: an apply is about to send what cannot be taken back, and looks again at what is older than 15 seconds (found: also
/// `.`, all of it was younger).
#[tokio::test(start_paused = true)]
async fn how_old_a_read_may_be() -> Result<(), AzureNameError> {
    let rows = [
        ("a plan reads once in a run", "+pmp", "--", 1),
        ("whatever happens meanwhile", "+pxp", "--", 1),
        ("an apply rests on what its plan has read", "+psa", "--", 1),
        ("and applies share a read", "+asa", "--", 1),
        ("for a minute", "+pma", "--", 2),
        ("not after a write of this run", "+pxwa", "-E", 2),
        ("a plan does not either", "+pxwp", "-E", 2),
        (
            "what is refused by an older read is read again",
            "xps+a",
            "E-",
            2,
        ),
        ("also by that of another apply", "xas+a", "E-", 2),
        ("a plan that is refused is not", "xps+p", "EE", 1),
        ("what is refused by a fresh read is not", "xa", "E", 1),
        ("what is refused twice stays refused", "xpsa", "EE", 2),
        ("what is young is enough to send", "+asxi", "-.", 1),
        ("what is not is read again", "+aqxi", "-E", 2),
        ("and found to be fine", "+aqi", "--", 2),
        ("also where a plan has read it", "+psaqxi", "--E", 2),
        ("once for all that send", "+aqisi", "--.", 2),
        ("what this run has written is", "+awxi", "-E", 2),
    ];
    for (name, happens, expected, reads) in rows {
        let (service, walk) = (Kms::default(), PolicyWalk::new());
        // An age must not lead to a moment before the runtime started.
        tokio::time::advance(Duration::from_secs(120)).await;
        let mut found = String::new();
        for letter in happens.chars() {
            match letter {
                '+' => *lock(&service.lets_in) = true,
                'x' => *lock(&service.lets_in) = false,
                'w' => service.read.forget(&"key"),
                'm' => tokio::time::advance(Duration::from_secs(60)).await,
                's' => tokio::time::advance(Duration::from_secs(1)).await,
                'q' => tokio::time::advance(Duration::from_secs(16)).await,
                'i' => {
                    let young = Instant::now() - Duration::from_secs(15);
                    let by = One(&service, &walk);
                    let cases = [(key()?, Stage::Apply)];
                    let again = examined_again(&by, young, &cases).await;
                    found.push(match again.map(|all| all.concat().is_empty()) {
                        None => '.',
                        Some(true) => '-',
                        Some(false) => 'E',
                    });
                }
                _ => {
                    let is_applying = letter == 'a';
                    let stage = if is_applying {
                        Stage::Apply
                    } else {
                        Stage::Plan
                    };
                    let cases = [(key()?, stage)];
                    let all = examined(&One(&service, &walk), is_applying, &cases).await;
                    found.push(if all.concat().is_empty() { '-' } else { 'E' });
                }
            }
        }
        assert_eq!(found, expected, "{name}");
        assert_eq!(*lock(&service.reads), reads, "{name}");
    }
    Ok(())
}

/// Each row: whether the proof waits for key policies, how far the policy of the key is when the proof begins, and after how many
/// seconds the proof ends, where the policy gives the access after ten.
#[tokio::test(start_paused = true)]
async fn a_proof_waits_for_the_policy_of_its_key() -> Result<(), AzureNameError> {
    use PolicyStep::{Done, Putting, WillPut};
    let rows = [
        (Waits::ForPolicies, Some(Putting), 10, "-"),
        // With `-parallelism=1`, Terraform starts the policy only after the proof has ended.
        (Waits::ForPolicies, Some(WillPut), 3, "E"),
        (Waits::ForPolicies, Some(Done), 0, "E"),
        (Waits::ForPolicies, None, 0, "E"),
        // A task that holds the workspace which the policy needs would wait forever.
        (Waits::No, Some(Putting), 0, "E"),
        (Waits::No, Some(WillPut), 0, "E"),
    ];
    for (waits, step, seconds, expected) in rows {
        let (service, walk) = (Kms::default(), PolicyWalk::new());
        let case = (key()?, Stage::Apply);
        if let Some(step) = step {
            walk.came_to(Some(case.0.clone()), "a", step);
        }
        let begun = Instant::now();
        let policy = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            *lock(&service.lets_in) = true;
            service.read.forget(&"key");
            walk.came_to(Some(case.0.clone()), "a", Done);
        };
        let proof = async {
            let found = examine(&service, &walk, &case, waits).await;
            (found, begun.elapsed().as_secs())
        };
        let ((found, took), ()) = tokio::join!(proof, policy);
        let found = if found.is_empty() { "-" } else { "E" };
        assert_eq!((found, took), (expected, seconds), "{waits:?} {step:?}");
    }
    Ok(())
}

/// The provider reports in full what is missing where another finding stops the plan, and as one warning where only key policies are
/// still to come.
#[test]
fn what_is_missing_is_said_where_the_plan_stops_anyway() -> Result<(), AzureNameError> {
    let missing = Id::PolicyMissingAction.error(Subject::Key);
    let role = |severity| Id::RoleIamMissingAction.weighing(severity, Subject::Key);
    let rows = [
        (
            Severity::Error,
            [Id::PolicyMissingAction, Id::RoleIamMissingAction],
        ),
        (
            Severity::Warning,
            [Id::PolicyNotPlannedYet, Id::RoleIamMissingAction],
        ),
    ];
    for (severity, expected) in rows {
        let found = without_policy(vec![missing.clone(), role(severity)], &key()?, false);
        let found: Vec<Id> = found.into_iter().map(|one| one.id).collect();
        assert_eq!(found, expected);
    }
    Ok(())
}
