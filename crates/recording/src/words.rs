//! What may stay in a recording. Whatever is not here is replaced.

/// Fields whose values are words of the service, as `KeyState` has `Enabled`: such a value stays when it has the form of a word,
/// and a number when it has at most four digits.
const FIELDS: &[&str] = &[
    // Databricks
    "error_code",
    "use_cases",
    "workspace_status",
    "pricing_tier",
    "token_type",
    "grant_type",
    "scope",
    "securable_type",
    "catalog_type",
    "isolation_mode",
    "compute_mode",
    "expected_workspace_status",
    "update_mask",
    "updateMask",
    // AWS
    "__type",
    "Code",
    "Type",
    "Action",
    "Effect",
    "KeyState",
    "KeyUsage",
    "KeyManager",
    "KeySpec",
    "CustomerMasterKeySpec",
    "Origin",
    "EncryptionAlgorithms",
    "MultiRegionKeyType",
    "PolicyName",
    "Operations",
    "Operation",
    "EvalDecision",
    "EventName",
    "eventName",
    "eventSource",
    "EventSource",
    "AttributeKey",
    "SSEAlgorithm",
    "BypassPolicyLockoutSafetyCheck",
    // Google Cloud and Azure
    "purpose",
    "algorithm",
    "protectionLevel",
    "state",
    "status",
    "reason",
    "role",
    "kty",
    "key_ops",
    "recoveryLevel",
    "provisioningState",
    "keySource",
    "kind",
    "principalType",
    "prepareEncryption",
    "diskControllerType",
    "encryptionType",
    "api-version",
    "permissions",
    "errorCode",
    "code",
    "key_size",
    "expires_in",
    "PendingWindowInDays",
    "RotationPeriodInDays",
    // Of a policy, and of the query protocol of AWS.
    "Version",
];

/// Fields with sentences. Words of [`PROSE`] stay in them.
const SENTENCES: &[&str] = &[
    "message",
    "Message",
    "error_description",
    "workspace_status_message",
    "error_message",
];

/// Objects whose fields are those of the service, so that the names of the fields can stay. An object that is not here, as `tags`, may have
/// fields that people name.
const RECORDS: &[&str] = &[
    "aws_key_info",
    "gcp_key_info",
    "azure_key_info",
    "customer_managed_keys",
    "error",
    "details",
    "KeyMetadata",
    "Keys",
    "Grants",
    "Aliases",
    "MultiRegionConfiguration",
    "PrimaryKey",
    "ReplicaKeys",
    "KeyLastUsage",
    "Events",
    "Resources",
    "LookupAttributes",
    "userIdentity",
    "Statement",
    "Principal",
    "cryptoKeys",
    "cryptoKeyVersions",
    "primary",
    "versionTemplate",
    "policy",
    "bindings",
    "properties",
    "parameters",
    "encryption",
    "entities",
    "managedServices",
    "managedDisk",
    "keyVaultProperties",
    "value",
    "key",
    "attributes",
    "sku",
    "identity",
    "accessPolicies",
    "permissions",
    "managedDiskIdentity",
    "storageAccountIdentity",
    "workspaces",
    "catalogs",
    "metastores",
    "external_locations",
    "storage_credentials",
    "encryption_details",
    "sse_encryption_details",
    "gcp",
    "gcp_managed_network_config",
    "cloud_resource_container",
    "azure_workspace_info",
    "prepareEncryption",
    "requireInfrastructureEncryption",
    "enableNoPublicIp",
    "customVirtualNetworkId",
    "customPublicSubnetName",
    "customPrivateSubnetName",
    "storageAccountName",
    "storageAccountSkuName",
    "vnetAddressPrefix",
    "natGatewayName",
    "publicIpName",
    "authorizations",
    "createdBy",
    "updatedBy",
    "systemData",
    "gcp_service_account",
    "token_access_info",
    "aws_credentials",
    "sts_role",
    "root_bucket_info",
];

