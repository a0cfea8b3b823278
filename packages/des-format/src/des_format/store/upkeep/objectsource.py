"""An archive of a store, and the big files beside it, as a range source for code that works on whole archives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import BigFileMissingError, DesError, ObjectNotFoundError
from ...ranges import ByteRange, Tail
from ..sansio.effects import Data, Head, Read, ReadTail, Request
from ..writing.bigfiles import Runs

__all__ = ["ObjectSource", "StorageFailedError"]


class StorageFailedError(Exception):
    """The storage failed; what the archive holds is not known.

    No `DesError`, which an audit would take for a problem of the archive.

    Attributes:
        error: What the storage raised.
    """

    def __init__(self, error: DesError) -> None:
        super().__init__(str(error))
        self.error = error


class ObjectSource:
    """Reads an archive's object, and big files of its day.

    Args:
        runner: Runs effects.
        key: The archive's key.
        day: The day whose big files lie beside it.
    """

    def __init__(self, runner: Runs, key: str, day: str) -> None:
        self._runner = runner
        self._key = key
        self._day = day
        self._sizes: dict[str, int] = {}

    def read_tail(self, length: int, /) -> Tail:
        """Return the last bytes.

        Raises:
            StorageFailedError: There is no such object, or the storage failed.
        """
        (reply,) = self._perform([ReadTail(self._key, length)])
        data: Data = _value(reply)
        return Tail(data.data, data.size)

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        """Return ranges.

        Raises:
            StorageFailedError: As for `read_tail`.
            BigFileMissingError: A big file is not there.
        """
        return [self._read_beside(part) if part.beside else self._read(part) for part in ranges]

    def _read(self, part: ByteRange) -> bytes:
        (reply,) = self._perform([Read(self._key, part.start, part.end)])
        data: Data = _value(reply)
        return data.data

    def _read_beside(self, part: ByteRange) -> bytes:
        key = f"{self._day}/{part.beside}"
        try:
            # Some object stores fail on a range that begins at the end, as if they were out of order.
            if key not in self._sizes:
                (meta,) = self._perform([Head(key)])
                self._sizes[key] = _value(meta)["size"]
            if part.start >= min(part.end, self._sizes[key]):
                return b""
            (reply,) = self._perform([Read(key, part.start, part.end, kind="bigfile")])
            data: Data = _value(reply)
        except StorageFailedError as failure:
            if isinstance(failure.error, ObjectNotFoundError):
                raise BigFileMissingError(f"big file {key} is missing") from failure.error
            raise
        return data.data

    def _perform(self, requests: list[Request]) -> list[Any]:
        def effects() -> Any:
            return (yield requests)

        replies: list[Any] = self._runner.run(effects())
        return replies


def _value(reply: Any) -> Any:
    if isinstance(reply, DesError):
        raise StorageFailedError(reply) from reply
    return reply
