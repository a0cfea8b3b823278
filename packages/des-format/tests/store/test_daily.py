"""The daily store: names, days, shards, and when entries become visible."""

from __future__ import annotations

import re
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.errors import (
    ConfigurationError,
    InvalidInputError,
    InvalidNameError,
    UnavailableError,
    WriterClosedError,
)
from des_format.objects import LocalObjectStore
from des_format.routing import RoutingScheme, locate_shard
from des_format.store import DailyShardedDesStore, DesStore

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
DAY = "20251125"


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def archives(folder: Path, day: str = DAY) -> list[Path]:
    return list(DailyShardedDesStore.iter_daily_des_files(folder, day))


def names(folder: Path, day: str = DAY) -> Counter[str]:
    return Counter(entry.entry.name for entry in DesStore.open(folder).list(day))


def test_files_are_found_under_the_names_that_were_made(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path / "new", clock=clock) as daily:
        name, path = daily.add_file(b"payload", {"a": 1}, ".txt")
        assert re.fullmatch(r"UserCustom_20251125_[0-9a-f]{32}\.txt", name)
        assert not path.exists()
    shard = locate_shard(name, NOON, 8, RoutingScheme.SHA256_PREFIX).shard_hex
    assert re.fullmatch(rf"{re.escape(str(tmp_path))}/new/{DAY}/{shard}_[0-9a-z]+\.des", str(path))
    assert path.exists()
    with DesReader(path) as reader:
        assert reader.get_file(name) == b"payload"
    store = DesStore.open(tmp_path / "new")
    assert store.get(name, NOON) == b"payload"
    assert store.get_entry(name, NOON).entry.meta == {"a": 1}
    assert (store.descriptor.n_bits, store.descriptor.scheme) == (8, RoutingScheme.SHA256_PREFIX)


def test_names_differ_and_ascend(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 2, prefix="X9", clock=clock) as daily:
        made = [daily.add_file(b"")[0] for _ in range(50)]
    assert made == sorted(set(made))
    assert all(name.startswith(f"X9_{DAY}_") for name in made)


def test_names_can_come_from_elsewhere(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 2, name_generator=lambda day: f"n-{day}", clock=clock) as daily:
        assert daily.add_file(b"", ext=".x")[0] == f"n-{DAY}.x"
        assert daily.add_file(b"", name="whole.txt")[0] == "whole.txt"
        with pytest.raises(InvalidInputError, match="is whole"):
            daily.add_file(b"", name="whole", ext=".txt")


@pytest.mark.parametrize(("keep_ext", "ending"), [(True, ".jpg"), (False, "")])
def test_a_file_is_added_from_its_path(tmp_path: Path, clock: Clock, keep_ext: bool, ending: str) -> None:
    source = tmp_path / "a.b.jpg"
    source.write_bytes(b"picture")
    with DailyShardedDesStore(tmp_path / "s", 0, clock=clock) as daily:
        name, path = daily.add_file_from_path(source, {"k": 1}, keep_ext)
    assert name[len(f"UserCustom_{DAY}_") + 32 :] == ending
    assert DesReader(path).get_file(name) == b"picture"
    assert source.exists()


def test_the_published_arguments_work(tmp_path: Path) -> None:
    with DailyShardedDesStore(tmp_path, shard_bits=4, day=date(2024, 2, 29), prefix="Doc") as daily:
        name, _path = daily.add_file(b"x", {"m": 1}, ".pdf")
        assert daily.store.descriptor.n_bits == 4
    assert name.startswith("Doc_20240229_")
    assert len(archives(tmp_path, "2024-02-29")) == 1
    with DailyShardedDesStore(tmp_path, 4, "2024-02-29", shard_bits=4):
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        {"prefix": ""},
        {"prefix": "a_b"},
        {"prefix": "é"},
        {"n_bits": 4, "shard_bits": 5},
        {"max_open": 0},
        {"max_archive_bytes": 0},
        {"day": "2025-02-30"},
        {"n_bits": 17},
        {"compression": "best"},
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        DailyShardedDesStore(tmp_path, **arguments)
    assert not (tmp_path / "des-store.json").exists()


def test_a_contradiction_to_the_store_names_both_values(tmp_path: Path) -> None:
    DailyShardedDesStore(tmp_path, 4).close()
    with pytest.raises(ConfigurationError, match=r"n_bits 5 .* says 4"):
        DailyShardedDesStore(tmp_path, 5)
    with DailyShardedDesStore(tmp_path) as daily:
        assert daily.store.descriptor.n_bits == 4


def test_a_store_of_another_routing_is_used_as_it_is(tmp_path: Path, clock: Clock) -> None:
    DesStore.init(tmp_path, n_bits=3).close()
    with DailyShardedDesStore(tmp_path, clock=clock) as daily:
        name, _path = daily.add_file(b"x")
    assert DesStore.open(tmp_path).get(name, NOON) == b"x"


