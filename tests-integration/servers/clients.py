"""Programs that download by HTTP: no servers, but installed like them."""

from __future__ import annotations

import re
import shutil
import subprocess

PACKAGES = ("curl", "wget", "aria2")
PROGRAMS = ("curl", "wget", "aria2c")


def missing(*programs: str) -> str | None:
    """Say which of some programs are not installed; without arguments, of all."""
    if absent := [program for program in programs or PROGRAMS if shutil.which(program) is None]:
        return f"there is no {', '.join(absent)}: `hatch run servers install`"
    return None


def version() -> str:
    output = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(?:\.\d+)+", output)
    return found[0] if found else output.strip()
