"""The command `des-retriever`, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from des_format.store import DesStore

from ..security.keys import api_key_item, public_key_item
from ..times import MORNING
from .operated import value

AT = {"created_at": "2025-11-25T08:00:00Z"}
PAYLOAD = Random(7).randbytes(400_000)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of POSIX")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "des_retriever_http", *arguments]


def environment(**variables: str) -> dict[str, str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("DES_")}
    return {**clean, "NO_PROXY": "127.0.0.1", **variables}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def status_of(client: httpx.Client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx.HTTPError:
        return 0


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Run the command until the end of the block; gives the process, and a client of it."""
    port = free_port()
    words = command(str(folder), "--host", "127.0.0.1", "--port", str(port), *arguments)
    with (
        (folder.parent / "output").open("wb") as output,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client,
        subprocess.Popen(words, env=environment(**variables), stdout=output, stderr=output) as process,
    ):
        try:
            until(lambda: process.poll() is not None or status_of(client, "/health/ready") == 200, "the service")
            assert process.poll() is None, (folder.parent / "output").read_text()
            yield process, client
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


@pytest.fixture
def filled(store: DesStore, folder: Path) -> Path:
    """The folder of a store with the entry `a`."""
    store.put("a", MORNING, PAYLOAD)
    return folder


# -- before it serves ---------------------------------------------------------------------------


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def test_check_says_what_would_be_served(filled: Path) -> None:
    done = run(str(filled), "--check")
    assert done.returncode == 0, done.stderr
    assert "a store (local)" in done.stdout
    assert "everybody who reaches this address can read everything" in done.stdout
    assert "warning" not in run(str(filled), "--check", "--host", "127.0.0.1").stdout


def test_help_has_examples() -> None:
    assert "examples:" in run("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (["--check"], {"DES_BASEDIR": "/data"}, "DES_BASEDIR"),
        (["--check", "--workers", "0"], {}, "DES_WORKERS"),
        (["--check"], {"DES_BACKEND": "s3"}, "DES_S3_BUCKET"),
        (["--tls-key", "key.pem"], {}, "DES_TLS_CERTIFICATE"),
        (["--unheard-of"], {}, "--unheard-of"),
    ],
)
def test_what_cannot_be_accepted_stops_the_start(arguments: list[str], variables: dict[str, str], named: str) -> None:
    done = run(*arguments, **variables)
    assert (done.returncode, named in done.stderr) == (2, True), done.stderr


def test_a_storage_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    for arguments in (["--check"], ["--port", "0"], ["--port", "0", "--workers", "2"]):
        done = run(str(tmp_path / "absent"), *arguments)
        assert done.returncode == 1
        assert "absent" in done.stderr


def test_workers_that_die_all_the_time_are_given_up(filled: Path) -> None:
    """One of them that dies now and then is replaced; the command would hide that nobody serves."""
    module = filled.parent / "sitecustomize.py"
    # Of these, only workers are started by `multiprocessing`.
    module.write_text("import sys, os\nif 'multiprocessing' in ' '.join(sys.orig_argv): os._exit(134)\n")
    done = run(str(filled), "--port", "0", "--workers", "2", PYTHONPATH=str(filled.parent))
    assert done.returncode == 1
    assert "workers_given_up" in done.stderr


# -- while it serves ----------------------------------------------------------------------------


def test_workers_share_a_port_and_their_metrics_add_up(filled: Path) -> None:
    with running(filled, "--workers", "2") as (_process, client):
        with httpx.Client(base_url=client.base_url, trust_env=False, headers={"Connection": "close"}) as anew:
            assert [anew.get("/files/a", params=AT).content == PAYLOAD for _ in range(20)] == [True] * 20
        counted = 'des_retriever_requests_total{method="GET",status="200"}'
        until(lambda: value(client.get("/metrics").text, counted) >= 20, "all requests to be counted")
        until(lambda: client.get("/stats/live").json()["workers"] == 2, "both workers to be seen")


