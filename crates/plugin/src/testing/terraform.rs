//! A model of Terraform's core that drives a provider in this process: configurations with references, the state with what Terraform keeps
//! beside the values, plans, applies with the second plan that Terraform makes when unknown values have become known, replacements, targets,
//! and resources side by side in any order that their dependencies allow.
//!
//! It keeps the state as Terraform does: after an error it has what came back, a create that failed half-way is tainted, and
//! whoever drops an apply has killed Terraform and finds what was saved so far. What a provider may not answer is in [`Told::broken`].
//!
//! It makes no task and reads no clock but `tokio`'s, so that a test that seeds `fastrand` and pauses that clock repeats a run exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::rules;
use crate::boxed::Boxed;
use crate::codec;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::server::Server;
use crate::types::Type;
use crate::value::Value;

/// How many resources Terraform works on at once.
const AT_ONCE: usize = 10;
/// The kind of block that Terraform itself has: its `output` is its `input`, which a plan does not know before the object is made.
pub const TERRAFORM_DATA: &str = "terraform_data";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands in a configuration where a value is expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A value.
    Value(Value),
    /// An attribute of another block: its address, and the dotted path.
    Of(String, String),
    /// An object.
    Object(Vec<(String, Term)>),
    /// A list or set.
    List(Vec<Term>),
}

impl Term {
    /// Text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::Value(Value::string(text))
    }

    /// An attribute of another block.
    pub fn of(address: impl Into<String>, path: impl Into<String>) -> Self {
        Self::Of(address.into(), path.into())
    }

    /// An object.
    pub fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Term)>) -> Self {
        Self::Object(
            fields
                .into_iter()
                .map(|(name, term)| (name.into(), term))
                .collect(),
        )
    }

    /// Whose attributes stand in it.
    fn references(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Value(_) => {}
            Self::Of(address, _) => drop(found.insert(address.clone())),
            Self::Object(fields) => fields.iter().for_each(|(_, term)| term.references(found)),
            Self::List(terms) => terms.iter().for_each(|term| term.references(found)),
        }
    }

    fn evaluated(&self, known: &BTreeMap<String, Value>) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Of(address, path) => match known.get(address) {
                Some(value) => part_of(value, path),
                None => Value::unknown(),
            },
            Self::Object(fields) => Value::map(
                fields
                    .iter()
                    .map(|(name, term)| (name, term.evaluated(known))),
            ),
            Self::List(terms) => {
                Value::List(terms.iter().map(|term| term.evaluated(known)).collect())
            }
        }
    }
}

/// A part of a value; of an unknown value, every part is unknown.
fn part_of(value: &Value, path: &str) -> Value {
    let mut at = value;
    for name in path.split('.') {
        if at.is_unknown() {
            return Value::unknown();
        }
        at = at.get(name);
    }
    at.clone()
}

/// A block of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its arguments, as an object.
    pub body: Term,
    /// `depends_on`.
    pub depends_on: BTreeSet<String>,
    /// `create_before_destroy`.
    pub create_first: bool,
}

impl Block {
    /// One with these arguments.
    pub fn new(body: Term) -> Self {
        Self {
            body,
            depends_on: BTreeSet::new(),
            create_first: false,
        }
    }

    /// Whom it waits for.
    fn dependencies(&self) -> BTreeSet<String> {
        let mut found = self.depends_on.clone();
        self.body.references(&mut found);
        found
    }
}

/// The blocks of a configuration, by their addresses: `toys_ball.a`.
pub type Configuration = BTreeMap<String, Block>;

/// The type in an address.
fn kind(address: &str) -> &str {
    address.split_once('.').map_or(address, |(kind, _)| kind)
}

/// An object in the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its value.
    pub value: Value,
    /// What the provider keeps beside it.
    pub private: Vec<u8>,
    /// Whether its create failed half-way, so that it is to be replaced.
    pub is_tainted: bool,
    /// Whom it depended on when it was last applied.
    pub dependencies: BTreeSet<String>,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            value: Value::Null,
            private: Vec::new(),
            is_tainted: false,
            dependencies: BTreeSet::new(),
        }
    }
}

/// A state: the objects by their addresses, and those that were replaced and are still there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The objects.
    pub objects: BTreeMap<String, Object>,
    /// The former objects of blocks that create before they destroy.
    pub deposed: BTreeMap<String, Object>,
}

