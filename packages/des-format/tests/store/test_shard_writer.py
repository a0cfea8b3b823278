"""A writer that streams one archive into a shard."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format.errors import (
    ArchiveCondemnedError,
    ConflictError,
    DuplicateEntryError,
    InvalidInputError,
    InvalidNameError,
    UnavailableError,
    UnsupportedOperationError,
    WriterClosedError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.store import CommitPolicy, DesStore, ShardWriter, StoreOptions
from des_format.testing import FaultyObjectStore, fail_after, fail_before, lose_reply

from .runners import open_store

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
DAY = "20251125"
NO_PATIENCE = StoreOptions(commits=CommitPolicy(timeout_seconds=0))


@pytest.fixture(params=["memory", "local"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An object store that takes whole objects, and one that takes them piece by piece, with a store in it."""
    objects: Any = MemoryObjectStore()
    if request.param == "local":
        objects = LocalObjectStore(tmp_path / "objects", create=True)
    DesStore.init(objects, n_bits=2).close()
    return objects


@pytest.fixture
def store(objects: Any) -> DesStore:
    return DesStore.open(objects)


def keys(objects: Any) -> list[str]:
    return [meta["path"] for page in objects.list() for meta in page]


def leftovers(objects: Any) -> list[Path]:
    """Files that no key names, such as temporary ones, except locks."""
    if not isinstance(objects, LocalObjectStore):
        return []
    return [path for path in objects.root.rglob(".*") if not path.name.endswith(".lock")]


def test_what_was_added_is_there_after_close_and_not_before(store: DesStore, objects: Any) -> None:
    with store.writer("2025-11-25", 1) as writer:
        writer.add_file("5", b"five", {"a": 1})
        writer.add_stream("9", io.BytesIO(b"nine"))
        assert writer.receipt is None
        assert not store.exists("5", NOON)
    receipt = writer.receipt
    assert receipt is not None
    assert (receipt.where, receipt.archive_id, receipt.existed) == (writer.where, writer.archive_id, False)
    assert writer.key in keys(objects)
    assert store.get("5", NOON) == b"five"
    assert store.get("9", NOON) == b"nine"
    assert store.get_entry("5", NOON).entry.meta == {"a": 1}
    writer.close()
    writer.abort()
    assert len(store.history(DAY, 1)) == 1
    assert leftovers(objects) == []


def test_an_archive_streams_into_its_object_where_the_object_store_can(tmp_path: Path) -> None:
    objects = LocalObjectStore(tmp_path, create=True)
    with DesStore.init(objects, n_bits=0).writer(DAY, 0, compression="none") as writer:
        writer.add_file("a", bytes(3 * 2**20))
        (temporary,) = leftovers(objects)
        assert temporary.parent == tmp_path / DAY
        assert temporary.stat().st_size > 2 * 2**20


@pytest.mark.parametrize("name", ["6", "a", "4"])
def test_a_uid_of_another_shard_is_refused_and_the_right_one_named(store: DesStore, name: str) -> None:
    right = store.engine.reads.locate(name, NOON).where.shard
    with store.writer(DAY, "1") as writer:
        with pytest.raises(InvalidInputError, match=f"belongs to shard {right}, this archive is one of {DAY}/1"):
            writer.add_file(name, b"")
        with pytest.raises(InvalidInputError, match="belongs to shard"):
            writer.add_stream(name, io.BytesIO())
        writer.add_file("5", b"five")
    assert [entry.entry.name for entry in store.list(DAY)] == ["5"]


def test_other_refusals_leave_the_writer_usable(store: DesStore) -> None:
    with store.writer(DAY, 1) as writer:
        writer.add_file("5", b"five")
        with pytest.raises(DuplicateEntryError):
            writer.add_file("5", b"again")
        with pytest.raises(InvalidNameError):
            writer.add_file("", b"")
        with pytest.raises(UnsupportedOperationError, match="add its payload"):
            writer.add_external("9", "00" * 32, 5)
    assert store.get("5", NOON) == b"five"


@pytest.mark.parametrize(("day", "shard", "archive_id"), [("2025-13-01", 0, None), (DAY, 4, None), (DAY, 0, "A-b")])
def test_a_wrong_place_is_refused(store: DesStore, objects: Any, day: str, shard: int, archive_id: str | None) -> None:
    with pytest.raises(InvalidInputError):
        store.writer(day, shard, archive_id)
    assert keys(objects) == ["des-store.json"]


def test_a_negative_threshold_is_refused_and_leaves_nothing(store: DesStore, objects: Any) -> None:
    with pytest.raises(InvalidInputError, match="big_file_threshold"):
        store.writer(DAY, 0, big_file_threshold=-1)
    assert leftovers(objects) == []


