//! What Terraform shows a person: a summary in their terms, a detail that says what was found, why it matters and what to
//! do, and the attribute it is about.

use std::fmt;
use std::sync::Arc;

use super::path::Path;
use super::printable::{ended_once, printable, printable_line};
use super::proto::tfplugin6;
use super::schema::{Schema, sentence};

/// Whether a diagnostic stops Terraform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Shown; the run goes on.
    Warning,
    /// Shown; the run stops.
    Error,
}

/// One message to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether it stops the run.
    pub severity: Severity,
    /// What is wrong, in one line, in the user's terms.
    pub summary: String,
    /// What was found, why it matters, and what to do.
    pub detail: String,
    /// Which attribute it is about; the root when it is about the whole block.
    pub path: Path,
}

impl Diagnostic {
    /// An error about the whole block.
    #[doc(alias = "AddError")]
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            path: Path::root(),
        }
    }

    /// A warning about the whole block.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            summary: summary.into(),
            detail: detail.into(),
            path: Path::root(),
        }
    }

    /// The same diagnostic with another detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same diagnostic, whether it stops Terraform or not.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same diagnostic with another summary.
    #[must_use]
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The same diagnostic, with the object that it is about in its summary. Terraform folds warnings that share a summary into one ("and 2
    /// more similar warnings elsewhere"), and shows only the first one's detail.
    #[must_use]
    pub fn about(mut self, object: impl fmt::Display) -> Self {
        self.summary = format!("{}: {object}", self.summary);
        self
    }

    /// The same diagnostic, about one attribute.
    #[must_use]
    pub fn at(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    /// The same diagnostic, about an attribute written with dots.
    #[doc(alias = "AddAttributeError")]
    #[must_use]
    pub fn on(self, dotted: &str) -> Self {
        self.at(Path::of(dotted))
    }

    /// A fault of the provider itself. The person who reads it can do nothing but report it, and it says so.
    pub fn bug(what: impl fmt::Display) -> Self {
        Self::error(
            format!("This is a bug in the {}provider", name()),
            format!(
                "{what}\n\nNothing in your configuration is to blame. Please report this text together with the output of \
                 `terraform version`; what was already changed is in the state."
            ),
        )
    }

    /// `path`: where Terraform looks for the line.
    fn to_proto(&self, path: Option<Path>) -> tfplugin6::Diagnostic {
        let severity = match self.severity {
            Severity::Error => tfplugin6::diagnostic::Severity::Error,
            Severity::Warning => tfplugin6::diagnostic::Severity::Warning,
        };
        tfplugin6::Diagnostic {
            severity: severity.into(),
            // What came from a file, a plan or an answer can hold anything, and a terminal obeys control characters.
            summary: printable_line(&self.summary).into_owned(),
            detail: ended_once(&printable(&self.detail)).into_owned(),
            attribute: path.map(|path| path.to_proto()),
        }
    }
}

tokio::task_local! {
    /// The provider that a call is to: a process can serve several.
    static PROVIDER: Arc<str>;
}

/// Does something as a provider, for messages that speak of it.
pub(crate) async fn speaking_as<T>(provider: Arc<str>, work: impl Future<Output = T>) -> T {
    PROVIDER.scope(provider, work).await
}

/// The provider that a call is to, as messages call it; nothing where it is not known.
pub(crate) fn name() -> String {
    PROVIDER
        .try_with(|name| format!("{name} "))
        .unwrap_or_default()
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
        };
        write!(f, "{word}: {}", self.summary)?;
        if !self.path.is_root() {
            write!(f, "\n  on {}", self.path)?;
        }
        write!(f, "\n\n{}", self.detail)
    }
}

/// Several diagnostics, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether one of them stops the run.
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The messages that go over the wire.
    pub(crate) fn to_proto(&self) -> Vec<tfplugin6::Diagnostic> {
        let one = |one: &Diagnostic| one.to_proto(one.path.outermost());
        self.0.iter().map(one).collect()
    }

    /// The same for what is about a configuration of a schema. Terraform finds the line of an attribute, also in a block, but not of one inside
    /// a nested attribute, nor in an element of a set: there it falls back to the whole resource, so a path ends where it would.
    pub(crate) fn to_proto_in(&self, schema: &Schema) -> Vec<tfplugin6::Diagnostic> {
        let shown = |one: &Diagnostic| one.to_proto(schema.shown_path(&one.path));
        self.0.iter().map(shown).collect()
    }
}

#[cfg(feature = "testing")]
impl Diagnostics {
    /// What came over the wire, as a test sees it.
    pub(crate) fn from_proto(all: Vec<tfplugin6::Diagnostic>) -> Self {
        use tfplugin6::diagnostic::Severity as Wire;
        let one = |said: tfplugin6::Diagnostic| {
            let is_warning = said.severity() == Wire::Warning;
            let path = said.attribute.map(Path::from_proto).unwrap_or_default();
            match is_warning {
                true => Diagnostic::warning(said.summary, said.detail),
                false => Diagnostic::error(said.summary, said.detail),
            }
            .at(path)
        };
        all.into_iter().map(one).collect()
    }
}

/// An error of any kind as a diagnostic.
pub trait OrError<T> {
    /// The value, or an error with this summary whose detail is what failed, with its causes:
    ///
    /// ```
    /// use tfplugin::prelude::*;
    ///
    /// fn put(path: &std::path::Path) -> Result<(), Unfinished> {
    ///     std::fs::write(path, "tea").or_error("The article could not be written")?;
    ///     Ok(())
    /// }
    ///
    /// let error = put("/nowhere/tea".as_ref()).unwrap_err().into_diagnostics();
    /// let error = error.iter().next().unwrap();
    /// assert_eq!(error.summary, "The article could not be written");
    /// assert!(error.detail.starts_with("No such file or directory"));
    /// ```
    ///
    /// # Errors
    /// When there is no value.
    fn or_error(self, summary: impl Into<String>) -> Result<T, Diagnostic>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> OrError<T> for Result<T, E> {
    fn or_error(self, summary: impl Into<String>) -> Result<T, Diagnostic> {
        self.map_err(|error| {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            let mut detail = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                let text = inner.to_string();
                // Many errors repeat their cause in their own text.
                if !detail.contains(&text) {
                    detail.push_str(": ");
                    detail.push_str(&text);
                }
                cause = inner.source();
            }
            Diagnostic::error(summary, sentence(&detail))
        })
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, items: I) {
        self.0.extend(items);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