def test_of_those_that_make_the_store_at_the_same_time_one_does(tmp_path: Path, clock: Clock) -> None:
    start = threading.Barrier(4)
    ids = []

    def add() -> None:
        start.wait()
        with DailyShardedDesStore(tmp_path, 2, clock=clock) as daily:
            daily.add_file(b"x")
            ids.append(daily.store.descriptor.store_id)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
    assert len(names(tmp_path)) == 4


# -- when entries become visible --------------------------------------------------------------


def test_a_flush_makes_visible_what_was_added_before(tmp_path: Path, clock: Clock) -> None:
    daily = DailyShardedDesStore(tmp_path, 0, clock=clock)
    daily.add_file(b"1", name="1")
    assert names(tmp_path) == {}
    daily.flush()
    daily.add_file(b"2", name="2")
    assert names(tmp_path) == {"1": 1}
    daily.close()
    assert names(tmp_path) == {"1": 1, "2": 1}
    assert len(archives(tmp_path)) == 2
    daily.close()
    with pytest.raises(WriterClosedError):
        daily.add_file(b"")


def test_a_day_that_is_opened_again_gets_more_archives(tmp_path: Path, clock: Clock) -> None:
    for number in range(3):
        with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
            daily.add_file(b"x", name=str(number))
    assert names(tmp_path) == {"0": 1, "1": 1, "2": 1}
    found = archives(tmp_path)
    assert len(found) == 3
    assert [DesReader(path).list_files() for path in found] == [["0"], ["1"], ["2"]]


def test_the_day_of_an_entry_is_the_one_at_which_it_is_added(tmp_path: Path, clock: Clock) -> None:
    clock.now = datetime(2025, 11, 25, 23, 59, 59, tzinfo=UTC)
    with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
        first, path = daily.add_file(b"before midnight")
        assert not path.exists()
        clock.now += timedelta(seconds=1)
        second, _path = daily.add_file(b"after midnight")
        assert path.exists()
        assert names(tmp_path) == {first: 1}
    assert second.startswith("UserCustom_20251126_")
    assert names(tmp_path, "20251126") == {second: 1}


def test_the_clock_may_be_anywhere(tmp_path: Path) -> None:
    from datetime import timezone

    clock = Clock(datetime(2025, 11, 26, 1, tzinfo=timezone(timedelta(hours=3))))
    with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
        assert daily.add_file(b"")[0].startswith(f"UserCustom_{DAY}_")


def test_a_day_that_is_given_stays(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 0, "2025-11-25", clock=clock) as daily:
        daily.add_file(b"1")
        clock.now += timedelta(days=3)
        daily.add_file(b"2")
    assert sum(names(tmp_path).values()) == 2
    assert len(archives(tmp_path)) == 1


def test_the_archive_that_was_not_used_for_longest_is_sealed_first(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 8, max_open=2, clock=clock) as daily:
        where = {name: daily.store.engine.reads.locate(name, NOON).where.shard for name in "abcd"}
        assert len(set(where.values())) == 4
        for name in ("a", "b"):
            daily.add_file(b"x", name=name)
        daily.add_file(b"x", name="c")
        assert names(tmp_path) == {"a": 1}
        again = next(
            name
            for name in map(str, range(9999))
            if daily.store.engine.reads.locate(name, NOON).where.shard == where["b"]
        )
        daily.add_file(b"x", name=again)
        daily.add_file(b"x", name="d")
        assert names(tmp_path) == {"a": 1, "c": 1}


def test_an_archive_that_is_large_enough_is_sealed(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 0, max_archive_bytes=100, clock=clock) as daily:
        for number in range(6):
            daily.add_file(bytes(60), name=str(number))
        assert len(archives(tmp_path)) == 2
    assert len(archives(tmp_path)) == 3
    assert sum(names(tmp_path).values()) == 6


