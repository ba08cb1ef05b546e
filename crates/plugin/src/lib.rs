//! Terraform and OpenTofu providers in Rust: the plugin protocol, values, schemas and the generic rules of planning.
//!
//! A provider implements [`Provider`](provider::Provider), a resource [`Resource`](resource::Resource): schema, plan, create, read, update,
//! delete. [`serve::plugin`] serves the provider to the Terraform (or OpenTofu) that started the process. A resource with its model:
//!
//! ```
//! use tfplugin::prelude::*;
//!
//! /// A file.
//! #[derive(Model)]
//! struct File {
//!     /// Where it is.
//!     #[attr(required, replaces)]
//!     path: Attr<String>,
//!     /// What stands in it.
//!     #[attr(default = "")]
//!     content: Attr<String>,
//! }
//!
//! impl File {
//!     fn write(self) -> Result<Self, Unfinished> {
//!         let (path, content) = (self.path.require()?, self.content.require()?);
//!         std::fs::write(path, content).or_error("The file could not be written")?;
//!         Ok(self)
//!     }
//! }
//!
//! struct FileResource;
//!
//! impl Resource for FileResource {
//!     type Client = ();
//!     type Model = File;
//!
//!     fn name(&self) -> Name {
//!         "disk_file".into()
//!     }
//!
//!     fn schema(&self) -> Schema {
//!         File::schema()
//!     }
//!
//!     async fn create(&self, _: &Context<()>, plan: File, _: &Progress<File>) -> Result<File, Unfinished> {
//!         plan.write()
//!     }
//!
//!     async fn update(&self, _: &Context<()>, _: File, plan: File, _: &Progress<File>) -> Result<File, Unfinished> {
//!         plan.write()
//!     }
//!
//!     async fn delete(&self, _: &Context<()>, state: File) -> Result<(), Unfinished> {
//!         std::fs::remove_file(state.path.require()?).or_error("The file could not be removed")?;
//!         Ok(())
//!     }
//! }
//! ```
//!
//! Everything that Terraform demands of *every* resource (unknown values, defaults, replacement, sets, spellings, identities, write-only values,
//! conformity of plans and states) is done here once. A plan or a state that Terraform would refuse is reported with what differs, as a bug of
//! the provider, before Terraform sees it; a slip of the author (two resources of one name, a model without a place for what a plan can
//! have, a gap between versions) when the provider is started.
//!
//! | You need | You write |
//! |---|---|
//! | a resource | [`Resource`](resource::Resource) with a [`Model`](model) |
//! | to look something up | [`DataSource`](data_source::DataSource) |
//! | something that is in no state | [`EphemeralResource`](ephemeral::EphemeralResource) |
//! | to find what is there already | [`ListResource`](list_resource::ListResource) |
//! | to do something once | [`Action`](action::Action) |
//! | a function | [`function::typed`] |
//! | tests without Terraform | `testing::TestServer` (feature `testing`) |
//!
//! Nothing but the handshake line is ever written to standard output. Bytes from outside give an error and never a panic; a panic of
//! the provider becomes a diagnostic.
//!
//! # Features
//!
//! - `derive` (on): `#[derive(Model)]`.
//! - `aws_lc_rs` (on) or `ring`: the cryptography of mutual TLS. Terraform's certificates use the curve P-521, which *ring*
//!   cannot verify: the crate `p521` does it there.
//! - `logging` (on): logs as `TF_LOG` asks for them.
//! - `testing`: a server for tests, without Terraform, and a model of Terraform's core that drives it (`testing::terraform`).
//!
//! # Examples
//!
//! `disk` is the README's; `hello` is a function, `null` a resource; `shop` has blocks and nested objects, a data source, an ephemeral resource, a list, a
//! function and an action. `floor` is a benchmark and teaches nothing.
//!
//! # Coming from Go
#![doc = include_str!("framework.md")]
//!
//! # The protocol
#![doc = include_str!("protocol.md")]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

// What the derive makes speaks of `tfplugin`, also in the tests of this crate.
extern crate self as tfplugin;

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
pub mod model;
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
pub mod timeouts;
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
    pub use crate::model::{Model, OneOf};
    pub use crate::number::Number;
    pub use crate::provider::{Provider, Run};
    pub use crate::resource::{Change, Import, Moved, Plan, Progress, Resource, Source, Upgrades};
    pub use crate::schema::{Attribute, Name, Nesting, Schema};
    pub use crate::stored::{Private, RawState};
    pub use crate::types::Type;
    pub use crate::validators::InWords as _;
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
