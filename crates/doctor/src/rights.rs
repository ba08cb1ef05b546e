//! The rights that the provider and its commands need, as data. The guide on permissions has the same in prose.

use serde::Serialize;

/// A service with identities and rights of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The Databricks account, on AWS and Google Cloud.
    Databricks,
    /// AWS: KMS and IAM.
    Aws,
    /// Google Cloud: Cloud KMS and Resource Manager.
    Google,
    /// Azure: Resource Manager, Key Vault and Microsoft Graph.
    Azure,
}

impl Service {
    /// The name for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Databricks => "Databricks account",
            Self::Aws => "AWS",
            Self::Google => "Google Cloud",
            Self::Azure => "Azure",
        }
    }
}

/// What a right is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// `terraform plan`: reading and proving.
    Plan,
    /// `terraform apply`: key configurations, key policies and bindings.
    Apply,
    /// `key status`, `disable`, `restore`, and the actions.
    KillSwitch,
    /// `audit`
    Audit,
}

impl Purpose {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Plan, Self::Apply, Self::KillSwitch, Self::Audit];

    /// The name for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::KillSwitch => "kill switch",
            Self::Audit => "audit",
        }
    }
}

/// A right of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Its name, in the words of the service.
    pub name: &'static str,
    /// What it is needed for.
    pub purposes: &'static [Purpose],
    /// Whether these do not work without it. Without another one, they say less.
    pub is_required: bool,
    /// What happens without it.
    pub without: &'static str,
    /// The role that has it, on clouds with roles; empty elsewhere.
    pub role: &'static str,
}

use Purpose::{Apply, Audit, KillSwitch, Plan};

const EVERYTHING: &[Purpose] = &[Plan, Apply, KillSwitch, Audit];
const PROOF: &[Purpose] = &[Plan, Apply, Audit];

const fn required(
    name: &'static str,
    purposes: &'static [Purpose],
    without: &'static str,
) -> Right {
    Right {
        name,
        purposes,
        is_required: true,
        without,
        role: "",
    }
}

const fn useful(name: &'static str, purposes: &'static [Purpose], without: &'static str) -> Right {
    Right {
        is_required: false,
        ..required(name, purposes, without)
    }
}

impl Right {
    const fn by(self, role: &'static str) -> Self {
        Self { role, ..self }
    }
}

/// Source: account API reference: its lists and its changes are for account admins.
const DATABRICKS: &[Right] = &[
    required(
        "list key configurations",
        EVERYTHING,
        "Nothing that is about key configurations can be planned, and nobody knows which workspaces stop without a key.",
    ),
    required(
        "list workspaces",
        EVERYTHING,
        "No binding can be planned, and nobody knows which workspaces stop without a key.",
    ),
    required(
        "list credentials configurations",
        PROOF,
        "The role that launches clusters is not known, so a key for cluster volumes cannot be proven.",
    ),
    useful(
        "list metastores",
        EVERYTHING,
        "Catalogs of Unity Catalog that have a key are not seen.",
    ),
    required(
        "account admin",
        &[Apply],
        "Key configurations cannot be created, and keys cannot be attached to workspaces.",
    ),
];

const ROLES: &str = "The policies of the cross-account role cannot be examined: what depends on them is a warning at plan.";

/// Source: the calls of `clouds/aws`; AWS Service Authorization Reference, KMS and IAM.
const AWS: &[Right] = &[
    required(
        "kms:DescribeKey",
        EVERYTHING,
        "The state of a key is not known: a warning at plan, and an apply stops before it attaches the key.",
    ),
    required(
        "kms:GetKeyPolicy",
        EVERYTHING,
        "Nothing proves that Databricks may use a key: a warning at plan, and an apply stops before it attaches the key.",
    ),
    useful(
        "kms:ListGrants",
        PROOF,
        "Grants count as absent, and what uses a key by a grant is not seen.",
    ),
    useful(
        "kms:GetKeyRotationStatus",
        &[Plan, Audit],
        "Whether a key is rotated automatically is not known.",
    ),
    useful(
        "kms:GetKeyLastUsage",
        &[KillSwitch, Audit],
        "When a key was last used is not known.",
    ),
    useful("iam:GetRole", PROOF, ROLES),
    useful("iam:ListAttachedRolePolicies", PROOF, ROLES),
    useful("iam:GetPolicy", PROOF, ROLES),
    useful("iam:GetPolicyVersion", PROOF, ROLES),
    useful("iam:ListRolePolicies", PROOF, ROLES),
    useful("iam:GetRolePolicy", PROOF, ROLES),
    required(
        "kms:PutKeyPolicy",
        &[Apply],
        "`dbxcmk_key_policy` cannot change a key policy. Not needed where the policy is managed elsewhere.",
    ),
    required(
        "kms:ListResourceTags",
        &[KillSwitch],
        "Who disabled a key is not known, so a restore does not enable it by itself.",
    ),
    required(
        "kms:TagResource",
        &[KillSwitch],
        "A key cannot be marked as disabled by this provider.",
    ),
    required(
        "kms:UntagResource",
        &[KillSwitch],
        "The mark of a restored key cannot be removed.",
    ),
    required("kms:DisableKey", &[KillSwitch], "A key cannot be disabled."),
    required(
        "kms:EnableKey",
        &[KillSwitch],
        "A key that is disabled cannot be restored.",
    ),
    required(
        "kms:ScheduleKeyDeletion",
        &[KillSwitch],
        "A key cannot be scheduled for deletion.",
    ),
    required(
        "kms:CancelKeyDeletion",
        &[KillSwitch],
        "A key that is scheduled for deletion cannot be restored.",
    ),
];

