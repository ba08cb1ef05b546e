//! What a data source implements: configuration in, a wholly known state out.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::boxed::Boxed;
use super::bridge::{from_value, to_value_like};
use super::context::{Context, Left};
use super::deferral::{Reason, Unfinished};
use super::diagnostics::Diagnostics;
use super::schema::{Described, Name, Schema};
use super::typed::{misfit, validated_once_known, without_form};
use super::value::Value;

/// A data source. Terraform reads it only when its whole configuration is known.
pub trait DataSource: Send + Sync + 'static {
    /// What the provider's configuration is made into.
    type Client: Send + Sync + 'static;
    /// Configuration and result in types.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The type's name in Terraform.
    fn name(&self) -> Name;

    /// The schema: the attributes, the blocks and the description of the type.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Looks it up.
    fn read(
        &self,
        cx: &Context<Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Unfinished>> + Send;
}

pub(crate) struct Data {
    pub(crate) value: Value,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

pub(crate) trait Erased<C>: Send + Sync {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics;
    fn read<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
    ) -> Boxed<'a, Data>;
}

/// A data source of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers a data source with its provider.
pub fn register<D: DataSource>(source: D) -> Registered<D::Client> {
    Registered {
        name: source.name(),
        schema: source.schema().into(),
        erased: Box::new(source),
    }
}

impl<C> Registered<C> {
    /// The type's name in Terraform.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema: the attributes, the blocks and the description of the type.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl<D: DataSource> Erased<D::Client> for D {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics {
        validated_once_known(schema, config, |model| DataSource::validate(self, model))
    }

    fn read<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<D::Client>,
        config: &'a Value,
    ) -> Boxed<'a, Data> {
        Box::pin(async move {
            let missing = schema.missing(config);
            let result = match from_value::<D::Model>(config) {
                _ if missing.has_errors() => Err(missing.into()),
                Ok(model) => DataSource::read(self, &cx, model).await,
                Err(error) => Err(misfit(schema, &error).into()),
            };
            let result = result.and_then(|model| {
                let value = to_value_like(&model, config).map_err(|error| without_form(&error))?;
                Ok(value.restored(config).canonical(schema.ty()))
            });
            read(cx.finish(), result)
        })
    }
}

/// The answer of a read.
pub(crate) fn read(mut left: Left, result: Result<Value, Unfinished>) -> Data {
    let mut deferred = None;
    let value = result.unwrap_or_else(|unfinished| {
        deferred = left.unfinished(unfinished);
        Value::Null
    });
    Data {
        value,
        diagnostics: left.diagnostics,
        deferred,
    }
}
