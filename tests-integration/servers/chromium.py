"""Chromium, by its WebDriver server: the driver of the very same version, which starts a browser for each session."""

from __future__ import annotations

import re
import shutil
import subprocess

from servers.processes import Processes, answers_http, free_port

PACKAGES = ("chromium", "chromium-driver")


def missing() -> str | None:
    if absent := [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]:
        return f"Chromium is not installed (no {', '.join(absent)}): `hatch run servers install`"
    return None


def version() -> str:
    # The driver is asked: it has the browser's version, and no wrapper that writes to the terminal.
    output = subprocess.run(["chromedriver", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(?:\.\d+){0,2}", output)
    return found[0] if found else output.strip()


def start(processes: Processes) -> dict[str, str]:
    port = free_port()
    # Profiles go with the server's data, which it is started in: a path of a socket there must not be long.
    command = ["env", "TMPDIR=.", "chromedriver", f"--port={port}"]
    processes.start("chromedriver", [*command, f"--log-path={processes.logs / 'driver.log'}"])
    url = f"http://127.0.0.1:{port}"
    processes.wait_until(lambda: answers_http(f"{url}/status"), "chromedriver")
    return {"url": url, "binary": shutil.which("chromium") or "chromium"}
