//! The clouds that keys live in: one file each. Facts come out as `preflight` wants them; errors are typed.

pub mod aws;
pub mod azure;
pub mod gcp;
