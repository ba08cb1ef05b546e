//! What a user of Terraform sees of a history without mishaps: the diagnostics, and the state after each step. A model and the real Terraform
//! must show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use dbxcmk_sandbox::Options;
use dbxcmk_sandbox::world::World;
use serde_json::Value as Json;
use tfplugin::diagnostics::Severity;
use tfplugin::testing::terraform::{Block, Term};
use tfplugin::value::Value;

use crate::history::{Cloud, Event, History, Other, Written};
use crate::listener::Listener;
use crate::platform;
pub use crate::platform::Others;
use crate::play::{self, Stage};
use crate::shown;

/// A diagnostic: its severity, its summary and its detail.
pub type Said = (String, String, String);

/// What a step shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The diagnostics of the step.
    pub said: BTreeSet<Said>,
    /// The objects in the state by their addresses.
    pub state: BTreeMap<String, Json>,
}

/// The part of a drawn history that real Terraform can play within seconds: no mishap, nothing that waits, one person.
pub fn without_mishaps(cloud: Cloud, seed: u64) -> History {
    let mut history = History::drawn(cloud, seed);
    history.mishaps.clear();
    history.at_changes.clear();
    history.events.retain(|event| {
        !matches!(
            event,
            Event::Together(_)
                | Event::DisablesKey { .. }
                | Event::RestoresKey(_)
                | Event::Waits(_)
                | Event::Jumps(_)
                | Event::Disk(_)
                | Event::Other(Other::StartsCompute(_))
        )
    });
    for event in &mut history.events {
        match event {
            Event::Applies { end, pause, .. } => (*end, *pause) = (None, 0),
            Event::Writes(written) => {
                let bindings = written.bindings.iter_mut();
                bindings.for_each(|one| one.settle = Some("0s".to_owned()));
            }
            _ => {}
        }
    }
    history
}

/// What the model of Terraform shows of it, step by step.
pub fn as_modeled(history: &History) -> Vec<Seen> {
    let steps = play::alone(history.seed, &Listener::default(), async {
        let mut stage = Stage::set(history);
        stage.asks_further = false;
        let mut all = Vec::new();
        for event in &history.events {
            stage.happens(event).await;
            let said =
                std::mem::take(&mut *stage.said.lock().unwrap_or_else(PoisonError::into_inner));
            let said = said.into_iter().map(|(_, one)| {
                let severity = match one.severity {
                    Severity::Error => "error",
                    _ => "warning",
                };
                (severity.to_owned(), one.summary, one.detail)
            });
            let state = stage.first.state().objects.into_iter();
            let world = |world: &mut World| names(world);
            let names = stage.network.services.with(world);
            all.push(
                Seen {
                    said: said.collect(),
                    state: state
                        .map(|(address, object)| (address, shown::known(&object.value)))
                        .collect(),
                }
                .comparable(&names),
            );
        }
        all
    });
    steps.unwrap_or_default()
}

/// How the services of a cloud are, apart from their times.
pub fn options(cloud: Cloud) -> Options {
    platform::of(cloud).options()
}

/// Services as a history begins, and what other owners have there.
pub fn prepare(cloud: Cloud, world: &mut World, keys: usize) -> Others {
    let platform = platform::of(cloud);
    platform.prepare(world, keys);
    platform.others(keys)
}

/// Does what another person or program does.
pub fn other(cloud: Cloud, world: &mut World, other: Other, others: &mut Others) {
    platform::of(cloud).other(world, other, others);
}

/// By what an object is imported.
pub fn import_id(cloud: Cloud, address: &str, value: &Json) -> Option<String> {
    platform::of(cloud).import_id(address, &value_of(value))
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Object(all) => Value::map(all.iter().map(|(name, value)| (name, value_of(value)))),
        Json::Array(all) => Value::List(all.iter().map(value_of).collect()),
        Json::String(text) => Value::string(text),
        Json::Bool(value) => Value::Bool(*value),
        _ => Value::Null,
    }
}

/// The names of what services have made by chance, each with a name that says what it is.
pub fn names(world: &World) -> BTreeMap<String, String> {
    let mut all: Vec<(&String, String)> = world
        .now
        .configurations
        .iter()
        .map(|(id, one)| {
            let part = |pointer: &str| one.pointer(pointer).cloned().unwrap_or_default();
            let key = [
                part("/aws_key_info/key_arn"),
                part("/gcp_key_info/kms_key_id"),
            ];
            (
                id,
                format!(
                    "{key:?} {} {}",
                    part("/use_cases"),
                    part("/aws_key_info/reuse_key_for_cluster_volumes")
                ),
            )
        })
        .collect();
    all.sort_by(|left, right| left.1.cmp(&right.1));
    let mut accounts = BTreeMap::new();
    for (at, (id, _)) in all.iter().enumerate() {
        let own = world.now.configurations.get(*id).and_then(|one| {
            let pointer = "/gcp_key_info/gcp_service_account/service_account_email";
            one.pointer(pointer)?.as_str()
        });
        accounts.extend(own.map(|own| (own.to_owned(), format!("account-{at}"))));
    }
    let all = all.into_iter().enumerate();
    let mut names: BTreeMap<String, String> = all
        .map(|(at, (id, _))| (id.clone(), format!("configuration-{at}")))
        .collect();
    for address in world.now.azure.role_assignments.keys() {
        let name = address.rsplit('/').next().unwrap_or_default();
        names.insert(name.to_owned(), "assignment".to_owned());
    }
    names.extend(accounts);
    // Azure's identities, as the sandbox numbers them.
    for number in 0..64 {
        for (kind, name) in [("570a6e00", "storage"), ("d15c5000", "disks")] {
            let own = format!("{kind}-0000-4000-8000-{number:012x}");
            names.insert(own, format!("the-identity-of-{name}"));
        }
    }
    names
}

