"""Runs a hook of .pre-commit-hooks.yaml as pre-commit would, on the files that it is for: hook.py MANIFEST ID DIRECTORY [ARGUMENT ...]

pre-commit's own code reads and validates the manifest. Prints the files that the hook was given, and ends with its exit code.
"""

import pathlib
import re
import shlex
import subprocess
import sys

from pre_commit.clientlib import load_manifest


def main(manifest: str, wanted: str, directory: str, arguments: list[str]) -> int:
    hooks = {hook["id"]: hook for hook in load_manifest(manifest)}
    hook = hooks[wanted]
    # Newer versions have another word for the same.
    assert hook["language"] in ("system", "unsupported") and hook["pass_filenames"], hook
    place = pathlib.Path(directory)
    names = sorted(str(one.relative_to(place)) for one in place.rglob("*") if one.is_file())
    files = [name for name in names if re.search(hook["files"], name) and not re.search(hook["exclude"], name)]
    print("files:", " ".join(files), flush=True)
    return subprocess.run([*shlex.split(hook["entry"]), *hook["args"], *arguments, *files], cwd=place, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], sys.argv[4:]))