def test_a_worker_that_dies_is_replaced(filled: Path) -> None:
    with running(filled, "--workers", "2") as (process, client):
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        workers = [int(word) for word in children.stdout.split()]
        victim = workers[-1]
        os.kill(victim, signal.SIGKILL)

        def is_replaced() -> bool:
            now = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
            found = {int(word) for word in now.stdout.split()}
            return victim not in found and len(found) >= len(workers)

        until(is_replaced, "a new worker")
        until(lambda: status_of(client, "/health") == 200, "the service")
        assert client.get("/files/a", params=AT).content == PAYLOAD


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_under_load_loses_nothing_that_was_begun(filled: Path, workers: int) -> None:
    ended = threading.Event()
    answers: list[str] = []

    def load(url: httpx.URL) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
            while not ended.is_set():
                try:
                    answer = client.get("/files/a", params=AT)
                except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError) as error:
                    # Refused, or closed before any answer began. What was begun and cut says so.
                    cut = "peer closed connection" in str(error) or "incomplete" in str(error)
                    answers.append("cut" if cut else "refused")
                    ended.wait(0.05)
                else:
                    answers.append("whole" if answer.content == PAYLOAD else f"wrong: {answer.status_code}")

    with running(filled, "--workers", str(workers), "--drain-seconds", "1") as (process, client):
        threads = [threading.Thread(target=load, args=(client.base_url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: answers.count("whole") > 20, "some load")
        process.terminate()
        until(lambda: status_of(client, "/health/ready") == 503, "the service to be unready", 10)
        before = answers.count("whole")
        until(lambda: answers.count("whole") > before, "answers while it drains", 10)
        assert process.wait(30) == 0
        ended.set()
        for thread in threads:
            thread.join()
    assert set(answers) <= {"whole", "refused"}, {answer: answers.count(answer) for answer in set(answers)}


def test_logs_are_lines_of_json_without_secrets(filled: Path) -> None:
    variables = {"DES_DELETE_API_KEY": "secret-of-deletion", "DES_LOCATOR_KEYS": "secret-of-the-links"}
    with running(filled, DES_ACCESS_LOG_SHARE="1", **variables) as (_process, client):
        link = client.post("/files/a/locator", params=AT).json()
        assert client.get(f"/{link['url']}").content == PAYLOAD
        client.delete(
            "/files/a", params={**AT, "reason": "GDPR", "deleted_by": "x"}, headers={"X-API-Key": "wrong-key-of-me"}
        )
    lines = (filled.parent / "output").read_text().splitlines()
    assert all(line.startswith("{") and line.endswith("}") for line in lines), lines
    text = "\n".join(lines)
    assert [word for word in (*variables.values(), "wrong-key-of-me", link["token"]) if word in text] == []
    assert '"path": "/locators/..."' in text or '"path":"/locators/..."' in text


def keys_in(folder: Path, *keys: str) -> Path:
    items = [api_key_item(key, key, ["read"]) for key in keys]
    path = folder.parent / "keys.json"
    path.write_text(json.dumps({"api_keys": items}))
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_reads_the_credentials_again(filled: Path, workers: str) -> None:
    variables = {"DES_AUTHORIZED_KEYS_PATH": str(keys_in(filled, "old")), "DES_CREDENTIALS_RELOAD_SECONDS": "3600"}
    with running(filled, "--workers", workers, **variables) as (process, client):

        def status(key: str) -> int:
            try:
                return client.get("/files/a", params=AT, headers={"X-API-Key": key}).status_code
            except httpx.HTTPError:
                return 0

        assert (status("old"), status("new")) == (200, 401)
        keys_in(filled, "new")
        assert status("new") == 401
        process.send_signal(signal.SIGHUP)
        until(lambda: [status("new") for _ in range(8)] == [200] * 8, "the new key")
        assert status("old") == 401
        assert process.poll() is None


def test_signatures_are_not_accepted_once_by_each_worker(filled: Path) -> None:
    document = filled.parent / "keys.json"
    document.write_text(json.dumps({"authorized_keys": [public_key_item(Ed25519PrivateKey.generate(), ["read"])]}))
    words = command(str(filled), "--host", "127.0.0.1", "--port", str(free_port()), "--workers", "2")
    variables = environment(DES_AUTHORIZED_KEYS_PATH=str(document))
    done = subprocess.run([*words, "--check"], env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "DES_AUTH_REDIS_URL" in done.stderr


def test_the_check_reads_the_credentials(filled: Path) -> None:
    words = command(str(filled), "--check")
    variables = environment(DES_AUTHORIZED_KEYS_PATH=str(keys_in(filled, "one", "two")))
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "keys      2 API, 0 public" in done.stdout, "warning" in done.stdout) == (0, True, False)
    (filled.parent / "keys.json").write_text("{}")
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "no key in it" in done.stderr) == (2, True)
