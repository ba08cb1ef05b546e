//! What a managed resource implements, and the generic life of one: everything that Terraform demands of each of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::bridge::{from_value, to_value};
use super::codec::json::decode_lenient;
use super::conformity::{plan_violations, state_violations};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::identity::Identity;
use super::path::Path;
use super::planning::{differs_quietly, propose, replacements};
use super::schema::Schema;
use super::typed::{misfit, validated};
use super::value::Value;

/// A future that can be kept in a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Bytes that Terraform keeps beside the state and hands back, by name. Not for secrets: they are stored in plain text.
pub type Private = BTreeMap<String, Json>;

/// What every operation gets: the configured client, the wish to stop, and places for warnings and private data.
#[derive(Debug)]
pub struct Context<C> {
    client: Arc<C>,
    stop: CancellationToken,
    warnings: Mutex<Diagnostics>,
    private: Mutex<Private>,
    deferred: AtomicBool,
}

impl<C> Context<C> {
    /// A context for one operation.
    pub fn new(client: Arc<C>, stop: CancellationToken, private: Private) -> Self {
        Self {
            client,
            stop,
            warnings: Mutex::default(),
            private: Mutex::new(private),
            deferred: AtomicBool::new(false),
        }
    }

    /// What the provider's configuration was made into.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// Ends when Terraform wants the operation to stop: the next safe point is the place to return what is true so far.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Shows the user something that does not stop the run.
    pub fn warn(&self, diagnostic: Diagnostic) {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(diagnostic);
    }

    /// What an earlier operation on the same object left in private.
    pub fn private(&self, name: &str) -> Option<Json> {
        self.private
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Leaves something in private for the next operation on the same object.
    pub fn set_private(&self, name: &str, value: Json) {
        self.private
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), value);
    }

    /// Nothing more can be said before the provider's own configuration is known. Where Terraform allows it, the change is
    /// put off to a later run.
    pub fn defer(&self) {
        self.deferred.store(true, Ordering::Relaxed);
    }

    pub(super) fn finish(self) -> (Diagnostics, Private) {
        let (warnings, private, _) = self.finish_deferred();
        (warnings, private)
    }

    pub(super) fn finish_deferred(self) -> (Diagnostics, Private, bool) {
        let warnings = self
            .warnings
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let private = self
            .private
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (warnings, private, self.deferred.into_inner())
    }
}

/// A change that is being planned.
#[derive(Debug)]
pub struct Change<M> {
    /// What the user wrote.
    pub config: M,
    /// What is there; `None` for a creation.
    pub prior: Option<M>,
    /// Whether the generic rules alone already plan a change.
    pub differs: bool,
    /// Whether all that differs only tells the provider how to work: nothing happens to the object, so there is no reason to
    /// call anybody.
    pub quiet: bool,
}

/// A plan that a resource may still refine.
#[derive(Debug)]
pub struct Plan<M> {
    /// The planned state; computed attributes may be filled in, configured ones may not be touched.
    pub model: M,
    /// Further attributes for which the object has to be replaced.
    pub replace: Vec<Path>,
}

/// Where an operation writes down what is already true, so that a failure afterwards loses nothing.
#[derive(Debug)]
pub struct Progress<M>(Mutex<Option<M>>);

impl<M> Progress<M> {
    /// From now on this is the state, whatever happens next.
    pub fn save(&self, model: M) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }

    fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn into_saved(self) -> Option<M> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A managed resource. Read it top-down: schema, model, validate, plan, create, read, update, delete, import.
