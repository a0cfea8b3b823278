"""The operations on objects of a bucket, as sequences of requests."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from des_format.errors import (
    DesError,
    InvalidInputError,
    ObjectChangedError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.objects.results import LoadedResult, check_conditions, expected_tag, resolve_range
from des_format.ports.objects import GetOptions, ObjectMeta, PutMode, PutResult

from .calls import Answer, Call, Calls
from .failures import RangeOutsideError
from .quotes import IfMatchQuotes
from .ranges import content_range, describe, has_no_bytes, range_header

__all__ = ["conditions", "content_md5", "copy", "delete", "get", "head", "list_page", "put"]

_DELETE_COUNT = 1000


def get(path: str, key: str, options: GetOptions) -> Calls[LoadedResult]:
    """Read an object, or a range of it; `path` is its name in the result, `key` that in the bucket.

    A range without bytes, or beyond the end, takes a HEAD request, which is where its metadata comes from.

    Raises:
        As `ObjectStore.get`.
    """
    unsupported = sorted(name for name, value in options.items() if value and name not in _OPTIONS)
    if unsupported:
        raise UnsupportedOperationError(f"cannot read object {key!r} with options {', '.join(unsupported)}")
    header = range_header(key, options)
    if not has_no_bytes(options):
        arguments = {name: options[option] for option, name in _CONDITIONS if options.get(option)}  # type: ignore[literal-required]
        try:
            answer = yield Call("get_object", key, {**arguments, **({"Range": header} if header else {})})
        except RangeOutsideError:
            pass
        else:
            return _loaded(path, key, answer, options)
    meta = yield from head(path, key)
    check_conditions(key, meta["e_tag"], options)
    start, end = resolve_range(key, meta["size"], options)
    if start < end:
        raise UnavailableError(f"object {key!r}: range {options['range']} was refused, but the object has it")
    return LoadedResult(meta, (start, end), b"")


_OPTIONS = {"if_match", "if_none_match", "range"}
_CONDITIONS = (("if_match", "IfMatch"), ("if_none_match", "IfNoneMatch"))


def _loaded(path: str, key: str, answer: Answer, options: GetOptions) -> LoadedResult:
    data: bytes = answer["Body"]
    if (header := answer.get("ContentRange")) is not None:
        start, end, size = content_range(key, header)
    else:
        # The whole object, also where a range was asked for, which a server may ignore.
        size = len(data)
        start, end = resolve_range(key, size, options)
        data = data[start:end]
    if len(data) != end - start:
        raise UnavailableError(f"object {key!r}: found {len(data)} bytes, expected {end - start}")
    return LoadedResult(describe(path, answer, size), (start, end), data)


def head(path: str, key: str) -> Calls[ObjectMeta]:
    """Return an object's metadata.

    Raises:
        As `ObjectStore.head`.
    """
    answer = yield Call("head_object", key, {})
    return describe(path, answer, int(answer["ContentLength"]))


def put(key: str, data: bytes, mode: PutMode, quotes: IfMatchQuotes) -> Calls[PutResult]:
    """Write an object by one request.

    Raises:
        As `ObjectStore.put`.
    """
    arguments = {"Body": data, **content_md5(data)}
    tag = expected_tag(key, mode)
    known = quotes.known
    try:
        answer = yield Call("put_object", key, {**arguments, **conditions(mode, quotes)}, mode)
    except ObjectChangedError:
        # What was refused had no effect. Some servers refuse every tag that has its quotes.
        if tag is None or known is not None or not (yield from quotes.are_refused()):
            raise
        answer = yield Call("put_object", key, {**arguments, **conditions(mode, quotes)}, mode)
    else:
        if tag is not None:
            quotes.were_accepted()
    return PutResult(e_tag=answer.get("ETag"), version=_version(answer))


def conditions(mode: PutMode, quotes: IfMatchQuotes) -> dict[str, str]:
    """Return the conditions of a write, as parameters."""
    if mode == "create":
        return {"IfNoneMatch": "*"}
    tag = mode.get("e_tag") if isinstance(mode, dict) else None
    return {"IfMatch": quotes.dress(tag)} if tag else {}


def content_md5(data: bytes) -> dict[str, str]:
    """Return the checksum that every server verifies; nothing where the platform forbids MD5."""
    try:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
    except ValueError:
        return {}
    return {"ContentMD5": b64encode(digest).decode()}


def _version(answer: Answer) -> str | None:
    version: str | None = answer.get("VersionId")
    return None if version == "null" else version


def list_page(prefix: str, after: str | None, token: str | None) -> Calls[tuple[list[dict[str, Any]], str | None]]:
    """Return one page of the keys with a prefix, in order, and the token of the next one."""
    arguments: dict[str, Any] = {"Prefix": prefix}
    if token is not None:
        arguments["ContinuationToken"] = token
    elif after is not None:
        arguments["StartAfter"] = after
    answer = yield Call("list_objects_v2", prefix, arguments, whole=True)
    following = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
    return answer.get("Contents", []), following


def delete(keys: Sequence[str]) -> Calls[None]:
    """Delete objects, a thousand by one request; a missing one is no error.

    Raises:
        DesError: The first one that could not be deleted; the others were.
    """
    failures: list[DesError] = []
    for first in range(0, len(keys), _DELETE_COUNT):
        failures += yield from _delete_batch(keys[first : first + _DELETE_COUNT])
    if failures:
        raise failures[0]


def _delete_batch(keys: Sequence[str]) -> Calls[list[DesError]]:
    if len(keys) == 1:
        yield Call("delete_object", keys[0], {})
        return []
    wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    try:
        answer = yield Call("delete_objects", keys[0], {"Delete": wanted}, whole=True)
    except (UnsupportedOperationError, InvalidInputError):
        # Not every service has it, or takes the checksum that it needs.
        for key in keys:
            yield Call("delete_object", key, {})
        return []
    return [
        UnavailableError(f"object {error.get('Key')!r} was not deleted: {error.get('Code')}: {error.get('Message')}")
        for error in answer.get("Errors", [])
        if error.get("Code") != "NoSuchKey"
    ]


def copy(bucket: str, source: str, target: str) -> Calls[PutResult]:
    """Copy an object of up to 5 GiB within the service, over whatever the target is."""
    answer = yield Call("copy_object", target, {"CopySource": {"Bucket": bucket, "Key": source}}, "overwrite")
    return PutResult(e_tag=answer.get("CopyObjectResult", {}).get("ETag"), version=_version(answer))
