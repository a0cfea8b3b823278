"""The retriever as programs that download use it: curl, wget, aria2c and requests."""

from __future__ import annotations

import email
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
import requests
import zstandard
from des_format.store import DesStore
from servers import Cut, FaultProxy, Reset, clients
from servers.processes import START_SECONDS, Processes, answers_http, free_port

MIB = 2**20
MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
AT = "created_at=2025-11-25T08:00:00Z"
SCAN, TEXT, BIG, EMPTY, STRANGE = "scan 7.png", "2025/report.txt", "films/big.bin", "empty", "a/b?c=d#e&f%2F+ż.txt"
CONTENTS = {
    SCAN: Random(1).randbytes(300_000),
    TEXT: b"the same words again and again\n" * 9000,
    BIG: Random(2).randbytes(64 * MIB),
    EMPTY: b"",
    STRANGE: b"what a name",
    **{f"page-{number}": Random(number).randbytes(5000) for number in range(30)},
}

needs_curl = pytest.mark.skipif(clients.missing("curl") is not None, reason=str(clients.missing("curl")))
needs_wget = pytest.mark.skipif(clients.missing("wget") is not None, reason=str(clients.missing("wget")))
needs_aria2 = pytest.mark.skipif(clients.missing("aria2c") is not None, reason=str(clients.missing("aria2c")))


def target(uid: str) -> str:
    return f"/files/{quote(uid, safe='')}?{AT}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The command over a folder with `CONTENTS`; gives its URL."""
    folder = tmp_path_factory.mktemp("retriever")
    with DesStore.init(folder / "store") as store:
        for uid, payload in CONTENTS.items():
            store.put(uid, MORNING, payload, {"content_type": "image/png"} if uid == SCAN else {})
    port = free_port()
    command = [sys.executable, "-m", "des_retriever_http", folder / "store", "--host=127.0.0.1", f"--port={port}"]
    clean = [f"-u{name}" for name in os.environ if name.startswith("DES_")]
    processes = Processes(folder / "process")
    try:
        processes.start("retriever", ["env", *clean, f"DES_LOCATOR_KEYS={'k' * 16}", *command])
        processes.wait_until(lambda: answers_http(f"http://127.0.0.1:{port}/health"), "the retriever")
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.stop()


@pytest.fixture
def proxy(service: str) -> Iterator[FaultProxy]:
    """What is between a client and the service; counts, and breaks what it is told to."""
    with FaultProxy(service) as proxy:
        yield proxy


@dataclass(frozen=True)
class Program:
    """A program that is run in a folder of its own."""

    words: str
    folder: Path

    def run(self, *arguments: str, code: int = 0) -> bytes:
        """Run it to its end, which must be with this code; return what it wrote to its output."""
        clean = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
        command = [*shlex.split(self.words), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=clean, capture_output=True, timeout=START_SECONDS, check=False
        )
        assert done.returncode == code, (command, done.stdout[-500:], done.stderr.decode(errors="replace")[-2000:])
        return done.stdout

    def got(self, name: str) -> bytes:
        """A file of its folder."""
        return (self.folder / name).read_bytes()


@pytest.fixture
def curl(tmp_path: Path) -> Program:
    return Program("curl -q -sS --globoff", tmp_path)


@pytest.fixture
def wget(tmp_path: Path) -> Program:
    return Program("wget --no-config -nv --waitretry=0 --retry-connrefused", tmp_path)


@pytest.fixture
def aria2(tmp_path: Path) -> Program:
    return Program("aria2c --no-conf=true --console-log-level=warn --retry-wait=0 --file-allocation=none", tmp_path)


def matches(got: bytes, uid: str) -> bool:
    """Whether bytes are those of a file; without pytest's comparison of 64 MiB."""
    return got == CONTENTS[uid]


# -- curl ---------------------------------------------------------------------------------------


