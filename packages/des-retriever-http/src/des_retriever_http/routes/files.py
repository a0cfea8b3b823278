"""`GET` and `HEAD /files/{uid}`: the route that everything else is there for, without a framework in its way."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from des_format.entry import Codec
from fastapi import Header, Query
from pydantic import TypeAdapter, ValidationError
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..http.answers import Answer, RawHeaders
from ..http.codings import accepts
from ..http.conditions import evaluate, range_holds
from ..http.dates import parse_created_at
from ..http.documenting import CreatedAt, ServedRoute, problems
from ..http.multipart import Multipart
from ..http.paths import Uid
from ..http.problems import Problem, shown
from ..http.ranges import parse_ranges
from ..http.representation import describe
from ..http.validators import validators_of
from ..service import Service
from ..storage.backend import Fetched
from ..storage.checking import begun, checked

__all__ = ["FileEndpoint", "answer_with", "described_responses", "file_routes", "headers_of"]

# A range of an entry of this size or less is cut from the whole, which is one request and is checked.
_WHOLE_FOR_RANGE_BYTES = 64 * 2**10
_MAX_FIELDS = 16
# The usual query, which needs no parser: one parameter, with no `+`, which stands for a space.
_ONLY_TIME = re.compile(rb"created_at=([0-9A-Za-z.:%-]*)")
# Headers of a request that decide about its answer; clients send twice as many others.
_DECIDING = frozenset(
    {
        *(b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"),
        *(b"accept-encoding", b"cache-control", b"if-range", b"range"),
    }
)
_BOOLEAN = TypeAdapter(bool)
_RANGES = (b"accept-ranges", b"bytes")
_VARIES = (b"vary", b"Accept-Encoding")


class _Asked(NamedTuple):
    """A request for an entry."""

    uid: str
    created_at: datetime
    headers: dict[str, str]
    attachment: bool = False
    fresh: bool = False
    cache_control: bytes = b""


class FileEndpoint:
    """ASGI application for the path of one entry, which `EntryPaths` has put into the scope.

    Args:
        service: What it serves from.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            asked = _asked(scope)
            answer = await (self._head(asked) if scope["method"] == "HEAD" else self._get(asked))
        except Exception as error:
            answer = shown(error, scope)
        await answer(scope, receive, send)

    async def _head(self, asked: _Asked) -> ASGIApp:
        stored = await self._service.backend.describe(asked.uid, asked.created_at, fresh=asked.fresh)
        if stored.entry.codec is Codec.ZSTD and "accept-encoding" in asked.headers:
            return await self._get(asked, only_head=True)  # Only the record tells whether it can be sent as it is.
        answering = _Answering(self._service, asked, Fetched(stored, None))
        return answering.unchanged() or answering.head()

    async def _get(self, asked: _Asked, *, only_head: bool = False) -> ASGIApp:
        limit = _WHOLE_FOR_RANGE_BYTES if "range" in asked.headers else self._service.settings.fetch_bytes
        keep_zstd = "range" not in asked.headers and accepts(asked.headers.get("accept-encoding", ""), "zstd")
        found = await self._service.backend.fetch(
            asked.uid, asked.created_at, limit=limit, fresh=asked.fresh, keep_zstd=keep_zstd
        )
        answering = _Answering(self._service, asked, found)
        return answering.unchanged() or (answering.head() if only_head else await answering.body())


class _Answering:
    """How to answer with an entry that was found."""

    def __init__(self, service: Service, asked: _Asked, found: Fetched) -> None:
        self._service = service
        self._asked = asked
        self._found = found
        self._size = found.stored.entry.size
        self._validators = validators_of(found.stored, found.coding)
        cache_control = asked.cache_control or service.settings.cache_control.encode()
        self._lasting = [*self._validators.headers(), (b"cache-control", cache_control)]
        if found.stored.entry.codec is Codec.ZSTD:
            self._lasting.append(_VARIES)
        self._headers = describe(found.stored, asked.uid, attachment=asked.attachment) + self._lasting

    def unchanged(self) -> ASGIApp | None:
        """The answer to a condition that does not hold, or None."""
        status = evaluate(self._asked.headers, *self._validators)
        if status == 412:
            raise Problem(412, "precondition_failed", "The file is not the version that the request expects")
        return Answer(304, self._lasting) if status else None

    def head(self) -> ASGIApp:
        """The headers alone."""
        return Answer(200, [*self._whole(), (b"x-des-exists", b"true")])

    def _whole(self) -> RawHeaders:
        """The headers of all of it, in the coding in which it was fetched."""
        coding, payload = self._found.coding, self._found.payload
        if coding and payload is not None:
            return [*self._headers, (b"content-encoding", coding.encode()), _length(len(payload))]
        return [*self._headers, _RANGES, _length(self._size)]

    async def body(self) -> ASGIApp:
        """The payload, or what is asked of it."""
        if self._found.coding and self._found.payload is not None:
            return Answer(200, self._whole(), self._found.payload)
        headers = self._asked.headers
        ranges = None
        if "range" in headers and range_holds(headers, *self._validators):
            ranges = parse_ranges(headers["range"], self._size)
        if ranges is None:
            return await self._part(0, self._size, 200, self._headers)
        if len(ranges) > 1:
            return await self._parts(ranges)
        ((start, end),) = ranges
        where = (b"content-range", b"bytes %d-%d/%d" % (start, end - 1, self._size))
        return await self._part(start, end, 206, [*self._headers, where])

    async def _part(self, start: int, end: int, status: int, headers: RawHeaders) -> ASGIApp:
        headers = [*headers, _RANGES, _length(end - start)]
        payload = self._found.payload
        if payload is not None:
            return Answer(status, headers, payload if end - start == len(payload) else payload[start:end])
        if end - start <= self._service.settings.fetch_bytes:
            asked = self._asked
            data = await self._service.backend.read_range(asked.uid, asked.created_at, start, end)
            return Answer(status, headers, data)
        return await _streamed(self._pieces(start, end), status, headers)

    async def _parts(self, ranges: Sequence[tuple[int, int]]) -> ASGIApp:
        _type, *others = self._headers
        multipart = Multipart(ranges, self._size, _type[1])

        async def pieces() -> AsyncIterator[bytes]:
            for number, (start, end) in enumerate(ranges):
                yield multipart.before(number)
                async for piece in self._pieces(start, end):
                    yield piece
            yield multipart.after()

        headers = [(b"content-type", multipart.content_type), *others, _length(multipart.length)]
        return await _streamed(pieces(), 206, headers)

    async def _pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        if self._found.payload is not None:
            yield self._found.payload[start:end]
            return
        backend = self._service.backend
        stream = backend.stream(self._asked.uid, self._asked.created_at, start, end)
        whole = (start, end) == (0, self._size)
        async for piece in checked(stream, self._found.stored.entry) if whole else stream:
            yield piece


