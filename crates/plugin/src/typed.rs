//! A configuration on its way into a model: the schema looks first, so what does not fit the model afterwards is our fault.

use serde::de::DeserializeOwned;

use super::bridge::{BridgeError, from_value};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::schema::Schema;
use super::value::Value;

/// A value that does not fit its model: the schema let it through.
pub(super) fn misfit(error: &BridgeError) -> Diagnostics {
    Diagnostic::bug(format!(
        "A value does not fit the model of its schema: {error}."
    ))
    .at(error.path.clone())
    .into()
}

/// Offline checks: those of the schema, and `check` for what passes them.
pub(super) fn validated<M: DeserializeOwned>(
    schema: &Schema,
    config: &Value,
    check: impl FnOnce(&M) -> Diagnostics,
) -> Diagnostics {
    let found = schema.validate(config);
    if found.has_errors() {
        return found;
    }
    from_value(config).map_or_else(|error| misfit(&error), |model| check(&model))
}

/// The same for what is read, opened or invoked only once it is known: its model need not bear a value that is unknown still, and then
/// nothing more is said than what the schema finds.
pub(super) fn validated_once_known<M: DeserializeOwned>(
    schema: &Schema,
    config: &Value,
    check: impl FnOnce(&M) -> Diagnostics,
) -> Diagnostics {
    if config.is_wholly_known() || from_value::<M>(config).is_ok() {
        validated(schema, config, check)
    } else {
        schema.validate(config)
    }
}
