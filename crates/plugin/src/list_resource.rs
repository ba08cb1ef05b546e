//! What a list resource implements: every object of a kind that there is, for `terraform query` (Terraform 1.14).

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;

use super::boxed::Boxed;
use super::bridge::{from_value, to_value};
use super::context::Context;
use super::deferral::Unfinished;
use super::diagnostics::Diagnostics;
use super::resource::Resource;
use super::schema::{Described, Name, Schema};
use super::typed::{misfit, validated_once_known, without_form};
use super::value::Value;

/// One object of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed<M> {
    /// The name in texts for people.
    pub name: String,
    /// Its state, as a read would give it.
    pub model: M,
}

impl<M> Listed<M> {
    /// An object, and what people call it.
    pub fn new(name: impl Into<String>, model: M) -> Self {
        Self {
            name: name.into(),
            model,
        }
    }
}

/// Where a list puts what it finds. Terraform shows each object when it comes.
#[derive(Debug)]
pub struct Found<M> {
    objects: Sender<Listed<M>>,
    left: AtomicUsize,
}

impl<M> Found<M> {
    /// Shows one more object. Waits while Terraform is busy with those before; the answer is whether more are wanted.
    pub async fn show(&self, object: Listed<M>) -> bool {
        if self.is_enough() || self.objects.send(object).await.is_err() {
            return false;
        }
        self.left.fetch_sub(1, Ordering::Relaxed) > 1
    }

    /// Whether Terraform wants no more objects: it has as many as it asked for, or it is gone.
    pub fn is_enough(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0 || self.objects.is_closed()
    }
}

/// A list of the objects of a resource. It has the resource's name.
pub trait ListResource: Send + Sync + 'static {
    /// The resource whose objects it lists.
    type Of: Resource;
    /// The arguments of the list, as a struct whose fields are the schema's attributes.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// The resource's name in Terraform.
    fn name(&self) -> Name;

    /// The arguments of the list.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes. What is unknown is passed over; there is no network here.
    fn validate(&self, config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Finds the objects and shows each; those that it has shown before a failure stay.
    fn list(
        &self,
        cx: &Context<<Self::Of as Resource>::Client>,
        config: Self::Config,
        found: &Found<<Self::Of as Resource>::Model>,
    ) -> impl Future<Output = Result<(), Unfinished>> + Send;
}

/// One object of a list as a value, or what there is to say at the end.
pub(crate) enum Shown {
    Object(String, Value),
    Said(Diagnostics),
}

pub(crate) trait Erased<C>: Send + Sync {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics;
    /// How many are wanted, and where they go.
    fn list<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<C>,
        config: &'a Value,
        wanted: (usize, Sender<Shown>),
    ) -> Boxed<'a, ()>;
}

/// A list of a provider.
pub struct Registered<C> {
    pub(crate) name: Name,
    pub(crate) schema: Described,
    pub(crate) erased: Box<dyn Erased<C>>,
}

/// Registers a list with its provider.
pub fn register<L: ListResource>(list: L) -> Registered<<L::Of as Resource>::Client> {
    Registered {
        name: list.name(),
        schema: list.schema().into(),
        erased: Box::new(list),
    }
}

impl<C> Registered<C> {
    /// The name, which is that of the resource.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments of the list.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl<L: ListResource> Erased<<L::Of as Resource>::Client> for L {
    fn validate(&self, schema: &Described, config: &Value) -> Diagnostics {
        validated_once_known(schema, config, |model| ListResource::validate(self, model))
    }

    fn list<'a>(
        &'a self,
        schema: &'a Described,
        cx: Context<<L::Of as Resource>::Client>,
        config: &'a Value,
        (limit, shown): (usize, Sender<Shown>),
    ) -> Boxed<'a, ()> {
        Box::pin(async move {
            let (objects, mut all) = tokio::sync::mpsc::channel(1);
            let found = Found {
                objects,
                left: AtomicUsize::new(limit),
            };
            // Found drops when the list ends, and so ends what passes its objects on.
            let listing = async {
                match from_value::<L::Config>(config) {
                    Ok(config) => {
                        let ended = ListResource::list(self, &cx, config, &found).await;
                        drop(found);
                        ended
                    }
                    Err(error) => Err(misfit(schema, &error).into()),
                }
            };
            let showing = shown.clone();
            let passing = async move {
                while let Some(Listed { name, model }) = all.recv().await {
                    let event = match to_value(&model) {
                        Ok(value) => Shown::Object(name, value),
                        Err(error) => Shown::Said(without_form(&error)),
                    };
                    if showing.send(event).await.is_err() {
                        break;
                    }
                }
                // Terraform has stopped listening: the list ends with its next object.
                drop(all);
            };
            let (ended, ()) = tokio::join!(listing, passing);
            let mut diagnostics = cx.finish().diagnostics;
            if let Err(unfinished) = ended {
                diagnostics.extend(unfinished.into_diagnostics());
            }
            if !diagnostics.is_empty() {
                let _ = shown.send(Shown::Said(diagnostics)).await;
            }
        })
    }
}