async def answer_with(
    service: Service,
    found: Fetched,
    uid: str,
    created_at: datetime,
    *,
    headers: dict[str, str],
    cache_control: bytes = b"",
) -> ASGIApp:
    """Answer a GET with an entry that was found otherwise than by its path.

    Args:
        service: Reads what was not fetched.
        found: The entry.
        uid: Its uid.
        created_at: Any time of its day.
        headers: Of the request.
        cache_control: In place of the one of the settings.
    """
    answering = _Answering(service, _Asked(uid, created_at, headers, cache_control=cache_control), found)
    return answering.unchanged() or await answering.body()


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


async def _streamed(pieces: AsyncIterator[bytes], status: int, headers: RawHeaders) -> ASGIApp:
    """Answer piece by piece; what fails before the first piece is still told by a status."""
    response = StreamingResponse(await begun(pieces), status)
    response.raw_headers = headers
    return response


def _asked(scope: Scope) -> _Asked:
    given = _parameters(scope)
    headers = headers_of(scope)
    return _Asked(
        scope["path_uid"],
        parse_created_at(given["created_at"]),
        headers,
        "download" in given and _boolean("download", given["download"]),
        "no-cache" in headers.get("cache-control", "").lower(),
    )


def _boolean(name: str, text: str) -> bool:
    """Read a parameter as those of all other routes are read."""
    try:
        return _BOOLEAN.validate_python(text)
    except ValidationError:
        raise Problem(422, "invalid_input", f"{name} is neither true nor false") from None


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request that decide about its answer, by their lower-case names."""
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _DECIDING}


def _parameters(scope: Scope) -> dict[str, str]:
    """Return the parameters of a query.

    Raises:
        Problem: 422, `created_at` is missing; 400, it is there twice, or the query is malformed.
    """
    if plain := _ONLY_TIME.fullmatch(scope["query_string"]):
        return {"created_at": unquote(plain[1].decode())}
    try:
        pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Problem(400, "invalid_input", "The query is malformed") from None
    found = dict(pairs)
    if "created_at" not in found:
        raise Problem(422, "missing_created_at", "created_at is missing: /files/UID?created_at=2025-11-25T10:00:00Z")
    if sum(name == "created_at" for name, _value in pairs) > 1:
        raise Problem(400, "invalid_created_at", "Invalid created_at format: it is there more than once")
    return found


def described_responses(*more: int) -> dict[int | str, dict[str, Any]]:
    """What the document says of answers with a file, and of more problems."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    bytes_of_it: dict[str, Any] = {"content": {"application/octet-stream": binary, "*/*": {}}}
    return {
        200: {"description": "The file", **bytes_of_it},
        206: {"description": "A part of it, or parts as multipart/byteranges", **bytes_of_it},
        304: {"description": "It is still the version that the client has"},
        **problems(400, 404, 410, 412, 416, 422, 502, 503, *more),
    }


def file_routes(endpoint: FileEndpoint) -> list[ServedRoute]:
    """Return the routes of a file itself."""
    responses = described_responses()
    get = ServedRoute(
        "/files/{uid}", get_file, served_by=endpoint, methods=["GET"], responses=responses, response_model=None
    )
    heads = {status: {"description": one["description"]} for status, one in responses.items() if status != 206}
    head = ServedRoute(
        "/files/{uid}", head_file, served_by=endpoint, methods=["HEAD"], responses=heads, response_model=None
    )
    return [get, head]


Download = Annotated[bool, Query(description="Offer it as a file to save, not to show.")]


async def get_file(
    uid: Uid,
    created_at: CreatedAt,
    download: Download = False,
    range: Annotated[str | None, Header(description="Parts of it, such as `bytes=0-99`.")] = None,
    if_none_match: Annotated[str | None, Header(description="`ETag` of the version that the client has.")] = None,
    cache_control: Annotated[str | None, Header(description="`no-cache` sees deletions at once.")] = None,
) -> None:
    """Read a file, or a part of it.

    The content type is the one in its metadata (`content_type` or `mime`). `ETag` is strong, so an interrupted
    transfer can go on with `Range` and `If-Range`.
    """


async def head_file(uid: Uid, created_at: CreatedAt, download: Download = False) -> None:
    """Tell what `GET` would answer, without reading the payload."""
