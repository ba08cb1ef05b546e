//! What the answers and requests of the protocol have in common: diagnostics in the one, the name of a type in the other.

use crate::diagnostics::Diagnostics;
use crate::proto::tfplugin6 as pb;

/// An answer that can carry a failure.
pub(super) trait Answer: Send + 'static {
    /// An answer that says nothing but why there is none.
    fn failed(errors: Diagnostics) -> Self;
}

/// A request that is about a named type; most of them are.
pub(super) trait Subject {
    /// The name, or nothing.
    fn subject(&self) -> &str {
        ""
    }
}

macro_rules! answers {
    ($($module:ident),* $(,)?) => {$(
        impl Answer for pb::$module::Response {
            fn failed(errors: Diagnostics) -> Self {
                Self { diagnostics: errors.to_proto(), ..Self::default() }
            }
        }
    )*};
}

answers! {
    get_metadata, get_provider_schema, get_resource_identity_schemas, validate_provider_config, validate_resource_config,
    validate_data_resource_config, upgrade_resource_state, upgrade_resource_identity, configure_provider, read_resource,
    plan_resource_change, apply_resource_change, import_resource_state, move_resource_state, read_data_source,
    generate_resource_config, validate_ephemeral_resource_config, open_ephemeral_resource, renew_ephemeral_resource,
    close_ephemeral_resource, validate_list_resource_config, get_functions, validate_action_config, plan_action,
    validate_state_store_config, configure_state_store, lock_state, unlock_state, get_states, delete_state, write_state_bytes,
}

impl Answer for pb::call_function::Response {
    fn failed(errors: Diagnostics) -> Self {
        let text = errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        Self {
            result: None,
            error: Some(pb::FunctionError {
                text,
                function_argument: None,
            }),
        }
    }
}

macro_rules! subjects {
    ($($field:ident: $($module:ident),*;)*) => {$($(
        impl Subject for pb::$module::Request {
            fn subject(&self) -> &str {
                &self.$field
            }
        }
    )*)*};
}

subjects! {
    type_name: validate_resource_config, validate_data_resource_config, upgrade_resource_state, upgrade_resource_identity,
        read_resource, plan_resource_change, apply_resource_change, import_resource_state, read_data_source,
        generate_resource_config, validate_ephemeral_resource_config, open_ephemeral_resource, renew_ephemeral_resource,
        close_ephemeral_resource, validate_list_resource_config, validate_state_store_config, configure_state_store, lock_state,
        unlock_state, get_states, delete_state;
    target_type_name: move_resource_state;
    action_type: validate_action_config, plan_action;
}

impl Subject for pb::get_metadata::Request {}
impl Subject for pb::get_provider_schema::Request {}
impl Subject for pb::get_resource_identity_schemas::Request {}
impl Subject for pb::validate_provider_config::Request {}
impl Subject for pb::configure_provider::Request {}
impl Subject for pb::get_functions::Request {}
