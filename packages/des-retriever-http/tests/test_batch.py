"""`POST /batch`: many files in one answer, each with its status."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from des_format.errors import UnavailableError
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_retriever_http import Settings, create_app
from des_retriever_http.batches.naming import MemberNames
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from .times import MORNING

AT = "2025-11-25T08:00:00Z"
RANDOM = Random(11)
BIG = RANDOM.randbytes(3_000_000)
PAYLOADS = {
    "a": b"1",
    "folder/b.txt": b"words " * 500,
    "empty": b"",
    "medium": RANDOM.randbytes(100_000),
    "big": BIG,
    "../outside": b"2",
    "grüße ☃": b"3",
}
OPTIONS = StoreOptions(writing=ArchiveOptions(big_file_threshold=1_000_000))
PLAIN = {"Accept-Encoding": "identity"}
Files = list[dict[str, str]]


@pytest.fixture
def filled(folder: Path) -> DesStore:
    store = DesStore.init(folder, n_bits=2, options=OPTIONS)
    store.put_many([NewEntry(uid, MORNING, data, {"content_type": "text/x-test"}) for uid, data in PAYLOADS.items()])
    store.put_many([NewEntry(f"n{number}", MORNING, bytes([number % 256]) * number) for number in range(700)])
    store.put("gone", MORNING, b"1")
    store.delete("gone", MORNING, reason="asked to", by="me")
    return store


@pytest.fixture
def app(filled: DesStore, folder: Path) -> FastAPI:
    # So little memory lets the big file be sent in many pieces.
    small = {"fetch_bytes": 500_000, "stream_memory_bytes": 2**20}
    return create_app(Settings.read({}, base_dir=folder, manifest_ttl_seconds=0.0, **small))


@pytest.fixture
async def client(app: FastAPI, connect: Callable[[FastAPI], Any]) -> httpx.AsyncClient:
    connected: httpx.AsyncClient = await connect(app)
    return connected


@pytest.fixture
def live(app: FastAPI, live_server: Callable[[FastAPI], Any]) -> Iterator[str]:
    with live_server(app) as url:
        yield url


def wanted(*uids: str, created_at: str = AT) -> Files:
    return [{"uid": uid, "created_at": created_at} for uid in uids]


def frames(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Take an answer apart, as its description says."""
    found = []
    at = 0
    while length := struct.unpack_from(">I", body, at)[0]:
        header = json.loads(body[at + 4 : at + 4 + length])
        at += 4 + length
        found.append((header, body[at : at + header["size"]]))
        at += header["size"]
    assert at + 4 == len(body)
    return found


async def test_files_come_in_the_order_of_the_request_each_with_its_status(client: httpx.AsyncClient) -> None:
    uids = [
        "n5",
        "big",
        "gone",
        "a",
        "none",
        "empty",
        "medium",
        "n0",
        "a",
        *(f"n{n}" for n in range(600)),
        "folder/b.txt",
    ]
    answer = await client.post("/batch", json={"files": wanted(*uids)})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.des.frames")
    found = frames(answer.content)
    assert [header["uid"] for header, _payload in found] == uids
    for header, payload in found:
        single = await client.get(
            f"/files/{httpx.URL(path=header['uid']).path}", params={"created_at": AT}, headers=PLAIN
        )
        assert header["status"] == single.status_code
        assert header["created_at"] == AT
        if header["status"] == 200:
            assert payload == single.content
            for name in ("content_type", "etag", "last_modified"):
                assert header[name] == single.headers[name.replace("_", "-")]
        else:
            assert (header["size"], header["code"]) == (0, single.json()["code"])


async def test_a_file_that_is_asked_for_in_a_wrong_way_is_told_and_the_others_are_sent(
    client: httpx.AsyncClient,
) -> None:
    times = ["2025-11-25T08:00:00", "yesterday", "1" * 100, "2025-11-25T23:59:59Z", "2025-11-26T00:00:00Z", AT]
    files = [one for time in times for one in wanted("a", created_at=time)]
    answer = await client.post("/batch", json={"files": files})
    assert [header["status"] for header, _ in frames(answer.content)] == [400, 400, 400, 200, 404, 200]


NO_UIDS = ["", "\ud800", "a\udfffb", "x" * 65_536, "ż" * 40_000, "a\0"]


