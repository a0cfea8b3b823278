"""How many reads run at the same time: bounds by connections and by open files."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from des_format import ByteRange, DesReader, DesWriter, TransferCost
from des_format.errors import UnavailableError
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions, ReadsInParallel
from des_s3 import Replica, ReplicatedObjectStore, S3ObjectStore, S3RangeSource, Zone, ZonedObjectStore
from des_s3.parallel import MAX_PARALLEL, parallel_reads

MakeStore = Callable[..., S3ObjectStore]


@pytest.mark.skipif(sys.platform == "win32", reason="files and sockets are counted apart")
@pytest.mark.parametrize(("open_files", "expected"), [(20_000, 256), (1024, 256), (256, 64), (3, 1), (-1, 256)])
def test_a_read_may_take_a_quarter_of_the_open_files(
    monkeypatch: pytest.MonkeyPatch, open_files: int, expected: int
) -> None:
    import resource

    limit = resource.RLIM_INFINITY if open_files < 0 else open_files
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (limit, limit))
    assert parallel_reads() == expected


def test_a_client_of_the_callers_gets_no_more_requests_than_it_keeps_connections(
    make_store: MakeStore, session: boto3.Session
) -> None:
    usual = session.client("s3")
    wide = session.client("s3", config=Config(max_pool_connections=2 * MAX_PARALLEL))
    assert make_store(client=usual).parallel_reads == 10
    assert make_store(client=wide).parallel_reads == parallel_reads()
    usual.close()
    wide.close()


def test_zones_and_replicas_are_as_wide_as_their_places(make_store: MakeStore, session: boto3.Session) -> None:
    client = session.client("s3")
    narrow = make_store(client=client)
    replicated = ReplicatedObjectStore("a", narrow, [Replica("b", make_store())])
    zoned = ZonedObjectStore([Zone("a", 0, 0, narrow), Zone("b", 1, 1, make_store())], 1)
    for store in (replicated, zoned):
        assert isinstance(store, ReadsInParallel)
        assert store.parallel_reads == 10
    client.close()


class _Failing:
    """A place where the first ranges are there, and nothing after them."""

    place, backend, parallel_reads = "here", "test", 3

    def __init__(self, store: S3ObjectStore) -> None:
        self.metrics = store.metrics
        self._guard = threading.Lock()
        self.asked = 0

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        with self._guard:
            self.asked += 1
        if self.asked > 4:
            raise UnavailableError("no more")
        meta: Any = {"path": path, "size": 1000, "e_tag": "1"}
        return LoadedResult(meta, (0, 1), b"x")

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        return self.get(path, options=options)


def test_a_batch_that_failed_asks_for_nothing_more(make_store: MakeStore) -> None:
    place = _Failing(make_store())
    source = S3RangeSource(place, "key")
    with pytest.raises(UnavailableError, match="no more"):
        source.read_ranges([ByteRange(at, at + 1) for at in range(0, 200, 2)])
    source.close()
    assert place.asked <= 4 + place.parallel_reads


def test_no_more_threads_read_than_the_caller_says(make_store: MakeStore, tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    with DesWriter(path) as writer:
        for number in range(100):
            writer.add_file(f"n-{number}", b"payload %d" % number)
    store = make_store()
    store.put("a.des", path)
    source = S3RangeSource(store, "a.des", max_parallel=2)
    reader = DesReader(source, cost=TransferCost(request_bytes=0))
    wanted = {f"n-{number}": b"payload %d" % number for number in range(0, 100, 3)}
    assert reader.get_files_batch(wanted) == wanted
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("des-s3-read")]
    assert 1 <= len(names) <= 2
    source.close()
