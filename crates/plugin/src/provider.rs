//! What a provider implements: its own configuration, and the list of what it offers.

use std::future::Future;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::deferral::Unfinished;
use super::diagnostics::Diagnostics;
use super::function::Function;
use super::proto::tfplugin6 as pb;
use super::schema::{Name, Schema};
use super::{action, data_source, ephemeral, list_resource, resource};

/// What the Terraform that calls can do.
#[doc(alias = "ClientCapabilities")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// It accepts a [`Deferral`](crate::deferral::Deferral) as an answer (`terraform plan -allow-deferral`). Where it does not, it shows the
    /// diagnostics of the deferral.
    pub deferral: bool,
    /// It has write-only attributes (Terraform 1.11). Only validation says so.
    pub write_only: bool,
}

impl Capabilities {
    /// A Terraform that can do everything, for tests.
    pub fn all() -> Self {
        Self {
            deferral: true,
            write_only: true,
        }
    }

    pub(crate) fn of(client: Option<&pb::ClientCapabilities>) -> Self {
        client.map_or_else(Self::default, |client| Self {
            deferral: client.deferral_allowed,
            write_only: client.write_only_attributes_allowed,
        })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn to_proto(self) -> Option<pb::ClientCapabilities> {
        Some(pb::ClientCapabilities {
            deferral_allowed: self.deferral,
            write_only_attributes_allowed: self.write_only,
        })
    }
}

/// The run of Terraform that configures a provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// The version of the Terraform that calls: `1.11.4`.
    pub terraform_version: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Ends when Terraform wants to stop.
    pub stop: CancellationToken,
}

impl Run {
    /// A run, for tests of a client.
    pub fn new(terraform_version: impl Into<String>, stop: CancellationToken) -> Self {
        Self {
            terraform_version: terraform_version.into(),
            capabilities: Capabilities::default(),
            stop,
        }
    }
}

/// A provider: what it configures, and what it has for Terraform.
pub trait Provider: Send + Sync + 'static {
    /// What the configuration is made into; shared by all operations of one run.
    type Client: Send + Sync + 'static;
    /// The `provider` block, as a struct whose fields are the schema's attributes.
    type Config: DeserializeOwned + Send;

    /// Its name, as in `terraform-provider-NAME`: the module name in logs, and what messages call it.
    fn name(&self) -> Name;

    /// The description of its configuration.
    fn schema(&self) -> Schema;

    /// Offline checks across attributes.
    fn validate(&self, config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// What a module may say to the provider in a `provider_meta` block; [`Context::meta`](crate::context::Context::meta) has it.
    #[doc(alias = "provider_meta")]
    fn meta(&self) -> Option<Schema> {
        None
    }

    /// Makes the client, with warnings. No network here: an unused client must cost nothing, and values may still be unknown. With a
    /// [`Deferral`](crate::deferral::Deferral), the server defers everything that needs a client, and calls none of it in this run.
    fn configure(
        &self,
        config: Self::Config,
        run: Run,
    ) -> impl Future<Output = Result<(Self::Client, Diagnostics), Unfinished>> + Send;

    /// Its managed resources.
    fn resources(&self) -> Vec<resource::Registered<Self::Client>> {
        Vec::new()
    }

    /// The data sources, each from [`data_source::register`].
    fn data_sources(&self) -> Vec<data_source::Registered<Self::Client>> {
        Vec::new()
    }

    /// The ephemeral resources, each from [`ephemeral::register`].
    fn ephemeral_resources(&self) -> Vec<ephemeral::Registered<Self::Client>> {
        Vec::new()
    }

    /// The lists, each from [`list_resource::register`].
    fn list_resources(&self) -> Vec<list_resource::Registered<Self::Client>> {
        Vec::new()
    }

    /// The actions, each from [`action::register`].
    fn actions(&self) -> Vec<action::Registered<Self::Client>> {
        Vec::new()
    }

    /// The functions that a configuration may call.
    fn functions(&self) -> Vec<Box<dyn Function>> {
        Vec::new()
    }
}