impl Seen {
    /// The same without what no two runs have in common: names made by chance, and times.
    #[must_use]
    pub fn comparable(self, names: &BTreeMap<String, String>) -> Self {
        let plain = |text: &str| {
            let mut text = text.to_owned();
            for (from, to) in names {
                text = text.replace(from, to);
            }
            without_times(&text)
        };
        let mut said = BTreeSet::new();
        for (severity, summary, detail) in self.said {
            // The provider reports a finding about several objects once in full, for the first of them; and which one is the last to have a
            // part of an access depends on the order.
            let first = detail.lines().next().unwrap_or_default();
            // Which workspaces may have had a former key depends on which of two configurations of one apply came first.
            if summary.starts_with("Workspaces lose access to the key") {
                continue;
            }
            said.insert((severity, plain(&summary), plain(first)));
        }
        let state = self.state.into_iter().map(|(address, value)| {
            // Terraform's own block has more than the model of it.
            if address.starts_with("terraform_data.") {
                return (address, Json::Null);
            }
            let value = plain(&value.to_string());
            (
                address,
                serde_json::from_str(&value).unwrap_or(Json::String(value)),
            )
        });
        Self {
            said,
            state: state.collect(),
        }
    }
}

/// Replaces what looks like a time: `2026-01-01T00:00:00Z`, `2026-01-01 00:00 UTC`, and milliseconds since 1970.
fn without_times(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut digits = String::new();
    let is_time = |digits: &mut String, plain: &mut String| {
        let is_date =
            digits.len() >= 10 && digits.get(4..5) == Some("-") && digits.starts_with("20");
        let is_moment = digits.len() == 13
            && digits.chars().all(|one| one.is_ascii_digit())
            && digits.starts_with('1');
        match is_date || is_moment {
            true => plain.push('1'),
            false => plain.push_str(digits),
        }
        digits.clear();
    };
    for one in text.chars() {
        let goes_on = one.is_ascii_digit()
            || (!digits.is_empty() && matches!(one, '-' | ':' | 'T' | 'Z' | '.'));
        if goes_on {
            digits.push(one);
        } else {
            is_time(&mut digits, &mut plain);
            plain.push(one);
        }
    }
    is_time(&mut digits, &mut plain);
    plain
}

/// What is written, as Terraform reads it, without the provider.
pub fn hcl(cloud: Cloud, written: &Written) -> String {
    let configuration = platform::of(cloud).configuration(written);
    let blocks = configuration
        .iter()
        .map(|(address, block)| block_of(address, block));
    blocks.collect()
}

fn block_of(address: &str, block: &Block) -> String {
    let (kind, name) = address.split_once('.').unwrap_or((address, ""));
    let mut text = format!("resource \"{kind}\" \"{name}\" {{\n");
    if let Term::Object(all) = &block.body {
        for (name, term) in all {
            text.push_str(&format!("  {name} = {}\n", expression(term)));
        }
    }
    if !block.depends_on.is_empty() {
        let all: Vec<&str> = block.depends_on.iter().map(String::as_str).collect();
        text.push_str(&format!("  depends_on = [{}]\n", all.join(", ")));
    }
    text.push_str("}\n\n");
    text
}

fn expression(term: &Term) -> String {
    match term {
        Term::Value(value) => shown::known(value).to_string(),
        Term::Of(address, path) => format!("{address}.{path}"),
        Term::Object(all) => {
            let all = all
                .iter()
                .map(|(name, term)| format!("{name} = {}", expression(term)));
            format!("{{ {} }}", all.collect::<Vec<_>>().join(", "))
        }
        Term::List(all) => {
            let all = all.iter().map(expression);
            format!("[{}]", all.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_not_compared() {
        assert_eq!(
            without_times("since 2026-01-01T00:00:00Z, in 1767225600000, of 1234567890123456"),
            "since 1, in 1, of 1234567890123456"
        );
    }

    #[test]
    fn a_configuration_is_written_as_people_do() {
        let history = without_mishaps(Cloud::Aws, 1);
        let written = history.events.iter().find_map(|event| match event {
            Event::Writes(written) => Some(hcl(Cloud::Aws, written)),
            _ => None,
        });
        let hcl = written.unwrap_or_default();
        assert!(
            hcl.starts_with("resource \"dbxcmk_key_configuration\" \"c0\" {\n"),
            "{hcl}"
        );
        assert!(hcl.contains("aws = { key_arn = "), "{hcl}");
    }
}
