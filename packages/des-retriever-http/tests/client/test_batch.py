"""Batches over connections that hold or break; the answers are written here, as the service would give them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from des_format.errors import (
    AccessDeniedError,
    CorruptArchiveError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidInputError,
    UnavailableError,
)
from des_retriever_http.client import UnexpectedAnswerError
from des_retriever_http.client.batches import parts

from ..times import MORNING
from .either import QUICK, Either
from .framing import batch_answer, frame, framed
from .scripted import REFUSE, Received, answer, problem, scripted

FILES = [("a", MORNING), ("b", "2025-11-25T08:00:00Z"), (7, MORNING)]
A, B, SEVEN = framed("a", b"A" * 5000), framed("b", None), framed("7", b"")

Connected = Callable[..., Either]


def asked(request: Received) -> list[str]:
    return [one["uid"] for one in json.loads(request.body)["files"]]


async def test_files_come_in_order_with_what_is_missing(connected: Connected) -> None:
    with scripted(batch_answer(A, B, SEVEN)) as server:
        a, b, seven = await connected(server.url).all("batch", FILES)
        (request,) = server.requests
    assert (a.uid, a.created_at, a.status, a.payload, a.content_type, a.etag) == (
        "a", datetime(2025, 11, 25, 8, tzinfo=UTC), 200, b"A" * 5000, "text/plain", '"t"',
    )  # fmt: skip
    assert (a.error, a.read()) == (None, b"A" * 5000)
    assert (b.status, b.payload, b.code, b.detail) == (404, None, "entry_not_found", "why")
    assert isinstance(b.error, EntryNotFoundError)
    with pytest.raises(EntryNotFoundError, match="file 'b' of 2025-11-25T08:00:00Z: why"):
        b.read()
    assert (seven.uid, seven.read()) == ("7", b"")
    assert "AAAA" not in repr(a)
    assert request.line == "POST /batch?format=frames HTTP/1.1"
    assert json.loads(request.body)["files"][1] == {"uid": "b", "created_at": "2025-11-25T08:00:00Z"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (410, "entry_deleted", EntryDeletedError),
        (502, "checksum_mismatch", CorruptArchiveError),
        (503, "unavailable", UnavailableError),
        (400, "invalid_name", InvalidInputError),
        (403, "permission_denied", AccessDeniedError),
        (299, "", UnexpectedAnswerError),
    ],
)
async def test_errors_of_files_are_those_of_the_library(
    connected: Connected, status: int, code: str, kind: type[Exception]
) -> None:
    with scripted(batch_answer(framed("a", None, code, status))) as server:
        (file,) = await connected(server.url).all("batch", FILES[:1])
    with pytest.raises(kind):
        file.read()


async def test_nothing_is_asked_for_without_files(connected: Connected) -> None:
    with scripted(REFUSE) as server:
        assert await connected(server.url).all("batch", []) == []
        assert server.requests == []


async def test_an_answer_that_is_cut_off_goes_on_with_the_files_that_are_missing(connected: Connected) -> None:
    whole = A + B + SEVEN
    for cut in (0, 3, 4, 50, len(A) - 1, len(A), len(A) + 7, len(A + B), len(whole) - 1):
        rest = [A, B, SEVEN][0 if cut < len(A) else 1 if cut < len(A + B) else 2 :]
        with scripted(REFUSE, batch_answer(whole[:cut], end=b""), problem(503, "busy"), batch_answer(*rest)) as server:
            files = await connected(server.url).all("batch", FILES)
            assert [file.uid for file in files] == ["a", "b", "7"]
            assert files[0].read() == b"A" * 5000
            assert asked(server.requests[-1]) == ["a", "b", "7"][3 - len(rest) :]


async def test_of_an_answer_without_its_end_nothing_is_missing_if_all_files_came(connected: Connected) -> None:
    with scripted(batch_answer(A, B, SEVEN, end=b"")) as server:
        assert len(await connected(server.url).all("batch", FILES)) == 3
        assert len(server.requests) == 1


async def test_a_file_in_whose_middle_every_answer_ends_is_asked_for_by_itself(connected: Connected) -> None:
    broken = batch_answer(A[:-1], end=b"")
    alone = answer(200, b"A" * 5000, X_DES_Size_Bytes="5000", Content_Type="text/plain")
    for found, status in ((alone, 200), (problem(502, "checksum_mismatch", "damaged"), 502)):
        with scripted(*[broken] * (QUICK.retries + 1), found, batch_answer(B, SEVEN)) as server:
            files = await connected(server.url).all("batch", FILES)
            assert asked(server.requests[-1]) == ["b", "7"]
        assert [file.status for file in files] == [status, 404, 200]
        assert files[0].payload == (b"A" * 5000 if status == 200 else None)
    assert str(files[0].error).endswith("damaged (502 checksum_mismatch)")
    with scripted(broken, REFUSE) as server:
        _, error = await connected(server.url).until_error("batch", FILES)
    assert isinstance(error, UnavailableError)


async def test_an_answer_that_is_always_cut_off_is_an_error_that_may_pass(connected: Connected) -> None:
    with scripted(batch_answer(A, B[:9], end=b""), batch_answer(B[:9], end=b"")) as server:
        found, error = await connected(server.url).until_error("batch", FILES)
        assert len(server.requests) == 1 + QUICK.retries + 1
    assert [file.uid for file in found] == ["a"]
    assert isinstance(error, UnavailableError)
    assert error.retryable


@pytest.mark.parametrize(
    "body",
    [
        batch_answer(A, B),
        batch_answer(A, B, SEVEN, SEVEN),
        batch_answer(B, A, SEVEN),
        batch_answer(A, B, frame(b"", uid="7", status="200")),
        batch_answer(A, B, frame(b"", uid="7")),
        answer(200, b"{}", Content_Type="application/json"),
        answer(206, b"", Content_Type="application/vnd.des.frames"),
        answer(404, b"", Content_Type="text/html"),
        answer(200, b"", Content_Type="application/vnd.des.frames", Content_Encoding="gzip"),
    ],
)
async def test_other_answers_are_refused(connected: Connected, body: bytes) -> None:
    with scripted(body) as server:
        _, error = await connected(server.url).until_error("batch", FILES)
        assert len(server.requests) == 1
    assert isinstance(error, UnexpectedAnswerError)


async def test_a_refusal_of_all_of_it_is_an_error(connected: Connected) -> None:
    with scripted(problem(403, "permission_denied")) as server, pytest.raises(AccessDeniedError):
        await connected(server.url).all("batch", FILES)


async def test_any_number_of_files_is_asked_for_ten_thousand_at_a_time(connected: Connected) -> None:
    names = [f"{number}" for number in range(20_001)]
    bodies = [
        batch_answer(*(framed(name, b"x") for name in names[start : start + 10_000]))
        for start in range(0, 20_001, 10_000)
    ]
    with scripted(*bodies) as server:
        files = await connected(server.url).all("batch", ((name, MORNING) for name in names))
        assert [len(asked(request)) for request in server.requests] == [10_000, 10_000, 1]
    assert [file.uid for file in files] == names


def test_requests_with_long_uids_stay_small() -> None:
    files = [("ü" * 30_000, MORNING)] * 100
    found = list(parts(files))
    assert sum(len(part) for part in found) == 100
    assert max(sum(len(key.uid.encode()) for key in part) for part in found) <= 2 * 2**20


@pytest.mark.parametrize("uid", [".", ".."])
async def test_uids_that_paths_lose_are_got_through_a_batch(connected: Connected, uid: str) -> None:
    with scripted(batch_answer(framed(uid, b"dots"))) as server:
        assert await connected(server.url)("get", uid, MORNING) == b"dots"
    with scripted(batch_answer(framed(uid, None))) as server, pytest.raises(EntryNotFoundError):
        await connected(server.url)("get", uid, MORNING)
