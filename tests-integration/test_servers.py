"""Servers start, end and answer, and proxies count and break, as other tests rely on."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from servers import (
    Answer,
    CountingProxy,
    Cut,
    Fault,
    FaultProxy,
    Latency,
    LostReply,
    Reset,
    S3Server,
    SeededFaults,
    Seen,
    ServerError,
    Servers,
    Trickle,
    s3_kind,
)
from servers.debian import install
from servers.http1 import Head
from servers.processes import Processes

HOME = Path(__file__).parent
MIB = 1 << 20


class Objects(BaseHTTPRequestHandler):
    """GET, HEAD, PUT and DELETE of paths; `/chunked...` comes in chunks, `/close...` ends with the connection."""

    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def do_GET(self) -> None:
        data = self.server.objects.get(self.path)
        if data is None:
            self.answer(404, b"")
        elif self.path.startswith("/chunked"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(data), 1000):
                piece = data[start : start + 1000]
                self.wfile.write(b"%x;extension\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\nTrailer: value\r\n\r\n")
        elif self.path.startswith("/close"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True
        else:
            self.answer(200, data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        if self.path.startswith("/refused"):  # without reading what comes
            self.close_connection = True
            self.answer(403, b"no")
            return
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects[self.path] = data
        self.answer(200, b"")

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path, None)
        self.answer(204, b"")

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.server.served.append(f"{self.command} {self.path}")


class ObjectServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Objects)
        self.objects: dict[str, bytes] = {}
        self.served: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests are about."""


@pytest.fixture
def upstream() -> Iterator[ObjectServer]:
    server = ObjectServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def counting(upstream: ObjectServer) -> Iterator[CountingProxy]:
    with CountingProxy(upstream.url) as proxy:
        yield proxy


@pytest.fixture
def faulty(upstream: ObjectServer) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.url) as proxy:
        yield proxy


