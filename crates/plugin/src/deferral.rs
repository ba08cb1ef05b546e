//! Why an operation ends without a result: it failed, or the provider cannot answer in this run.

use super::diagnostics::{Diagnostic, Diagnostics};
use super::proto::tfplugin6 as pb;
use super::stored::StoredError;

/// What the provider lacks for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A part of the provider's configuration is not known yet.
    ProviderConfigUnknown,
    /// A part of the configuration of the resource is not known yet.
    ResourceConfigUnknown,
    /// Something that the object hangs on is not there yet.
    AbsentPrerequisite,
}

/// An operation that the provider defers to a later run. Terraform says whether it supports that; where it does not, the
/// diagnostics say why there is no answer: with an error among them the operation fails, with warnings alone Terraform continues
/// with what it has (a plan as the configuration says, a state as it was).
#[derive(Clone, Debug)]
pub struct Deferral {
    reason: Reason,
    otherwise: Diagnostics,
}

impl Deferral {
    /// Defers an operation. A Terraform that cannot defer shows `otherwise`.
    pub fn new(reason: Reason, otherwise: impl Into<Diagnostics>) -> Self {
        Self {
            reason,
            otherwise: otherwise.into(),
        }
    }

    /// The diagnostics that a Terraform shows that cannot defer.
    pub fn otherwise(&self) -> &Diagnostics {
        &self.otherwise
    }
}

/// The end of an operation that has no result: the one error of every operation. Diagnostics, a [`Deferral`], and what
/// [`OrError::or_error`](crate::diagnostics::OrError::or_error) makes of any other error become it by `?`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Unfinished {
    /// It failed, and these diagnostics say why.
    Failed(Diagnostics),
    /// The provider defers it.
    Deferred(Deferral),
}

impl From<StoredError> for Unfinished {
    fn from(error: StoredError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Diagnostics> for Unfinished {
    fn from(errors: Diagnostics) -> Self {
        Self::Failed(errors)
    }
}

impl From<Diagnostic> for Unfinished {
    fn from(error: Diagnostic) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Deferral> for Unfinished {
    fn from(deferral: Deferral) -> Self {
        Self::Deferred(deferral)
    }
}

impl Unfinished {
    /// The diagnostics, for an operation that the provider cannot defer.
    pub fn into_diagnostics(self) -> Diagnostics {
        self.into_parts().0
    }

    /// The diagnostics, and the reason of a deferral.
    pub(crate) fn into_parts(self) -> (Diagnostics, Option<Reason>) {
        match self {
            Self::Failed(errors) => (errors, None),
            Self::Deferred(deferral) => (deferral.otherwise, Some(deferral.reason)),
        }
    }
}

impl Reason {
    #[cfg(feature = "testing")]
    pub(crate) fn from_proto(deferred: &pb::Deferred) -> Option<Self> {
        use pb::deferred::Reason as Wire;
        match deferred.reason() {
            Wire::ProviderConfigUnknown => Some(Self::ProviderConfigUnknown),
            Wire::ResourceConfigUnknown => Some(Self::ResourceConfigUnknown),
            Wire::AbsentPrereq => Some(Self::AbsentPrerequisite),
            Wire::Unknown => None,
        }
    }

    pub(crate) fn to_proto(self) -> pb::Deferred {
        use pb::deferred::Reason as Wire;
        let reason = match self {
            Self::ProviderConfigUnknown => Wire::ProviderConfigUnknown,
            Self::ResourceConfigUnknown => Wire::ResourceConfigUnknown,
            Self::AbsentPrerequisite => Wire::AbsentPrereq,
        };
        pb::Deferred {
            reason: reason.into(),
        }
    }
}
