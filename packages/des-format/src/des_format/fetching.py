"""Fetch many small reads in one round, merged as the planner says."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import CorruptArchiveError
from .planner import TransferCost, plan_reads
from .ranges import ByteRange, Steps, Tail

__all__ = ["check_answer", "fetch"]


def fetch(reads: Sequence[ByteRange], cost: TransferCost) -> Steps[list[bytes]]:
    """Return the bytes of each read, in order; at most one round of requests, none for empty reads.

    Raises:
        CorruptArchiveError: An answer has another length than was asked for.
    """
    plan = plan_reads(reads, cost)
    fetched: Sequence[bytes] = ()
    if plan.ranges:
        reply = yield plan.ranges
        assert not isinstance(reply, Tail)
        fetched = reply
    for wanted, data in zip(plan.ranges, fetched, strict=True):
        check_answer(wanted, data)
    return [fetched[part.number][part.start : part.end] if part.end else b"" for part in plan.parts]


def check_answer(wanted: ByteRange, data: bytes) -> None:
    """Refuse an answer of another length than was asked for.

    Raises:
        CorruptArchiveError: It is one.
    """
    if len(data) != wanted.size:
        raise CorruptArchiveError(
            f"read of {wanted.beside or 'the archive'} from {wanted.start} to {wanted.end}:"
            f" found {len(data)} bytes, expected {wanted.size}"
        )
