//! The model of Terraform, on which histories are played by the thousand, shows what the real Terraform shows: the same diagnostics and the same
//! state after each step of histories that the same seeds draw.

use std::collections::{BTreeMap, BTreeSet};

use dbxcmk_sandbox::{Options, Sandbox};
use dbxcmk_simulation::history::{Cloud, Event, History};
use dbxcmk_simulation::transcript::{self, Said, Seen};
use serde_json::Value as Json;

use acceptance_tests::harness::{Run, Workdir, terraform};
use acceptance_tests::{azure, stage};

/// Which histories of each cloud the test compares, as `1..=200`; the first two by default.
const HISTORIES: &str = "DBXCMK_COMPARED_HISTORIES";

fn histories() -> std::ops::RangeInclusive<u64> {
    let given = std::env::var(HISTORIES).unwrap_or_else(|_| "1..=2".to_owned());
    let (first, last) = given.split_once("..=").expect("two seeds");
    first.parse().expect("a seed")..=last.parse().expect("a seed")
}

/// What Terraform says of itself, which the model does not.
const OF_TERRAFORM: [&str; 3] = [
    "Provider development overrides are in effect",
    "Resource targeting is in effect",
    "Applied changes may be incomplete",
];

/// The diagnostics about objects.
fn said(run: &Run) -> BTreeSet<Said> {
    let is_of_objects =
        |one: &&acceptance_tests::harness::Message| !OF_TERRAFORM.contains(&one.summary.as_str());
    let messages = run.messages.iter().filter(is_of_objects);
    let said = messages.map(|one| {
        (
            one.severity.clone(),
            one.summary.clone(),
            one.detail.clone(),
        )
    });
    said.collect()
}

struct Real {
    cloud: Cloud,
    sandbox: Sandbox,
    workdir: Workdir,
    head: String,
    /// What the last command printed.
    printed: std::cell::RefCell<String>,
}

impl Real {
    fn new(history: &History) -> Self {
        let options = Options {
            wait: std::time::Duration::from_millis(150),
            cache: std::time::Duration::ZERO,
            ..transcript::options(history.cloud)
        };
        let sandbox = Sandbox::start(options).expect("a sandbox");
        let mut workdir = Workdir::new(&sandbox);
        let head = match history.cloud {
            Cloud::Azure => {
                for (name, _) in sandbox.environment() {
                    if name.starts_with("DATABRICKS_") {
                        workdir.unset(&name);
                    }
                }
                azure::provider(&sandbox, workdir.path(), "")
            }
            Cloud::Aws | Cloud::Google => stage::HEAD.to_owned(),
        };
        Self {
            cloud: history.cloud,
            sandbox,
            workdir,
            head,
            printed: std::cell::RefCell::default(),
        }
    }

    fn state(&self) -> BTreeMap<String, Json> {
        let text = std::fs::read_to_string(self.workdir.path().join("terraform.tfstate"));
        let state: Json = text
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let resources = state.get("resources").and_then(Json::as_array);
        let objects = resources.into_iter().flatten().filter_map(|one| {
            let part = |name: &str| one.get(name)?.as_str();
            let address = format!("{}.{}", part("type")?, part("name")?);
            let attributes = one.pointer("/instances/0/attributes")?.clone();
            Some((address, attributes))
        });
        objects.collect()
    }

