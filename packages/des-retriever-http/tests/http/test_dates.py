"""`created_at` in requests."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from des_retriever_http.http.dates import http_date, parse_created_at, parse_http_date
from des_retriever_http.http.problems import Problem
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("text", ["2025-11-25T10:00:00Z", "2025-11-25T05:00:00-05:00", "2025-11-25T10:00:00.000+00:00"])
def test_one_instant_has_one_day_however_it_is_written(text: str) -> None:
    assert parse_created_at(text) == datetime(2025, 11, 25, 10, tzinfo=UTC)
    assert parse_created_at(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2025-11-25T10:00:00", "no time zone"),
        ("2025-11-25", "no time zone"),
        ("2025-11-25T10:00:00 00:00", "%2B"),
        ("yesterday", "ISO 8601"),
        ("", "ISO 8601"),
        ("²", "ISO 8601"),
        ("9999-12-31T23:59:59-23:00", "no equal in UTC"),
    ],
)
def test_a_day_is_never_guessed(text: str, hint: str) -> None:
    with pytest.raises(Problem, match="Invalid created_at format") as caught:
        parse_created_at(text)
    assert caught.value.status == 400
    assert hint in caught.value.detail


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_a_problem(text: str) -> None:
    with suppress(Problem):
        assert parse_created_at(text).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda time: time.year >= 1970))
def test_dates_of_headers_come_back(time: datetime) -> None:
    assert parse_http_date(http_date(time)) == time.replace(microsecond=0)
