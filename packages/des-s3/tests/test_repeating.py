"""What is told of repeated requests, and how little while everything fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina
from des_format.errors import UnavailableError
from des_s3 import RetryPolicy, S3ObjectStore
from des_s3.repeating import EventLimit, Repeated, RepetitionEvents
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from .proxy import Proxy

Make = Callable[..., S3ObjectStore]
LOGGER = "des_s3.repeating"


@pytest.fixture(autouse=True)
def hooks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The hooks of a process in which nothing failed yet."""
    caplog.set_level(logging.INFO)
    set_on_retry_hooks(None)
    yield
    set_on_retry_hooks(None)


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that no other test has used up."""
    monkeypatch.setattr("des_s3.repeating._events", RepetitionEvents())


def told(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == LOGGER]


def details(number: int = 1, name: str = "key") -> RetryDetails:
    error = UnavailableError("503")
    return RetryDetails("_try_again", (Repeated("get_object", "bucket", name),), {}, number, 0.25, 0.0, error)


@pytest.mark.parametrize("is_async", [False, True])
def test_each_repetition_of_a_request_says_which_one_when_and_why(
    make_store: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture, bucket: str, is_async: bool
) -> None:
    store = make_store(endpoint_url=proxy.url, engine="boto")
    store.put("a/b", b"content")
    proxy.fail("status", "GET", times=3)

    async def read() -> bytes:
        async with store:
            return (await store.get_async("a/b")).data

    assert (asyncio.run(read()) if is_async else store.get("a/b").data) == b"content"
    repeated = told(caplog)
    assert [record.message for record in repeated] == ["request_is_repeated"] * 3
    assert [record.levelname for record in repeated] == ["INFO", "INFO", "WARNING"]
    assert [record.attempt for record in repeated] == [1, 2, 3]
    for record in repeated:
        assert (record.operation, record.bucket, record.key) == ("get_object", bucket, f"{store.prefix}a/b")
        assert record.code == "unavailable"
        assert 0 < record.wait_seconds <= 0.1
    assert [record for record in caplog.records if record.name == "stamina"] == [], "no bare lines besides"


def test_repetitions_of_others_go_on_as_they_were(
    make_store: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(endpoint_url=proxy.url, engine="boto")
    proxy.fail("status", "HEAD")
    store.put("a", b"")
    store.head("a")
    failures = iter([ValueError("once")])

    @stamina.retry(on=ValueError, wait_initial=0.001, wait_jitter=0)
    def theirs(*_arguments: object) -> None:
        for failure in failures:
            raise failure

    theirs("argument")
    assert [record.name for record in caplog.records if "retr" in record.message or "repeat" in record.message] == [
        LOGGER,
        "stamina",
    ]


def test_an_application_that_has_hooks_of_its_own_keeps_them_and_one_without_any_is_told_nothing(
    make_store: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(endpoint_url=proxy.url, engine="boto")
    store.put("a", b"")
    counted: list[RetryDetails] = []

    def count(details: RetryDetails) -> None:
        counted.append(details)

    set_on_retry_hooks([count])
    proxy.fail("status", "HEAD", times=2)
    store.head("a")
    assert [one.args[0] for one in counted] == [Repeated("head_object", store.bucket, f"{store.prefix}a")] * 2
    assert len(told(caplog)) == 2
    set_on_retry_hooks([])
    proxy.fail("status", "HEAD", times=2)
    store.head("a")
    assert get_on_retry_hooks() == ()
    assert len(told(caplog)) == 2


def test_what_does_not_fail_changes_no_hook(make_store: Make) -> None:
    before = get_on_retry_hooks()
    make_store(engine="boto").put("a", b"")
    assert get_on_retry_hooks() == before


def test_a_storm_is_told_in_few_lines_and_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    hook = RepetitionEvents(clock=lambda: now[0])
    for number in range(1000):
        hook(details(1, f"{number}"))
        hook(details(3, f"{number}"))
    assert len(told(caplog)) == 40
    now[0] = 60.0
    hook(details(1, "later"))
    hook(details(4, "later"))
    hook(details(5, "later"))
    assert [getattr(record, "left_out_count", None) for record in told(caplog)[40:]] == [980, 980, None]


def test_a_level_that_nobody_listens_to_does_not_use_up_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    hook = RepetitionEvents(clock=lambda: 0.0)
    caplog.set_level(logging.WARNING)
    for _ in range(100):
        hook(details(1))
    caplog.set_level(logging.INFO)
    hook(details(1))
    assert len(told(caplog)) == 1


def test_a_stretch_begins_with_an_event() -> None:
    now = [0.0]
    limit = EventLimit(2, 10.0, clock=lambda: now[0])
    now[0] = 9.0
    assert [limit.admit() for _ in range(4)] == [0, 0, None, None]
    now[0] = 18.0
    assert limit.admit() is None
    now[0] = 19.0
    assert [limit.admit() for _ in range(3)] == [3, 0, None]


def test_the_last_failure_is_raised_and_not_told_as_a_repetition(
    make_store: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    policy = RetryPolicy(attempts=2, first_wait_seconds=0.001, max_wait_seconds=0.002)
    store = make_store(endpoint_url=proxy.url, engine="boto", retries=policy)
    proxy.fail("status", "HEAD", times=2)
    with pytest.raises(UnavailableError):
        store.head("a")
    assert [record.attempt for record in told(caplog)] == [1]
