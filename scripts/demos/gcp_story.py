"""The story of Google Cloud: a key whose service agents lack access, the members that are missing, an attach, an empty plan, and the
kill switch."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from story import HEAD, Story, say

RING = "projects/acme-lakehouse/locations/us-east4/keyRings/lakehouse"
KEY = f"{RING}/cryptoKeys/main"

CONFIGURATION = """
resource "dbxcmk_key_configuration" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id = "KEY"
    manual     = true
  }
}
"""

POLICY = """
resource "dbxcmk_key_policy" "lakehouse" {
  use_cases = ["MANAGED_SERVICES", "STORAGE"]
  gcp = {
    kms_key_id                  = "KEY"
    databricks_service_accounts = [dbxcmk_key_configuration.lakehouse.gcp.service_account_email]
    workspace_project_number    = "123456789012"
  }
}
"""

BINDING = """
resource "dbxcmk_workspace_binding" "prod" {
  workspace_id                          = "WORKSPACE"
  managed_services_key_configuration_id = dbxcmk_key_configuration.lakehouse.id
  storage_key_configuration_id          = dbxcmk_key_configuration.lakehouse.id
  settle_time                           = "0s" # 20 minutes with the real Databricks
  DEPENDS
}
"""


def kms(path: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(
        f"{os.environ['SANDBOX_URL']}/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['GOOGLE_OAUTH_ACCESS_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def states() -> list[str]:
    return [one["state"] for one in kms(f"{KEY}/cryptoKeyVersions?pageSize=10")["cryptoKeyVersions"]]


def key(story: Story, *arguments: str, expect: int) -> None:
    print(f"$ dbxcmk key {' '.join(arguments)}", flush=True)
    program = pathlib.Path(os.environ["DBXCMK_PROVIDER_DIRECTORY"]) / "terraform-provider-dbxcmk"
    run = subprocess.run([program, "key", *arguments], env=story.environment, check=False)
    if run.returncode != expect:
        sys.exit(f"This step did not go as expected: exit code {run.returncode}, expected {expect}.")


def main() -> None:
    workspace = os.environ["SANDBOX_GOOGLE_WORKSPACE"]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="dbxcmk-demo-"))
    try:
        story = Story(directory, os.environ["DBXCMK_PROVIDER_DIRECTORY"])
        kms("projects/acme-lakehouse/locations/us-east4/keyRings?keyRingId=lakehouse", {})
        kms(f"{RING}/cryptoKeys?cryptoKeyId=main", {"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "7776000s"})
        configuration = HEAD + CONFIGURATION.replace("KEY", KEY)
        binding = BINDING.replace("WORKSPACE", workspace)

        say("1. Register the key. The account shows which service account of Databricks will use it.")
        story.configure(configuration)
        story.terraform("apply", "-auto-approve", expect=0, shows="Apply complete! Resources: 1 added")

        say("2. An attach would fail now: the service accounts are not allowed to use the key. The provider refuses the plan and shows the commands that help.")
        story.configure(configuration + binding.replace("DEPENDS", ""))
        story.terraform("plan", expect=1, shows="service-123456789012@compute-system.iam.gserviceaccount.com")

        say("3. dbxcmk_key_policy manages the members now. The same plan passes: the proof uses the planned members.")
        policy = POLICY.replace("KEY", KEY)
        whole = configuration + policy + binding.replace("DEPENDS", "depends_on = [dbxcmk_key_policy.lakehouse]")
        story.configure(whole)
        story.terraform("plan", expect=0, shows="Plan: 2 to add, 0 to change, 0 to destroy.")
        story.terraform("apply", "-auto-approve", expect=0, shows="Apply complete! Resources: 2 added")

        say("4. Plan again: no changes.")
        story.terraform("plan", "-detailed-exitcode", expect=0, shows="No changes.")

        say("5. An incident: revoke the key, acknowledge the workspace that stops, and restore the key.")
        key(story, "disable", KEY, "--acknowledge", workspace, expect=0)
        if states() != ["DISABLED"]:
            sys.exit(f"The version is not disabled: {states()}")
        key(story, "restore", KEY, "--wait", "1m", expect=0)
        if states() != ["ENABLED"]:
            sys.exit(f"The version is not enabled: {states()}")

        say("6. What the audit says every morning: the workspace has its keys, and each of its kinds of data is judged.")
        story.audit("--cloud", "gcp", "--workspace", workspace, "--fail-on", "never", expect=0, shows="None of the workspace itself.")
        say("Done. Each step went as expected.")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
