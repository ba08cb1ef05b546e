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

    async fn configure(&self, _: Self::Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        let signature = Signature::new(vec![Parameter::new("name", Type::String)], Type::String);
        let greet = |arguments: &[Value]| {
            let name = arguments.first().and_then(Value::as_str);
            Ok(Value::string(format!("Hello, {}!", name.unwrap_or("you"))))
        };
        vec![function::from_fn("greet", signature, greet)]
    }
}

fn main() -> ExitCode {
    serve::plugin(Hello, "Terraform starts this program.")
}
