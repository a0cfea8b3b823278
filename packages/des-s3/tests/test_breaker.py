"""Not to ask a place that does not answer."""

from __future__ import annotations

from des_s3.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _opened(clock: Clock) -> Breaker:
    breaker = Breaker(5, 30.0, clock=clock)
    for number in range(5):
        assert breaker.admits()
        assert breaker.failed() == (number == 4)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = _opened(Clock())
    assert breaker.is_open
    assert not breaker.admits()


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(3):
        for _ in range(4):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admits()


def test_after_a_while_one_call_tries_and_its_success_closes_it() -> None:
    clock = Clock()
    breaker = _opened(clock)
    clock.now += 29.9
    assert not breaker.admits()
    clock.now += 0.2
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_a_try_that_fails_or_never_ends_keeps_it_open_as_long_again() -> None:
    clock = Clock()
    breaker = _opened(clock)
    for end in (breaker.failed, lambda: None):
        clock.now += 30.0
        assert breaker.admits()
        end()
        clock.now += 29.0
        assert not breaker.admits()
        clock.now += 1.0
    assert breaker.admits()
