"""Drives the sandbox's Azure with the official clients: azure-identity, azure-mgmt-databricks, azure-mgmt-keyvault,
azure-mgmt-authorization, azure-keyvault-keys, azure-keyvault-administration."""

import datetime
import os
import sys
import uuid

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.administration import KeyVaultAccessControlClient
from azure.keyvault.keys import KeyClient
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters
from azure.mgmt.databricks import AzureDatabricksManagementClient
from azure.mgmt.databricks import models
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import (
    AccessPolicyEntry,
    Permissions,
    VaultAccessPolicyParameters,
    VaultAccessPolicyProperties,
)

URL = os.environ["SANDBOX_AZURE_URL"]
BUNDLE = os.environ["SANDBOX_CA_BUNDLE"]
TENANT = os.environ["ARM_TENANT_ID"]
WORKSPACE = os.environ["SANDBOX_AZURE_WORKSPACE"]
SUBSCRIPTION = WORKSPACE.split("/")[2]
GROUP, NAME = WORKSPACE.split("/")[4], WORKSPACE.split("/")[-1]
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lakehouse/providers/Microsoft.KeyVault/vaults/acme-lakehouse"
KEY = f"{VAULT}/keys/main"
DATABRICKS = "da7ab41c-0000-4000-8000-000000000004"
ROLE = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
ROLE_DEFINITION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{ROLE}"


def credential(secret: str) -> ClientSecretCredential:
    return ClientSecretCredential(
        TENANT,
        os.environ["ARM_CLIENT_ID"],
        secret,
        authority=URL,
        disable_instance_discovery=True,
        connection_verify=BUNDLE,
    )


CREDENTIAL = credential(os.environ["ARM_CLIENT_SECRET"])
MANAGEMENT = {"base_url": f"{URL}/arm", "connection_verify": BUNDLE}


def expect(error, words: str, call) -> None:
    try:
        call()
    except error as refused:
        assert words in str(refused), refused
        return
    raise AssertionError(f"expected {error.__name__}")


def by_identity() -> None:
    token = CREDENTIAL.get_token("https://management.azure.com/.default")
    assert token.token and token.expires_on > datetime.datetime.now().timestamp()
    wrong = credential("not-the-secret")
    expect(
        ClientAuthenticationError,
        "AADSTS7000215",
        lambda: wrong.get_token("https://management.azure.com/.default"),
    )


def by_authorization() -> None:
    client = AuthorizationManagementClient(CREDENTIAL, SUBSCRIPTION, **MANAGEMENT)
    wanted = RoleAssignmentCreateParameters(
        role_definition_id=ROLE_DEFINITION, principal_id=DATABRICKS, principal_type="ServicePrincipal"
    )
    name = str(uuid.uuid4())
    made = client.role_assignments.create(KEY, name, wanted)
    assert made.name == name and made.principal_id == DATABRICKS, made
    assert made.scope.lower() == KEY.lower() and made.role_definition_id.endswith(ROLE), made
    expect(HttpResponseError, "RoleAssignmentExists", lambda: client.role_assignments.create(KEY, str(uuid.uuid4()), wanted))
    nobody = RoleAssignmentCreateParameters(
        role_definition_id=ROLE_DEFINITION, principal_id=str(uuid.uuid4()), principal_type="ServicePrincipal"
    )
    expect(HttpResponseError, "PrincipalNotFound", lambda: client.role_assignments.create(KEY, str(uuid.uuid4()), nobody))
    its = f"atScope() and assignedTo('{DATABRICKS}')"
    assert [one.name for one in client.role_assignments.list_for_scope(KEY, filter=its)] == [name]
    assert client.role_assignments.get_by_id(made.id).name == name
    role = client.role_definitions.get_by_id(ROLE_DEFINITION)
    assert role.role_name == "Key Vault Crypto Service Encryption User", role
    assert "Microsoft.KeyVault/vaults/keys/wrap/action" in role.permissions[0].data_actions, role
    assert list(client.deny_assignments.list_for_scope(KEY, filter="atScope()")) == []
    assert client.role_assignments.delete_by_id(made.id).name == name
    assert client.role_assignments.delete_by_id(made.id) is None, "it is gone already"
    # It is needed below.
    client.role_assignments.create(KEY, name, wanted)


