"""The Range header."""

from __future__ import annotations

from contextlib import suppress

import pytest
from des_retriever_http.http.multipart import Multipart
from des_retriever_http.http.problems import Problem
from des_retriever_http.http.ranges import MAX_RANGES, parse_ranges
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=5-", [(5, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-30", [(0, 10)]),
        ("bytes=2-99", [(2, 10)]),
        ("BYTES = 0-1 , 4-5", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1", [(4, 6), (0, 2)]),
        ("bytes=0-1,99-", [(0, 2)]),
    ],
)
def test_ranges_are_half_open_and_end_with_the_payload(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "items=0-1",
        "bytes=1-0",
        "bytes=a-b",
        "bytes=-",
        "bytes=0-1,x",
        "bytes=0-5,3-8",
        "bytes=²-3",
        "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(MAX_RANGES + 1)),
    ],
)
def test_what_is_no_list_of_ranges_means_the_whole(header: str | None) -> None:
    assert parse_ranges(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-,99-"])
def test_ranges_beyond_the_payload_are_refused_with_its_size(header: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_ranges(header, 10)
    assert (caught.value.status, caught.value.headers) == (416, {"Content-Range": "bytes */10"})


def test_an_empty_payload_has_no_range() -> None:
    with pytest.raises(Problem):
        parse_ranges("bytes=0-", 0)


@given(st.text(max_size=40), st.integers(0, 2**70))
def test_any_header_gives_ranges_of_the_payload_or_none(text: str, size: int) -> None:
    with suppress(Problem):
        for start, end in parse_ranges(f"bytes={text}", size) or []:
            assert 0 <= start < end <= size


def test_a_multipart_answer_says_its_length() -> None:
    multipart = Multipart([(0, 2), (7, 10)], 10, b"text/plain")
    body = multipart.before(0) + b"ab" + multipart.before(1) + b"hij" + multipart.after()
    assert len(body) == multipart.length
    assert b"Content-Range: bytes 7-9/10" in body
