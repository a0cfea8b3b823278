"""Times, durations and bars of `des store`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from des_format.cli.progress import in_turn
from des_format.cli.store.times import parse_duration, parse_point, parse_time, shown_time
from hypothesis import given
from hypothesis import strategies as st


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2025-11-25T10:00:00Z", datetime(2025, 11, 25, 10, tzinfo=UTC)),
            ("2025-11-25T11:00+01:00", datetime(2025, 11, 25, 10, tzinfo=UTC)),
            ("2025-11-25 10:00:00.5Z", datetime(2025, 11, 25, 10, 0, 0, 500_000, tzinfo=UTC)),
        ],
    )
    def test_times_have_a_zone(self, text: str, time: datetime) -> None:
        assert parse_time(text) == time

    @pytest.mark.parametrize(
        "text", ["2025-11-25T10:00:00", "2025-11-25", "now", "", "1764064800", "0001-01-01T00:00:00+01:00"]
    )
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="time"):
            parse_time(text)

    @given(st.datetimes())
    def test_what_is_shown_is_understood(self, time: datetime) -> None:
        assert parse_time(shown_time(time.replace(tzinfo=UTC))) == time.replace(tzinfo=UTC)

    def test_digits_are_a_sequence(self) -> None:
        assert parse_point("20251125") == {"sequence": 20_251_125}
        assert parse_point("2025-11-25T00:00Z") == {"time": datetime(2025, 11, 25, tzinfo=UTC)}
        with pytest.raises(ValueError, match="time"):
            parse_point("²")


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "duration"),
        [
            ("0s", timedelta(0)),
            ("90 s", timedelta(seconds=90)),
            ("1.5m", timedelta(seconds=90)),
            ("36h", timedelta(hours=36)),
            ("30d", timedelta(days=30)),
            ("4w", timedelta(weeks=4)),
        ],
    )
    def test_durations_have_a_unit(self, text: str, duration: timedelta) -> None:
        assert parse_duration(text) == duration

    @pytest.mark.parametrize("text", ["", "0", "30", "-1h", "1y", "h", "1h30m", "1e3s", "9" * 12 + "w", "40000d", "٣s"])
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)


def test_works_that_follow_each_other_add_up_in_one_bar() -> None:
    shown = []
    advance = in_turn(lambda done, total: shown.append((done, total)))
    for done, total in ((5, 10), (10, 10), (20, 30), (30, 30), (3, 3)):
        advance(done, total)
    assert shown == [(5, 0), (10, 0), (30, 0), (40, 0), (43, 0)]
