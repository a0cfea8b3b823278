"""Counting in bulk."""

from __future__ import annotations

from itertools import pairwise

import pytest
from des_retriever_http.observing.counting import FINE_SECONDS, BulkHistogram, Distribution, quantile
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

SEEN = [0.0, 0.00001, 0.0004, 0.001, 0.0010001, 0.3, 5.0, 80.0, 1000.0]
BOUNDS = (0.001, 0.5, 5.0)


def test_a_histogram_that_takes_distributions_over_equals_one_that_saw_every_value() -> None:
    bulk, single = CollectorRegistry(), CollectorRegistry()
    distribution = Distribution(FINE_SECONDS)
    histogram = Histogram("x", "X.", buckets=BOUNDS, registry=single)
    for value in SEEN:
        distribution.add(value)
        histogram.observe(value)
    BulkHistogram("x", "X.", buckets=BOUNDS, registry=bulk).add(distribution)
    assert _series(bulk) == _series(single)


def _series(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "created" not in line]


def test_each_fine_bound_is_at_most_a_third_above_the_one_before() -> None:
    steps = [after / before for before, after in pairwise(FINE_SECONDS)]
    assert min(steps) > 1.2
    assert max(steps) < 1.3


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.010), (0.9, 0.010), (0.99, 1.0)])
def test_a_quantile_is_as_exact_as_the_classes(share: float, expected: float) -> None:
    distribution = Distribution(FINE_SECONDS)
    for value in [0.010] * 95 + [1.0] * 5:
        distribution.add(value)
    assert quantile(FINE_SECONDS, distribution.counts, share) == pytest.approx(expected, rel=0.3)


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile(FINE_SECONDS, Distribution(FINE_SECONDS).counts, 0.5) is None


def test_what_is_above_all_bounds_is_told_as_the_highest_bound() -> None:
    distribution = Distribution(FINE_SECONDS)
    distribution.add(10_000.0)
    assert quantile(FINE_SECONDS, distribution.counts, 0.5) == FINE_SECONDS[-1]
