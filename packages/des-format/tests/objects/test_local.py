"""What holds for a folder only: safe paths, versions of files, order of what is made durable."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.errors import (
    AccessDeniedError,
    ConfigurationError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreNotFoundError,
    UnavailableError,
    UnsafePathError,
    UnsupportedOperationError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.objects import files as files_module
from des_format.objects import folders as folders_module
from des_format.objects import local as local_module
from des_format.objects import locking as locking_module
from des_format.objects.results import resolve_range
from des_format.ports.objects import Creates, Mappable

fcntl = pytest.importorskip("fcntl", reason="needs flock, links and pipes of POSIX")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> LocalObjectStore:
    return LocalObjectStore(root, create=True)


def keys(store: LocalObjectStore, prefix: str | None = None) -> list[str]:
    return [meta["path"] for chunk in store.list(prefix) for meta in chunk]


def hidden(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob(".*"))


def test_a_missing_folder_is_no_store(root: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        LocalObjectStore(root)
    root.write_bytes(b"")
    with pytest.raises(StoreNotFoundError):
        LocalObjectStore(root)


def test_a_folder_that_vanished_is_not_made_anew(store: LocalObjectStore, root: Path) -> None:
    root.rmdir()
    with pytest.raises(UnavailableError):
        store.put("a", b"")
    assert not root.exists()
    assert keys(store) == []
    with pytest.raises(ObjectNotFoundError):
        store.get("a")


def test_a_folder_that_was_removed_is_made_again(store: LocalObjectStore, root: Path) -> None:
    for _ in range(2):
        store.put("day/a", b"")
        (root / "day" / "a").unlink()
        for path in (root / "day").iterdir():
            path.unlink()
        (root / "day").rmdir()


@pytest.mark.parametrize("kind", ["outside", "inside"])
def test_a_linked_folder_is_never_followed(store: LocalObjectStore, root: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"secret")
    store.put("inside/a", b"content")
    (root / "link").symlink_to(tmp_path / "outside" if kind == "outside" else root / "inside")
    calls: list[Callable[[], object]] = [
        lambda: store.get("link/a"),
        lambda: store.head("link/a"),
        lambda: store.put("link/a", b"x"),
        lambda: store.put("link/b", b"x", mode="create"),
        lambda: store.delete("link/a"),
        lambda: store.map("link/a"),
        lambda: store.target("link/b"),
        lambda: keys(store, "link"),
        lambda: keys(store, "link/deeper"),
    ]
    for call in calls:
        with pytest.raises(UnsafePathError):
            call()
    assert keys(store) == ["inside/a"]
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["a"]
    assert (tmp_path / "outside" / "a").read_bytes() == b"secret"


def test_a_linked_file_is_no_object(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "outside")
    for read in (store.get, store.head, store.map):
        with pytest.raises(ObjectNotFoundError):
            read("link")
    for write in (lambda: store.put("link", b"x"), lambda: store.target("link")):
        with pytest.raises(UnsupportedOperationError):
            write()
    assert keys(store) == []
    assert (tmp_path / "outside").read_bytes() == b"secret"


def test_the_root_itself_may_be_a_link(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    linked = LocalObjectStore(tmp_path / "link")
    linked.put("day/a", b"content")
    assert keys(linked) == keys(store) == ["day/a"]


def test_what_is_no_file_is_no_object(store: LocalObjectStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for key in ("pipe", "folder", "folder/a/b"):
        with pytest.raises(ObjectNotFoundError):
            store.get(key)
    for key in ("pipe", "folder"):
        with pytest.raises(UnsupportedOperationError):
            store.put(key, b"")
        store.delete(key)
    assert keys(store) == []
    assert sorted(path.name for path in root.iterdir()) == ["folder", "pipe"]


def test_an_object_is_no_folder(store: LocalObjectStore) -> None:
    store.put("a", b"content")
    with pytest.raises(UnsupportedOperationError):
        store.put("a/b", b"")
    with pytest.raises(ObjectNotFoundError):
        store.get("a/b")
    assert keys(store, "a") == []


def test_names_that_no_key_has_are_not_listed(store: LocalObjectStore, root: Path) -> None:
    (root / ".hidden").mkdir()
    (root / ".hidden" / "a").write_bytes(b"")
    (root / "back\\slash").write_bytes(b"")
    (root / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"")
    (root / "C:drive").write_bytes(b"")
    store.put("day/a", b"")
    store.put("day/a", b"")
    assert ".a.lock" in hidden(root)
    assert keys(store) == ["day/a"]


@pytest.mark.parametrize("key", ["x" * 241, "é" * 121, "a/\udcff"])
def test_a_segment_that_no_file_can_have_is_refused(store: LocalObjectStore, key: str) -> None:
    for call in (lambda: store.put(key, b""), lambda: store.get(key), lambda: keys(store, key)):
        with pytest.raises(InvalidInputError):
            call()
    store.put("x" * 240, b"one")
    store.put("x" * 240, b"two")
    store.delete("x" * 240)


def test_files_that_vanish_while_listing_are_skipped(
    store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "b/1", "b/2", "c/1"):
        store.put(name, b"", mode="create")
    original = folders_module._children

    def children(folder: Path, prefix: str) -> Any:
        found = original(folder, prefix)
        if prefix == "":
            (root / "a" / "1").unlink()
            (root / "a").rmdir()
        if prefix == "b/":
            (root / "b" / "1").unlink()
        return found

    monkeypatch.setattr(folders_module, "_children", children)
    assert keys(store) == ["b/2", "c/1"]


def test_a_listing_is_cut_into_chunks(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_module, "_CHUNK_COUNT", 2)
    for name in "abcde":
        store.put(name, b"")
    assert [[meta["path"] for meta in chunk] for chunk in store.list()] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_tag_never_comes_back(store: LocalObjectStore) -> None:
    tags = [store.put("a", b"x" if number % 2 else b"y")["e_tag"] for number in range(300)]
    assert len(set(tags)) == len(tags)
    for tag in tags[:-1]:
        with pytest.raises(ObjectChangedError):
            store.put("a", b"z", mode={"e_tag": tag})


def test_a_tag_never_comes_back_though_the_clock_stands_still(
    store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    tags = [store.put("a", b"x")["e_tag"] for _ in range(100)]
    assert len(set(tags)) == len(tags)
    assert abs(store.head("a")["last_modified"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_version_is_later_than_the_one_it_replaces_though_the_clock_was_set_back(
    store: LocalObjectStore, root: Path
) -> None:
    store.put("a", b"x")
    future = time.time_ns() + 3600 * 10**9 + 1
    os.utime(root / "a", ns=(future, future))
    replaced = store.head("a")
    put = store.put("a", b"x", mode={"e_tag": replaced["e_tag"]})
    assert store.head("a")["e_tag"] == put["e_tag"] != replaced["e_tag"]
    assert future < (root / "a").stat().st_mtime_ns < future + 10_000


def test_a_file_system_with_coarse_times_is_refused(
    store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"old")
    original = os.utime

    def utime(path: Path, *, ns: tuple[int, int]) -> None:
        second = 10**9
        original(path, ns=(ns[0] // second * second, ns[1] // second * second))

    monkeypatch.setattr(os, "utime", utime)
    monkeypatch.setattr(time, "time_ns", lambda: 1_764_000_000_123_456_789)
    for key, mode in (("a", None), ("b", "create")):
        with pytest.raises(ConfigurationError, match="file system"):
            store.put(key, b"new", mode=mode)  # type: ignore[arg-type]
    assert keys(store) == ["a"]
    assert [name for name in hidden(root) if name.endswith(".tmp")] == []


def test_a_file_system_without_hard_links_is_refused(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(ConfigurationError, match="hard links"):
        store.put("a", b"", mode="create")
    assert keys(store) == []


def test_losers_do_not_read_their_content(store: LocalObjectStore) -> None:
    def content() -> Iterator[bytes]:
        raise AssertionError("nothing is to be written")
        yield b""

    old = store.put("a", b"old")["e_tag"]
    store.put("a", b"new")
    with pytest.raises(ObjectChangedError):
        store.put("a", content(), mode={"e_tag": old})
    with pytest.raises(ObjectExistsError):
        store.put("a", content(), mode="create")


def test_an_update_is_proved_under_the_lock(store: LocalObjectStore, root: Path) -> None:
    version = store.put("a", b"first")["e_tag"]
    entered, resume = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        entered.set()
        assert resume.wait(30)
        yield b"slow"

    outcomes: list[object] = []

    def update(content: Any) -> None:
        try:
            outcomes.append(store.put("a", content, mode={"e_tag": version}))
        except ObjectChangedError as error:
            outcomes.append(error)

    first = threading.Thread(target=update, args=[slow()])
    first.start()
    assert entered.wait(30)
    others = [threading.Thread(target=update, args=[b"quick"]), threading.Thread(target=store.delete, args=["a"])]
    others[0].start()
    resume.set()
    first.join()
    others[0].join()
    assert bytes(store.get("a").buffer()) == b"slow"
    assert len([outcome for outcome in outcomes if isinstance(outcome, ObjectChangedError)]) == 1
    others[1].start()
    others[1].join()
    assert [path for path in root.iterdir() if path.name == "a"] == []


def test_an_overwrite_does_not_wait_for_content_under_the_lock(store: LocalObjectStore) -> None:
    def content() -> Iterator[bytes]:
        store.put("a", b"in between")
        yield b"last"

    store.put("a", content())
    assert bytes(store.get("a").buffer()) == b"last"


def test_deleting_leaves_nothing(store: LocalObjectStore, root: Path) -> None:
    store.put("day/a", b"one")
    store.put("day/a", b"two")
    store.delete("day/a")
    assert list((root / "day").iterdir()) == []


def test_a_lock_that_was_removed_while_waiting_is_taken_again(
    store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.put("a", b"first")["e_tag"]
    original = fcntl.flock
    rounds = ["gone", "replaced"]

    def flock(handle: int, operation: int) -> None:
        original(handle, operation)
        if rounds:
            (root / ".a.lock").unlink()
            if rounds.pop() == "replaced":
                (root / ".a.lock").touch()

    monkeypatch.setattr(fcntl, "flock", flock)
    store.put("a", b"second", mode={"e_tag": version})
    assert rounds == []
    assert bytes(store.get("a").buffer()) == b"second"


def test_without_locks_objects_are_created_but_not_replaced(
    store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking_module, "fcntl", None)
    store.put("a", b"first", mode="create")
    with pytest.raises(UnsupportedOperationError):
        store.put("a", b"second")
    assert bytes(store.get("a").buffer()) == b"first"


def test_what_is_read_is_what_was_opened(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.put("a", b"first")["e_tag"]
    original = os.fstat
    pending = [b"a longer second"]

    def fstat(handle: int) -> os.stat_result:
        if pending:
            store.put("a", pending.pop())
        return original(handle)

    monkeypatch.setattr(os, "fstat", fstat)
    result = store.get("a")
    assert (result.meta["e_tag"], result.meta["size"], result.data) == (first, 5, b"first")


def test_a_file_cut_under_a_reader_is_no_short_answer(
    store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"content")
    original = resolve_range

    def resolve(*args: Any) -> tuple[int, int]:
        os.truncate(root / "a", 3)
        return original(*args)

    monkeypatch.setattr(local_module, "resolve_range", resolve)
    with pytest.raises(UnavailableError):
        store.get("a")


def test_errors_of_the_system_become_errors_of_ours(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"content")

    def refuse(*args: object) -> int:
        raise PermissionError("not for you")

    def fail(*args: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnavailableError, match="no space left"):
        store.put("a", b"new")
    monkeypatch.setattr(files_module, "_pread", refuse)
    with pytest.raises(AccessDeniedError):
        store.get("a")
    assert (store.root / "a").read_bytes() == b"content"
    assert [name for name in hidden(store.root) if name.endswith(".tmp")] == []


def test_errors_of_the_content_stay_as_they_are(store: LocalObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        store.put("a", tmp_path / "missing")
    assert not isinstance(caught.value, ObjectNotFoundError)
    with pytest.raises(TypeError):
        store.put("a", "text")  # type: ignore[arg-type]
    assert keys(store) == []
    assert hidden(store.root) == []


def test_unknown_options_are_refused(store: LocalObjectStore) -> None:
    store.put("a", b"content")
    with pytest.raises(UnsupportedOperationError, match="head, version"):
        store.get("a", options={"version": "1", "head": True})
    for mode in ("append", {}, {"version": "1"}):
        with pytest.raises(InvalidInputError):
            store.put("a", b"", mode=mode)  # type: ignore[arg-type]
    ranges: list[Any] = [(-1, 3), (3, 1), {"offset": -1}, {"suffix": -1}, {"first": 3}]
    for chosen in ranges:
        with pytest.raises(InvalidInputError):
            store.get("a", options={"range": chosen})


def record_calls(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    calls: list[str] = []

    def name_of(place: int | str | Path) -> str:
        path = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(place)
        name = path.relative_to(root).as_posix()
        return "TEMPORARY" if name.endswith(".tmp") else name

    def recorded(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            places = args[: 2 if name in ("link", "replace") else 1]
            calls.append(" ".join([name, *map(name_of, places)]))
            return original(*args, **kwargs)

        return call

    for name in ("write", "fsync", "utime", "link", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, recorded(name))
    return calls


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell files apart")
def test_what_is_durable_comes_in_order(store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record_calls(monkeypatch, root)
    store.put("x/y/a", b"content", mode="create")
    end = ["write TEMPORARY", "utime TEMPORARY", "fsync TEMPORARY"]
    assert calls == [
        *["mkdir x", "fsync .", "mkdir x/y", "fsync x"],
        *end,
        *["link TEMPORARY x/y/a", "unlink TEMPORARY", "fsync x/y"],
        *["unlink TEMPORARY"],
    ]
    calls.clear()
    store.put("x/y/a", b"content", mode={"e_tag": store.head("x/y/a")["e_tag"]})
    assert calls == [*end, "replace TEMPORARY x/y/a", "fsync x/y", "unlink TEMPORARY"]
    calls.clear()
    store.delete(["x/y/a", "x/y/missing"])
    assert calls == ["unlink x/y/a", "unlink x/y/.a.lock", "fsync x/y"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell files apart")
def test_a_folder_that_someone_else_made_is_made_durable(
    store: LocalObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "day").mkdir()
    calls = record_calls(monkeypatch, root)
    store.put("day/a", b"")
    assert calls[0] == "fsync ."
    calls.clear()
    store.put("day/b", b"")
    assert "fsync ." not in calls


def test_an_archive_is_written_and_read_in_place(store: LocalObjectStore) -> None:
    assert isinstance(store, Mappable)
    assert isinstance(store, Creates)
    assert not isinstance(MemoryObjectStore(), Mappable | Creates)
    with DesWriter(store.target("20251125/4D_a.des")) as writer:
        writer.add_file("entry", b"payload")
        assert keys(store) == []
    assert keys(store) == ["20251125/4D_a.des"]
    with DesReader(store.map("20251125/4D_a.des")) as reader:
        assert reader.get_file("entry") == b"payload"


def test_a_target_never_replaces(store: LocalObjectStore, root: Path) -> None:
    first, second, third = (store.target("a") for _ in range(3))
    for target in (first, second):
        target.write(b"content")
    first.commit()
    with pytest.raises(ObjectExistsError):
        second.commit()
    for target in (second, third):
        target.rollback()
    with pytest.raises(ObjectExistsError):
        store.target("a")
    assert hidden(root) == []


def test_an_object_in_use_can_be_replaced_and_deleted(store: LocalObjectStore) -> None:
    store.put("a", b"first")
    mapped = store.map("a")
    store.put("a", b"other")
    store.delete("a")
    assert bytes(mapped.data) == b"first"
    mapped.close()


async def test_the_asynchronous_listing_is_cut_into_chunks(
    store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "_CHUNK_COUNT", 2)
    for name in "abc":
        store.put(name, b"")
    assert [[meta["path"] for meta in chunk] async for chunk in store.list_async()] == [["a", "b"], ["c"]]


def test_memory_is_bounded_while_a_large_object_is_written(store: LocalObjectStore) -> None:
    import tracemalloc

    piece = bytes(1 << 20)
    tracemalloc.start()
    try:
        store.put("a", itertools.repeat(piece, 64))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.head("a")["size"] == 64 << 20
    assert peak < 8 << 20
