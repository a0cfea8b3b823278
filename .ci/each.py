"""Run a command in the folder of every distribution: python .ci/each.py COMMAND [ARGS...]."""

import subprocess
import sys
from pathlib import Path


def main(command: list[str]) -> int:
    worst = 0
    for project in sorted(Path("packages").glob("*/pyproject.toml")):
        print(f"{project.parent.name}: {' '.join(command)}", flush=True)
        worst = max(worst, abs(subprocess.run(command, cwd=project.parent, check=False).returncode))
    return min(worst, 125)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
