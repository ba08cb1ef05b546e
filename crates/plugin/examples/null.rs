//! A provider with one resource that does nothing: `null_resource`, which is replaced when one of its triggers changes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tfplugin::prelude::*;

/// Resources that do nothing.
#[derive(Model)]
struct Config {}

struct Null;

impl Provider for Null {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "null".into()
    }

    fn schema(&self) -> Schema {
        Config::schema()
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![resource::register(NullResource)]
    }
}

/// Does nothing.
#[derive(Model)]
struct Nothing {
    /// Another value means another object.
    #[attr(replaces)]
    triggers: Attr<BTreeMap<String, Option<String>>>,
    /// A random number.
    #[attr(computed, stable)]
    id: Attr<String>,
}

struct NullResource;

impl Resource for NullResource {
    type Client = ();
    type Model = Nothing;

    fn name(&self) -> Name {
        "null_resource".into()
    }

    fn schema(&self) -> Schema {
        Nothing::schema()
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: Nothing,
        _: &Progress<Nothing>,
    ) -> Result<Nothing, Unfinished> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let id = now.unwrap_or_default().as_nanos().to_string();
        Ok(Nothing {
            id: Attr::Known(id),
            ..plan
        })
    }

    async fn delete(&self, _: &Context<()>, _: Nothing) -> Result<(), Unfinished> {
        Ok(())
    }
}

fn main() -> ExitCode {
    serve::plugin(Null, "Terraform starts this program.")
}
