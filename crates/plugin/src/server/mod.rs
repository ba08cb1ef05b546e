//! The gRPC service that Terraform calls: every RPC of protocol 6.11, each handed to the file of its family.
//!
//! Every error inside becomes a diagnostic in the answer. A raw gRPC error would reach the user as "rpc error: code = …",
//! so only a malformed request gets one.

mod actions;
mod answers;
mod data_sources;
mod ephemeral;
mod functions;
mod lists;
mod provider;
mod resources;
mod unoffered;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{self, Poll};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use self::answers::Answer;
use super::action::Events;
use super::boxed::Boxed;
use super::context::{Context, Given, Left};
use super::deferral::{Deferral, Reason, Unfinished};
use super::diagnostics::{Diagnostic, Diagnostics, speaking_as};
use super::function::{Function, Signature};
#[cfg(feature = "testing")]
use super::identity::Identity;
use super::proto::tfplugin6 as pb;
use super::provider::Provider;
use super::schema::Described;
#[cfg(feature = "testing")]
use super::schema::Schema;
#[cfg(feature = "testing")]
use super::types::Type;
use super::value::Value;
use super::{action, data_source, ephemeral as ephemeral_resource, list_resource, resource};
use crate::codec::{self, CodecError};

/// Serves one provider. Cloning shares it.
pub(crate) struct Server<P: Provider>(Arc<Inner<P>>);

impl<P: Provider> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What a provider offers, made when it is first asked for: a handshake must not wait for it.
struct Catalogue<C> {
    provider: Described,
    meta: Option<Described>,
    /// What the author must repair before the provider can serve anything.
    problems: Vec<String>,
    resources: BTreeMap<String, resource::Registered<C>>,
    data_sources: BTreeMap<String, data_source::Registered<C>>,
    ephemeral: BTreeMap<String, ephemeral_resource::Registered<C>>,
    functions: BTreeMap<String, (Signature, Box<dyn Function>)>,
    lists: BTreeMap<String, list_resource::Registered<C>>,
    actions: BTreeMap<String, action::Registered<C>>,
}

/// What the configuration of the provider has come to.
enum Client<C> {
    /// There was none yet.
    Unconfigured,
    /// The client that it was made into.
    Made(Arc<C>),
    /// The provider defers everything that needs a client.
    Deferred(Deferral),
}

struct Inner<P: Provider> {
    provider: P,
    name: Arc<str>,
    catalogue: OnceLock<Catalogue<P::Client>>,
    /// All schemas in the form of the protocol: the first request makes them, and every later one gets the same.
    schemas: OnceLock<pb::get_provider_schema::Response>,
    client: RwLock<Client<P::Client>>,
    stop: CancellationToken,
    operations: TaskTracker,
}

impl<P: Provider> Server<P> {
    /// A server whose operations stop at their next safe point when `stop` is cancelled.
    pub(crate) fn new(provider: P, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            name: Arc::from(&*provider.name()),
            provider,
            schemas: OnceLock::new(),
            catalogue: OnceLock::new(),
            client: RwLock::new(Client::Unconfigured),
            stop,
            operations: TaskTracker::new(),
        }))
    }

    /// The operations that are under way.
    pub(crate) fn operations(&self) -> TaskTracker {
        self.0.operations.clone()
    }

    /// Runs one RPC in a task of its own: a connection that breaks does not cut an operation in half, and a panic becomes a
    /// diagnostic.
    async fn answer<A: Answer>(
        &self,
        rpc: &'static str,
        of: String,
        work: impl Future<Output = A> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let span = tracing::info_span!("rpc", tf_rpc = rpc, tf_resource_type = of);
        let task = async move {
            tracing::trace!("received the call");
            let answer = work.await;
            tracing::trace!("answering the call");
            answer
        };
        Ok(Response::new(
            match self
                .0
                .operations
                .spawn(self.0.as_itself(task.instrument(span)))
                .await
            {
                Ok(answer) => answer,
                Err(error) => {
                    let bug = async {
                        Diagnostic::bug(format!("{rpc} ended without an answer: {error}."))
                    };
                    A::failed(self.0.as_itself(bug).await.into())
                }
            },
        ))
    }
}

impl<P: Provider> Inner<P> {
    /// Does something in the name of this provider.
    fn as_itself<T, F: Future<Output = T>>(
        &self,
        work: F,
    ) -> impl Future<Output = T> + use<T, F, P> {
        speaking_as(Arc::clone(&self.name), work)
    }