@pytest.mark.parametrize("packing", ["frames", "tar", "zip"])
async def test_what_is_no_uid_is_told_and_the_others_are_sent(client: httpx.AsyncClient, packing: str) -> None:
    uids = ["a", *NO_UIDS, "x" * 65_535, "n1"]
    body = json.dumps({"files": wanted(*uids)}).encode()
    answer = await client.post(f"/batch?format={packing}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    if packing == "frames":
        listed = [header for header, _ in frames(answer.content)]
    elif packing == "tar":
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            listed = json.load(tar.extractfile("des-batch.json"))["files"]  # type: ignore[arg-type]
    else:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            listed = json.loads(packed.read("des-batch.json"))["files"]
    assert [one["uid"] for one in listed] == uids
    assert [one["status"] for one in listed] == [200, *[400] * len(NO_UIDS), 404, 200]
    assert {one["code"] for one in listed if one["status"] == 400} == {"invalid_name"}
    assert all(len(one["detail"]) < 100 for one in listed if one["status"] == 400)


async def test_headers_of_frames_are_utf8_whatever_was_asked_for(client: httpx.AsyncClient) -> None:
    body = b'{"files": [{"uid": "\\ud800", "created_at": "\\udfff"}]}'
    answer = await client.post("/batch", content=body, headers={"Content-Type": "application/json"})
    assert b"\\ud800" in answer.content
    assert answer.content[4:].rstrip(b"\0").decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"files": []}',
        b'{"files": [{"uid": "a"}]}',
        b'{"files": [{"uid": "a", "created_at": "2025-11-25T08:00:00Z", "range": "0-1"}]}',
        b'{"files": [{"uid": 7, "created_at": "2025-11-25T08:00:00Z"}]}',
        json.dumps({"files": wanted(*(["a"] * 10_001))}).encode(),
    ],
)
async def test_a_malformed_batch_is_refused_as_a_whole(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/batch", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_tar_has_the_files_and_a_list_of_all(live: str, tmp_path: Path) -> None:
    uids = [*PAYLOADS, "gone", "a"]
    answer = httpx.post(f"{live}/batch?format=tar", json={"files": wanted(*uids)}, trust_env=False)
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
        assert tar.getnames()[-1] == "des-batch.json"
    check_members(members, uids)
    packed = tmp_path / "x.tar"
    packed.write_bytes(answer.content)
    subprocess.run(["tar", "-xf", packed, "-C", tmp_path], check=True)
    assert (tmp_path / "folder" / "b.txt").read_bytes() == PAYLOADS["folder/b.txt"]


async def test_zip_has_the_files_and_a_list_of_all(client: httpx.AsyncClient) -> None:
    uids = [*PAYLOADS, "gone", "a"]
    answer = await client.post("/batch?format=zip", json={"files": wanted(*uids)})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        members = {name: packed.read(name) for name in packed.namelist()}
    check_members(members, uids)


def check_members(members: dict[str, bytes], uids: list[str]) -> None:
    listed = json.loads(members.pop("des-batch.json"))["files"]
    assert [one["uid"] for one in listed] == uids
    names = [one.get("name") for one in listed]
    assert [name for name in names if name is not None] == list(members)
    assert names[-2:] == [None, "unnamed/00008"]  # What is gone has no member; what is there twice has two.
    assert names[uids.index("../outside")] == "unnamed/00006"
    for one in listed:
        if one["status"] == 200:
            assert members[one["name"]] == PAYLOADS[one["uid"]]


async def test_an_unknown_packing_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/batch?format=rar", json={"files": wanted("a")})).status_code == 422


def damage(folder: Path, payload: bytes) -> None:
    """Change a byte of a payload, wherever it is stored."""
    for path in folder.rglob("*"):
        if path.is_file() and (at := path.read_bytes().find(payload[-1000:])) >= 0:
            data = bytearray(path.read_bytes())
            data[at + 500] ^= 1
            path.chmod(0o644)
            path.write_bytes(data)
            return
    raise AssertionError("it is nowhere")


async def test_one_damaged_file_is_told_and_the_others_are_sent(client: httpx.AsyncClient, folder: Path) -> None:
    damage(folder, PAYLOADS["medium"])
    answer = await client.post("/batch", json={"files": wanted("n1", "medium", "n2", "a")})
    assert [(header["uid"], header["status"]) for header, _ in frames(answer.content)] == [
        ("n1", 200),
        ("medium", 502),
        ("n2", 200),
        ("a", 200),
    ]


async def test_a_damaged_small_file_does_not_withhold_its_group(client: httpx.AsyncClient, folder: Path) -> None:
    small = RANDOM.randbytes(5000)
    DesStore.open(folder).put("small", MORNING, small)
    damage(folder, small)
    answer = await client.post("/batch", json={"files": wanted("n1", "small", "n2")})
    assert [header["status"] for header, _ in frames(answer.content)] == [200, 502, 200]


def test_what_breaks_in_the_middle_of_a_payload_breaks_the_answer(live: str, folder: Path) -> None:
    damage(folder, BIG)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{live}/batch", json={"files": wanted("a", "big", "n1")}, trust_env=False)


async def test_a_storage_that_is_gone_is_told_by_the_status_of_the_answer(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    backend = app.state.service.backend

    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise UnavailableError("down")

    app.state.service.backend = type(backend)(backend.label, Gone(), backend.memory)
    answer = await client.post("/batch", json={"files": wanted("a")})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@given(st.lists(st.text(max_size=12) | st.sampled_from(["a", "a/b", "A", "..", "/etc", "unnamed/00001", "con", "a."])))
def test_names_of_members_are_safe_and_each_is_there_once(uids: list[str]) -> None:
    names = MemberNames()
    given = [names.name(uid) for uid in uids]
    folded = [name.casefold() for name in given]
    assert len(set(folded)) == len(folded)
    for name in folded:
        assert not any(other.startswith(f"{name}/") for other in folded), "no file is a folder too"
        assert all(part not in ("", ".", "..") for part in name.split("/"))
        assert "\\" not in name
        assert ":" not in name
    for uid, name in zip(uids, given, strict=True):
        assert name in (uid, name if name.startswith("unnamed/") else uid)
