//! What a provider function implements: values in, a value out; no client, no I/O, the same answer for the same arguments.

use super::proto::tfplugin6;
use super::types::Type;
use super::value::Value;

/// One parameter of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// What it is for, in Markdown.
    pub description: &'static str,
    /// Whether the function wants to see null.
    pub allow_null: bool,
    /// Whether the function wants to see unknown values; otherwise Terraform answers unknown by itself.
    pub allow_unknown: bool,
}

/// The description of a function.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The type of any further arguments.
    pub variadic: Option<Parameter>,
    /// The type of its result.
    pub result: Type,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it does, in Markdown.
    pub description: &'static str,
}

/// Why a call failed, and because of which argument (counted from 0).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    /// What is wrong, for the user.
    pub text: String,
    /// The argument that is to blame.
    pub argument: Option<usize>,
}

/// A provider function.
pub trait Function: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its description.
    fn signature(&self) -> Signature;
    /// Its result. The arguments have the types of the signature.
    ///
    /// # Errors
    /// When an argument is not acceptable.
    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError>;
}

fn parameter_proto(parameter: &Parameter) -> tfplugin6::function::Parameter {
    tfplugin6::function::Parameter {
        name: parameter.name.to_owned(),
        r#type: parameter.ty.to_json_bytes(),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: parameter.allow_unknown,
        description: parameter.description.to_owned(),
        description_kind: tfplugin6::StringKind::Markdown.into(),
    }
}

impl Signature {
    /// The message that Terraform asks for.
    pub fn to_proto(&self) -> tfplugin6::Function {
        tfplugin6::Function {
            parameters: self.parameters.iter().map(parameter_proto).collect(),
            variadic_parameter: self.variadic.as_ref().map(parameter_proto),
            r#return: Some(tfplugin6::function::Return {
                r#type: self.result.to_json_bytes(),
            }),
            summary: self.summary.to_owned(),
            description: self.description.to_owned(),
            description_kind: tfplugin6::StringKind::Markdown.into(),
            deprecation_message: String::new(),
        }
    }

    /// The parameter that takes the argument at `index`.
    pub fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }
}
