//! Who wants what of a key in this run, so that a `dbxcmk_key_policy` that goes leaves what another one needs.
//!
//! Terraform destroys before it creates, and tells nobody who is destroyed what is about to be created. What is known at plan is decided at
//! plan: what stays is written beside the plan of the destruction, and the apply keeps to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::configured::resource_blocks;
use crate::vocabulary::Key;

/// How long a destruction waits for the other key policies of the plan: longer than a proof that one of them depends on may wait itself. One that
/// comes even later is not seen, and then what workspaces need is refused as ever.
const PATIENCE: Duration = super::walk::PATIENCE.saturating_mul(2);
/// The same where no object was read: in an apply, where only those come that change, and in a plan without a refresh.
const LESS: Duration = Duration::from_secs(2);
/// The same when it looks as if everything was to be destroyed, so that no other one comes.
const SHORT: Duration = Duration::from_secs(1);

/// What a key policy wants: statements by their meaning, members, or principals.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// What is known of it.
    pub items: BTreeSet<String>,
    /// Whether there is more that is not known yet.
    pub has_unknown: bool,
}

/// What the key policies of a run have said so far. Pure.
#[derive(Clone, Debug, Default)]
struct Shares {
    /// Each key policy that stays or comes, once.
    policies: BTreeSet<(Option<Key>, Wanted, String)>,
    /// How many go.
    leaving: usize,
    /// Whether an object of any resource was read, which Terraform does neither in an apply nor in the plan of `terraform destroy`. It does not
    /// read one that is about to go, so that of a renamed resource tells nothing.
    was_read: bool,
    /// What one that is gone had added, and has left for others.
    left: BTreeMap<Key, BTreeSet<String>>,
}

impl Shares {
    /// What of `own` another key policy of a key wants. What is not known yet may be any of it.
    fn wanted_by_others(
        &self,
        is_of: impl Fn(&Key) -> bool,
        own: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let mut stays = BTreeSet::new();
        for (key, wanted, _) in &self.policies {
            if !key.as_ref().is_some_and(&is_of) {
                continue;
            }
            match wanted.has_unknown {
                true => return own.clone(),
                false => stays.extend(own.intersection(&wanted.items).cloned()),
            }
        }
        stays
    }

    /// Whether all of them have come, `waited` after the first who waits began. `expected`: how many the configuration on disk has.
    fn is_complete(&self, expected: usize, waited: Duration) -> bool {
        if self.policies.len() >= expected {
            return true;
        }
        let all_go = self.policies.is_empty() && self.leaving >= expected;
        let patience = match (self.was_read, all_go) {
            (true, _) => PATIENCE,
            (false, true) => SHORT,
            (false, false) => LESS,
        };
        waited >= patience
    }
}

/// Who wants what of which key in this run.
pub struct KeyShares {
    now: watch::Sender<Shares>,
    expected: OnceLock<usize>,
    begun: OnceLock<Instant>,
    is_applying: AtomicBool,
}

impl KeyShares {
    pub(super) fn new() -> Self {
        Self {
            now: watch::Sender::default(),
            expected: OnceLock::new(),
            begun: OnceLock::new(),
            is_applying: AtomicBool::new(false),
        }
    }

    /// Effect: this process applies. Terraform plans in another one.
    pub fn applies(&self) {
        self.is_applying.store(true, Ordering::Relaxed);
    }

    /// Whether this process applies, as far as is known: what is planned then is the end of an object that its replacement has outlived, and
    /// a refusal would keep it for ever.
    pub fn is_applying(&self) -> bool {
        self.is_applying.load(Ordering::Relaxed)
    }

    /// Effect: a key policy that stays or comes wants this. `whose`: what tells it from another one that wants the same.
    pub fn wants(&self, key: Option<Key>, wanted: Wanted, whose: &str) {
        self.now.send_modify(|now| {
            now.policies.insert((key, wanted, whose.to_owned()));
        });
    }

    /// Effect: Terraform had an object read, of whichever resource.
    pub fn was_read(&self) {
        self.now.send_modify(|now| now.was_read = true);
    }

    /// What of `own` other key policies of this run want, of those keys: waits until they have come. For one that goes.
    pub async fn kept(
        &self,
        is_of: impl Fn(&Key) -> bool,
        own: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        self.now.send_modify(|now| now.leaving += 1);
        if !own.is_empty() {
            self.complete().await;
        }
        self.wanted_by_others(is_of, own)
    }

