"""What callers give, as the service is asked for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

from des_format.errors import InvalidInputError
from des_format.names import encode_name

__all__ = ["CreatedAt", "FileKey", "Uid", "file_key", "path_of", "query_of", "time_of"]

Uid = str | int
CreatedAt = datetime | str

# A part of a path that is a dot or two is dropped on its way, by clients and by proxies, encoded or not.
_DROPPED = frozenset({".", ".."})


class FileKey(NamedTuple):
    """What identifies a file.

    Attributes:
        uid: Its uid.
        created_at: When it was created, in UTC.
    """

    uid: str
    created_at: datetime

    @property
    def time(self) -> str:
        """`created_at` as it is sent."""
        return self.created_at.isoformat().replace("+00:00", "Z")

    @property
    def has_path(self) -> bool:
        """Whether it can be asked for by a path."""
        return self.uid not in _DROPPED

    def __str__(self) -> str:
        return f"file {self.uid!r} of {self.time}"


def file_key(uid: Uid, created_at: CreatedAt) -> FileKey:
    """Return what identifies a file.

    Args:
        uid: Its uid; a non-negative `int` is the same as its decimal text.
        created_at: When it was created: a datetime or ISO 8601, with an offset.

    Raises:
        TypeError: One of them is of another type.
        InvalidInputError: The uid is no name of an entry, or the time has no offset.
    """
    if isinstance(uid, bool) or not isinstance(uid, str | int):
        raise TypeError(f"uid must be str or int, found {type(uid).__name__}")
    if isinstance(uid, int) and uid < 0:
        raise InvalidInputError(f"uid {uid} must be a non-empty string or a non-negative number")
    text = str(uid)
    encode_name(text)
    return FileKey(text, time_of(created_at))


def time_of(created_at: CreatedAt) -> datetime:
    """Return a time in UTC.

    Raises:
        TypeError: It is neither a datetime nor text.
        InvalidInputError: It is malformed, or has no offset, so its day would be a guess.
    """
    if isinstance(created_at, str):
        try:
            time = datetime.fromisoformat(created_at)
        except ValueError:
            raise InvalidInputError(
                f"created_at {created_at!r} is not ISO 8601, such as 2025-11-25T10:00:00Z"
            ) from None
    elif isinstance(created_at, datetime):
        time = created_at
    else:
        raise TypeError(f"created_at must be datetime or str, found {type(created_at).__name__}")
    if time.utcoffset() is None:
        raise InvalidInputError(f"created_at {time.isoformat()} has no time zone; the day would be ambiguous")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(f"created_at {time.isoformat()} is no time of the calendar in UTC") from None


def path_of(key: FileKey, sub: str = "") -> str:
    """Return the path of a file, encoded, or of something about it.

    Raises:
        InvalidInputError: Its uid is dropped from paths.
    """
    if not key.has_path:
        raise InvalidInputError(f"uid {key.uid!r} cannot be part of a path; get and batch read it")
    return f"/files/{quote(key.uid, safe='')}{sub}"


def query_of(**parameters: str | None) -> str:
    """Return a query, encoded, of the parameters that are not None.

    Raises:
        InvalidInputError: One of them has a lone surrogate.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    try:
        return f"?{urlencode(given)}" if given else ""
    except UnicodeEncodeError:
        raise InvalidInputError(f"one of {', '.join(given)} is not valid Unicode") from None