/// Words of addresses, of names with parts (ARNs, resource IDs), and of policies.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    // Databricks. The number is its AWS account, which its documentation of key policies has.
    "414351767826", "2.0", "2.1", "account", "accounts", "api", "authorize", "azuredatabricks", "catalogs", "cloud", "com", "credentials",
    "customer-managed-keys", "databricks", "external-locations", "gcp", "metastores", "net", "networks", "oidc", "permissions",
    "private-access-settings", "scim", "scopes", "storage-configurations", "storage-credentials", "token", "unity-catalog", "v2", "workspaces",
    "DatabricksAccountId", "all-apis", "current-metastore-assignment", "metastore_summary", "Me", "preview", "ServicePrincipals", "Groups",
    // AWS
    "amazonaws", "arn", "aws", "aws-cn", "aws-us-gov", "alias", "cloudtrail", "iam", "key", "kms", "policy", "role", "root", "s3", "sts", "user",
    "assumed-role", "application", "x-amz-json-1.1", "TrentService", "CloudTrail_20131101", "CloudTrail", "AWS", "Service", "PrincipalTag",
    "CallerAccount", "ViaService", "EncryptionContext", "GrantIsForAWSResource", "PrincipalArn", "SourceArn", "SourceAccount", "PrincipalOrgID",
    "PrincipalIsAWSService", "StringEquals", "StringLike", "StringNotEquals", "ArnLike", "ArnEquals", "Bool", "Null", "ec2", "elasticfilesystem",
    "ForAnyValue", "ForAllValues", "default", "member",
    // Google Cloud
    "cloudkms", "cloudresourcemanager", "compute-system", "cryptoKeyVersions", "cryptoKeys", "googleapis", "gs-project-accounts", "gserviceaccount",
    "iamcredentials", "keyRings", "kmsinventory", "locations", "oauth2", "projects", "roles", "serviceAccount", "serviceAccounts", "storage",
    "getIamPolicy", "setIamPolicy", "testIamPermissions", "generateIdToken", "generateAccessToken", "protectedResourcesSummary", "cryptoKeyEncrypterDecrypter",
    "cryptoKeyEncrypter", "cryptoKeyDecrypter", "viewer", "admin", "v1", "v3", "organizations", "folders", "policies", "denypolicies", "b", "tokeninfo",
    "restore", "destroy", "updatePrimaryVersion", "global", "disable", "enable", "folder", "organization", "project",
    // Azure
    "arm", "azure", "graph", "login", "management", "microsoft", "microsoftonline", "vault", "managedhsm", "windows", "Microsoft", "Databricks",
    "KeyVault", "Authorization", "Compute", "Storage", "Graph", "ManagedIdentity", "Network", "Insights", "subscriptions", "resourceGroups", "resourcegroups", "providers", "vaults",
    "keys", "versions", "roleAssignments", "roleDefinitions", "diskEncryptionSets", "storageAccounts", "accessPolicies", "servicePrincipals",
    "operationStatuses", "asyncOperations", "v1.0", "managedHSMs", "tenants", "userAssignedIdentities", "operationresults", "operations", ".default", "v2.0",
    "create", "rotate", "rotationpolicy", "recover", "deletedkeys", "wrapkey", "unwrapkey", "denyAssignments", "diagnosticSettings", "roleassignments",
    "appId", "eq", "id", "and", "principalId", "assignedTo", "atScope", "atScopeAndBelow",
    // Azure Databricks as an application, and the built-in roles about keys: the same in every tenant.
    "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "00482a5a-887f-4fb3-b363-3b7fe8e74483", "12338af0-0e69-4776-bea7-57ae8d297424",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "21090545-7ca7-4776-b22c-e363652d74d2",
    "2c18b078-7c48-4d3a-af88-5a3a1b3f82b3", "33413926-3206-4cdd-b39a-83574fe37a17", "4633458b-17de-408a-b874-0445c86b69e6",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "e147488a-f6f5-4113-8e2d-b22465e65bf6", "f25e0fa2-a7c8-4377-a976-54943a77a395",
    "metadata", "computeMetadata", "managedServiceIdentities",
    // Of media types and of addresses
    "https", "http", "json", "text", "plain", "xml", "html", "charset", "utf-8", "x-www-form-urlencoded",
];

/// Words of the sentences with which services refuse.
#[rustfmt::skip]
const PROSE: &[&str] = &[
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "has", "have", "had", "not", "no", "and", "or", "but", "of", "to", "in", "on", "at",
    "by", "for", "from", "with", "without", "this", "that", "these", "those", "it", "its", "you", "your", "we", "they", "because", "when", "while", "if",
    "must", "can", "cannot", "could", "may", "should", "does", "do", "did", "already", "only", "any", "all", "one", "more", "than", "as", "either",
    "access", "account", "action", "allow", "allowed", "alias", "assumed", "attach", "attached", "authorized", "bad", "based", "being", "by", "change", "cluster",
    "clusters", "compute", "conflict", "configuration", "configured", "contains", "create", "created", "credential", "credentials", "currently", "customer", "data",
    "decrypt", "delete", "deleted", "deletion", "denied", "disabled", "disk", "does", "enabled", "encrypt", "encryption", "error", "exist", "exists", "exceeded",
    "expired", "failed", "field", "format", "found", "grant", "granted", "id", "identity", "in", "internal", "invalid", "key", "keys", "limit", "location",
    "managed", "many", "malformed", "match", "missing", "name", "network", "operation", "parameter", "pending", "perform", "permission", "permissions", "policy",
    "principal", "project", "provided", "purge", "protection", "quota", "rate", "reached", "read", "region", "registered", "request", "requests", "required", "resource",
    "resource-based", "retry", "role", "rotation", "running", "scheduled", "secret", "server", "service", "services", "set", "soft", "specified", "state", "status",
    "storage", "subscription", "supported", "tenant", "terminated", "throttled", "time", "token", "too", "try", "unable", "unauthorized", "unavailable",
    "unsupported", "update", "updated", "updating", "use", "used", "user", "using", "valid", "validate", "value", "vault", "version", "volume", "volumes", "wait",
    "workspace", "workspaces", "write", "wrong",
];

pub(crate) fn has_word_of_service(field: &str) -> bool {
    FIELDS.contains(&field)
}

pub(crate) fn has_sentences(field: &str) -> bool {
    SENTENCES.contains(&field)
}

pub(crate) fn is_record(field: &str) -> bool {
    RECORDS.contains(&field)
}

pub(crate) fn is_word(text: &str) -> bool {
    WORDS.contains(&text)
}

pub(crate) fn is_prose(text: &str) -> bool {
    PROSE.contains(&text.to_ascii_lowercase().as_str())
}
