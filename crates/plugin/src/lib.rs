//! Terraform providers in Rust: the plugin protocol, values, schemas and the generic rules of planning.
//!
//! A provider implements [`provider::Provider`], a resource [`resource::Resource`]: schema, plan, create, read, update, delete. Beside
//! them there are [`data_source::DataSource`], [`ephemeral::EphemeralResource`], [`action::Action`], [`list_resource::ListResource`]
//! and [`function::Function`]. [`serve::plugin`] serves the provider to the Terraform (or OpenTofu) that started the process.
//! Everything that Terraform demands of *every* resource (unknown values, replacement, conformity of plans and states) is done here
//! once. The [`prelude`] has what every provider needs.
//!
//! - Planning is done once for all resources: unknown values, defaults, replacement, sets, drift, quiet attributes. A plan or a state
//!   that Terraform would refuse is reported with what differs, as a bug of the provider, before Terraform sees it.
//! - [`bridge::Attr`] stands for what may be null or unknown in a serde model.
//! - Nothing but the handshake line is ever written to standard output. Bytes from outside give an error and never a panic; a panic of
//!   the provider becomes a diagnostic.
//! - Feature `aws_lc_rs` (on) or `ring`: the cryptography of mutual TLS. Terraform's certificates use the curve P-521, which *ring*
//!   cannot verify: the crate `p521` does it there. Feature `logging` (on): logs as `TF_LOG` asks for them. Feature `testing`: a server
//!   for tests, without Terraform, and a model of Terraform's core that drives it (`testing::terraform`).
//! - State stores are the one part of the protocol that is not offered yet.
//!
//! `examples/null.rs` has a resource; `examples/shop.rs` has blocks and nested objects, a data source, an ephemeral resource, a list, a
//! function and an action.

pub mod action;
mod boxed;
pub mod bridge;
mod codec;
mod conformity;
pub mod context;
mod crypto;
pub mod data_source;
pub mod deferral;
pub mod diagnostics;
pub mod duration;
pub mod ephemeral;
pub mod function;
#[cfg_attr(
    all(unix, not(test)),
    allow(dead_code, reason = "a part serves Windows")
)]
mod handshake;
pub mod identity;
pub mod list_resource;
#[cfg(feature = "logging")]
mod logging;
pub mod number;
pub mod path;
mod planning;
pub mod printable;
mod proto;
pub mod provider;
pub mod resource;
pub mod schema;
pub mod serve;
mod server;
mod services;
pub mod stored;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
#[cfg_attr(
    all(unix, not(test)),
    allow(dead_code, reason = "a part serves Windows")
)]
mod transport;
mod typed;
pub mod types;
pub mod validators;
pub mod value;

pub use boxed::Boxed;
pub use tokio_util::sync::CancellationToken;

/// What every provider needs.
pub mod prelude {
    pub use crate::action::{Action, Events};
    pub use crate::bridge::Attr;
    pub use crate::context::Context;
    pub use crate::data_source::DataSource;
    pub use crate::deferral::{Deferral, Reason, Unfinished};
    pub use crate::diagnostics::{Diagnostic, Diagnostics, OrError};
    pub use crate::ephemeral::{EphemeralResource, Opened};
    pub use crate::function::{Function, FunctionError, Parameter, Signature};
    pub use crate::identity::{Identity, IdentityAttribute};
    pub use crate::list_resource::{Found, ListResource, Listed};
    pub use crate::number::Number;
    pub use crate::provider::{Provider, Run};
    pub use crate::resource::{Change, Import, Moved, Plan, Progress, Resource, Source, Upgrades};
    pub use crate::schema::{Attribute, Name, Nesting, Schema};
    pub use crate::stored::{Private, RawState};
    pub use crate::types::Type;
    pub use crate::value::Value;
    pub use crate::{
        action, data_source, ephemeral, function, list_resource, resource, serve, validators,
    };
}

/// The parsers of what comes over the wire, for fuzzing alone: no part of what this crate promises.
#[doc(hidden)]
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use crate::codec::{json, msgpack};
    use crate::types::Type;
    use crate::value::Value;

    /// Any bytes read as any type, in both forms: an error, or a value that comes back as it was.
    ///
    /// # Panics
    /// When a value does not come back as it was.
    pub fn both_forms(ty: &[u8], value: &[u8]) -> bool {
        let Ok(ty) = Type::from_json_bytes(ty) else {
            return false;
        };
        let packed = msgpack::decode(value, &ty).ok().map(|value| {
            let bytes = msgpack::encode(&value, &ty).unwrap_or_default();
            (value, msgpack::decode(&bytes, &ty).ok())
        });
        let text = json::decode(value, &ty).ok().map(|value| {
            let bytes = json::encode(&value, &ty).unwrap_or_default();
            (value, json::decode(&bytes, &ty).ok())
        });
        let comes_back = |pair: &(Value, Option<Value>)| pair.1.as_ref() == Some(&pair.0);
        assert!(packed.iter().chain(&text).all(comes_back));
        packed.is_some() || text.is_some()
    }
}