def test_a_block_that_ends_by_an_exception_leaves_nothing(store: DesStore, objects: Any) -> None:
    writer = store.writer(DAY, 1)

    def work() -> None:
        with writer:
            writer.add_file("5", b"five")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert keys(objects) == ["des-store.json"]
    assert leftovers(objects) == []
    with pytest.raises(WriterClosedError):
        writer.close()


def test_an_aborted_writer_ends_its_block_without_an_archive(store: DesStore, objects: Any) -> None:
    with store.writer(DAY, 1) as writer:
        writer.add_file("5", b"five")
        writer.abort()
    assert writer.receipt is None
    assert keys(objects) == ["des-store.json"]


def test_big_files_are_stored_once_and_named_by_the_manifest(store: DesStore, objects: Any) -> None:
    with store.writer(DAY, 1, big_file_threshold=4) as writer:
        writer.add_file("5", b"a big payload")
        writer.add_stream("9", io.BytesIO(b"a big payload"))
        writer.add_file("1", b"tiny")
    big = [key for key in keys(objects) if "_bigFiles" in key]
    assert len(big) == 1
    (commit,) = store.history(DAY, 1)
    assert [f"{DAY}/_bigFiles/{sha256}" for sha256 in commit.added[0].big_files] == big
    assert store.get("9", NOON) == b"a big payload"


# -- the same archive again -------------------------------------------------------------------


def write(store: DesStore, archive_id: str | None = "task1", payload: bytes = b"five") -> ShardWriter:
    writer = store.writer(DAY, 1, archive_id)
    writer.add_file("5", payload)
    return writer


def test_an_archive_id_is_added_once(store: DesStore, objects: Any) -> None:
    write(store).close()
    second = write(store)
    second.close()
    assert second.receipt is not None
    assert second.receipt.existed
    assert len(store.history(DAY, 1)) == 1
    assert leftovers(objects) == []


def test_two_writers_of_one_archive_at_the_same_time_add_it_once(store: DesStore, objects: Any) -> None:
    first, second = write(store), write(store)
    second.close()
    first.close()
    assert first.receipt is not None
    assert first.receipt.existed
    assert len(store.history(DAY, 1)) == 1
    assert leftovers(objects) == []


def test_another_archive_of_the_same_id_at_the_same_time_is_a_conflict(store: DesStore, objects: Any) -> None:
    first, second = write(store, payload=b"other"), write(store)
    second.close()
    if isinstance(objects, LocalObjectStore):
        with pytest.raises(ConflictError, match="another archive is stored as"):
            first.close()
        first.abort()
    else:
        first.close()
    assert store.get("5", NOON) == b"five"
    assert len(store.history(DAY, 1)) == 1
    assert leftovers(objects) == []


def test_an_archive_that_a_dead_process_published_is_committed(objects: Any) -> None:
    dead, _runner = open_store(objects)
    writer = write(dead)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dead.engine.transactions, "commit", lambda *_arguments: (_ for _ in ()).throw(UnavailableError))
        with pytest.raises(UnavailableError):
            writer.close()
    assert writer.key in keys(objects)
    writer.abort()
    store = DesStore.open(objects)
    again = write(store)
    again.close()
    assert again.receipt is not None
    assert not again.receipt.existed
    assert store.get("5", NOON) == b"five"


def test_an_id_that_was_collected_is_refused(store: DesStore) -> None:
    writer = write(store)
    where = writer.where

    def condemn(_shard: Any) -> Any:
        from des_format.store.model.commits import Commit, Operation

        return Commit(0, NOON, "", Operation.CONDEMN, condemned=((writer.archive_id, NOON),))

    store.runner.run(store.engine.writes.commit(where, condemn))
    for _attempt in range(2):
        with pytest.raises(ArchiveCondemnedError, match="task1"):
            writer.close()
    writer.abort()


# -- failures ---------------------------------------------------------------------------------

FAULTS = [fail_before, fail_after, lose_reply]


def count_calls(archive_id: str | None) -> int:
    objects = FaultyObjectStore(MemoryObjectStore())
    DesStore.init(objects, n_bits=2).close()
    store, _runner = open_store(objects)
    before = objects.plan.call_count
    write(store, archive_id).close()
    return objects.plan.call_count - before