def test_of_equal_names_the_later_one_wins(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
        for number in range(3):
            daily.add_file(b"%d" % number, name="same")
    assert names(tmp_path) == {"same": 1}
    assert DesStore.open(tmp_path).get("same", NOON) == b"2"


def test_what_is_refused_leaves_the_store_usable(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
        with pytest.raises(InvalidInputError):
            daily.add_file(b"", {"a": object()})
        with pytest.raises(InvalidInputError):
            daily.add_file(b"", name="")
        with pytest.raises(InvalidNameError):
            daily.add_file(b"", name="n" * 70_000)
        with pytest.raises(TypeError):
            daily.add_file("text")  # type: ignore[arg-type]
        daily.add_file(b"", name="good")
    assert names(tmp_path) == {"good": 1}


def test_a_block_that_ends_by_an_exception_keeps_what_was_added(tmp_path: Path, clock: Clock) -> None:
    def work() -> None:
        with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
            daily.add_file(b"", name="a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert names(tmp_path) == {"a": 1}


def test_threads_may_share_it(tmp_path: Path, clock: Clock) -> None:
    with DailyShardedDesStore(tmp_path, 2, max_open=2, clock=clock) as daily:
        threads = [threading.Thread(target=lambda: [daily.add_file(b"x") for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(names(tmp_path)) == 80


def test_many_open_archives_hold_little_in_memory(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from des_format.store import daily as module

    monkeypatch.setattr(module, "_SPILL_BYTES", 10_000)
    with DailyShardedDesStore(tmp_path, 1, clock=clock) as daily:
        for number in range(40):
            daily.add_file(bytes(range(250)) * 4, name=str(number))
        spilled = [path for path in (tmp_path / DAY).glob(".*.tmp") if path.stat().st_size > 8]
        assert len(spilled) == 2
    assert len(names(tmp_path)) == 40


# -- failures ---------------------------------------------------------------------------------


class Storage:
    """Makes commits fail while it is down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_down = False
        original = LocalObjectStore.put

        def put(objects: LocalObjectStore, path: str, file: Any, *, mode: Any = None) -> Any:
            if self.is_down and path.endswith(".manifest"):
                raise PermissionError(path)
            return original(objects, path, file, mode=mode)

        monkeypatch.setattr(LocalObjectStore, "put", put)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(monkeypatch)


def test_what_could_not_be_committed_is_tried_again(tmp_path: Path, clock: Clock, storage: Storage) -> None:
    daily = DailyShardedDesStore(tmp_path, 0, clock=clock)
    daily.add_file(b"old", name="same")
    storage.is_down = True
    with pytest.raises(OSError, match="manifest"):
        daily.flush()
    daily.add_file(b"new", name="same")
    with pytest.raises(OSError, match="manifest"):
        daily.close()
    storage.is_down = False
    daily.close()
    assert names(tmp_path) == {"same": 1}
    assert DesStore.open(tmp_path).get("same", NOON) == b"new"
    assert len(archives(tmp_path)) == 2


def test_an_entry_is_not_added_when_what_must_be_sealed_first_fails(
    tmp_path: Path, clock: Clock, storage: Storage
) -> None:
    daily = DailyShardedDesStore(tmp_path, 0, clock=clock)
    daily.add_file(b"", name="yesterday")
    clock.now += timedelta(days=1)
    storage.is_down = True
    with pytest.raises(OSError, match="manifest"):
        daily.add_file(b"", name="refused")
    daily.add_file(b"", name="today")
    storage.is_down = False
    daily.close()
    assert names(tmp_path) == {"yesterday": 1}
    assert names(tmp_path, "20251126") == {"today": 1}


def test_an_archive_that_is_lost_is_reported_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily = DailyShardedDesStore(tmp_path, 0, clock=clock, compression="none")
    daily.add_file(b"", name="lost")
    with monkeypatch.context() as patch:

        def fail(_data: bytes, /) -> int:
            raise UnavailableError("disk full")

        (writer,) = daily._open.values()
        patch.setattr(writer._target, "write", fail)
        with pytest.raises(UnavailableError, match="disk full"):
            daily.add_file(bytes(2 * 2**20), name="big")
    with pytest.raises(WriterClosedError, match="failed"):
        daily.add_file(b"", name="told")
    daily.add_file(b"", name="good")
    daily.close()
    assert names(tmp_path) == {"good": 1}


# -- reading ----------------------------------------------------------------------------------


def test_archives_of_a_day_come_shard_by_shard(tmp_path: Path, clock: Clock) -> None:
    for _ in range(2):
        with DailyShardedDesStore(tmp_path, 4, clock=clock) as daily:
            for number in range(60):
                daily.add_file(b"x", name=str(number))
    found = archives(tmp_path)
    assert len(found) == 32
    assert [path.name[0] for path in found] == sorted(path.name[0] for path in found)
    assert archives(tmp_path, "20251124") == []


def test_archives_of_the_published_layout_are_found_without_a_store_and_with_one(tmp_path: Path, clock: Clock) -> None:
    for name in ("0a.des", "02.des", "ff.des"):
        with DesWriter(tmp_path / "2025-11-25" / name) as writer:
            writer.add_file("x", b"")
    (tmp_path / "2025-11-25" / "notes.txt").touch()
    assert [path.name for path in archives(tmp_path)] == ["02.des", "0a.des", "ff.des"]
    with DailyShardedDesStore(tmp_path, 0, clock=clock) as daily:
        _name, path = daily.add_file(b"x")
    assert [path.name for path in archives(tmp_path)[:3]] == ["02.des", "0a.des", "ff.des"]
    assert archives(tmp_path)[3:] == [path]


def test_a_folder_that_is_not_there_has_no_archives(tmp_path: Path) -> None:
    assert archives(tmp_path / "none") == []
