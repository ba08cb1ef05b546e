//! The generated messages and services of `proto/`. `cargo run -p plugin-codegen` writes them, so that who builds a provider needs neither
//! `protoc` nor a compiler of protocols.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]

/// The Terraform plugin protocol, version 6.
pub mod tfplugin6 {
    include!("generated/tfplugin6.rs");
}

/// The services that go-plugin expects beside the provider.
pub mod go_plugin {
    include!("generated/plugin.rs");
}
