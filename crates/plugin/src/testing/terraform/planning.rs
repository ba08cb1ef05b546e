//! Validating and planning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::configuration::{Block, Configuration};
use super::process::Process;
use super::state::{Action, Change, Object, Options, Plan, State, Told};
use super::walk::{Nodes, somewhen, walk};
use super::{TERRAFORM_DATA, kind, lock};
use crate::boxed::Boxed;
use crate::path::Path;
use crate::provider::Provider;
use crate::testing::rules;
use crate::value::Value;

/// `terraform validate`.
pub async fn validate<P: Provider>(process: &Process<P>, configuration: &Configuration) -> Told {
    let mut told = Told::default();
    for (address, block) in configuration {
        if kind(address) != TERRAFORM_DATA {
            let config = block.body.evaluated(&BTreeMap::new());
            told.said(address, process.validated(kind(address), &config).await);
        }
    }
    told
}

/// What a plan has come to.
#[derive(Default)]
struct Planning {
    plan: Plan,
    known: BTreeMap<String, Value>,
    told: Told,
}

/// `terraform plan`.
pub async fn plan<P: Provider>(
    process: &Process<P>,
    configuration: &Configuration,
    state: &State,
    options: &Options,
) -> (Plan, Told) {
    let planning = Mutex::new(Planning {
        plan: Plan {
            refreshed: state.clone(),
            changes: BTreeMap::new(),
        },
        ..Planning::default()
    });
    let mut nodes: Nodes<String> = BTreeMap::new();
    if !options.destroy {
        for (address, block) in configuration {
            nodes.insert(address.clone(), block.dependencies());
        }
    }
    for address in state.objects.keys() {
        let needs = nodes.entry(address.clone()).or_default();
        if options.destroy {
            // Terraform destroys the objects first that depend on it.
            let dependents = state.objects.iter();
            let dependents = dependents.filter(|(_, one)| one.dependencies.contains(address));
            needs.extend(dependents.map(|(dependent, _)| dependent.clone()));
        }
    }
    if !options.targets.is_empty() {
        nodes = targeted(nodes, state, options);
    }
    let visit = |address: String| -> Boxed<'_, bool> {
        let (planning, block) = (&planning, configuration.get(&address));
        let block = block.filter(|_| !options.destroy);
        Box::pin(async move {
            somewhen().await;
            match block {
                Some(block) => plan_block(process, &address, block, options, planning).await,
                None => plan_end(process, &address, options, planning).await,
            }
        })
    };
    walk(nodes, &process.stop, visit).await;
    let done = planning
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    (done.plan, done.told)
}

/// What a plan of a destruction does before, with a process of its own: every object is read, and what is gone is forgotten.
pub async fn refresh<P: Provider>(process: &Process<P>, state: &State) -> (State, Told) {
    let planning = Mutex::new(Planning {
        plan: Plan {
            refreshed: state.clone(),
            changes: BTreeMap::new(),
        },
        ..Planning::default()
    });
    let nodes = state.objects.iter();
    let nodes: Nodes<String> = nodes
        .map(|(address, object)| (address.clone(), object.dependencies.clone()))
        .collect();
    let visit = |address: String| -> Boxed<'_, bool> {
        let planning = &planning;
        Box::pin(async move {
            somewhen().await;
            let options = Options::default();
            let read = refreshed(process, &address, &options, planning).await;
            read.is_ok()
        })
    };
    walk(nodes, &process.stop, visit).await;
    let done = planning
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    (done.plan.refreshed, done.told)
}

/// The targets with the objects that they need; when everything goes, with those that need them.
fn targeted(all: Nodes<String>, state: &State, options: &Options) -> Nodes<String> {
    let mut wanted = options.targets.clone();
    loop {
        let more: BTreeSet<String> = match options.destroy {
            false => all
                .iter()
                .filter(|(address, _)| wanted.contains(*address))
                .flat_map(|(_, needs)| needs.iter().cloned())
                .collect(),
            true => state
                .objects
                .iter()
                .filter(|(_, object)| !object.dependencies.is_disjoint(&wanted))
                .map(|(address, _)| address.clone())
                .collect(),
        };
        let before = wanted.len();
        wanted.extend(more);
        if wanted.len() == before {
            break;
        }
    }
    all.into_iter()
        .filter(|(address, _)| wanted.contains(address))
        .collect()
}

async fn refreshed<P: Provider>(
    process: &Process<P>,
    address: &str,
    options: &Options,
    planning: &Mutex<Planning>,
) -> Result<Option<Object>, ()> {
    let before = lock(planning).plan.refreshed.objects.get(address).cloned();
    let Some(object) = before.filter(|_| options.refresh && kind(address) != TERRAFORM_DATA) else {
        return Ok(lock(planning).plan.refreshed.objects.get(address).cloned());
    };
    let answer = process.read(kind(address), &object).await;
    let mut planning = lock(planning);
    match answer {
        Ok(answer) => {
            let has_errors = answer.said.has_errors();
            planning.told.said(address, answer.said);
            if has_errors {
                return Err(());
            }
            match &answer.value {
                Some(now) => {
                    if !now.value.is_wholly_known() {
                        let what = vec![String::new()];
                        planning.told.broke(
                            address,
                            "Provider returned invalid result object after refresh",
                            what,
                        );
                    }
                    planning
                        .plan
                        .refreshed
                        .objects
                        .insert(address.to_owned(), now.clone());
                }
                None => drop(planning.plan.refreshed.objects.remove(address)),
            }
            Ok(answer.value)
        }
        Err(errors) => {
            planning.told.said(address, errors);
            Err(())
        }
    }
}

