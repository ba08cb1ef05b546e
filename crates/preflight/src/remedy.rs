//! What to do about a finding, as data. Who shows it turns a [`Hint`] into the words of the tool at hand: HCL in Terraform,
//! flags on the command line.

use super::Id;
use vocabulary::gcp::{CryptoKeyName, ProjectNumber, ServiceAccount};
use vocabulary::{Cloud, KeyConfigurationId, KeyUse, UseCase};

/// What the tool at hand has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Add a statement to the policy. `planned`: the same configuration is about to put one that lacks it.
    AddStatement {
        /// What the statement is for.
        use_case: KeyUse,
        /// Whether the same configuration puts the policy.
        planned: bool,
    },
    /// Refer to the key by way of the resource that manages its policy.
    ReferToPolicy(Cloud),
    /// Say which role launches clusters, or do not encrypt their volumes with this key.
    NameRoleOrExcludeVolumes,
    /// Do not encrypt the volumes of clusters with this key.
    ExcludeVolumes,
    /// Accept a finding that is known not to matter.
    Suppression(Id),
    /// Create a key for encryption, which is the default.
    EncryptionKey,
    /// Create a symmetric key, which is the default.
    SymmetricKey,
    /// Create a key of one's own.
    OwnKey,
    /// Turn automatic rotation on.
    Rotate,
    /// Refer to a key configuration by the resource that manages it.
    ReferToConfiguration,
    /// Make a key configuration for a use case.
    ConfigurationFor(UseCase),
    /// Add a use case to a key configuration that is not created yet.
    AddUseCase(UseCase),
    /// Keep the storage key that is attached.
    KeepStorage(KeyConfigurationId),
    /// Grant service accounts the use of a key of Cloud KMS.
    GrantMembers {
        /// The full name of the key.
        key: CryptoKeyName,
        /// All service accounts of Databricks that the list must have.
        accounts: Vec<ServiceAccount>,
        /// The project of the workspace whose service agents lack the key.
        project: Option<ProjectNumber>,
        /// The projects of buckets with tables, where a service agent lacks the key for them: all that have to stand in the list.
        bucket_projects: Vec<ProjectNumber>,
    },
    /// Let Cloud KMS make new versions of a key.
    RotateVersions,
    /// Attach a managed services key alone.
    ManagedServicesAlone,
}

/// One step of a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An instruction.
    Say(String),
    /// Command lines.
    Run(Vec<String>),
    /// Text to paste: a statement of a policy, a condition.
    Paste(String),
    /// What the tool at hand has for it.
    Hint(Hint),
}

/// What to do about a finding, in the order in which a person does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy(Vec<Step>);

impl Remedy {
    /// Begins with an instruction.
    pub fn say(text: impl Into<String>) -> Self {
        Self::default().and_say(text)
    }

    /// Begins with what the tool at hand has.
    pub fn hint(hint: Hint) -> Self {
        Self::default().and_hint(hint)
    }

    /// Goes on with an instruction.
    #[must_use]
    pub fn and_say(self, text: impl Into<String>) -> Self {
        self.and(Step::Say(text.into()))
    }

    /// Goes on with command lines.
    #[must_use]
    pub fn run(self, lines: impl IntoIterator<Item = String>) -> Self {
        self.and(Step::Run(lines.into_iter().collect()))
    }

    /// Goes on with text to paste.
    #[must_use]
    pub fn paste(self, text: impl Into<String>) -> Self {
        self.and(Step::Paste(text.into()))
    }

    /// Goes on with what the tool at hand has.
    #[must_use]
    pub fn and_hint(self, hint: Hint) -> Self {
        self.and(Step::Hint(hint))
    }

    /// Goes on with another remedy.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Goes on with those steps of another remedy that this one does not have.
    pub fn absorb(&mut self, other: Self) {
        for step in other.0 {
            if !self.0.contains(&step) {
                self.0.push(step);
            }
        }
    }

    fn and(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// The remedy as text. `words`: how the tool at hand says a hint; where it says nothing, the step is left out, and so is
    /// what was to be pasted for it.
    pub fn text(&self, words: impl Fn(&Hint) -> Option<String>) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut is_left_out = false;
        for step in &self.0 {
            let part = match step {
                Step::Say(text) => Some(text.clone()),
                Step::Run(lines) => Some(
                    lines
                        .iter()
                        .map(|line| format!("  {line}"))
                        .collect::<Vec<_>>()
                        .join("\n"),
                ),
                Step::Paste(text) => (!is_left_out).then(|| text.clone()),
                Step::Hint(hint) => words(hint),
            };
            is_left_out = part.is_none();
            parts.extend(part);
        }
        parts.join("\n\n")
    }
}

impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        Self::say(text)
    }
}

impl From<String> for Remedy {
    fn from(text: String) -> Self {
        Self::say(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_that_a_tool_has_no_words_for_is_left_out_with_what_is_pasted_for_it() {
        let remedy = Remedy::say("Do this:")
            .run(["one".to_owned(), "two".to_owned()])
            .and_hint(Hint::Rotate)
            .paste("{}")
            .and_say("Then that.");
        assert_eq!(
            remedy.text(|_| Some("Rotate:".to_owned())),
            "Do this:\n\n  one\n  two\n\nRotate:\n\n{}\n\nThen that."
        );
        assert_eq!(
            remedy.text(|_| None),
            "Do this:\n\n  one\n  two\n\nThen that."
        );
    }
}
