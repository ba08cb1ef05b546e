//! What was found out of each service, before anything is judged.

use super::rights::Service;

/// An address to which requests go.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Endpoint {
    /// The service: `KMS`, `Resource Manager`.
    pub name: String,
    /// The address.
    pub address: String,
    /// The proxy of the environment for it, without a password; none for a direct way.
    pub proxy: Option<String>,
}

/// Whether a service knows the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does, under this name.
    As(String),
    /// No credentials are configured, and nothing says that this service is wanted.
    NotConfigured(String),
    /// No credentials, or none that the service accepts, although it is wanted.
    Refused {
        /// What is wrong.
        why: String,
        /// What helps.
        what_to_do: String,
    },
    /// The service did not answer, so that nothing can be told.
    NotReached(String),
}

/// What became of the test of a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The caller has it, and how that was found.
    There(String),
    /// The caller lacks it, in the words of the service.
    Missing(String),
    /// It cannot be told, for this reason.
    NotKnown(String),
    /// Nobody needs it here, such as a right about roles of AWS on another cloud.
    NotNeeded,
}

/// A right that was tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Its name in the table of rights.
    pub name: &'static str,
    /// On what it was tested: a key, a project, a subscription, an account.
    pub on: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What was found out of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Which one.
    pub service: Service,
    /// Whether it knows the caller.
    pub access: Access,
    /// The account, project, subscription or tenant.
    pub account: Option<String>,
    /// Where its requests go.
    pub endpoints: Vec<Endpoint>,
    /// The rights that were tested.
    pub tested: Vec<Tested>,
    /// What else to know.
    pub notes: Vec<String>,
}

impl ServiceFacts {
    /// Facts of a service of which nothing was tested yet.
    pub fn of(service: Service, access: Access) -> Self {
        Self {
            service,
            access,
            account: None,
            endpoints: Vec::new(),
            tested: Vec::new(),
            notes: Vec::new(),
        }
    }
}
