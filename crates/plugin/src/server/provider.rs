//! The provider itself: what it offers, its configuration.

use std::sync::{Arc, PoisonError};

use super::{Client, Inner, undecodable};
use crate::bridge::from_value;
use crate::codec;
use crate::deferral::Unfinished;
use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;
use crate::provider::{Capabilities, Provider, Run};
use crate::typed::misfit;
use crate::value::Value;

fn capabilities() -> pb::ServerCapabilities {
    pb::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: true,
    }
}

impl<P: Provider> Inner<P> {
    pub(super) async fn metadata(
        &self,
        _: pb::get_metadata::Request,
    ) -> Result<pb::get_metadata::Response, Diagnostics> {
        use pb::get_metadata::{
            ActionMetadata, DataSourceMetadata, EphemeralResourceMetadata, FunctionMetadata,
            ListResourceMetadata, ResourceMetadata,
        };
        let catalogue = self.catalogue();
        let owned = String::clone;
        Ok(pb::get_metadata::Response {
            server_capabilities: Some(capabilities()),
            resources: catalogue
                .resources
                .keys()
                .map(|name| ResourceMetadata {
                    type_name: owned(name),
                })
                .collect(),
            data_sources: catalogue
                .data_sources
                .keys()
                .map(|name| DataSourceMetadata {
                    type_name: owned(name),
                })
                .collect(),
            ephemeral_resources: catalogue
                .ephemeral
                .keys()
                .map(|name| EphemeralResourceMetadata {
                    type_name: owned(name),
                })
                .collect(),
            functions: catalogue
                .functions
                .keys()
                .map(|name| FunctionMetadata { name: owned(name) })
                .collect(),
            actions: catalogue
                .actions
                .keys()
                .map(|name| ActionMetadata {
                    type_name: owned(name),
                })
                .collect(),
            list_resources: catalogue
                .lists
                .keys()
                .map(|name| ListResourceMetadata {
                    type_name: owned(name),
                })
                .collect(),
            ..pb::get_metadata::Response::default()
        })
    }

    pub(super) async fn provider_schema(
        &self,
        _: pb::get_provider_schema::Request,
    ) -> Result<pb::get_provider_schema::Response, Diagnostics> {
        let problems = self.problems();
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(self.schemas.get_or_init(|| self.all_schemas()).clone())
    }

    fn all_schemas(&self) -> pb::get_provider_schema::Response {
        let catalogue = self.catalogue();
        let resources = catalogue.resources.iter();
        let sources = catalogue.data_sources.iter();
        let ephemeral = catalogue.ephemeral.iter();
        let lists = catalogue.lists.iter();
        let actions = catalogue.actions.iter().map(|(name, action)| {
            let schema = Some(action.schema().to_proto());
            (name.clone(), pb::ActionSchema { schema })
        });
        pb::get_provider_schema::Response {
            action_schemas: actions.collect(),
            provider: Some(catalogue.provider.to_proto()),
            resource_schemas: resources
                .map(|(name, one)| (name.clone(), one.schema().to_proto()))
                .collect(),
            data_source_schemas: sources
                .map(|(name, one)| (name.clone(), one.schema().to_proto()))
                .collect(),
            ephemeral_resource_schemas: ephemeral
                .map(|(name, one)| (name.clone(), one.schema().to_proto()))
                .collect(),
            functions: self.function_signatures(),
            list_resource_schemas: lists
                .map(|(name, one)| (name.clone(), one.schema().to_proto()))
                .collect(),
            provider_meta: catalogue.meta.as_ref().map(|schema| schema.to_proto()),
            server_capabilities: Some(capabilities()),
            ..pb::get_provider_schema::Response::default()
        }
    }

    pub(super) async fn identity_schemas(
        &self,
        _: pb::get_resource_identity_schemas::Request,
    ) -> Result<pb::get_resource_identity_schemas::Response, Diagnostics> {
        let resources = self.catalogue().resources.iter();
        let identity_schemas = resources
            .filter(|(_, resource)| !resource.identity().is_none())
            .map(|(name, resource)| (name.clone(), resource.identity().to_proto()))
            .collect();
        Ok(pb::get_resource_identity_schemas::Response {
            identity_schemas,
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn validate_provider(
        &self,
        request: pb::validate_provider_config::Request,
    ) -> Result<pb::validate_provider_config::Response, Diagnostics> {
        let schema = &self.catalogue().provider;
        let config = codec::decode_optional(request.config.as_ref(), schema.ty())
            .map_err(|error| undecodable("a provider configuration", &error))?;
        let mut found = schema.validate(&config);
        if !found.has_errors() {
            found.extend(self.provider.validate(&self.provider_config(&config)?));
        }
        Ok(pb::validate_provider_config::Response {
            diagnostics: found.to_proto_in(schema),
        })
    }

    pub(super) async fn configure(
        &self,
        request: pb::configure_provider::Request,
    ) -> Result<pb::configure_provider::Response, Diagnostics> {
        let schema = &self.catalogue().provider;
        let config = codec::decode_optional(request.config.as_ref(), schema.ty())
            .map_err(|error| undecodable("a provider configuration", &error))?;
        let capabilities = Capabilities::of(request.client_capabilities.as_ref());
        let run = Run {
            capabilities,
            ..Run::new(request.terraform_version, self.stop.clone())
        };
        let made = self
            .provider
            .configure(self.provider_config(&config)?, run)
            .await;
        let (client, said) = match made {
            Ok((client, warnings)) => (Client::Made(Arc::new(client)), warnings),
            Err(Unfinished::Deferred(deferral)) if capabilities.deferral => {
                (Client::Deferred(deferral), Diagnostics::new())
            }
            Err(unfinished) => (Client::Unconfigured, unfinished.into_diagnostics()),
        };
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(pb::configure_provider::Response {
            diagnostics: said.to_proto_in(schema),
        })
    }

    fn provider_config(&self, config: &Value) -> Result<P::Config, Diagnostics> {
        from_value(config).map_err(|error| misfit(&self.catalogue().provider, &error))
    }
}
