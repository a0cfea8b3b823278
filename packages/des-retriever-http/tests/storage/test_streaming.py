"""Payloads that are sent piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.store import ArchiveOptions, DesStore, StoreOptions
from des_retriever_http.storage.streaming import StreamMemory
from fastapi import FastAPI

from ..times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}


async def test_pieces_shrink_when_there_are_more_streams() -> None:
    memory = StreamMemory(16 * 2**20)
    assert memory.piece_bytes == 8 * 2**20
    async with memory.stream(), memory.stream(), memory.stream(), memory.stream():
        assert memory.piece_bytes == 2 * 2**20


async def test_memory_is_waited_for_and_given_back() -> None:
    memory = StreamMemory(100)
    order: list[str] = []

    async def second() -> None:
        async with memory.take(60):
            order.append("second")

    async with memory.take(60):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        order.append("first")
        assert memory.taken_bytes == 60
    await waiting
    assert order == ["first", "second"]
    assert memory.taken_bytes == 0


async def test_what_is_larger_than_all_memory_is_not_waited_for_for_ever() -> None:
    memory = StreamMemory(100)
    async with memory.take(1000):
        assert memory.taken_bytes == 100


@pytest.fixture
def large(folder: Path) -> bytes:
    """The payload of the entry `large`, which lies beside its archive."""
    store = DesStore.init(folder, options=StoreOptions(writing=ArchiveOptions(big_file_threshold=1000)))
    payload = bytes(range(256)) * 4000
    store.put("large", MORNING, payload)
    return payload


@pytest.fixture
async def streaming(
    large: bytes, folder: Path, make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any]
) -> httpx.AsyncClient:
    """A client of a service that streams whatever has more than 10,000 bytes."""
    client: httpx.AsyncClient = await connect(make_app(fetch_bytes=10_000, stream_memory_bytes=2**20))
    return client


@pytest.fixture
def store(folder: Path, large: bytes) -> DesStore:
    return DesStore.open(folder)


async def test_a_large_file_is_streamed_whole_and_in_parts(streaming: httpx.AsyncClient, large: bytes) -> None:
    answer = await streaming.get("/files/large", params=AT)
    assert (answer.status_code, answer.content) == (200, large)
    assert answer.headers["content-length"] == str(len(large))
    part = await streaming.get("/files/large", params=AT, headers={"Range": "bytes=5000-900000"})
    assert (part.status_code, part.content) == (206, large[5000:900001])


async def test_the_end_of_a_damaged_file_is_not_sent(streaming: httpx.AsyncClient, large: bytes, folder: Path) -> None:
    (path,) = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size == len(large))
    path.chmod(0o600)
    path.write_bytes(b"X" + large[1:])
    answer = await streaming.get("/files/large", params=AT)
    assert answer.headers["content-length"] == str(len(large))
    assert 0 < len(answer.content) < len(large)


async def test_a_missing_big_file_is_a_fault_of_the_storage(streaming: httpx.AsyncClient, folder: Path) -> None:
    for path in list(folder.rglob("*")):
        if path.is_file() and path.stat().st_size > 500_000:
            path.unlink()
    assert (await streaming.get("/files/large", params=AT)).status_code == 502