const ABOVE: &str =
    "Grants above the key are not seen, so a missing grant is a warning and not an error.";

/// Source: the calls of `clouds/gcp`; Google Cloud, "Permissions and roles" of Cloud KMS and Resource Manager.
const GOOGLE: &[Right] = &[
    required(
        "cloudkms.cryptoKeys.get",
        EVERYTHING,
        "The state of a key is not known: a warning at plan, and an apply stops before it attaches the key.",
    )
    .by("roles/cloudkms.viewer"),
    required(
        "cloudkms.cryptoKeyVersions.list",
        EVERYTHING,
        "Which versions of a key are enabled is not known.",
    )
    .by("roles/cloudkms.viewer"),
    required(
        "cloudkms.cryptoKeys.getIamPolicy",
        EVERYTHING,
        "Who may use a key is not known.",
    )
    .by("roles/iam.securityReviewer"),
    useful("cloudkms.keyRings.getIamPolicy", PROOF, ABOVE).by("roles/iam.securityReviewer"),
    useful(
        "resourcemanager.projects.get",
        PROOF,
        "The number of a project is not known, so its service agents have no names.",
    )
    .by("roles/browser"),
    useful("resourcemanager.projects.getIamPolicy", PROOF, ABOVE).by("roles/iam.securityReviewer"),
    required(
        "cloudkms.cryptoKeys.setIamPolicy",
        &[Apply],
        "`dbxcmk_key_policy` cannot grant the use of a key. Not needed where the grants are managed elsewhere.",
    )
    .by("roles/cloudkms.admin"),
    required(
        "cloudkms.cryptoKeyVersions.update",
        &[KillSwitch],
        "Versions of a key cannot be disabled, nor enabled again.",
    )
    .by("roles/cloudkms.admin"),
    required(
        "cloudkms.cryptoKeyVersions.destroy",
        &[KillSwitch],
        "Versions of a key cannot be scheduled for destruction.",
    )
    .by("roles/cloudkms.admin"),
    required(
        "cloudkms.cryptoKeyVersions.restore",
        &[KillSwitch],
        "Versions that are scheduled for destruction cannot be restored.",
    )
    .by("roles/cloudkms.admin"),
    required(
        "cloudkms.cryptoKeys.update",
        &[KillSwitch],
        "A key cannot be marked as disabled by this provider.",
    )
    .by("roles/cloudkms.admin"),
];

/// Source: the calls of `clouds/azure`; Azure, "Azure permissions for Security", "… for Analytics", "… for Management and governance".
const AZURE: &[Right] = &[
    required(
        "Microsoft.Databricks/workspaces/read",
        EVERYTHING,
        "No binding can be planned, and nobody knows which workspaces stop without a key.",
    )
    .by("Reader"),
    required(
        "Microsoft.KeyVault/vaults/read",
        EVERYTHING,
        "The protection and the network rules of a vault, and who may use its keys, are not known: an apply stops before it attaches a key.",
    )
    .by("Reader"),
    required(
        "Microsoft.Authorization/roleAssignments/read",
        PROOF,
        "Who may use the keys of a vault with role assignments is not known: an apply stops before it attaches a key.",
    )
    .by("Reader"),
    useful(
        "Microsoft.Authorization/roleDefinitions/read",
        PROOF,
        "What roles of your own allow is not known.",
    )
    .by("Reader"),
    useful(
        "Microsoft.Authorization/denyAssignments/read",
        PROOF,
        "Deny assignments, which come before role assignments, are not seen.",
    )
    .by("Reader"),
    required(
        "Microsoft.KeyVault/vaults/keys/read",
        EVERYTHING,
        "The state of a key is not known: a warning at plan, and an apply stops before it attaches the key.",
    )
    .by("Key Vault Reader"),
    required(
        "read applications in Microsoft Graph",
        PROOF,
        "The object ID of AzureDatabricks is not known. Not needed with `databricks_principal_id`.",
    )
    .by("Directory Readers"),
    required(
        "Microsoft.Databricks/workspaces/write",
        &[Apply],
        "Keys cannot be attached to workspaces.",
    )
    .by("Contributor"),
    useful(
        "Microsoft.Authorization/roleAssignments/write",
        &[Apply],
        "Access to the keys of a vault with role assignments cannot be given. Not needed where that is managed elsewhere.",
    )
    .by("Key Vault Data Access Administrator"),
    useful(
        "Microsoft.KeyVault/vaults/accessPolicies/write",
        &[Apply],
        "Access to the keys of a vault with access policies cannot be given. Not needed where that is managed elsewhere.",
    )
    .by("Key Vault Contributor"),
    required(
        "Microsoft.KeyVault/vaults/keys/update/action",
        &[KillSwitch],
        "A key cannot be disabled, nor enabled again.",
    )
    .by("Key Vault Crypto Officer"),
    required(
        "Microsoft.KeyVault/vaults/keys/delete",
        &[KillSwitch],
        "A key cannot be deleted.",
    )
    .by("Key Vault Crypto Officer"),
    required(
        "Microsoft.KeyVault/vaults/keys/recover/action",
        &[KillSwitch],
        "A deleted key cannot be recovered.",
    )
    .by("Key Vault Crypto Officer"),
];

/// The rights of a service.
pub fn rights_of(service: Service) -> &'static [Right] {
    match service {
        Service::Databricks => DATABRICKS,
        Service::Aws => AWS,
        Service::Google => GOOGLE,
        Service::Azure => AZURE,
    }
}
