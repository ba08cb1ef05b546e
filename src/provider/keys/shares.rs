//! What each key policy of this run wants of its key, so that a `dbxcmk_key_policy` that goes leaves the access that another one needs.
//!
//! Terraform destroys before it creates, and does not show a resource that it destroys what it is going to create. So the plan decides: a
//! policy that goes waits until the others have come, the provider writes what stays beside the plan of the destruction, and the apply
//! keeps to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::hcl_blocks::{Blocks, blocks};
use crate::vocabulary::{Cloud, Key};

/// How long a destruction waits for the other key policies of the plan: longer than a proof that one of them depends on may wait itself. The
/// provider does not know what a policy needs that comes even later, and leaves the access there.
const PATIENCE: Duration = super::policy_progress::PATIENCE.saturating_mul(2);
/// How long a destruction waits where Terraform refreshed no object: in an apply, where only those policies come that change, and in a
/// plan without a refresh. Also how long no new policy must come before the wait ends, where the configuration does not say how many there
/// are.
const LESS: Duration = Duration::from_secs(2);
/// How long a destruction waits when all policies seem to go, so that no other one comes.
const SHORT: Duration = Duration::from_secs(1);

/// What a key policy wants: statements by their meaning, members, or principals.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The items that Terraform knows by now.
    pub items: BTreeSet<String>,
    /// Whether Terraform will learn of more items only at apply.
    pub has_unknown: bool,
}

/// Where a grant counts: at one key, or at every key of its vault.
#[derive(Clone, Debug)]
pub struct Scope {
    key: Key,
    vault: Option<String>,
}

impl Scope {
    /// A grant at one key.
    pub fn of(key: Key) -> Self {
        Self { key, vault: None }
    }

    /// A grant at `key` and at every key whose name begins with `vault`.
    pub fn whole_vault(key: Key, vault: String) -> Self {
        let vault = Some(vault);
        Self { key, vault }
    }

    /// The key that the caller asked about.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn has(&self, key: &Key) -> bool {
        // Key Vault compares names without regard to case.
        let is_in = |vault: &String| {
            let key = key.to_string();
            let start = key.get(..vault.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(vault))
        };
        *key == self.key || self.vault.as_ref().is_some_and(is_in)
    }
}

/// A key policy that Terraform keeps or creates.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The key that it is for; `None` while Terraform does not know it.
    pub key: Option<Key>,
    /// The cloud of the key, also while Terraform does not know the key.
    pub cloud: Cloud,
    /// The access that it wants at the key.
    pub wanted: Wanted,
    /// The mark that says that the access is its own, where the cloud has a place for one; otherwise empty.
    pub whose: String,
}

/// What other key policies need of the access that one of them gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stays {
    /// The items that others want.
    pub certain: BTreeSet<String>,
    /// The items that others may want: Terraform does not know yet what they want, or of which key.
    pub perhaps: BTreeSet<String>,
    /// For each item, the mark of the policy that wants it.
    pub heirs: BTreeMap<String, String>,
    /// Whether policies may exist that have not come in time.
    pub is_open: bool,
}

impl Stays {
    /// The items that others want or may want: the caller leaves all of them.
    pub fn all(&self) -> BTreeSet<String> {
        self.certain.union(&self.perhaps).cloned().collect()
    }
}

/// What the key policies of a run have reported so far. Pure.
#[derive(Clone, Debug, Default)]
struct Shares {
    /// Each key policy that Terraform keeps or creates, by its own name; one that it plans twice counts once.
    came: BTreeMap<String, Policy>,
    /// Each key policy that Terraform refreshed, as the state has it. Terraform refreshes none in an apply, nor in the plan
    /// of `terraform destroy`.
    read: BTreeMap<String, Policy>,
    /// Whether Terraform refreshed an object of any resource. It does not refresh one that it is going to destroy, so the old object of a
    /// renamed resource does not count.
    was_read: bool,
    /// The names of the policies that Terraform destroys.
    leaving: BTreeSet<String>,
    /// What a destroyed policy had added to a key and left there for others.
    left: BTreeMap<Key, BTreeSet<String>>,
    /// How many reports have come: a policy that waits sees from it whether the others are quiet.
    said: usize,
}

