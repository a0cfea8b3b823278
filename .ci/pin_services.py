"""Renew services/*/requirements.txt: python .ci/pin_services.py. Needed when constraints.txt has changed.

Each pins every third party of its `requirements.in` in the version of constraints.txt, with the hashes of its files.
The distributions of this repository are not in it: images build them.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Made by `hatch run pin` of requirements.in and constraints.txt.\n"


def pinned(source: Path) -> str:
    own = [f"--no-emit-package={path.parent.name}" for path in sorted(ROOT.glob("packages/*/pyproject.toml"))]
    command = ["uv", "pip", "compile", "--universal", "--python-version=3.11", "--no-header", "--no-annotate"]
    command += ["--generate-hashes", "--quiet", f"--constraint={ROOT / 'constraints.txt'}", *own, source.name]
    return HEADER + subprocess.run(command, cwd=source.parent, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> int:
    for source in sorted(ROOT.glob("services/*/requirements.in")):
        source.with_suffix(".txt").write_text(pinned(source), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"pin: exit code {error.returncode} from {error.cmd}")
