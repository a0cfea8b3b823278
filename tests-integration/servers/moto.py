"""moto: S3 as AWS answers, in one Python process. It believes every signature."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from servers.processes import Processes, answers_http, free_port


def missing() -> str | None:
    try:
        version()
    except importlib.metadata.PackageNotFoundError:
        return "moto is not in this environment, it comes with `hatch run`"
    return None


def version() -> str:
    return importlib.metadata.version("moto")


def start(processes: Processes) -> dict[str, str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # -P: without it, this module would be found in place of the real moto.
    processes.start("moto", [sys.executable, "-P", Path(__file__).with_name("moto_process.py"), str(port)])
    processes.wait_until(lambda: answers_http(f"{url}/moto-api/"), "moto")
    return {"endpoint_url": url, "access_key": "moto", "secret_key": "any-secret-is-right"}
