//! What a managed resource implements, and the generic life of one: everything that Terraform demands of each of them.

mod erased;
mod fit;
mod import;
mod moved;
mod upgrade;

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::erased::{Erased, outcome, planned};
pub use self::import::Import;
pub(crate) use self::import::in_text;
pub use self::moved::{Moved, Source};
pub use self::upgrade::Upgrades;

use self::erased::Typed;
use super::context::Context;
use super::deferral::Unfinished;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::identity::Identity;
use super::path::Path;
use super::schema::{Described, Name, Schema};
use super::stored::RawState;

/// A change that is being planned.
#[derive(Debug)]
#[non_exhaustive]
pub struct Change<M> {
    /// What the user wrote.
    pub config: M,
    /// What is there; `None` for a creation.
    pub prior: Option<M>,
    /// Whether the generic rules alone already plan a change.
    pub differs: bool,
    /// Whether all that differs only tells the provider how to work: nothing happens to the object, so there is no reason to
    /// call anybody.
    pub quiet: bool,
}

/// A plan that a resource may still refine.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan<M> {
    /// The planned state; computed attributes may be filled in, configured ones may not be touched.
    pub model: M,
    /// Further attributes because of which Terraform must replace the object.
    pub replace: Vec<Path>,
}

/// Where an operation writes down what is already true, so that a failure afterwards loses nothing.
#[derive(Debug)]
pub struct Progress<M>(Mutex<Option<M>>);

impl<M> Progress<M> {
    /// From now on this is the state, whatever happens next.
    pub fn save(&self, model: M) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(model);
    }

    fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn into_saved(self) -> Option<M> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A managed resource. Read it top-down: schema, model, validate, plan, create, read, update, delete, import.
pub trait Resource: Send + Sync + 'static {
    /// What the provider's configuration is made into.
    type Client: Send + Sync + 'static;
    /// Configuration, plan and state in types.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The type's name in Terraform.
    fn name(&self) -> Name;

    /// What tells one object from all others.
    #[doc(alias = "ResourceWithIdentity")]
    fn identity(&self) -> Identity {
        Identity::none()
    }

    /// The schema: the attributes, the blocks and the description of the type.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes. What is unknown is passed over; there is no network here.
    #[doc(alias = "ValidateConfig")]
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Refines the generic plan, and refuses what cannot end well.
    #[doc(alias = "ModifyPlan")]
    fn plan(
        &self,
        cx: &Context<Self::Client>,
        change: &Change<Self::Model>,
        plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = (cx, change, plan);
        async { Ok(()) }
    }

    /// The place for a warning or a refusal before anything is destroyed.
    fn plan_destroy(
        &self,
        cx: &Context<Self::Client>,
        state: &Self::Model,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send {
        let _ = (cx, state);
        async { Ok(()) }
    }

    /// Creates the object. The returned state must have a value for everything that the plan leaves unknown. The values of
    /// write-only attributes are in [`Context::config`].
    fn create(
        &self,
        cx: &Context<Self::Client>,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Unfinished>> + Send;

    /// Reads the object; `None` when it is gone. Without it, an object is always what its state says.
    fn read(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Unfinished>> + Send {
        let _ = cx;
        async { Ok(Some(state)) }
    }

    /// Changes the object in place. A resource whose every attribute [replaces](crate::schema::Attribute::replaces) the object needs none.
    fn update(
        &self,
        cx: &Context<Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Unfinished>> + Send {
        let _ = (cx, prior, plan, progress);
        let name = self.name();
        async move {
            Err(Diagnostic::bug(format!(
                "{name} does not say how it is changed in place, and one of its attributes was changed that does not replace it."
            ))
            .into())
        }
    }

    /// Removes the object.
    fn delete(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send;

    /// A first state from the ID or the identity that the user gave; Terraform reads the object afterwards.
    #[doc(alias = "ImportState")]
    fn import_state(
        &self,
        cx: &Context<Self::Client>,
        import: &Import,
    ) -> impl Future<Output = Result<Self::Model, Unfinished>> + Send {
        let _ = (cx, import);
        let name = self.name();
        async move {
            Err(Diagnostic::error(
                format!("A {name} cannot be imported"),
                "This version of the provider does not import objects of that type.",
            )
            .into())
        }
    }

    /// A first state from the state of a resource of another type or provider (`moved`, Terraform 1.8), with private data for the read that
    /// follows; `None` when the resource does not adopt objects of that type. Terraform asks before it configures the provider, so there is
    /// no client here.
    ///
    /// # Errors
    /// When the resource cannot adopt this object.
    #[doc(alias = "MoveState")]
    fn move_state(&self, source: &Source) -> Result<Option<Moved<Self::Model>>, Diagnostics> {
        let _ = source;
        Ok(None)
    }

    /// What of a state a person would write, for a configuration that Terraform generates (Terraform 1.14). What the provider gives by itself
    /// is left out anyway; this is for arguments that cannot stand together.
    #[doc(alias = "GenerateResourceConfig")]
    fn written(&self, state: Self::Model) -> Self::Model {
        state
    }

    /// The steps from the states of older versions to the current one; a schema of version 0 needs none.
    #[doc(alias = "UpgradeState")]
    fn upgrades(&self) -> Upgrades {
        Upgrades::new()
    }

    /// An identity of an older version in the form of the current one.
    ///
    /// # Errors
    /// When it cannot be brought into that form.
    fn upgrade_identity(&self, version: i64, identity: RawState) -> Result<RawState, Diagnostics> {
        let _ = version;
        Ok(identity)
    }
}

/// A resource of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) identity: Identity,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers a resource with its provider.
pub fn register<R: Resource>(resource: R) -> Registered<R::Client> {
    Registered {
        name: resource.name(),
        schema: resource.schema().into(),
        identity: resource.identity(),
        erased: Box::new(Typed(resource)),
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

    /// What tells one object from all others.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