def by_vault_management() -> None:
    client = KeyVaultManagementClient(CREDENTIAL, SUBSCRIPTION, **MANAGEMENT)
    vault = client.vaults.get("lakehouse", "acme-lakehouse")
    properties = vault.properties
    assert vault.location == "westeurope" and properties.enable_rbac_authorization, vault
    assert properties.enable_purge_protection and properties.soft_delete_retention_in_days == 90, properties
    assert properties.tenant_id == TENANT and properties.vault_uri == "https://acme-lakehouse.vault.azure.net/", properties
    names = {one.name for one in client.vaults.list_by_subscription()}
    assert names == {"acme-lakehouse", "acme-policies"}, names
    expect(ResourceNotFoundError, "ResourceNotFound", lambda: client.vaults.get("lakehouse", "not-there"))
    policy = AccessPolicyEntry(
        tenant_id=TENANT, object_id=DATABRICKS, permissions=Permissions(keys_property=["get", "wrapKey", "unwrapKey"])
    )
    body = VaultAccessPolicyParameters(properties=VaultAccessPolicyProperties(access_policies=[policy]))

    def policies() -> list[str]:
        return [one.object_id for one in client.vaults.get("lakehouse", "acme-policies").properties.access_policies]

    client.vaults.update_access_policy("lakehouse", "acme-policies", "add", body)
    assert DATABRICKS in policies()
    client.vaults.update_access_policy("lakehouse", "acme-policies", "remove", body)
    assert DATABRICKS not in policies()
    hsm = client.managed_hsms.get("lakehouse", "acme-hsm")
    assert hsm.properties.enable_purge_protection and hsm.properties.hsm_uri.startswith("https://acme-hsm."), hsm
    assert [one.name for one in client.managed_hsms.list_by_subscription()] == ["acme-hsm"]


def by_key_client() -> None:
    def keys(vault: str) -> KeyClient:
        return KeyClient(
            f"{URL}/vault/{vault}", CREDENTIAL, verify_challenge_resource=False, connection_verify=BUNDLE
        )

    client = keys("acme-lakehouse")
    first = client.get_key("main")
    assert first.key_type == "RSA" and first.properties.enabled and first.properties.vault_url.endswith(".azure.net"), first
    assert {"wrapKey", "unwrapKey"} <= set(first.key_operations) and len(first.key.n) == 3072 // 8, first
    second = client.rotate_key("main")
    assert second.properties.version != first.properties.version
    assert client.get_key("main").properties.version == second.properties.version
    versions = list(client.list_properties_of_key_versions("main"))
    assert {one.version for one in versions} == {first.properties.version, second.properties.version}
    changed = client.update_key_properties("main", first.properties.version, enabled=False, tags={"a": "b"})
    assert not changed.properties.enabled and changed.properties.tags == {"a": "b"}
    client.update_key_properties("main", first.properties.version, enabled=True, tags={})
    assert client.get_key("main", first.properties.version).properties.tags in ({}, None)
    expect(ResourceNotFoundError, "KeyNotFound", lambda: client.get_key("not-there"))
    assert [one.name for one in client.list_properties_of_keys()] == ["main"]
    deletion = client.begin_delete_key("main", _polling_interval=0.1)
    deletion.wait()
    deleted = deletion.result()
    assert deleted.scheduled_purge_date - deleted.deleted_date == datetime.timedelta(days=90), deleted
    assert client.get_deleted_key("main").recovery_id.endswith("/deletedkeys/main")
    expect(ResourceNotFoundError, "KeyNotFound", lambda: client.get_key("main"))
    client.begin_recover_deleted_key("main", _polling_interval=0.1).wait()
    assert client.get_key("main").properties.version == second.properties.version, "all versions come back"
    assert keys("acme-hsm").get_key("main").key_type == "RSA-HSM"