    fn catalogue(&self) -> &Catalogue<P::Client> {
        self.catalogue.get_or_init(|| self.made_catalogue())
    }

    fn made_catalogue(&self) -> Catalogue<P::Client> {
        let mut problems = Vec::new();
        let provider: Described = self.provider.schema().into();
        let resources = named(
            "resource",
            self.provider.resources(),
            |one| one.name(),
            &mut problems,
        );
        let data_sources = self.provider.data_sources();
        let data_sources = named("data source", data_sources, |one| one.name(), &mut problems);
        let ephemeral = self.provider.ephemeral_resources();
        let ephemeral = named(
            "ephemeral resource",
            ephemeral,
            |one| one.name(),
            &mut problems,
        );
        let lists = self.provider.list_resources();
        let lists = named("list resource", lists, |one| one.name(), &mut problems);
        let actions = named(
            "action",
            self.provider.actions(),
            |one| one.name(),
            &mut problems,
        );
        let functions = self.provider.functions().into_iter();
        let functions = functions.map(|one| (one.name().into_owned(), one.signature(), one));
        let functions = named("function", functions.collect(), |one| &one.0, &mut problems);
        for name in lists.keys().filter(|name| !resources.contains_key(*name)) {
            problems.push(format!(
                "The list resource `{name}` lists a resource that the provider does not have."
            ));
        }
        for (name, one) in &resources {
            let wrong = one.erased.problems(&one.schema).into_iter();
            problems.extend(wrong.map(|what| format!("The resource `{name}`: {what}.")));
        }
        let mut judge = |kind: &str, name: &str, schema: &Described| {
            let wrong = schema.problems(kind == "resource").into_iter();
            problems
                .extend(wrong.map(|what| format!("The schema of the {kind} `{name}`: {what}.")));
        };
        judge("provider", "", &provider);
        resources
            .iter()
            .for_each(|(name, one)| judge("resource", name, &one.schema));
        data_sources
            .iter()
            .for_each(|(name, one)| judge("data source", name, &one.schema));
        ephemeral
            .iter()
            .for_each(|(name, one)| judge("ephemeral resource", name, &one.schema));
        lists
            .iter()
            .for_each(|(name, one)| judge("list resource", name, &one.schema));
        actions
            .iter()
            .for_each(|(name, one)| judge("action", name, &one.schema));
        Catalogue {
            provider,
            meta: self.provider.meta().map(Into::into),
            problems,
            resources,
            data_sources,
            ephemeral,
            functions: functions
                .into_iter()
                .map(|(name, (_, signature, one))| (name, (signature, one)))
                .collect(),
            lists,
            actions,
        }
    }

    /// What the author must repair, as a user sees it who got such a provider all the same.
    fn problems(&self) -> Diagnostics {
        let problems = &self.catalogue().problems;
        if problems.is_empty() {
            return Diagnostics::new();
        }
        let listed: Vec<String> = problems.iter().map(|one| format!("  - {one}")).collect();
        let text = format!("The provider is not well made:\n{}", listed.join("\n"));
        Diagnostic::bug(text).into()
    }

    fn resource(&self, name: &str) -> Result<&resource::Registered<P::Client>, Diagnostics> {
        let resource = self.catalogue().resources.get(name);
        resource.ok_or_else(|| not_offered("resource type", name))
    }

    fn data_source(&self, name: &str) -> Result<&data_source::Registered<P::Client>, Diagnostics> {
        let source = self.catalogue().data_sources.get(name);
        source.ok_or_else(|| not_offered("data source", name))
    }

    fn ephemeral(
        &self,
        name: &str,
    ) -> Result<&ephemeral_resource::Registered<P::Client>, Diagnostics> {
        let resource = self.catalogue().ephemeral.get(name);
        resource.ok_or_else(|| not_offered("ephemeral resource", name))
    }

    fn list(&self, name: &str) -> Result<&list_resource::Registered<P::Client>, Diagnostics> {
        let list = self.catalogue().lists.get(name);
        list.ok_or_else(|| not_offered("list resource", name))
    }

    fn action(&self, name: &str) -> Result<&action::Registered<P::Client>, Diagnostics> {
        let action = self.catalogue().actions.get(name);
        action.ok_or_else(|| not_offered("action", name))
    }

