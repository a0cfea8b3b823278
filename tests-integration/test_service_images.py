"""What the image of the retriever holds, made by the script that its Dockerfile calls: only that needs no Docker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from des_format.store import DesStore
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "services" / "des-retriever"
MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
OWN = {"des-cache", "des-format", "des-retriever-http", "des-s3"}
OF_WRITERS_AND_DATABASES = {
    *("aiosqlite", "alembic", "asyncpg", "des-metadata-db", "des-packer", "psycopg", "psycopg2", "sqlalchemy"),
    *("hatchling", "moto", "pip", "pytest", "setuptools", "typer", "uv", "wheel"),
}
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({one.name: [one.version, one.requires or []] for one in distributions()}))
"""

# Making the environment takes seconds, so one process of the test run does it.
pytestmark = pytest.mark.xdist_group("service-images")


@dataclass(frozen=True)
class Image:
    """What the Dockerfile makes, in a folder.

    Attributes:
        folder: The virtual environment.
        versions: Distributions that are installed in it.
        requires: What each of them says it needs.
    """

    folder: Path
    versions: dict[str, str]
    requires: dict[str, list[str]]

    def start(self, *words: object, **variables: str) -> subprocess.Popen[str]:
        """Start a command of it, with no other variables."""
        command = [str(self.folder / "bin" / str(words[0])), *map(str, words[1:])]
        return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: object, **variables: str) -> tuple[int, str]:
        """Run a command of it; return its exit code and its output."""
        process = self.start(*words, **variables)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output


