//! The life that all resources share: everything that Terraform demands of each of them.

use super::fit;
use super::{Change, Import, Moved, Plan, Progress, Resource, Source};
use crate::boxed::Boxed;
use crate::bridge::{BridgeError, from_value, to_value_like};
use crate::codec::json::decode_lenient;
use crate::conformity::{plan_violations, state_violations};
use crate::context::{Context, Left};
use crate::deferral::{Reason, Unfinished};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;
use crate::planning::{differs_quietly, propose, replacements, spelled_as};
use crate::schema::Described;
use crate::stored::{Private, RawState};
use crate::typed::{misfit, validated, without_form};
use crate::value::Value;

/// The answer to a move from a type that the resource does not adopt.
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
    pub(crate) identity: Option<Value>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

/// What is planned without asking the resource: what the configuration says.
fn plan_as_written(schema: &Described, config: &Value, prior: &Value) -> (Value, Vec<Path>) {
    if config.is_null() {
        return (Value::Null, Vec::new());
    }
    let before = (!prior.is_null()).then_some(prior);
    let proposed = propose(schema, config, before);
    let replace = before.map(|before| replacements(schema, before, &proposed));
    (proposed, replace.unwrap_or_default())
}

/// The answer to an apply, a read, an import or a move: the state as it now is; null when the object is not there.
pub(crate) struct Outcome {
    pub(crate) state: Value,
    pub(crate) private: Private,
    /// The identity that the operation gave the object.
    pub(crate) identity: Option<Value>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

/// A resource whose types are forgotten, as the server keeps it.
pub(crate) trait Erased<C>: Send + Sync {
    /// What the author must repair.
    fn problems(&self, schema: &Described) -> Vec<String>;
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
        import: &'a Import,
    ) -> Boxed<'a, Outcome>;
    fn move_state(&self, schema: &Described, source: &Source) -> Result<Outcome, Diagnostics>;
    fn written(&self, schema: &Described, state: &Value) -> Result<Value, Diagnostics>;
    fn upgrade(
        &self,
        schema: &Described,
        version: i64,
        state: RawState,
    ) -> Result<Value, Diagnostics>;
    fn upgrade_identity(&self, version: i64, identity: RawState) -> Result<RawState, Diagnostics>;
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

/// A state that does not fit the model. The provider wrote only states that do, so another program or a person has changed it.
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

    /// A model as a value, as Terraform may have it: `before` is what the model was made from, whose spellings, digits and types stay.
    fn write(schema: &Described, model: &R::Model, before: &Value) -> Result<Value, Diagnostics> {
        let value = to_value_like(model, before).map_err(|error| without_form(&error))?;
        let value = value.restored(before).canonical(schema.ty());
        let value = match schema.respells {
            true => spelled_as(schema, value, before).canonical(schema.ty()),
            false => value,
        };
        Ok(match schema.hides {
            true => schema.without_write_only(value),
            false => value,
        })
    }

    async fn try_plan(
        &self,
        schema: &Described,
        cx: &Context<R::Client>,
        config: &Value,
        prior: &Value,
    ) -> Result<(Value, Vec<Path>), Unfinished> {
        let read =
            |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(schema, &error));
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
        let planned = Self::write(schema, &plan.model, &proposed)?;
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
    ) -> Result<Value, Unfinished> {
        let read =
            |value: &Value| from_value::<R::Model>(value).map_err(|error| misfit(schema, &error));
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
        Ok(Self::write(schema, &model, planned)?)
    }
}

