"""Conditional requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from des_retriever_http.http.conditions import evaluate, range_holds

ETAG = '"v1"'
MADE = datetime(2025, 11, 25, 8, 0, 0, 500_000, tzinfo=UTC)
SAME, EARLIER, LATER = (f"Tue, 25 Nov 2025 {time} GMT" for time in ("08:00:00", "07:59:59", "08:00:01"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"if-none-match": '"v1"'}, 304),
        ({"if-none-match": 'W/"v1"'}, 304),
        ({"if-none-match": '"v0", "v1"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"v2"'}, None),
        ({"if-none-match": '"v2"', "if-modified-since": LATER}, None),
        ({"if-modified-since": SAME}, 304),
        ({"if-modified-since": EARLIER}, None),
        ({"if-modified-since": "yesterday"}, None),
        ({"if-match": '"v1"'}, None),
        ({"if-match": 'W/"v1"'}, 412),
        ({"if-match": '"v2"'}, 412),
        ({"if-match": "*"}, None),
        ({"if-match": '"v1"', "if-unmodified-since": EARLIER}, None),
        ({"if-unmodified-since": EARLIER}, 412),
        ({"if-unmodified-since": SAME}, None),
        ({"if-match": '"v2"', "if-none-match": '"v1"'}, 412),
    ],
)
def test_conditions_in_the_order_of_the_standard(headers: dict[str, str], status: int | None) -> None:
    assert evaluate(headers, ETAG, MADE) == status


@pytest.mark.parametrize(
    ("condition", "holds"),
    [('"v1"', True), ('W/"v1"', False), ('"v2"', False), (SAME, True), (LATER, False), ("nonsense", False)],
)
def test_a_part_is_sent_only_of_the_very_same_version(condition: str, holds: bool) -> None:
    assert range_holds({"if-range": condition}, ETAG, MADE) is holds


def test_without_a_condition_a_part_is_sent() -> None:
    assert range_holds({}, ETAG, MADE)
