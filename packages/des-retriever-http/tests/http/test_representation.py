"""How a file is described."""

from __future__ import annotations

from email.message import Message
from typing import Any
from urllib.parse import unquote

import pytest
from des_format.entry import Codec, Entry, Kind
from des_format.store import StoredEntry
from des_retriever_http.http.representation import content_type_of, describe, disposition
from des_retriever_http.http.validators import validators_of
from hypothesis import given
from hypothesis import strategies as st


def stored(meta: object = None, **changes: Any) -> StoredEntry:
    entry = Entry("a", 3, 3, Kind.INLINE, Codec.NONE, 0, 40, {"content_type": meta} if meta is not None else {})
    return StoredEntry("20251125", "0A", "a" * 32, entry._replace(**changes))


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, "application/octet-stream"),
        ({"content_type": "image/png"}, "image/png"),
        ({"mime": "text/plain; charset=utf-8"}, "text/plain; charset=utf-8"),
        ({"content_type": "text/html\r\nSet-Cookie: a=b"}, "application/octet-stream"),
        ({"content_type": 7}, "application/octet-stream"),
        ({"content_type": "nonsense", "mime": "a/b"}, "a/b"),
        ({"content_type": "Multipart/X-Mixed-Replace; boundary=page"}, "application/octet-stream"),
        ({"content_type": 'multipart/related; type="a/b"'}, 'multipart/related; type="a/b"'),
    ],
)
def test_the_type_is_that_of_the_metadata_if_it_is_one(meta: dict[str, object], expected: str) -> None:
    assert content_type_of(meta) == expected


@pytest.mark.parametrize("active", ["text/html", "image/svg+xml", "Application/XHTML+xml", "text/xml; charset=utf-8"])
def test_what_could_run_scripts_is_sandboxed(active: str) -> None:
    assert b"sandbox" in dict(describe(stored(active), "a", attachment=False))[b"content-security-policy"]


def test_pictures_are_not_sandboxed() -> None:
    assert b"content-security-policy" not in dict(describe(stored("image/png"), "a", attachment=False))


@given(st.text(min_size=1, max_size=30).filter(lambda uid: "\0" not in uid and uid.isprintable()))
def test_any_uid_is_offered_as_one_plain_file_name(uid: str) -> None:
    header = disposition(uid, attachment=True)
    header.encode("ascii")
    message = Message()
    message["Content-Disposition"] = header
    name = message.get_filename() or ""
    assert "/" not in unquote(name)
    assert "\\" not in unquote(name)


def test_each_version_and_each_coding_has_its_own_tag() -> None:
    tags = {
        validators_of(stored()).etag,
        validators_of(stored(offset=1)).etag,
        validators_of(stored(payload_checksum=7)).etag,
        validators_of(stored(sha256="ab" * 32)).etag,
        validators_of(stored(), "zstd").etag,
    }
    assert len(tags) == 5


def test_the_date_is_that_of_the_archive_or_of_the_day() -> None:
    assert validators_of(stored()).modified.isoformat() == "2025-11-25T00:00:00+00:00"
    made = stored()._replace(archive_id="019ab9a3c8007" + "0" * 19)
    assert validators_of(made).modified.year == 2025
