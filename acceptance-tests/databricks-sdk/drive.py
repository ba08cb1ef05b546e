"""Drives the sandbox's account API with the official SDK of Databricks, as an account administrator would."""

import sys
import time

from databricks.sdk import AccountClient
from databricks.sdk.errors import BadRequest, NotFound, ResourceConflict
from databricks.sdk.service.provisioning import CreateAwsKeyInfo, KeyUseCase

WORKSPACE = 1234567890123456


def main(key_arn: str) -> None:
    account = AccountClient()
    workspaces = {workspace.workspace_id: workspace for workspace in account.workspaces.list()}
    assert workspaces[WORKSPACE].workspace_status.value == "RUNNING", workspaces
    assert list(account.encryption_keys.list()) == []

    made = account.encryption_keys.create(
        use_cases=[KeyUseCase.MANAGED_SERVICES, KeyUseCase.STORAGE],
        aws_key_info=CreateAwsKeyInfo(key_arn=key_arn, key_alias="alias/x", reuse_key_for_cluster_volumes=False),
    )
    found = account.encryption_keys.get(made.customer_managed_key_id)
    assert found.aws_key_info.key_arn == key_arn, found
    assert found.aws_key_info.key_region == "eu-central-1", found
    assert found.aws_key_info.reuse_key_for_cluster_volumes is False, found
    assert {use.value for use in found.use_cases} == {"MANAGED_SERVICES", "STORAGE"}, found
    assert found.creation_time > 1_600_000_000_000, found

    identity = made.customer_managed_key_id
    account.api_client.do(
        "PATCH",
        f"/api/2.0/accounts/{account.config.account_id}/workspaces/{WORKSPACE}",
        query={"update_mask": "storage_customer_managed_key_id"},
        body={"storage_customer_managed_key_id": identity},
    )
    for _ in range(100):
        workspace = account.workspaces.get(WORKSPACE)
        if workspace.storage_customer_managed_key_id == identity:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the storage key never showed")
    role = account.credentials.get(workspace.credentials_id).aws_credentials.sts_role.role_arn
    assert role.endswith("role/databricks-cross-account"), role

    expect(ResourceConflict, lambda: account.encryption_keys.delete(identity))
    expect(NotFound, lambda: account.encryption_keys.get("00000000-0000-4000-8000-000000000000"))
    expect(NotFound, lambda: account.workspaces.get(1))
    expect(BadRequest, lambda: account.encryption_keys.get("account/uuid"))
    print("all as the SDK expects")


def expect(error, call) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")


if __name__ == "__main__":
    main(sys.argv[1])
