import os
import subprocess
import sys
import textwrap
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from des_format.errors import InvalidInputError
from des_format.store.model.ids import _Ascending, check_archive_id, id_at, new_id, time_of
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2025, 11, 25, 12, 0, 0, 123_000, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=ZONES)  # noqa: DTZ001


def to_the_millisecond(time: datetime) -> datetime:
    utc = time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


@given(TIMES)
def test_an_id_is_a_uuid_of_version_7_that_tells_its_time(time: datetime) -> None:
    for text in (id_at(time), new_id(time)):
        parsed = uuid.UUID(hex=text)
        assert (parsed.version, parsed.variant, parsed.hex) == (7, uuid.RFC_4122, text)
        assert time_of(text) == to_the_millisecond(time)
        assert check_archive_id(text) == text


@given(st.lists(TIMES, min_size=2, max_size=5))
def test_ids_sort_by_their_time(times: list[datetime]) -> None:
    ordered = sorted(times)
    for earlier, later in pairwise(ordered):
        if to_the_millisecond(earlier) < to_the_millisecond(later):
            assert id_at(earlier) < id_at(later)
            assert new_id(earlier) < new_id(later)


def test_an_id_takes_the_time_of_the_clock() -> None:
    before = to_the_millisecond(datetime.now(UTC))
    made = time_of(new_id())
    assert made is not None
    assert before <= made <= datetime.now(UTC) + MILLISECOND


def test_ids_ascend_within_one_millisecond() -> None:
    made = [new_id(NOON) for _ in range(20_000)]
    assert made == sorted(set(made))
    assert {time_of(text) for text in made} == {NOON}


def test_ids_of_the_clock_ascend() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_of_the_clock_go_on_from_the_latest_time_when_it_is_set_back() -> None:
    clock = _Ascending(follows_back=False)
    made = [clock.next(milliseconds) for milliseconds in (1000, 1000, 900, 900, 1000, 1001)]
    assert made == sorted(set(made))
    assert [number >> 74 for number in made] == [1000, 1000, 1000, 1000, 1000, 1001]


def test_a_child_process_goes_on_in_a_millisecond_of_its_own() -> None:
    clock = _Ascending(follows_back=False)
    before = clock.next(1000)
    clock.part_from_parent()
    assert before < clock.next(1000)
    assert clock.next(1000) >> 74 == 1001


def test_an_earlier_time_is_followed_back_and_does_not_touch_the_clock() -> None:
    far = datetime(9000, 1, 1, tzinfo=UTC)
    assert time_of(new_id(far)) == far
    assert time_of(new_id(NOON)) == NOON
    made = time_of(new_id())
    assert made is not None
    assert made < far


def test_ids_at_one_time_have_random_tails() -> None:
    made = [id_at(NOON) for _ in range(1000)]
    assert len(set(made)) == 1000
    assert made != sorted(made)


def test_ids_ascend_in_every_thread_and_are_never_given_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: [new_id() for _ in range(2000)], range(8)))
    assert all(run == sorted(run) for run in runs)
    assert len({text for run in runs for text in run}) == 8 * 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system starts processes without forking")
def test_children_go_on_with_ids_of_their_own_even_when_forked_while_another_thread_makes_one() -> None:
    # In a process of its own, since the test's may have threads that a fork would leave behind.
    script = textwrap.dedent("""
        import os, signal, threading
        from des_format.store.model.ids import new_id

        threading.Thread(target=lambda: [new_id() for _ in iter(int, 1)], daemon=True).start()
        for _ in range(20):
            before = new_id()
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # ends a child that waits for a lock that no one holds
                os.write(write, " ".join(new_id() for _ in range(50)).encode())
                os._exit(0)
            own = [new_id() for _ in range(50)]
            os.close(write)
            with os.fdopen(read) as pipe:
                theirs = pipe.read().split()
            os.waitpid(child, 0)
            assert len(set(own + theirs)) == 100, "an id was made twice"
            assert theirs == sorted(theirs) and before < theirs[0], "a child went back"
    """)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "0" * 32,
        "z" * 32,
        uuid.UUID(int=7).hex,
        "8f14e45fceea4b7e9a1b0c2d3e4f5a6b",  # version 4
        str(uuid.UUID("019ab8f4-c400-7d3e-9c51-a0b1c2d3e4f5")),
        "019ab8f4c4007d3e9c51a0b1c2d3e4f5\n",
        "019AB8F4C4007D3E9C51A0B1C2D3E4F5",
        "019ab8f4c4007d3ecc51a0b1c2d3e4f5",
        "019ab8f4c4007d3e9c51a0b1c2d3e4f55",
        "ffffffffffff7d3e9c51a0b1c2d3e4f5",
    ],
)
def test_other_text_has_no_time(text: str) -> None:
    assert time_of(text) is None


@given(st.text())
def test_any_text_has_a_time_or_none(text: str) -> None:
    assert time_of(text) is None


def test_the_time_of_a_known_id() -> None:
    # The example of RFC 9562, appendix A.6.
    expected = datetime(2022, 2, 22, 14, 22, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert time_of("017f22e279b07cc398c4dc0c0c07398f") == expected


@pytest.mark.parametrize("make", [new_id, id_at])
@pytest.mark.parametrize(
    ("time", "message"),
    [
        (datetime(2025, 1, 1), "no time zone"),  # noqa: DTZ001
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "before 1970"),
    ],
)
def test_a_time_that_no_id_can_hold_is_refused(make: Any, time: datetime, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make(time)


def test_the_first_and_the_last_time_can_be_held() -> None:
    for time in (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)):
        assert time_of(id_at(time)) == time


@pytest.mark.parametrize("text", ["0", "z", "run7", "0" * 64, "019ab8f4c4007d3e9c51a0b1c2d3e4f5"])
def test_an_archive_id_is_given_back(text: str) -> None:
    assert check_archive_id(text) == text


@pytest.mark.parametrize("text", ["", "A", "a-b", "a.b", "../a", "a/b", "é", "٣", "a\n", " a", "0" * 65, None, 7])
def test_what_cannot_be_an_archive_id_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInputError, match="archive id"):
        check_archive_id(text)
