"""Batches that nobody would ask for: every file has its own status and its own bytes, in each packing."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from .asking import CONTENTS, Answer, Asked
from .cases import fuzz, joined

JSON = [(b"content-type", b"application/json")]
TIMES = ["2025-11-25T08:00:00Z", "2025-11-24T23:00:00-02:00", "2025-11-24T00:00:00Z", "today", "", "2025-11-25"]
STATUS_OF_TIME = {TIMES[0]: 200, TIMES[1]: 200, TIMES[2]: 404}

UIDS = (
    st.sampled_from(sorted(CONTENTS))
    | st.text(min_size=1, max_size=3)
    | st.sampled_from(["", "\0", "\ud800", "x" * 65_536, "des-batch.json", "unnamed/00001"])
)
FILES = st.lists(st.tuples(UIDS, st.sampled_from([*TIMES[:2] * 4, *TIMES])), min_size=1, max_size=12)


class Got(NamedTuple):
    """What an answer says of a file."""

    uid: str
    status: int
    payload: bytes | None


def batch(asked: Asked, files: list[tuple[str, str]], packing: str) -> Answer:
    body = json.dumps({"files": [{"uid": uid, "created_at": time} for uid, time in files]}).encode()
    return asked.ask(b"/batch", f"format={packing}".encode(), JSON, method="POST", body=body)


def of_frames(data: bytes) -> list[Got]:
    stream, found = io.BytesIO(data), []
    while (size := struct.unpack(">I", stream.read(4))[0]) != 0:
        head = json.loads(stream.read(size).decode())
        payload = stream.read(head["size"])
        found.append(Got(head["uid"], head["status"], payload if head["status"] == 200 else None))
    assert stream.read() == b""
    return found


def of_members(listing: bytes, members: dict[str, bytes]) -> list[Got]:
    files: list[dict[str, Any]] = json.loads(listing)["files"]
    assert len(members) == sum("name" in one for one in files)
    return [Got(one["uid"], one["status"], members[one["name"]] if "name" in one else None) for one in files]


def of_tar(data: bytes) -> list[Got]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    return of_members(members.pop("des-batch.json"), members)


def of_zip(data: bytes) -> list[Got]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    return of_members(members.pop("des-batch.json"), members)


UNPACK = {"frames": of_frames, "tar": of_tar, "zip": of_zip}


@settings(fuzz, max_examples=300)
@given(files=FILES, packing=st.sampled_from(sorted(UNPACK)))
@example(files=[(uid, TIMES[0]) for uid in CONTENTS], packing="frames")
@example(files=[(uid, TIMES[0]) for uid in CONTENTS], packing="tar")
@example(files=[(uid, TIMES[0]) for uid in CONTENTS], packing="zip")
@example(files=[("a", TIMES[0])] * 3 + [("A", TIMES[0]), ("a/b", TIMES[0])], packing="tar")
@example(files=[("\ud800", TIMES[0]), ("a", TIMES[0])], packing="tar")
def test_any_batch(asked: Asked, files: list[tuple[str, str]], packing: str) -> None:
    answer = batch(asked, files, packing)
    assert answer.status == 200
    found = UNPACK[packing](answer.body)
    assert [got.uid for got in found] == [uid for uid, _ in files]
    for (uid, time), got in zip(files, found, strict=True):
        if uid in CONTENTS:
            assert got.status == STATUS_OF_TIME.get(time, 400)
        else:
            assert got.status in {400, 404}
        assert got.payload == (CONTENTS[uid] if got.status == 200 else None)


RIGHT = b'{"files":[{"uid":"a","created_at":"2025-11-25T08:00:00Z"},{"uid":"b","created_at":"2025-11-25T08:00:00Z"}]}'
BODIES = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b'"files"',
        b'"uid"',
        b'"created_at"',
        b'"a"',
        b'"2025-11-25T08:00:00Z"',
    ),
    *(
        b"null",
        b"1e999",
        b"-0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b'"x":1',
        b"[" * 3000,
        b'{"a":' * 3000,
        b"9" * 5000,
    ),
    RIGHT,
]
TYPES = [
    *[b"application/json"] * 5,
    b"text/plain",
    b"application/json; charset=utf-16",
    b"multipart/form-data",
    b"",
    b"\xff",
]


def changed() -> st.SearchStrategy[bytes]:
    """A right body with something else in one place."""
    at = st.integers(0, len(RIGHT))
    return st.tuples(at, st.integers(0, 30), joined(BODIES, 2)).map(
        lambda one: RIGHT[: one[0]] + one[2] + RIGHT[one[0] + one[1] :]
    )


@settings(fuzz, max_examples=400)
@given(
    body=joined(BODIES, 6) | changed(),
    content_type=st.sampled_from(TYPES),
    query=st.sampled_from([b"", b"format=tar", b"format=zip"]) | joined([b"format=", b"tar", b"zip", b"&", b"x"], 3),
)
@example(body=b"[" * 100_000, content_type=b"application/json", query=b"")
@example(body=b"9" * 100_000, content_type=b"application/json", query=b"")
def test_any_body(asked: Asked, body: bytes, content_type: bytes, query: bytes) -> None:
    answer = asked.ask(b"/batch", query, [(b"content-type", content_type)], method="POST", body=body)
    assert answer.status in {200, 400, 413, 415, 422}
