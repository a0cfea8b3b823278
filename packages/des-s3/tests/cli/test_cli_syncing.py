"""`des s3 sync-zones`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from des_format.cli.app import app
from des_s3 import ZonedObjectStore, load_zones
from typer.testing import CliRunner

KEY = "20251125/0_a.commits"


def des(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["s3", "sync-zones", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def file(bucket: str, prefix: str, endpoint_url: str, tmp_path: Path) -> Path:
    def place(name: str) -> dict[str, str]:
        return {"bucket": bucket, "prefix": f"{prefix}/{name}", "endpoint_url": endpoint_url}

    zone = {
        "name": "a",
        "range": {"start": 0, "end": 0},
        "s3": place("a"),
        "replicas": [{"name": "copy", "s3": place("copy")}],
    }
    path = tmp_path / "zones.json"
    path.write_text(json.dumps({"n_bits": 0, "zones": [zone]}), encoding="utf-8")
    return path


@pytest.fixture
def zoned(file: Path) -> ZonedObjectStore:
    return load_zones(file)


def test_what_a_replica_lacks_is_copied_when_asked(file: Path, zoned: ZonedObjectStore) -> None:
    assert (des(file).exit_code, des(file).stdout) == (0, "0 compared, 0 not the same, 0 copied (0 B)\n")
    zoned.zones[0].store.put(KEY, b"content")
    looked = des(file)
    assert looked.exit_code == 1
    assert looked.stdout.startswith(f"left    missing  a  copy  {KEY}  the replica lacks it\n")
    written = des("--write", file)
    assert written.exit_code == 0
    assert written.stdout.splitlines()[-1] == "1 compared, 1 not the same, 1 copied (7 B)"
    assert des(file).exit_code == 0


def test_what_only_a_replica_has_is_restored_when_asked(file: Path, zoned: ZonedObjectStore) -> None:
    zoned.zones[0].replicas[0].store.put(KEY, b"content")
    assert des("--write", file).exit_code == 1
    result = des("--write", "--restore", "--json", file)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["ok"], found["dry_run"], found["copied_bytes"]) == (True, False, 7)
    assert [(one["kind"], one["key"], one["done"]) for one in found["findings"]] == [("extra", KEY, True)]


def test_a_damaged_original_is_a_problem(file: Path, zoned: ZonedObjectStore) -> None:
    zoned.zones[0].store.put("20251125/0_a.des", b"no archive")
    result = des("--write", file)
    assert result.exit_code == 1
    assert "20251125/0_a.des" in result.stderr
    assert "truncated" in result.stderr


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    result = des(tmp_path / "none.json")
    assert result.exit_code == 2
    assert "No such file" in result.stderr
