"""The decoder of frames, with bytes alone."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from des_format.errors import UnavailableError
from des_retriever_http.client import UnexpectedAnswerError
from des_retriever_http.client.frames import Frame, FrameDecoder
from hypothesis import given
from hypothesis import strategies as st

from .framing import END, frame

FILES = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=40)), max_size=6)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def fed(decoder: FrameDecoder, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    return [(one.header["uid"], one.payload) for piece in pieces for one in decoder.feed(piece)]


@given(FILES, st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_come_out_whole_and_in_order_however_bytes_come_in(
    files: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    body = b"".join(frame(payload, uid=uid) for uid, payload in files) + END
    decoder = FrameDecoder()
    assert fed(decoder, pieces_of(body, cuts)) == files
    assert decoder.ended
    decoder.close()


@given(FILES, st.integers(0, 10_000))
def test_what_is_cut_off_gives_only_what_is_whole(files: list[tuple[str, bytes]], cut: int) -> None:
    body = b"".join(frame(payload, uid=uid) for uid, payload in files) + END
    decoder = FrameDecoder()
    found = fed(decoder, [body[: cut % len(body)]])
    assert found == files[: len(found)]
    assert not decoder.ended
    with pytest.raises(UnavailableError) as caught:
        decoder.close()
    assert caught.value.retryable


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_frames_or_refused(body: bytes) -> None:
    decoder = FrameDecoder()
    with suppress(UnexpectedAnswerError):
        assert all(isinstance(one, Frame) for one in decoder.feed(body))


@pytest.mark.parametrize(
    "header",
    [
        b"[]", b"{}", b"null", b"\xff", b'{"size": -1}', b'{"size": "5"}', b'{"size": true}', b'{"size": 1.0}',
        b'"size"', b'{"size": null}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        FrameDecoder().feed(struct.pack(">I", len(header)) + header)


def test_a_length_is_not_believed_before_it_is_reasonable() -> None:
    with pytest.raises(UnexpectedAnswerError):
        FrameDecoder().feed(b"<html>")


def test_nothing_follows_the_end() -> None:
    with pytest.raises(UnexpectedAnswerError):
        FrameDecoder().feed(END + b"x")
    decoder = FrameDecoder()
    decoder.feed(END)
    assert decoder.feed(b"") == []
    with pytest.raises(UnexpectedAnswerError):
        decoder.feed(END)
