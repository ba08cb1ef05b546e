//! What a managed resource implements, and the generic life of one: everything that Terraform demands of each of them.

mod erased;

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::erased::{Erased, Typed};
use super::context::Context;
use super::deferral::Unfinished;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::identity::Identity;
use super::path::Path;
use super::schema::{Described, Name, Schema};
use super::stored::{Private, RawState};

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
    /// Further attributes for which the object has to be replaced.
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
    fn identity(&self) -> Identity {
        Identity::none()
    }

    /// Its description.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes. What is unknown is passed over; there is no network here.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Refines the generic plan, and refuses what cannot end well.
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

    /// Makes the object.
    fn create(
        &self,
        cx: &Context<Self::Client>,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Looks at the object; `None` when it is gone.
    fn read(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Unfinished>> + Send;

    /// Changes the object in place.
    fn update(
        &self,
        cx: &Context<Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
        progress: &Progress<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Removes the object.
    fn delete(
        &self,
        cx: &Context<Self::Client>,
        state: Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// A first state from the id that the user gave, or from the texts of an identity, joined by commas; Terraform reads the object
    /// afterwards.
    fn import_state(
        &self,
        cx: &Context<Self::Client>,
        id: &str,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send {
        let _ = (cx, id);
        let name = self.name();
        async move {
            Err(Diagnostic::error(
                format!("A {name} cannot be imported"),
                "This version of the provider does not import objects of that type.",
            )
            .into())
        }
    }

    /// A first state from the state of another provider's resource (`moved`, Terraform 1.8), and private data for the read that
    /// follows; `None` when objects of that type cannot be taken over. Terraform asks before the provider is configured, so
    /// nothing can be looked up here.
    fn move_state(&self, source: &Source) -> Option<Result<(Self::Model, Private), Diagnostics>> {
        let _ = source;
        None
    }

    /// What of a state a person would write, for a configuration that Terraform generates (Terraform 1.14). What the provider gives by itself
    /// is left out anyway; this is for arguments that cannot stand together.
    fn written(&self, state: Self::Model) -> Self::Model {
        state
    }

    /// A state of an older version in the form of the current one, which `current` is.
    ///
    /// # Errors
    /// When it cannot be brought into that form.
    fn upgrade(
        &self,
        version: i64,
        current: i64,
        state: RawState,
    ) -> Result<RawState, Diagnostics> {
        if version == current {
            return Ok(state);
        }
        Err(Diagnostic::error(
            format!("The state of {} is of another version", self.name()),
            format!(
                "It was written in version {version} of its form, this provider knows version {current}. Use the provider \
                 version that wrote it, or a newer one than this."
            ),
        )
        .into())
    }
}

/// A resource of another provider whose object is to be taken over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The provider's address: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The type's name.
    pub type_name: String,
    /// Its state, in that type's own form.
    pub state: RawState,
}

impl Source {
    /// A state of another provider's resource.
    pub fn new(provider: impl Into<String>, type_name: impl Into<String>, state: RawState) -> Self {
        Self {
            provider: provider.into(),
            type_name: type_name.into(),
            state,
        }
    }

    /// Whether it is a resource of this provider, whichever registry serves it. An address may lack its host and namespace: some
    /// versions of OpenTofu pass the bare name.
    pub fn is_of(&self, namespace: &str, name: &str) -> bool {
        let mut parts = self.provider.rsplit('/');
        let is_named = parts.next() == Some(name);
        // `-` stands for the namespace of a provider that was written without one.
        let is_there = parts
            .next()
            .is_none_or(|own| own == namespace || own == "-");
        is_named && is_there && parts.count() <= 1
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

    /// Its description.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What tells one object from all others.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an address, and whether it is that of hashicorp/aws.
    #[test]
    fn a_provider_is_known_by_any_form_of_its_address() {
        for (provider, expected) in [
            ("registry.terraform.io/hashicorp/aws", true),
            ("registry.opentofu.org/hashicorp/aws", true),
            ("registry.terraform.io/-/aws", true),
            ("hashicorp/aws", true),
            ("aws", true),
            ("registry.terraform.io/somebody/aws", false),
            ("somebody/aws", false),
            ("hashicorp/awscc", false),
            ("a/b/hashicorp/aws", false),
            ("", false),
        ] {
            let state = RawState::from_json_text("null").unwrap();
            let source = Source::new(provider, "", state);
            assert_eq!(source.is_of("hashicorp", "aws"), expected, "{provider}");
        }
    }
}
