"""Adding and deleting, interrupted at every request: docs/store-format.md, "Commit protocol"."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.errors import DesError, EntryDeletedError, StoreNotFoundError
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_format.testing import FaultyObjectStore, Plan, fail_after, fail_before, lose_reply

from .filling import fill
from .sweeping import Sweep, Swept, all_keys

DAY = "20251125"
AT = datetime(2025, 11, 25, 12, tzinfo=UTC)
BIG = StoreOptions(writing=ArchiveOptions(big_file_threshold=100))
WHY: dict[str, Any] = {"reason": "asked to", "by": "me"}


def test_put_into_an_empty_shard() -> None:
    assert Sweep(Swept(lambda _store: None, lambda store: store.put("a", AT, b"new"))).run() == 2 * 7 + 3 + 2


@pytest.mark.parametrize("earlier", [1, 2, 32, 33])  # The 33rd commit seals a segment.
def test_put_over_other_versions(earlier: int) -> None:
    Sweep(Swept(fill(earlier), lambda store: store.put("0", AT, b"new"))).run()


def test_put_of_a_big_file() -> None:
    Sweep(Swept(fill(2), lambda store: store.put("0", AT, bytes(5000)), options=BIG)).run()


def test_put_of_a_big_file_that_is_there() -> None:
    def prepare(store: DesStore) -> None:
        store.put("other", AT, bytes(5000))

    Sweep(Swept(prepare, lambda store: store.put("0", AT, bytes(5000)), options=BIG)).run()


def test_put_many_into_two_shards() -> None:
    entries = [NewEntry(uid, AT, f"new {uid}".encode()) for uid in ("0", "1", "2", "3")]
    sweep = Sweep(Swept(fill(3), lambda store: store.put_many(entries), n_bits=1))
    assert len(sweep.new) == 2
    sweep.run()


@pytest.mark.parametrize("earlier", [0, 1, 33])
def test_put_archive_with_an_id(earlier: int, tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    with DesWriter(path) as writer:
        writer.add_file("0", b"packed")
        writer.add_file("new", b"packed too")

    def check(objects: MemoryObjectStore) -> None:
        history = DesStore.open(objects).history(DAY, "0")
        assert [row.id for commit in history for row in commit.added].count("task1") == 1
        assert len([key for key in all_keys(objects) if key.endswith(".des")]) == min(3, earlier) + 1

    Sweep(Swept(fill(earlier), lambda store: store.put_archive(path, DAY, "0", "task1"), check=check)).run()


@pytest.mark.parametrize("earlier", [3, 32, 33])
def test_delete(earlier: int) -> None:
    swept = Swept(fill(earlier), lambda store: store.delete("0", AT, **WHY), done_already=(EntryDeletedError,))
    sweep = Sweep(swept)
    (old,), (new,) = sweep.old.values(), sweep.new.values()
    assert set(old) - set(new) == {"0"}
    sweep.run()


def test_delete_many_in_two_shards() -> None:
    """What was deleted before an interruption is in the way of repeating all of it: repeat what is still there."""

    def run(store: DesStore) -> None:
        left = [(uid, AT) for uid in ("0", "1", "2") if store.exists(uid, AT)]
        if left:
            store.delete_many(left, **WHY)

    Sweep(Swept(fill(3), run, n_bits=1)).run()


def test_a_restoring_put() -> None:
    def prepare(store: DesStore) -> None:
        fill(3)(store)
        store.delete("0", AT, **WHY)

    Sweep(Swept(prepare, lambda store: store.put("0", AT, b"restored"))).run()


def test_a_commit_that_merges_segments() -> None:
    Sweep(Swept(fill(8 * 33 - 1), lambda store: store.put("0", AT, b"new"))).run()


def test_making_a_store_is_done_or_can_be_done() -> None:
    for make in (fail_before, fail_after, lose_reply):
        for nth in range(1, 10):
            objects = MemoryObjectStore()
            try:
                made = DesStore.init(FaultyObjectStore(objects, Plan(make(nth))))
            except DesError:
                try:
                    made = DesStore.open(objects)
                except StoreNotFoundError:
                    made = DesStore.init(objects)
            assert DesStore.open(objects).descriptor == made.descriptor
            assert made.put("a", AT, b"1").sequence == 1