@pytest.mark.parametrize("archive_id", [None, "task1"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_call_fails_once_closing_again_adds_the_archive_once(fault: Any, archive_id: str | None) -> None:
    for nth in range(1, count_calls(archive_id) + 1):
        objects = FaultyObjectStore(MemoryObjectStore())
        DesStore.init(objects, n_bits=2).close()
        store, _runner = open_store(objects, NO_PATIENCE)
        writer = write(store, archive_id)
        objects.plan.add(fault(nth))
        try:
            writer.close()
        except (ConflictError, UnavailableError):
            writer.close()
        assert writer.receipt is not None
        other, _runner = open_store(objects.inner)
        assert other.get("5", NOON) == b"five"
        assert [commit.added[0].id for commit in other.history(DAY, 1)] == [writer.archive_id]


def test_while_the_storage_fails_closing_fails_and_then_it_does_not(objects: Any) -> None:
    faulty = FaultyObjectStore(objects)
    store, _runner = open_store(faulty, NO_PATIENCE)
    writer = write(store, None)
    faulty.plan.add(fail_before(None))
    for _attempt in range(3):
        with pytest.raises(UnavailableError):
            writer.close()
    assert writer.receipt is None
    faulty.plan.clear()
    writer.close()
    assert store.get("5", NOON) == b"five"
    assert len(store.history(DAY, 1)) == 1


def test_closing_again_does_not_bring_back_what_was_compacted_away_meanwhile(objects: Any) -> None:
    faulty = FaultyObjectStore(objects)
    store, _runner = open_store(faulty, NO_PATIENCE)
    other, _runner = open_store(objects)
    writer = write(store, None)
    faulty.plan.add(fail_after(1, ["put"], "*.manifest"), fail_before(2, ["get"], "*.manifest"))
    with pytest.raises(UnavailableError):
        writer.close()
    other.put("9", NOON, b"nine")
    other.delete("5", NOON, reason="r", by="b")
    assert other.compact(full=True)
    faulty.plan.clear()
    writer.close()
    assert writer.receipt is not None
    assert writer.receipt.existed
    assert not other.exists("5", NOON)


class BrokenTarget:
    """A target whose object cannot be completed."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.rolled_back = 0

    def write(self, data: bytes, /) -> int:
        return len(data)

    def commit(self) -> None:
        raise self.error

    def rollback(self) -> None:
        self.rolled_back += 1


class Piecewise(MemoryObjectStore):
    """Takes objects piece by piece, and fails to complete them."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = BrokenTarget(OSError("disk full"))

    def target(self, _key: str, /) -> BrokenTarget:
        return self.broken


def test_an_object_that_could_not_be_completed_is_lost_with_its_writer() -> None:
    objects = Piecewise()
    store = DesStore.init(objects, n_bits=2)
    writer = write(store, None)
    with pytest.raises(UnavailableError, match="disk full"):
        writer.close()
    with pytest.raises(WriterClosedError, match="could not be completed"):
        writer.close()
    writer.abort()
    assert objects.broken.rolled_back == 1
    assert not writer.is_open
    assert store.history(DAY, 1) == []


def test_whether_an_object_was_completed_is_looked_up_when_the_storage_answers_again() -> None:
    objects = Piecewise()
    DesStore.init(objects, n_bits=2).close()
    plain, _runner = open_store(MemoryObjectStoreOf(objects))
    write(plain, "task1").close()  # As if the commit of the target had succeeded and its reply were lost.
    faulty = FaultyObjectStore(objects)
    faulty.target = objects.target  # type: ignore[attr-defined]
    store, _runner = open_store(faulty)
    writer = write(store, "task1")
    faulty.plan.add(fail_before(1, ["get"]))
    with pytest.raises(UnavailableError):
        writer.close()
    writer.close()
    assert writer.receipt is not None
    assert writer.receipt.existed


class MemoryObjectStoreOf(FaultyObjectStore):
    """Another view of a store, without its capabilities."""


@pytest.mark.parametrize("error", [ConflictError("x"), PermissionError("x")])
def test_a_store_that_refuses_a_target_says_so(error: Exception) -> None:
    class Refusing(MemoryObjectStore):
        def target(self, _key: str, /) -> Any:
            raise error

    store = DesStore.init(Refusing(), n_bits=2)
    with pytest.raises((ConflictError, PermissionError)):
        store.writer(DAY, 1)


def test_writers_of_many_threads_add_to_one_shard(store: DesStore) -> None:
    start = threading.Barrier(4)

    def add(number: int) -> None:
        with store.writer(DAY, 1) as writer:
            writer.add_file(str(4 * number + 1), b"%d" % number)
            start.wait()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.entry.name for entry in store.list(DAY, 1)} == {"1", "5", "9", "13"}
    assert len(store.history(DAY, 1)) == 4


def test_spilling_hands_on_what_waits(tmp_path: Path) -> None:
    objects = LocalObjectStore(tmp_path, create=True)
    with DesStore.init(objects, n_bits=0).writer(DAY, 0) as writer:
        writer.add_file("a", bytes(range(256)) * 100)
        (temporary,) = leftovers(objects)
        before = temporary.stat().st_size
        writer.spill()
        assert temporary.stat().st_size > before
    writer.spill()
    assert DesStore.open(objects).get("a", NOON) == bytes(range(256)) * 100
