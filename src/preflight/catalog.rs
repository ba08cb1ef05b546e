//! Every finding there is: its stable name, whether it can be silenced, and what it means. The documentation comes from here.

use std::fmt;
use std::str::FromStr;

use kms_policy::nearest;

/// Whether a user may silence a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is advice.
    Allowed,
    /// Ignoring it would make an attach fail, or a workspace go dark.
    Refused,
}

macro_rules! catalog {
    ($($variant:ident $name:literal $silence:ident $title:literal $text:literal;)*) => {
        /// The name of a finding. It never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is described by its text, which the documentation shows")]
        pub enum Id {
            $($variant,)*
        }

        impl Id {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name: `kms-key-disabled`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is about, in one line.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// What it means and what to do, in Markdown.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Whether it can be silenced.
            pub fn silence(self) -> Silence {
                match self {
                    $(Self::$variant => Silence::$silence,)*
                }
            }
        }
    };
}

catalog! {
    KmsKeyDisabled "kms-key-disabled" Refused "The key is disabled"
        "Nobody can encrypt or decrypt with it. Enable it: `aws kms enable-key`.";
    KmsKeyPendingDeletion "kms-key-pending-deletion" Refused "The key is waiting to be deleted"
        "When the waiting period ends, everything that was encrypted with it is lost. `aws kms cancel-key-deletion` keeps it; afterwards it is disabled and has to be enabled.";
    KmsKeyNotFound "kms-key-not-found" Refused "The key does not exist"
        "KMS has no such key, and the credentials belong to the account of its ARN. The ARN has a typo, or the key was deleted.";
    KmsKeyState "kms-key-state" Refused "The key cannot be used in its present state"
        "Databricks can use a key only in the state Enabled: not while it is created, updated, unavailable, or waiting for its key material.";
    KmsKeyUsage "kms-key-usage" Refused "The key is not made for encryption"
        "The key usage has to be ENCRYPT_DECRYPT. It cannot be changed; make another key.";
    KmsKeySpec "kms-key-spec" Refused "The key is not a symmetric one"
        "The key spec has to be SYMMETRIC_DEFAULT. It cannot be changed; make another key.";
    KmsKeyManager "kms-key-manager" Refused "The key is managed by AWS"
        "The policy of such a key cannot be changed, so Databricks cannot be allowed to use it. Make a key of your own.";
    KmsKeyRegion "kms-key-region" Refused "The key is in another region than the workspace"
        "A workspace can only use a key of its own region.";
    KmsKeyPartition "kms-key-partition" Refused "The key is in another AWS partition than Databricks"
        "No principal of one partition can use a key of another. GovCloud keys are for the GovCloud deployments of Databricks.";
    KmsKeyExpires "kms-key-expires" Allowed "The key's imported material expires"
        "On that day the key can no longer be used and the workspace goes dark, until the same material is imported again. Import it without an expiry, or make sure that somebody does.";
    KmsKeyReplica "kms-key-replica" Allowed "The key is a replica of a multi-region key"
        "It works as long as the replica lives. Its rotation is that of the primary key, and deleting a replica is as final as deleting any key.";
    KmsKeyNoRotation "kms-key-no-rotation" Allowed "The key is not rotated automatically"
        "Databricks keeps the storage key of a workspace for good, so renewing the material of the same key is the only rotation there is: `enable_key_rotation = true` on `aws_kms_key`.";
    KmsKeyUnreadable "kms-key-unreadable" Refused "The key's state could not be read"
        "Without kms:DescribeKey nothing is proven. A warning at plan, an error right before an attach.";
    PolicyUnreadable "policy-unreadable" Refused "The key policy could not be read"
        "Without kms:GetKeyPolicy nothing is proven. A warning at plan, an error right before an attach.";
    PolicyMalformed "policy-malformed" Refused "The key policy cannot be read"
        "It is not what the grammar of key policies asks for; the message names the place.";
    PolicyMissingAction "policy-missing-action" Refused "Nothing allows an action that is needed"
        "The message names every missing action, and shows one statement that grants all of them. Let `dbxcmk_key_policy` keep it.";
    PolicyExplicitDeny "policy-explicit-deny" Refused "A statement denies what is needed"
        "A Deny wins over every Allow. The message names the statement, and shows the condition that takes Databricks out of it.";
    PolicyUndetermined "policy-undetermined" Allowed "It cannot be proven that an action is allowed"
        "A condition depends on values that only the call itself shows, such as a source address or an organisation. If you know that Databricks fulfils it, silence this finding.";
    PolicyGrantOnly "policy-grant-only" Allowed "A grant, not the policy, allows what is needed"
        "Grants can be revoked and retired without a trace in the policy. Name the role in the policy.";
    PolicyDelegatedOnly "policy-delegated-only" Allowed "The cross-account role is allowed only as far as its IAM policies allow"
        "The key policy allows the account and leaves the rest to IAM, which is not looked at. Name the role in the policy.";
    PolicyRoleInAnotherAccount "policy-role-in-another-account" Allowed "The cross-account role is in another AWS account than the key"
        "Across accounts AWS asks both sides: the key policy has to allow the role, and the role's own IAM policies have to allow the key. The key policy does; the IAM policies are not examined. The message shows the statement that they need.";
    PolicyNoClusterVolumes "policy-no-cluster-volumes" Allowed "No statement of the key policy is for cluster volumes"
        "A key configuration does not know the role that launches clusters; the binding checks it in full.";
    PolicyAnyDatabricksAccount "policy-any-databricks-account" Allowed "Every Databricks account may use the key"
        "The statement does not ask for the account tag, as in the older Databricks documentation. Another customer of Databricks who learns the ARN could have the key used (a confused deputy).";
    PolicyTooMuch "policy-too-much" Allowed "Databricks is allowed more than it needs"
        "Databricks needs to use the key, not to manage it. The message names what it could do.";
    PolicyAnyone "policy-anyone" Allowed "Anybody may use the key"
        "A statement allows `Principal: \"*\"` without a condition that says who.";
    PolicyDeletedPrincipal "policy-deleted-principal" Allowed "The key policy names a principal that was deleted"
        "AWS shows it as `AROA…` or `AIDA…`. It matches nobody, also not a new role of the old name, and KMS refuses every change of the policy until it is gone.";
    StorageKeyAlreadySet "storage-key-already-set" Refused "The storage key of a workspace cannot be changed"
        "It is set once and for all: no rotation to another key, no detach.";
    KeyConfigurationNotFound "key-configuration-not-found" Refused "There is no such key configuration in this account"
        "A workspace can only use key configurations of its own account.";
    KeyConfigurationUseCase "key-configuration-use-case" Refused "The key configuration is not made for this use case"
        "Databricks refuses to attach a configuration for what it is not made for, and it cannot be changed.";
    KeyConfigurationUnreadable "key-configuration-unreadable" Refused "The key of the key configuration cannot be read"
        "The account shows a key that this version of the provider cannot name. Nothing can be proven about it, so it is not attached. The message quotes what the account shows.";
    WorkspaceKeyUnreadable "workspace-key-unreadable" Refused "The key configuration of the workspace cannot be read"
        "The account shows something in the place of the attached key configuration that is not an id. It is not taken for an empty place, because a storage key can be set only once. The message quotes what the account shows.";
    WorkspaceRoleUnreadable "workspace-role-unreadable" Refused "The cross-account role of the workspace cannot be read"
        "The key is also for cluster volumes, so the role that launches clusters has to be allowed to use it. Which role that is cannot be read. A warning at plan where the account refuses to show it, an error right before an attach.";
    WorkspaceTier "workspace-tier" Refused "The workspace's pricing tier has no customer-managed keys"
        "They need the Enterprise tier on AWS.";
    WorkspaceStatus "workspace-status" Refused "The workspace is not running"
        "Keys are attached to running workspaces only.";
    WorkspaceCloud "workspace-cloud" Refused "The workspace is in another cloud than the key"
        "A workspace can only use keys of its own cloud.";
    WorkspaceDefaultStorage "workspace-default-storage" Allowed "The workspace has no storage of its own that a storage key could encrypt"
        "A serverless workspace, and one with default storage, has no workspace bucket. Its managed services key covers the default storage; a storage key could never be taken away again.";
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no finding, or one that cannot be silenced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No finding has this name.
    #[error("`{0}` is not the id of a finding{1}")]
    Unknown(String, String),
    /// It must not be silenced.
    #[error(
        "`{0}` cannot be ignored: what it finds makes an attach fail, or cuts a workspace off from its key. Fix the cause instead"
    )]
    Refused(Id),
}