def by_administration_client() -> None:
    client = KeyVaultAccessControlClient(
        f"{URL}/vault/acme-hsm", CREDENTIAL, verify_challenge_resource=False, connection_verify=BUNDLE
    )
    role = "Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/33413926-3206-4cdd-b39a-83574fe37a17"
    name = str(uuid.uuid4())
    made = client.create_role_assignment("/keys/main", role, DATABRICKS, name=name)
    assert made.name == name and made.properties.principal_id == DATABRICKS and made.properties.scope == "/keys/main", made
    assert [one.name for one in client.list_role_assignments("/keys/main", filter="atScope()")] == [name]
    assert client.get_role_assignment("/keys/main", name).role_assignment_id == made.role_assignment_id
    client.delete_role_assignment("/keys/main", name)
    client.delete_role_assignment("/keys/main", name)
    assert list(client.list_role_assignments("/keys/main")) == []


def by_databricks_client() -> None:
    client = AzureDatabricksManagementClient(CREDENTIAL, SUBSCRIPTION, polling_interval=0, **MANAGEMENT)
    workspace = client.workspaces.get(GROUP, NAME)
    assert workspace.sku.name == "premium" and workspace.provisioning_state == "Succeeded", workspace
    assert [one.id for one in client.workspaces.list_by_subscription()] == [WORKSPACE]
    version = KeyClient(
        f"{URL}/vault/acme-lakehouse", CREDENTIAL, verify_challenge_resource=False, connection_verify=BUNDLE
    ).get_key("main").properties.version
    of_vault = {
        "key_vault_uri": "https://acme-lakehouse.vault.azure.net/",
        "key_name": "main",
        "key_version": version,
    }
    workspace.encryption = models.WorkspacePropertiesEncryption(
        entities=models.EncryptionEntitiesDefinition(
            managed_services=models.EncryptionV2(
                key_source="Microsoft.Keyvault",
                key_vault_properties=models.EncryptionV2KeyVaultProperties(**of_vault),
            ),
            managed_disk=models.ManagedDiskEncryption(
                key_source="Microsoft.Keyvault",
                key_vault_properties=models.ManagedDiskEncryptionKeyVaultProperties(**of_vault),
                rotation_to_latest_key_version_enabled=True,
            ),
        )
    )
    # Azure shows this parameter empty, and does not take it back so.
    expect(
        HttpResponseError,
        "customVirtualNetworkId",
        lambda: client.workspaces.begin_create_or_update(GROUP, NAME, workspace).result(),
    )
    workspace.parameters.custom_virtual_network_id = None
    workspace.parameters.prepare_encryption = models.WorkspaceCustomBooleanParameter(value=True)
    done = client.workspaces.begin_create_or_update(GROUP, NAME, workspace).result()
    assert done.encryption.entities.managed_services.key_vault_properties.key_version == version, done
    assert done.managed_disk_identity.principal_id and done.storage_account_identity.principal_id, done
    assert done.disk_encryption_set_id.endswith("/diskEncryptionSets/dbdiskencryptionset"), done
    # The storage account's identity may not use the key yet, and the workspace says so after a while.
    done.parameters.custom_virtual_network_id = None
    done.parameters.encryption = models.WorkspaceEncryptionParameter(
        value=models.Encryption(
            key_source="Microsoft.Keyvault",
            key_vault_uri=of_vault["key_vault_uri"],
            key_name="main",
            key_version=version,
        )
    )
    expect(
        HttpResponseError,
        "KeyVaultAuthenticationFailure",
        lambda: client.workspaces.begin_create_or_update(GROUP, NAME, done).result(),
    )
    assert client.workspaces.get(GROUP, NAME).provisioning_state == "Failed"
    expect(ResourceNotFoundError, "ResourceNotFound", lambda: client.workspaces.get(GROUP, "not-there"))


if __name__ == "__main__":
    by_identity()
    by_authorization()
    by_vault_management()
    by_key_client()
    by_administration_client()
    by_databricks_client()
    print("all as Azure's clients expect")
    sys.exit(0)
