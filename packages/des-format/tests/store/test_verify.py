"""Whatever happens to a store's objects, `verify` names the object; and it blames nobody without cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from des_format.errors import AccessDeniedError, InvalidInputError, UnavailableError
from des_format.objects import MemoryObjectStore
from des_format.store import DesStore, StoreVerifyReport
from des_format.store.model.commits import Commit, Operation
from des_format.store.model.consistency import history_problems
from des_format.store.model.keys import DESCRIPTOR_KEY, ObjectKind
from des_format.store.model.manifest import Manifest
from des_format.store.model.state import fold
from des_format.store.upkeep.verification import verify_store
from des_format.testing import FaultyObjectStore, fail_before

from .damage import DAY, Clock, Shop, cut, drop, flip, keys_of, read, write

Damage = Callable[[Any, str], None]

NONE_AT_ALL = timedelta(0)


@pytest.fixture
def any_shop(objects: Any) -> Shop:
    shop = Shop(objects)
    shop.fill()
    return shop


@pytest.fixture
def shop() -> Shop:
    shop = Shop(MemoryObjectStore())
    shop.fill()
    return shop


def blames(report: StoreVerifyReport, key: str) -> bool:
    return any(key in str(problem) for problem in report.problems)


def only(objects: Any, kind: ObjectKind) -> str:
    return keys_of(objects, kind)[0]


def test_a_sound_store_has_no_problem_and_every_byte_of_it_is_read(any_shop: Shop) -> None:
    progress: list[tuple[int, int]] = []
    report = any_shop.store.verify(progress=lambda done, total: progress.append((done, total)))
    assert report.problems == ()
    assert report.ok
    assert report.complete
    assert report.resume_after is None
    archives = keys_of(any_shop.objects, ObjectKind.ARCHIVE)
    read_kinds = archives + keys_of(any_shop.objects, ObjectKind.BIG_FILE)
    assert report.bytes_checked == sum(len(read(any_shop.objects, key)) for key in read_kinds)
    assert (report.shards_checked, report.archives_checked, report.entries_checked) == (3, len(archives), 39)
    assert report.unreferenced_count == 0
    assert progress[-1][0] == progress[-1][1] == report.bytes_checked
    assert str(report).startswith("no problem found; 3 shards, 39 archives, 39 entries and ")


@pytest.mark.parametrize("damage", [flip, cut, drop])
@pytest.mark.parametrize("kind", [None, *(kind for kind in ObjectKind if kind is not ObjectKind.DAMAGED)])
def test_damage_to_any_kind_of_object_is_found_and_named(
    any_shop: Shop, kind: ObjectKind | None, damage: Damage
) -> None:
    key = DESCRIPTOR_KEY if kind is None else only(any_shop.objects, kind)
    damage(any_shop.objects, key)
    report = any_shop.store.verify()
    assert not report.ok
    assert blames(report, key if kind is not ObjectKind.BIG_FILE else key.partition("/")[2])
    assert str(report).startswith(f"{len(report.problems)} problems; ")


@pytest.mark.parametrize("at", [0.0, 0.02, 0.1, 0.25, 0.75, 0.9, 1.0])
def test_a_changed_byte_is_found_wherever_in_an_archive_it_is(shop: Shop, at: float) -> None:
    key = only(shop.objects, ObjectKind.ARCHIVE)
    flip(shop.objects, key, at)
    assert blames(shop.store.verify(), key)


@pytest.mark.parametrize("damage", [cut, drop])
def test_archives_that_only_the_history_needs_must_be_there(shop: Shop, damage: Damage) -> None:
    before = keys_of(shop.objects, ObjectKind.ARCHIVE)
    shop.store.compact(full=True)
    assert shop.store.verify().ok
    damage(shop.objects, before[5])
    report = shop.store.verify()
    assert [problem.where for problem in report.problems] == [before[5]]


def test_two_archives_that_changed_places_are_both_named(shop: Shop) -> None:
    one, other = keys_of(shop.objects, ObjectKind.ARCHIVE)[:2]
    data = [read(shop.objects, key) for key in (one, other)]
    write(shop.objects, one, data[1])
    write(shop.objects, other, data[0])
    report = shop.store.verify()
    assert {problem.where for problem in report.problems} == {one, other}


@pytest.mark.parametrize("kind", [ObjectKind.MANIFEST, ObjectKind.SEGMENT, ObjectKind.TOMBSTONES])
def test_an_object_in_the_place_of_another_shards_is_named(shop: Shop, kind: ObjectKind) -> None:
    for number in range(36):
        shop.put(f"{2 * number + 1}")
    shop.delete("33")
    keys = keys_of(shop.objects, kind, "20251125")
    one, other = keys[0], keys[-1]
    write(shop.objects, other, read(shop.objects, one))
    assert blames(shop.store.verify(), other)


def test_an_old_manifest_that_was_put_back_names_what_was_collected_since(shop: Shop) -> None:
    key = only(shop.objects, ObjectKind.MANIFEST)
    old = read(shop.objects, key)
    shop.store.compact(full=True)
    shop.clock.advance(days=2)
    shop.store.expire(NONE_AT_ALL)
    assert shop.store.gc(min_age=NONE_AT_ALL, dry_run=False).deleted_count > 36
    assert shop.store.verify().ok
    write(shop.objects, key, old)
    report = shop.store.verify()
    assert not report.ok
    assert blames(report, key.removesuffix(".manifest"))


def test_a_deletion_whose_record_says_less_than_the_manifest_is_a_problem(shop: Shop) -> None:
    shop.put("10")
    shop.put("12")
    shop.store.delete_many([("10", shop.noon), ("12", shop.noon)], reason="r", by="b")
    records = keys_of(shop.objects, ObjectKind.TOMBSTONES)
    shop.store.delete("14", shop.noon, reason="r", by="b")
    (newest,) = set(keys_of(shop.objects, ObjectKind.TOMBSTONES)) - set(records)
    both = max(key for key in records if "/0_" in key)
    write(shop.objects, both, read(shop.objects, newest))
    report = shop.store.verify()
    assert any("it lacks the deletion of 2 uids, such as '10'" in str(one) for one in report.problems)


def test_what_a_compaction_and_gc_take_away_meanwhile_is_no_problem(shop: Shop) -> None:
    other = shop.open()
    calls = 0

    def interfere(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            other.compact(full=True)
            other.expire(NONE_AT_ALL)
            shop.clock.advance(days=2)
            assert other.gc(min_age=NONE_AT_ALL, dry_run=False).deleted_count > 36

    report = shop.store.verify(progress=interfere)
    assert calls > 2
    assert report.problems == ()
    shop.check()
    assert shop.store.verify().ok


def test_a_manifest_that_is_missing_is_a_problem_unless_its_first_commit_may_be_under_way(shop: Shop) -> None:
    key = keys_of(shop.objects, ObjectKind.MANIFEST)[-1]
    drop(shop.objects, key)
    assert [problem.where for problem in shop.store.verify().problems] == [key]
    assert shop.open(clock=Clock()).verify().ok


def test_garbage_is_counted_and_no_problem(shop: Shop) -> None:
    archive = only(shop.objects, ObjectKind.ARCHIVE)
    big_file = only(shop.objects, ObjectKind.BIG_FILE)
    write(shop.objects, archive.replace(".des", "0.des"), b"unfinished")
    write(shop.objects, f"20251125/_bigFiles/{'0' * 64}", b"")
    write(shop.objects, big_file.replace("20251125", "20251126"), b"of the wrong day")
    write(shop.objects, "notes.txt", b"someone else's")
    write(shop.objects, archive.replace(".des", ".damaged"), b"kept")
    report = shop.store.verify()
    assert report.ok
    assert report.unreferenced_count == 3


# -- rolling -------------------------------------------------------------------------------


def test_runs_with_a_budget_read_every_archive_once_in_the_order_of_keys(shop: Shop) -> None:
    ends: list[str | None] = []
    count = bytes_checked = 0
    after = None
    while not ends or after is not None:
        report = shop.store.verify(budget_seconds=0, after=after)
        assert report.ok
        assert report.archives_checked <= 1
        count, bytes_checked = count + report.archives_checked, bytes_checked + report.bytes_checked
        after = report.resume_after
        ends.append(after)
    assert [*ends[:-1]] == keys_of(shop.objects, ObjectKind.ARCHIVE)[:-1]
    whole = shop.store.verify()
    assert (count, bytes_checked) == (whole.archives_checked, whole.bytes_checked)


def test_a_budget_is_spent_by_the_clock(shop: Shop) -> None:
    ticks = iter(range(1000))
    report = verify_store(shop.store.engine, shop.store.runner, budget_seconds=10, monotonic=lambda: float(next(ticks)))
    assert 5 <= report.archives_checked <= 11
    assert report.resume_after == keys_of(shop.objects, ObjectKind.ARCHIVE)[report.archives_checked - 1]
    rest = shop.store.verify(after=report.resume_after)
    assert rest.resume_after is None
    assert rest.archives_checked == 39 - report.archives_checked


def test_damage_after_the_cursor_is_found_and_before_it_is_not_looked_for(shop: Shop) -> None:
    archives = keys_of(shop.objects, ObjectKind.ARCHIVE)
    flip(shop.objects, archives[3])
    flip(shop.objects, archives[30])
    report = shop.store.verify(after=archives[10])
    assert {problem.where for problem in report.problems} == {archives[30]}
    assert shop.store.verify(after=archives[30]).ok


def test_a_sample_reads_less_and_still_finds_what_is_no_payload(shop: Shop) -> None:
    shop.store.compact(full=True)
    whole, sampled = shop.store.verify(), shop.store.verify(sample=0.1)
    assert sampled.ok
    assert not sampled.complete
    assert "(a sample)" in str(sampled)
    assert sampled.archives_checked == whole.archives_checked
    assert sampled.entries_checked < whole.entries_checked
    drop(shop.objects, only(shop.objects, ObjectKind.BIG_FILE))
    assert blames(shop.store.verify(sample=0.01), "_bigFiles/")


@pytest.mark.parametrize(
    "arguments", [{"sample": 0}, {"sample": 1.5}, {"after": "x"}, {"after": "20251125/0.manifest"}]
)
def test_arguments_out_of_range_are_refused(shop: Shop, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        shop.store.verify(**arguments)


def test_an_empty_store_is_sound() -> None:
    report = DesStore.init(MemoryObjectStore()).verify(budget_seconds=0)
    assert report.ok
    assert report.archives_checked == 0
    assert report.resume_after is None


# -- a storage that fails ------------------------------------------------------------------


@pytest.mark.parametrize("error", [UnavailableError, AccessDeniedError])
@pytest.mark.parametrize(
    "keys", ["des-store.json", "*.manifest", "*.commits", "*.des", "*.tombstones", "*/_bigFiles/*"]
)
def test_a_storage_that_fails_is_an_error_and_no_problem_of_the_store(keys: str, error: type[Exception]) -> None:
    shop = Shop(MemoryObjectStore())
    shop.fill()
    objects = FaultyObjectStore(shop.objects)
    store = shop.open(objects=objects)
    objects.plan.add(fail_before(None, ("get", "head"), keys, error))
    with pytest.raises(error):
        store.verify()
    objects.plan.clear()
    assert store.verify().ok


# -- histories that contradict themselves ---------------------------------------------------


def history(shop: Shop) -> list[Commit]:
    return shop.store.history("20251125", "1")


def test_a_history_is_compared_with_itself() -> None:
    shop = Shop(MemoryObjectStore())
    for uid in ("1", "3", "5"):
        shop.put(uid)
    shop.delete("3")
    shop.store.compact(full=True)
    commits = history(shop)
    assert [commit.operation for commit in commits][-1] is Operation.COMPACT
    assert not list(history_problems(commits, 0))
    first, second, third, deletion, compaction = commits
    (tombstone,) = deletion.tombstones
    broken = {
        "follows number 1": [first, third],
        "history begins with commit 2": [second, third],
        "the one before it of": [first, replace(second, at=first.at - DAY)],
        "removes archive": [first, replace(compaction, sequence=2)],
        "which is there already": [first, replace(first, sequence=2)],
        "with the numbers of another commit": [first, replace(third, sequence=2)],
        f"deletes '3' with number {deletion.sequence + 1}": [
            *commits[:3],
            replace(deletion, tombstones=(replace(tombstone, sequence=deletion.sequence + 1),)),
        ],
        "which is visible": [first, replace(second, condemned=((first.added[0].id, first.at),))],
        "given up as garbage": [replace(first, condemned=((second.added[0].id, first.at),)), second],
        "names 1 big files": [replace(first, added=(replace(first.added[0], big_files=("0" * 64,)),))],
        "its rows are not": [first, replace(fold([first, second]).base(), sequence=1)],
        "base 2 follows number 1": [first, fold([first, second]).base()],
    }
    for text, found in broken.items():
        assert any(text in problem for problem in history_problems(found, 0)), text
    assert not list(history_problems([fold(commits[:2]).base(), *commits[2:]], 2))


def test_a_manifest_that_skips_commits_is_a_problem() -> None:
    shop = Shop(MemoryObjectStore())
    shop.put("1")
    shop.put("3")
    (key,) = keys_of(shop.objects, ObjectKind.MANIFEST)
    where = shop.store.engine.shard_key("20251125", "1")
    manifest = Manifest.decode(read(shop.objects, key), where, shop.store.descriptor.store_id)
    wrong = Manifest(manifest.store_id, where, 7, 9, manifest.created_at, tail=manifest.tail)
    write(shop.objects, key, wrong.encode())
    problems = [str(problem) for problem in shop.store.verify().problems]
    assert any("its horizon 9 lies after" in problem for problem in problems)
    assert any("its last commit is 2, it says 7" in problem for problem in problems)
