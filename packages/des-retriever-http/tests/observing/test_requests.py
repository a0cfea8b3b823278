"""Request ids and the log of requests."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from des_format.store import DesStore
from des_retriever_http.observing.logs import JsonFormatter
from des_retriever_http.observing.metrics import RetrieverMetrics
from des_retriever_http.observing.requests import Requests
from des_retriever_http.serving.draining import Drain
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from ..serving.operated import connected, operated, value
from ..times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}


async def test_a_request_keeps_the_id_that_it_brought(store: DesStore, folder: Path) -> None:
    app, _ = operated(folder)
    async with connected(app) as client:
        answer = await client.get("/files/none", params=AT, headers={"X-Request-ID": "trace-7.1:a/b"})
    assert answer.headers["x-request-id"] == "trace-7.1:a/b"
    assert answer.json()["request_id"] == "trace-7.1:a/b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", 'a"b', "<script>", "é"])
async def test_an_id_that_could_harm_a_log_is_replaced(store: DesStore, folder: Path, given: str) -> None:
    app, _ = operated(folder)
    async with connected(app) as client:
        answer = await client.get("/health", headers={b"X-Request-ID": given.encode()})
    assert answer.headers["x-request-id"] != given
    assert answer.headers["x-request-id"].isalnum()


async def test_ids_are_not_given_twice(store: DesStore, folder: Path) -> None:
    app, _ = operated(folder)
    async with connected(app) as client:
        ids = {(await client.get("/health")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


async def test_an_error_is_logged_with_the_id_and_without_credentials_or_tokens(
    store: DesStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = operated(folder)
    caplog.set_level(logging.DEBUG)
    secrets = {"X-API-Key": "SECRET1", "Authorization": "Bearer SECRET2", "X-DES-Signature": "SECRET3"}
    async with connected(app) as client:
        await client.get("/files/none", params={**AT, "token": "SECRET4"}, headers=secrets)
        await client.get("/locators/SECRET5?key=SECRET6", headers=secrets)
        await client.get("/x/locators/SECRET7")
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert "SECRET" not in "\n".join(line for line in lines if '"httpx"' not in line)
    requests = [line for line in map(json.loads, lines) if line["event"] == "request"]
    assert [line["path"] for line in requests] == ["/files/none", "/locators/...", "/x/locators/..."]
    assert requests[0]["status"] == 404
    assert requests[0]["level"] == "warning"
    assert requests[0]["created_at"] == AT["created_at"]
    assert len({line["request_id"] for line in requests}) == 3


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 5)])
async def test_what_went_well_is_logged_as_often_as_the_settings_say(
    store: DesStore, folder: Path, caplog: pytest.LogCaptureFixture, share: float, count: int
) -> None:
    store.put("a", MORNING, b"x")
    app, _ = operated(folder, access_log_share=share)
    caplog.set_level(logging.INFO)
    async with connected(app) as client:
        for _ in range(5):
            await client.get("/files/a", params=AT)
    assert [record.getMessage() for record in caplog.records].count("request") == count


async def test_headers_of_an_application_are_not_changed_for_its_next_answer() -> None:
    headers = [(b"content-length", b"0")]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    sent = await _sent(Requests(app, RetrieverMetrics(CollectorRegistry())))
    assert headers == [(b"content-length", b"0")]
    assert [name for name, _ in sent[0]["headers"]] == [b"content-length", b"x-request-id"]


async def test_an_answer_that_breaks_off_is_logged_and_counted_and_not_completed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError("the storage is gone")

    registry = CollectorRegistry()
    metrics = RetrieverMetrics(registry)
    sent = await _sent(Requests(app, metrics))
    assert sent[-1]["more_body"] is True
    assert "answer_broken_off" in [record.getMessage() for record in caplog.records]
    metrics.flush()
    assert registry.get_sample_value("des_retriever_incomplete_total") == 1
    assert registry.get_sample_value("des_retriever_in_flight_requests") == 0


async def test_an_error_before_the_answer_becomes_one(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("/secret/path")

    sent = await _sent(Requests(app, RetrieverMetrics(CollectorRegistry())))
    assert sent[0]["status"] == 500
    assert b"secret" not in sent[1]["body"]


async def test_while_draining_each_answer_ends_its_connection() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent = await _sent(Requests(app, RetrieverMetrics(CollectorRegistry()), is_draining=lambda: True))
    assert (b"connection", b"close") in sent[0]["headers"]


async def _sent(app: Requests) -> list[Any]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent


async def test_probes_that_say_no_are_no_errors_in_the_log(
    store: DesStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drain = Drain(1)
    app, _ = operated(folder, drain)
    async with connected(app) as client:
        drain.begin()
        assert (await client.get("/health/ready")).status_code == 503
        text = (await client.get("/metrics")).text
    assert "request" not in [record.getMessage() for record in caplog.records]
    assert value(text, 'des_retriever_requests_total{method="GET",status="503"}') == 1
