//! The few words of the policy language that everything else is built of.

/// The version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `2008-10-17`, also when none is given: without policy variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// What a statement does with the requests that it applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Allows them.
    Allow,
    /// Denies them, whatever else allows them.
    Deny,
}
