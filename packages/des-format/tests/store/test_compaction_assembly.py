"""Compactions in which the object store copies the largest archive: when, what is checked, what goes wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import zstandard
from des_format.compression import Compression
from des_format.errors import AccessDeniedError, ObjectNotFoundError, UnsupportedOperationError
from des_format.layout import FOOTER_SIZE
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports.objects import Content, Front, PutResult
from des_format.store import ArchiveOptions, Compaction, DesStore, NewEntry, StoreOptions
from des_format.store.sansio.effects import Assemble
from des_format.testing import FaultyObjectStore, Plan, delay, fail_before
from des_format.testing.contracts import AssemblesContract

from .filling import AT, DAY
from .runners import open_store
from .sweeping import Sweep, Swept, all_keys, check_history, check_nothing_needed_is_gone, yesterday

OPTIONS = StoreOptions(writing=ArchiveOptions(big_file_threshold=20_000))
WHY: dict[str, Any] = {"reason": "asked to", "by": "me"}
Entries = dict[str, bytes]


class TestMemoryAssembles(AssemblesContract):
    @pytest.fixture(params=[lambda inner: inner, FaultyObjectStore])
    def store(self, request: pytest.FixtureRequest) -> Any:
        return request.param(MemoryObjectStore())


def some(first: int, count: int, size: int = 3000) -> Entries:
    """Payloads half of which can be compressed."""
    numbers = random.Random(first)
    return {f"n-{n}": numbers.randbytes(size) + f"text {n} ".encode() * 400 for n in range(first, first + count)}


def put(store: DesStore, entries: Entries) -> None:
    store.put_many([NewEntry(uid, AT, data, {"uid": uid}) for uid, data in entries.items()])


def trained() -> bytes:
    return zstandard.train_dictionary(2000, [f"some text {number} ".encode() * 5 for number in range(500)]).as_bytes()


def held(objects: Any) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Every entry with its metadata, as a new process reads it from a store that verifies."""
    store, _runner = open_store(objects, OPTIONS)
    report = store.verify()
    assert report.ok, report.problems
    listed = {one.entry.name: dict(one.entry.meta) for one in store.list(DAY)}
    assert all(store.get_entry(name, AT).entry.meta == meta for name, meta in listed.items())
    return {name: (store.get(name, AT), meta) for name, meta in listed.items()}


@pytest.fixture
def objects() -> MemoryObjectStore:
    """A large archive between an older and a newer one, all with big files."""
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0, options=replace(OPTIONS, clock=yesterday))
    put(store, some(0, 3) | {"big 1": bytes(30_000)})
    put(store, some(100, 30) | {"big 2": bytes(30_000), "empty": b""})
    put(store, some(200, 3) | {"big 3": bytes(30_001)})
    return objects


def compact(objects: Any, **options: Any) -> Compaction:
    (done,) = open_store(objects, OPTIONS)[0].compact(full=True, **options)
    return done


def archives(objects: Any) -> set[str]:
    return {key for key in all_keys(objects) if key.endswith(".des")}


# -- what it does ---------------------------------------------------------------------------


def test_nothing_that_can_be_read_changes(objects: MemoryObjectStore) -> None:
    before = held(objects)
    large = max(archives(objects), key=lambda key: objects.head(key)["size"])
    store, runner = open_store(objects, OPTIONS)
    (done,) = store.compact(full=True)
    (request,) = (one for batch in runner.rounds for one in batch if isinstance(one, Assemble))
    assert (request.front.path, request.front.length) == (large, objects.head(large)["size"])
    assert (done.copied_bytes, done.refusal) == (request.front.length, "")
    assert (done.entries_kept, done.entries_dropped) == (len(before), 0)
    assert held(objects) == before
    (row,) = store.archives(DAY, 0)
    assert bytes(objects.get(f"{DAY}/0_{row.id}.des").buffer()).startswith(bytes(objects.get(large).buffer()))
    assert len(row.big_files) == 2
    check_nothing_needed_is_gone(objects)


def test_an_archive_that_was_assembled_is_copied_again_until_much_of_it_is_dead(objects: MemoryObjectStore) -> None:
    copied = []
    for first in range(300, 1100, 100):
        before = held(objects)
        copied.append(compact(objects).copied_bytes > 0)
        assert held(objects) == before
        put(open_store(objects, OPTIONS)[0], some(first, 2))
    assert copied[:3] == [True, True, True]
    assert copied.count(True) > copied.count(False) > 0


