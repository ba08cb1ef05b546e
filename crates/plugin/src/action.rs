//! What an action implements: something that is done when somebody says so, and that leaves no state (Terraform 1.14).

use std::future::Future;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::bridge::from_value;
use super::diagnostics::Diagnostics;
use super::resource::{Boxed, Context};
use super::schema::Schema;
use super::typed::{misfit, validated};
use super::value::Value;

/// What an action says while it is at work, line by line.
#[derive(Clone, Debug)]
pub struct Events(UnboundedSender<String>);

impl Events {
    /// A place for what is said; who does not listen any more misses it.
    pub fn to(sender: UnboundedSender<String>) -> Self {
        Self(sender)
    }

    /// Shows a line to the user.
    pub fn say(&self, line: impl Into<String>) {
        let _ = self.0.send(line.into());
    }
}

/// An action. Terraform invokes it by `terraform apply -invoke` or by an `action_trigger`, after it has planned it.
pub trait Action: Send + Sync + 'static {
    /// What the provider's configuration is made into.
    type Client: Send + Sync + 'static;
    /// Its configuration in types.
    type Config: DeserializeOwned + Send + Sync + 'static;
    /// The type's name in Terraform.
    const NAME: &'static str;

    /// Its description.
    fn schema() -> Schema;

    /// Offline checks across attributes.
    fn validate(config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Checks before anything is done; values may still be unknown. Warnings show in the plan. Nothing is done here.
    fn plan(
        cx: &Context<Self::Client>,
        config: Self::Config,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        let _ = (cx, config);
        async { Ok(()) }
    }

    /// Does it. Everything is known.
    fn invoke(
        cx: &Context<Self::Client>,
        config: Self::Config,
        events: &Events,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;
}

/// What comes of a plan.
#[derive(Debug)]
pub struct PlannedAction {
    /// What to tell the user.
    pub diagnostics: Diagnostics,
    /// Whether it is put off to a later run.
    pub deferred: bool,
}

/// An action whose types are forgotten, as the server keeps it.
pub trait AnyAction<C>: Send + Sync {
    /// The type's name in Terraform.
    fn name(&self) -> &'static str;
    /// Its description.
    fn schema(&self) -> &Schema;
    /// Offline checks.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Checks before anything is done.
    fn plan<'a>(&'a self, cx: Context<C>, config: &'a Value) -> Boxed<'a, PlannedAction>;
    /// Does it.
    fn invoke<'a>(
        &'a self,
        cx: Context<C>,
        config: &'a Value,
        events: &'a Events,
    ) -> Boxed<'a, Diagnostics>;
}

/// Registers an action with its provider.
pub fn register<A: Action>() -> Box<dyn AnyAction<A::Client>> {
    Box::new(Registered::<A> {
        schema: A::schema(),
        action: PhantomData,
    })
}

struct Registered<A> {
    schema: Schema,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> AnyAction<A::Client> for Registered<A> {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validated(&self.schema, config, A::validate)
    }

    fn plan<'a>(&'a self, cx: Context<A::Client>, config: &'a Value) -> Boxed<'a, PlannedAction> {
        Box::pin(async move {
            let result = match from_value::<A::Config>(config) {
                Ok(config) => A::plan(&cx, config).await,
                Err(error) => Err(misfit(&error)),
            };
            let (mut diagnostics, _, deferred) = cx.finish_deferred();
            if let Err(errors) = result {
                diagnostics.extend(errors);
            }
            PlannedAction {
                diagnostics,
                deferred,
            }
        })
    }

    fn invoke<'a>(
        &'a self,
        cx: Context<A::Client>,
        config: &'a Value,
        events: &'a Events,
    ) -> Boxed<'a, Diagnostics> {
        Box::pin(async move {
            let missing = self.schema.missing(config);
            let result = match from_value::<A::Config>(config) {
                _ if missing.has_errors() => Err(missing),
                Ok(config) => A::invoke(&cx, config, events).await,
                Err(error) => Err(misfit(&error)),
            };
            let (mut diagnostics, _) = cx.finish();
            if let Err(errors) = result {
                diagnostics.extend(errors);
            }
            diagnostics
        })
    }
}