    /// What an operation gets. Where there is no client, what it would have left, and why.
    fn context(&self, given: Given) -> Result<Context<P::Client>, Box<(Left, Unfinished)>> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        let why = match &*client {
            Client::Made(client) => {
                let client = Arc::clone(client);
                return Ok(Context::new(client, self.stop.child_token(), given));
            }
            Client::Deferred(deferral) => deferral.clone().into(),
            Client::Unconfigured => {
                Diagnostic::bug("Terraform used the provider before it configured it.").into()
            }
        };
        let left = Left {
            diagnostics: Diagnostics::new(),
            private: given.private,
            identity: None,
            may_defer: given.capabilities.deferral,
        };
        Err(Box::new((left, why)))
    }

    /// The same for an operation that the provider cannot defer.
    fn ready(&self, given: Given) -> Result<Context<P::Client>, Diagnostics> {
        self.context(given)
            .map_err(|none| none.1.into_diagnostics())
    }

    /// What a module says to the provider.
    fn meta(&self, meta: Option<&pb::DynamicValue>) -> Result<Option<Value>, Diagnostics> {
        let (Some(schema), Some(meta)) = (&self.catalogue().meta, meta) else {
            return Ok(None);
        };
        codec::decode(meta, schema.ty())
            .map(Some)
            .map_err(|error| undecodable("a `provider_meta` block", &error))
    }
}

/// What a provider registered, by its name; a name that is there already is a problem.
fn named<T>(
    kind: &str,
    all: Vec<T>,
    name: impl Fn(&T) -> &str,
    problems: &mut Vec<String>,
) -> BTreeMap<String, T> {
    let mut named = BTreeMap::new();
    for one in all {
        let name = name(&one).to_owned();
        match named.entry(name) {
            Entry::Vacant(place) => drop(place.insert(one)),
            Entry::Occupied(taken) => {
                problems.push(format!("There are two of the {kind} `{}`.", taken.key()));
            }
        }
    }
    named
}

fn not_offered(kind: &str, name: &str) -> Diagnostics {
    Diagnostic::error(
        format!("The provider has no {kind} \"{name}\""),
        "This version of the provider does not offer it. Compare `terraform providers schema -json` with the provider's change log: a \
         newer version may be needed.",
    )
    .into()
}

fn undecodable(what: &str, error: &CodecError) -> Diagnostics {
    Diagnostic::error(
        format!("Terraform sent {what} that the provider cannot read"),
        format!(
            "{error}.\n\nThis happens when Terraform and the provider do not agree about the schema, for example after the provider \
             was exchanged between plan and apply. Run `terraform init -upgrade` and plan again."
        ),
    )
    .at(error.path.clone())
    .into()
}

fn unwritable(what: &str, error: &CodecError) -> Diagnostics {
    Diagnostic::bug(format!(
        "{what} does not have the type of its schema: {error}."
    ))
    .into()
}

/// The deferral of an answer, if the resource wants it and this Terraform allows it.
fn deferred(
    wanted: Option<Reason>,
    client: Option<&pb::ClientCapabilities>,
) -> Option<pb::Deferred> {
    let allowed = client.is_some_and(|client| client.deferral_allowed);
    wanted.filter(|_| allowed).map(Reason::to_proto)
}

/// Each RPC that takes a request and gives an answer. Spelled out the way `async_trait` would, since that attribute is
/// expanded before this macro.
macro_rules! delegate {
    ($($method:ident $module:ident $handler:ident $name:literal;)*) => {$(
        fn $method<'life, 'future>(
            &'life self,
            request: Request<pb::$module::Request>,
        ) -> Boxed<'future, Result<Response<pb::$module::Response>, Status>>
        where
            'life: 'future,
            Self: 'future,
        {
            let inner = Arc::clone(&self.0);
            let request = request.into_inner();
            let of = answers::Subject::subject(&request).to_owned();
            let work = async move { inner.$handler(request).await.unwrap_or_else(Answer::failed) };
            Box::pin(self.answer($name, of, work))
        }
    )*};
}

/// What an action says, and how it ends.
pub(crate) struct ActionEvents {
    lines: mpsc::UnboundedReceiver<String>,
    work: Option<JoinHandle<Diagnostics>>,
}

impl tokio_stream::Stream for ActionEvents {
    type Item = Result<pb::invoke_action::Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        // The lines end when the work does, so every line comes before the end.
        if let Some(line) = task::ready!(self.lines.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(actions::progress(line))));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        let ended = task::ready!(Pin::new(work).poll(cx));
        self.work = None;
        let diagnostics = ended.unwrap_or_else(|error| {
            Diagnostic::bug(format!("InvokeAction ended without an answer: {error}.")).into()
        });
        Poll::Ready(Some(Ok(actions::completed(&diagnostics))))
    }
}

