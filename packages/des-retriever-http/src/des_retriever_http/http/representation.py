"""The headers that describe an entry: what it is, how it may be shown, what it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from des_format.store import StoredEntry

from .answers import RawHeaders

__all__ = ["content_type_of", "describe", "disposition"]

_DEFAULT_TYPE = "application/octet-stream"
_META_KEYS = ("content_type", "content-type", "Content-Type", "mime", "mime_type", "mimetype")
# A browser shows the parts of multipart/x-mixed-replace as pages of this origin, each of a type of its own.
_TYPE = re.compile(
    r"(?!multipart/x-mixed-replace)[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
    r'(?:[ \t]*;[ \t]*[a-z0-9!#$&^_.+-]+=(?:[a-z0-9!#$&^_.+-]+|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*\Z',
    re.ASCII | re.IGNORECASE,
)
# Types that can run scripts in the origin of this service.
_ACTIVE = re.compile(r"(?:text/html|application/xhtml|[^;]*[+/]xml|text/xsl|image/svg)", re.IGNORECASE)
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
_EXTERNAL = (b"x-des-is-external", b"true")
_INLINE = (b"x-des-is-external", b"false")
_PLAIN_NAME = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+\Z")


def content_type_of(meta: Mapping[str, Any]) -> str:
    """Return the media type that an entry's metadata names, under one of the usual keys; else octet-stream."""
    if not meta:
        return _DEFAULT_TYPE
    for key in _META_KEYS:
        value = meta.get(key)
        if isinstance(value, str) and _is_type(value):
            return value
    return _DEFAULT_TYPE


@lru_cache(1024)
def _is_type(text: str) -> bool:
    return _TYPE.match(text) is not None


def disposition(uid: str, *, attachment: bool) -> str:
    """Return a Content-Disposition that offers the last part of the uid as the file's name (RFC 6266, 8187)."""
    name = uid.replace("\\", "/").rstrip("/").rpartition("/")[2] or "file"
    kind = "attachment" if attachment else "inline"
    if _PLAIN_NAME.match(name):
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"


def describe(stored: StoredEntry, uid: str, *, attachment: bool) -> RawHeaders:
    """Return the headers of an entry, whichever part of it is sent; the first is its type."""
    entry = stored.entry
    return [
        *_headers_of_type(content_type_of(entry.meta)),
        (b"content-disposition", disposition(uid, attachment=attachment).encode("latin-1")),
        *_headers_of_place(stored.archive_id, stored.shard),
        (b"x-des-size-bytes", b"%d" % entry.size),
        _EXTERNAL if entry.is_external else _INLINE,
    ]


@lru_cache(1024)
def _headers_of_type(content_type: str) -> RawHeaders:
    headers = [(b"content-type", content_type.encode("latin-1")), _NO_SNIFFING]
    if _ACTIVE.match(content_type):
        headers.append(_SANDBOX)
    return headers


@lru_cache(4096)
def _headers_of_place(archive_id: str, shard: str) -> RawHeaders:
    return [
        (b"x-des-container", archive_id.encode("latin-1", "replace")),
        (b"x-des-shard-id", shard.encode("latin-1")),
    ]
