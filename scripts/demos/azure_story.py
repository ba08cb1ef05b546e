"""The story of Azure: a plan that is refused because nobody may use the key, one apply that ends with all three features on, an empty plan, a
rotation of the vault, and the kill switch."""

import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

from story import Story, say

KEY = "https://acme-lakehouse.vault.azure.net/keys/main"
VAULT = (
    "/subscriptions/5ab5c7f1-0000-4000-8000-000000000001/resourceGroups/lakehouse/providers/Microsoft.KeyVault/vaults/acme-lakehouse"
)

HEAD = """
terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "dbxcmk" {
  azure = { # the credential is in the environment (ARM_CLIENT_ID, …)
    ca_bundle = "BUNDLE"
    endpoints = { # only here, because these services are local
      resource_manager = "URL/arm"
      login            = "URL/login"
      graph            = "URL/graph"
      key_vault        = "URL/vault"
    }
  }
}
"""

POLICY = """
resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id      = "KEY"
    vault_resource_id     = "VAULT"
    workspace_resource_id = "WORKSPACE"
  }
}
"""

BINDING = """
resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "MANAGED_DISKS", "STORAGE"]
  azure = {
    key_vault_key_id = "KEY"
  }
}

resource "dbxcmk_workspace_binding" "prod" {
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  managed_disks_key_configuration_id    = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s" # 1 minute with the real Azure
  azure = {
    workspace_resource_id = "WORKSPACE"
  }
  DEPENDS
}
"""


def call(path: str, audience: str, method: str = "GET", body: dict | None = None) -> dict:
    """What somebody else does to the vault: a call with a token of the sandbox's own application."""
    url = os.environ["SANDBOX_AZURE_URL"]
    context = ssl.create_default_context(cafile=os.environ["SANDBOX_CA_BUNDLE"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["ARM_CLIENT_ID"],
        "client_secret": os.environ["ARM_CLIENT_SECRET"],
        "scope": f"{audience}/.default",
    }
    login = f"{url}/login/{os.environ['ARM_TENANT_ID']}/oauth2/v2.0/token"
    with opener.open(login, data=urllib.parse.urlencode(form).encode()) as answer:
        token = json.load(answer)["access_token"]
    request = urllib.request.Request(
        f"{url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with opener.open(request) as answer:
        return json.load(answer)


def versions() -> list[bool]:
    listed = call("/vault/acme-lakehouse/keys/main/versions?api-version=2025-07-01", "https://vault.azure.net")
    return [one["attributes"]["enabled"] for one in listed["value"]]


def connection() -> list[str]:
    url = os.environ["SANDBOX_AZURE_URL"]
    services = {"resource-manager": "arm", "login": "login", "graph": "graph", "key-vault": "vault"}
    endpoints = [f"--endpoint-{service}={url}/{path}" for service, path in services.items()]
    return [*endpoints, "--ca-bundle", os.environ["SANDBOX_CA_BUNDLE"]]


def key(story: Story, *arguments: str, expect: int) -> None:
    print(f"$ dbxcmk key {' '.join(arguments)}", flush=True)
    program = pathlib.Path(os.environ["DBXCMK_PROVIDER_DIRECTORY"]) / "terraform-provider-dbxcmk"
    run = subprocess.run([program, "key", *arguments, *connection()], env=story.environment, check=False)
    if run.returncode != expect:
        sys.exit(f"This step did not go as expected: exit code {run.returncode}, expected {expect}.")


def main() -> None:
    workspace = os.environ["SANDBOX_AZURE_WORKSPACE"]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="dbxcmk-demo-"))
    try:
        story = Story(directory, os.environ["DBXCMK_PROVIDER_DIRECTORY"])

        def text(template: str) -> str:
            named = {"KEY": KEY, "VAULT": VAULT, "WORKSPACE": workspace}
            for name, value in named.items():
                template = template.replace(f'"{name}"', f'"{value}"')
            return template

        head = HEAD.replace("BUNDLE", os.environ["SANDBOX_CA_BUNDLE"]).replace("URL", os.environ["SANDBOX_AZURE_URL"])
        binding = text(BINDING)

        say("1. Databricks is not allowed to use the key yet. The provider refuses the plan and shows the commands that help.")
        story.configure(head + binding.replace("DEPENDS", ""))
        story.terraform("plan", expect=1, shows="az role assignment create")

        say("2. dbxcmk_key_policy grants the access. One apply turns on all three features. Azure creates some of the identities during it.")
        whole = head + text(POLICY) + binding.replace("DEPENDS", "depends_on = [dbxcmk_key_policy.lakehouse]")
        story.configure(whole)
        story.terraform("plan", expect=0, shows="Plan: 3 to add, 0 to change, 0 to destroy.")
        story.terraform("apply", "-auto-approve", expect=0, shows="Apply complete! Resources: 3 added")

        say("3. Plan again: no changes.")
        story.terraform("plan", "-detailed-exitcode", expect=0, shows="No changes.")

        say("4. The vault rotates the key. The workspace stays at its version, and the plan reports it.")
        call("/vault/acme-lakehouse/keys/main/rotate?api-version=2025-07-01", "https://vault.azure.net", "POST", {})
        story.terraform("plan", "-detailed-exitcode", expect=0, shows="The workspace uses an older version of the key")

        say("5. An incident: revoke the key, acknowledge the workspace that stops, and restore the key.")
        key(story, "disable", KEY, "--acknowledge", workspace, expect=0)
        if versions() != [False, False]:
            sys.exit(f"The versions are not disabled: {versions()}")
        key(story, "restore", KEY, expect=0)
        if versions() != [True, True]:
            sys.exit(f"The versions are not enabled: {versions()}")

        say("6. What the audit says every morning: the workspace has its keys, and each of its kinds of data is judged.")
        story.connection = connection()
        story.audit("--cloud", "azure", "--fail-on", "never", expect=0, shows="None of the workspace itself.")
        say("Done. Each step went as expected.")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
