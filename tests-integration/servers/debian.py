"""Installing Debian packages, where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

APT_GET = [
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "NEEDRESTART_SUSPEND=1",
    "apt-get",
    "-qq",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
]


def _as_root() -> list[str] | None:
    """Return what a command of root has to begin with; None if this user cannot be root without a password."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def install(name: str, packages: Sequence[str]) -> bool:
    """Install packages and say so; a machine where that cannot be done gets a note, and False.

    Lists of packages are only renewed when the installation fails with those that are there (or are not).
    """
    words = " ".join(packages)
    root = _as_root() if shutil.which("apt-get") else None
    if root is None:
        print(f"{name}: needs apt-get and root; with them: apt-get install --no-install-recommends {words}")
        return False
    began_at = time.monotonic()
    print(f"{name}: apt-get install {words} ...", flush=True)
    command = [*root, *APT_GET, "install", "-y", "--no-install-recommends", *packages]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(f"{name}: renewing the lists of packages ...", flush=True)
        subprocess.run([*root, *APT_GET, "update"], capture_output=True, check=False)
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began_at
    if result.returncode != 0:
        print(f"{name}: apt-get failed after {seconds:.0f} s, tests that need it will be skipped:")
        print(result.stderr[-2000:].rstrip())
        return False
    print(f"{name}: installed in {seconds:.0f} s")
    return True