def test_what_older_archives_have_of_its_names_is_left_out(objects: MemoryObjectStore) -> None:
    store, _runner = open_store(objects, OPTIONS)
    put(store, some(0, 2) | some(600, 50))
    before = held(objects)
    done = compact(objects)
    assert done.copied_bytes
    assert done.entries_dropped == 2
    assert held(objects) == before


def test_its_dictionary_is_used_again() -> None:
    objects = MemoryObjectStore()
    dictionary = Compression(dictionary="auto")
    options = StoreOptions(writing=ArchiveOptions(compression=dictionary))
    store = DesStore.init(objects, n_bits=0, options=options)
    words = [f"{number * 7919:x}" for number in range(400)]
    numbers = random.Random(1)
    for first, count in ((0, 2000), (5000, 20)):
        put(store, {f"n-{first + n}": " ".join(numbers.choices(words, k=60)).encode() for n in range(count)})
    before = held(objects)
    rows = store.archives(DAY, 0)
    assert [bool(row.footer.dictionary_length) for row in rows].count(True) == 1
    (done,) = store.compact(full=True)
    (row,) = store.archives(DAY, 0)
    assert (bool(done.copied_bytes), row.footer.dictionary_length > 0) == (True, True)
    assert held(objects) == before


# -- when it does not -----------------------------------------------------------------------


def replaced(store: DesStore) -> None:
    put(store, some(105, 1))


def deleted(store: DesStore) -> None:
    store.delete("n-105", AT, **WHY)


@pytest.mark.parametrize("change", [replaced, deleted])
def test_an_archive_is_written_anew_that_is_not_wanted_as_a_whole(
    objects: MemoryObjectStore, change: Callable[[DesStore], None]
) -> None:
    change(open_store(objects, OPTIONS)[0])
    before = held(objects)
    done = compact(objects)
    assert (done.copied_bytes, done.refusal) == (0, "")
    assert held(objects) == before
    assert len(open_store(objects)[0].archives(DAY, 0)) == 1


@pytest.mark.parametrize(
    "compression",
    ["none", "speed", Compression(dictionary="auto"), Compression(dictionary=trained())],
    ids=["other codec", "lz4", "a dictionary is wanted", "another dictionary"],
)
def test_an_archive_is_written_anew_that_is_compressed_in_another_way(
    objects: MemoryObjectStore, compression: Any
) -> None:
    before = held(objects)
    store, _runner = open_store(objects, StoreOptions(writing=ArchiveOptions(compression=compression)))
    (done,) = store.compact(full=True)
    assert (done.copied_bytes, done.refusal) == (0, "")
    assert held(objects) == before


def test_an_archive_of_which_much_would_be_dead_is_written_anew() -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0, options=OPTIONS)
    for first in (0, 100):
        put(store, {f"n-{first + number}": bytes([number]) * 20 for number in range(100)})
    assert compact(objects).copied_bytes == 0
    assert len(held(objects)) == 200


def test_it_is_not_done_where_it_is_not_possible(objects: MemoryObjectStore, tmp_path: Any) -> None:
    local = LocalObjectStore(tmp_path / "objects", create=True)
    for key in all_keys(objects):
        local.put(key, bytes(objects.get(key).buffer()))
    assert compact(local).copied_bytes == 0
    objects.least_front_bytes = 1_000_000
    assert compact(objects).copied_bytes == 0
    assert held(local) == held(objects)


def test_it_is_not_done_when_everything_is_to_be_written_anew(objects: MemoryObjectStore) -> None:
    before = held(objects)
    assert compact(objects, rewrite=True).copied_bytes == 0
    assert held(objects) == before


# -- what goes wrong ------------------------------------------------------------------------


