//! Every finding there is: its stable name, whether it can be silenced, and what it means. The documentation comes from here.

use std::fmt;
use std::str::FromStr;

use super::{Severity, Stage};
use kms_policy::nearest;

/// Whether a user may silence a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// The user may ignore it: it is advice.
    Allowed,
    /// If the user ignored it, Databricks would reject the attach, or a workspace would lose access
    /// to its key.
    Refused,
}

/// Whether a finding stops an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeverityRule {
    /// It does.
    Error,
    /// It never does.
    Warning,
    /// A warning at plan, an error right before the call that attaches.
    ErrorAtApply,
    /// A warning, and an error for who asks whether the workspaces that have the key can rely on it.
    ErrorInReadiness,
}

impl SeverityRule {
    /// Whether a finding of this weight may have this severity.
    pub fn admits(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity == Severity::Error,
            Self::Warning => severity == Severity::Warning,
            Self::ErrorAtApply | Self::ErrorInReadiness => true,
        }
    }

    /// For the documentation.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::ErrorAtApply => "warning at plan, error at apply",
            Self::ErrorInReadiness => "warning, error in `dbxcmk_key_readiness` and `key status`",
        }
    }
}

/// What a `dbxcmk_key_policy` does to a finding about access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByPolicy {
    /// Nothing.
    Stays,
    /// It may make it go away, so that a proof waits for the key policies of its run.
    Resolves,
    /// The same, but an apply does not wait for it, because it stops nothing.
    ResolvesAtPlan,
}

impl ByPolicy {
    /// Whether a key policy may make it go away, so that without one nothing is certain.
    pub fn is_resolved(self) -> bool {
        self == Self::Resolves
    }

    /// Whether a proof at this stage waits for key policies because of it.
    pub fn is_waited_for(self, stage: Stage) -> bool {
        match self {
            Self::Stays => false,
            Self::Resolves => true,
            Self::ResolvesAtPlan => stage == Stage::Plan,
        }
    }
}

macro_rules! by_policy {
    () => {
        ByPolicy::Stays
    };
    ($effect:ident) => {
        ByPolicy::$effect
    };
}

macro_rules! catalog {
    ($($variant:ident $name:literal $weight:ident $silence:ident $(by_policy $effect:ident)? $title:literal $text:literal;)*) => {
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

            /// Whether it stops.
            pub fn severity_rule(self) -> SeverityRule {
                match self {
                    $(Self::$variant => SeverityRule::$weight,)*
                }
            }

            /// Whether it can be silenced.
            pub fn suppression(self) -> Suppression {
                match self {
                    $(Self::$variant => Suppression::$silence,)*
                }
            }

            /// What a `dbxcmk_key_policy` does to it.
            pub fn by_policy(self) -> ByPolicy {
                match self {
                    $(Self::$variant => by_policy!($($effect)?),)*
                }
            }
        }
    };
}

