//! The provider: its configuration, what it offers, and what all its resources share.

mod account;
mod actions;
mod attach;
mod audit;
mod cache;
mod catalog_users;
mod catalogs;
mod client;
mod config;
mod data_sources;
mod deadline;
mod diagnose;
mod doctor;
mod encryption;
mod functions;
mod keys;
mod kill_switch;
mod list_resources;
mod locations;
mod resources;
mod run;
mod settled;
mod timestamps;
mod vault_access;

use tfplugin::action;
use tfplugin::data_source;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::Diagnostics;
use tfplugin::function::Function;
use tfplugin::list_resource;
use tfplugin::provider::{Provider, Run};
use tfplugin::resource::{self, register};
use tfplugin::schema::{Name, Schema};

pub use audit::{Adoption, AuditOrder, Auditor, NoAudit};
pub use client::Client;
pub use diagnose::in_hcl;
pub use doctor::{Doctor, DoctorOrder};
pub use keys::NotFound;
pub use kill_switch::{
    ANYWAY as ENABLE_ANYWAY, Connection, Consent, Endpoints, Flags, Impact, KeyOperation,
    KeyStatus, KillSwitch, NotDone, Options, Outcome, PARTLY_DISABLED, PATIENCE, VersionStatus,
    WayBack, consented, former_key, hold, in_words, is_off, state_in_words, version_in_words,
};

/// The address under which Terraform knows the provider.
pub const SOURCE: &str = "registry.terraform.io/dbxcmk/dbxcmk";

/// The dbxcmk provider.
#[derive(Debug)]
pub struct Dbxcmk;

impl Provider for Dbxcmk {
    type Client = Client;
    type Config = config::Config;

    fn name(&self) -> Name {
        "dbxcmk".into()
    }

    fn schema(&self) -> Schema {
        config::schema()
    }

    fn validate(&self, config: &config::Config) -> Diagnostics {
        config::validate(config)
    }

    async fn configure(
        &self,
        config: config::Config,
        run: Run,
    ) -> Result<(Client, Diagnostics), Unfinished> {
        config.check_files()?;
        Ok((Client::new(&config, run), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<Client>> {
        vec![
            register(resources::key_configuration::KeyConfigurationResource),
            register(resources::key_policy::KeyPolicyResource),
            register(resources::workspace_binding::WorkspaceBindingResource),
        ]
    }

    fn data_sources(&self) -> Vec<data_source::Registered<Client>> {
        vec![
            data_source::register(data_sources::key_configurations::KeyConfigurationsDataSource),
            data_source::register(data_sources::key_policy_document::KeyPolicyDocumentDataSource),
            data_source::register(data_sources::key_readiness::KeyReadinessDataSource),
            data_source::register(data_sources::revocation_impact::RevocationImpactDataSource),
            data_source::register(data_sources::storage_encryption::StorageEncryptionDataSource),
            data_source::register(
                data_sources::workspace_encryption::WorkspaceEncryptionDataSource,
            ),
        ]
    }

    fn list_resources(&self) -> Vec<list_resource::Registered<Client>> {
        vec![
            list_resource::register(list_resources::key_configuration::KeyConfigurationList),
            list_resource::register(list_resources::key_policy::KeyPolicyList),
            list_resource::register(list_resources::workspace_binding::WorkspaceBindingList),
        ]
    }

    fn actions(&self) -> Vec<action::Registered<Client>> {
        vec![
            action::register(actions::DisableKeyAction),
            action::register(actions::RestoreKeyAction),
            action::register(actions::ScheduleKeyDeletionAction),
        ]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![
            Box::new(functions::KeyPolicyAllowsFunction),
            Box::new(functions::KeyPolicyStatementsFunction),
            Box::new(functions::MergeKeyPolicyFunction),
            Box::new(functions::parse_key_arn()),
        ]
    }
}