@needs_curl
@pytest.mark.parametrize("uid", [SCAN, TEXT, BIG, EMPTY, STRANGE])
@pytest.mark.parametrize("option", ["--http1.1", "--http1.0", "--compressed"])
def test_curl_reads_whole_files(service: str, curl: Program, uid: str, option: str) -> None:
    told = curl.run(option, "--fail", "-o", "got", "-w", "%{http_code} %{content_type}", service + target(uid))
    got = curl.folder / "got"
    assert matches(got.read_bytes() if got.exists() else b"", uid)  # some versions make no empty files
    assert told.decode() == f"200 {'image/png' if uid == SCAN else 'application/octet-stream'}"


@needs_curl
@pytest.mark.parametrize("uid", [SCAN, TEXT, BIG])
@pytest.mark.parametrize(
    ("asked", "part"),
    [("0-0", slice(1)), ("100-199", slice(100, 200)), ("250000-", slice(250_000, None)), ("-10", slice(-10, None))],
)
def test_curl_reads_ranges(service: str, curl: Program, uid: str, asked: str, part: slice) -> None:
    told = curl.run("-r", asked, "-o", "got", "-w", "%{http_code}", service + target(uid))
    assert told == b"206"
    assert curl.got("got") == CONTENTS[uid][part]


@needs_curl
def test_curl_reads_several_ranges_at_once(service: str, curl: Program) -> None:
    told = curl.run("-r", "0-9,1000000-1000019,-5", "-o", "got", "-w", "%{content_type}", service + target(BIG))
    message = email.message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (told, curl.got("got")))
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    payload = CONTENTS[BIG]
    assert parts == [payload[:10], payload[1_000_000:1_000_020], payload[-5:]]


