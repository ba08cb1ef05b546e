//! What a provider function implements: values in, a value out; no client, no I/O, the same answer for the same arguments.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bridge::{from_value, to_value};
use super::model::Field;
use super::proto::tfplugin6;
use super::schema::{Name, sentence};
use super::types::Type;
use super::value::Value;

/// One parameter of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// The name that Terraform shows in errors.
    pub name: Name,
    /// The type that Terraform converts an argument to.
    pub ty: Type,
    /// What it is for, in Markdown.
    pub description: Name,
    /// Whether the function wants to see null.
    pub allow_null: bool,
    /// Whether the function wants to see unknown values; otherwise Terraform answers unknown by itself.
    pub allow_unknown: bool,
}

impl Parameter {
    /// A parameter that is neither null nor unknown.
    pub fn new(name: impl Into<Name>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            description: Name::default(),
            allow_null: false,
            allow_unknown: false,
        }
    }

    /// What it is for, in Markdown.
    #[must_use]
    pub fn describe(mut self, description: impl Into<Name>) -> Self {
        self.description = description.into();
        self
    }

    /// The function wants to see null.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.allow_null = true;
        self
    }

    /// The function wants to see unknown values.
    #[must_use]
    pub fn allow_unknown(mut self) -> Self {
        self.allow_unknown = true;
        self
    }
}

/// The description of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signature {
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The type of any further arguments.
    pub variadic: Option<Parameter>,
    /// The type of every result.
    pub result: Type,
    /// What it does, in one line.
    pub summary: Name,
    /// What it does, in Markdown.
    pub description: Name,
    /// Why users should no longer call it.
    pub deprecated: Option<String>,
}

impl Signature {
    /// A function of some parameters.
    pub fn new(parameters: Vec<Parameter>, result: Type) -> Self {
        Self {
            parameters,
            variadic: None,
            result,
            summary: Name::default(),
            description: Name::default(),
            deprecated: None,
        }
    }

    /// Any number of further arguments.
    #[must_use]
    pub fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// What it does, in one line.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<Name>) -> Self {
        self.summary = summary.into();
        self
    }

    /// What it does, in Markdown.
    #[must_use]
    pub fn describe(mut self, description: impl Into<Name>) -> Self {
        self.description = description.into();
        self
    }

    /// Why users should no longer call it.
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.deprecated = Some(why.into());
        self
    }
}

/// Why a call failed, and because of which argument (counted from 0).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct FunctionError {
    /// What is wrong, for the user.
    pub text: String,
    /// The argument that is to blame.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// A failure for which no single argument is to blame.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: None,
        }
    }

    /// The argument that is to blame, counted from 0.
    #[must_use]
    pub fn argument(mut self, index: usize) -> Self {
        self.argument = Some(index);
        self
    }
}

/// A provider function.
pub trait Function: Send + Sync {
    /// The name in a configuration, behind `provider::NAME::`.
    fn name(&self) -> Name;
    /// The signature: the parameters, the result and the description.
    fn signature(&self) -> Signature;
    /// Its result. The arguments have the types of the signature.
    ///
    /// # Errors
    /// When an argument is not acceptable.
    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError>;
}