type EventStream<T> = tokio_stream::Once<Result<T, Status>>;

#[tonic::async_trait]
impl<P: Provider> pb::provider_server::Provider for Server<P> {
    delegate! {
        get_metadata get_metadata metadata "GetMetadata";
        get_provider_schema get_provider_schema provider_schema "GetProviderSchema";
        get_resource_identity_schemas get_resource_identity_schemas identity_schemas "GetResourceIdentitySchemas";
        validate_provider_config validate_provider_config validate_provider "ValidateProviderConfig";
        validate_resource_config validate_resource_config validate_resource "ValidateResourceConfig";
        validate_data_resource_config validate_data_resource_config validate_data_source "ValidateDataResourceConfig";
        upgrade_resource_state upgrade_resource_state upgrade_state "UpgradeResourceState";
        upgrade_resource_identity upgrade_resource_identity upgrade_identity "UpgradeResourceIdentity";
        configure_provider configure_provider configure "ConfigureProvider";
        read_resource read_resource read_resource "ReadResource";
        plan_resource_change plan_resource_change plan_resource "PlanResourceChange";
        apply_resource_change apply_resource_change apply_resource "ApplyResourceChange";
        import_resource_state import_resource_state import_resource "ImportResourceState";
        move_resource_state move_resource_state move_resource "MoveResourceState";
        read_data_source read_data_source read_data_source "ReadDataSource";
        generate_resource_config generate_resource_config generate_config "GenerateResourceConfig";
        validate_ephemeral_resource_config validate_ephemeral_resource_config validate_ephemeral "ValidateEphemeralResourceConfig";
        open_ephemeral_resource open_ephemeral_resource open_ephemeral "OpenEphemeralResource";
        renew_ephemeral_resource renew_ephemeral_resource renew_ephemeral "RenewEphemeralResource";
        close_ephemeral_resource close_ephemeral_resource close_ephemeral "CloseEphemeralResource";
        validate_list_resource_config validate_list_resource_config validate_list "ValidateListResourceConfig";
        get_functions get_functions functions "GetFunctions";
        validate_action_config validate_action_config validate_action "ValidateActionConfig";
        plan_action plan_action plan_action "PlanAction";
        validate_state_store_config validate_state_store_config validate_state_store "ValidateStateStoreConfig";
        configure_state_store configure_state_store configure_state_store "ConfigureStateStore";
        lock_state lock_state lock_state "LockState";
        unlock_state unlock_state unlock_state "UnlockState";
        get_states get_states get_states "GetStates";
        delete_state delete_state delete_state "DeleteState";
    }

    async fn call_function(
        &self,
        request: Request<pb::call_function::Request>,
    ) -> Result<Response<pb::call_function::Response>, Status> {
        let inner = Arc::clone(&self.0);
        let request = request.into_inner();
        let of = request.name.clone();
        self.answer(
            "CallFunction",
            of,
            async move { inner.call_function(&request) },
        )
        .await
    }

    type ListResourceStream = lists::Events;

    async fn list_resource(
        &self,
        request: Request<pb::list_resource::Request>,
    ) -> Result<Response<Self::ListResourceStream>, Status> {
        let inner = Arc::clone(&self.0);
        let request = request.into_inner();
        let span = tracing::info_span!(
            "rpc",
            tf_rpc = "ListResource",
            tf_resource_type = request.type_name
        );
        // Few at a time: a list of many objects is never in memory as a whole.
        let (show, events) = mpsc::channel(lists::AHEAD);
        let work = async move { inner.list_resource(&request, show).await };
        let work = self.0.as_itself(work.instrument(span));
        let work = self.0.operations.spawn(work);
        Ok(Response::new(lists::Events::new(events, work)))
    }

    type InvokeActionStream = ActionEvents;

    async fn invoke_action(
        &self,
        request: Request<pb::invoke_action::Request>,
    ) -> Result<Response<Self::InvokeActionStream>, Status> {
        let inner = Arc::clone(&self.0);
        let request = request.into_inner();
        let span = tracing::info_span!(
            "rpc",
            tf_rpc = "InvokeAction",
            tf_resource_type = request.action_type
        );
        let (say, lines) = mpsc::unbounded_channel();
        let events = Events::to(say);
        let work = async move { inner.invoke_action(&request, &events).await };
        // A task of its own: a connection that breaks does not cut an action in half.
        let work = self.0.as_itself(work.instrument(span));
        let work = self.0.operations.spawn(work);
        Ok(Response::new(ActionEvents {
            lines,
            work: Some(work),
        }))
    }

