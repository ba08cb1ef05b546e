"""Drives the sandbox's Google Cloud with the official clients: google-cloud-kms, google-api-python-client, databricks-sdk."""

import os
import sys
import time

from databricks.sdk import AccountClient
from databricks.sdk.service.provisioning import CreateGcpKeyInfo, KeyUseCase
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, Conflict, Forbidden
from google.cloud import kms_v1
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

URL = os.environ["SANDBOX_URL"]
TOKEN = os.environ["GOOGLE_OAUTH_ACCESS_TOKEN"]
LOCATION = "projects/acme-lakehouse/locations/us-east4"
RING = f"{LOCATION}/keyRings/lakehouse"
KEY = f"{RING}/cryptoKeys/main"
State = kms_v1.CryptoKeyVersion.CryptoKeyVersionState


def expect(error, words, call) -> None:
    try:
        call()
    except error as refused:
        assert words in str(refused), refused
        return
    raise AssertionError(f"expected {error.__name__}")


def by_the_kms_client() -> None:
    client = kms_v1.KeyManagementServiceClient(
        transport="rest", credentials=Credentials(TOKEN), client_options=ClientOptions(api_endpoint=URL)
    )
    client.create_key_ring(parent=LOCATION, key_ring_id="lakehouse", key_ring={})
    expect(Conflict, "already exists", lambda: client.create_key_ring(parent=LOCATION, key_ring_id="lakehouse", key_ring={}))
    purpose = kms_v1.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT
    made = client.create_crypto_key(parent=RING, crypto_key_id="main", crypto_key={"purpose": purpose, "labels": {"a": "b"}})
    assert made.name == KEY and made.primary.state == State.ENABLED, made
    assert client.get_crypto_key(name=KEY).labels == {"a": "b"}
    assert [key.name for key in client.list_crypto_keys(parent=RING)] == [KEY]
    for _ in range(4):
        client.create_crypto_key_version(parent=KEY, crypto_key_version={})
    assert len(list(client.list_crypto_key_versions(parent=KEY))) == 5, "pages are followed"

    second = f"{KEY}/cryptoKeyVersions/2"
    disabled = client.update_crypto_key_version(
        crypto_key_version={"name": second, "state": State.DISABLED}, update_mask={"paths": ["state"]}
    )
    assert disabled.state == State.DISABLED
    scheduled = client.destroy_crypto_key_version(name=second)
    assert scheduled.state == State.DESTROY_SCHEDULED and scheduled.destroy_time.timestamp() > time.time() + 29 * 86400
    expect(BadRequest, "has value DESTROY_SCHEDULED", lambda: client.destroy_crypto_key_version(name=second))
    expect(
        BadRequest,
        "has value DESTROY_SCHEDULED",
        lambda: client.update_crypto_key_version(
            crypto_key_version={"name": second, "state": State.ENABLED}, update_mask={"paths": ["state"]}
        ),
    )
    assert client.restore_crypto_key_version(name=second).state == State.DISABLED
    client.update_crypto_key(crypto_key={"name": KEY, "labels": {"a": "c"}}, update_mask={"paths": ["labels"]})
    expect(
        BadRequest,
        "labels",
        lambda: client.update_crypto_key(crypto_key={"name": KEY, "labels": {"a": "C"}}, update_mask={"paths": ["labels"]}),
    )
    assert client.update_crypto_key_primary_version(name=KEY, crypto_key_version_id="3").primary.name.endswith("/3")
    expect(Forbidden, "or it may not exist", lambda: client.get_crypto_key(name=f"{KEY}-not-there"))

    policy = client.get_iam_policy(request={"resource": KEY, "options": {"requested_policy_version": 3}})
    policy.bindings.add(role="roles/cloudkms.viewer", members=["user:ann@example.com"])
    written = client.set_iam_policy(request={"resource": KEY, "policy": policy})
    assert written.etag != policy.etag
    expect(Conflict, "concurrent policy changes", lambda: client.set_iam_policy(request={"resource": KEY, "policy": policy}))
    own = client.test_iam_permissions(request={"resource": KEY, "permissions": ["cloudkms.cryptoKeys.get"]})
    assert list(own.permissions) == ["cloudkms.cryptoKeys.get"]