impl Shares {
    /// The policies that Terraform refreshed, and has planned neither to keep nor to destroy.
    fn still_to_plan(&self) -> impl Iterator<Item = (&String, &Policy)> {
        let is_planned =
            |name: &String| self.came.contains_key(name) || self.leaving.contains(name);
        self.read.iter().filter(move |(name, _)| !is_planned(name))
    }

    /// Which items of `own` policies other than `who` want.
    fn stays(&self, scope: &Scope, own: &BTreeSet<String>, who: &str) -> Stays {
        let mut stays = Stays::default();
        let read = self.still_to_plan().filter(|(name, _)| *name != who);
        for (name, policy) in self.came.iter().chain(read) {
            let those = own.intersection(&policy.wanted.items).cloned();
            match &policy.key {
                Some(key) if scope.has(key) => {
                    for one in those {
                        stays.heirs.insert(one.clone(), policy.whose.clone());
                        stays.certain.insert(one);
                    }
                }
                // A key that Terraform does not know yet may be this one. Where a policy does not know its own new
                // key, this key is the one that it gives up.
                None if policy.cloud == *scope.key.cloud() && name != who => {
                    stays.perhaps.extend(those);
                }
                _ => continue,
            }
            if policy.wanted.has_unknown {
                stays.perhaps.extend(own.iter().cloned());
            }
        }
        stays.perhaps.retain(|one| !stays.certain.contains(one));
        stays
    }

    /// How many policies stay, as far as the provider can see.
    fn staying(&self) -> usize {
        self.came.len() + self.still_to_plan().count()
    }

    /// Whether the wait for the other policies ends, and if so, whether all of them have come. `waited`: how long this policy has waited;
    /// `quiet`: for how long no report has come.
    fn end(&self, expected: Blocks, waited: Duration, quiet: Duration) -> Option<bool> {
        let all = expected.once + expected.repeated;
        let is_settled = expected.repeated == 0 || quiet >= LESS;
        if self.still_to_plan().next().is_none() && self.came.len() >= all && is_settled {
            return Some(true);
        }
        let all_go = !self.was_read && self.came.is_empty() && self.leaving.len() >= expected.once;
        let is_whole = self.leaving.len() >= all;
        let patience = match (self.was_read, all_go && is_whole) {
            (true, _) => PATIENCE,
            (false, true) => SHORT,
            (false, false) => LESS,
        };
        // A block with `count` or `for_each` may have no instance.
        let is_complete = all_go || self.staying() >= expected.once;
        (waited >= patience).then_some(is_complete)
    }
}

/// What each key policy wants of which key in this run: policies report here, and one that goes
/// waits here for the others.
pub struct KeyShares {
    now: watch::Sender<Shares>,
    expected: OnceLock<Blocks>,
    is_applying: AtomicBool,
}

impl KeyShares {
    pub(super) fn new() -> Self {
        Self {
            now: watch::Sender::default(),
            expected: OnceLock::new(),
            is_applying: AtomicBool::new(false),
        }
    }

    /// Effect: Terraform applies in this process; it plans in another one.
    pub fn applies(&self) {
        self.is_applying.store(true, Ordering::Relaxed);
    }

    /// Whether Terraform applies in this process, as far as the provider knows. A destruction that Terraform plans during an apply is of an
    /// object that its replacement has outlived, and a refusal would keep the object in the state forever.
    pub fn is_applying(&self) -> bool {
        self.is_applying.load(Ordering::Relaxed)
    }

    fn say(&self, change: impl FnOnce(&mut Shares)) {
        self.now.send_modify(|now| {
            change(now);
            now.said += 1;
        });
    }

    /// Effect: a key policy reports that it stays or comes. `who`: its own name.
    pub fn wants(&self, who: String, policy: Policy) {
        self.say(|now| drop(now.came.insert(who, policy)));
    }

    /// Effect: Terraform refreshed an object of any resource.
    pub fn saw_read(&self) {
        self.say(|now| now.was_read = true);
    }

    /// Effect: Terraform refreshed a key policy.
    pub fn was_read(&self, who: String, policy: Policy) {
        self.say(|now| {
            now.was_read = true;
            now.read.insert(who, policy);
        });
    }

    /// Whether Terraform refreshed anything in this process.
    pub fn reads(&self) -> bool {
        self.now.borrow().was_read
    }

    /// Effect: a key policy reports that Terraform destroys it.
    pub fn goes(&self, who: String) {
        self.say(|now| {
            now.leaving.insert(who);
        });
    }

