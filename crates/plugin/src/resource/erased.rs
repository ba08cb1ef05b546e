//! The life that all resources share: everything that Terraform demands of each of them.

use super::{Change, Plan, Progress, Resource, Source};
use crate::boxed::Boxed;
use crate::bridge::{BridgeError, from_value, to_value};
use crate::codec::json::decode_lenient;
use crate::conformity::{plan_violations, state_violations};
use crate::context::Context;
use crate::deferral::{Reason, Unfinished};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;
use crate::planning::{differs_quietly, propose, replacements};
use crate::schema::Described;
use crate::stored::{Private, RawState};
use crate::typed::{misfit, validated};
use crate::value::Value;

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

pub(super) struct Typed<R>(pub(super) R);

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

/// A state that does not fit the model. The provider wrote only states that do, so somebody else has changed it.
fn unreadable_state(name: &str, error: &BridgeError) -> Diagnostics {
    Diagnostic::error(
        format!("The state of {name} cannot be read"),
        format!(
            "This version of the provider did not write the value at `{}`: {error}.\n\nIf a newer version of the provider wrote the state, use \
             that version. If the state was edited by hand, restore it from its backup. Otherwise remove the resource from the state \
             (`terraform state rm`), and import the object again. Nothing was changed.",
            error.path
        ),
    )
    .at(error.path.clone())
    .into()
}

impl<R: Resource> Typed<R> {
    fn read_state(&self, value: &Value) -> Result<R::Model, Diagnostics> {
        from_value::<R::Model>(value).map_err(|error| unreadable_state(&self.0.name(), &error))
    }

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
            self.0.plan_destroy(cx, &self.read_state(prior)?).await?;
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
            prior: before.map(|before| self.read_state(before)).transpose()?,
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
            self.0.delete(cx, self.read_state(prior)?).await?;
            return Ok(Value::Null);
        }
        if !prior.is_null() && differs_quietly(schema, prior, planned) {
            return Ok(planned.clone());
        }
        let model = if prior.is_null() {
            self.0.create(cx, read(planned)?, progress).await?
        } else {
            self.0
                .update(cx, self.read_state(prior)?, read(planned)?, progress)
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
            let result = match self.read_state(state) {
                Ok(model) => self.0.read(&cx, model).await,
                Err(errors) => Err(errors.into()),
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