pub trait Resource: Send + Sync + 'static {
    /// What the provider's configuration is made into.
    type Client: Send + Sync + 'static;
    /// Configuration, plan and state in types.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The type's name in Terraform.
    const NAME: &'static str;
    /// What tells one object from all others.
    const IDENTITY: Identity;

    /// Its description.
    fn schema() -> Schema;

    /// Offline checks across attributes. What is unknown is passed over; there is no network here.
    fn validate(config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Refines the generic plan, and refuses what cannot end well.
    fn plan(
        cx: &Context<Self::Client>,
        change: &Change<Self::Model>,
        plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// The place for a warning or a refusal before anything is destroyed.
    fn plan_destroy(
        cx: &Context<Self::Client>,
        state: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        let _ = (cx, state);
        async { Ok(()) }
    }

    /// Makes the object.
    fn create(
        cx: &Context<Self::Client>,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Looks at the object; `None` when it is gone.
    fn read(
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Diagnostics>> + Send;

    /// Changes the object in place.
    fn update(
        cx: &Context<Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Removes the object.
    fn delete(
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// A first state from the id that the user gave; Terraform reads the object afterwards.
    fn import_state(
        cx: &Context<Self::Client>,
        id: &str,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// A first state from the state of another provider's resource (`moved`, Terraform 1.8), and private data for the read that
    /// follows; `None` when objects of that type cannot be taken over. Terraform asks before the provider is configured, so
    /// nothing can be looked up here.
    fn move_state(source: &Source) -> Option<Result<(Self::Model, Private), Diagnostics>> {
        let _ = source;
        None
    }

    /// A state of an older version in the form of the current one.
    fn upgrade(version: i64, state: Json) -> Result<Json, Diagnostics> {
        let current = Self::schema().version;
        if version == current {
            Ok(state)
        } else {
            Err(Diagnostic::error(
                format!("The state of {} is of another version", Self::NAME),
                format!(
                    "It was written in version {version} of its form, this provider knows version {current}. Use the provider \
                     version that wrote it, or a newer one than this."
                ),
            )
            .into())
        }
    }
}

/// A resource of another provider whose object is to be taken over.
#[derive(Clone, Debug)]
pub struct Source {
    /// The provider's address: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The type's name.
    pub type_name: String,
    /// Its state, in that type's own form.
    pub state: Json,
}

impl Source {
    /// Whether it is a resource of this provider, whichever registry serves it. An address may lack its host and namespace: some
    /// versions of OpenTofu pass the bare name.
    pub fn is_of(&self, namespace: &str, name: &str) -> bool {
        let mut parts = self.provider.rsplit('/');
        let is_named = parts.next() == Some(name);
        // `-` stands for the namespace of a provider that was written without one.
        let is_there = parts
            .next()
            .is_none_or(|own| own == namespace || own == "-");
        is_named && is_there && parts.count() <= 1
    }
}

/// The answer to a move from a type that cannot be taken over.
fn cannot_move(target: &str, source: &Source) -> Diagnostics {
    Diagnostic::error(
        format!("A {} cannot be moved to {target}", source.type_name),
        "This version of the provider does not move states from that type. Take the old resource out of the state with a `removed` block \
         (`destroy = false`), and import the object into the new resource.",
    )
    .into()
}

/// The answer to a plan.
#[derive(Debug)]
pub struct Planned {
    /// The planned state.
    pub state: Value,
    /// The attributes that ask for another object.
    pub replace: Vec<Path>,
    /// Private data for apply.
    pub private: Private,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
    /// Whether it should be put off.
    pub deferred: bool,
}

/// The answer to an apply, a read or an import: the state as it now is.
#[derive(Debug)]
pub struct Outcome {
    /// The state; null when the object is not there.
    pub state: Value,
    /// Private data for the next operation.
    pub private: Private,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
    /// Whether it should be put off.
    pub deferred: bool,
}

/// A resource whose types are forgotten, as the server keeps it.
pub trait AnyResource<C>: Send + Sync {
    /// The type's name in Terraform.
    fn name(&self) -> &'static str;
    /// Its description.
    fn schema(&self) -> &Schema;
    /// Offline checks.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Plans a creation, a change, or (configuration null) a destruction.
    fn plan<'a>(
        &'a self,
        cx: Context<C>,
        config: &'a Value,
        prior: &'a Value,
    ) -> Boxed<'a, Planned>;
    /// Carries a plan out.
    fn apply<'a>(
        &'a self,
        cx: Context<C>,
        prior: &'a Value,
        planned: &'a Value,
    ) -> Boxed<'a, Outcome>;
    /// Looks at the object.
    fn read<'a>(&'a self, cx: Context<C>, state: &'a Value) -> Boxed<'a, Outcome>;
    /// What tells one object from all others.
    fn identity(&self) -> Identity;
    /// A first state from an id.
    fn import_state<'a>(&'a self, cx: Context<C>, id: &'a str) -> Boxed<'a, Outcome>;
    /// A first state from the state of another provider's resource.
    ///
    /// # Errors
    /// When its type cannot be taken over, or this very state cannot.
    fn move_state(&self, source: &Source) -> Result<(Value, Private), Diagnostics>;
    /// A state of an older version in the current form.
    fn upgrade(&self, version: i64, state: Json) -> Result<Value, Diagnostics>;
}

/// Registers a resource with its provider.
pub fn register<R: Resource>() -> Box<dyn AnyResource<R::Client>> {
    Box::new(Registered::<R> {
        schema: R::schema(),
        resource: PhantomData,
    })
}

struct Registered<R> {
    schema: Schema,
    resource: PhantomData<fn() -> R>,
}

fn differences(name: &str, what: &str, violations: &[String]) -> Diagnostic {
    Diagnostic::bug(format!(
        "{what} of {name} breaks Terraform's rules:\n  - {}",
        violations.join("\n  - ")
    ))
}

/// A state that was saved on the way to a failure: Terraform takes no unknowns in it.
fn without_unknowns(value: Value) -> Value {
    match value {
        Value::Unknown(_) => Value::Null,
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| (name, without_unknowns(value)))
                .collect(),
        ),
        Value::List(elements) => Value::List(elements.into_iter().map(without_unknowns).collect()),
        value => value,
    }
}

impl<R: Resource> Registered<R> {
    fn write(&self, model: &R::Model) -> Result<Value, Diagnostics> {
        to_value(model)
            .map(|value| value.canonical(&self.schema.ty()))
            .map_err(|error| misfit(&error))
    }

    async fn try_plan(
        &self,
        cx: &Context<R::Client>,
        config: &Value,
        prior: &Value,
    ) -> Result<(Value, Vec<Path>), Diagnostics> {
        let read = |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(&error));
        if config.is_null() {
            R::plan_destroy(cx, &read(prior)?).await?;
            return Ok((Value::Null, Vec::new()));
        }
        let missing = self.schema.missing(config);
        if missing.has_errors() {
            return Err(missing);
        }
        let before = (!prior.is_null()).then_some(prior);
        let proposed = propose(&self.schema, config, before);
        let change = Change {
            config: read(config)?,
            prior: before.map(read).transpose()?,
            differs: before.is_none_or(|before| *before != proposed),
            quiet: before.is_some_and(|before| differs_quietly(&self.schema, before, &proposed)),
        };
        let mut plan = Plan {
            model: read(&proposed)?,
            replace: Vec::new(),
        };
        R::plan(cx, &change, &mut plan).await?;
        let planned = self.write(&plan.model)?.with_refinements_of(&proposed);
        let violations = plan_violations(&self.schema, config, before, &planned);
        if !violations.is_empty() {
            return Err(differences(R::NAME, "The plan", &violations).into());
        }
        let mut replace = before
            .map(|before| replacements(&self.schema, before, &planned))
            .unwrap_or_default();
        replace.extend(plan.replace);
        Ok((planned, replace))
    }

    async fn try_apply(
        &self,
        cx: &Context<R::Client>,
        prior: &Value,
        planned: &Value,
        progress: &Progress<R::Model>,
    ) -> Result<Value, Diagnostics> {
        let read = |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(&error));
        if planned.is_null() {
            R::delete(cx, read(prior)?).await?;
            return Ok(Value::Null);
        }
        if !prior.is_null() && differs_quietly(&self.schema, prior, planned) {
            return Ok(planned.clone());
        }
        let model = if prior.is_null() {
            R::create(cx, read(planned)?, progress).await?
        } else {
            R::update(cx, read(prior)?, read(planned)?, progress).await?
        };
        self.write(&model)
    }
}

