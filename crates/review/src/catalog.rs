//! Every finding of a review: its stable name, its title, and what it means. The documentation comes from here.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! rules {
    ($($variant:ident $name:literal $title:literal $text:literal;)*) => {
        /// The name of a finding of a review. It never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is described by its text, which the documentation shows")]
        pub enum Rule {
            $($variant,)*
        }

        impl Rule {
            /// All of them, by their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name: `key-deleted`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is about, in one line: the same for every resource, so that a tool that groups findings has one name.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// What it means, in Markdown.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

rules! {
    AcceptedNothing "accepted-nothing" "An accepted finding does not occur"
        "`--accept` names a finding that this plan does not have. Remove the acceptance when it is no longer needed.";
    BindingForgotten "binding-forgotten" "The keys stay attached to a workspace"
        "A `dbxcmk_workspace_binding` is destroyed, or moves to another workspace. Destroying a binding does not detach anything, so the workspace continues to use its keys.";
    BindingRenamed "binding-renamed" "A binding gets another address, and the workspace keeps its keys"
        "A `dbxcmk_workspace_binding` is destroyed and created for the same workspace and the same keys. Nothing is attached. A `moved` block keeps the resource.";
    CheckFailed "check-failed" "A check fails"
        "A `check` block or a condition of this configuration does not hold.";
    CrossAccountRoleChanged "cross-account-role-changed" "The cross-account role of workspaces changes"
        "The workspaces will launch their clusters with another role, and no `dbxcmk_key_policy` of this plan names it. Clusters that cannot use the key do not start.";
    CrossAccountRoleGone "cross-account-role-gone" "The cross-account role is deleted or replaced"
        "AWS replaces a deleted role in every key policy by its unique ID, and a new role of the same name does not match it. Clusters do not start.";
    FindingIgnored "finding-ignored" "A finding of the proof is ignored"
        "`ignore_findings` of the provider or of a resource has an ID. For the provider block, each ID is a finding, because a plan does not show which of them are new. Accept it by its address: `--accept 'finding-ignored:provider.dbxcmk.ignore_findings.ID=REASON'`.";
    ForceDestroy "force-destroy" "The protection of workspaces' permissions is turned off"
        "With `force_destroy = true`, the next destroy removes permissions even if workspaces need them.";
    KeyConfigurationDeleted "key-configuration-deleted" "A key configuration is deleted or replaced"
        "Databricks refuses to delete a configuration that a workspace uses.";
    KeyDeleted "key-deleted" "A key is deleted"
        "From the apply on, the key cannot be used. A warning if the plan removes everything of Databricks from the key, or does not show whether Databricks uses it.";
    KeyDeletionWindow "key-deletion-window" "The deletion of a key is final when its deletion window ends"
        "Until the window ends, the deletion can be cancelled. After that, everything that was encrypted with the key is lost permanently.";
    KeyDisabled "key-disabled" "A key is disabled"
        "Reads and writes fail when the cached data keys expire. Enabling the key restores access. A warning if the plan removes everything of Databricks from the key, or does not show whether Databricks uses it.";
    KeyEnabledAgain "key-enabled-again" "A disabled key is enabled again, or loses the mark of the revocation"
        "The apply gives back a key that somebody disabled. An error if it removes the tag or label with which `key disable` marks the key, otherwise a warning; a note if the plan does not show whether Databricks uses the key.";
    KeyPolicyReset "key-policy-reset" "The policy of a key is reset to the AWS default"
        "Destroying an `aws_kms_key_policy` restores the AWS default policy, which does not name Databricks.";
    KeyPolicyUnknown "key-policy-unknown" "The policy of a key is not known before the apply"
        "The plan does not show the new policy, so the review cannot tell what Databricks may do.";
    KeyRotationTurnedOff "key-rotation-turned-off" "Automatic rotation of a key is turned off"
        "A workspace keeps its storage key permanently, so automatic rotation of its material is the only rotation.";
    KeysSetByPeer "keys-set-by-peer" "Keys of a workspace change without a proof that Databricks can use them"
        "`databricks_mws_workspaces` changes the keys. That resource does not prove that Databricks can use them, and it does not detect a revert.";
    KeysSetTwice "keys-set-twice" "Two resources set the keys of a workspace"
        "`databricks_mws_workspaces` and `dbxcmk_workspace_binding` set the keys of one workspace, and each undoes the change of the other.";
    LakebaseBeforeKey "lakebase-before-key" "A Lakebase project may be created before the workspace has its key"
        "A Lakebase project has the managed services key of its workspace only if it is created after the attach, and never gets it later.";
    ManagedDisksKeyAttached "managed-disks-key-attached" "A workspace gets a key for managed disks"
        "The key can be replaced later, but it cannot be removed.";
    ManagedDisksKeyRotated "managed-disks-key-rotated" "The key for managed disks of a workspace is rotated"
        "Only on Azure: the former key must stay enabled as long as disks exist that it encrypts.";
    ManagedServicesKeyAttached "managed-services-key-attached" "A workspace gets a managed services key"
        "The key can be replaced later, but it cannot be removed.";
    ManagedServicesKeyRotated "managed-services-key-rotated" "The managed services key of a workspace is rotated"
        "The former key must stay enabled for 24 hours.";
    PermissionsLost "permissions-lost" "Permissions on a key are taken away"
        "A change of a key policy removes permissions, or moves them to another key. An error while a workspace uses the key, otherwise a warning.";
    PlanErrored "plan-errored" "The plan is not complete"
        "Terraform stopped while it made this plan, so the review does not see the rest.";
    PolicyWrittenTwice "policy-written-twice" "Two resources write the policy of one key"
        "Two resources write the policy of one key, and each apply of one removes the statements of the other.";
    PreflightWarns "preflight-warns" "Findings of the proof do not stop an apply"
        "The provider configuration has `preflight = \"warn\"`, literally or through a variable. The provider then attaches a key even if Databricks cannot use it.";
    ProofNotKnown "proof-not-known" "The plan does not show how the provider is configured"
        "A setting that can turn a part of the proof off refers to something that a plan does not show, for example a local.";
    ResourceUnreadable "resource-unreadable" "A resource cannot be read"
        "The plan shows a value that this version cannot read, so the review does not cover the resource.";
    RolesNotExamined "roles-not-examined" "The provider does not examine IAM roles"
        "The provider configuration has `examine_iam = false` in `aws`, literally or through a variable. Whether clusters can use the key is not proven.";
    StorageKeyAttached "storage-key-attached" "A workspace gets its storage key, permanently"
        "On AWS and Google Cloud, a storage key can be set only once: it cannot be replaced or removed.";
    StorageKeyChanged "storage-key-changed" "The storage key of a workspace cannot be changed"
        "Databricks refuses to replace a storage key by another one.";
    StorageKeyReset "storage-key-reset" "Workspace storage goes back to a key of Microsoft"
        "Only on Azure: the storage account of the workspace is encrypted with a key that Microsoft manages from then on.";
    StorageKeyRotated "storage-key-rotated" "The key of the storage account of a workspace is rotated"
        "Only on Azure: the storage account needs the former key until it uses the new one, at least 24 hours.";
    TablesKeyLost "tables-key-lost" "Tables lose their own key"
        "A catalog, an external location, a bucket or a storage account no longer has a key of yours. A note if the plan does not show that tables lie there.";
    TablesKeyReplaced "tables-key-replaced" "Tables get another key"
        "What was written before still needs the former key. A note if the plan does not show that tables lie there.";
    TablesKeySet "tables-key-set" "Tables get an own key"
        "Those who read and write the tables need the key from then on, and what was written before keeps its encryption.";
    UnknownAttribute "unknown-attribute" "The configuration has an attribute that does not exist"
        "Terraform ignores unknown names inside a nested attribute, so the default applies.";
    WorkspaceReplaced "workspace-replaced" "A workspace is deleted or replaced"
        "The workspace, its content, and its permissions are deleted.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
