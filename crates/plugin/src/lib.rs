//! Terraform providers in Rust: the plugin protocol, values, schemas and the generic rules of planning.
//!
//! A provider describes itself with [`schema::Schema`] and the traits [`provider::Provider`],
//! [`resource::Resource`], [`data_source::DataSource`], [`action::Action`] and [`function::Function`], and serves itself with
//! [`serve::plugin`]. Everything that Terraform demands of *every* resource (unknown values, replacement,
//! conformity of plans and states) is done here once.
//!
//! Invariants: nothing but the handshake line is ever written to standard output; bytes from outside give an
//! error, never a panic; a plan or a state that Terraform would refuse does not leave the process without
//! saying so.

pub mod action;
pub mod bridge;
pub mod codec;
pub mod conformity;
pub mod data_source;
pub mod diagnostics;
pub mod duration;
pub mod function;
pub mod handshake;
pub mod identity;
pub mod list_resource;
pub mod logging;
pub mod number;
pub mod path;
pub mod planning;
pub mod printable;
pub mod proto;
pub mod provider;
pub mod resource;
pub mod schema;
pub mod serve;
pub mod server;
pub mod services;
pub mod tls;
pub mod transport;
mod typed;
pub mod types;
pub mod value;
