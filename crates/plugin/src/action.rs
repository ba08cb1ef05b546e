//! What an action implements: work that Terraform does when the user asks for it, and that leaves no state (Terraform 1.14).

use std::future::Future;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::boxed::Boxed;
use super::bridge::from_value;
use super::context::{Context, Left};
use super::deferral::{Reason, Unfinished};
use super::diagnostics::Diagnostics;
use super::schema::{Described, Name, Schema};
use super::typed::{misfit, validated_once_known};
use super::value::Value;

/// What an action says while it is at work, line by line.
#[derive(Clone, Debug)]
pub struct Events(UnboundedSender<String>);

impl Events {
    /// Messages go to this sender; a receiver that has stopped listening misses them.
    pub(crate) fn to(sender: UnboundedSender<String>) -> Self {
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
    /// The configuration that the user writes, as a struct whose fields are the schema's attributes.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// The type's name in Terraform.
    fn name(&self) -> Name;

    /// The schema: the attributes, the blocks and the description of the type.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes.
    fn validate(&self, config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Checks before anything is done; values may still be unknown, and where the model does not bear that, this waits until they are
    /// known. Warnings show in the plan. Nothing is done here.
    fn plan(
        &self,
        cx: &Context<Self::Client>,
        config: Self::Config,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = (cx, config);
        async { Ok(()) }
    }

    /// Does it. Everything is known.
    fn invoke(
        &self,
        cx: &Context<Self::Client>,
        config: Self::Config,
        events: &Events,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send;
}

pub(crate) struct PlannedAction {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) deferred: Option<Reason>,
}

pub(crate) trait Erased<C>: Send + Sync {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics;
    fn plan<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
    ) -> Boxed<'a, PlannedAction>;
    fn invoke<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
        events: &'a Events,
    ) -> Boxed<'a, Diagnostics>;
}

/// An action of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers an action with its provider.
pub fn register<A: Action>(action: A) -> Registered<A::Client> {
    Registered {
        name: action.name(),
        schema: action.schema().into(),
        erased: Box::new(action),
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

impl<A: Action> Erased<A::Client> for A {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics {
        validated_once_known(schema, config, |model| Action::validate(self, model))
    }

    fn plan<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<A::Client>,
        config: &'a Value,
    ) -> Boxed<'a, PlannedAction> {
        Box::pin(async move {
            let result = match from_value::<A::Config>(config) {
                Ok(config) => Action::plan(self, &cx, config).await,
                // A model that does not bear unknown values has nothing to say before they are known.
                Err(_) if !config.is_wholly_known() => Ok(()),
                Err(error) => Err(misfit(schema, &error).into()),
            };
            planned(cx.finish(), result)
        })
    }

    fn invoke<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<A::Client>,
        config: &'a Value,
        events: &'a Events,
    ) -> Boxed<'a, Diagnostics> {
        Box::pin(async move {
            let missing = schema.missing(config);
            let result = match from_value::<A::Config>(config) {
                _ if missing.has_errors() => Err(missing.into()),
                Ok(config) => Action::invoke(self, &cx, config, events).await,
                Err(error) => Err(misfit(schema, &error).into()),
            };
            let mut diagnostics = cx.finish().diagnostics;
            if let Err(unfinished) = result {
                diagnostics.extend(unfinished.into_diagnostics());
            }
            diagnostics
        })
    }
}

/// The answer of a plan.
pub(crate) fn planned(mut left: Left, result: Result<(), Unfinished>) -> PlannedAction {
    let mut deferred = None;
    if let Err(unfinished) = result {
        deferred = left.unfinished(unfinished);
    }
    PlannedAction {
        diagnostics: left.diagnostics,
        deferred,
    }
}
