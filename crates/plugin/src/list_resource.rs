//! What a list resource implements: every object of a kind that there is, for `terraform query` (Terraform 1.14).

use std::future::Future;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::bridge::{from_value, to_value};
use super::diagnostics::Diagnostics;
use super::resource::{Boxed, Context, Resource};
use super::schema::Schema;
use super::typed::misfit;
use super::value::Value;

/// One object of a list.
#[derive(Clone, Debug)]
pub struct Listed<M> {
    /// What people call it.
    pub name: String,
    /// Its state, as a read would give it.
    pub model: M,
}

/// A list of the objects of a resource. It has the resource's name.
pub trait ListResource: Send + Sync + 'static {
    /// The resource whose objects it lists.
    type Of: Resource;
    /// What it is asked for, in types.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// What it can be asked for.
    fn schema() -> Schema;

    /// The objects, as many as are wanted at most.
    fn list(
        cx: &Context<<Self::Of as Resource>::Client>,
        config: Self::Config,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Listed<<Self::Of as Resource>::Model>>, Diagnostics>> + Send;
}

/// The answer to a list.
#[derive(Debug)]
pub struct List {
    /// Each object's name and state.
    pub objects: Vec<(String, Value)>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// A list whose types are forgotten, as the server keeps it.
pub trait AnyListResource<C>: Send + Sync {
    /// The name, which is that of the resource.
    fn name(&self) -> &'static str;
    /// What it can be asked for.
    fn schema(&self) -> &Schema;
    /// Offline checks.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// The objects.
    fn list<'a>(&'a self, cx: Context<C>, config: &'a Value, limit: usize) -> Boxed<'a, List>;
}

/// Registers a list with its provider.
pub fn register<L: ListResource>() -> Box<dyn AnyListResource<<L::Of as Resource>::Client>> {
    Box::new(Registered::<L> {
        schema: L::schema(),
        of: PhantomData,
    })
}

struct Registered<L> {
    schema: Schema,
    of: PhantomData<fn() -> L>,
}

impl<L: ListResource> AnyListResource<<L::Of as Resource>::Client> for Registered<L> {
    fn name(&self) -> &'static str {
        L::Of::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        self.schema.validate(config)
    }

    fn list<'a>(
        &'a self,
        cx: Context<<L::Of as Resource>::Client>,
        config: &'a Value,
        limit: usize,
    ) -> Boxed<'a, List> {
        Box::pin(async move {
            let found = match from_value::<L::Config>(config) {
                Ok(config) => L::list(&cx, config, limit).await,
                Err(error) => Err(misfit(&error)),
            };
            let ty = L::Of::schema().ty();
            let shown = found.and_then(|found| {
                let one = |one: Listed<_>| {
                    Ok((
                        one.name,
                        to_value(&one.model)
                            .map_err(|error| misfit(&error))?
                            .canonical(&ty),
                    ))
                };
                found
                    .into_iter()
                    .take(limit)
                    .map(one)
                    .collect::<Result<Vec<_>, Diagnostics>>()
            });
            let (mut diagnostics, _) = cx.finish();
            let objects = shown.unwrap_or_else(|errors| {
                diagnostics.extend(errors);
                Vec::new()
            });
            List {
                objects,
                diagnostics,
            }
        })
    }
}
