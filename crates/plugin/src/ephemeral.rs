//! What an ephemeral resource implements: something that is there while Terraform works, and in no plan and no state (Terraform
//! 1.10): a token, a tunnel, a lease.

use std::future::Future;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::boxed::Boxed;
use super::bridge::{from_value, to_value_like};
use super::context::{Context, Left};
use super::deferral::{Reason, Unfinished};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::schema::{Described, Name, Schema};
use super::stored::Private;
use super::typed::{misfit, validated_once_known, without_form};
use super::value::Value;

/// An ephemeral resource. What [`Context::set_private`] leaves when it is opened comes back when it is renewed and closed.
pub trait EphemeralResource: Send + Sync + 'static {
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

    /// Opens it. Everything is known.
    fn open(
        &self,
        cx: &Context<Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Opened<Self::Model>, Unfinished>> + Send;

    /// Keeps it open, and says when it wants to be renewed the next time. Terraform asks at the time that the last answer gave.
    fn renew(
        &self,
        cx: &Context<Self::Client>,
    ) -> impl Future<Output = Result<Option<SystemTime>, Unfinished>> + Send {
        let _ = cx;
        async { Ok(None) }
    }

    /// Gives back what `open` took: Terraform calls it once it no longer needs the data.
    fn close(
        &self,
        cx: &Context<Self::Client>,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = cx;
        async { Ok(()) }
    }
}

/// What `open` returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened<M> {
    /// The result.
    pub model: M,
    /// When it wants to be renewed.
    pub renew_at: Option<SystemTime>,
}

impl<M> Opened<M> {
    /// Something that stays open until it is closed.
    pub fn new(model: M) -> Self {
        Self {
            model,
            renew_at: None,
        }
    }

    /// Something that wants to be renewed at a time.
    #[must_use]
    pub fn renew_at(mut self, at: SystemTime) -> Self {
        self.renew_at = Some(at);
        self
    }
}

pub(crate) struct OpenedValue {
    pub(crate) value: Value,
    pub(crate) renew_at: Option<SystemTime>,
    pub(crate) private: Private,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

pub(crate) struct Renewed {
    pub(crate) renew_at: Option<SystemTime>,
    pub(crate) private: Private,
    pub(crate) diagnostics: Diagnostics,
}

pub(crate) trait Erased<C>: Send + Sync {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics;
    fn open<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
    ) -> Boxed<'a, OpenedValue>;
    fn renew(&self, cx: Context<C>) -> Boxed<'_, Renewed>;
    fn close(&self, cx: Context<C>) -> Boxed<'_, Diagnostics>;
}

/// An ephemeral resource of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers an ephemeral resource with its provider.
pub fn register<E: EphemeralResource>(resource: E) -> Registered<E::Client> {
    Registered {
        name: resource.name(),
        schema: resource.schema().into(),
        erased: Box::new(resource),
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

impl<E: EphemeralResource> Erased<E::Client> for E {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics {
        validated_once_known(schema, config, |model| {
            EphemeralResource::validate(self, model)
        })
    }

    fn open<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<E::Client>,
        config: &'a Value,
    ) -> Boxed<'a, OpenedValue> {
        Box::pin(async move {
            let missing = schema.missing(config);
            let result = match from_value::<E::Model>(config) {
                _ if missing.has_errors() => Err(missing.into()),
                Ok(model) => EphemeralResource::open(self, &cx, model).await,
                Err(error) => Err(misfit(schema, &error).into()),
            };
            let result = result.and_then(|result| {
                let value = to_value_like(&result.model, config);
                let value = value.map_err(|error| without_form(&error))?;
                let value = value.restored(config).canonical(schema.ty());
                match value.is_wholly_known() {
                    true => Ok((value, result.renew_at)),
                    false => Err(
                        Diagnostic::bug("What was opened has a value that is not known.").into(),
                    ),
                }
            });
            opened(cx.finish(), result)
        })
    }

    fn renew(&self, cx: Context<E::Client>) -> Boxed<'_, Renewed> {
        Box::pin(async move {
            let result = EphemeralResource::renew(self, &cx).await;
            let mut left = cx.finish();
            let renew_at = result.unwrap_or_else(|unfinished| {
                left.diagnostics.extend(unfinished.into_diagnostics());
                None
            });
            Renewed {
                renew_at,
                private: left.private,
                diagnostics: left.diagnostics,
            }
        })
    }

    fn close(&self, cx: Context<E::Client>) -> Boxed<'_, Diagnostics> {
        Box::pin(async move {
            let result = EphemeralResource::close(self, &cx).await;
            let mut diagnostics = cx.finish().diagnostics;
            if let Err(unfinished) = result {
                diagnostics.extend(unfinished.into_diagnostics());
            }
            diagnostics
        })
    }
}

/// The answer of an opening.
pub(crate) fn opened(
    mut left: Left,
    result: Result<(Value, Option<SystemTime>), Unfinished>,
) -> OpenedValue {
    let mut deferred = None;
    let (value, renew_at) = result.unwrap_or_else(|unfinished| {
        deferred = left.unfinished(unfinished);
        (Value::Null, None)
    });
    OpenedValue {
        value,
        renew_at,
        private: left.private,
        diagnostics: left.diagnostics,
        deferred,
    }
}
