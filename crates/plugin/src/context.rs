//! What every operation gets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::bridge::{from_value, to_value};
use super::deferral::{Reason, Unfinished};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::provider::Capabilities;
use super::stored::{Private, StoredError};
use super::value::Value;

/// What Terraform hands over with a call, beside that which the call is about.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) private: Private,
    pub(crate) config: Option<Value>,
    pub(crate) identity: Option<Value>,
    pub(crate) meta: Option<Value>,
    pub(crate) capabilities: Capabilities,
}

/// What an operation left.
pub(crate) struct Left {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) private: Private,
    pub(crate) identity: Option<Value>,
    /// Whether Terraform takes a deferral for an answer.
    pub(crate) may_defer: bool,
}

impl Left {
    /// Records why there is no result. A Terraform that can defer gets the reason of a deferral instead of its diagnostics.
    pub(crate) fn unfinished(&mut self, unfinished: Unfinished) -> Option<Reason> {
        let (reasons, later) = unfinished.into_parts();
        if later.is_none() || !self.may_defer {
            self.diagnostics.extend(reasons);
        }
        later
    }
}

/// The configured client, the wish to stop, what the user wrote, and places for warnings, private data and an identity.
#[derive(Debug)]
pub struct Context<C> {
    client: Arc<C>,
    stop: CancellationToken,
    config: Option<Value>,
    meta: Option<Value>,
    capabilities: Capabilities,
    warnings: Mutex<Diagnostics>,
    private: Mutex<Private>,
    identity: Mutex<Identified>,
}

/// The identity that the object had, and the one that the operation gave it.
#[derive(Debug, Default)]
struct Identified {
    before: Option<Value>,
    now: Option<Value>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl<C> Context<C> {
    pub(crate) fn new(client: Arc<C>, stop: CancellationToken, given: Given) -> Self {
        Self {
            client,
            stop,
            config: given.config,
            meta: given.meta,
            capabilities: given.capabilities,
            warnings: Mutex::default(),
            private: Mutex::new(given.private),
            identity: Mutex::new(Identified {
                before: given.identity,
                now: None,
            }),
        }
    }

    /// What the provider's configuration was made into.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// Ends when Terraform wants the operation to stop: the next safe point is the place to return what is true so far.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Shows the user something that does not stop the run.
    #[doc(alias = "AddWarning")]
    pub fn warn(&self, diagnostic: Diagnostic) {
        locked(&self.warnings).push(diagnostic);
    }

    /// What the user wrote, in a plan, a create, an update, and in everything but a resource. It has the values of write-only attributes,
    /// which neither a plan nor a state has:
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tfplugin::prelude::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Account { password_wo: Attr<String> }
    /// async fn set_password(cx: &Context<()>) -> Result<(), Unfinished> {
    ///     let written: Account = cx.config()?;
    ///     if let Some(password) = written.password_wo.known() {
    ///         // … send it
    /// #       let _ = password;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When it does not fit `M`, or when Terraform gives no configuration, as for a read and a delete.
    pub fn config<M: DeserializeOwned>(&self) -> Result<M, Diagnostics> {
        let config = self.config.as_ref().ok_or_else(|| {
            Diagnostic::bug(
                "It asks for the configuration in an operation for which Terraform gives none: a read, a delete, an import or a move.",
            )
        })?;
        from_value(config).map_err(|error| {
            Diagnostic::bug(format!(
                "The configuration does not fit the model that it is read as: {error}."
            ))
            .at(error.path.clone())
            .into()
        })
    }

    /// What the Terraform that calls can do.
    #[doc(alias = "ClientCapabilities")]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// What a module says to the provider in its `provider_meta` block; `None` where there is none.
    ///
    /// # Errors
    /// When it has another form than `T`; the text says where.
    #[doc(alias = "provider_meta")]
    pub fn meta<T: DeserializeOwned>(&self) -> Result<Option<T>, StoredError> {
        let meta = self.meta.as_ref().filter(|meta| !meta.is_null());
        Ok(meta.map(from_value).transpose()?)
    }

    /// What an earlier operation on the same object left in private; `None` when there is nothing.
    ///
    /// # Errors
    /// When it has another form, because another version left it or a person changed the state; the text says where.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoredError> {
        locked(&self.private).get(name)
    }

    /// Leaves something in private for the next operation on the same object.
    #[doc(alias = "SetKey")]
    pub fn set_private(&self, name: &str, value: &impl Serialize) {
        if let Err(error) = locked(&self.private).set(name, value) {
            self.warn(Diagnostic::bug(format!(
                "Its private data `{name}` cannot be stored: {error}."
            )));
        }
    }

    /// Forgets what was left in private under a name.
    pub fn remove_private(&self, name: &str) {
        locked(&self.private).remove(name);
    }

    /// The identity that Terraform has of the object, or that this operation gave it; `None` where there is none.
    ///
    /// # Errors
    /// When it has another form than `T`; the text says where.
    pub fn identity<T: DeserializeOwned>(&self) -> Result<Option<T>, StoredError> {
        let identity = locked(&self.identity);
        let known = identity.now.as_ref().or(identity.before.as_ref());
        Ok(known.map(from_value).transpose()?)
    }

    /// Gives the object its identity, where the state does not have it: an object with the names of [`Identity`](crate::identity::Identity).
    pub fn set_identity(&self, identity: &impl Serialize) {
        match to_value(identity) {
            Ok(value) => locked(&self.identity).now = Some(value),
            Err(error) => self.warn(Diagnostic::bug(format!(
                "Its identity has no form in Terraform: {error}."
            ))),
        }
    }

    pub(crate) fn finish(self) -> Left {
        Left {
            diagnostics: unlocked(self.warnings),
            private: unlocked(self.private),
            identity: unlocked(self.identity).now,
            may_defer: self.capabilities.deferral,
        }
    }
}
