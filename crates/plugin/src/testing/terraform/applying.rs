//! Applying: the second plan that Terraform makes, its comparison, and the state after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::configuration::{Block, Configuration};
use super::planning::{ask_plan, revalidates};
use super::process::{Answered, Process};
use super::state::{Action, Change, Object, Plan, State, Told};
use super::walk::{Nodes, somewhen, walk};
use super::{TERRAFORM_DATA, kind, lock};
use crate::boxed::Boxed;
use crate::diagnostics::Diagnostics;
use crate::path::Path;
use crate::provider::Provider;
use crate::schema::Schema;
use crate::testing::rules;
use crate::value::Value;

/// A step of an apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Change(String),
    End(String),
}

/// `terraform apply` of a plan. `saved`: the state, which has what is true after each step.
pub async fn apply<P: Provider>(
    process: &Process<P>,
    configuration: &Configuration,
    plan: &Plan,
    saved: &Mutex<State>,
) -> Told {
    let applying = Mutex::new(Applying {
        known: plan.refreshed.values(),
        told: Told::default(),
    });
    *lock(saved) = plan.refreshed.clone();
    let nodes = nodes(configuration, plan);
    let visit = |node: Node| -> Boxed<'_, bool> {
        let applying = &applying;
        Box::pin(async move {
            somewhen().await;
            match node {
                Node::End(address) => {
                    let Some(change) = plan.changes.get(&address) else {
                        return true;
                    };
                    apply_end(process, &address, change, saved, applying).await
                }
                Node::Change(address) => {
                    let found = plan.changes.get(&address).zip(configuration.get(&address));
                    let Some((change, block)) = found else {
                        return true;
                    };
                    apply_change(process, &address, change, block, (saved, applying)).await
                }
            }
        })
    };
    walk(nodes, &process.stop, visit).await;
    applying
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .told
}

struct Applying {
    known: BTreeMap<String, Value>,
    told: Told,
}

impl Applying {
    /// What an apply answered: the value, its private data, and whether there was an error; `None` when there is no answer.
    fn heard(
        &mut self,
        address: &str,
        answer: Result<Answered<(Value, Vec<u8>)>, Diagnostics>,
    ) -> Option<(Value, Vec<u8>, bool)> {
        match answer {
            Ok(answer) => {
                let has_errors = answer.said.has_errors();
                self.told.said(address, answer.said);
                let (value, private) = answer.value;
                Some((value, private, has_errors))
            }
            Err(errors) => {
                self.told.said(address, errors);
                None
            }
        }
    }
}

/// What is done after what: who is made after those it refers to, who goes after those that referred to it.
fn nodes(configuration: &Configuration, plan: &Plan) -> Nodes<Node> {
    let mut nodes: Nodes<Node> = BTreeMap::new();
    let creates_first = |address: &String| {
        configuration
            .get(address)
            .is_some_and(|block| block.create_first)
    };
    let dependents = |of: &String| -> Vec<String> {
        let objects = plan.refreshed.objects.iter();
        objects
            .filter(|(_, object)| object.dependencies.contains(of))
            .map(|(address, _)| address.clone())
            .collect()
    };
    for (address, change) in &plan.changes {
        let ends = matches!(change.action, Action::Delete | Action::Replace);
        if change.action != Action::Delete {
            let block = configuration.get(address);
            let needs = block.map(Block::dependencies).unwrap_or_default();
            let mut needs: BTreeSet<Node> = needs.into_iter().map(Node::Change).collect();
            if ends && !creates_first(address) {
                needs.insert(Node::End(address.clone()));
            }
            nodes.insert(Node::Change(address.clone()), needs);
        }
        if ends {
            let mut needs: BTreeSet<Node> =
                dependents(address).into_iter().map(Node::End).collect();
            if creates_first(address) {
                needs.insert(Node::Change(address.clone()));
                needs.extend(dependents(address).into_iter().map(Node::Change));
            }
            nodes.insert(Node::End(address.clone()), needs);
        }
    }
    nodes
}

async fn apply_end<P: Provider>(
    process: &Process<P>,
    address: &str,
    change: &Change,
    saved: &Mutex<State>,
    applying: &Mutex<Applying>,
) -> bool {
    let (deposed, current) = {
        let state = lock(saved);
        (
            state.deposed.get(address).cloned(),
            state.objects.get(address).cloned(),
        )
    };
    let is_deposed = deposed.is_some();
    let Some(prior) = deposed.or(current) else {
        return true;
    };
    let keep = |object: Option<Object>| {
        let mut state = lock(saved);
        let place = match is_deposed {
            true => &mut state.deposed,
            false => &mut state.objects,
        };
        match object {
            Some(object) => drop(place.insert(address.to_owned(), object)),
            None => drop(place.remove(address)),
        }
    };
    if kind(address) == TERRAFORM_DATA {
        keep(None);
        return true;
    }
    let answer = process
        .carried_out(
            kind(address),
            &prior.value,
            (&Value::Null, &Value::Null),
            change.private.clone(),
        )
        .await;
    let mut applying = lock(applying);
    let Some((value, private, has_errors)) = applying.heard(address, answer) else {
        return false;
    };
    match (value.is_null(), has_errors) {
        (true, false) => keep(None),
        // With nothing but an error, Terraform goes on with what it had.
        (true, true) => {}
        (false, true) => keep(Some(Object {
            value,
            private,
            ..prior
        })),
        (false, false) => {
            applying.told.broke(
                address,
                "Provider returned invalid result object after apply",
                vec![": it is still there".to_owned()],
            );
            return false;
        }
    }
    !has_errors
}

