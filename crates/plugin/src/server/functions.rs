//! Provider functions.

use std::collections::HashMap;

use super::Inner;
use crate::codec;
use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::value::Value;

fn failed(text: String, argument: Option<usize>) -> pb::call_function::Response {
    // Terraform ends the sentence when it shows it.
    let text = text.trim_end_matches('.').to_owned();
    let function_argument = argument.and_then(|index| i64::try_from(index).ok());
    pb::call_function::Response {
        result: None,
        error: Some(pb::FunctionError {
            text,
            function_argument,
        }),
    }
}

impl<P: Provider> Inner<P> {
    pub(super) fn function_signatures(&self) -> HashMap<String, pb::Function> {
        let functions = self.catalogue().functions.iter();
        functions
            .map(|(name, (signature, _))| (name.clone(), signature.to_proto()))
            .collect()
    }

    pub(super) async fn functions(
        &self,
        _: pb::get_functions::Request,
    ) -> Result<pb::get_functions::Response, Diagnostics> {
        Ok(pb::get_functions::Response {
            functions: self.function_signatures(),
            diagnostics: Vec::new(),
        })
    }

    pub(super) fn call_function(
        &self,
        request: &pb::call_function::Request,
    ) -> pb::call_function::Response {
        let Some((signature, function)) = self.catalogue().functions.get(request.name.as_str())
        else {
            return failed(
                format!("The provider has no function \"{}\".", request.name),
                None,
            );
        };
        let mut arguments = Vec::with_capacity(request.arguments.len());
        for (index, argument) in request.arguments.iter().enumerate() {
            let Some(parameter) = signature.parameter(index) else {
                return failed(
                    format!(
                        "{} takes {} arguments.",
                        request.name,
                        signature.parameters.len()
                    ),
                    Some(index),
                );
            };
            // OpenTofu sends null as a message with nothing in it.
            let is_null = argument.msgpack.is_empty() && argument.json.is_empty();
            let read = if is_null {
                Ok(Value::Null)
            } else {
                codec::decode(argument, &parameter.ty)
            };
            match read {
                Ok(Value::Null) if !parameter.allow_null => {
                    return failed("The argument must not be null".to_owned(), Some(index));
                }
                Ok(value) => arguments.push(value),
                Err(error) => {
                    return failed(
                        format!("The argument cannot be read: {error}."),
                        Some(index),
                    );
                }
            }
        }
        match function.call(&arguments) {
            Err(error) => failed(error.text, error.argument),
            Ok(result) => match codec::encode(&result, &signature.result) {
                Ok(result) => pb::call_function::Response {
                    result: Some(result),
                    error: None,
                },
                Err(error) => failed(
                    format!(
                        "This is a bug in the {}provider: the result is malformed: {error}.",
                        crate::diagnostics::name()
                    ),
                    None,
                ),
            },
        }
    }
}
