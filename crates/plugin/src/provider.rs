//! What a provider implements: its own configuration, and the list of what it offers.

use std::future::Future;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::diagnostics::Diagnostics;
use super::function::Function;
use super::schema::{Name, Schema};
use super::{action, data_source, ephemeral, list_resource, resource};

/// The run of Terraform that configures a provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// Which Terraform it is: `1.11.4`.
    pub terraform_version: String,
    /// Ends when Terraform wants to stop.
    pub stop: CancellationToken,
}

impl Run {
    /// A run, for tests of a client.
    pub fn new(terraform_version: impl Into<String>, stop: CancellationToken) -> Self {
        Self {
            terraform_version: terraform_version.into(),
            stop,
        }
    }
}

/// A provider.
pub trait Provider: Send + Sync + 'static {
    /// What the configuration is made into; shared by all operations of one run.
    type Client: Send + Sync + 'static;
    /// The configuration in types.
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

    /// Makes the client. No network here: an unused client must cost nothing, and values may still be unknown.
    fn configure(
        &self,
        config: Self::Config,
        run: Run,
    ) -> impl Future<Output = Result<(Self::Client, Diagnostics), Diagnostics>> + Send;

    /// Its managed resources.
    fn resources(&self) -> Vec<resource::Registered<Self::Client>> {
        Vec::new()
    }

    /// Its data sources.
    fn data_sources(&self) -> Vec<data_source::Registered<Self::Client>> {
        Vec::new()
    }

    /// Its ephemeral resources.
    fn ephemeral_resources(&self) -> Vec<ephemeral::Registered<Self::Client>> {
        Vec::new()
    }

    /// Its lists.
    fn list_resources(&self) -> Vec<list_resource::Registered<Self::Client>> {
        Vec::new()
    }

    /// Its actions.
    fn actions(&self) -> Vec<action::Registered<Self::Client>> {
        Vec::new()
    }

    /// Its functions.
    fn functions(&self) -> Vec<Box<dyn Function>> {
        Vec::new()
    }
}
