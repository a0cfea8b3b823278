import pytest
from des_format import ByteRange, InvalidInputError, TransferCost
from des_format.planner import plan_reads
from hypothesis import given
from hypothesis import strategies as st

spans = st.tuples(st.integers(0, 10_000), st.integers(0, 500), st.sampled_from(["", "_bigFiles/x"]))
reads = st.lists(spans.map(lambda s: ByteRange(s[0], s[0] + s[1], s[2])), max_size=40)


@given(reads, st.integers(0, 2000), st.integers(1, 5000))
def test_a_plan_covers_every_read_exactly(reads: list[ByteRange], gap: int, longest: int) -> None:
    plan = plan_reads(reads, TransferCost(gap, longest))
    assert len(plan.parts) == len(reads)
    for read, part in zip(reads, plan.parts, strict=True):
        if not read.size:
            assert part == (0, 0, 0)
            continue
        fetched = plan.ranges[part.number]
        assert fetched.beside == read.beside
        assert fetched.start + part.start == read.start
        assert fetched.start + part.end == read.end <= fetched.end


@given(reads, st.integers(0, 2000), st.integers(1, 5000))
def test_a_plan_never_merges_over_a_gap_or_a_length_that_costs_more_than_a_request(
    reads: list[ByteRange], gap: int, longest: int
) -> None:
    plan = plan_reads(reads, TransferCost(gap, longest))
    longest_read = max((read.size for read in reads), default=0)
    needed = {(read.beside, offset) for read in reads for offset in range(read.start, read.end)}
    for fetched in plan.ranges:
        assert fetched.size > 0
        assert fetched.size <= max(longest, longest_read)
        unused = 0
        for offset in range(fetched.start, fetched.end):
            unused = 0 if (fetched.beside, offset) in needed else unused + 1
            assert unused <= gap


@given(reads, st.integers(0, 2000))
def test_ranges_of_a_plan_without_a_length_limit_are_further_apart_than_the_gap(
    reads: list[ByteRange], gap: int
) -> None:
    plan = plan_reads(reads, TransferCost(gap, 2**40))
    for first, second in zip(plan.ranges, plan.ranges[1:], strict=False):
        assert first.beside != second.beside or second.start - first.end > gap


def test_equal_and_contained_reads_cost_one_request() -> None:
    plan = plan_reads([ByteRange(0, 100), ByteRange(0, 100), ByteRange(10, 20)], TransferCost(0))
    assert plan.ranges == [ByteRange(0, 100)]


def test_costs_follow_from_latency_and_from_prices() -> None:
    network = TransferCost.from_network(latency_seconds=0.024, bytes_per_second=90e6, concurrency=32)
    assert network.request_bytes == 67_500
    express = TransferCost.from_tariff(price_per_request=0.00003 / 1000, price_per_byte=0.0006 / 1e9)
    assert express.request_bytes == 50_000


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="must be positive"):
        TransferCost(-1)
    with pytest.raises(InvalidInputError, match="must be positive"):
        TransferCost(1, 0)
