"""The text that is signed says all of a request, and nothing of another."""

from __future__ import annotations

import pytest
from des_retriever_http.security.signing import canonical_text
from hypothesis import given
from hypothesis import strategies as st

Request = dict[str, str | bytes]

_TEXTS = st.text(alphabet="a:1\n|", max_size=6)
_BYTES = _TEXTS.map(str.encode)
_REQUESTS = st.fixed_dictionaries(
    {
        "method": _TEXTS,
        "raw_path": _BYTES,
        "query": _BYTES,
        "body": _BYTES,
        "public_key": _TEXTS,
        "timestamp": _TEXTS,
        "nonce": _TEXTS,
    }
)
_READ: Request = {
    "method": "GET",
    "raw_path": b"/files/a%2Fb",
    "query": b"created_at=2024-05-01T00:00:00Z",
    "body": b"",
    "public_key": "ssh-ed25519 AAAA",
    "timestamp": "2024-05-01T00:00:00Z",
    "nonce": "n1",
}


def text_of(request: Request) -> bytes:
    return canonical_text(**request)  # type: ignore[arg-type]


@given(_REQUESTS, _REQUESTS)
def test_two_requests_have_the_same_text_only_if_they_are_the_same(one: Request, other: Request) -> None:
    assert (text_of(one) == text_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("method", "DELETE"),
        ("raw_path", b"/files/a/b"),
        ("query", b"created_at=2024-05-01T00:00:00%2B00:00"),
        ("body", b"{}"),
        ("timestamp", "2024-05-01T00:00:00+00:00"),
        ("nonce", "n2"),
        ("public_key", "ssh-ed25519 BBBB"),
    ],
)
def test_each_part_of_a_request_is_signed_as_it_was_sent(part: str, value: str | bytes) -> None:
    assert text_of({**_READ, part: value}) != text_of(_READ)


def test_a_part_cannot_be_moved_into_its_neighbour() -> None:
    assert text_of({**_READ, "raw_path": b"/a", "query": b"b"}) != text_of({**_READ, "raw_path": b"/ab", "query": b""})


def test_the_text_is_what_other_clients_are_told_to_sign() -> None:
    assert text_of({**_READ, "query": b""}) == (
        b"DES-SIG-V2\n12:/files/a%2Fb\n0:\n"
        b"64:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
        b"3:GET\n16:ssh-ed25519 AAAA\n20:2024-05-01T00:00:00Z\n2:n1\n"
    )
