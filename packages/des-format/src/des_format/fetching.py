"""Fetch many small reads in one round, merged as the planner says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from .errors import BigFileMissingError, CorruptArchiveError
from .planner import TransferCost, plan_reads
from .ranges import ByteRange, Request, Steps, Tail, TailRead

__all__ = ["check_answer", "fetch", "in_step"]

K = TypeVar("K")
T = TypeVar("T")


def fetch(reads: Sequence[ByteRange], cost: TransferCost) -> Steps[list[bytes]]:
    """Return the bytes of each read, in order; at most one round of requests, none for empty reads.

    Raises:
        CorruptArchiveError: An answer has another length than was asked for.
    """
    if len(reads) == 1 and reads[0].size:
        # Most rounds are of one read: without a plan a warm get takes several percent less CPU.
        reply = yield [reads[0]]
        assert not isinstance(reply, Tail)
        check_answer(reads[0], reply[0])
        return [reply[0]]
    plan = plan_reads(reads, cost)
    fetched: Sequence[bytes] = ()
    if plan.ranges:
        reply = yield plan.ranges
        assert not isinstance(reply, Tail)
        fetched = reply
    for wanted, data in zip(plan.ranges, fetched, strict=True):
        check_answer(wanted, data)
    return [fetched[part.number][part.start : part.end] if part.end else b"" for part in plan.parts]


def in_step(steps: Mapping[K, Steps[T]], cost: TransferCost) -> Steps[dict[K, T]]:
    """Run many reads side by side: what all of them ask for next becomes one round of requests.

    Args:
        steps: The reads; each asks for ranges only.
        cost: What a request costs, for merging ranges of different reads.

    Raises:
        DesError: What the first of them raises that fails; the others are abandoned.
    """
    if len(steps) == 1:
        ((key, only),) = steps.items()
        return {key: (yield from only)}
    results: dict[K, T] = {}
    asked: dict[K, Request] = {}
    for key, one in steps.items():
        _advance(one.__next__, key, asked, results)
    while asked:
        reads = {key: request for key, request in asked.items() if not isinstance(request, TailRead)}
        assert len(reads) == len(asked), "an open archive is not asked for its tail"
        try:
            data = iter((yield from fetch([read for ranges in reads.values() for read in ranges], cost)))
        except BigFileMissingError:
            # Whichever it was may know another place, so each goes on alone.
            for key, request in asked.items():
                results[key] = yield from _finish(steps[key], request)
            break
        asked = {}
        for key, ranges in reads.items():
            _advance(partial(steps[key].send, list(islice(data, len(ranges)))), key, asked, results)
    return {key: results[key] for key in steps}


def _advance(go_on: Callable[[], Request], key: K, asked: dict[K, Request], results: dict[K, T]) -> None:
    """Let a read go on to its next request, or to its result."""
    try:
        asked[key] = go_on()
    except StopIteration as end:
        results[key] = end.value


def _finish(step: Steps[T], request: Request) -> Steps[T]:
    """Run a read to its end that has asked for something."""
    while True:
        try:
            try:
                reply = yield request
            except BigFileMissingError as error:
                request = step.throw(error)
            else:
                request = step.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result


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