impl<R: Resource> AnyResource<R::Client> for Registered<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validated(&self.schema, config, R::validate)
    }

    fn plan<'a>(
        &'a self,
        cx: Context<R::Client>,
        config: &'a Value,
        prior: &'a Value,
    ) -> Boxed<'a, Planned> {
        Box::pin(async move {
            let result = self.try_plan(&cx, config, prior).await;
            let (mut diagnostics, private, deferred) = cx.finish_deferred();
            let (state, replace) = result.unwrap_or_else(|errors| {
                diagnostics.extend(errors);
                (prior.clone(), Vec::new())
            });
            Planned {
                state,
                replace,
                private,
                diagnostics,
                deferred,
            }
        })
    }

    fn apply<'a>(
        &'a self,
        cx: Context<R::Client>,
        prior: &'a Value,
        planned: &'a Value,
    ) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let progress = Progress::new();
            let result = self.try_apply(&cx, prior, planned, &progress).await;
            let (mut diagnostics, private) = cx.finish();
            let state = match result {
                Ok(state) => {
                    if !planned.is_null() {
                        let violations = state_violations(&self.schema, planned, &state);
                        if !violations.is_empty() {
                            diagnostics.push(differences(R::NAME, "The new state", &violations));
                        }
                    }
                    state
                }
                Err(errors) => {
                    diagnostics.extend(errors);
                    match progress.into_saved().map(|model| self.write(&model)) {
                        Some(Ok(saved)) => saved,
                        Some(Err(errors)) => {
                            diagnostics.extend(errors);
                            prior.clone()
                        }
                        None => prior.clone(),
                    }
                }
            };
            Outcome {
                state: without_unknowns(state),
                private,
                diagnostics,
                deferred: false,
            }
        })
    }

    fn read<'a>(&'a self, cx: Context<R::Client>, state: &'a Value) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let result = match from_value::<R::Model>(state) {
                Ok(model) => R::read(&cx, model).await,
                Err(error) => Err(misfit(&error)),
            };
            let result =
                result.and_then(|model| model.map_or(Ok(Value::Null), |model| self.write(&model)));
            let (mut diagnostics, private, deferred) = cx.finish_deferred();
            let state = result.unwrap_or_else(|errors| {
                diagnostics.extend(errors);
                state.clone()
            });
            Outcome {
                state,
                private,
                diagnostics,
                deferred,
            }
        })
    }

    fn import_state<'a>(&'a self, cx: Context<R::Client>, id: &'a str) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let result = R::import_state(&cx, id)
                .await
                .and_then(|model| self.write(&model));
            let (mut diagnostics, private) = cx.finish();
            let state = result.unwrap_or_else(|errors| {
                diagnostics.extend(errors);
                Value::Null
            });
            Outcome {
                state,
                private,
                diagnostics,
                deferred: false,
            }
        })
    }

    fn identity(&self) -> Identity {
        R::IDENTITY
    }

    fn move_state(&self, source: &Source) -> Result<(Value, Private), Diagnostics> {
        let (model, private) =
            R::move_state(source).unwrap_or_else(|| Err(cannot_move(R::NAME, source)))?;
        Ok((self.write(&model)?, private))
    }

    fn upgrade(&self, version: i64, state: Json) -> Result<Value, Diagnostics> {
        let state = R::upgrade(version, state)?;
        decode_lenient(&state, &self.schema.ty()).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", R::NAME),
                format!(
                    "It does not have the form that version {version} had: {error}.\n\nIf the state was edited by hand, restore it \
                     from its backup; otherwise import the object again."
                ),
            )
            .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an address, and whether it is that of hashicorp/aws.
    #[test]
    fn a_provider_is_known_by_any_form_of_its_address() {
        for (provider, expected) in [
            ("registry.terraform.io/hashicorp/aws", true),
            ("registry.opentofu.org/hashicorp/aws", true),
            ("registry.terraform.io/-/aws", true),
            ("hashicorp/aws", true),
            ("aws", true),
            ("registry.terraform.io/somebody/aws", false),
            ("somebody/aws", false),
            ("hashicorp/awscc", false),
            ("a/b/hashicorp/aws", false),
            ("", false),
        ] {
            let source = Source {
                provider: provider.to_owned(),
                type_name: String::new(),
                state: Json::Null,
            };
            assert_eq!(source.is_of("hashicorp", "aws"), expected, "{provider}");
        }
    }
}
