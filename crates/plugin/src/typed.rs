//! A configuration on its way into a model: the schema looks first, so what does not fit the model afterwards is our fault.

use serde::de::DeserializeOwned;

use super::bridge::{BridgeError, Cause, from_value};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::path::{Path, Step};
use super::schema::{Described, null_element};
use super::types::Type;
use super::value::Value;

/// A value that does not fit its model: an element or a number that the model has no place for is the user's, anything else is a fault of
/// the schema, which let it through.
pub(super) fn misfit(schema: &Described, error: &BridgeError) -> Diagnostics {
    let (path, last_is_element) = located(schema.ty(), &error.path);
    match error.cause {
        Cause::Null if last_is_element => {
            let steps = path.steps();
            let collection = steps.len().checked_sub(1).and_then(|end| steps.get(..end));
            null_element(&Path::of_steps(collection.unwrap_or_default())).into()
        }
        Cause::Number => Diagnostic::error(
            "Value out of range",
            format!("The value of `{path}` does not fit: {}.", error.message),
        )
        .at(path)
        .into(),
        _ => ill_fitting(error).at(path).into(),
    }
}

/// What a provider gives back that has no form in Terraform.
pub(super) fn without_form(error: &BridgeError) -> Diagnostics {
    ill_fitting(error).at(error.path.clone()).into()
}

fn ill_fitting(error: &BridgeError) -> Diagnostic {
    Diagnostic::bug(format!(
        "A value does not fit the model of its schema: {error}."
    ))
}

/// A path of the bridge, which cannot tell a map from an object, in the steps of a type; and whether the last one is to an element.
fn located(ty: &Type, path: &Path) -> (Path, bool) {
    let (mut at, mut found, mut is_element) = (Some(ty), Path::root(), false);
    for step in path.steps() {
        let own = match (at, step) {
            (Some(Type::Map(_)), Step::Attribute(name)) => Step::Key(name.clone()),
            _ => step.clone(),
        };
        is_element = matches!(at, Some(Type::List(_) | Type::Set(_) | Type::Map(_)));
        at = at.and_then(|ty| ty.part(&own));
        found = found.step(own);
    }
    (found, is_element)
}

/// Offline checks: those of the schema, and `check` for what passes them.
pub(super) fn validated<M: DeserializeOwned>(
    schema: &Described,
    config: &Value,
    check: impl FnOnce(&M) -> Diagnostics,
) -> Diagnostics {
    let found = schema.validate(config);
    if found.has_errors() {
        return found;
    }
    from_value(config).map_or_else(|error| misfit(schema, &error), |model| check(&model))
}

/// The same for what is read, opened or invoked only once it is known: its model need not bear a value that is unknown still, and then
/// nothing more is said than what the schema finds.
pub(super) fn validated_once_known<M: DeserializeOwned>(
    schema: &Described,
    config: &Value,
    check: impl FnOnce(&M) -> Diagnostics,
) -> Diagnostics {
    if config.is_wholly_known() || from_value::<M>(config).is_ok() {
        validated(schema, config, check)
    } else {
        schema.validate(config)
    }
}
