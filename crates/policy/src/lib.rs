//! The policy language of KMS keys and of those who use them: reading it without loss, deciding requests, merging statements,
//! comparing meanings, and whether a policy would lock its owner out.
//!
//! Pure: no I/O, no `async`, no clock. Sources of the rules: the AWS documentation on policy evaluation, condition operators
//! and KMS key policies. A decision always carries its reasons.

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

mod arn;
mod authorize;
mod compare;
mod condition;
mod context;
mod difference;
mod document;
mod evaluate;
pub mod json;
mod language;
mod lockout;
mod merge;
mod pattern;
mod principal;
mod reader;
mod template;
mod truth;

pub use arn::{Arn, ArnError, is_account};
pub use authorize::{Authorization, Identity, Part, Source, authorize};
pub use compare::{Meaning, meaning};
pub use condition::{Comparison, Condition, Operator, Order, Quantifier};
pub use context::{Context, Presence};
pub use difference::{StatementChange, describe, difference};
pub use document::{Document, LARGEST, Listed, PolicyError, Statement};
pub use evaluate::{Decision, Request, StatementMatch, Verdict, evaluate};
pub use language::{ActionError, Effect, KMS_ACTIONS, Version, kms_action, nearest};
pub use lockout::{Lockout, lockout};
pub use merge::Edit;
pub use pattern::Pattern;
pub use principal::{Caller, Principal, PrincipalError};
pub use truth::Match;
