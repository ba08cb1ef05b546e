//! A whole provider, with a function.

use std::{collections::BTreeMap, process::ExitCode};
use tfplugin::prelude::*;

struct Hello;

impl Provider for Hello {
    type Client = ();
    type Config = BTreeMap<String, String>;

    fn name(&self) -> Name {
        "hello".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("Says hello.", vec![])
    }

    async fn configure(&self, _: Self::Config, _: Run) -> Result<((), Diagnostics), Diagnostics> {
        Ok(((), Diagnostics::new()))
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![Box::new(Greet)]
    }
}

struct Greet;

impl Function for Greet {
    fn name(&self) -> Name {
        "greet".into()
    }

    fn signature(&self) -> Signature {
        Signature::new(vec![Parameter::new("name", Type::String)], Type::String)
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let name = arguments
            .first()
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(Value::string(format!("Hello, {name}!")))
    }
}

fn main() -> ExitCode {
    serve::plugin(Hello, "Terraform starts this program.")
}
