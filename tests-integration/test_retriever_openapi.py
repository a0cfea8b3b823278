"""The retriever does what its OpenAPI document says: schemathesis makes requests of the document, and looks at answers.

It is run as the program that it is: so it walks through the limits of all parameters, undocumented methods, random
values, malformed ones, and chains such as making a link and reading by it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

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
# as long as the settings say. And what is too long is too long, before anyone looks at what is wrong with it;
# who may not change anything is told so, before anyone looks for a method that there is not.
CONFIGURATION = """
[checks.unsupported_method]
enabled = false
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "410", "412", "414", "416", "429", "431"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "410", "413", "414", "422", "431"]
"""
STORED = 'parameters = { "path.uid" = "%s", "query.created_at" = "2025-11-25T08:00:00Z", "query.deleted_by" = "me" }\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The service over a store with `CONTENTS`, with a key that deletes and keys for links."""
    with DesStore.init(tmp_path / "store") as store:
        for uid, (payload, meta) in CONTENTS.items():
            store.put(uid, MORNING, payload, meta)
    with serving(tmp_path / "store") as site:
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


def test_every_route_answers_as_the_document_says(site: Site, tmp_path: Path) -> None:
    conforms(site, tmp_path, "", "--phases=examples,coverage,fuzzing", examples=10)
    assert statuses(site, "GET")[404] > 0
    assert statuses(site, "DELETE")[401] > 0


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
