"""Read an archive front to back in big pieces, for sources of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import CorruptArchiveError
from ..ranges import ByteRange, RangeSource

__all__ = ["READ_BYTES", "Window", "read_exactly", "read_pieces"]

READ_BYTES = 8 * 2**20


def read_exactly(source: RangeSource, start: int, end: int, beside: str = "") -> bytes:
    """Read one range.

    Raises:
        CorruptArchiveError: The source has fewer bytes.
    """
    if start >= end:
        return b""
    (data,) = source.read_ranges([ByteRange(start, end, beside)])
    if len(data) != end - start:
        raise CorruptArchiveError(
            f"read of {beside or 'the archive'} from {start} to {end}: found {len(data)} bytes, expected {end - start}"
        )
    return data


def read_pieces(source: RangeSource, start: int, end: int, beside: str = "") -> Iterator[bytes]:
    """Read a range of any size piece by piece; errors as for `read_exactly`."""
    for position in range(start, end, READ_BYTES):
        yield read_exactly(source, position, min(position + READ_BYTES, end), beside)


class Window:
    """Forward-only reading of `[start, end)` that hands every byte, once and in order, to `observe`."""

    def __init__(self, source: RangeSource, start: int, end: int, observe: Callable[[bytes], None]) -> None:
        self._source = source
        self._observe = observe
        self._end = end
        self._start = start
        self._data = b""

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`, which must not lie before an earlier `start`.

        Raises:
            CorruptArchiveError: They are not all inside the window.
        """
        at = start - self._start
        if at + size > len(self._data):
            at = self._refill(start, size)
        return self._data[at : at + size]

    def _refill(self, start: int, size: int) -> int:
        if start + size > self._end:
            raise CorruptArchiveError(f"bytes {start} to {start + size} are needed, but DATA ends at {self._end}")
        while self._start + len(self._data) <= start < self._end:
            self._advance(self._start + len(self._data), b"", READ_BYTES)
        at = start - self._start
        if at + size > len(self._data):
            self._advance(start, self._data[at:], size)
            at = 0
        return at

    def _advance(self, start: int, kept: bytes, wanted: int) -> None:
        position = start + len(kept)
        end = min(self._end, max(start + wanted, position + READ_BYTES))
        data = read_exactly(self._source, position, end)
        self._observe(data)
        self._start = start
        self._data = kept + data if kept else data

    def pieces(self, start: int, size: int) -> Iterator[bytes]:
        """Yield `size` bytes from `start` without holding them all."""
        for position in range(start, start + size, READ_BYTES):
            yield self.read(position, min(READ_BYTES, start + size - position))

    def drain(self) -> None:
        """Read on to the end, for `observe`."""
        while (position := self._start + len(self._data)) < self._end:
            self._advance(position, b"", READ_BYTES)
