//! What a managed resource implements, and the generic life of one: everything that Terraform demands of each of them.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::boxed::Boxed;
use super::bridge::{from_value, to_value};
use super::codec::json::decode_lenient;
use super::conformity::{plan_violations, state_violations};
use super::context::Context;
use super::deferral::{Reason, Unfinished};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::identity::Identity;
use super::path::Path;
use super::planning::{differs_quietly, propose, replacements};
use super::schema::{Described, Name, Schema};
use super::stored::{Private, RawState};
use super::typed::{misfit, validated};
use super::value::Value;

/// A change that is being planned.
#[derive(Debug)]
#[non_exhaustive]
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
#[non_exhaustive]
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
    fn name(&self) -> Name;

    /// What tells one object from all others.
    fn identity(&self) -> Identity {
        Identity::none()
    }

    /// Its description.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes. What is unknown is passed over; there is no network here.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Refines the generic plan, and refuses what cannot end well.
    fn plan(
        &self,
        cx: &Context<Self::Client>,
        change: &Change<Self::Model>,
        plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = (cx, change, plan);
        async { Ok(()) }
    }

    /// The place for a warning or a refusal before anything is destroyed.
    fn plan_destroy(
        &self,
        cx: &Context<Self::Client>,
        state: &Self::Model,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = (cx, state);
        async { Ok(()) }
    }

    /// Makes the object.
    fn create(
        &self,
        cx: &Context<Self::Client>,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Looks at the object; `None` when it is gone.
    fn read(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Unfinished>> + Send;

    /// Changes the object in place.
    fn update(
        &self,
        cx: &Context<Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Removes the object.
    fn delete(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// A first state from the id that the user gave, or from the texts of an identity, joined by commas; Terraform reads the object
    /// afterwards.
    fn import_state(
        &self,
        cx: &Context<Self::Client>,
        id: &str,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send {
        let _ = (cx, id);
        let name = self.name();
        async move {
            Err(Diagnostic::error(
                format!("A {name} cannot be imported"),
                "This version of the provider does not import objects of that type.",
            )
            .into())
        }
    }

    /// A first state from the state of another provider's resource (`moved`, Terraform 1.8), and private data for the read that
    /// follows; `None` when objects of that type cannot be taken over. Terraform asks before the provider is configured, so
    /// nothing can be looked up here.
    fn move_state(&self, source: &Source) -> Option<Result<(Self::Model, Private), Diagnostics>> {
        let _ = source;
        None
    }

    /// What of a state a person would write, for a configuration that Terraform generates (Terraform 1.14). What the provider gives by itself
    /// is left out anyway; this is for arguments that cannot stand together.
    fn written(&self, state: Self::Model) -> Self::Model {
        state
    }

    /// A state of an older version in the form of the current one, which `current` is.
    ///
    /// # Errors
    /// When it cannot be brought into that form.
    fn upgrade(
        &self,
        version: i64,
        current: i64,
        state: RawState,
    ) -> Result<RawState, Diagnostics> {
        if version == current {
            return Ok(state);
        }
        Err(Diagnostic::error(
            format!("The state of {} is of another version", self.name()),
            format!(
                "It was written in version {version} of its form, this provider knows version {current}. Use the provider \
                 version that wrote it, or a newer one than this."
            ),
        )
        .into())
    }
}

/// A resource of another provider whose object is to be taken over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The provider's address: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The type's name.
    pub type_name: String,
    /// Its state, in that type's own form.
    pub state: RawState,
}

impl Source {
    /// A state of another provider's resource.
    pub fn new(provider: impl Into<String>, type_name: impl Into<String>, state: RawState) -> Self {
        Self {
            provider: provider.into(),
            type_name: type_name.into(),
            state,
        }
    }

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

pub(crate) struct Planned {
    pub(crate) state: Value,
    pub(crate) replace: Vec<Path>,
    pub(crate) private: Private,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

/// The answer to an apply, a read or an import: the state as it now is; null when the object is not there.
pub(crate) struct Outcome {
    pub(crate) state: Value,
    pub(crate) private: Private,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

/// A resource whose types are forgotten, as the server keeps it.
pub(crate) trait Erased<C>: Send + Sync {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics;
    /// Plans a creation, a change, or (configuration null) a destruction.
    fn plan<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
        prior: &'a Value,
    ) -> Boxed<'a, Planned>;
    fn apply<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        prior: &'a Value,
        planned: &'a Value,
    ) -> Boxed<'a, Outcome>;
    fn read<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        state: &'a Value,
    ) -> Boxed<'a, Outcome>;
    fn import_state<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        id: &'a str,
    ) -> Boxed<'a, Outcome>;
    fn move_state(
        &self,
        schema: &Described,
        source: &Source,
    ) -> Result<(Value, Private), Diagnostics>;
    fn written(&self, schema: &Described, state: &Value) -> Result<Value, Diagnostics>;
    fn upgrade(
        &self,
        schema: &Described,
        version: i64,
        state: RawState,
    ) -> Result<Value, Diagnostics>;
}

/// A resource of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) identity: Identity,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers a resource with its provider.
pub fn register<R: Resource>(resource: R) -> Registered<R::Client> {
    Registered {
        name: resource.name(),
        schema: resource.schema().into(),
        identity: resource.identity(),
        erased: Box::new(Typed(resource)),
    }
}

impl<C> Registered<C> {
    /// The type's name in Terraform.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its description.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What tells one object from all others.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

struct Typed<R>(R);

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

impl<R: Resource> Typed<R> {
    fn write(schema: &Described, model: &R::Model) -> Result<Value, Diagnostics> {
        to_value(model)
            .map(|value| value.canonical(schema.ty()))
            .map_err(|error| misfit(&error))
    }

    async fn try_plan(
        &self,
        schema: &Described,
        cx: &Context<R::Client>,
        config: &Value,
        prior: &Value,
    ) -> Result<(Value, Vec<Path>), Unfinished> {
        let read = |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(&error));
        if config.is_null() {
            self.0.plan_destroy(cx, &read(prior)?).await?;
            return Ok((Value::Null, Vec::new()));
        }
        let missing = schema.missing(config);
        if missing.has_errors() {
            return Err(missing.into());
        }
        let before = (!prior.is_null()).then_some(prior);
        let proposed = propose(schema, config, before);
        let change = Change {
            config: read(config)?,
            prior: before.map(read).transpose()?,
            differs: before.is_none_or(|before| *before != proposed),
            quiet: before.is_some_and(|before| differs_quietly(schema, before, &proposed)),
        };
        let mut plan = Plan {
            model: read(&proposed)?,
            replace: Vec::new(),
        };
        self.0.plan(cx, &change, &mut plan).await?;
        let planned = Self::write(schema, &plan.model)?.with_refinements_of(&proposed);
        let violations = plan_violations(schema, config, before, &planned);
        if !violations.is_empty() {
            return Err(differences(&self.0.name(), "The plan", &violations).into());
        }
        let mut replace = before
            .map(|before| replacements(schema, before, &planned))
            .unwrap_or_default();
        replace.extend(plan.replace);
        Ok((planned, replace))
    }

    async fn try_apply(
        &self,
        schema: &Described,
        cx: &Context<R::Client>,
        prior: &Value,
        planned: &Value,
        progress: &Progress<R::Model>,
    ) -> Result<Value, Diagnostics> {
        let read = |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(&error));
        if planned.is_null() {
            self.0.delete(cx, read(prior)?).await?;
            return Ok(Value::Null);
        }
        if !prior.is_null() && differs_quietly(schema, prior, planned) {
            return Ok(planned.clone());
        }
        let model = if prior.is_null() {
            self.0.create(cx, read(planned)?, progress).await?
        } else {
            self.0
                .update(cx, read(prior)?, read(planned)?, progress)
                .await?
        };
        Self::write(schema, &model)
    }
}

impl<R: Resource> Erased<R::Client> for Typed<R> {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics {
        validated(schema, config, |model| self.0.validate(model))
    }

    fn plan<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<R::Client>,
        config: &'a Value,
        prior: &'a Value,
    ) -> Boxed<'a, Planned> {
        Box::pin(async move {
            let result = self.try_plan(schema, &cx, config, prior).await;
            let (mut diagnostics, private) = cx.finish();
            let mut deferred = None;
            let (state, replace) = result.unwrap_or_else(|unfinished| {
                let (reasons, later) = unfinished.into_parts();
                diagnostics.extend(reasons);
                deferred = later;
                // Without an error, Terraform goes on with what the configuration says.
                if deferred.is_some() && !diagnostics.has_errors() {
                    let before = (!prior.is_null()).then_some(prior);
                    let proposed = match config {
                        Value::Null => Value::Null,
                        config => propose(schema, config, before),
                    };
                    let replace = before
                        .filter(|_| !proposed.is_null())
                        .map(|before| replacements(schema, before, &proposed))
                        .unwrap_or_default();
                    (proposed, replace)
                } else {
                    (prior.clone(), Vec::new())
                }
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
        schema: &'a Described,
        cx: Context<R::Client>,
        prior: &'a Value,
        planned: &'a Value,
    ) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let progress = Progress::new();
            let result = self.try_apply(schema, &cx, prior, planned, &progress).await;
            let (mut diagnostics, private) = cx.finish();
            let state = match result {
                Ok(state) => {
                    if !planned.is_null() {
                        let violations = state_violations(schema, planned, &state);
                        if !violations.is_empty() {
                            diagnostics.push(differences(
                                &self.0.name(),
                                "The new state",
                                &violations,
                            ));
                        }
                    }
                    state
                }
                Err(errors) => {
                    diagnostics.extend(errors);
                    match progress
                        .into_saved()
                        .map(|model| Self::write(schema, &model))
                    {
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
                deferred: None,
            }
        })
    }

    fn read<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<R::Client>,
        state: &'a Value,
    ) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let result = match from_value::<R::Model>(state) {
                Ok(model) => self.0.read(&cx, model).await,
                Err(error) => Err(misfit(&error).into()),
            };
            let result = result.and_then(|model| match model {
                Some(model) => Ok(Self::write(schema, &model)?),
                None => Ok(Value::Null),
            });
            let (mut diagnostics, private) = cx.finish();
            let mut deferred = None;
            let state = result.unwrap_or_else(|unfinished: Unfinished| {
                let (reasons, later) = unfinished.into_parts();
                diagnostics.extend(reasons);
                deferred = later;
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

    fn import_state<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<R::Client>,
        id: &'a str,
    ) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let result = self
                .0
                .import_state(&cx, id)
                .await
                .and_then(|model| Self::write(schema, &model));
            let (mut diagnostics, private) = cx.finish();
            let state = result.unwrap_or_else(|errors| {
                diagnostics.extend(errors);
                Value::Null
            });
            Outcome {
                state,
                private,
                diagnostics,
                deferred: None,
            }
        })
    }

    fn move_state(
        &self,
        schema: &Described,
        source: &Source,
    ) -> Result<(Value, Private), Diagnostics> {
        let (model, private) = self
            .0
            .move_state(source)
            .unwrap_or_else(|| Err(cannot_move(&self.0.name(), source)))?;
        Ok((Self::write(schema, &model)?, private))
    }

    fn written(&self, schema: &Described, state: &Value) -> Result<Value, Diagnostics> {
        let model = from_value::<R::Model>(state).map_err(|error| misfit(&error))?;
        Self::write(schema, &self.0.written(model))
    }

    fn upgrade(
        &self,
        schema: &Described,
        version: i64,
        state: RawState,
    ) -> Result<Value, Diagnostics> {
        let state = self.0.upgrade(version, schema.version, state)?;
        decode_lenient(state.json(), schema.ty()).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", self.0.name()),
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
            let state = RawState::from_json_text("null").unwrap();
            let source = Source::new(provider, "", state);
            assert_eq!(source.is_of("hashicorp", "aws"), expected, "{provider}");
        }
    }
}