/// `terraform_data`, which Terraform itself carries out.
fn apply_data(
    address: &str,
    config: &Value,
    block: &Block,
    (saved, applying): (&Mutex<State>, &Mutex<Applying>),
) {
    let input = config.get("input").clone();
    let value = Value::map([("input", input.clone()), ("output", input)]);
    lock(applying)
        .known
        .insert(address.to_owned(), value.clone());
    let object = Object {
        value,
        dependencies: block.dependencies(),
        ..Object::default()
    };
    lock(saved).objects.insert(address.to_owned(), object);
}

/// What a new state breaks of the rules, and of what was planned. `schema`: none where the provider refused the apply.
fn hold_to_plan(
    told: &mut Told,
    address: &str,
    schema: Option<&Schema>,
    (planned, value): (&Value, &Value),
) {
    if !value.is_wholly_known() {
        let rule = "Provider returned invalid result object after apply";
        told.broke(address, rule, vec![": something is unknown".to_owned()]);
    }
    if let Some(schema) = schema {
        let mut broken = Vec::new();
        let attributes = &schema.attributes;
        rules::promises(attributes, planned, value, &Path::root(), &mut broken);
        let rule = "Provider produced inconsistent result after apply";
        told.broke(address, rule, broken);
    }
}

async fn apply_change<P: Provider>(
    process: &Process<P>,
    address: &str,
    change: &Change,
    block: &Block,
    (saved, applying): (&Mutex<State>, &Mutex<Applying>),
) -> bool {
    let config = block.body.evaluated(&lock(applying).known);
    let prior = lock(saved).objects.get(address).cloned();
    if kind(address) == TERRAFORM_DATA {
        apply_data(address, &config, block, (saved, applying));
        return true;
    }
    if change.action == Action::NoOp {
        return true;
    }
    let prior = match (change.action, prior) {
        (Action::Replace, Some(former)) => {
            let mut state = lock(saved);
            state.objects.remove(address);
            state.deposed.insert(address.to_owned(), former);
            None
        }
        (_, prior) => prior,
    };
    let mut told = Told::default();
    let outcome = second_plan(
        process,
        address,
        change,
        (prior.as_ref(), &config),
        &mut told,
    )
    .await;
    lock(applying).told.take(told);
    let Some((planned, private)) = outcome else {
        return false;
    };
    let none = Object::default();
    let before = prior.as_ref().unwrap_or(&none);
    if before.value == planned {
        return true;
    }
    let answer = process
        .carried_out(kind(address), &before.value, (&planned, &config), private)
        .await;
    let mut applying = lock(applying);
    let Some((value, private, has_errors)) = applying.heard(address, answer) else {
        return false;
    };
    let schema = process.server.resource_schema(kind(address)).ok();
    let schema = schema.filter(|_| !has_errors);
    hold_to_plan(&mut applying.told, address, schema, (&planned, &value));
    let object = match value.is_null() {
        // With nothing but an error, Terraform goes on with what it had.
        true => prior.clone(),
        false => Some(Object {
            value,
            private,
            is_tainted: has_errors && prior.is_none(),
            dependencies: block.dependencies(),
        }),
    };
    match object {
        Some(object) => {
            applying
                .known
                .insert(address.to_owned(), object.value.clone());
            lock(saved).objects.insert(address.to_owned(), object);
        }
        None => drop(lock(saved).objects.remove(address)),
    }
    !has_errors
}

/// Terraform plans once more in an apply, with what is known by then, and compares.
async fn second_plan<P: Provider>(
    process: &Process<P>,
    address: &str,
    change: &Change,
    (prior, config): (Option<&Object>, &Value),
    told: &mut Told,
) -> Option<(Value, Vec<u8>)> {
    if !revalidates(process, address, config, told).await {
        return None;
    }
    let (planned, replaces, private) = ask_plan(process, address, prior, config, told).await?;
    let rule = "Provider produced inconsistent final plan";
    if replaces && change.action == Action::Update {
        told.broke(
            address,
            rule,
            vec![": the object is to be replaced now".to_owned()],
        );
    }
    if let Ok(schema) = process.server.resource_schema(kind(address)) {
        let mut broken = Vec::new();
        rules::promises(
            &schema.attributes,
            &change.planned,
            &planned,
            &Path::root(),
            &mut broken,
        );
        told.broke(address, rule, broken);
    }
    // Terraform stops here where a promise is broken.
    match told.broken.is_empty() {
        true => Some((planned, private)),
        false => None,
    }
}
