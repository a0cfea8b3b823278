"""A second reader, in JavaScript and written from docs/format.md alone, reads the same vectors."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Path(__file__).parent / "javascript"
VECTORS = ROOT / "packages" / "des-format" / "tests" / "vectors" / "v3"
# What npm reports when the registry cannot be reached; anything else is a failure.
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED")


def node_version(node: str) -> int:
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    return int(shown.strip().lstrip("v").split(".")[0])


@pytest.fixture(scope="module")
def node() -> str:
    """The command `node`, with the zstd decoder that the reader needs installed beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or node_version(node) < 20:
        pytest.skip("needs Node.js 20 or later with npm on the PATH")
    if not (PROJECT / "node_modules" / "@bokuweb" / "zstd-wasm" / "package.json").exists():
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0 and any(code in done.stderr for code in NO_NETWORK):
            pytest.skip("npm cannot reach its registry to install the zstd decoder; connect, then run `npm ci` once")
        assert done.returncode == 0, done.stderr
    return node


def test_the_reader_in_javascript_agrees_with_every_vector(node: str) -> None:
    command = [node, "check-vectors.mjs", str(VECTORS)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["failures"] == []
    assert done.returncode == 0
    manifest = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
    assert report["vectors"] == len(manifest["vectors"])
    assert min(report["payloads"], report["refusals"], report["listings"], report["scans"]) > 100


def test_the_reader_in_javascript_notices_a_wrong_vector(node: str, tmp_path: Path) -> None:
    manifest = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
    vector = next(vector for vector in manifest["vectors"] if vector["file"] == "one.des")
    wrong = vector | {"entries": [vector["entries"][0] | {"size": vector["entries"][0]["size"] + 1}]}
    (tmp_path / "manifest.json").write_text(json.dumps({"vectors": [wrong]}), encoding="utf-8")
    shutil.copy(VECTORS / "one.des", tmp_path)
    command = [node, "check-vectors.mjs", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["failures"]) == 2


def test_the_lock_file_names_no_registry() -> None:
    for file in ("package-lock.json", "package.json", ".npmrc"):
        assert "://" not in (PROJECT / file).read_text(encoding="utf-8"), file