impl State {
    fn values(&self) -> BTreeMap<String, Value> {
        let values = self.objects.iter();
        values
            .map(|(address, one)| (address.clone(), one.value.clone()))
            .collect()
    }
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// There was no object.
    Create,
    /// The object changes.
    Update,
    /// Another object takes its place; which is there first depends on the block.
    Replace,
    /// The object goes.
    Delete,
}

/// A planned change.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it does.
    pub action: Action,
    /// The planned value; null for one that goes.
    pub planned: Value,
    /// What the provider noted beside the plan. Terraform hands it to the end of an object; a change is planned once more.
    private: Vec<u8>,
}

/// What was said, and what of it no provider may say.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The diagnostics, with the address of whom they are about.
    pub diagnostics: Vec<(String, Diagnostic)>,
    /// Where the provider broke Terraform's rules: "provider produced inconsistent final plan" and its relatives.
    pub broken: Vec<String>,
}

impl Told {
    /// Whether a diagnostic stops the run.
    pub fn has_errors(&self) -> bool {
        let mut all = self.diagnostics.iter();
        !self.broken.is_empty()
            || all.any(|(_, one)| one.severity == crate::diagnostics::Severity::Error)
    }

    fn said(&mut self, address: &str, said: Diagnostics) {
        let said = said.iter().cloned();
        self.diagnostics
            .extend(said.map(|one| (address.to_owned(), one)));
    }

    fn broke(&mut self, address: &str, rule: &str, what: Vec<String>) {
        let lines = what.into_iter();
        self.broken
            .extend(lines.map(|what| format!("{rule}: {address} {what}")));
    }

    fn take(&mut self, other: Self) {
        self.diagnostics.extend(other.diagnostics);
        self.broken.extend(other.broken);
    }
}

/// A plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The state as the refresh found it.
    pub refreshed: State,
    /// What changes, with what stays.
    pub changes: BTreeMap<String, Change>,
}

impl Plan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes
            .values()
            .all(|change| change.action == Action::NoOp)
    }
}

/// How a plan is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the objects are read before.
    pub refresh: bool,
    /// Whether everything goes.
    pub destroy: bool,
    /// Only these and whom they need; all where there is none.
    pub targets: BTreeSet<String>,
    /// Those that are replaced whatever changes.
    pub replace: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refresh: true,
            destroy: false,
            targets: BTreeSet::new(),
            replace: BTreeSet::new(),
        }
    }
}

/// A process of a provider. Terraform starts one for each walk over the resources.
pub struct Process<P: Provider> {
    server: Server<P>,
    stop: CancellationToken,
}

fn decoded(value: Option<&pb::DynamicValue>, ty: &Type) -> Result<Value, Diagnostics> {
    codec::decode_optional(value, ty).map_err(super::bug)
}

fn encoded(value: &Value, ty: &Type) -> Result<Option<pb::DynamicValue>, Diagnostics> {
    super::encode(value, ty)
}

/// What one answer said, without whom it was about.
struct Answered<T> {
    value: T,
    said: Diagnostics,
}

impl<P: Provider> Process<P> {
    /// Starts and configures one.
    ///
    /// # Errors
    /// What the provider says of its configuration.
    pub async fn start(provider: P, config: &Value) -> Result<Self, Diagnostics> {
        let ty = provider.schema().ty();
        let stop = CancellationToken::new();
        let server = Server::new(provider, stop.clone());
        let config = encoded(config, &ty)?;
        let validated = server.validate_block(pb::validate_provider_config::Request {
            config: config.clone(),
        });
        super::warnings(validated.await.diagnostics)?;
        let configured = server.configure(pb::configure_provider::Request {
            config,
            terraform_version: "1.11.4".to_owned(),
            ..pb::configure_provider::Request::default()
        });
        super::warnings(configured.await.diagnostics)?;
        Ok(Self { server, stop })
    }

    /// The user interrupts Terraform: what is under way ends at its next safe point, and nothing new begins.
    pub fn interrupt(&self) {
        self.stop.cancel();
        self.server.interrupt();
    }

    async fn validated(&self, kind: &str, config: &Value) -> Diagnostics {
        let attempt = async {
            let ty = self.server.resource_type(kind)?;
            let request = pb::validate_resource_config::Request {
                type_name: kind.to_owned(),
                config: encoded(config, &ty)?,
                ..pb::validate_resource_config::Request::default()
            };
            Ok(Diagnostics::from_proto(
                self.server.validate(request).await.diagnostics,
            ))
        };
        attempt.await.unwrap_or_else(|errors: Diagnostics| errors)
    }

