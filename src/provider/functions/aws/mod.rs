//! Functions about KMS keys and their policies.

mod key_policy_allows;
mod key_policy_statements;
mod merge_key_policy;
mod parse_key_arn;

pub use key_policy_allows::KeyPolicyAllowsFunction;
pub use key_policy_statements::KeyPolicyStatementsFunction;
pub use merge_key_policy::MergeKeyPolicyFunction;
pub use parse_key_arn::parse_key_arn;
