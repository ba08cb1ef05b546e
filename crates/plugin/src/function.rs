//! What a provider function implements: values in, a value out; no client, no I/O, the same answer for the same arguments.

use super::proto::tfplugin6;
use super::schema::Name;
use super::types::Type;
use super::value::Value;

/// One parameter of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type.
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
    /// The type of its result.
    pub result: Type,
    /// What it does, in one line.
    pub summary: Name,
    /// What it does, in Markdown.
    pub description: Name,
    /// Why it should not be used any more.
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

    /// Why it should not be used any more.
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
    /// Its name.
    fn name(&self) -> Name;
    /// Its description.
    fn signature(&self) -> Signature;
    /// Its result. The arguments have the types of the signature.
    ///
    /// # Errors
    /// When an argument is not acceptable.
    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError>;
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
