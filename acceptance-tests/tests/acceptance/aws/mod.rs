//! AWS, and what is the same on every cloud where nothing else is said: over the sandbox's KMS, and over a real LocalStack.

pub mod adoption;
mod binding;
mod calls;
mod closed;
mod configuration;
mod data_sources;
mod iam;
mod import;
mod keys;
mod lifecycle;
mod order;
mod planned;
mod policy;
mod services;
mod switch;