async fn plan_block<P: Provider>(
    process: &Process<P>,
    address: &str,
    block: &Block,
    options: &Options,
    planning: &Mutex<Planning>,
) -> bool {
    let Ok(prior) = refreshed(process, address, options, planning).await else {
        return false;
    };
    let config = block.body.evaluated(&lock(planning).known);
    if kind(address) == TERRAFORM_DATA {
        let change = plan_data(prior.as_ref(), &config);
        let mut planning = lock(planning);
        planning
            .known
            .insert(address.to_owned(), change.planned.clone());
        planning.plan.changes.insert(address.to_owned(), change);
        return true;
    }
    let outcome = plan_object(process, address, prior.as_ref(), &config, options).await;
    let mut planning = lock(planning);
    planning.told.take(outcome.1);
    let Some(change) = outcome.0 else {
        return false;
    };
    planning
        .known
        .insert(address.to_owned(), change.planned.clone());
    planning.plan.changes.insert(address.to_owned(), change);
    true
}

/// What Terraform's own block plans.
fn plan_data(prior: Option<&Object>, config: &Value) -> Change {
    let input = config.get("input").clone();
    let same = prior.filter(|prior| *prior.value.get("input") == input);
    let output = match same {
        Some(prior) => prior.value.get("output").clone(),
        None => Value::unknown(),
    };
    let action = match (prior, same) {
        (None, _) => Action::Create,
        (Some(_), None) => Action::Update,
        (Some(_), Some(_)) => Action::NoOp,
    };
    Change {
        action,
        planned: Value::map([("input", input), ("output", output)]),
        private: Vec::new(),
    }
}

/// Source: Terraform 1.11, `NodeAbstractResourceInstance.plan`.
async fn plan_object<P: Provider>(
    process: &Process<P>,
    address: &str,
    prior: Option<&Object>,
    config: &Value,
    options: &Options,
) -> (Option<Change>, Told) {
    let mut told = Told::default();
    if !revalidates(process, address, config, &mut told).await {
        return (None, told);
    }
    // A tainted object is planned as if there was none.
    let first = prior.filter(|one| !one.is_tainted);
    let Some((mut planned, replaces, mut private)) =
        ask_plan(process, address, first, config, &mut told).await
    else {
        return (None, told);
    };
    let is_forced = options.replace.contains(address);
    let action = match prior {
        None => Action::Create,
        Some(prior) if prior.is_tainted || is_forced || replaces => {
            if !prior.is_tainted {
                // The successor is planned from nothing, with what the first plan noted; the end of the former one gets what this plan notes.
                let nothing = Object {
                    private,
                    ..Object::default()
                };
                let second = ask_plan(process, address, Some(&nothing), config, &mut told).await;
                let Some((value, _, noted)) = second else {
                    return (None, told);
                };
                (planned, private) = (value, noted);
            }
            Action::Replace
        }
        Some(prior) if prior.value == planned => Action::NoOp,
        Some(_) => Action::Update,
    };
    let change = Change {
        action,
        planned,
        private,
    };
    (Some(change), told)
}

/// Whether a configuration is still valid: Terraform asks before each plan, because more of it may be known by then.
pub(super) async fn revalidates<P: Provider>(
    process: &Process<P>,
    address: &str,
    config: &Value,
    told: &mut Told,
) -> bool {
    let found = process.validated(kind(address), config).await;
    let has_errors = found.has_errors();
    told.said(address, found);
    !has_errors
}

/// Asks for a plan, and looks whether the answer is one that Terraform takes.
pub(super) async fn ask_plan<P: Provider>(
    process: &Process<P>,
    address: &str,
    prior: Option<&Object>,
    config: &Value,
    told: &mut Told,
) -> Option<(Value, bool, Vec<u8>)> {
    let none = Object::default();
    let prior = prior.unwrap_or(&none);
    let answer = match process.planned(kind(address), prior, config).await {
        Ok(answer) => answer,
        Err(errors) => {
            told.said(address, errors);
            return None;
        }
    };
    let has_errors = answer.said.has_errors();
    told.said(address, answer.said);
    if has_errors {
        return None;
    }
    if let (Ok(schema), false) = (
        process.server.resource_schema(kind(address)),
        config.is_null(),
    ) {
        let mut broken = Vec::new();
        let config = config.clone().canonical(&schema.ty());
        let values = (&prior.value, &config, &answer.value.0);
        rules::of_plan(&schema.attributes, values, &Path::root(), &mut broken);
        told.broke(address, "Provider produced invalid plan", broken);
    }
    Some(answer.value)
}

async fn plan_end<P: Provider>(
    process: &Process<P>,
    address: &str,
    options: &Options,
    planning: &Mutex<Planning>,
) -> bool {
    let prior = match options.destroy {
        true => lock(planning).plan.refreshed.objects.get(address).cloned(),
        false => match refreshed(process, address, options, planning).await {
            Ok(prior) => prior,
            Err(()) => return false,
        },
    };
    let Some(prior) = prior else {
        return true;
    };
    let mut told = Told::default();
    let private = if kind(address) == TERRAFORM_DATA {
        Vec::new()
    } else {
        let Some((planned, _, private)) =
            ask_plan(process, address, Some(&prior), &Value::Null, &mut told).await
        else {
            lock(planning).told.take(told);
            return false;
        };
        if !planned.is_null() {
            told.broke(
                address,
                "Provider produced invalid plan",
                vec![": something is left of it".to_owned()],
            );
        }
        private
    };
    let mut planning = lock(planning);
    planning.told.take(told);
    planning.plan.changes.insert(
        address.to_owned(),
        Change {
            action: Action::Delete,
            planned: Value::Null,
            private,
        },
    );
    true
}
