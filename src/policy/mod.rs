//! The KMS key policy language: reading it without loss, deciding requests, merging statements, comparing meanings, and
//! telling whether a policy would lock its owner out.
//!
//! Pure: no I/O, no `async`, no clock. Sources of the rules: the AWS documentation on policy evaluation, condition operators
//! and KMS key policies. A decision always carries its reasons.

pub mod compare;
pub mod condition;
pub mod context;
pub mod difference;
pub mod document;
pub mod evaluate;
pub mod json;
pub mod language;
pub mod lockout;
pub mod merge;
pub mod pattern;
pub mod principal;
pub mod template;
pub mod truth;

pub use context::Context;
pub use document::{Document, PolicyError, Statement};
pub use evaluate::{Decision, Request, Verdict, evaluate};
pub use language::Effect;
