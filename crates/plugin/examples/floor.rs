//! As little as a provider can do: a resource with as many attributes as `FLOOR_ATTRIBUTES` says, all of them made at run time, that keeps
//! the values that it gets. The time and memory that Terraform needs with it are what it needs with any resource, so it is the floor under
//! a benchmark.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tfplugin::prelude::*;

/// How many attributes there are, half of them given by the user.
fn attributes() -> usize {
    let wanted = std::env::var("FLOOR_ATTRIBUTES").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(16)
}

struct Floor;

#[derive(Deserialize)]
struct Config {}

impl Provider for Floor {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "floor".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("The floor under a benchmark.", vec![])
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![resource::register(Plank)]
    }
}

struct Plank;

#[derive(Serialize, Deserialize)]
struct Model(BTreeMap<String, Attr<String>>);

impl Model {
    fn known(self) -> Self {
        let known = |(name, value): (String, Attr<String>)| match value {
            Attr::Unknown => (name, Attr::Known("known".to_owned())),
            value => (name, value),
        };
        Self(self.0.into_iter().map(known).collect())
    }
}

impl Resource for Plank {
    type Client = ();
    type Model = Model;

    fn name(&self) -> Name {
        "floor_plank".into()
    }

    fn schema(&self) -> Schema {
        let one = |number: usize| match number % 2 {
            0 => Attribute::string(format!("given_{number}")),
            _ => Attribute::string(format!("computed_{number}")).computed(),
        };
        Schema::new("A plank.", (0..attributes()).map(one).collect())
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: Model,
        _: &Progress<Model>,
    ) -> Result<Model, Unfinished> {
        Ok(plan.known())
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: Model,
        plan: Model,
        _: &Progress<Model>,
    ) -> Result<Model, Unfinished> {
        Ok(plan.known())
    }

    async fn delete(&self, _: &Context<()>, _: Model) -> Result<(), Unfinished> {
        Ok(())
    }
}

fn main() -> ExitCode {
    serve::plugin(Floor, "Terraform starts this program.")
}
