//! Provider functions, one file each: what the policy engine knows, for HCL, without any credential. Terraform has them since
//! 1.8.

mod aws;

pub use aws::{
    KeyPolicyAllowsFunction, KeyPolicyStatementsFunction, MergeKeyPolicyFunction, parse_key_arn,
};

use std::fmt;
use std::str::FromStr;

use tfplugin::function::{FunctionError, Parameter};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// A parameter of a function, whose value Terraform must know.
fn parameter(name: &'static str, ty: Type, description: &'static str) -> Parameter {
    Parameter::new(name, ty).describe(description)
}

/// An error about an argument.
fn wrong(index: usize, error: impl fmt::Display) -> FunctionError {
    FunctionError::new(tfplugin::schema::sentence(&error.to_string())).argument(index)
}

/// A text argument, in types.
fn parsed<T: FromStr>(arguments: &[Value], index: usize) -> Result<T, FunctionError>
where
    T::Err: fmt::Display,
{
    text(arguments, index)
        .parse()
        .map_err(|error| wrong(index, error))
}

fn text(arguments: &[Value], index: usize) -> &str {
    arguments
        .get(index)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A list or set of texts, each in types.
fn all_parsed<T: FromStr>(arguments: &[Value], index: usize) -> Result<Vec<T>, FunctionError>
where
    T::Err: fmt::Display,
{
    let Some(Value::List(elements)) = arguments.get(index) else {
        return Ok(Vec::new());
    };
    let one = |value: &Value| {
        value
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|error| wrong(index, error))
    };
    elements.iter().map(one).collect()
}