impl From<&str> for FunctionError {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for FunctionError {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A function in types: its signature follows from the closure, whose argument is one value or a tuple of them. There is a name for each. An
/// `Option` takes null, an [`Attr`](crate::bridge::Attr) null and what is not known, a [`Value`] all of that in any type.
///
/// ```
/// use tfplugin::prelude::*;
///
/// fn functions() -> Vec<Box<dyn Function>> {
///     let gross = |(net, percent): (i64, i64)| match percent {
///         0..=100 => Ok(net + net * percent / 100),
///         _ => Err(FunctionError::new("The tax is at most 100 percent").argument(1)),
///     };
///     let gross = function::typed("gross", ["net", "percent"], gross)
///         .summary("A price with tax")
///         .about("percent", "The tax in percent.");
///     let shout = function::typed("shout", ["text"], |text: String| Ok(text.to_uppercase()));
///     vec![Box::new(gross), Box::new(shout)]
/// }
/// # let functions = functions();
/// # assert_eq!(functions[0].signature().parameters.len(), 2);
/// # assert_eq!(functions[0].call(&[100.into(), 19.into()]), Ok(119.into()));
/// # assert_eq!(functions[0].call(&[100.into(), 190.into()]).unwrap_err().argument, Some(1));
/// # assert_eq!(functions[0].call(&["x".into(), 19.into()]).unwrap_err().argument, Some(0));
/// # assert_eq!(functions[1].call(&["hey".into()]), Ok("HEY".into()));
/// ```
pub fn typed<A, R, F, const N: usize>(
    name: impl Into<Name>,
    parameters: [&'static str; N],
    call: F,
) -> Typed<A, R, F>
where
    A: Arguments<N>,
    R: Field + Serialize,
    F: Fn(A) -> Result<R, FunctionError> + Send + Sync,
{
    Typed {
        name: name.into(),
        signature: Signature::new(
            A::parameters(parameters),
            R::attribute("result".into()).ty(),
        ),
        read: A::read,
        call,
        of: PhantomData,
    }
}

/// A function in types; see [`typed`].
pub struct Typed<A, R, F> {
    name: Name,
    signature: Signature,
    read: fn(&[Value]) -> Result<A, FunctionError>,
    call: F,
    of: PhantomData<fn(A) -> R>,
}

impl<A, R, F> Typed<A, R, F> {
    /// What it does, in one line.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<Name>) -> Self {
        self.signature.summary = summary.into();
        self
    }

    /// What it does, in Markdown.
    #[must_use]
    pub fn describe(mut self, description: impl Into<Name>) -> Self {
        self.signature.description = description.into();
        self
    }

    /// What a parameter is for, in Markdown. A name that no parameter has changes nothing.
    #[must_use]
    pub fn about(mut self, parameter: &str, description: impl Into<Name>) -> Self {
        let mut all = self.signature.parameters.iter_mut();
        if let Some(own) = all.find(|one| one.name == parameter) {
            own.description = description.into();
        }
        self
    }

    /// Why users should no longer call it.
    #[must_use]
    pub fn deprecated(mut self, why: impl Into<String>) -> Self {
        self.signature.deprecated = Some(why.into());
        self
    }
}

impl<A, R, F> Function for Typed<A, R, F>
where
    R: Serialize,
    F: Fn(A) -> Result<R, FunctionError> + Send + Sync,
{
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn signature(&self) -> Signature {
        self.signature.clone()
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let result = (self.call)((self.read)(arguments)?)?;
        let value = to_value(&result).map_err(|error| FunctionError::new(error.to_string()))?;
        Ok(value.canonical(&self.signature.result))
    }
}

/// What a function takes: one value, or a tuple of up to eight.
pub trait Arguments<const N: usize>: Sized {
    /// Builds the parameters of the signature, in the order of the tuple.
    fn parameters(names: [&'static str; N]) -> Vec<Parameter>;

    /// Reads them.
    ///
    /// # Errors
    /// When one has no place in its type.
    fn read(arguments: &[Value]) -> Result<Self, FunctionError>;
}

fn parameter_of<T: Field>(name: &'static str) -> Parameter {
    Parameter {
        allow_null: T::BEARS_NULL,
        allow_unknown: T::BEARS_UNKNOWN,
        ..Parameter::new(name, T::attribute(name.into()).ty())
    }
}

fn read_one<T: DeserializeOwned>(arguments: &[Value], index: usize) -> Result<T, FunctionError> {
    from_value(arguments.get(index).unwrap_or(&Value::Null))
        .map_err(|error| FunctionError::new(sentence(&error.to_string())).argument(index))
}

impl<T: Field + DeserializeOwned> Arguments<1> for T {
    fn parameters([name]: [&'static str; 1]) -> Vec<Parameter> {
        vec![parameter_of::<T>(name)]
    }

    fn read(arguments: &[Value]) -> Result<Self, FunctionError> {
        read_one(arguments, 0)
    }
}

macro_rules! arguments {
    ($($count:literal: $($ty:ident $name:ident $index:literal),*;)*) => {$(
        impl<$($ty: Field + DeserializeOwned),*> Arguments<$count> for ($($ty,)*) {
            fn parameters([$($name),*]: [&'static str; $count]) -> Vec<Parameter> {
                vec![$(parameter_of::<$ty>($name)),*]
            }

            fn read(arguments: &[Value]) -> Result<Self, FunctionError> {
                Ok(($(read_one(arguments, $index)?,)*))
            }
        }
    )*};
}

impl Arguments<0> for () {
    fn parameters([]: [&'static str; 0]) -> Vec<Parameter> {
        Vec::new()
    }

    fn read(_: &[Value]) -> Result<Self, FunctionError> {
        Ok(())
    }
}

arguments! {
    1: A a 0;
    2: A a 0, B b 1;
    3: A a 0, B b 1, C c 2;
    4: A a 0, B b 1, C c 2, D d 3;
    5: A a 0, B b 1, C c 2, D d 3, E e 4;
    6: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5;
    7: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6;
    8: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7;
}

/// A function whose calls a closure answers. The arguments have the types of the signature.
pub fn from_fn(
    name: impl Into<Name>,
    signature: Signature,
    call: impl Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync + 'static,
) -> Box<dyn Function> {
    Box::new(FromFn {
        name: name.into(),
        signature,
        call,
    })
}

struct FromFn<F> {
    name: Name,
    signature: Signature,
    call: F,
}

impl<F: Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync> Function for FromFn<F> {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn signature(&self) -> Signature {
        self.signature.clone()
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        (self.call)(arguments)
    }
}

fn parameter_proto(parameter: &Parameter) -> tfplugin6::function::Parameter {
    tfplugin6::function::Parameter {
        name: parameter.name.clone().into_owned(),
        r#type: parameter.ty.to_json_bytes(),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: parameter.allow_unknown,
        description: parameter.description.clone().into_owned(),
        description_kind: tfplugin6::StringKind::Markdown.into(),
    }
}

impl Signature {
    /// The message that Terraform asks for.
    pub(crate) fn to_proto(&self) -> tfplugin6::Function {
        tfplugin6::Function {
            parameters: self.parameters.iter().map(parameter_proto).collect(),
            variadic_parameter: self.variadic.as_ref().map(parameter_proto),
            r#return: Some(tfplugin6::function::Return {
                r#type: self.result.to_json_bytes(),
            }),
            summary: self.summary.clone().into_owned(),
            description: self.description.clone().into_owned(),
            description_kind: tfplugin6::StringKind::Markdown.into(),
            deprecation_message: self.deprecated.clone().unwrap_or_default(),
        }
    }

    /// The parameter that takes the argument at `index`.
    pub(crate) fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }
}