class Careless(MemoryObjectStore):
    """Copies wrongly."""

    def __init__(self, inner: MemoryObjectStore, damage: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._objects = inner._objects
        self._damage = damage

    def assemble(self, path: str, front: Front, rest: Content) -> PutResult:
        made = super().assemble(path, front, rest)
        self.put(path, self._damage(bytes(self.get(path).buffer())))
        return made


def flipped(at: int, data: bytes) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_whatever_is_copied_wrongly_is_noticed_and_everything_is_written_anew(objects: MemoryObjectStore) -> None:
    before = held(objects)
    saved = {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)}
    first = open_store(objects, OPTIONS)[0].compact(full=True)[0]
    size = first.bytes_after
    damages: list[Callable[[bytes], bytes]] = [partial(flipped, at) for at in range(0, size, size // 150)]
    ends = (first.copied_bytes, size)
    damages += [partial(flipped, end - back) for end in ends for back in (1, 20, FOOTER_SIZE, FOOTER_SIZE + 1, 4300)]
    damages += [lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[1:], lambda _data: b""]
    damages += [lambda data: data[100:200] + data[100:], lambda data: bytes(len(data))]
    for damage in damages:
        objects = MemoryObjectStore()
        for key, data in saved.items():
            objects.put(key, data)
        done = compact(Careless(objects, damage))
        assert done.copied_bytes == 0
        assert done.refusal
        assert f"{DAY}/0_{done.output}.des" in archives(objects)
        assert len(archives(objects)) == 4, "what was assembled wrongly is gone"
        assert held(objects) == before


@pytest.mark.parametrize("error", [AccessDeniedError, UnsupportedOperationError])
def test_where_it_is_refused_everything_is_written_anew(objects: MemoryObjectStore, error: Any) -> None:
    before = held(objects)
    plan = Plan(fail_before(None, ["assemble"], error=error))
    done = compact(FaultyObjectStore(objects, plan))
    assert plan.calls["assemble"] == 1
    assert done.copied_bytes == 0
    assert "as planned" in done.refusal
    assert held(objects) == before


def test_where_it_always_fails_everything_is_written_anew(objects: MemoryObjectStore) -> None:
    before = held(objects)
    plan = Plan(fail_before(None, ["assemble"]))
    assert compact(FaultyObjectStore(objects, plan)).refusal
    assert plan.calls["assemble"] > 1
    assert held(objects) == before


def test_damage_of_the_copied_archive_is_found_and_nothing_is_committed(objects: MemoryObjectStore) -> None:
    large = max(archives(objects), key=lambda key: objects.head(key)["size"])
    objects.put(large, flipped(50_000, bytes(objects.get(large).buffer())))
    before = {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)}
    with pytest.raises(Exception, match="checksum"):
        compact(objects)
    assert {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)} == before


# -- interrupted, and while others write ------------------------------------------------------


def prepare(store: DesStore) -> None:
    put(store, {"a": b"first", "b": b"first"})
    put(store, {f"n-{number}": random.Random(number).randbytes(9000) for number in range(5)})
    put(store, {"a": b"second", "c": b"first"})


def test_interrupted_at_every_request() -> None:
    def check(objects: MemoryObjectStore) -> None:
        assert len(open_store(objects)[0].archives(DAY, 0)) == 1

    sweep = Sweep(Swept(prepare, lambda store: store.compact(full=True), check=check))
    assert any(isinstance(request, Assemble) for request in sweep._requests)
    assert sweep.old == sweep.new
    sweep.run()


def slow_clock() -> Callable[[], datetime]:
    """Yesterday, a minute later each time: what was begun with a manifest is in doubt, and no garbage."""
    times = itertools.count()
    return lambda: yesterday() + timedelta(minutes=next(times))


def others(name: str, objects: Any) -> None:
    store, _runner = open_store(objects, OPTIONS)
    if name == "replace":
        store.put("n-1", AT, b"newest")
    elif name == "delete":
        store.delete("n-2", AT, **WHY)
    elif name == "collect":
        store.gc(min_age=timedelta(0), dry_run=False)
    else:
        store.compact(full=True)
        store.put("n-1", AT, b"newest")
        store.delete("n-2", AT, **WHY)
        store.compact(full=True)


@pytest.mark.parametrize("rewrite", [False, True])
@pytest.mark.parametrize("name", ["replace", "delete", "collect", "everything"])
def test_what_others_do_between_any_two_requests_is_kept(name: str, rewrite: bool) -> None:
    nth, interfered = 0, [""]
    while interfered:
        nth += 1
        objects = MemoryObjectStore()
        prepare(DesStore.init(objects, n_bits=0, options=replace(OPTIONS, clock=slow_clock())))
        expected = {uid: payload for uid, (payload, _meta) in held(objects).items()}
        interfered = []

        def meanwhile(operation: str, _key: str, objects: Any = objects, done: list[str] = interfered) -> None:
            done.append(operation)
            others(name, objects)

        store, _runner = open_store(FaultyObjectStore(objects, Plan(delay(meanwhile, nth=nth))), OPTIONS)
        with suppress(ObjectNotFoundError):  # What was written was collected before it was read back.
            store.compact(full=True, rewrite=rewrite)
        if interfered and name in ("replace", "everything"):
            expected["n-1"] = b"newest"
        if interfered and name in ("delete", "everything"):
            del expected["n-2"]
        assert {uid: payload for uid, (payload, _meta) in held(objects).items()} == expected, f"before request {nth}"
        check_nothing_needed_is_gone(objects)
        check_history(objects)
    assert nth > 5
