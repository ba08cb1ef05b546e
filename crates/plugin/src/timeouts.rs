//! How long an operation may take: the conventional `timeouts` of a resource.
//!
//! A [`Timeout`] is an operation and how long it may take when the user says nothing, in one place for schema, documentation and code:
//!
//! ```
//! use std::time::Duration;
//! use tfplugin::prelude::*;
//! use tfplugin::timeouts::{self, Timeout, Timeouts};
//!
//! const CREATE: Timeout = Timeout::new("create", Duration::from_secs(20 * 60));
//! const DELETE: Timeout = Timeout::new("delete", Duration::from_secs(60));
//!
//! // The attribute of the schema, and the field of the model.
//! let attribute = timeouts::attribute(&[CREATE, DELETE]);
//! assert_eq!(attribute.name, "timeouts");
//! let timeouts: Timeouts = Attr::Null;
//!
//! // In `create`:
//! assert_eq!(CREATE.of(&timeouts), Duration::from_secs(1200));
//! ```
//!
//! [`block`] is the same as a block, for a provider whose users write `timeouts { … }`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bridge::Attr;
use super::duration::{GoDuration, spell};
use super::schema::{Attribute, Nesting};

/// The field `timeouts` of a model: what the user says, by operation.
#[doc(alias = "timeouts.Value")]
pub type Timeouts = Attr<BTreeMap<String, Attr<GoDuration>>>;

/// An operation with the time that it may take when the user says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    operation: &'static str,
    default: Duration,
}

impl Timeout {
    /// An operation, such as `create`, and its default.
    #[must_use]
    pub const fn new(operation: &'static str, default: Duration) -> Self {
        Self { operation, default }
    }

    /// How long the operation may take: what the user says, or the default.
    #[must_use]
    pub fn of(&self, timeouts: &Timeouts) -> Duration {
        timeouts
            .known()
            .and_then(|all| all.get(self.operation))
            .and_then(Attr::known)
            .map_or(self.default, GoDuration::length)
    }

    fn attribute(&self) -> Attribute {
        let (operation, default) = (self.operation, spell(self.default));
        Attribute::duration(operation).describe(format!(
            "How long {operation} may take. Default: `{default}`."
        ))
    }
}

/// The attribute `timeouts = { … }`. Another timeout changes nothing of the object.
#[must_use]
pub fn attribute(operations: &[Timeout]) -> Attribute {
    described(Attribute::object("timeouts", inner(operations)))
}

/// The block `timeouts { … }`, for a provider that has it so already.
#[must_use]
pub fn block(operations: &[Timeout]) -> Attribute {
    described(Attribute::block(
        "timeouts",
        Nesting::Single,
        inner(operations),
    ))
}

fn inner(operations: &[Timeout]) -> Vec<Attribute> {
    operations.iter().map(Timeout::attribute).collect()
}

fn described(attribute: Attribute) -> Attribute {
    attribute
        .quiet()
        .describe("How long each operation may take, as `30s`, `20m` or `1h30m`.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{from_value, to_value};
    use crate::value::Value;

    const CREATE: Timeout = Timeout::new("create", Duration::from_secs(5400));
    const DELETE: Timeout = Timeout::new("delete", Duration::from_secs(60));

    fn said(create: &str) -> Result<Timeouts, Box<dyn std::error::Error>> {
        let all = BTreeMap::from([("create".to_owned(), Attr::Known(create.parse()?))]);
        Ok(Attr::Known(all))
    }

    #[test]
    fn what_the_user_says_goes_before_the_default() -> Result<(), Box<dyn std::error::Error>> {
        let timeouts = said("45s")?;
        assert_eq!(CREATE.of(&timeouts), Duration::from_secs(45));
        assert_eq!(DELETE.of(&timeouts), Duration::from_secs(60));
        for nothing in [Attr::Null, Attr::Unknown] {
            assert_eq!(CREATE.of(&nothing), Duration::from_secs(5400));
        }
        let unknown = BTreeMap::from([("create".to_owned(), Attr::Unknown)]);
        assert_eq!(CREATE.of(&Attr::Known(unknown)), Duration::from_secs(5400));
        Ok(())
    }

    #[test]
    fn both_forms_name_the_operations_with_their_defaults() -> Result<(), &'static str> {
        for (form, is_block) in [
            (attribute(&[CREATE, DELETE]), false),
            (block(&[CREATE, DELETE]), true),
        ] {
            assert_eq!(form.is_block(), is_block);
            assert!(form.quiet);
            let crate::schema::Kind::Nested(Nesting::Single, inner) = &form.kind else {
                return Err("timeouts are one object");
            };
            let texts: Vec<_> = inner.iter().map(|one| one.description.as_str()).collect();
            assert_eq!(
                texts,
                [
                    "How long create may take. Default: `1h30m`.",
                    "How long delete may take. Default: `1m`."
                ]
            );
        }
        Ok(())
    }

    #[test]
    fn a_model_keeps_what_was_written() -> Result<(), Box<dyn std::error::Error>> {
        let value: Value = to_value(&said("1h30m")?)?;
        let back: Timeouts = from_value(&value)?;
        assert_eq!(to_value(&back)?, value);
        assert_eq!(CREATE.of(&back), Duration::from_secs(5400));
        Ok(())
    }
}
