//! What every operation gets.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::stored::Private;

/// The configured client, the wish to stop, and places for warnings and private data.
#[derive(Debug)]
pub struct Context<C> {
    client: Arc<C>,
    stop: CancellationToken,
    warnings: Mutex<Diagnostics>,
    private: Mutex<Private>,
}

impl<C> Context<C> {
    pub(crate) fn new(client: Arc<C>, stop: CancellationToken, private: Private) -> Self {
        Self {
            client,
            stop,
            warnings: Mutex::default(),
            private: Mutex::new(private),
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
    pub fn warn(&self, diagnostic: Diagnostic) {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(diagnostic);
    }

    /// What an earlier operation on the same object left in private; `None` when there is nothing.
    ///
    /// # Errors
    /// When it has another form, because another version left it or somebody changed the state; the text says where.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        self.private
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
    }

    /// Leaves something in private for the next operation on the same object.
    pub fn set_private(&self, name: &str, value: &impl Serialize) {
        self.private
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set(name, value);
    }

    pub(crate) fn finish(self) -> (Diagnostics, Private) {
        let warnings = self.warnings.into_inner();
        let private = self.private.into_inner();
        (
            warnings.unwrap_or_else(PoisonError::into_inner),
            private.unwrap_or_else(PoisonError::into_inner),
        )
    }
}
