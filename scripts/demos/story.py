"""What the demos share: they say what they do, and run a Terraform that must do what they expect."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLOUR = sys.stdout.isatty()

HEAD = """terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "dbxcmk" {}
"""


def say(text: str) -> None:
    print(f"\n\033[1m== {text}\033[0m" if COLOUR else f"\n== {text}", flush=True)


class Story:
    def __init__(self, directory: pathlib.Path, provider: str) -> None:
        self.directory = directory
        cli_config = directory / "terraform.rc"
        cli_config.write_text(
            f'provider_installation {{\n  dev_overrides {{\n    "dbxcmk/dbxcmk" = "{provider}"\n  }}\n  direct {{}}\n}}\n'
        )
        self.environment = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(cli_config),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "HOME": str(directory),
        }

        # The flags with which a command of the provider itself finds the services, beside the environment.
        self.connection: list[str] = []

    def configure(self, text: str) -> None:
        (self.directory / "main.tf").write_text(text)

    def terraform(self, *arguments: str, expect: int, shows: str, hides: str = "") -> None:
        colour = [] if COLOUR else ["-no-color"]
        print(f"$ terraform {' '.join(arguments)}", flush=True)
        run = subprocess.run(
            [str(ROOT / "scripts/terraform"), *arguments, *colour, "-input=false"],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(told(run.stdout), flush=True)
        plain = " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", " ", run.stdout).split())
        if run.returncode != expect or shows not in plain or (hides and hides in plain):
            print(run.stdout)
            sys.exit(f"This step did not go as expected: exit code {run.returncode}, expected {expect} and {shows!r}.")

    def audit(self, *arguments: str, expect: int, shows: str) -> None:
        print(f"$ dbxcmk audit {' '.join(arguments)}", flush=True)
        program = pathlib.Path(os.environ["DBXCMK_PROVIDER_DIRECTORY"]) / "terraform-provider-dbxcmk"
        run = subprocess.run(
            [program, "audit", "--quiet", *arguments, *self.connection],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(run.stdout.strip("\n"), flush=True)
        if run.returncode != expect or shows not in " ".join(run.stdout.split()):
            sys.exit(f"This step did not go as expected: exit code {run.returncode}, expected {expect} and {shows!r}.")


def told(text: str) -> str:
    """Without Terraform's own warning about a provider that is built here."""
    kept, skipping = [], False
    for line in text.splitlines():
        plain = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", line).strip()
        if "Provider development overrides are in effect" in plain:
            skipping = True
            while kept and kept[-1].strip("\x1b[0m3╷ ") == "":
                kept.pop()
        if not skipping:
            kept.append(line)
        elif plain.endswith("releases."):
            skipping = False
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")
