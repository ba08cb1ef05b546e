//! The generated messages and services of `proto/`.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]

/// The Terraform plugin protocol, version 6.
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// The services that go-plugin expects beside the provider.
pub mod go_plugin {
    tonic::include_proto!("plugin");
}
