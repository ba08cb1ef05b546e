//! An object that a resource adopts from another one (`moved`, Terraform 1.8).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bridge::to_value;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::stored::{Private, RawState, StoredError};
use crate::value::Value;

/// A resource of another type or provider whose object this one shall adopt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The provider's address: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The type's name.
    pub type_name: String,
    /// The version of the form of its state.
    pub schema_version: i64,
    /// Its state, in that type's own form.
    pub state: RawState,
    /// Its identity, in that type's own form, where Terraform has one (1.12).
    pub identity: Option<RawState>,
    /// The version of the form of its identity.
    pub identity_version: i64,
    pub(crate) private: Vec<u8>,
}

impl Source {
    /// A state of another provider's resource.
    pub fn new(provider: impl Into<String>, type_name: impl Into<String>, state: RawState) -> Self {
        Self {
            provider: provider.into(),
            type_name: type_name.into(),
            schema_version: 0,
            state,
            identity: None,
            identity_version: 0,
            private: Vec::new(),
        }
    }

    /// What a resource of this crate left in private, under a name; `None` when there is nothing.
    ///
    /// # Errors
    /// When it has another form than `T`, or another provider wrote it in a form of its own.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoredError> {
        match Private::from_bytes(&self.private) {
            Ok(private) => private.get(name),
            Err(_) => Err(StoredError::foreign()),
        }
    }

    /// Whether it is a resource of this provider, whichever registry serves it. An address may lack its host and namespace: some
    /// versions of OpenTofu pass the bare name.
    pub fn is_of(&self, namespace: &str, name: &str) -> bool {
        let mut parts = self.provider.rsplit('/');
        let is_named = parts.next() == Some(name);
        // `-` stands for the namespace of a provider that was written without one.
        let is_there = parts
            .next()
            .is_none_or(|own| own == namespace || own == "-");
        is_named && is_there && parts.count() <= 1
    }
}

/// The first state of an object that the resource adopts; Terraform reads the object afterwards.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use tfplugin::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// struct Ball { id: Attr<String> }
///
/// fn move_state(source: &Source) -> Result<Option<Moved<Ball>>, Diagnostics> {
///     if !source.is_of("hashicorp", "null") || source.type_name != "null_resource" {
///         return Ok(None);
///     }
///     let id = source.state.text("id").map(str::to_owned);
///     Ok(Some(Moved::new(Ball { id: id.into() }).private("was", &"null_resource")))
/// }
///
/// let state = RawState::from_json_text(r#"{"id": "7"}"#)?;
/// let moved = move_state(&Source::new("hashicorp/null", "null_resource", state))?;
/// assert!(moved.is_some());
/// # Ok::<(), Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Moved<M> {
    pub(crate) model: M,
    pub(crate) private: Private,
    pub(crate) identity: Option<Value>,
    pub(crate) warnings: Diagnostics,
}

impl<M> Moved<M> {
    /// A first state.
    pub fn new(model: M) -> Self {
        Self {
            model,
            private: Private::new(),
            identity: None,
            warnings: Diagnostics::new(),
        }
    }

    /// The first state.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Private data for the read that follows.
    #[must_use]
    pub fn private(mut self, name: &str, value: &impl Serialize) -> Self {
        if let Err(error) = self.private.set(name, value) {
            self.warnings.push(Diagnostic::bug(format!(
                "Its private data `{name}` cannot be stored: {error}."
            )));
        }
        self
    }

    /// Its identity, where the state does not have it: an object with the names of [`Identity`](crate::identity::Identity).
    #[must_use]
    pub fn identity(mut self, identity: &impl Serialize) -> Self {
        match to_value(identity) {
            Ok(value) => self.identity = Some(value),
            Err(error) => self.warnings.push(Diagnostic::bug(format!(
                "Its identity has no form in Terraform: {error}."
            ))),
        }
        self
    }

    /// Shows the user something that does not stop the move.
    #[must_use]
    pub fn warn(mut self, warning: Diagnostic) -> Self {
        self.warnings.push(warning);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an address, and whether it is that of hashicorp/aws.
    #[test]
    fn a_provider_is_known_by_any_form_of_its_address() {
        for (provider, expected) in [
            ("registry.terraform.io/hashicorp/aws", true),
            ("registry.opentofu.org/hashicorp/aws", true),
            ("registry.terraform.io/-/aws", true),
            ("hashicorp/aws", true),
            ("aws", true),
            ("registry.terraform.io/somebody/aws", false),
            ("somebody/aws", false),
            ("hashicorp/awscc", false),
            ("a/b/hashicorp/aws", false),
            ("", false),
        ] {
            let state = RawState::from_json_text("null").unwrap();
            let source = Source::new(provider, "", state);
            assert_eq!(source.is_of("hashicorp", "aws"), expected, "{provider}");
        }
    }
}
