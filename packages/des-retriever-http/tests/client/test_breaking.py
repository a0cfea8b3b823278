"""Connections that break, services that ask for patience, and answers that are none."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest
import zstandard
from des_format.checksum import checksum32
from des_format.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    ConflictError,
    CorruptArchiveError,
    DesError,
    EntryDeletedError,
    InvalidInputError,
    NotFoundError,
    ObjectChangedError,
    UnavailableError,
)
from des_retriever_http.client import HttpProblem, RetryPolicy, UnexpectedAnswerError

from ..times import MORNING
from .either import QUICK, Either
from .scripted import REFUSE, answer, problem, scripted

PAYLOAD = Random(7).randbytes(100_000)
CHECKSUM = f"{checksum32(PAYLOAD):x}"
TAG = f'"archive-40-{len(PAYLOAD):x}-{CHECKSUM}"'
BUSY = problem(503, "overloaded")
WHOLE = answer(200, PAYLOAD, ETag=TAG, X_DES_Size_Bytes=str(len(PAYLOAD)))

Connected = Callable[..., Either]


def begun(sent: int, payload: bytes = PAYLOAD, etag: str = TAG) -> bytes:
    """The answer with a whole file, cut off."""
    return answer(200, payload, sent, ETag=etag, X_DES_Size_Bytes=str(len(payload)))


def rest(start: int, sent: int | None = None, payload: bytes = PAYLOAD, etag: str = TAG) -> bytes:
    """The answer with the rest of a file."""
    where = f"bytes {start}-{len(payload) - 1}/{len(payload)}"
    return answer(206, payload[start:], sent, ETag=etag, Content_Range=where)


def about(codec: str, etag: str = TAG) -> bytes:
    """The answer with the metadata of a file."""
    members = {
        "uid": "a", "day": "20251125", "shard": "07", "archive_id": "archive", "size": len(PAYLOAD), "stored_size": 5,
        "codec": codec, "external": False, "sha256": None, "content_type": "text/plain", "etag": etag,
        "last_modified": "2025-11-25T08:00:00+00:00", "meta": {}, "of_a_later_version": 1,
    }  # fmt: skip
    return answer(200, json.dumps(members).encode(), Content_Type="application/json")


@pytest.mark.parametrize("failures", [[BUSY], [problem(429, "rate_limited")], [REFUSE, begun(0), BUSY]])
async def test_what_may_pass_is_asked_for_again(connected: Connected, failures: list[bytes]) -> None:
    with scripted(*failures, WHOLE) as server:
        assert await connected(server.url)("get", "a", MORNING) == PAYLOAD
        assert len(server.requests) == len(failures) + 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (problem(400, "invalid_created_at"), InvalidInputError),
        (problem(401, "unauthorized"), AccessDeniedError),
        (problem(403, "permission_denied"), AccessDeniedError),
        (problem(404, "locator_outdated"), NotFoundError),
        (problem(409, "of_a_later_version"), ConflictError),
        (problem(413, "body_too_large"), InvalidInputError),
        (problem(500, "internal_error"), DesError),
        (problem(502, "corrupt_archive"), CorruptArchiveError),
        (problem(503, "store_not_found"), NotFoundError),
        (answer(502, b"<h1>Bad Gateway</h1>", Content_Type="text/html"), UnavailableError),
        (answer(404, b"<h1>nginx</h1>", Content_Type="text/html"), UnexpectedAnswerError),
        (answer(302, Location="https://login.example.org/?next=/files"), UnexpectedAnswerError),
        (answer(404, b"[]", Content_Type="application/problem+json"), UnexpectedAnswerError),
        (answer(404, b"\xff{", Content_Type="application/problem+json"), UnexpectedAnswerError),
        (answer(299, b""), UnexpectedAnswerError),
        (answer(200, b"<h1>Hello</h1>", Content_Type="text/html"), UnexpectedAnswerError),
    ],
)
async def test_what_will_not_pass_is_not_asked_for_again(
    connected: Connected, refusal: bytes, kind: type[DesError]
) -> None:
    for read in ("get", "stream"):
        with scripted(refusal) as server:
            client = connected(server.url)
            with pytest.raises(kind) as caught:
                await (client.stream("a", MORNING) if read == "stream" else client("get", "a", MORNING))
            assert len(server.requests) == 1
            assert "<h1>" not in str(caught.value)


async def test_an_error_says_what_where_why_and_the_request(connected: Connected) -> None:
    with scripted(problem(503, "unavailable", "The storage is unavailable", request_id="r-17")) as server:
        with pytest.raises(UnavailableError) as caught:
            await connected(server.url, retries=0)("get", "a", MORNING)
        assert str(caught.value) == (
            "file 'a' of 2025-11-25T08:00:00Z: The storage is unavailable (503 unavailable, request r-17)"
        )
        cause = caught.value.__cause__
        assert isinstance(cause, HttpProblem)
        assert (cause.status, cause.code, cause.request_id, cause.attempt) == (503, "unavailable", "r-17", 1)


async def test_attempts_are_counted_and_end(connected: Connected) -> None:
    with scripted(BUSY) as server:
        with pytest.raises(UnavailableError):
            await connected(server.url, retries=RetryPolicy(2, 20.0, 0.001, 0.01))("get", "a", MORNING)
        assert len(server.requests) == 3
        with pytest.raises(UnavailableError):
            await connected(server.url, retries=0)("get", "a", MORNING)
        assert len(server.requests) == 4


async def test_the_service_says_how_long_to_wait(connected: Connected) -> None:
    with scripted(problem(503, "overloaded", headers={"Retry-After": "1"}), WHOLE) as server:
        began = time.monotonic()
        assert await connected(server.url)("get", "a", MORNING) == PAYLOAD
        assert time.monotonic() - began >= 1.0


async def test_nobody_waits_beyond_the_deadline(connected: Connected) -> None:
    with scripted(problem(429, "rate_limited", headers={"Retry-After": "3600"}), WHOLE) as server:
        with pytest.raises(UnavailableError) as caught:
            await connected(server.url)("get", "a", MORNING)
        assert isinstance(caught.value.__cause__, HttpProblem)
        assert caught.value.__cause__.retry_after_seconds == 3600
        assert len(server.requests) == 1


async def test_a_transfer_goes_on_where_it_broke(connected: Connected) -> None:
    answers = [begun(7), rest(7, 29_993), REFUSE, BUSY, rest(30_000, 1), rest(30_001, 69_998), rest(99_999)]
    with scripted(*answers) as server:
        head, pieces = await connected(server.url).stream("a", MORNING)
    assert b"".join(pieces) == PAYLOAD
    assert (head.size, head.etag) == (len(PAYLOAD), TAG)
    asked = [one.headers.get("range") for one in server.requests]
    assert asked == [None, *(f"bytes={cut}-" for cut in (7, 30_000, 30_000, 30_000, 30_001, 99_999))]
    assert {one.headers.get("if-range") for one in server.requests[1:]} == {TAG}
    assert {one.headers["accept-encoding"] for one in server.requests} == {"identity"}


async def test_a_proxy_that_knows_no_ranges_repeats_nothing(connected: Connected) -> None:
    with scripted(begun(60_000), begun(50_000), begun(70_000), WHOLE) as server:
        _, pieces = await connected(server.url).stream("a", MORNING)
    assert b"".join(pieces) == PAYLOAD


@pytest.mark.parametrize(
    "second", [begun(100_000, etag='"other"'), rest(60_000, etag='"other"'), problem(412, "precondition_failed")]
)
async def test_another_version_is_no_continuation(connected: Connected, second: bytes) -> None:
    pieces: list[bytes] = []
    with scripted(begun(60_000), second) as server, pytest.raises(ObjectChangedError):
        await connected(server.url).stream("a", MORNING, into=pieces)
    assert b"".join(pieces) == PAYLOAD[:60_000]


async def test_a_file_that_is_deleted_meanwhile_ends_as_one(connected: Connected) -> None:
    with scripted(begun(60_000), problem(410, "entry_deleted")) as server, pytest.raises(EntryDeletedError):
        await connected(server.url).stream("a", MORNING)


@pytest.mark.parametrize("second", [rest(59_999), rest(60_001), answer(206, b"x"), answer(204)])
async def test_another_part_is_no_continuation(connected: Connected, second: bytes) -> None:
    with scripted(begun(60_000), second) as server, pytest.raises(UnexpectedAnswerError):
        await connected(server.url).stream("a", MORNING)


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
async def test_without_a_strong_tag_nothing_is_put_together(connected: Connected, etag: str) -> None:
    pieces: list[bytes] = []
    with scripted(begun(60_000, etag=etag), rest(60_000)) as server, pytest.raises(UnavailableError):
        await connected(server.url).stream("a", MORNING, into=pieces)
    assert b"".join(pieces) == PAYLOAD[:60_000]
    assert len(server.requests) == 1


async def test_a_transfer_that_never_gets_further_ends(connected: Connected) -> None:
    with scripted(begun(60_000), rest(60_000, 0)) as server, pytest.raises(UnavailableError):
        await connected(server.url).stream("a", MORNING)
    assert len(server.requests) == 1 + QUICK.retries + 1


@pytest.mark.parametrize("etag", [TAG, f'"big-40-{len(PAYLOAD):x}-{hashlib.sha256(PAYLOAD).hexdigest()[:16]}"'])
async def test_a_damaged_file_is_never_read_to_its_end(connected: Connected, etag: str) -> None:
    """The service ends a damaged payload before its end; the rest by itself would not be checked there."""
    damaged = b"?" + PAYLOAD[1:]
    pieces: list[bytes] = []
    answers = [begun(60_000, damaged, etag), rest(60_000, None, damaged, etag), about("none")]
    with scripted(*answers) as server, pytest.raises(ChecksumMismatchError):
        await connected(server.url).stream("a", MORNING, into=pieces)
    assert len(b"".join(pieces)) < len(PAYLOAD)
    assert pieces[0][:1] == b"?"


async def test_the_checksum_of_what_is_stored_compressed_is_none_of_the_file(connected: Connected) -> None:
    tag = '"archive-40-186a0-1234abcd"'
    answers = [begun(60_000, etag=tag), rest(60_000, None, etag=tag), BUSY, about("zstd", tag)]
    with scripted(*answers) as server:
        _, pieces = await connected(server.url).stream("a", MORNING)
    assert b"".join(pieces) == PAYLOAD
    assert server.requests[-1].line.startswith("GET /files/a/meta?")
    with scripted(*answers[:2], about("zstd", '"other"')) as server, pytest.raises(ObjectChangedError):
        await connected(server.url).stream("a", MORNING)
    with scripted(*answers[:2], answer(200, b"")) as server, pytest.raises(UnexpectedAnswerError):
        await connected(server.url).stream("a", MORNING)


async def test_who_stops_early_leaves_no_connection(connected: Connected) -> None:
    with scripted(WHOLE) as server:
        client = connected(server.url)
        if hasattr(client.inner, "aclose"):
            async with client.inner.stream("a", MORNING) as download:
                async for _piece in download:
                    break
        else:
            with client.inner.stream("a", MORNING) as download:
                for _piece in download:
                    break
        assert await client("get", "a", MORNING) == PAYLOAD


async def test_parts_that_are_other_parts(connected: Connected) -> None:
    whole, part = {"ETag": TAG}, {"Content_Range": f"bytes 10-19/{len(PAYLOAD)}"}
    for one, expected in (
        (answer(206, PAYLOAD[10:20], **part), PAYLOAD[10:20]),
        (answer(200, PAYLOAD, **whole), PAYLOAD[10:20]),
        (answer(206, PAYLOAD[10:20], Content_Range="bytes 11-20/100000"), UnexpectedAnswerError),
        (answer(206, PAYLOAD[10:20]), UnexpectedAnswerError),
        (answer(206, PAYLOAD[10:19], **part), UnavailableError),
    ):
        with scripted(one) as server:
            client = connected(server.url)
            if isinstance(expected, bytes):
                assert await client("get_range", "a", MORNING, 10, 20) == expected
            else:
                with pytest.raises(expected):
                    await client("get_range", "a", MORNING, 10, 20)


DELETED = {"sequence": 9, "at": "2025-11-25T08:00:00+00:00", "by": "me", "reason": "GDPR", "ticket": None}


async def test_a_deletion_whose_answer_was_lost_is_found_in_the_history(connected: Connected) -> None:
    gone = problem(410, "entry_deleted")
    mine = answer(200, json.dumps({"uid": "a", "commits": [DELETED]}).encode())
    others = answer(200, json.dumps({"uid": "a", "commits": [{**DELETED, "by": "men (k)"}]}).encode())

    async def delete(*answers: bytes) -> Any:
        with scripted(*answers) as server:
            return await connected(server.url)("delete", "a", MORNING, reason="GDPR", by="me ")

    keyed = answer(200, json.dumps({"uid": "a", "commits": [{**DELETED, "by": "me (k)"}]}).encode())
    assert await delete(REFUSE, gone, mine) == 9
    assert await delete(REFUSE, gone, keyed) == 9
    for answers in ([gone, mine], [REFUSE, gone, others], [REFUSE, gone, problem(403, "permission_denied")]):
        with pytest.raises(EntryDeletedError):
            await delete(*answers)


async def test_a_page_that_refers_to_itself_is_no_listing(connected: Connected) -> None:
    page = answer(200, json.dumps({"entries": [], "next": "again"}).encode())
    with scripted(page) as server, pytest.raises(UnexpectedAnswerError, match="refers to itself"):
        await connected(server.url).all("list", "20251125")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"days": [1]}', b"[" * 100_000])
async def test_json_of_another_form_is_no_answer(connected: Connected, body: bytes) -> None:
    with scripted(answer(200, body)) as server, pytest.raises(UnexpectedAnswerError):
        await connected(server.url)("days")


def packed(data: bytes, sent: int | None = None, size: int = len(PAYLOAD)) -> bytes:
    """The answer with a whole file that is compressed with zstd."""
    return answer(200, data, sent, ETag='"a-zstd"', X_DES_Size_Bytes=str(size), Content_Encoding="zstd")


async def test_what_is_stored_with_zstd_is_expanded_here(connected: Connected) -> None:
    stored = zstandard.compress(PAYLOAD)
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(PAYLOAD)
    for answers in ([packed(stored)], [packed(streamed)], [packed(stored, 500), BUSY, packed(stored)]):
        with scripted(*answers) as server:
            assert await connected(server.url)("get", "a", MORNING) == PAYLOAD
            assert {one.headers["accept-encoding"] for one in server.requests} == {"zstd"}


@pytest.mark.parametrize(
    "body",
    [
        packed(zstandard.compress(PAYLOAD)[:-9]),
        packed(zstandard.compress(b"\0" * 10**8)),
        packed(zstandard.compress(PAYLOAD), size=len(PAYLOAD) + 1),
        packed(b"words"),
        packed(b""),
    ],
)
async def test_what_does_not_expand_to_the_file_is_none(connected: Connected, body: bytes) -> None:
    with scripted(body) as server, pytest.raises(UnexpectedAnswerError):
        await connected(server.url)("get", "a", MORNING)


async def test_a_compressed_answer_is_no_stream(connected: Connected) -> None:
    zipped = answer(200, PAYLOAD, X_DES_Size_Bytes=str(len(PAYLOAD)), Content_Encoding="gzip")
    with scripted(zipped) as server, pytest.raises(UnexpectedAnswerError, match="gzip"):
        await connected(server.url).stream("a", MORNING)


async def test_a_slow_service_is_unavailable(connected: Connected) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="Timeout"):
            await connected(url, timeout=httpx.Timeout(0.05), retries=0)("get", "a", MORNING)
