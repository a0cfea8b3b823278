"""What the service can be asked: for each question, what is sent, and what the answer means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from des_format.errors import DesError, EntryDeletedError, EntryNotFoundError, InvalidInputError, UnavailableError

from .arguments import FileKey, path_of, query_of
from .messages import IDENTITY, Call, Request
from .problems import HttpProblem, UnexpectedAnswerError
from .ranges import part_of
from .results import Deletion, FileMeta, Link, ListedFile, Page, Retained, decoded, text_of

__all__ = [
    "days",
    "delete",
    "exists",
    "extend_retention",
    "get_located",
    "get_range",
    "history",
    "locator",
    "meta",
    "page",
]


def get_located(token: str) -> Call[bytes]:
    """Ask for the file of a link."""
    if not token.strip(".") or not token.isascii():
        raise InvalidInputError("the token of a link is text in ASCII")
    what = "a link"
    answer = yield Request(what, "GET", f"/locators/{quote(token, safe='')}")
    if answer.status != 200:
        raise UnexpectedAnswerError(f"{what}: status {answer.status}, expected 200")
    size = answer.headers.get("x-des-size-bytes", "")
    if not size.isdigit():
        raise UnexpectedAnswerError(f"{what}: the answer does not say how large the file is")
    if len(answer.body) != int(size):
        raise UnavailableError(f"{what}: {len(answer.body)} bytes came, expected {size}")
    return answer.body


def get_range(key: FileKey, start: int, end: int) -> Call[bytes]:
    """Ask for bytes `[start, end)` of a file, cut at its end."""
    if not 0 <= start <= end:
        raise InvalidInputError(f"range {start} to {end} of {key}: 0 <= start <= end is required")
    if start == end:
        yield from meta(key)
        return b""
    headers = {**IDENTITY, "Range": f"bytes={start}-{end - 1}"}
    what = f"bytes {start} to {end} of {key}"
    try:
        answer = yield Request(what, "GET", path_of(key) + query_of(created_at=key.time), headers)
    except InvalidInputError as error:
        cause = error.__cause__
        if isinstance(cause, HttpProblem) and cause.status == 416:
            return b""
        raise
    return part_of(what, answer, start, end)


def meta(key: FileKey) -> Call[FileMeta]:
    """Ask what the archive says about a file."""
    what = f"metadata of {key}"
    answer = yield Request(what, "GET", path_of(key, "/meta") + query_of(created_at=key.time))
    return decoded(what, answer.body, FileMeta.parse)


def exists(key: FileKey) -> Call[bool]:
    """Ask whether there is a file.

    An answer to HEAD has no body, so it could not tell a file that is missing from an address that is wrong.
    """
    try:
        yield from meta(key)
    except (EntryNotFoundError, EntryDeletedError):
        return False
    return True


def history(key: FileKey) -> Call[tuple[Deletion, ...]]:
    """Ask who deleted a file, when and why."""
    what = f"history of {key}"
    answer = yield Request(what, "GET", path_of(key, "/history") + query_of(created_at=key.time))
    return decoded(what, answer.body, lambda found: tuple(Deletion.parse(one) for one in found["commits"]))


def delete(key: FileKey, reason: str, by: str, ticket: str | None) -> Call[int]:
    """Ask for the deletion of a file; returns the number of its commit."""
    what = f"deletion of {key}"
    query = query_of(created_at=key.time, reason=reason, deleted_by=by, ticket_id=ticket)
    try:
        answer = yield Request(what, "DELETE", path_of(key) + query)
    except EntryDeletedError as error:
        # The answer to an earlier attempt may be what was lost.
        if not isinstance(error.__cause__, HttpProblem) or error.__cause__.attempt == 1:
            raise
        done = yield from _own_deletion(key, reason, by.strip(), ticket or None)
        if done is None:
            raise
        return done.sequence
    return decoded(what, answer.body, lambda found: int(found["sequence"]))


def extend_retention(key: FileKey, until: datetime) -> Call[Retained]:
    """Ask that a file is kept until a time."""
    if until.utcoffset() is None:
        raise InvalidInputError(f"until {until.isoformat()} has no time zone")
    what = f"retention of {key}"
    body = json.dumps({"created_at": key.time, "due_date": until.isoformat()}).encode()
    headers = {"Content-Type": "application/json"}
    answer = yield Request(what, "PUT", path_of(key, "/retention-policy"), headers, body)
    return decoded(what, answer.body, Retained.parse)


def locator(key: FileKey, ttl_seconds: int | None, base_url: str) -> Call[Link]:
    """Ask for a link to a file."""
    what = f"link to {key}"
    query = query_of(created_at=key.time, ttl_seconds=None if ttl_seconds is None else str(ttl_seconds))
    answer = yield Request(what, "POST", path_of(key, "/locator") + query)

    def parse(found: Any) -> Link:
        url = f"{base_url}/{text_of(found['url'])}"
        return Link(text_of(found["token"]), url, datetime.fromisoformat(found["expires_at"]))

    return decoded(what, answer.body, parse)


def days() -> Call[tuple[str, ...]]:
    """Ask for the days that have files."""
    answer = yield Request("list of days", "GET", "/days")
    return decoded("list of days", answer.body, lambda found: tuple(text_of(day) for day in found["days"]))


def page(day: str | date, shard: str | int | None, prefix: str, cursor: str | None) -> Call[Page]:
    """Ask for a page of the files of a day."""
    day = f"{day:%Y%m%d}" if isinstance(day, date) else day
    shard = f"{shard:X}" if isinstance(shard, int) else shard
    query = query_of(day=day, shard=shard or None, prefix=prefix or None, cursor=cursor, limit="1000")
    what = f"files of {day}"
    answer = yield Request(what, "GET", f"/files{query}")

    def parse(found: Any) -> Page:
        following = None if found["next"] is None else text_of(found["next"])
        return Page(tuple(ListedFile.parse(one) for one in found["entries"]), following)

    listed = decoded(what, answer.body, parse)
    if listed.cursor is not None and listed.cursor == cursor:
        raise UnexpectedAnswerError(f"{what}: a page refers to itself")
    return listed


def _own_deletion(key: FileKey, reason: str, by: str, ticket: str | None) -> Call[Deletion | None]:
    try:
        commits: Sequence[Deletion] = yield from history(key)
    except DesError:
        return None
    for one in reversed(commits):
        # The service adds in brackets whose credentials they were.
        if (one.reason, one.ticket) == (reason, ticket) and (one.by == by or one.by.startswith(f"{by} (")):
            return one
    return None
