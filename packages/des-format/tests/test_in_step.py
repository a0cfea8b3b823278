"""Reads that go on side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from des_format.errors import BigFileMissingError, EntryNotFoundError
from des_format.fetching import fetch, in_step
from des_format.planner import TransferCost
from des_format.ranges import ByteRange, Steps, Tail, drive

DATA = bytes(range(200))
COST = TransferCost(request_bytes=10)


class Source:
    """An archive, and beside it one object; it writes down what is asked."""

    def __init__(self) -> None:
        self.rounds: list[list[tuple[int, int, str]]] = []

    def read_tail(self, length: int, /) -> Tail:
        raise AssertionError

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        self.rounds.append([(one.start, one.end, one.beside) for one in ranges])
        if any(one.beside not in ("", "here") for one in ranges):
            raise BigFileMissingError("it is not there")
        return [DATA[one.start : one.end] for one in ranges]


def chain(*starts: int) -> Steps[list[int]]:
    """Read one byte after the other."""
    found = []
    for start in starts:
        (data,) = yield from fetch([ByteRange(start, start + 1)], COST)
        found.append(data[0])
    return found


def beside(*keys: str) -> Steps[bytes]:
    """Try one object after the other."""
    for key in keys:
        try:
            (data,) = yield from fetch([ByteRange(3, 5, key)], COST)
        except BigFileMissingError:
            continue
        return data
    raise EntryNotFoundError("nowhere")


def test_each_round_is_one_plan_and_shorter_reads_end_earlier() -> None:
    source = Source()
    steps = {"a": chain(1, 50, 100), "b": chain(5, 150), "c": chain(), "d": chain(5)}
    assert drive(in_step(steps, COST), source) == {"a": [1, 50, 100], "b": [5, 150], "c": [], "d": [5]}
    assert source.rounds == [[(1, 6, "")], [(50, 51, ""), (150, 151, "")], [(100, 101, "")]]


def test_nothing_and_a_single_read_are_what_they_are() -> None:
    source = Source()
    assert drive(in_step({}, COST), source) == {}
    assert drive(in_step({1: chain(7, 8)}, COST), source) == {1: [7, 8]}
    assert len(source.rounds) == 2


def test_an_object_that_is_missing_is_looked_for_elsewhere_by_the_read_that_knows_where() -> None:
    steps = {"a": chain(1, 50), "b": beside("gone", "here"), "c": chain(2)}
    found = drive(in_step(steps, COST), Source())
    assert found == {"a": [1, 50], "b": DATA[3:5], "c": [2]}
    with pytest.raises(EntryNotFoundError):
        drive(in_step({"a": chain(1), "b": beside("gone", "gone too")}, COST), Source())
