"""Metrics of the service, through its routes."""

from __future__ import annotations

from pathlib import Path
from random import Random

from des_format.store import DesStore

from ..serving.operated import connected, operated, value
from ..times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}


async def test_what_was_answered_is_counted_by_method_status_and_route(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, b"12345")
    app, _ = operated(folder)
    async with connected(app) as client:
        for _ in range(3):
            assert (await client.get("/files/a", params=AT)).content == b"12345"
        await client.head("/files/a", params=AT)
        await client.get("/files/none", params=AT)
        await client.get("/files/a/meta", params=AT)
        await client.get("/no/such/route")
        text = (await client.get("/metrics")).text
    assert value(text, 'des_retriever_requests_total{method="GET",status="200"}') == 4
    assert value(text, 'des_retriever_requests_total{method="HEAD",status="200"}') == 1
    assert value(text, 'des_retriever_requests_total{method="GET",status="404"}') == 2
    assert value(text, 'des_retriever_request_seconds_count{route="/files/{uid}",status="2xx"}') == 4
    assert value(text, 'des_retriever_request_seconds_count{route="/files/{uid}",status="4xx"}') == 1
    assert value(text, 'des_retriever_request_seconds_count{route="/files/{uid}/meta",status="2xx"}') == 1
    assert value(text, 'des_retriever_request_seconds_count{route="other",status="4xx"}') == 1
    assert value(text, "des_retriever_in_flight_requests") == 1  # The one that asks.


async def test_reads_are_counted_by_their_outcome_with_deletions_apart_from_failures(
    store: DesStore, folder: Path
) -> None:
    store.put("a", MORNING, b"12345")
    store.put("gone", MORNING, b"x")
    store.delete("gone", MORNING, reason="GDPR", by="tester")
    app, _ = operated(folder)
    async with connected(app) as client:
        for name in ("a", "a", "gone", "none"):
            await client.get(f"/files/{name}", params=AT)
        text = (await client.get("/metrics")).text
    assert value(text, 'des_retrievals_total{backend="local",status="ok"}') == 2
    assert value(text, 'des_retrievals_total{backend="local",status="deleted"}') == 1
    assert value(text, 'des_retrievals_total{backend="local",status="not_found"}') == 1
    assert value(text, 'des_retrieval_seconds_count{backend="local"}') == 2
    assert value(text, 'des_tombstone_checks_total{result="active"}') == 2
    assert value(text, 'des_tombstone_checks_total{result="tombstoned"}') == 1
    assert value(text, 'des_retriever_file_size_bytes_bucket{le="512.0"}') == 2


async def test_a_damaged_archive_is_counted_as_corrupt(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, b"0123456789" * 50)
    (archive,) = folder.rglob("*.des")
    data = bytearray(archive.read_bytes())
    at = data.index(b"0123456789")
    data[at : at + 4] = b"oops"
    archive.chmod(0o644)
    archive.write_bytes(data)
    app, _ = operated(folder)
    async with connected(app) as client:
        assert (await client.get("/files/a", params=AT)).status_code == 502
        text = (await client.get("/metrics")).text
    assert value(text, 'des_retrievals_total{backend="local",status="corrupt"}') == 1


async def test_bytes_of_bodies_are_counted(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, Random(7).randbytes(300_000))
    app, operations = operated(folder)
    async with connected(app) as client:
        await client.get("/files/a", params=AT)
        text = (await client.get("/metrics")).text
    assert value(text, "des_retriever_sent_bytes_total") == 300_000
    assert operations.metrics.waiting_bytes == 0


async def test_an_application_that_is_started_again_counts_on(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, b"12345")
    app, _ = operated(folder, cache_url="memory://")
    for _ in range(2):
        async with connected(app) as client:
            await client.get("/files/a", params=AT)
            text = (await client.get("/metrics")).text
    assert value(text, 'des_retrievals_total{backend="local",status="ok"}') == 2


async def test_open_metrics_are_told_to_those_who_ask_for_them(store: DesStore, folder: Path) -> None:
    app, _ = operated(folder)
    async with connected(app) as client:
        plain = await client.get("/metrics")
        asked = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n")
