"""Fetch ranges of a legacy archive through the planner, and keep the parts that every read needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..fetching import fetch
from ..planner import TransferCost
from ..ranges import ByteRange, Steps, Tail

__all__ = ["Fetcher"]


class Fetcher:
    """Answers reads from what is kept, and asks for the rest in one round.

    An empty read never becomes a request: to an HTTP server "from 16 to 15" is no empty range
    but a malformed one, answered with the whole object.

    Args:
        tail: The end of the archive; it is kept.
        cost: What a request costs, for merging ranges.
    """

    def __init__(self, tail: Tail, cost: TransferCost) -> None:
        self.cost = cost
        self._kept = [(tail.archive_size - len(tail.data), tail.data)]

    def keep(self, start: int, data: bytes) -> None:
        """Answer reads inside of `data`, which begins at `start` of the archive, from memory."""
        self._kept.append((start, data))

    def kept(self, read: ByteRange) -> bytes | None:
        """The bytes of a read that needs no request, or None."""
        if read.start == read.end:
            return b""
        if not read.beside:
            for start, data in self._kept:
                if start <= read.start and read.end <= start + len(data):
                    return data[read.start - start : read.end - start]
        return None

    def fetch(self, reads: Sequence[ByteRange]) -> Steps[list[bytes]]:
        """Return the bytes of each read, in order; at most one round of requests.

        Raises:
            CorruptArchiveError: An answer has another length than was asked for.
        """
        found = [self.kept(read) for read in reads]
        missing = [read for read, data in zip(reads, found, strict=True) if data is None]
        if missing:
            fetched = iter((yield from fetch(missing, self.cost)))
            return [next(fetched) if data is None else data for data in found]
        return [data for data in found if data is not None]
