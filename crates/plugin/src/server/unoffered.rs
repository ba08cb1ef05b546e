//! The family of the protocol that this crate does not offer yet: state stores. Terraform calls these only for what the schema
//! lists, so the answers are for a Terraform that asks all the same: clear diagnostics, never a raw gRPC error.

use super::Inner;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;

pub(super) fn no_state_stores() -> Diagnostics {
    Diagnostic::error(
        "The provider stores no state",
        "It has no state stores. Choose a backend or another provider for the state.",
    )
    .into()
}

pub(super) fn state_chunk(
    _: &pb::read_state_bytes::Request,
) -> pb::read_state_bytes::ResponseChunk {
    pb::read_state_bytes::ResponseChunk {
        diagnostics: no_state_stores().to_proto(),
        ..pb::read_state_bytes::ResponseChunk::default()
    }
}

macro_rules! no_state_store {
    ($($handler:ident $module:ident;)*) => {$(
        pub(super) async fn $handler(
            &self,
            _: pb::$module::Request,
        ) -> Result<pb::$module::Response, Diagnostics> {
            Err(no_state_stores())
        }
    )*};
}

impl<P: Provider> Inner<P> {
    no_state_store! {
        validate_state_store validate_state_store_config;
        configure_state_store configure_state_store;
        lock_state lock_state;
        unlock_state unlock_state;
        get_states get_states;
        delete_state delete_state;
    }
}