    async fn read(
        &self,
        kind: &str,
        object: &Object,
    ) -> Result<Answered<Option<Object>>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let request = pb::read_resource::Request {
            type_name: kind.to_owned(),
            current_state: encoded(&object.value, &ty)?,
            private: object.private.clone(),
            ..pb::read_resource::Request::default()
        };
        let answer = self.server.read(request).await;
        let said = Diagnostics::from_proto(answer.diagnostics);
        if said.has_errors() {
            return Ok(Answered {
                value: Some(object.clone()),
                said,
            });
        }
        let value = decoded(answer.new_state.as_ref(), &ty)?;
        let object = Object {
            value,
            private: answer.private,
            ..object.clone()
        };
        let value = (!object.value.is_null()).then_some(object);
        Ok(Answered { value, said })
    }

    async fn planned(
        &self,
        kind: &str,
        prior: &Object,
        config: &Value,
    ) -> Result<Answered<(Value, bool, Vec<u8>)>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let config = encoded(config, &ty)?;
        let request = pb::plan_resource_change::Request {
            type_name: kind.to_owned(),
            prior_state: encoded(&prior.value, &ty)?,
            proposed_new_state: config.clone(),
            config,
            prior_private: prior.private.clone(),
            ..pb::plan_resource_change::Request::default()
        };
        let answer = self.server.plan(request).await;
        let said = Diagnostics::from_proto(answer.diagnostics);
        let planned = decoded(answer.planned_state.as_ref(), &ty)?;
        let replaces = !answer.requires_replace.is_empty();
        Ok(Answered {
            value: (planned, replaces, answer.planned_private),
            said,
        })
    }

    async fn carried_out(
        &self,
        kind: &str,
        prior: &Value,
        planned: &Value,
        private: Vec<u8>,
    ) -> Result<Answered<(Value, Vec<u8>)>, Diagnostics> {
        let ty = self.server.resource_type(kind)?;
        let request = pb::apply_resource_change::Request {
            type_name: kind.to_owned(),
            prior_state: encoded(prior, &ty)?,
            planned_state: encoded(planned, &ty)?,
            planned_private: private,
            ..pb::apply_resource_change::Request::default()
        };
        let answer = self.server.carry_out(request).await;
        let said = Diagnostics::from_proto(answer.diagnostics);
        let value = decoded(answer.new_state.as_ref(), &ty)?;
        Ok(Answered {
            value: (value, answer.private),
            said,
        })
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn data(&self, kind: &str, config: &Value) -> Result<Value, Diagnostics> {
        let ty = self.server.data_source_type(kind)?;
        let request = pb::read_data_source::Request {
            type_name: kind.to_owned(),
            config: encoded(config, &ty)?,
            ..pb::read_data_source::Request::default()
        };
        let answer = self.server.data(request).await;
        super::warnings(answer.diagnostics)?;
        decoded(answer.state.as_ref(), &ty)
    }

    /// `terraform apply -invoke`: the lines that an action showed.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn invoke(&self, kind: &str, config: &Value) -> Result<Vec<String>, Diagnostics> {
        let ty = self.server.action_type(kind)?;
        let request = pb::invoke_action::Request {
            action_type: kind.to_owned(),
            config: encoded(config, &ty)?,
            ..pb::invoke_action::Request::default()
        };
        let (lines, ended) = self.server.invoke(request).await;
        match ended.has_errors() {
            true => Err(ended),
            false => Ok(lines),
        }
    }

    /// `terraform import`: the state has the object then.
    pub async fn import(&self, state: &mut State, address: &str, id: &str) -> Told {
        let mut told = Told::default();
        let attempt = async {
            let ty = self.server.resource_type(kind(address))?;
            let request = pb::import_resource_state::Request {
                type_name: kind(address).to_owned(),
                id: id.to_owned(),
                ..pb::import_resource_state::Request::default()
            };
            let answer = self.server.import(request).await;
            super::warnings(answer.diagnostics)?;
            let Some(first) = answer.imported_resources.into_iter().next() else {
                return Ok(None);
            };
            let object = Object {
                value: decoded(first.state.as_ref(), &ty)?,
                private: first.private,
                ..Object::default()
            };
            let read = self.read(kind(address), &object).await?;
            if read.said.has_errors() {
                return Err(read.said);
            }
            Ok(read.value)
        };
        match attempt.await {
            Ok(Some(object)) => drop(state.objects.insert(address.to_owned(), object)),
            Ok(None) => told.said(
                address,
                Diagnostic::error("Cannot import non-existent remote object", id).into(),
            ),
            Err(errors) => told.said(address, errors),
        }
        told
    }
}