def instructions(name: str) -> list[list[str]]:
    """The words of all instructions of the Dockerfile with a name."""
    lines = (SERVICE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    return [words[1:] for line in lines if (words := line.split()) and words[0] == name]


def copy_context(target: Path) -> None:
    """Copy what the Dockerfile copies of the repository, as far as its .dockerignore lets it through."""
    patterns = (SERVICE / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in patterns
    allowed = [ROOT / pattern[1:] for pattern in patterns if pattern.startswith("!")]
    for source, place in (words for words in instructions("COPY") if not words[0].startswith("--from")):
        path = ROOT / source
        assert any(path.is_relative_to(one) for one in allowed), f"{source} is not sent to the builder"
        if path.is_dir():
            shutil.copytree(path, target / place, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        elif not place.startswith("/"):
            shutil.copy(path, target / place)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The environment of the image, made with the Python of the tests."""
    uv = os.environ.get("HATCH_UV") or shutil.which("uv")
    assert uv is not None, "hatch has brought uv"
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("image") / "des"
    copy_context(source)
    ((shell, script, _target),) = (words for words in instructions("RUN") if words[0] == "sh")
    # The pins have hashes and need no constraints.
    environment = {name: text for name, text in os.environ.items() if name != "UV_CONSTRAINT"}
    environment |= {"PATH": f"{Path(uv).parent}:{os.environ['PATH']}", "PYTHON": sys.executable}
    for offline in ("1", "0"):  # What is in uv's cache already is what the index would give.
        made = subprocess.run(
            [shell, script, str(folder)],
            cwd=source,
            env=environment | {"UV_OFFLINE": offline, "UV_VENV_CLEAR": "1"},
            capture_output=True,
            text=True,
        )
        if made.returncode == 0:
            break
    assert made.returncode == 0, made.stderr
    output = subprocess.check_output([folder / "bin" / "python", "-I", "-c", INSTALLED], text=True)
    found = {canonicalize_name(name): told for name, told in json.loads(output).items()}
    return Image(
        folder,
        {name: version for name, (version, _) in found.items()},
        {name: requires for name, (_, requires) in found.items()},
    )


def pins(path: Path) -> dict[str, set[str]]:
    """The versions of a file of pins; those for other Pythons and systems too."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith(("#", " ")):
            name, version = line.split(";")[0].rstrip(" \\").split("==")
            found.setdefault(canonicalize_name(name), set()).add(version.strip())
    return found


def pins_here(path: Path) -> dict[str, str]:
    """Those that hold for this Python."""
    text = path.read_text(encoding="utf-8")
    lines = [line.rstrip(" \\") for line in text.splitlines() if line and not line.startswith(("#", " "))]
    chosen = [one for one in map(Requirement, lines) if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in chosen}


def asked_for() -> list[Requirement]:
    """What requirements.in asks for; the folders of this repository are told by their names."""
    lines = (SERVICE / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split(" @ ")[0]) for line in lines if not line.startswith("#")]


def needed(image: Image) -> set[str]:
    """Everything that the service needs, by what the installed distributions say."""
    found: set[tuple[str, str]] = set()
    left = asked_for()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                wanted = [Requirement(text) for text in image.requires[name]]
                left += [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _extra in found}


def test_the_image_installs_exactly_what_is_pinned(image: Image) -> None:
    third_parties = {name: version for name, version in image.versions.items() if name not in OWN}
    assert third_parties == pins_here(SERVICE / "requirements.txt")
    assert set(image.versions) - set(third_parties) == OWN


def test_the_pins_are_those_that_everything_is_tested_with() -> None:
    tested = pins(ROOT / "constraints.txt")
    stale = {
        name: pin for name, pin in pins(SERVICE / "requirements.txt").items() if not pin <= tested.get(name, set())
    }
    assert not stale, "`hatch run pin` renews them"


def test_every_pin_has_a_hash() -> None:
    text = (SERVICE / "requirements.txt").read_text(encoding="utf-8")
    for part in text.replace("\\\n", "").splitlines():
        assert part.startswith("#") or "--hash=sha256:" in part, part


def test_the_image_holds_nothing_that_the_service_does_not_need(image: Image) -> None:
    assert set(image.versions) == needed(image), "`hatch run pin` renews the pins"


def test_the_image_knows_no_writer_and_no_database(image: Image) -> None:
    assert not set(image.versions) & OF_WRITERS_AND_DATABASES


def test_the_image_is_that_of_the_repositorys_code(image: Image) -> None:
    (package,) = image.folder.glob("lib/python*/site-packages/des_retriever_http")
    source = ROOT / "packages" / "des-retriever-http" / "src" / "des_retriever_http"
    assert (package / "app.py").read_bytes() == (source / "app.py").read_bytes()
    assert {path.name for path in (package / "ui").iterdir()} == {path.name for path in (source / "ui").iterdir()}


def test_the_image_runs_as_nobody_and_stops_by_signals() -> None:
    ((user,),) = instructions("USER")
    assert int(user.split(":")[0]) > 0, "Kubernetes can tell by a number that it is not root"
    assert instructions("ENTRYPOINT") == [['["des-retriever"]']], "without a shell, which would keep SIGTERM to itself"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A store with one entry."""
    folder = tmp_path / "archive"
    DesStore.init(folder).put("scan-7", MORNING, b"%PDF-1.7 ...")
    return folder


def test_the_image_checks_a_store(image: Image, archive: Path) -> None:
    code, output = image.run("des-retriever", "--check", DES_BASE_DIR=str(archive))
    assert code == 0, output
    assert "a store (local)" in output


def test_the_image_opens_buckets_and_zones(image: Image, tmp_path: Path) -> None:
    code, output = image.run("des-retriever", "--check", DES_STORE_URL="s3://bucket/archive?unheard_of=1")
    assert (code, "unheard_of: no parameter of an s3:// URL" in output) == (2, True), output
    zones = tmp_path / "zones.yaml"
    zones.write_text("n_bits: 4\nzones: []\n", encoding="utf-8")
    code, output = image.run("des-retriever", "--check", DES_BACKEND="multi_s3", DES_ZONES_CONFIG=str(zones))
    assert (code, "zones" in output, "pip install" in output) == (2, True, False), output


def test_the_image_opens_caches_in_redis(image: Image, archive: Path) -> None:
    # Nobody is there, and a cache is not missed.
    cache = "memory://,redis://127.0.0.1:9/0"
    code, output = image.run("des-retriever", "--check", DES_BASE_DIR=str(archive), DES_CACHE_URL=cache)
    assert code == 0, output


@contextmanager
def serving(image: Image, archive: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The service of the image; gives its process and its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    variables = {"DES_RETRIEVER_HOST": "127.0.0.1", "DES_RETRIEVER_PORT": str(port), "DES_DRAIN_SECONDS": "0"}
    variables["DES_TRACING"] = "true"
    with image.start("des-retriever", DES_BASE_DIR=str(archive), **variables) as process:
        try:
            yield process, port
        finally:
            process.kill()


def is_healthy(image: Image, port: int) -> bool:
    """Whether the image's own check says so."""
    code, _output = image.run("python", SERVICE / "healthcheck.py", DES_RETRIEVER_PORT=str(port))
    return code == 0


def test_the_service_of_the_image_becomes_healthy_serves_and_stops(image: Image, archive: Path) -> None:
    with serving(image, archive) as (process, port):
        deadline = time.monotonic() + 30
        while not is_healthy(image, port):
            assert process.poll() is None
            assert time.monotonic() < deadline
        url = f"http://127.0.0.1:{port}/files/scan-7?created_at=2025-11-25T08:00:00Z"
        assert httpx.get(url, trust_env=False).content == b"%PDF-1.7 ..."
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not is_healthy(image, port)