    fn happens(&self, event: &Event, others: &mut transcript::Others) -> Seen {
        let run = |arguments: &[&str], further: &[String]| {
            let mut all = arguments.to_vec();
            all.extend(further.iter().map(String::as_str));
            let run = self.workdir.run(&all);
            self.printed.replace(run.output.clone());
            said(&run)
        };
        let said = match event {
            Event::Writes(written) => {
                let hcl = transcript::hcl(self.cloud, written);
                self.workdir.configuration(&format!("{}{hcl}", self.head));
                BTreeSet::new()
            }
            Event::Plans => run(&["plan", "-json", "-input=false"], &[]),
            Event::Applies {
                target, replace, ..
            } => {
                let option = |name: &str, address: &Option<String>| {
                    address.as_ref().map(|address| format!("-{name}={address}"))
                };
                let further = [option("target", target), option("replace", replace)];
                let further: Vec<String> = further.into_iter().flatten().collect();
                run(
                    &["apply", "-json", "-input=false", "-auto-approve"],
                    &further,
                )
            }
            Event::Destroys => run(&["destroy", "-json", "-input=false", "-auto-approve"], &[]),
            Event::Imports(address) => {
                if let Some(value) = self.state().get(address) {
                    let id = transcript::import_id(self.cloud, address, value).expect("an id");
                    self.workdir.forget(address);
                    self.workdir.import(address, &id);
                }
                BTreeSet::new()
            }
            Event::Other(other) => {
                self.sandbox
                    .with(|world| transcript::other(self.cloud, world, *other, others));
                BTreeSet::new()
            }
            other => panic!("{other:?} is not played with a real Terraform"),
        };
        let names = self.sandbox.with(|world| transcript::names(world));
        Seen {
            said,
            state: self.state(),
        }
        .comparable(&names)
    }
}

/// What differs between what the model and the real one show of a step.
fn difference(model: &Seen, real: &Seen) -> Vec<String> {
    let mut all = Vec::new();
    let lines = |from: &Seen| -> BTreeSet<String> {
        let said = from.said.iter().map(|one| format!("{one:?}"));
        let state = from
            .state
            .iter()
            .map(|(address, value)| format!("{address} = {value}"));
        said.chain(state).collect()
    };
    let (model, real) = (lines(model), lines(real));
    all.extend(
        model
            .difference(&real)
            .map(|one| format!("  only the model: {one}")),
    );
    all.extend(
        real.difference(&model)
            .map(|one| format!("  only Terraform: {one}")),
    );
    all
}

fn compared(cloud: Cloud) {
    if terraform::is_opentofu() {
        return terraform::passed_over("the model of Terraform");
    }
    let next = std::sync::Mutex::new(histories());
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            let work = || {
                loop {
                    let seed = next.lock().expect("the seeds").next();
                    let Some(seed) = seed else { return };
                    if let Err(why) = one(cloud, seed) {
                        wrong.lock().expect("what is wrong").push(why);
                    }
                }
            };
            thread.spawn_scoped(scope, work).expect("a thread");
        }
    });
    let wrong = wrong.into_inner().expect("what is wrong");
    assert!(
        wrong.is_empty(),
        "{}\n\n{} differ",
        wrong.join("\n\n"),
        wrong.len()
    );
}

fn one(cloud: Cloud, seed: u64) -> Result<(), String> {
    let history = transcript::without_mishaps(cloud, seed);
    let model = transcript::as_modeled(&history);
    let real = Real::new(&history);
    let mut others = real
        .sandbox
        .with(|world| transcript::prepare(cloud, world, history.keys));
    for (at, event) in history.events.iter().enumerate() {
        let seen = real.happens(event, &mut others);
        let differs = difference(&model[at], &seen);
        if !differs.is_empty() {
            let before = history.events[..=at].iter().map(|one| format!("{one:?}"));
            let before: Vec<String> = before.collect();
            return Err(format!(
                "{} {seed}, step {at}: {}\n{}\n{}",
                cloud.name(),
                before.join("\n"),
                differs.join("\n"),
                real.printed.borrow()
            ));
        }
    }
    Ok(())
}

#[test]
fn the_model_shows_what_terraform_shows_on_aws() {
    compared(Cloud::Aws);
}

#[test]
fn the_model_shows_what_terraform_shows_on_google_cloud() {
    compared(Cloud::Google);
}

#[test]
fn the_model_shows_what_terraform_shows_on_azure() {
    compared(Cloud::Azure);
}