/// What has to be done of a walk: the nodes, and whom each waits for.
type Nodes<N> = BTreeMap<N, BTreeSet<N>>;

/// Visits each node after those that it waits for, at most ten at once. Those that wait for one that failed are left out.
async fn walk<'a, N: Ord + Clone>(
    mut waiting: Nodes<N>,
    stop: &CancellationToken,
    visit: impl Fn(N) -> Boxed<'a, bool>,
) {
    let names: BTreeSet<N> = waiting.keys().cloned().collect();
    for needs in waiting.values_mut() {
        needs.retain(|need| names.contains(need));
    }
    let (mut done, mut failed) = (BTreeSet::<N>::new(), BTreeSet::<N>::new());
    let mut running: Vec<(N, Boxed<'a, bool>)> = Vec::new();
    loop {
        let lost: Vec<N> = waiting
            .iter()
            .filter(|(_, needs)| !needs.is_disjoint(&failed))
            .map(|(name, _)| name.clone())
            .collect();
        if stop.is_cancelled() {
            waiting.clear();
        }
        for name in &lost {
            waiting.remove(name);
            failed.insert(name.clone());
        }
        if !lost.is_empty() {
            continue;
        }
        let mut ready: Vec<N> = waiting
            .iter()
            .filter(|(_, needs)| needs.is_subset(&done))
            .map(|(name, _)| name.clone())
            .collect();
        fastrand::shuffle(&mut ready);
        for name in ready
            .into_iter()
            .take(AT_ONCE.saturating_sub(running.len()))
        {
            waiting.remove(&name);
            running.push((name.clone(), visit(name)));
        }
        if running.is_empty() {
            return;
        }
        let (at, is_done) = std::future::poll_fn(|cx| {
            for (at, (_, work)) in running.iter_mut().enumerate() {
                if let Poll::Ready(is_done) = Pin::new(work).poll(cx) {
                    return Poll::Ready((at, is_done));
                }
            }
            Poll::Pending
        })
        .await;
        let (name, _) = running.swap_remove(at);
        match is_done {
            true => done.insert(name),
            false => failed.insert(name),
        };
    }
}

/// Resources begin in no particular order.
async fn somewhen() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
}

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
        nodes.entry(address.clone()).or_default();
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

/// Those that are named, with whom they need; when everything goes, with those that need them.
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

/// Asks for a plan, and looks whether the answer is one that Terraform takes.
async fn ask_plan<P: Provider>(
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
                    apply_change(process, &address, change, block, saved, applying).await
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
            &Value::Null,
            change.private.clone(),
        )
        .await;
    let mut applying = lock(applying);
    let answer = match answer {
        Ok(answer) => answer,
        Err(errors) => {
            applying.told.said(address, errors);
            return false;
        }
    };
    let has_errors = answer.said.has_errors();
    applying.told.said(address, answer.said);
    let (value, private) = answer.value;
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

async fn apply_change<P: Provider>(
    process: &Process<P>,
    address: &str,
    change: &Change,
    block: &Block,
    saved: &Mutex<State>,
    applying: &Mutex<Applying>,
) -> bool {
    let config = block.body.evaluated(&lock(applying).known);
    let prior = lock(saved).objects.get(address).cloned();
    if kind(address) == TERRAFORM_DATA {
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
    let outcome = second_plan(process, address, change, prior.as_ref(), &config, &mut told).await;
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
        .carried_out(kind(address), &before.value, &planned, private)
        .await;
    let mut applying = lock(applying);
    let answer = match answer {
        Ok(answer) => answer,
        Err(errors) => {
            applying.told.said(address, errors);
            return false;
        }
    };
    let has_errors = answer.said.has_errors();
    applying.told.said(address, answer.said);
    let (value, private) = answer.value;
    if !value.is_wholly_known() {
        let rule = "Provider returned invalid result object after apply";
        applying
            .told
            .broke(address, rule, vec![": something is unknown".to_owned()]);
    }
    if let (Ok(schema), false) = (process.server.resource_schema(kind(address)), has_errors) {
        let mut broken = Vec::new();
        rules::promises(
            &schema.attributes,
            &planned,
            &value,
            &Path::root(),
            &mut broken,
        );
        applying.told.broke(
            address,
            "Provider produced inconsistent result after apply",
            broken,
        );
    }
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
    prior: Option<&Object>,
    config: &Value,
    told: &mut Told,
) -> Option<(Value, Vec<u8>)> {
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