@needs_curl
@pytest.mark.parametrize("uid", [SCAN, BIG])
def test_curl_goes_on_where_it_was_cut_off(proxy: FaultProxy, curl: Program, uid: str) -> None:
    size = len(CONTENTS[uid])
    proxy.inject(Cut(size // 3))
    proxy.inject(Cut(size // 3, is_reset=True))
    arguments = ("--fail", "-C", "-", "-o", "got", proxy.url + target(uid))
    curl.run(*arguments, code=18)
    assert 0 < len(curl.got("got")) <= size // 3
    curl.run(*arguments, code=56)
    curl.run(*arguments)
    assert matches(curl.got("got"), uid)
    assert [seen.status for seen in proxy.requests] == [200, 206, 206]
    assert sum(seen.response_bytes for seen in proxy.requests) < size + size // 3  # nothing began anew


@needs_curl
def test_curl_has_nothing_to_do_for_a_file_that_it_has(proxy: FaultProxy, curl: Program) -> None:
    (curl.folder / "got").write_bytes(CONTENTS[SCAN])
    curl.run("-C", "-", "-o", "got", proxy.url + target(SCAN))
    assert [seen.status for seen in proxy.requests] == [416]
    assert matches(curl.got("got"), SCAN)


@needs_curl
@pytest.mark.parametrize("uid", [SCAN, TEXT, BIG, EMPTY])
def test_curl_is_told_the_size_by_a_head(proxy: FaultProxy, curl: Program, uid: str) -> None:
    head = curl.run("-I", proxy.url + target(uid)).decode().lower()
    assert head.startswith("http/1.1 200 ")
    assert f"content-length: {len(CONTENTS[uid])}\r\n" in head
    assert "accept-ranges: bytes\r\n" in head
    assert [seen.response_bytes for seen in proxy.requests] == [0]


@needs_curl
def test_curl_gets_a_compressed_file_as_it_is_stored(proxy: FaultProxy, curl: Program) -> None:
    asked = ("-H", "Accept-Encoding: zstd", "-o", "got", proxy.url + target(TEXT))
    assert curl.run("-w", "%{http_code}", *asked) == b"200"
    frame = curl.got("got")
    assert len(frame) < len(CONTENTS[TEXT]) / 10
    assert zstandard.ZstdDecompressor().decompressobj().decompress(frame) == CONTENTS[TEXT]


@needs_curl
def test_curl_asks_whether_what_it_has_is_still_right(proxy: FaultProxy, curl: Program) -> None:
    url = proxy.url + target(SCAN)
    curl.run("--etag-save", "etag", "-R", "-o", "got", url)
    for condition in (("--etag-compare", "etag"), ("-z", "got")):
        assert curl.run(*condition, "-o", "again", "-w", "%{http_code}", url) == b"304"
    assert [seen.response_bytes for seen in proxy.requests] == [len(CONTENTS[SCAN]), 0, 0]


@needs_curl
def test_curl_saves_under_the_name_of_the_file(service: str, curl: Program) -> None:
    curl.run("-OJ", f"{service}{target(TEXT)}&download=true")
    assert matches(curl.got("report.txt"), TEXT)


@needs_curl
def test_curl_reads_many_files_side_by_side(service: str, curl: Program) -> None:
    names = [uid for uid in CONTENTS if uid.startswith("page-")]
    words = [word for name in names for word in ("-o", name, service + target(name))]
    curl.run("--fail", "-Z", "--parallel-max", "10", *words)
    assert {name: curl.got(name) for name in names} == {name: CONTENTS[name] for name in names}


@needs_curl
def test_curl_reads_by_a_link(service: str, curl: Program) -> None:
    path, _, query = target(STRANGE).partition("?")
    link = json.loads(curl.run("--fail", "-X", "POST", f"{service}{path}/locator?{query}"))
    assert curl.run("--fail", f"{service}/{link['url']}") == CONTENTS[STRANGE]


@needs_curl
@pytest.mark.parametrize("path", [target("absent"), "/files/x", "/files/x?created_at=today", "/locators/x", "/nowhere"])
def test_curl_fails_for_what_is_not_there(service: str, curl: Program, path: str) -> None:
    curl.run("--fail", service + path, code=22)
    problem = json.loads(curl.run(service + path))
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()


# -- wget ---------------------------------------------------------------------------------------


@needs_wget
@pytest.mark.parametrize("uid", [SCAN, TEXT, BIG, EMPTY, STRANGE])
def test_wget_reads_whole_files(service: str, wget: Program, uid: str) -> None:
    wget.run("-O", "got", service + target(uid))
    assert matches(wget.got("got"), uid)


@needs_wget
def test_wget_goes_on_where_it_was_cut_off(proxy: FaultProxy, wget: Program) -> None:
    size = len(CONTENTS[BIG])
    proxy.inject(Cut(size // 2))
    wget.run("--tries=1", "-O", "got", proxy.url + target(BIG), code=4)
    half = wget.got("got")
    assert 0 < len(half) <= size // 2
    wget.run("--tries=1", "-c", "-O", "got", proxy.url + target(BIG))
    assert matches(wget.got("got"), BIG)
    assert [seen.status for seen in proxy.requests] == [200, 206]
    assert proxy.requests[1].response_bytes == size - len(half)
    wget.run("-c", "-O", "got", proxy.url + target(BIG))  # there is nothing left to read
    assert proxy.requests[2].status == 416
    assert matches(wget.got("got"), BIG)


@needs_wget
def test_wget_tries_again_by_itself(proxy: FaultProxy, wget: Program) -> None:
    proxy.inject(Cut(10 * MIB))
    proxy.inject(Cut(20 * MIB))
    wget.run("--tries=5", "-O", "got", proxy.url + target(BIG))
    assert matches(wget.got("got"), BIG)
    assert [seen.status for seen in proxy.requests] == [200, 206, 206]


@needs_wget
def test_wget_reads_only_what_is_newer(proxy: FaultProxy, wget: Program) -> None:
    for _ in range(2):
        wget.run("--timestamping", "--content-disposition", proxy.url + target("page-1"))
    (name,) = (path.name for path in wget.folder.iterdir())
    assert matches(wget.got(name), "page-1")
    assert sum(seen.response_bytes for seen in proxy.requests) == 5000


@needs_wget
def test_wget_is_told_what_there_is(service: str, wget: Program) -> None:
    wget.run("--spider", service + target(BIG))
    wget.run("--spider", service + target("absent"), code=8)


# -- aria2c -------------------------------------------------------------------------------------

SEGMENTS = ("-x4", "-s4", "-k1M", "-o", "got")


def digest(uid: str) -> str:
    return f"--checksum=sha-256={hashlib.sha256(CONTENTS[uid]).hexdigest()}"


@needs_aria2
def test_aria2_reads_a_file_in_four_parts_at_once(proxy: FaultProxy, aria2: Program) -> None:
    aria2.run(*SEGMENTS, digest(BIG), proxy.url + target(BIG))
    assert matches(aria2.got("got"), BIG)
    assert proxy.connection_count >= 4
    assert [seen.status for seen in proxy.requests].count(206) >= 3


@needs_aria2
def test_aria2_reads_on_when_parts_fail(proxy: FaultProxy, aria2: Program) -> None:
    for fault in (Cut(MIB), Cut(3 * MIB, is_reset=True), Reset(), Cut(5 * MIB)):
        proxy.inject(fault)
    aria2.run(*SEGMENTS, "--max-tries=10", digest(BIG), proxy.url + target(BIG))
    assert matches(aria2.got("got"), BIG)


@needs_aria2
def test_aria2_goes_on_where_it_was_ended(proxy: FaultProxy, aria2: Program) -> None:
    proxy.inject(Cut(8 * MIB), times=4)
    aria2.run(*SEGMENTS, "--max-tries=1", proxy.url + target(BIG), code=1)
    assert (aria2.folder / "got.aria2").exists()
    before = sum(seen.response_bytes for seen in proxy.requests)
    aria2.run(*SEGMENTS, "-c", digest(BIG), proxy.url + target(BIG))
    assert matches(aria2.got("got"), BIG)
    assert sum(seen.response_bytes for seen in proxy.requests) < before + 64 * MIB


@needs_aria2
@pytest.mark.parametrize("uid", [SCAN, TEXT, EMPTY, STRANGE])
def test_aria2_reads_files_of_every_kind(service: str, aria2: Program, uid: str) -> None:
    aria2.run(*SEGMENTS, digest(uid), service + target(uid))
    assert matches(aria2.got("got"), uid)


# -- requests -----------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize("uid", [SCAN, TEXT, BIG, EMPTY, STRANGE])
def test_requests_streams_files(service: str, session: requests.Session, uid: str) -> None:
    with session.get(service + target(uid), stream=True) as answer:
        assert answer.status_code == 200
        assert matches(b"".join(answer.iter_content(123_457)), uid)


def test_requests_that_are_left_in_the_middle_hold_nothing_up(service: str, session: requests.Session) -> None:
    for _ in range(30):
        with session.get(service + target(BIG), stream=True) as answer:
            assert answer.raw.read(100_000) == CONTENTS[BIG][:100_000]
    assert matches(session.get(service + target(BIG)).content, BIG)


def test_requests_reads_parts_of_the_same_version_only(service: str, session: requests.Session) -> None:
    etag = session.head(service + target(BIG)).headers["ETag"]
    headers = {"Range": f"bytes={60 * MIB}-"}
    part = session.get(service + target(BIG), headers={**headers, "If-Range": etag})
    assert (part.status_code, part.content == CONTENTS[BIG][60 * MIB :]) == (206, True)
    whole = session.get(service + target(BIG), headers={**headers, "If-Range": '"another version"'})
    assert (whole.status_code, matches(whole.content, BIG)) == (200, True)


def test_requests_of_eight_threads_make_up_a_file(service: str, session: requests.Session) -> None:
    step = 3 * MIB

    def read(start: int) -> bytes:
        answer = session.get(service + target(BIG), headers={"Range": f"bytes={start}-{start + step - 1}"})
        assert answer.status_code == 206
        return answer.content

    with ThreadPoolExecutor(8) as threads:
        assert matches(b"".join(threads.map(read, range(0, len(CONTENTS[BIG]), step))), BIG)
