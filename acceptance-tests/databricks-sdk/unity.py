"""Reads the sandbox's Unity Catalog with the official SDK of Databricks: metastores from the account, the rest through a workspace.

The SDK takes no path in a host, so it asks the workspace by its own name, with the sandbox as its proxy.
"""

import json
import os
import urllib.request

from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.catalog import CatalogType

SANDBOX = os.environ["SANDBOX_URL"]
WORKSPACE = 1234567890123456
METASTORES = {
    "lakehouse-prod.cloud.databricks.com": "3a7e0000-0000-4000-8000-000000000001",
    "lakehouse-google.gcp.databricks.com": "3a7e0000-0000-4000-8000-000000000002",
    "adb-4567890123456789.9.azuredatabricks.net": "3a7e0000-0000-4000-8000-000000000003",
}


def stage(path: str, changes: dict) -> None:
    request = urllib.request.Request(f"{SANDBOX}/_sandbox/{path}", json.dumps(changes).encode(), method="PATCH")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()


def workspace(host: str) -> WorkspaceClient:
    secret = {name: os.environ[f"DATABRICKS_{name.upper()}"] for name in ["client_id", "client_secret"]}
    return WorkspaceClient(host=f"http://{host}", auth_type="oauth-m2m", **secret)


def main() -> None:
    account = AccountClient(auth_type="oauth-m2m")
    assert [one.metastore_id for one in account.metastores.list()] == list(METASTORES.values())
    first = list(METASTORES.values())[0]
    assert account.metastores.get(first).metastore_info.region == "eu-central-1"
    assert WORKSPACE in list(account.metastore_assignments.list(first))
    expect(NotFound, lambda: account.metastores.get("none"))

    # Workspaces are asked by their names from here on, and the account's variables do not count for them.
    os.environ.update(HTTP_PROXY=SANDBOX, http_proxy=SANDBOX)
    for name in ["DATABRICKS_HOST", "DATABRICKS_ACCOUNT_ID"]:
        os.environ.pop(name, None)
    settings = [
        {"customer_managed_key_id": "c1000000-0000-4000-8000-000000000001"},
        {"customer_managed_key_id": "c1000000-0000-4000-8000-000000000002"},
        {
            "azure_key_vault_key_id": "https://acme-lakehouse.vault.azure.net/keys/main/0123",
            "azure_encryption_settings": {"azure_tenant_id": "t", "azure_cmk_access_connector_id": "/subscriptions/s"},
        },
    ]
    credentials = ["aws_iam_role", "databricks_gcp_service_account", "azure_managed_identity"]
    for (host, metastore), keys, credential in zip(METASTORES.items(), settings, credentials):
        stage(f"metastores/{metastore}", {"catalogs": {"sealed": {"managed_encryption_settings": keys}}})
        client = workspace(host)
        assert client.metastores.summary().metastore_id == metastore
        owner = client.metastores.summary().owner
        assert owner in [group.display for group in client.current_user.me().groups]
        catalogs = {one.name: one for one in client.catalogs.list(include_browse=True, include_unbound=True)}
        assert catalogs["sealed"].managed_encryption_settings.as_dict() == keys, catalogs["sealed"]
        assert catalogs["main"].managed_encryption_settings is None
        assert catalogs["main"].catalog_type is CatalogType.MANAGED_CATALOG
        location = next(iter(client.external_locations.list()))
        assert location.credential_name == "tables" and location.url, location
        assert getattr(next(iter(client.storage_credentials.list())), credential), credential

    host = next(iter(METASTORES))
    details = {"sse_encryption_details": {"algorithm": "AWS_SSE_KMS", "aws_kms_key_arn": "arn:aws:kms:eu-central-1:1:key/k"}}
    stage(f"metastores/{first}", {"external_locations": {"tables": {"encryption_details": details}}})
    location = next(iter(workspace(host).external_locations.list()))
    assert location.encryption_details.as_dict() == details, location

    stage(f"metastores/{first}", {"caller_is_no_admin": True, "catalogs": {"sealed": {"sight": "browse"}}})
    names = {one.name: one.browse_only for one in workspace(host).catalogs.list(include_browse=True)}
    assert names["sealed"] is True and not names["main"], names
    assert "sealed" not in {one.name for one in workspace(host).catalogs.list()}
    stage("unity", {"include_unbound": "refused"})
    expect(PermissionDenied, lambda: list(workspace(host).catalogs.list(include_unbound=True)))
    stage("unity", {"closed": [WORKSPACE]})
    expect(PermissionDenied, lambda: list(workspace(host).catalogs.list()))
    print("all as the SDK expects")


def expect(error, call) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")


if __name__ == "__main__":
    main()
