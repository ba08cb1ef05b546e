//! A provider with a function.

use std::process::ExitCode;

use tfplugin::prelude::*;

struct Hello;

#[derive(Model)]
struct Config {}

impl Provider for Hello {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "hello".into()
    }

    fn schema(&self) -> Schema {
        Config::schema()
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        let greet = |name: String| Ok(format!("Hello, {name}!"));
        vec![Box::new(
            function::typed("greet", ["name"], greet).summary("Greets somebody"),
        )]
    }
}

fn main() -> ExitCode {
    serve::plugin(Hello, "Terraform starts this program.")
}