    /// Whether Terraform planned a key policy in this process, to keep it or to destroy it.
    pub fn has_planned(&self, who: &str) -> bool {
        let now = self.now.borrow();
        now.came.contains_key(who) || now.leaving.contains(who)
    }

    /// Which items of `own` the other key policies of this run want, as far as they have come. `who`: the name of the policy that asks.
    pub fn stays_now(&self, scope: &Scope, own: &BTreeSet<String>, who: &str) -> Stays {
        self.now.borrow().stays(scope, own, who)
    }

    /// Waits until the other policies have come, and returns which items of `own` they want. A
    /// policy that gives up nothing does not wait.
    pub async fn stays(&self, scope: &Scope, own: &BTreeSet<String>, who: &str) -> Stays {
        let is_complete = own.is_empty() || self.complete().await;
        let mut stays = self.stays_now(scope, own, who);
        stays.is_open = !is_complete;
        stays
    }

    fn expected(&self) -> Blocks {
        *self.expected.get_or_init(|| blocks("dbxcmk_key_policy"))
    }

    /// Waits until the other policies have come, and returns whether all of them have.
    async fn complete(&self) -> bool {
        let (expected, begun) = (self.expected(), Instant::now());
        let mut changes = self.now.subscribe();
        let (mut said, mut last) = (self.now.borrow().said, begun);
        loop {
            {
                let now = changes.borrow_and_update();
                if now.said != said {
                    (said, last) = (now.said, Instant::now());
                }
                if let Some(is_complete) = now.end(expected, begun.elapsed(), last.elapsed()) {
                    return is_complete;
                }
            }
            let _ = tokio::time::timeout(SHORT / 10, changes.changed()).await;
        }
    }

    /// Which items of `own` each of the other policies wants, as the state or the plan has it, and whether all of them have come. It waits
    /// [`SHORT`] at most until Terraform has refreshed them.
    pub async fn others(
        &self,
        scope: &Scope,
        own: &BTreeSet<String>,
        who: &str,
    ) -> (BTreeMap<String, BTreeSet<String>>, bool) {
        let expected = self.expected();
        let is_there = |now: &Shares, all: usize| now.staying() + now.leaving.len() >= all;
        let mut changes = self.now.subscribe();
        let all = expected.once + expected.repeated;
        let come = changes.wait_for(|now| is_there(now, all));
        let _ = tokio::time::timeout(SHORT, come).await;
        let now = self.now.borrow();
        let others = now.came.iter().chain(now.still_to_plan());
        let others = others.filter(|(name, one)| {
            *name != who && one.key.as_ref().is_some_and(|key| scope.has(key))
        });
        let wants = others.map(|(name, one)| {
            let those = own.intersection(&one.wanted.items).cloned().collect();
            (name.clone(), those)
        });
        (wants.collect(), is_there(&now, expected.once))
    }

    /// Effect: a policy that goes leaves to others what it had added.
    pub fn leaves(&self, key: Key, items: BTreeSet<String>) {
        self.now
            .send_modify(|now| now.left.entry(key).or_default().extend(items));
    }

