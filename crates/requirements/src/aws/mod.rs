//! AWS: commercial, GovCloud and DoD. What Databricks needs of a KMS key, and the key policies that give it.

mod documents;
mod effects;
mod ownership;
mod purpose;
mod usage;

pub use documents::{DocumentError, administration, administration_statement, with_grants};
pub use effects::{PermissionChange, effects};
pub use ownership::{
    Recognised, accounts_let_in, by_meaning, document_of, edits, list_of, mean_the_same, recognise,
    statements_of, still_there,
};
pub use purpose::Purpose;
pub use usage::{ACCOUNT_TAG, GrantingStatement, ORGANIZATION_KEYS, Usage, User, direct, request};
