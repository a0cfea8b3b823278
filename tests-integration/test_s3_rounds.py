"""How often batches of reads wait for answers, counted by a server that lets its answers wait for each other."""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from des_format import DesWriter
from des_format.store import AsyncDesStore, DesStore, StoreOptions
from des_s3 import AsyncS3DesReader, S3DesReader, S3ObjectStore
from des_s3.parallel import MAX_PARALLEL
from servers import CountingProxy, Seen
from servers.http1 import Head
from servers.proxies import Connection

BUCKET = "bucket"
DAY = "20251125"
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
ENTRY_COUNT = 100_000
PAYLOAD_BYTES = 4096
BATCH = 1000
MAX_ROUNDS = 6
MAX_TRANSFER = 3
"""So many bytes are read for each byte of a payload: some of the gaps, and the index."""
QUIET_SECONDS = 0.25
QUIET_CPU_SECONDS = 0.01
"""Who neither asks nor works for a while, waits for answers; a process that gets no processor works a little."""
FULL_SECONDS = 0.05
OPTIONS = StoreOptions(manifest_ttl_seconds=3600)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def payload_of(number: int) -> bytes:
    return f"payload {number}".encode().ljust(PAYLOAD_BYTES, b".")


class Rounds(CountingProxy):
    """Serves the files of a folder; requests wait for each other, and are answered all at once.

    A round ends when nothing more arrives and the client, which is in this process, does nothing; or soon after as many
    requests wait as may be on their way. Whatever needs an answer to be asked comes in a later round: their number is
    how often the client has to wait, on any machine.

    Args:
        folder: Has a folder for each bucket.

    Attributes:
        round_count: Rounds since the last reset.
        most_waiting: Requests that waited at the same time.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("http://127.0.0.1")
        self._folder = folder
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.round_count = 0
        self.most_waiting = 0

    def reset(self) -> None:
        super().reset()
        self.round_count = self.most_waiting = 0

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.most_waiting = max(self.most_waiting, len(self._waiting))
        self._wait()
        await waiting
        await connection.client.send(self._answer(head, seen))
        return True

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        is_full = len(self._waiting) >= MAX_PARALLEL
        end = self._release if is_full else partial(self._look, time.process_time())
        self._timer = asyncio.get_running_loop().call_later(FULL_SECONDS if is_full else QUIET_SECONDS, end)

    def _look(self, cpu_before: float) -> None:
        """End the round, unless the client did something meanwhile."""
        if time.process_time() - cpu_before < QUIET_CPU_SECONDS:
            self._release()
        else:
            self._wait()

    def _release(self) -> None:
        self.round_count += 1
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _answer(self, head: Head, seen: Seen) -> bytes:
        path = self._folder / head.target.partition("?")[0].lstrip("/")
        size = path.stat().st_size
        start, end = 0, size
        if found := _RANGE.fullmatch(head.get("range") or ""):
            start = int(found[1]) if found[1] else max(0, size - int(found[2]))
            end = min(size, int(found[2]) + 1) if found[1] and found[2] else size
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
        seen.status, seen.response_bytes = 206 if found else 200, len(data)
        fields = {
            "Content-Length": len(data),
            "Content-Range": f"bytes {start}-{end - 1}/{size}",
            "ETag": '"1"',
            "Last-Modified": "Tue, 25 Nov 2025 12:00:00 GMT",
        }
        answer = Head(f"HTTP/1.1 {seen.status} Answer", tuple((name, str(value)) for name, value in fields.items()))
        return answer.encode() + data


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store of one archive, which is an archive by itself, too."""
    bucket = tmp_path_factory.mktemp("rounds") / BUCKET
    bucket.mkdir()
    path = bucket / "many.des"
    with DesWriter(path, compression="none") as writer:
        for number in range(ENTRY_COUNT):
            writer.add_file(f"n-{number}", payload_of(number))
    (bucket / "store").mkdir()
    with DesStore.init(bucket / "store", n_bits=0) as store:
        stored = store.put_archive(path, DAY, 0)
    archive = bucket / "store" / DAY / f"0_{stored.archive_id}.des"
    path.unlink()
    path.hardlink_to(archive)
    yield bucket
    # Pytest keeps the folders of three runs.
    path.unlink()
    archive.unlink()


@pytest.fixture
def server(bucket: Path) -> Iterator[Rounds]:
    with Rounds(bucket.parent) as server:
        yield server


@pytest.fixture(params=["obstore", "boto"])
def connection(request: pytest.FixtureRequest, server: Rounds, session: boto3.Session) -> dict[str, Any]:
    return {"session": session, "endpoint_url": server.url, "engine": request.param}


@pytest.fixture(scope="module")
def session() -> Iterator[boto3.Session]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield boto3.Session("key", "secret", region_name="us-east-1")


def batch(number: int) -> dict[str, bytes]:
    """Names that were never asked for before, and their payloads."""
    return {f"n-{one}": payload_of(one) for one in random.Random(number).sample(range(ENTRY_COUNT), BATCH)}


def check(server: Rounds, most_rounds: int) -> None:
    """What a batch of reads took since the last reset."""
    requests = server.requests
    assert server.round_count <= most_rounds
    assert server.most_waiting <= MAX_PARALLEL
    assert len(requests) < BATCH
    assert sum(seen.response_bytes for seen in requests) < MAX_TRANSFER * BATCH * PAYLOAD_BYTES


def test_a_reader_opens_an_archive_and_reads_a_batch_in_six_rounds(server: Rounds, connection: dict[str, Any]) -> None:
    wanted = batch(1)
    with S3DesReader(BUCKET, "many.des", **connection) as reader:
        assert reader.get_files_batch(wanted) == wanted
    check(server, MAX_ROUNDS)


async def test_an_asynchronous_reader_takes_as_many(server: Rounds, connection: dict[str, Any]) -> None:
    wanted = batch(2)
    async with await AsyncS3DesReader.open(BUCKET, "many.des", **connection) as reader:
        assert await reader.get_files_batch(wanted) == wanted
    check(server, MAX_ROUNDS)


@pytest.fixture(params=["sync", "async"])
def get_many(
    request: pytest.FixtureRequest, connection: dict[str, Any]
) -> Iterator[Callable[[dict[str, bytes]], dict[str, bytes]]]:
    """Read a batch from the store, which is opened, and knows nothing else."""
    with asyncio.Runner() as runner:
        objects = S3ObjectStore(BUCKET, "store", **connection)
        store: Any = (
            DesStore.open(objects, options=OPTIONS)
            if request.param == "sync"
            else runner.run(AsyncDesStore.open(objects, options=OPTIONS))
        )

        async def read(requests: list[tuple[str, datetime]]) -> Any:
            return await store.get_many(requests)

        def get_many(wanted: dict[str, bytes]) -> dict[str, bytes]:
            requests = [(name, NOON) for name in wanted]
            found = store.get_many(requests) if request.param == "sync" else runner.run(read(requests))
            return {name: data for (name, _at), data in found.items()}

        yield get_many
        if request.param == "sync":
            store.close()
        runner.run(objects.aclose())


def test_a_store_reads_a_batch_in_six_rounds_and_the_next_one_in_four(
    server: Rounds, get_many: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    for number, most_rounds in ((3, MAX_ROUNDS), (4, MAX_ROUNDS - 1)):
        server.reset()
        wanted = batch(number)
        assert get_many(wanted) == wanted
        check(server, most_rounds)
