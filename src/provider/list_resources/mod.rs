//! The list resources, one file each: what is there already, for `terraform query` (Terraform 1.14).

pub mod key_configuration;
pub mod key_policy;
pub mod workspace_binding;
