//! What a data source implements: configuration in, a wholly known state out.

use std::future::Future;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bridge::{from_value, to_value};
use super::diagnostics::Diagnostics;
use super::resource::{Boxed, Context, Outcome};
use super::schema::Schema;
use super::typed::{misfit, validated};
use super::value::Value;

/// A data source. Terraform reads it only when its whole configuration is known.
pub trait DataSource: Send + Sync + 'static {
    /// What the provider's configuration is made into.
    type Client: Send + Sync + 'static;
    /// Configuration and result in types.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The type's name in Terraform.
    const NAME: &'static str;

    /// Its description.
    fn schema() -> Schema;

    /// Offline checks across attributes.
    fn validate(config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Looks it up.
    fn read(
        cx: &Context<Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;
}

/// A data source whose types are forgotten, as the server keeps it.
pub trait AnyDataSource<C>: Send + Sync {
    /// The type's name in Terraform.
    fn name(&self) -> &'static str;
    /// Its description.
    fn schema(&self) -> &Schema;
    /// Offline checks.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Looks it up.
    fn read<'a>(&'a self, cx: Context<C>, config: &'a Value) -> Boxed<'a, Outcome>;
}

/// Registers a data source with its provider.
pub fn register<D: DataSource>() -> Box<dyn AnyDataSource<D::Client>> {
    Box::new(Registered::<D> {
        schema: D::schema(),
        source: PhantomData,
    })
}

struct Registered<D> {
    schema: Schema,
    source: PhantomData<fn() -> D>,
}

impl<D: DataSource> AnyDataSource<D::Client> for Registered<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validated(&self.schema, config, D::validate)
    }

    fn read<'a>(&'a self, cx: Context<D::Client>, config: &'a Value) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let missing = self.schema.missing(config);
            let result = match from_value::<D::Model>(config) {
                _ if missing.has_errors() => Err(missing),
                Ok(model) => D::read(&cx, model).await,
                Err(error) => Err(misfit(&error)),
            };
            let result = result.and_then(|model| to_value(&model).map_err(|error| misfit(&error)));
            let (mut diagnostics, private, deferred) = cx.finish_deferred();
            let state = result
                .map(|value| value.canonical(&self.schema.ty()))
                .unwrap_or_else(|errors| {
                    diagnostics.extend(errors);
                    Value::Null
                });
            Outcome {
                state,
                private,
                diagnostics,
                deferred,
            }
        })
    }
}