    type ReadStateBytesStream = EventStream<pb::read_state_bytes::ResponseChunk>;

    async fn read_state_bytes(
        &self,
        request: Request<pb::read_state_bytes::Request>,
    ) -> Result<Response<Self::ReadStateBytesStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(
            unoffered::state_chunk(&request.into_inner()),
        ))))
    }

    async fn write_state_bytes(
        &self,
        _: Request<Streaming<pb::write_state_bytes::RequestChunk>>,
    ) -> Result<Response<pb::write_state_bytes::Response>, Status> {
        Ok(Response::new(Answer::failed(unoffered::no_state_stores())))
    }

    async fn stop_provider(
        &self,
        _: Request<pb::stop_provider::Request>,
    ) -> Result<Response<pb::stop_provider::Response>, Status> {
        tracing::info!("Terraform asks to stop; operations end at their next safe point");
        self.0.stop.cancel();
        Ok(Response::new(pb::stop_provider::Response::default()))
    }
}

/// The same calls in the task of the caller, for a model of Terraform: to drop such a call is to kill the process in the middle of it.
#[cfg(feature = "testing")]
macro_rules! direct {
    ($($method:ident $module:ident $handler:ident;)*) => {
        impl<P: Provider> Server<P> {$(
            pub(crate) async fn $method(&self, request: pb::$module::Request) -> pb::$module::Response {
                let work = async { self.0.$handler(request).await.unwrap_or_else(Answer::failed) };
                self.0.as_itself(work).await
            }
        )*}
    };
}

#[cfg(feature = "testing")]
direct! {
    validate_block validate_provider_config validate_provider;
    configure configure_provider configure;
    validate validate_resource_config validate_resource;
    read read_resource read_resource;
    plan plan_resource_change plan_resource;
    carry_out apply_resource_change apply_resource;
    import import_resource_state import_resource;
    data read_data_source read_data_source;
}

#[cfg(feature = "testing")]
impl<P: Provider> Server<P> {
    /// An action in the task of who calls: what it said, and how it ended.
    pub(crate) async fn invoke(
        &self,
        request: pb::invoke_action::Request,
    ) -> (Vec<String>, Diagnostics) {
        let (say, mut lines) = mpsc::unbounded_channel();
        let events = Events::to(say);
        let ended = self
            .0
            .as_itself(self.0.invoke_action(&request, &events))
            .await;
        let mut said = Vec::new();
        while let Ok(line) = lines.try_recv() {
            said.push(line);
        }
        (said, ended)
    }
}

/// What a test needs that serves a provider by itself.
#[cfg(feature = "testing")]
impl<P: Provider> Server<P> {
    pub(crate) fn resource_type(&self, name: &str) -> Result<Type, Diagnostics> {
        Ok(self.0.resource(name)?.schema.ty().clone())
    }

    pub(crate) fn resource_schema(&self, name: &str) -> Result<&Schema, Diagnostics> {
        Ok(self.0.resource(name)?.schema())
    }

    pub(crate) fn meta_type(&self) -> Option<Type> {
        self.0
            .catalogue()
            .meta
            .as_ref()
            .map(|meta| meta.ty().clone())
    }

    pub(crate) fn identity(&self, name: &str) -> Result<&Identity, Diagnostics> {
        Ok(self.0.resource(name)?.identity())
    }

    pub(crate) fn interrupt(&self) {
        self.0.stop.cancel();
    }

    pub(crate) fn data_source_type(&self, name: &str) -> Result<Type, Diagnostics> {
        Ok(self.0.data_source(name)?.schema.ty().clone())
    }

    pub(crate) fn action_type(&self, name: &str) -> Result<Type, Diagnostics> {
        Ok(self.0.action(name)?.schema.ty().clone())
    }

    pub(crate) fn list_type(&self, name: &str) -> Result<Type, Diagnostics> {
        Ok(self.0.list(name)?.schema.ty().clone())
    }

    pub(crate) fn ephemeral_type(&self, name: &str) -> Result<Type, Diagnostics> {
        Ok(self.0.ephemeral(name)?.schema.ty().clone())
    }

    pub(crate) fn signature(&self, name: &str) -> Result<Signature, Diagnostics> {
        let function = self.0.catalogue().functions.get(name);
        let (signature, _) = function.ok_or_else(|| not_offered("function", name))?;
        Ok(signature.clone())
    }
}
