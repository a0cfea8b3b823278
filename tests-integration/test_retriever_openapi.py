"""The retriever does what its OpenAPI document says: schemathesis makes requests of the document, and looks at answers.

It is run as the program that it is: so it walks through the limits of all parameters, undocumented methods, random
values, malformed ones, and chains such as making a link and reading by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from console.site import DELETE_KEY, Site, serving
from des_format.store import DesStore

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
CONTENTS = {
    "plain": (b"text", {"content_type": "text/plain"}),
    "zstd": (b"again and again, " * 1000, {"content_type": "application/json"}),
    "2025/no type": (bytes(range(256)) * 10, {}),
}
# Some things no schema says: the 30th of February is no day, a cursor is one that the service gave, a link may live
# as long as the settings say. And what is too long is too long, before anyone looks at what is wrong with it.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "410", "412", "414", "416", "429", "431"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "410", "413", "414", "422", "431"]
"""
STORED = 'parameters = { "path.uid" = "%s", "query.created_at" = "2025-11-25T08:00:00Z", "query.deleted_by" = "me" }\n'


KEY = "a-key-that-may-do-everything"
WITH_KEY = f"--header=X-API-Key: {KEY}"


def serving_contents(folder: Path, **settings: Any) -> AbstractContextManager[Site]:
    """The service over a new store with `CONTENTS`, with keys for links, and a place for copies."""
    with DesStore.init(folder / "store") as store:
        for uid, (payload, meta) in CONTENTS.items():
            store.put(uid, MORNING, payload, meta)
    (folder / "kept").mkdir()
    return serving(folder / "store", ext_retention_url=str(folder / "kept"), **settings)


def key_file(folder: Path) -> Path:
    """A document of credentials with `KEY`."""
    permissions = ["read", "write", "share", "extend_retention"]
    item = {"id": "all", "hash": f"sha256:{sha256(KEY.encode()).hexdigest()}", "permissions": permissions}
    path = folder / "keys.json"
    path.write_text(json.dumps({"api_keys": [item]}))
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The service with a key that deletes; everybody reads."""
    with serving_contents(tmp_path) as site:
        yield site


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """The service with `KEY`; nobody does anything without it."""
    with serving_contents(tmp_path, authorized_keys_path=key_file(tmp_path), delete_api_key=None) as site:
        yield site


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Site]:
    """The service without credentials; everybody reads, and nobody deletes."""
    with serving_contents(tmp_path, delete_api_key=None) as site:
        yield site


def statuses(site: Site, method: str) -> Counter[int]:
    """How often requests to `/files/` were answered with each status."""
    return Counter(one.status for one in site.requests if one.method == method and one.path.startswith("/files/"))


def conforms(site: Site, folder: Path, configuration: str, *options: str, examples: int) -> None:
    """Let schemathesis search for an answer that the document does not describe."""
    path = folder / "schemathesis.toml"
    path.write_text(configuration + CONFIGURATION, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", f"--config-file={path}", "run"]
    command += [f"{site.url}/openapi.json", f"--max-examples={examples}", "--seed=1"]
    command += ["--generation-database=none", "--suppress-health-check=all", *options]
    clean = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command, cwd=folder, env={**clean, "PYTHONUTF8": "1"}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert [one for one in site.requests if one.status >= 500] == []


def test_every_route_answers_as_the_document_says(guarded: Site, tmp_path: Path) -> None:
    conforms(guarded, tmp_path, "", "--phases=examples,coverage,fuzzing", WITH_KEY, examples=10)
    assert statuses(guarded, "GET")[404] > 0
    assert statuses(guarded, "DELETE")[404] > 0
    assert [one.status for one in guarded.requests if one.path == "/batch" and one.status == 200]


def test_every_route_refuses_as_the_document_says(guarded: Site, tmp_path: Path) -> None:
    conforms(guarded, tmp_path, "", "--phases=coverage", examples=5)
    assert {one.status for one in guarded.asked_for("/days")} <= {401, 414, 431}
    assert statuses(guarded, "PUT")[401] > 0


def test_every_route_answers_as_the_document_says_to_everybody(open_site: Site, tmp_path: Path) -> None:
    served = ("--exclude-method=DELETE", "--exclude-method=PUT")
    conforms(open_site, tmp_path, "", "--phases=coverage", *served, examples=5)
    assert statuses(open_site, "GET")[404] > 0
    assert {401, 403}.isdisjoint([*statuses(open_site, "GET"), *statuses(open_site, "POST")])


@pytest.mark.parametrize("uid", ["zstd", "2025/no type"])
def test_reads_of_what_is_there_are_answered_as_the_document_says(site: Site, tmp_path: Path, uid: str) -> None:
    only = ("--include-path-regex=^/(files/|locators/)", "--exclude-method=DELETE")
    conforms(site, tmp_path, STORED % uid, *only, "--phases=fuzzing,stateful", examples=10)
    assert statuses(site, "GET")[200] > 0
    assert statuses(site, "HEAD")[200] > 0
    assert statuses(site, "POST")[201] > 0


def test_deletions_are_answered_as_the_document_says(site: Site, tmp_path: Path) -> None:
    only = ("--include-path=/files/{uid}", "--include-method=DELETE", f"--header=X-API-Key: {DELETE_KEY}")
    conforms(site, tmp_path, STORED % "plain", *only, "--phases=fuzzing", examples=20)
    assert statuses(site, "DELETE")[200] == 1
    assert statuses(site, "DELETE")[410] > 0
