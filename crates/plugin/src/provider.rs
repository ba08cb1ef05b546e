//! What a provider implements: its own configuration, and the list of what it offers.

use std::future::Future;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::action::AnyAction;
use super::data_source::AnyDataSource;
use super::diagnostics::Diagnostics;
use super::function::Function;
use super::list_resource::AnyListResource;
use super::resource::AnyResource;
use super::schema::Schema;

/// The run of Terraform that configures a provider.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which Terraform it is: `1.11.4`.
    pub terraform_version: String,
    /// Ends when Terraform wants to stop.
    pub stop: CancellationToken,
}

/// A provider.
pub trait Provider: Send + Sync + 'static {
    /// What the configuration is made into; shared by all operations of one run.
    type Client: Send + Sync + 'static;
    /// The configuration in types.
    type Config: DeserializeOwned + Send;

    /// The module name in logs.
    const NAME: &'static str;

    /// The description of its configuration.
    fn schema() -> Schema;

    /// Offline checks across attributes.
    fn validate(config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Makes the client. No network here: an unused client must cost nothing, and values may still be unknown.
    fn configure(
        config: Self::Config,
        run: Run,
    ) -> impl Future<Output = Result<(Self::Client, Diagnostics), Diagnostics>> + Send;

    /// Its managed resources.
    fn resources() -> Vec<Box<dyn AnyResource<Self::Client>>>;

    /// Its data sources.
    fn data_sources() -> Vec<Box<dyn AnyDataSource<Self::Client>>> {
        Vec::new()
    }

    /// Its lists.
    fn list_resources() -> Vec<Box<dyn AnyListResource<Self::Client>>> {
        Vec::new()
    }

    /// Its actions.
    fn actions() -> Vec<Box<dyn AnyAction<Self::Client>>> {
        Vec::new()
    }

    /// Its functions.
    fn functions() -> Vec<Box<dyn Function>> {
        Vec::new()
    }
}