    /// Which items of `wanted` a policy had added that went in this run: the policy that wants an
    /// item owns it from now on.
    pub fn inherited(&self, scope: &Scope, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        let now = self.now.borrow();
        let left = now.left.iter().filter(|(key, _)| scope.has(key));
        left.flat_map(|(_, left)| left.intersection(wanted).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn key(name: &str) -> Result<Key, Box<dyn std::error::Error>> {
        let name: crate::vocabulary::gcp::CryptoKeyName =
            format!("projects/p/locations/europe-west3/keyRings/r/cryptoKeys/{name}").parse()?;
        Ok(name.into())
    }

    fn set(items: &str) -> BTreeSet<String> {
        items.split_whitespace().map(str::to_owned).collect()
    }

    /// A key policy. `name`: of its key; `?` for one that Terraform does not know, `aws` for one of another cloud. `wanted`: `?` for more items
    /// that it does not know.
    fn policy(name: &str, wanted: &str) -> Result<Policy, Box<dyn std::error::Error>> {
        let is_unknown = matches!(name, "?" | "aws");
        let mut items = set(wanted);
        let has_unknown = items.remove("?");
        Ok(Policy {
            key: (!is_unknown).then(|| key(name)).transpose()?,
            cloud: match name {
                "aws" => Cloud::Aws,
                _ => Cloud::Gcp,
            },
            wanted: Wanted { items, has_unknown },
            whose: String::new(),
        })
    }

    /// Each row: what a policy that goes had added, what others want of which key, what certainly stays, and what perhaps.
    #[test]
    fn what_another_one_wants_stays() -> Outcome {
        let rows: [(&str, &str, &[(&str, &str)], &str, &str); 11] = [
            ("nobody else", "a b", &[], "", ""),
            ("one other wants a part", "a b", &[("k", "b c")], "b", ""),
            ("two others", "a b c", &[("k", "a"), ("k", "c")], "a c", ""),
            ("another key", "a b", &[("other", "a b")], "", ""),
            ("not known yet", "a b", &[("k", "?")], "", "a b"),
            ("a part is known", "a b", &[("k", "a ?")], "a", "b"),
            (
                "not known, of another key",
                "a b",
                &[("other", "?")],
                "",
                "",
            ),
            ("a key that is not known", "a b", &[("?", "b c")], "", "b"),
            ("nothing of it is known", "a b", &[("?", "?")], "", "a b"),
            ("of another cloud", "a b", &[("aws", "a ?")], "", ""),
            ("nothing of its own", "", &[("k", "a")], "", ""),
        ];
        for (what, own, others, certain, perhaps) in rows {
            let shares = KeyShares::new();
            for (number, (name, wanted)) in others.iter().enumerate() {
                shares.wants(number.to_string(), policy(name, wanted)?);
            }
            let stays = shares.stays_now(&Scope::of(key("k")?), &set(own), "own");
            assert_eq!(stays.certain, set(certain), "{what}");
            assert_eq!(stays.perhaps, set(perhaps), "{what}");
        }
        Ok(())
    }

    /// Each row: what happened to the other policy, which had `a` by the state, and what stays.
    #[test]
    fn who_was_read_counts_until_it_is_planned() -> Outcome {
        let rows: [(&str, Option<&str>, bool, &str); 4] = [
            ("it was read", None, false, "a"),
            ("it gives that up", Some("b"), false, "b"),
            ("it goes, too", None, true, ""),
            ("it is the one that asks", None, false, ""),
        ];
        for (what, wants, goes, expected) in rows {
            let shares = KeyShares::new();
            shares.was_read("other".to_owned(), policy("k", "a")?);
            if let Some(wanted) = wants {
                shares.wants("other".to_owned(), policy("k", wanted)?);
            }
            if goes {
                shares.goes("other".to_owned());
            }
            let who = if what.contains("asks") {
                "other"
            } else {
                "own"
            };
            let stays = shares.stays_now(&Scope::of(key("k")?), &set("a b"), who);
            assert_eq!(stays.all(), set(expected), "{what}");
        }
        // Its own successor, whose key Terraform does not know, gives this key up.
        let shares = KeyShares::new();
        shares.wants("own".to_owned(), policy("?", "a")?);
        let stays = shares.stays_now(&Scope::of(key("k")?), &set("a"), "own");
        assert_eq!(stays.all(), set(""));
        Ok(())
    }

    /// Each row: how many policies have come, how many Terraform refreshed, and how many go; how many blocks there are, once and with `count`
    /// or `for_each`; when the wait ends, and whether all of them have come then.
    #[test]
    fn a_destruction_waits_for_those_that_stay() -> Outcome {
        let rows = [
            ("all have come", [2, 3, 1], (2, 0), Duration::ZERO, true),
            ("none is left", [0, 1, 1], (0, 0), Duration::ZERO, true),
            ("one is still to come", [1, 2, 1], (2, 0), PATIENCE, false),
            ("it was read at least", [1, 3, 1], (2, 0), PATIENCE, true),
            ("one stays and is late", [0, 1, 1], (1, 0), PATIENCE, false),
            ("instances of a block", [2, 3, 1], (0, 1), LESS, true),
            ("and another block", [2, 3, 1], (1, 1), LESS, true),
            ("count = 0", [0, 1, 1], (0, 1), PATIENCE, true),
            ("count = 0 beside others", [1, 2, 1], (1, 1), PATIENCE, true),
            ("terraform destroy", [0, 0, 2], (2, 0), SHORT, true),
            (
                "a part of terraform destroy",
                [0, 0, 1],
                (2, 0),
                LESS,
                false,
            ),
            ("destroy with count = 0", [0, 0, 1], (1, 1), LESS, true),
            ("without a refresh", [1, 0, 1], (2, 0), LESS, false),
        ];
        for (what, [come, read, leaving], (once, repeated), end, is_complete) in rows {
            let mut shares = Shares {
                was_read: read > 0,
                ..Shares::default()
            };
            let name = |number: usize| format!("{number}");
            for number in 0..come {
                shares.came.insert(name(number), policy("?", "")?);
            }
            // The policies that go come last.
            for number in 0..leaving {
                shares.leaving.insert(format!("leaving {number}"));
            }
            for number in 0..read {
                let name = match read - number <= leaving {
                    true => format!("leaving {}", read - number - 1),
                    false => name(number),
                };
                shares.read.insert(name, policy("k", "")?);
            }
            let expected = Blocks { once, repeated };
            assert_eq!(shares.end(expected, end, end), Some(is_complete), "{what}");
            if let Some(before) = end.checked_sub(Duration::from_millis(1)) {
                assert_eq!(shares.end(expected, before, before), None, "{what}");
            }
        }
        Ok(())
    }

    /// Two policies that want the same are two, one that Terraform plans twice is one, and a policy
    /// that waits counts itself.
    #[tokio::test(start_paused = true)]
    async fn each_counts_once_and_waits_for_itself() -> Outcome {
        let shares = KeyShares::new();
        let _ = shares.expected.set(Blocks {
            once: 2,
            repeated: 0,
        });
        shares.goes("gone".to_owned());
        shares.wants("x".to_owned(), policy("k", "")?);
        shares.wants("x".to_owned(), policy("k", "b")?);
        for _ in 0..2 {
            let begun = Instant::now();
            let stays = shares.stays(&Scope::of(key("k")?), &set("a"), "gone").await;
            assert!(stays.is_open && begun.elapsed() >= LESS);
        }
        shares.wants("y".to_owned(), policy("k", "b")?);
        let scope = Scope::of(key("k")?);
        assert!(!shares.stays(&scope, &set("a"), "gone").await.is_open);
        Ok(())
    }

    #[test]
    fn what_was_left_belongs_to_whoever_wants_it() -> Outcome {
        let shares = KeyShares::new();
        let at = |name| key(name).map(Scope::of);
        shares.leaves(key("k")?, set("a b"));
        assert_eq!(shares.inherited(&at("k")?, &set("b c")), set("b"));
        assert_eq!(shares.inherited(&at("other")?, &set("b c")), set(""));
        for vault in ["projects/p/", "Projects/P/"] {
            let vault = Scope::whole_vault(key("other")?, vault.to_owned());
            assert_eq!(shares.inherited(&vault, &set("b c")), set("b"));
        }
        Ok(())
    }

    /// Each row: when the other policies of a plan with two blocks come (milliseconds), whether Terraform refreshed an object, how long a
    /// policy that goes waits for them, and whether all of them have come.
    #[tokio::test(start_paused = true)]
    async fn one_that_goes_waits_no_longer_than_it_must() -> Outcome {
        let rows: [(&[u64], bool, u64, bool); 7] = [
            (&[0, 0], true, 0, true),
            (&[0, 500], true, 500, true),
            (&[5_900, 5_900], true, 5_900, true),
            (&[0, 6_500], true, 6_000, false),
            (&[], true, 6_000, false),
            (&[0, 1_900], false, 1_900, true),
            (&[0, 2_500], false, 2_000, false),
        ];
        for (comes, was_read, waited, is_complete) in rows {
            let shares = KeyShares::new();
            let two = Blocks {
                once: 2,
                repeated: 0,
            };
            let _ = shares.expected.set(two);
            if was_read {
                shares.saw_read();
            }
            let begun = Instant::now();
            let (scope, wanted) = (Scope::of(key("k")?), policy("k", "a")?);
            let come = async {
                for (number, at) in comes.iter().enumerate() {
                    tokio::time::sleep_until(begun + Duration::from_millis(*at)).await;
                    shares.wants(number.to_string(), wanted.clone());
                }
                std::future::pending::<()>().await;
            };
            let own = set("a b");
            let stays = tokio::select! {
                stays = shares.stays(&scope, &own, "gone") => stays,
                () = come => return Err("nobody comes for ever".into()),
            };
            let name = format!("{comes:?} {was_read}: {:?} {stays:?}", begun.elapsed());
            assert_eq!(stays.is_open, !is_complete, "{name}");
            let slack = begun.elapsed().as_millis().checked_sub(u128::from(waited));
            assert!(slack.is_some_and(|slack| slack <= 200), "{name}");
            let has_come = comes.iter().any(|at| *at <= waited);
            assert_eq!(
                stays.certain,
                set(if has_come { "a" } else { "" }),
                "{name}"
            );
        }
        Ok(())
    }

    /// A policy that gives up nothing does not wait: no other policy can want it.
    #[tokio::test(start_paused = true)]
    async fn one_that_gives_nothing_up_does_not_wait() -> Outcome {
        let shares = KeyShares::new();
        let _ = shares.expected.set(Blocks {
            once: 2,
            repeated: 1,
        });
        let begun = Instant::now();
        let stays = shares.stays(&Scope::of(key("k")?), &set(""), "own").await;
        assert_eq!((stays, begun.elapsed()), (Stays::default(), Duration::ZERO));
        Ok(())
    }

    /// Each row: the others, of which key and what they want, by what the provider knows of them: refreshed, planned, or going; how many
    /// blocks there are; what each wants of `a b`, and whether all have come.
    #[tokio::test(start_paused = true)]
    async fn what_each_of_the_others_wants() -> Outcome {
        type Row<'a> = (
            &'a str,
            &'a [(&'a str, &'a str, &'a str)],
            usize,
            &'a str,
            bool,
        );
        let rows: [Row<'_>; 8] = [
            ("nobody", &[], 1, "", false),
            ("itself alone", &[("own", "planned", "k a")], 1, "", true),
            (
                "one that was read",
                &[("x", "read", "k a c")],
                1,
                "x=a",
                true,
            ),
            (
                "one that is planned",
                &[("x", "planned", "k a b")],
                1,
                "x=a,b",
                true,
            ),
            ("one of two", &[("x", "planned", "k a")], 2, "x=a", false),
            (
                "of another key",
                &[("x", "planned", "other a")],
                1,
                "",
                true,
            ),
            (
                "one that goes",
                &[("x", "read", "k a"), ("x", "going", "")],
                1,
                "",
                true,
            ),
            (
                "one that wants nothing of it",
                &[("x", "planned", "k c")],
                1,
                "x=",
                true,
            ),
        ];
        for (name, others, once, expected, is_complete) in rows {
            let shares = KeyShares::new();
            let _ = shares.expected.set(Blocks { once, repeated: 0 });
            for (who, how, what) in others {
                let (of, wanted) = what.split_once(' ').unwrap_or(("k", ""));
                match *how {
                    "read" => shares.was_read((*who).to_owned(), policy(of, wanted)?),
                    "planned" => shares.wants((*who).to_owned(), policy(of, wanted)?),
                    _ => shares.goes((*who).to_owned()),
                }
            }
            let begun = Instant::now();
            let (wants, all) = shares
                .others(&Scope::of(key("k")?), &set("a b"), "own")
                .await;
            let wants: Vec<String> = wants
                .iter()
                .map(|(who, items)| {
                    let items: Vec<&str> = items.iter().map(String::as_str).collect();
                    format!("{who}={}", items.join(","))
                })
                .collect();
            assert_eq!(
                (wants.join(" ").as_str(), all),
                (expected, is_complete),
                "{name}"
            );
            // Nothing waits for a policy that is there already.
            assert_eq!(begun.elapsed().is_zero(), is_complete, "{name}");
        }
        Ok(())
    }

    /// Each row: what this process has seen, and what it then answers: whether it planned a policy,
    /// and whether it refreshed anything.
    #[test]
    fn what_this_process_has_seen_is_known() -> Outcome {
        let shares = KeyShares::new();
        assert!(!shares.reads() && !shares.is_applying() && !shares.has_planned("x"));
        shares.was_read("x".to_owned(), policy("k", "a")?);
        assert!(shares.reads() && !shares.has_planned("x"));
        shares.wants("x".to_owned(), policy("k", "a")?);
        shares.goes("y".to_owned());
        assert!(shares.has_planned("x") && shares.has_planned("y") && !shares.has_planned("z"));
        shares.applies();
        assert!(shares.is_applying());
        Ok(())
    }
}