def by_the_discovery_client() -> None:
    def service(name: str, version: str):
        return build(
            name,
            version,
            credentials=Credentials(TOKEN),
            client_options=ClientOptions(api_endpoint=URL),
            static_discovery=True,
            cache_discovery=False,
        )

    keys = service("cloudkms", "v1").projects().locations().keyRings().cryptoKeys()
    assert keys.get(name=KEY).execute()["primary"]["state"] == "ENABLED"
    versions = keys.cryptoKeyVersions().list(parent=KEY).execute()
    assert versions["totalSize"] == 5 and versions["nextPageToken"], versions
    policy = keys.getIamPolicy(resource=KEY, options_requestedPolicyVersion=3).execute()
    missing = {"role": "roles/cloudkms.viewer", "members": ["serviceAccount:nobody@x.iam.gserviceaccount.com"]}
    expect(
        HttpError,
        "Service account nobody@x.iam.gserviceaccount.com does not exist.",
        lambda: keys.setIamPolicy(resource=KEY, body={"policy": {**policy, "bindings": [missing]}}).execute(),
    )
    manager = service("cloudresourcemanager", "v3")
    project = manager.projects().get(name="projects/acme-lakehouse").execute()
    assert project["name"] == "projects/123456789012" and project["parent"].startswith("folders/"), project
    assert manager.projects().getIamPolicy(resource="projects/acme-lakehouse", body={}).execute()["etag"]
    folder = manager.folders().get(name=project["parent"]).execute()
    assert manager.organizations().getIamPolicy(resource=folder["parent"], body={}).execute()["etag"]
    agent = service("storage", "v1")  # its paths have the prefix in the document
    assert agent is not None
    token = (
        service("iamcredentials", "v1")
        .projects()
        .serviceAccounts()
        .generateAccessToken(
            name="projects/-/serviceAccounts/keys@acme-lakehouse.iam.gserviceaccount.com",
            body={"scope": ["https://www.googleapis.com/auth/cloud-platform"]},
        )
        .execute()
    )
    assert token["accessToken"], token


def by_databricks_sdk() -> None:
    # The SDK has no method that sends both tokens to a local host: an ID token alone shows what is refused without the other.
    account = AccountClient(
        host=URL, account_id=os.environ["DATABRICKS_ACCOUNT_ID"], client_id=os.environ["DATABRICKS_CLIENT_ID"],
        client_secret=os.environ["DATABRICKS_CLIENT_SECRET"], auth_type="oauth-m2m",
    )
    made = account.encryption_keys.create(
        use_cases=[KeyUseCase.STORAGE], gcp_key_info=CreateGcpKeyInfo(kms_key_id=KEY, manual=True)
    )
    found = account.encryption_keys.get(made.customer_managed_key_id)
    assert found.gcp_key_info.kms_key_id == KEY, found
    assert found.gcp_key_info.gcp_service_account.service_account_email.endswith(".iam.gserviceaccount.com"), found
    expect(
        Exception,
        "Failed to get oauth access token",
        lambda: account.encryption_keys.create(
            use_cases=[KeyUseCase.STORAGE], gcp_key_info=CreateGcpKeyInfo(kms_key_id=KEY)
        ),
    )
    workspace = next(one for one in account.workspaces.list() if one.cloud == "gcp")
    assert workspace.location == "us-east4" and workspace.cloud_resource_container.gcp.project_id == "acme-lakehouse"
    account.encryption_keys.delete(made.customer_managed_key_id)


if __name__ == "__main__":
    by_the_kms_client()
    by_the_discovery_client()
    by_databricks_sdk()
    print("all as Google's clients expect")
    sys.exit(0)