/// A finding that a user does not want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silenced(pub Id);

impl FromStr for Silenced {
    type Err = SilenceError;

    fn from_str(text: &str) -> Result<Self, SilenceError> {
        let id = Id::ALL.iter().copied().find(|id| id.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Id::ALL.iter().map(|id| id.name()).collect();
            let hint = match nearest(text, &names) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => "; it stands in brackets at the end of each message, as in `[kms-key-no-rotation]`".to_owned(),
            };
            SilenceError::Unknown(text.to_owned(), hint)
        })?;
        match id.silence() {
            Silence::Allowed => Ok(Self(id)),
            Silence::Refused => Err(SilenceError::Refused(id)),
        }
    }
}

impl fmt::Display for Silenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

crate::vocabulary::textual!(Silenced);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_read_back() {
        for id in Id::ALL {
            let found = id.name().parse::<Silenced>();
            match id.silence() {
                Silence::Allowed => assert_eq!(found, Ok(Silenced(*id))),
                Silence::Refused => assert_eq!(found, Err(SilenceError::Refused(*id))),
            }
        }
        for (text, message) in [
            (
                "kms-key-no-rotaton",
                "`kms-key-no-rotaton` is not the id of a finding; did you mean `kms-key-no-rotation`?",
            ),
            (
                "nonsense",
                "`nonsense` is not the id of a finding; it stands in brackets at the end of each message, as in `[kms-key-no-rotation]`",
            ),
        ] {
            assert_eq!(
                text.parse::<Silenced>().map_err(|error| error.to_string()),
                Err(message.to_owned())
            );
        }
    }
}
