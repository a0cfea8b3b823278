"""Renew constraints.txt: python .ci/pin.py [--upgrade].

Without --upgrade, only what is missing or contradicts changes.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "constraints.txt"
BOOTSTRAP = ["hatch==1.18.2", "uv==0.13.8"]


def requirements() -> list[str]:
    """Return everything that any environment of hatch.toml or any distribution asks for."""
    found = set(BOOTSTRAP)
    environments: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "hatch.toml").read_text(encoding="utf-8"))["envs"]
    for environment in environments.values():
        found.update(environment.get("dependencies", []), environment.get("extra-dependencies", []))
    own = set()
    for path in ROOT.glob("packages/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        own.add(project["name"])
        found.update(project.get("dependencies", []), *project.get("optional-dependencies", {}).values())
    return sorted(item for item in found if not item.startswith(tuple(own)))


def main(arguments: list[str]) -> int:
    command = ["uv", "pip", "compile", "--universal", "--python-version=3.11", "--no-header", "--no-annotate"]
    command += ["--quiet", *arguments, "--output-file", str(OUTPUT), "-"]
    return subprocess.run(command, input="\n".join(requirements()), text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