impl<R: Resource> Erased<R::Client> for Typed<R> {
    fn problems(&self, schema: &Described) -> Vec<String> {
        let mut problems = self.0.upgrades().problems(schema.version);
        problems.extend(fit::misfit::<R::Model>(schema));
        problems
    }

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
            planned(schema, cx.finish(), result, config, prior)
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
            let mut left = cx.finish();
            let state = match result {
                Ok(state) => {
                    if !planned.is_null() {
                        let violations = state_violations(schema, planned, &state);
                        if !violations.is_empty() {
                            let broken = differences(&self.0.name(), "The new state", &violations);
                            left.diagnostics.push(broken);
                        }
                    }
                    state
                }
                Err(unfinished) => {
                    left.diagnostics.extend(unfinished.into_diagnostics());
                    let saved = progress.into_saved();
                    match saved.map(|model| Self::write(schema, &model, planned)) {
                        Some(Ok(saved)) => saved,
                        Some(Err(errors)) => {
                            left.diagnostics.extend(errors);
                            prior.clone()
                        }
                        None => prior.clone(),
                    }
                }
            };
            Outcome {
                state: without_unknowns(state),
                private: left.private,
                identity: left.identity,
                diagnostics: left.diagnostics,
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
                Some(model) => Ok(Self::write(schema, &model, state)?),
                None => Ok(Value::Null),
            });
            outcome(cx.finish(), result, state)
        })
    }

    fn import_state<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<R::Client>,
        import: &'a Import,
    ) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let result = self.0.import_state(&cx, import).await;
            let result = result.and_then(|model| Ok(Self::write(schema, &model, &Value::Null)?));
            outcome(cx.finish(), result, &Value::Null)
        })
    }

    fn move_state(&self, schema: &Described, source: &Source) -> Result<Outcome, Diagnostics> {
        let Moved {
            model,
            private,
            identity,
            warnings,
        } = self
            .0
            .move_state(source)?
            .ok_or_else(|| cannot_move(&self.0.name(), source))?;
        Ok(Outcome {
            state: Self::write(schema, &model, &Value::Null)?,
            private,
            identity,
            diagnostics: warnings,
            deferred: None,
        })
    }

    fn written(&self, schema: &Described, state: &Value) -> Result<Value, Diagnostics> {
        let model = from_value::<R::Model>(state).map_err(|error| misfit(schema, &error))?;
        Self::write(schema, &self.0.written(model), state)
    }

    fn upgrade(
        &self,
        schema: &Described,
        version: i64,
        state: RawState,
    ) -> Result<Value, Diagnostics> {
        let current = schema.version;
        let upgraded = self.0.upgrades().upgraded(version, current, state);
        let state =
            upgraded.unwrap_or_else(|| Err(other_version(&self.0.name(), version, current)))?;
        let state = decode_lenient(state.value(), schema.ty()).map_err(|error| {
            Diagnostic::error(
                format!("The state of {} cannot be read", self.0.name()),
                format!(
                    "It does not have the form that version {version} had: {error}.\n\nIf the state was edited by hand, restore it \
                     from its backup; otherwise import the object again."
                ),
            )
        })?;
        Ok(schema.without_write_only(state))
    }

    fn upgrade_identity(&self, version: i64, identity: RawState) -> Result<RawState, Diagnostics> {
        self.0.upgrade_identity(version, identity)
    }
}

/// A state of a version from which no step leads on.
fn other_version(name: &str, version: i64, current: i64) -> Diagnostics {
    Diagnostic::error(
        format!("The state of {name} is of another version"),
        format!(
            "It was written in version {version} of its form, this provider knows version {current}. Use the provider \
             version that wrote it, or a newer one than this."
        ),
    )
    .into()
}

/// The answer of a plan: without a result, and without an error, Terraform goes on with what the configuration says.
pub(crate) fn planned(
    schema: &Described,
    mut left: Left,
    result: Result<(Value, Vec<Path>), Unfinished>,
    config: &Value,
    prior: &Value,
) -> Planned {
    let mut deferred = None;
    let (state, replace) = result.unwrap_or_else(|unfinished| {
        deferred = left.unfinished(unfinished);
        match deferred.is_some() && !left.diagnostics.has_errors() {
            true => plan_as_written(schema, config, prior),
            false => (prior.clone(), Vec::new()),
        }
    });
    Planned {
        state,
        replace,
        private: left.private,
        identity: left.identity,
        diagnostics: left.diagnostics,
        deferred,
    }
}

/// The answer of an operation that leaves the state as it was when it has no result.
pub(crate) fn outcome(
    mut left: Left,
    result: Result<Value, Unfinished>,
    before: &Value,
) -> Outcome {
    let mut deferred = None;
    let state = result.unwrap_or_else(|unfinished| {
        deferred = left.unfinished(unfinished);
        before.clone()
    });
    Outcome {
        state,
        private: left.private,
        identity: left.identity,
        diagnostics: left.diagnostics,
        deferred,
    }
}
