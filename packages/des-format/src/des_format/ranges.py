"""What the sans-I/O code asks for, and the two drivers that fetch it.

Reading logic is written as generators that yield what they need and are sent the bytes:
a list of `ByteRange` is answered with one `bytes` for each range, in the same order; a
`TailRead` is answered with a `Tail`; a missing object is a `BigFileMissingError` raised at the
`yield`, so that the generator may ask for another one. `drive` runs such a generator over a synchronous
source, `drive_async` over an asynchronous one.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol, TypeVar

__all__ = [
    "AsyncRangeSource",
    "ByteRange",
    "RangeSource",
    "Reply",
    "Request",
    "Steps",
    "Tail",
    "TailRead",
    "drive",
    "drive_async",
]

T = TypeVar("T")


class ByteRange(NamedTuple):
    """Half-open range of bytes `[start, end)` of the archive, or of an object beside it.

    `beside` is empty for the archive itself, else a relative key such as
    `_bigFiles/<sha256>` in the archive's own folder.
    """

    start: int
    end: int
    beside: str = ""

    @property
    def size(self) -> int:
        return self.end - self.start


class TailRead(NamedTuple):
    """The last `length` bytes of the archive, or all of it when it is shorter."""

    length: int


class Tail(NamedTuple):
    """Answer to a `TailRead`: the bytes, and the size of the whole archive."""

    data: bytes
    archive_size: int


Request = list[ByteRange] | TailRead
Reply = Sequence[bytes] | Tail
Steps = Generator[Request, Reply, T]


class RangeSource(Protocol):
    """Synchronous access to the bytes of one archive and of the objects beside it.

    A range beyond the end must raise or return fewer bytes; readers check the length of
    every answer. A missing object beside the archive raises `BigFileMissingError`.
    """

    def read_tail(self, length: int, /) -> Tail: ...

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]: ...


class AsyncRangeSource(Protocol):
    """Asynchronous twin of `RangeSource`; ranges of one call may be fetched in parallel."""

    async def read_tail(self, length: int, /) -> Tail: ...

    async def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]: ...


def drive(steps: Steps[T], source: RangeSource) -> T:
    """Run `steps` over a synchronous source and return its result."""
    try:
        request = next(steps)
        while True:
            try:
                reply: Reply = (
                    source.read_tail(request.length) if isinstance(request, TailRead) else source.read_ranges(request)
                )
            except FileNotFoundError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(steps: Steps[T], source: AsyncRangeSource) -> T:
    """Run `steps` over an asynchronous source and return its result."""
    try:
        request = next(steps)
        while True:
            try:
                reply: Reply = (
                    await source.read_tail(request.length)
                    if isinstance(request, TailRead)
                    else await source.read_ranges(request)
                )
            except FileNotFoundError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