@contextlib.contextmanager
def connected(proxy: CountingProxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with connection.getresponse() as response:
        return response.status, response.read()


# Counting


def test_requests_are_counted_by_method_and_kind_on_one_connection(
    upstream: ObjectServer, counting: CountingProxy
) -> None:
    with connected(counting) as connection:
        assert ask(connection, "PUT", "/b/k", b"payload") == (200, b"")
        assert ask(connection, "GET", "/b/k") == (200, b"payload")
        assert ask(connection, "GET", "/b/k", Range="bytes=0-1") == (200, b"payload")
        assert ask(connection, "HEAD", "/b/k") == (200, b"")
        assert ask(connection, "DELETE", "/b/k") == (204, b"")
        assert ask(connection, "GET", "/b/k") == (404, b"")
    assert counting.methods == {"PUT": 1, "GET": 3, "HEAD": 1, "DELETE": 1}
    assert counting.kinds == {"put": 1, "get": 2, "get_range": 1, "head": 1, "delete": 1}
    assert counting.connection_count == 1
    assert [seen.status for seen in counting.requests] == [200, 200, 200, 200, 204, 404]
    assert [seen.request_bytes for seen in counting.requests] == [7, 0, 0, 0, 0, 0]
    assert [seen.response_bytes for seen in counting.requests] == [0, 7, 7, 0, 0, 0]
    assert len(upstream.served) == 6


def test_counting_starts_anew_after_a_reset(upstream: ObjectServer, counting: CountingProxy) -> None:
    with connected(counting) as connection:
        ask(connection, "GET", "/b/k")
        counting.reset()
        ask(connection, "GET", "/b/k")
    assert [seen.number for seen in counting.requests] == [0]


def test_large_bodies_pass_both_ways(upstream: ObjectServer, counting: CountingProxy) -> None:
    data = os.urandom(16 * MIB)
    with connected(counting) as connection:
        assert ask(connection, "PUT", "/b/large", data)[0] == 200
        assert ask(connection, "GET", "/b/large") == (200, data)
    assert [(seen.request_bytes, seen.response_bytes) for seen in counting.requests] == [(len(data), 0), (0, len(data))]


def test_chunked_bodies_pass_both_ways_and_the_connection_goes_on(
    upstream: ObjectServer, counting: CountingProxy
) -> None:
    data = os.urandom(100_000)
    with connected(counting) as connection:
        pieces = iter([data[:70_000], data[70_000:]])
        connection.request("PUT", "/chunked", pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        connection.getresponse().read()
        assert upstream.objects == {"/chunked": data}
        assert ask(connection, "GET", "/chunked") == (200, data)
        assert ask(connection, "GET", "/chunked") == (200, data)
    assert counting.connection_count == 1


def test_an_answer_that_ends_with_the_connection_passes_whole(upstream: ObjectServer, counting: CountingProxy) -> None:
    upstream.objects["/close"] = os.urandom(300_000)
    with connected(counting) as connection:
        assert ask(connection, "GET", "/close") == (200, upstream.objects["/close"])


def test_a_client_that_waits_before_it_sends_is_told_to_go_on(upstream: ObjectServer, counting: CountingProxy) -> None:
    host, port = urlsplit(counting.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"data")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert upstream.objects == {"/b/k": b"data"}


def test_an_answer_before_the_end_of_the_request_reaches_the_client(
    upstream: ObjectServer, counting: CountingProxy
) -> None:
    host, port = urlsplit(counting.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbeginning")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"no")


def test_a_server_that_closed_an_idle_connection_gets_a_new_one(
    upstream: ObjectServer, counting: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Objects, "timeout", 0.05)
    with connected(counting) as connection:
        for _ in range(3):
            assert ask(connection, "GET", "/b/k")[0] == 404
            time.sleep(0.3)
    assert counting.connection_count == 1


def test_a_server_that_is_not_there_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with (
        CountingProxy(url) as proxy,
        connected(proxy) as connection,
        pytest.raises((ConnectionError, http.client.RemoteDisconnected)),
    ):
        ask(connection, "GET", "/b/k")


@pytest.mark.parametrize(
    ("request_line", "fields", "kind"),
    [
        ("GET /", {}, "list_buckets"),
        ("GET /b?list-type=2&prefix=a%2Fb", {}, "list"),
        ("GET /b/?list-type=2", {}, "list"),
        ("GET /b?uploads", {}, "list_uploads"),
        ("GET /b/k", {}, "get"),
        ("GET /b/k", {"Range": "bytes=0-1"}, "get_range"),
        ("GET /b/k?uploadId=u", {}, "list_parts"),
        ("HEAD /b", {}, "head_bucket"),
        ("HEAD /b/k/l", {}, "head"),
        ("PUT /b", {}, "create_bucket"),
        ("PUT /b/k", {}, "put"),
        ("PUT /b/k", {"If-None-Match": "*"}, "create"),
        ("PUT /b/k", {"If-Match": '"e"'}, "update"),
        ("PUT /b/k", {"x-amz-copy-source": "b/j"}, "copy"),
        ("PUT /b/k?partNumber=1&uploadId=u", {}, "upload_part"),
        ("PUT /b/k?partNumber=1&uploadId=u", {"x-amz-copy-source": "b/j"}, "upload_part_copy"),
        ("POST /b?delete", {}, "delete_many"),
        ("POST /b/k?uploads", {}, "create_upload"),
        ("POST /b/k?uploadId=u", {}, "complete_upload"),
        ("DELETE /b", {}, "delete_bucket"),
        ("DELETE /b/k", {}, "delete"),
        ("DELETE /b/k?uploadId=u", {}, "abort_upload"),
        ("OPTIONS /b", {}, "options"),
    ],
)
def test_a_request_to_s3_has_a_kind(request_line: str, fields: dict[str, str], kind: str) -> None:
    assert s3_kind(Head(f"{request_line} HTTP/1.1", tuple(fields.items()))) == kind


# Faults


def test_without_faults_everything_passes(upstream: ObjectServer, faulty: FaultProxy) -> None:
    with connected(faulty) as connection:
        assert ask(connection, "PUT", "/b/k", b"payload") == (200, b"")
        assert ask(connection, "GET", "/b/k") == (200, b"payload")
    assert [seen.fault for seen in faulty.requests] == [None, None]


def test_latency_comes_before_the_answer(upstream: ObjectServer, faulty: FaultProxy) -> None:
    faulty.inject(Latency(0.2))
    with connected(faulty) as connection:
        began_at = time.monotonic()
        assert ask(connection, "GET", "/b/k")[0] == 404
        assert time.monotonic() - began_at >= 0.2


def test_a_reset_comes_before_any_byte_and_before_the_server(upstream: ObjectServer, faulty: FaultProxy) -> None:
    faulty.inject(Reset())
    with connected(faulty) as connection, pytest.raises(ConnectionResetError):
        ask(connection, "PUT", "/b/k", b"payload")
    assert upstream.served == []
    assert [(seen.fault, seen.status) for seen in faulty.requests] == [(Reset(), None)]


@pytest.mark.parametrize("after_bytes", [0, 1, 65536, 99_999])
def test_a_cut_comes_after_exactly_as_many_bytes(upstream: ObjectServer, faulty: FaultProxy, after_bytes: int) -> None:
    data = upstream.objects["/b/k"] = os.urandom(100_000)
    faulty.inject(Cut(after_bytes))
    with connected(faulty) as connection:
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(connection, "GET", "/b/k")
        assert caught.value.partial == data[:after_bytes]
        assert faulty.requests[0].fault == Cut(after_bytes)
        connection.close()
        assert ask(connection, "GET", "/b/k") == (200, data)


def test_a_cut_can_be_a_reset(upstream: ObjectServer, faulty: FaultProxy) -> None:
    upstream.objects["/b/k"] = os.urandom(10 * MIB)
    faulty.inject(Cut(5 * MIB, is_reset=True))
    with connected(faulty) as connection, pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(connection, "GET", "/b/k")


def test_an_answer_that_is_not_longer_than_its_cut_passes_whole(upstream: ObjectServer, faulty: FaultProxy) -> None:
    upstream.objects["/b/k"] = b"payload"
    faulty.inject(Cut(7))
    with connected(faulty) as connection:
        assert ask(connection, "GET", "/b/k") == (200, b"payload")
    assert faulty.requests[0].fault is None


def test_a_lost_reply_leaves_the_work_done(upstream: ObjectServer, faulty: FaultProxy) -> None:
    faulty.inject(LostReply())
    with connected(faulty) as connection, pytest.raises(ConnectionResetError):
        ask(connection, "PUT", "/b/k", b"payload")
    assert upstream.objects == {"/b/k": b"payload"}
    assert [(seen.fault, seen.status) for seen in faulty.requests] == [(LostReply(), 200)]


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_is_answered_in_place_of_the_server_and_the_connection_goes_on(
    upstream: ObjectServer, faulty: FaultProxy, status: int
) -> None:
    faulty.inject(Answer(status), times=2)
    with connected(faulty) as connection:
        answered, body = ask(connection, "PUT", "/b/k", os.urandom(MIB))
        assert (answered, b"<Error><Code>" in body) == (status, True)
        assert ask(connection, "HEAD", "/b/k") == (status, b"")
        assert upstream.served == []
        assert ask(connection, "GET", "/b/k")[0] == 404
    assert faulty.connection_count == 1


def test_a_trickle_is_slow_and_whole(upstream: ObjectServer, faulty: FaultProxy) -> None:
    data = upstream.objects["/b/k"] = os.urandom(1000)
    faulty.inject(Trickle(piece_bytes=100, pause_seconds=0.02))
    with connected(faulty) as connection:
        began_at = time.monotonic()
        assert ask(connection, "GET", "/b/k") == (200, data)
        assert time.monotonic() - began_at >= 9 * 0.02


def test_injected_faults_wait_for_their_kind_and_keep_their_order(upstream: ObjectServer, faulty: FaultProxy) -> None:
    faulty.inject(Answer(500), kind="get")
    faulty.inject(Answer(503), times=2)
    with connected(faulty) as connection:
        answers = [ask(connection, method, "/b/k", b"")[0] for method in ("PUT", "GET", "DELETE", "DELETE")]
    assert answers == [503, 500, 503, 204]
    faulty.inject(Reset(), times=3)
    assert faulty.pending_count == 3
    faulty.reset()
    assert faulty.pending_count == 0


def test_a_seed_gives_the_same_faults_whatever_came_before() -> None:
    faults: list[Fault] = [Reset(), LostReply(), Answer(500), Cut(10)]
    requests = [Seen(number, "GET", "/b/k", "get") for number in range(1000)]
    first = SeededFaults(7, 0.2, faults)
    chosen = [first(seen) for seen in requests]
    again = SeededFaults(7, 0.2, faults)
    assert [again(seen) for seen in reversed(requests)] == chosen[::-1]
    assert [SeededFaults(8, 0.2, faults)(seen) for seen in requests] != chosen
    assert 150 < sum(fault is not None for fault in chosen) < 250
    assert set(faults) == set(chosen) - {None}
    assert {SeededFaults(7, 1, faults, kinds=["put"])(seen) for seen in requests} == {None}


def test_a_schedule_breaks_requests_and_a_client_that_retries_gets_through(upstream: ObjectServer) -> None:
    data = upstream.objects["/b/k"] = os.urandom(5000)
    schedule = SeededFaults(
        1, 0.5, [Reset(), LostReply(), Answer(503), Cut(1000), Latency(0.001), Trickle(1000, 0.001)]
    )
    with FaultProxy(upstream.url, schedule) as proxy:
        for _ in range(20):
            for _ in range(50):
                with (
                    connected(proxy) as connection,
                    contextlib.suppress(ConnectionError, http.client.IncompleteRead),
                ):
                    status, body = ask(connection, "GET", "/b/k")
                    if status == 200:
                        break
            assert body == data
        faults = [seen.fault for seen in proxy.requests]
        assert faults == [schedule(seen) for seen in proxy.requests]
        assert len(faults) > 20


# Starting and stopping


def is_open(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5).close()
    except OSError:
        return False
    return True


def wait_until_closed(url: str) -> None:
    give_up_at = time.monotonic() + 30
    while is_open(url):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


@pytest.mark.valkey
def test_a_server_is_shared_and_ends_with_its_last_user(valkey_server: str, tmp_path: Path) -> None:
    first, second = Servers(tmp_path), Servers(tmp_path)
    known = first.get("valkey")
    assert second.get("valkey") == known
    assert known["url"] != valkey_server
    first.close()
    assert is_open(known["url"])
    second.close()
    wait_until_closed(known["url"])
    assert Path(known["logs"]).is_dir()
    third = Servers(tmp_path)
    assert third.get("valkey") != known
    third.close()


@pytest.mark.valkey
def test_processes_that_ask_at_once_get_one_server(valkey_server: str, tmp_path: Path) -> None:
    everyone = [Servers(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        urls = set(threads.map(lambda servers: servers.get("valkey")["url"], everyone))
    assert len(urls) == 1
    for servers in everyone:
        servers.close()


USER = """
import sys, time
from pathlib import Path
from servers import Servers
servers = Servers(Path(sys.argv[1]))
print(servers.get("valkey")["url"], flush=True)
time.sleep(1000)
"""


@pytest.mark.valkey
def test_a_server_ends_with_a_user_that_is_killed(valkey_server: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", USER, tmp_path], cwd=HOME, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert is_open(url)
        process.kill()
    wait_until_closed(url)


@pytest.mark.valkey
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process that was killed")
def test_a_server_ends_with_its_keeper(valkey_server: str, tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    known = servers.get("valkey")
    os.kill(int(Path(known["logs"]).parent.name), signal.SIGKILL)
    wait_until_closed(known["url"])
    servers.close()
    again = servers.get("valkey")  # although the killed keeper's port is still written down
    assert is_open(again["url"])
    servers.close()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "server")
    processes.start("broken", [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])
    with pytest.raises(ServerError, match=r"ended with 3\n.*broken.out:\n  the reason"):
        processes.wait_until(lambda: False, "it")
    with pytest.raises(ServerError, match="ended with 4"):
        processes.run("failing", [sys.executable, "-c", "raise SystemExit(4)"])
    processes.stop()


def test_the_list_of_servers_names_all() -> None:
    command = [sys.executable, "-m", "servers"]
    lines = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["moto", "valkey", "ceph", "chromium", "clients"]
    assert all(line.endswith("ready") or "missing: " in line for line in lines)


MakeProgram = Callable[[str, str], None]


@pytest.fixture
def make_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProgram:
    """Put shell scripts on the PATH in place of all programs that a system has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\ncd {tmp_path}\n{script}\n")
        path.chmod(0o755)

    make("env", 'while [ "$1" != apt-get ]; do export "$1"; shift; done; shift; exec bin/apt-get "$@"')
    make("sudo", 'shift; exec "$@"')
    return make


def test_lists_of_packages_are_renewed_when_an_installation_fails(
    make_program: MakeProgram, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_program("apt-get", 'echo "$@" >> calls; case "$*" in *update) touch lists;; *) test -e lists;; esac')
    assert install("thing", ["a", "b"])
    calls = (tmp_path / "calls").read_text().splitlines()
    installs = "install -y --no-install-recommends a b"
    assert [call.partition("Retries=3 ")[2] for call in calls] == [installs, "update", installs]
    assert "thing: installed in" in capsys.readouterr().out


def test_an_installation_that_fails_is_a_note(make_program: MakeProgram, capsys: pytest.CaptureFixture[str]) -> None:
    make_program("apt-get", "echo E: no network >&2; exit 100")
    assert not install("thing", ["a"])
    assert "E: no network" in capsys.readouterr().out


def test_a_system_without_apt_gets_a_note(make_program: MakeProgram, capsys: pytest.CaptureFixture[str]) -> None:
    assert not install("thing", ["a", "b"])
    note = "thing: needs apt-get and root; with them: apt-get install --no-install-recommends a b\n"
    assert capsys.readouterr().out == note


# Real servers


@pytest.fixture
def client(s3_server: S3Server) -> Iterator[Any]:
    client = s3_server.client()
    yield client
    client.close()


@contextlib.contextmanager
def refused(*statuses: int) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in statuses


def is_ceph_16(server: S3Server) -> bool:
    """Whether the server has the peculiarities that are tested here; later versions may or may not."""
    return server.name == "ceph" and server.version.startswith("16.")


def in_time(too_late: set[int], call: Callable[..., object], **options: object) -> bool:
    """Whether a call worked; False if it was refused with one of these statuses."""
    try:
        call(**options)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in too_late:
            raise
        return False
    return True


@pytest.mark.valkey
def test_valkey_answers(valkey_server: str) -> None:
    import redis

    with redis.Redis.from_url(valkey_server) as connection:
        assert connection.dbsize() == 0
        connection.set("a", b"1")
        assert connection.get("a") == b"1"


def test_s3_reads_what_was_put_whole_and_in_ranges(client: Any, bucket: str) -> None:
    data = os.urandom(100_000)
    e_tag = client.put_object(Bucket=bucket, Key="a/b", Body=data)["ETag"]

    def read(**options: str) -> bytes:
        with client.get_object(Bucket=bucket, Key="a/b", **options)["Body"] as body:
            read: bytes = body.read()
            return read

    assert read() == data
    assert read(Range="bytes=100-199") == data[100:200]
    assert read(Range="bytes=-50") == data[-50:]
    assert read(Range="bytes=99990-200000") == data[99_990:]
    assert read(Range="bytes=0-9", IfMatch=e_tag) == data[:10]
    with refused(412):
        read(IfMatch=f'"{"0" * 32}"')
    with refused(416):
        read(Range="bytes=100000-100001")
    assert [found["Key"] for found in client.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]] == ["a/b"]
    client.delete_object(Bucket=bucket, Key="a/b")
    with refused(404):
        read()


def test_s3_creates_an_object_once_whoever_races(client: Any, bucket: str) -> None:
    def create(number: int) -> bool:
        body = str(number).encode()
        return in_time({409, 412}, client.put_object, Bucket=bucket, Key="root", Body=body, IfNoneMatch="*")

    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(create, range(16)))
    assert won.count(True) == 1
    assert client.get_object(Bucket=bucket, Key="root")["Body"].read() == str(won.index(True)).encode()


def test_s3_updates_lose_nothing_whoever_races(s3_server: S3Server, client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="counter", Body=b"0")
    # Ceph 16 answers 500 (UnknownError) to some of those that came too late: to them nothing happened, see the sum.
    too_late = {409, 412, 500} if is_ceph_16(s3_server) else {409, 412}

    def increment() -> bool:
        found = client.get_object(Bucket=bucket, Key="counter")
        body = str(int(found["Body"].read()) + 1).encode()
        e_tag = found["ETag"].strip('"')  # the one form that all servers understand, see below
        return in_time(too_late, client.put_object, Bucket=bucket, Key="counter", Body=body, IfMatch=e_tag)

    def increment_five_times() -> None:
        done = 0
        while done < 5:
            done += increment()

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(increment_five_times) for _ in range(6)]:
            future.result()
    assert client.get_object(Bucket=bucket, Key="counter")["Body"].read() == b"30"


def test_s3_refuses_an_update_of_what_changed_or_is_not_there(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="a", Body=b"1")
    with refused(412):
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch="0" * 32)
    with refused(404, 412):
        client.put_object(Bucket=bucket, Key="absent", Body=b"2", IfMatch="0" * 32)


def test_ceph_16_knows_an_e_tag_in_an_update_only_without_quotes(s3_server: S3Server, client: Any, bucket: str) -> None:
    e_tag = client.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    assert (e_tag[0], e_tag[-1]) == ('"', '"')
    if is_ceph_16(s3_server):
        with refused(412):
            client.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=e_tag)
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=e_tag.strip('"'))
    else:
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=e_tag)
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"2"


def test_ceph_16_ignores_conditions_that_are_not_on_a_put(s3_server: S3Server, client: Any, bucket: str) -> None:
    expected = contextlib.nullcontext if is_ceph_16(s3_server) else lambda: refused(412)
    client.put_object(Bucket=bucket, Key="a", Body=b"1")
    upload = client.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    where = {"Bucket": bucket, "Key": "a", "UploadId": upload}
    part = client.upload_part(**where, PartNumber=1, Body=b"2")["ETag"]
    with expected():
        client.complete_multipart_upload(
            **where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}, IfNoneMatch="*"
        )
    with expected():
        client.delete_object(Bucket=bucket, Key="a", IfMatch="0" * 32)


@pytest.mark.ceph
def test_ceph_checks_signatures(ceph_server: S3Server) -> None:
    other = S3Server("ceph", "", ceph_server.endpoint_url, ceph_server.access_key, "another secret").client()
    with refused(403):
        other.list_buckets()
    other.close()


def test_requests_of_boto3_are_counted(s3_server: S3Server, bucket: str) -> None:
    data = os.urandom(3 * MIB)
    with CountingProxy(s3_server.endpoint_url) as proxy:
        client = s3_server.client(proxy.url)
        client.put_object(Bucket=bucket, Key="a", Body=data, IfNoneMatch="*")
        for start in range(5):
            client.get_object(Bucket=bucket, Key="a", Range=f"bytes={start}-{start + 9}")["Body"].read()
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == data
        client.head_object(Bucket=bucket, Key="a")
        client.list_objects_v2(Bucket=bucket)
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})
        client.close()
        assert proxy.kinds == {"create": 1, "get_range": 5, "get": 1, "head": 1, "list": 1, "delete_many": 1}
        assert {seen.status for seen in proxy.requests} == {200, 206}
        assert sum(seen.response_bytes for seen in proxy.requests if seen.kind == "get_range") == 50


def test_a_lost_reply_of_a_create_looks_like_a_conflict_to_a_client_that_retries(
    s3_server: S3Server, bucket: str
) -> None:
    with FaultProxy(s3_server.endpoint_url) as proxy:
        client = s3_server.client(proxy.url, retries={"total_max_attempts": 3})
        proxy.inject(LostReply(), kind="create")
        with refused(412):
            client.put_object(Bucket=bucket, Key="a", Body=b"mine", IfNoneMatch="*")
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"mine"
        client.close()
        assert [seen.status for seen in proxy.requests if seen.kind == "create"] == [200, 412]


def test_boto3_repeats_what_failed_but_not_a_body_that_was_cut(s3_server: S3Server, bucket: str) -> None:
    data = os.urandom(200_000)
    with FaultProxy(s3_server.endpoint_url) as proxy:
        client = s3_server.client(proxy.url, retries={"total_max_attempts": 3, "mode": "standard"})
        for fault in (Reset(), Answer(500), LostReply()):
            proxy.inject(fault, kind="put")
            client.put_object(Bucket=bucket, Key="a", Body=data)
        for other_fault in (Answer(503), Latency(0.01), Trickle(50_000)):
            proxy.inject(other_fault, kind="get")
            assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == data
        proxy.inject(Cut(100_000), kind="get")
        with pytest.raises(ResponseStreamingError):
            client.get_object(Bucket=bucket, Key="a")["Body"].read()
        client.close()
        assert proxy.pending_count == 0
