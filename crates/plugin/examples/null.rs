//! A provider with one resource that does nothing: `null_resource`, which is replaced when one of its triggers changes.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tfplugin::prelude::*;

struct Null;

#[derive(Deserialize)]
struct Config {}

impl Provider for Null {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "null".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("Resources that do nothing.", vec![])
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![resource::register(NullResource)]
    }
}

struct NullResource;

#[derive(Serialize, Deserialize)]
struct Model {
    triggers: Attr<std::collections::BTreeMap<String, String>>,
    id: Attr<String>,
}

impl Resource for NullResource {
    type Client = ();
    type Model = Model;

    fn name(&self) -> Name {
        "null_resource".into()
    }

    fn schema(&self) -> Schema {
        let triggers = Attribute::of("triggers", Type::map(Type::String));
        Schema::new(
            "Does nothing.",
            vec![
                triggers
                    .replaces()
                    .describe("Another value means another object."),
                Attribute::string("id")
                    .computed()
                    .stable()
                    .describe("A random number."),
            ],
        )
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: Model,
        _: &Progress<Model>,
    ) -> Result<Model, Unfinished> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let id = now.unwrap_or_default().as_nanos().to_string();
        Ok(Model {
            id: Attr::Known(id),
            ..plan
        })
    }

    async fn delete(&self, _: &Context<()>, _: Model) -> Result<(), Unfinished> {
        Ok(())
    }
}

fn main() -> ExitCode {
    serve::plugin(Null, "Terraform starts this program.")
}