catalog! {
    KmsKeyDisabled "kms-key-disabled" Error Refused "The key is disabled"
        "Nobody can encrypt or decrypt with a disabled key. Enable it: `aws kms enable-key`.";
    KmsKeyPendingDeletion "kms-key-pending-deletion" Error Refused "The key is scheduled for deletion"
        "When the deletion window ends, KMS deletes the key, and everything that was encrypted with it is lost. `aws kms cancel-key-deletion` keeps the key and leaves it disabled; `aws kms enable-key` enables it.";
    KmsKeyNotFound "kms-key-not-found" Error Refused "The key does not exist"
        "KMS has no such key, and the credentials belong to the account in its ARN. The ARN has a typo, or the key was deleted.";
    KmsKeyState "kms-key-state" Error Refused "The key cannot be used in its present state"
        "Databricks can use a key only in the state Enabled. A key that is being created or updated, that is unavailable, or that waits for its key material cannot be used.";
    KmsKeyUsage "kms-key-usage" Error Refused "The key is not for encryption"
        "The key usage must be ENCRYPT_DECRYPT. It cannot be changed: create another key.";
    KmsKeySpec "kms-key-spec" Error Refused "The key is not symmetric"
        "The key spec must be SYMMETRIC_DEFAULT. It cannot be changed: create another key.";
    KmsKeyManager "kms-key-manager" Error Refused "AWS manages the key"
        "The policy of an AWS managed key cannot be changed, so it cannot allow Databricks. Create a customer managed key.";
    KmsKeyRegion "kms-key-region" Error Refused "The key is in another region than the workspace"
        "A workspace can use only a key of its own region.";
    KmsKeyPartition "kms-key-partition" Error Refused "The key is in another AWS partition than Databricks"
        "A principal of one partition cannot use a key of another. GovCloud keys are for the GovCloud deployments of Databricks.";
    KmsKeyExpires "kms-key-expires" Warning Allowed "The key's imported material expires"
        "From that day on the key cannot be used, and the workspace loses access to its data until somebody imports the same material again. Import it without an expiration date, or make sure that somebody renews it.";
    KmsKeyReplica "kms-key-replica" Warning Allowed "The key is a replica of a multi-region key"
        "It works as long as the replica exists. It rotates with the primary key, and deleting a replica is as final as deleting any key.";
    KmsKeyNoRotation "kms-key-no-rotation" Warning Allowed "The key is not rotated automatically"
        "A workspace keeps its storage key permanently, so the only possible rotation is that of the key's material: `enable_key_rotation = true` on `aws_kms_key`.";
    KmsKeyNeverUsed "kms-key-never-used" Warning Allowed "Workspaces have the key, and nothing was ever encrypted with it"
        "KMS has recorded every use of the key since it was created, and there is none. Only `key status` reports it, where the Databricks account shows workspaces with the key. It is never a reason to delete a key: disable the key first, and watch for errors.";
    KmsKeyUnreadable "kms-key-unreadable" ErrorAtApply Refused "The key's state could not be read"
        "Without kms:DescribeKey, the provider cannot prove that the key is usable.";
    PolicyUnreadable "policy-unreadable" ErrorAtApply Refused "The key policy could not be read"
        "Without kms:GetKeyPolicy, the provider cannot prove that Databricks may use the key.";
    PolicyMalformed "policy-malformed" Error Refused "The key policy is not valid"
        "The policy does not follow the grammar of key policies; the message names the place.";
    PolicyMissingAction "policy-missing-action" Error Refused by_policy Resolves "The key policy does not allow an action that Databricks needs"
        "The message names every missing action, and shows one statement that grants all of them. Let `dbxcmk_key_policy` manage it.";
    PolicyNotPlannedYet "policy-not-planned-yet" Warning Refused "The key policy of this configuration was not part of the proof"
        "Terraform planned the resource before the `dbxcmk_key_policy` of the same configuration. Refer to the attribute of the `dbxcmk_key_policy` instead of the key, for example `dbxcmk_key_policy.….aws.key_arn`, so that Terraform plans and applies the policy first.";
    PolicyExplicitDeny "policy-explicit-deny" Error Refused "A statement denies what Databricks needs"
        "A Deny wins over every Allow. The message names the statement, and shows the condition that excludes Databricks from it.";
    PolicyUndetermined "policy-undetermined" Error Allowed "The provider cannot decide whether an action is allowed"
        "A condition depends on values that only the call itself has, such as a source address. If you know that Databricks meets the condition, ignore this finding.";
    PolicyGrantOnly "policy-grant-only" Warning Allowed by_policy Resolves "A grant, not the key policy, allows what is needed"
        "A grant can be revoked or retired, and the policy does not show it. Name the role in the policy.";
    PolicyDelegatedOnly "policy-delegated-only" Warning Allowed by_policy Resolves "The cross-account role depends on its IAM policies"
        "The key policy allows the account and leaves the decision to IAM, and the provider could not examine the role. Name the role in the policy, or let the provider read the role.";
    PolicyRoleInAnotherAccount "policy-role-in-another-account" Warning Allowed "The cross-account role is in another AWS account than the key"
        "Across accounts AWS asks both sides: the key policy must allow the role, and the role's IAM policies must allow the key. The key policy does; the provider could not examine the role. The message shows the statement that its IAM policies need.";
    RoleNotFound "role-not-found" ErrorAtApply Refused "The cross-account role does not exist"
        "IAM has no such role, and the credentials belong to its account. Clusters do not start without it. A warning at plan, because the same plan can create the role.";
    RoleIamMissingAction "role-iam-missing-action" ErrorAtApply Refused "The IAM policies of the cross-account role do not allow what it needs"
        "The key policy leaves the decision to IAM, or the role is in another account, so that its IAM policies must allow the key. The message shows the statement to add. A warning at plan, because the same plan can change the role.";
    RoleIamDenies "role-iam-denies" ErrorAtApply Refused "An IAM policy denies the cross-account role the use of the key"
        "A Deny in any policy of the role wins over every Allow. The message names the policy and the statement.";
    RoleBoundaryExcludes "role-boundary-excludes" ErrorAtApply Refused "The permissions boundary of the cross-account role excludes the key"
        "A permissions boundary limits what a role may do, also where the key policy names the role. The message shows the statement to add to the boundary.";
    RoleOrganizationDenies "role-organization-denies" ErrorAtApply Refused "A service control policy denies the cross-account role the use of the key"
        "AWS's policy simulator (`aws.simulate = true`) says so. Only the administrators of the AWS organization can change it.";
    RoleSimulationDisagrees "role-simulation-disagrees" ErrorAtApply Refused "AWS's policy simulator judges the cross-account role differently"
        "Asked for a second opinion (`aws.simulate = true`), the simulator decides an action differently than the provider does by the same policies. The message shows both.";
    RoleIamUnreadable "role-iam-unreadable" ErrorAtApply Refused "An IAM policy of the cross-account role is not valid"
        "The provider cannot read the policy, so it cannot prove what it allows.";
    RoleTrust "role-trust" Warning Allowed "The trust policy of the cross-account role does not let Databricks use the role"
        "Databricks launches clusters with the role. Its trust policy must name Databricks' AWS account, with your Databricks account ID as external ID. Otherwise clusters do not start, and it looks like a problem of the key.";
    PolicyNoClusterVolumes "policy-no-cluster-volumes" Warning Allowed by_policy Resolves "No statement of the key policy is for cluster volumes"
        "A key configuration does not know which role launches clusters. The binding checks it in full.";
    PolicyAnyDatabricksAccount "policy-any-databricks-account" Warning Allowed by_policy Resolves "Every Databricks account may use the key"
        "The statement does not check the account tag, as in older Databricks documentation. Another Databricks customer who learns the ARN could use the key (a confused deputy).";
    PolicyTooMuch "policy-too-much" Warning Allowed "Databricks is allowed more than it needs"
        "The policy lets Databricks create, revoke or retire grants that are not for AWS services, or lets the cross-account role create grants without EC2. A grant outlives the statement that allowed it. Of all calls that manage a key, these are the ones that KMS lets another account make. Add the condition `kms:GrantIsForAWSResource`, for the role `kms:ViaService`.";
    PolicyAnyone "policy-anyone" Warning Allowed "Anybody may use the key"
        "A statement allows `Principal: \"*\"` without a condition that says who.";
    PolicyDeletedPrincipal "policy-deleted-principal" Warning Allowed "The key policy names a principal that was deleted"
        "AWS shows it as `AROA…` or `AIDA…`. It matches nobody, not even a new role of the same name, and KMS rejects every change of the policy until it is removed.";
    GcpKeyLocation "gcp-key-location" Error Refused "The Cloud KMS key is not in a region"
        "Databricks refuses keys of multi-regions and of `global`. The key must be in the region of the workspace.";
    GcpKeyRegion "gcp-key-region" Error Refused "The Cloud KMS key is in another region than the workspace"
        "A workspace can use only a key of its own region. A key cannot be moved.";
    GcpKeyPurpose "gcp-key-purpose" Error Refused "The Cloud KMS key is not for encryption"
        "The purpose must be ENCRYPT_DECRYPT. It cannot be changed: create another key.";
    GcpKeyPrimary "gcp-key-primary" Error Refused "The Cloud KMS key has no enabled primary version"
        "New data cannot be encrypted without one, and data that the primary version encrypted cannot be read. The message shows the workspaces that use the key, the date of a destruction, and the commands that help.";
    GcpKeyVersions "gcp-key-versions" ErrorInReadiness Refused "Old versions of the Cloud KMS key cannot be used"
        "Data that a disabled or scheduled version encrypted cannot be read, and is lost when the version is destroyed. Keep old versions enabled as long as data needs them.";
    GcpKeyJustifications "gcp-key-justifications" Error Refused "The Cloud KMS key allows no access reason"
        "A Key Access Justifications policy that is present and empty makes every use of the key fail.";
    GcpKeyProtection "gcp-key-protection" Warning Allowed "The Cloud KMS key has a protection level that Databricks does not document"
        "Databricks documents SOFTWARE and HSM. What an external key manager does is not visible to Cloud KMS.";
    GcpKeyNoRotation "gcp-key-no-rotation" Warning Allowed "The Cloud KMS key is not rotated automatically"
        "A workspace keeps its storage key permanently, so the only possible rotation is a new version of the same key: `rotation_period` on `google_kms_crypto_key`.";
    GcpKeyShortWindow "gcp-key-short-window" Warning Allowed "The destroy window of the Cloud KMS key is shorter than 7 days"
        "`destroy_scheduled_duration` is less than 7 days. It cannot be changed after the creation of the key.";
    GcpKeyUnreadable "gcp-key-unreadable" ErrorAtApply Refused "The Cloud KMS key could not be read"
        "Cloud KMS answers the same for a key that does not exist and for one that the identity may not read. Planning continues; an apply stops before the attach.";
    GcpMemberMissing "gcp-member-missing" Error Refused by_policy Resolves "A service account that needs the Cloud KMS key is not allowed to use it"
        "Every level from the key to the organization was read, and none grants it. The message names each service account, the conditions under which it would have the key, and what grants it: `dbxcmk_key_policy`, or a command.";
    GcpMemberNotSeen "gcp-member-not-seen" Warning Refused by_policy Resolves "The provider sees no grant for a service account that needs the Cloud KMS key"
        "The provider could not read every level above the key, so a grant may exist there.";
    GcpMemberConditional "gcp-member-conditional" ErrorAtApply Refused by_policy Resolves "A service account may use the Cloud KMS key only under a condition"
        "The provider decides conditions on `resource.name`, `resource.type` and `request.time`. The message quotes the one that it cannot decide.";
    GcpMemberUnknownRole "gcp-member-unknown-role" ErrorAtApply Refused by_policy Resolves "A service account has a role whose permissions are not known"
        "The role may contain the permissions to encrypt and decrypt. Grant roles/cloudkms.cryptoKeyEncrypterDecrypter, which does.";
    GcpMemberDenied "gcp-member-denied" Error Refused "A deny policy takes the Cloud KMS key from a service account that needs it"
        "A deny policy of the project, a folder or the organization denies `cloudkms.googleapis.com/cryptoKeyVersions.useToEncrypt` or `useToDecrypt`. It comes before every grant. The message names the policy, the service accounts, and the exception to add.";
    GcpMemberPerhapsDenied "gcp-member-perhaps-denied" Warning Allowed "A deny policy may take the Cloud KMS key from a service account that needs it"
        "The rule has a condition, or names a group or another set of principals whose members the provider does not read.";
    GcpDenyNotRead "gcp-deny-not-read" Warning Allowed "Deny policies above the Cloud KMS key could not be read"
        "A deny policy of the project, a folder or the organization comes before every grant. The message names the levels. The identity that runs Terraform needs `iam.denypolicies.list` and `iam.denypolicies.get` there, which `roles/iam.denyReviewer` has.";
    GcpWorkspaceAccount "gcp-workspace-account" Warning Allowed by_policy ResolvesAtPlan "The service account of the workspace has no access to the Cloud KMS key"
        "Databricks creates the service account `db-<workspace ID>@prod-gcp-<region>.iam.gserviceaccount.com` with the workspace, and documents that it encrypts and decrypts with the key. No API shows its name: the provider derives it.";
    GcpMembersNotExamined "gcp-members-not-examined" Warning Allowed "Not every service account that needs the Cloud KMS key was examined"
        "The provider could not find out the project number of the workspace, or which service account Databricks uses. The message says which.";
    GcpAttachNotDocumented "gcp-attach-not-documented" Warning Allowed "Databricks does not document the change of keys of an existing workspace on Google Cloud"
        "Databricks documents the update of the key fields of a workspace that exists for AWS alone; on Google Cloud, the documented way is to create the workspace with its keys. The provider sends the update all the same, watches it, and reports what becomes of it.";
    AzureKeyUnreadable "azure-key-unreadable" ErrorAtApply Refused "The key in the vault could not be read"
        "Planning continues; an apply stops before the attach.";
    AzureKeyNotFound "azure-key-not-found" Error Refused "The vault does not have the key"
        "The identifier names a key, or a version of it, that does not exist.";
    AzureKeyDeleted "azure-key-deleted" Error Refused "The key in the vault is deleted"
        "A deleted key cannot be used. Until its vault purges it, it can be recovered; afterwards everything that was encrypted with it is lost permanently.";
    AzureNoToken "azure-no-token" Error Refused "Azure gives the provider no token"
        "The credentials are missing or wrong, so the provider cannot read anything.";
    AzureKeyCloud "azure-key-cloud" Error Refused "The key is in another Azure environment than the provider"
        "The host of the key does not belong to the configured `environment`.";
    AzureKeyType "azure-key-type" Error Refused "The key in the vault is not an RSA key"
        "Databricks wraps its data keys with RSA keys. The type cannot be changed: create another key.";
    AzureKeySize "azure-key-size" Error Refused "The key in the vault has a size that a feature does not take"
        "Managed disks take RSA keys of 2048, 3072 and 4096 bits.";
    AzureKeyOfCertificate "azure-key-of-certificate" Error Refused "The key in the vault belongs to a certificate"
        "It changes and ends with the certificate. Create a key of its own.";
    AzureKeyDisabled "azure-key-disabled" Error Refused "The key in the vault is disabled"
        "Unwrapping fails with a disabled key, so what was written cannot be read.";
    AzureKeyExpired "azure-key-expired" Error Refused "The key in the vault is outside its dates"
        "Outside its dates a key wraps nothing, so an attach fails. What was wrapped before can still be read.";
    AzureKeyOperations "azure-key-operations" Error Refused "The key in the vault does not permit wrapping and unwrapping"
        "The operations of the key (`key_opts`) must contain `wrapKey` and `unwrapKey`.";
    AzureVaultUnreadable "azure-vault-unreadable" ErrorAtApply Refused by_policy Resolves "The vault of the key could not be read"
        "The provider cannot see who may use the key, nor the network rules of the vault.";
    AzureVaultNotFound "azure-vault-not-found" Error Refused "The vault of the key does not exist"
        "Azure has no vault with this resource ID.";
    AzurePurgeProtectionMissing "azure-purge-protection-missing" Error Refused "The vault lacks the purge protection that Azure asks for"
        "Storage accounts and disk encryption sets take only keys of vaults with soft delete and purge protection.";
    AzureVaultUnprotected "azure-vault-unprotected" Warning Allowed "The vault has no soft delete or no purge protection"
        "A key that is purged cannot be recovered. The documentation of Azure Databricks asks for both, also for managed services alone.";
    AzureVaultTenant "azure-vault-tenant" Error Refused "The vault is in another tenant than the workspace"
        "A workspace can use only keys of its own tenant.";
    AzureVaultRegion "azure-vault-region" Error Refused "The vault is in another region than the workspace"
        "For managed disks, the vault must be in the region of the workspace.";
    AzureVaultNetwork "azure-vault-network" Error Refused "The vault's network rules block Databricks"
        "Azure Databricks, Azure Storage and Azure Disk Storage reach the key as trusted services of Microsoft.";
    AzurePrincipalMissing "azure-principal-missing" Error Refused by_policy Resolves "A principal that needs the key is not allowed to use it"
        "The message names the principal and the command. `dbxcmk_key_policy` grants it.";
    AzurePrincipalNotSeen "azure-principal-not-seen" ErrorAtApply Refused by_policy Resolves "Who may use the key could not be read"
        "Allow the identity that runs Terraform to read role assignments.";
    AzurePrincipalDenied "azure-principal-denied" Error Refused "A deny assignment takes the key from a principal that needs it"
        "Deny assignments come before role assignments.";
    AzurePrincipalPerhapsDenied "azure-principal-perhaps-denied" Warning Allowed "A deny assignment may take the key from a principal that needs it"
        "The provider does not read the members of groups and does not decide conditions.";
    AzurePrincipalConditional "azure-principal-conditional" ErrorAtApply Refused by_policy Resolves "A principal is allowed to use the key only under a condition"
        "The provider does not decide conditions of role assignments. The message quotes them.";
    AzurePrincipalUnknownRole "azure-principal-unknown-role" ErrorAtApply Refused by_policy Resolves "A principal has a role whose permissions are not known"
        "The role may contain the permissions. Grant Key Vault Crypto Service Encryption User, which does.";
    AzureVersionPinned "azure-version-pinned" Warning Allowed "The workspace uses an older version of the key"
        "The configuration names no version, and the vault has a newer one. A workspace pins a version: only managed disks can follow by themselves (`rotate_managed_disks_to_latest_version`).";
    AzureFormerVersion "azure-former-version" Warning Allowed "A former version of the key that may still be needed cannot be used"
        "A binding has moved the workspace to another version, or to another key. Managed services and workspace storage need the former one for 24 hours, managed disks as long as old disks exist, which Azure does not tell the provider.";
    AzureDisksFedRamp "azure-disks-fedramp" Error Refused "The workspace cannot have a key for managed disks"
        "Workspaces with FedRAMP compliance have no customer-managed keys for managed disks.";
    StorageKeyAlreadySet "storage-key-already-set" Error Refused "The storage key of a workspace cannot be changed"
        "It can be set only once. It cannot be replaced by another key, and it cannot be detached.";
    KeyConfigurationNotFound "key-configuration-not-found" Error Refused "The key configuration does not exist in this Databricks account"
        "A workspace can use only key configurations of its own account.";
    KeyConfigurationUseCase "key-configuration-use-case" Error Refused "The key configuration is not for this use case"
        "Databricks refuses to attach a configuration for another use case, and a configuration cannot be changed.";
    KeyConfigurationUnreadable "key-configuration-unreadable" Error Refused "The key of the key configuration cannot be read"
        "The account shows a key that this version of the provider cannot read. The provider cannot prove anything about it, so it does not attach it. The message quotes what the account shows.";
    WorkspaceKeyUnreadable "workspace-key-unreadable" Error Refused "The key configuration of the workspace cannot be read"
        "Where the account should show the attached key configuration, it shows something that is not an ID. The provider does not treat it as empty, because a storage key can be set only once. The message quotes what the account shows.";
    WorkspaceRoleUnreadable "workspace-role-unreadable" ErrorAtApply Refused "The cross-account role of the workspace cannot be read"
        "The key is also for cluster volumes, so the role that launches clusters must be allowed to use it, and the provider cannot read which role that is. Always an error where the account shows something that is not the ARN of a role.";
    WorkspaceTier "workspace-tier" Error Refused "The workspace's pricing tier does not include customer-managed keys"
        "On AWS they need the Enterprise tier.";
    WorkspaceTierUnknown "workspace-tier-unknown" Warning Allowed "The workspace's pricing tier is not known"
        "The account shows no pricing tier for the workspace, or one that this version does not know. An attach on a tier without customer-managed keys is refused, and changes nothing.";
    WorkspaceStorageUnknown "workspace-storage-unknown" ErrorAtApply Refused "Where the workspace keeps its data is not known"
        "A storage key can be set only once, and it encrypts only a workspace bucket of yours. The account shows neither that the workspace has one nor that it has none, or a compute or storage mode that this version does not know.";
    WorkspaceStatus "workspace-status" Error Refused "The workspace is not running"
        "Databricks attaches keys only to running workspaces.";
    WorkspaceCloud "workspace-cloud" Error Refused "The workspace is in another cloud than the key"
        "A workspace can use only keys of its own cloud.";
    WorkspaceDefaultStorage "workspace-default-storage" Error Allowed "The workspace has no storage that a storage key could encrypt"
        "A serverless workspace, or one with default storage, has no workspace bucket. Its managed services key covers the default storage; a storage key could never be removed.";
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
    #[error("`{0}` is not the ID of a finding{1}")]
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
        let id = Id::ALL
            .iter()
            .copied()
            .find(|id| id.name() == text)
            .ok_or_else(|| {
                let names: Vec<&str> = Id::ALL.iter().map(|id| id.name()).collect();
                let hint = match nearest(text, &names) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => {
                        "; each message ends with the ID in brackets, as in `[kms-key-no-rotation]`"
                            .to_owned()
                    }
                };
                SilenceError::Unknown(text.to_owned(), hint)
            })?;
        match id.suppression() {
            Suppression::Allowed => Ok(Self(id)),
            Suppression::Refused => Err(SilenceError::Refused(id)),
        }
    }
}

impl Id {
    /// Whether it is about a date that comes nearer, so that it is worth saying again of a key that is in use.
    pub fn comes_nearer(self) -> bool {
        matches!(self, Self::KmsKeyExpires)
    }
}

impl fmt::Display for Silenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

vocabulary::textual!(Silenced);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_read_back() {
        for id in Id::ALL {
            let found = id.name().parse::<Silenced>();
            match id.suppression() {
                Suppression::Allowed => assert_eq!(found, Ok(Silenced(*id))),
                Suppression::Refused => assert_eq!(found, Err(SilenceError::Refused(*id))),
            }
        }
        for (text, message) in [
            (
                "kms-key-no-rotaton",
                "`kms-key-no-rotaton` is not the ID of a finding; did you mean `kms-key-no-rotation`?",
            ),
            (
                "nonsense",
                "`nonsense` is not the ID of a finding; each message ends with the ID in brackets, as in `[kms-key-no-rotation]`",
            ),
        ] {
            assert_eq!(
                text.parse::<Silenced>().map_err(|error| error.to_string()),
                Err(message.to_owned())
            );
        }
    }
}
