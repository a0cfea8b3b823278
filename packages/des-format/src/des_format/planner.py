"""Which ranges to fetch for many small reads: merge two when the gap costs less than a request.

Source: docs/architecture.md, section "The range planner".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import InvalidInputError
from .ranges import ByteRange

__all__ = ["Part", "ReadPlan", "TransferCost", "plan_reads"]


@dataclass(frozen=True, slots=True)
class TransferCost:
    """What one more request costs, in bytes that could be transferred instead.

    Attributes:
        request_bytes: Two ranges are merged when the gap between them is at most this. The default is between what
            waits, `latency * bandwidth / parallel` (10 to 100 KB for S3 with 256 requests at the same time, at 1 to
            10 Gbit/s), and what a request costs in CPU (as much as 140 KB).
        max_range_bytes: No merged range is longer, unless a single read is.
    """

    request_bytes: int = 64 * 1024
    max_range_bytes: int = 16 * 2**20

    def __post_init__(self) -> None:
        if self.request_bytes < 0 or self.max_range_bytes < 1:
            raise InvalidInputError(f"a transfer cost must be positive, found {self}")

    @classmethod
    def from_network(cls, *, latency_seconds: float, bytes_per_second: float, concurrency: int = 1) -> TransferCost:
        """Cost by time: `concurrency` requests run side by side on a link of `bytes_per_second`."""
        return cls(request_bytes=round(latency_seconds * bytes_per_second / concurrency))

    @classmethod
    def from_tariff(cls, *, price_per_request: float, price_per_byte: float) -> TransferCost:
        """Cost by money; both prices in the same currency, `price_per_byte` above 0."""
        return cls(request_bytes=round(price_per_request / price_per_byte))


class Part(NamedTuple):
    """Where one read lies in the fetched ranges: `fetched[number][start:end]`."""

    number: int
    start: int
    end: int


class ReadPlan(NamedTuple):
    """The ranges to fetch, and for each read, in its own order, where it lies in them."""

    ranges: list[ByteRange]
    parts: list[Part]


def plan_reads(reads: Sequence[ByteRange], cost: TransferCost) -> ReadPlan:
    """Plan the cheapest set of ranges that covers all reads.

    With a price for a request and a price for a byte, merging two neighbours is worth it
    exactly when the bytes between them cost less than a request, so one pass in offset order
    finds the optimum. Reads may overlap or be equal. An empty read needs no range, and must
    not get one (a store answers `bytes=8-7` with the whole object): its part is `(0, 0, 0)`.
    """
    wanted = [i for i, read in enumerate(reads) if read.size]
    order = sorted(wanted, key=lambda i: (reads[i].beside, reads[i].start, reads[i].end))
    ranges: list[ByteRange] = []
    parts: list[Part] = [Part(0, 0, 0)] * len(reads)
    for i in order:
        read = reads[i]
        last = ranges[-1] if ranges else None
        if (
            last is not None
            and last.beside == read.beside
            and read.start - last.end <= cost.request_bytes
            and (read.end <= last.end or read.end - last.start <= cost.max_range_bytes)
        ):
            if read.end > last.end:
                ranges[-1] = last._replace(end=read.end)
        else:
            ranges.append(read)
        start = read.start - ranges[-1].start
        parts[i] = Part(len(ranges) - 1, start, start + read.size)
    return ReadPlan(ranges, parts)
