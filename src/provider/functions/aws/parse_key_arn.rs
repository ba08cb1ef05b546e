//! `parse_key_arn(arn)`: the parts of a key's ARN.

use crate::provider::functions::{parameter, parsed};
use crate::vocabulary::aws::KeyArn;
use tfplugin::function::{Function, FunctionError, Signature};
use tfplugin::schema::Name;
use tfplugin::types::Type;
use tfplugin::value::Value;

/// The function.
#[derive(Debug)]
pub struct ParseArnFunction;

impl Function for ParseArnFunction {
    fn name(&self) -> Name {
        "parse_key_arn".into()
    }

    fn signature(&self) -> Signature {
        Signature::new(vec![parameter("arn", Type::String, "ARN of a KMS key.")], Type::object([
                ("partition", Type::String),
                ("region", Type::String),
                ("account_id", Type::String),
                ("key_id", Type::String),
                ("multi_region", Type::Bool),
            ]))
.summary("The parts of a KMS key's ARN")
.describe("Takes the ARN of a KMS key apart. An alias, or the ARN of anything else, is an error that says what was expected.")
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let key: KeyArn = parsed(arguments, 0)?;
        Ok(Value::map([
            ("partition", Value::string(key.partition().name())),
            ("region", Value::string(key.region())),
            ("account_id", Value::string(key.account())),
            ("key_id", Value::string(key.key_id())),
            (
                "multi_region",
                Value::Bool(key.key_id().starts_with("mrk-")),
            ),
        ]))
    }
}