    /// The same, as far as they have come.
    pub fn wanted_by_others(
        &self,
        is_of: impl Fn(&Key) -> bool,
        own: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        self.now.borrow().wanted_by_others(is_of, own)
    }

    /// Waits until the others have come.
    pub async fn complete(&self) {
        let expected = *self
            .expected
            .get_or_init(|| resource_blocks("dbxcmk_key_policy"));
        let begun = *self.begun.get_or_init(Instant::now);
        let mut changes = self.now.subscribe();
        while !changes
            .borrow_and_update()
            .is_complete(expected, begun.elapsed())
        {
            let _ = tokio::time::timeout(SHORT / 10, changes.changed()).await;
        }
    }

    /// Effect: one that goes leaves to others what it had added.
    pub fn leaves(&self, key: Key, items: BTreeSet<String>) {
        self.now
            .send_modify(|now| now.left.entry(key).or_default().extend(items));
    }

    /// What of `wanted` one that went in this run had added: whoever wants it owns it from now on.
    pub fn inherited(&self, key: &Key, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        let now = self.now.borrow();
        let left = now.left.get(key);
        left.map_or_else(BTreeSet::new, |left| {
            left.intersection(wanted).cloned().collect()
        })
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

    /// Each row: what one that goes has added, what others want of which key, and what stays.
    #[test]
    fn what_another_one_wants_stays() -> Outcome {
        let rows: [(&str, &str, &[(&str, &str)], &str); 7] = [
            ("nobody else", "a b", &[], ""),
            ("one other wants a part", "a b", &[("k", "b c")], "b"),
            ("two others", "a b c", &[("k", "a"), ("k", "c")], "a c"),
            ("another key", "a b", &[("other", "a b")], ""),
            ("not known yet", "a b", &[("k", "?")], "a b"),
            ("not known, of another key", "a b", &[("other", "?")], ""),
            ("nothing of its own", "", &[("k", "a")], ""),
        ];
        for (what, own, others, expected) in rows {
            let shares = KeyShares::new();
            for (number, (name, wanted)) in others.iter().enumerate() {
                let wanted = Wanted {
                    items: set(wanted),
                    has_unknown: *wanted == "?",
                };
                shares.wants(Some(key(name)?), wanted, &number.to_string());
            }
            let this = key("k")?;
            let stays = shares.wanted_by_others(|key| *key == this, &set(own));
            assert_eq!(stays, set(expected), "{what}");
        }
        Ok(())
    }

    /// Each row: how many have come, how many go, whether one was read, how many the configuration has, and when the wait ends.
    #[test]
    fn a_destruction_waits_for_those_that_stay() -> Outcome {
        let rows = [
            ("all have come", 2, 1, true, 2, Duration::ZERO),
            ("none is left", 0, 1, true, 0, Duration::ZERO),
            ("one is still to come", 1, 1, true, 2, PATIENCE),
            ("the one that stays is late", 0, 1, true, 1, PATIENCE),
            ("terraform destroy", 0, 2, false, 2, SHORT),
            ("a part of terraform destroy", 0, 1, false, 2, LESS),
            ("without a refresh", 1, 1, false, 2, LESS),
        ];
        for (what, come, leaving, was_read, expected, end) in rows {
            let mut shares = Shares {
                leaving,
                was_read,
                ..Shares::default()
            };
            for number in 0..come {
                let own = (None, Wanted::default(), format!("{number}"));
                shares.policies.insert(own);
            }
            let before = end.saturating_sub(Duration::from_millis(1));
            assert!(shares.is_complete(expected, end), "{what}");
            assert_eq!(
                shares.is_complete(expected, before),
                end.is_zero(),
                "{what}: not earlier"
            );
        }
        Ok(())
    }

    #[test]
    fn what_was_left_belongs_to_whoever_wants_it() -> Outcome {
        let shares = KeyShares::new();
        shares.leaves(key("k")?, set("a b"));
        assert_eq!(shares.inherited(&key("k")?, &set("b c")), set("b"));
        assert_eq!(shares.inherited(&key("other")?, &set("b c")), set(""));
        Ok(())
    }
}
