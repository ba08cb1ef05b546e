//! Who may use a key beside this Databricks account: how far each is from the owner of the key.

use std::collections::BTreeSet;

use super::report::{Gravity, OtherUser};

/// Whose principal may use a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The AWS account, Google project or tenant of the key.
    Own,
    /// People and groups whose organization their name does not show.
    People,
    /// Another account, project, tenant or domain, by its ID; or another Databricks account.
    Elsewhere(String),
    /// Everybody.
    Everybody,
}

/// Somebody who may use a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenOther {
    /// Who, with which rights, by what.
    pub user: OtherUser,
    /// Whose principal it is.
    pub reach: Reach,
}

impl SeenOther {
    /// How grave it is; none where it is not a finding.
    pub fn gravity(&self, trusted: &BTreeSet<String>) -> Option<Gravity> {
        match &self.reach {
            Reach::Own | Reach::People => None,
            Reach::Elsewhere(id) if trusted.contains(id) => None,
            Reach::Elsewhere(_) => Some(Gravity::Warning),
            // Whoever trusts everybody has named nobody.
            Reach::Everybody => Some(Gravity::Error),
        }
    }
}
