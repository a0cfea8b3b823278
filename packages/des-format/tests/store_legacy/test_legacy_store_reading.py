"""Reading: which requests it takes, archives of every format, and archives that are broken or replaced."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format.entry import Codec
from des_format.errors import (
    BigFileMissingError,
    ChecksumMismatchError,
    CorruptArchiveError,
    EntryNotFoundError,
    ObjectChangedError,
    UnavailableError,
    UnsupportedFormatError,
    UnsupportedOperationError,
)
from des_format.store import AsyncEntryFile
from des_format.store.legacy import AsyncLegacyStore, LegacyStore
from des_format.store.legacy.view import AsyncView, View

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
ARCHIVE = "20251125_07_0000.des"
BIG = bytes(range(256)) * 400  # Longer than what a tail read brings along.


def test_a_cold_read_lists_once_and_a_warm_one_asks_for_the_payload_alone(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": BIG, "263": b"x"})})
    store = open_store(objects)
    assert store.get("7", NOON) == BIG
    # The flat names and the day folder; tail, header and index; payload.
    assert (objects.count("list"), objects.count("get"), objects.count("head")) == (2, 3, 0)
    objects.forget()
    assert store.get("7", NOON) == BIG
    assert objects.calls == [("get", ARCHIVE)]
    objects.forget()
    assert store.read_range("7", NOON, 1, 3) == BIG[1:3]
    assert objects.calls == [("get", ARCHIVE)]
    objects.forget()
    assert store.exists("7", NOON)
    assert not store.exists("519", NOON)
    assert objects.calls == []


def test_a_small_archive_is_read_by_its_tail_alone(open_store: Any, recording: Any, build_des_core: Any) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": b"x"})})
    store = open_store(objects)
    assert store.get("7", NOON) == b"x"
    assert objects.asked() == [ARCHIVE]
    objects.forget()
    assert store.get("7", NOON) == b"x"
    assert objects.calls == []


def test_an_entry_is_read_together_with_its_description(open_store: Any, recording: Any, build_des_core: Any) -> None:
    store = open_store(recording({ARCHIVE: build_des_core({"7": b"payload"})}))
    assert store.read_entry("7", NOON) == (store.get_entry("7", NOON), b"payload", Codec.NONE)
    assert store.read_entry("7", NOON, limit_bytes=6) == (store.get_entry("7", NOON), b"", Codec.NONE)
    with pytest.raises(EntryNotFoundError):
        store.read_entry("263", NOON)


def test_many_entries_are_read_together_with_their_descriptions(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    payloads = {str(7 + 256 * number): bytes([number]) * number for number in range(1, 60)}
    objects = recording({ARCHIVE: build_des_core(payloads | {"big": BIG})})
    store = open_store(objects)
    wanted = [(name, NOON) for name in payloads]
    found = store.read_entries([*wanted, ("263000", NOON)], limit_bytes=40)
    assert list(found) == wanted
    for (name, _time), read in found.items():
        expected = payloads[name] if len(payloads[name]) <= 40 else b""
        assert read == (store.get_entry(name, NOON), expected, Codec.NONE)
    objects.forget()
    assert store.read_entries(wanted, limit_bytes=40) == found
    assert objects.count("get") <= 2


def test_a_listing_is_believed_for_its_time_and_archives_are_not_opened_again(
    open_store: Any, recording: Any, build_des_core: Any, clock: Any
) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": b"x"})})
    store = open_store(objects, listing_ttl_seconds=30.0)
    store.get("7", NOON)
    objects.forget()
    clock.now += 29.9
    store.get("7", NOON)
    assert objects.calls == []
    clock.now += 0.1
    store.get("7", NOON)
    assert (objects.count("list"), objects.count("get")) == (2, 0)


def test_that_a_shard_has_nothing_is_remembered_too(open_store: Any, recording: Any) -> None:
    objects = recording()
    store = open_store(objects)
    for _attempt in range(2):
        with pytest.raises(EntryNotFoundError):
            store.get("7", NOON)
    assert (objects.count("list"), objects.count("get")) == (2, 0)


def test_many_entries_of_many_shards_take_the_rounds_of_one(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording(
        {f"20251125_{n:02X}_0000.des": build_des_core({str(n): BIG, str(n + 256): BIG}) for n in range(8)}
    )
    store = open_store(objects)
    wanted = [(str(n), NOON) for n in range(8)] + [(n + 256, NOON) for n in range(8)] + [("9", NOON), ("519", NOON)]
    assert store.get_many(wanted) == dict.fromkeys(wanted[:16], BIG)
    # The ninth shard is listed in vain.
    assert (objects.count("list"), objects.count("get")) == (2 * 9, 8 * 3)


def test_all_archives_of_a_shard_are_searched(open_store: Any, recording: Any, build_des_core: Any) -> None:
    objects = recording({f"20251125_07_{n:04d}.des": build_des_core({str(7 + 256 * n): b"%d" % n}) for n in range(20)})
    store = open_store(objects)
    assert store.get(7 + 256 * 19, NOON) == b"19"
    assert sorted(set(objects.asked())) == [f"20251125_07_{n:04d}.des" for n in range(20)]
    assert [entry.entry.name for entry in store.list("20251125", "7")] == sorted(str(7 + 256 * n) for n in range(20))
    assert [entry.entry.name for entry in store.list("20251125", 7, "77")] == ["775"]


def test_archives_are_kept_open_up_to_a_limit(open_store: Any, recording: Any, build_des_core: Any) -> None:
    objects = recording({f"20251125_{n:02X}_0000.des": build_des_core({str(n): b"x"}) for n in range(3)})
    store = open_store(objects, max_open_archives=2)
    for n in (0, 1, 2, 1, 2, 0):
        store.get(n, NOON)
    assert objects.count("get") == 4


# -- archives of every format ---------------------------------------------------------------


def _expected(description: Path) -> dict[str, str]:
    return {item["name"]: item["sha256"] for item in json.loads(description.read_text())}


@pytest.mark.parametrize("layout", ["des-core", "datavision"])
@pytest.mark.parametrize("system", ["des_core", "datavision"])
def test_archives_that_the_published_systems_wrote_read_under_their_names(
    system: str, layout: str, open_store: Any, recording: Any, vectors: Path
) -> None:
    for description in sorted((vectors / system).rglob("*.json")):
        expected = {name: digest for name, digest in _expected(description).items() if name}
        archive, folder = description.with_suffix(".des"), "2025-11-25/" if layout == "datavision" else ""
        objects = {f"{folder}{'0' if folder else '20251125_0_0000'}.des": archive.read_bytes()}
        for path in archive.parent.rglob("*"):
            if path.is_file() and path.parent != archive.parent:
                objects[folder + path.relative_to(archive.parent).as_posix()] = path.read_bytes()
        store = open_store(recording({key: data for key, data in objects.items() if "\0" not in key}), layout, n_bits=0)
        found = store.get_many([(name, NOON) for name in expected])
        assert {name: hashlib.sha256(data).hexdigest() for (name, _), data in found.items()} == expected
        assert [entry.entry.name for entry in store.list("20251125") if entry.entry.name] == sorted(expected)


@pytest.mark.parametrize(("layout", "key"), [("des-core", ARCHIVE), ("datavision", "2025-11-25/79.des")])
def test_an_archive_of_version_3_reads_inside_of_a_legacy_store(
    layout: str, key: str, open_store: Any, recording: Any, version_3: Any
) -> None:
    uid = "7"  # Its SHA-256 begins with 79.
    store = open_store(recording({key: version_3({uid: BIG, "other": b"x"})}), layout)
    assert store.get(uid, NOON) == BIG
    assert store.read_range(uid, NOON, 5, 9) == BIG[5:9]
    assert store.open_entry(uid, NOON).seek(0, io.SEEK_END) == len(BIG)
    assert [entry.entry.name for entry in store.list("20251125")] == ["7", "other"]


def test_archives_of_all_formats_may_share_a_shard(
    open_store: Any, recording: Any, version_3: Any, build_des_core: Any, build_datavision: Any
) -> None:
    objects = recording(
        {
            ARCHIVE: build_des_core({"7": b"des_core", "same": b"first"}),
            "20251125_07_0001.des": version_3({"263": b"version 3", "same": b"second"}),
            "20251125/07.des": build_datavision({"519": b"datavision"}),
        }
    )
    store = open_store(objects)
    assert store.get_many([(uid, NOON) for uid in ("7", "263", "519")]) == {
        ("7", NOON): b"des_core",
        ("263", NOON): b"version 3",
        ("519", NOON): b"datavision",
    }
    assert [(entry.entry.name, entry.archive_id) for entry in store.list("20251125")] == [
        ("263", "20251125_07_0001"), ("519", "07"), ("7", "20251125_07_0000"), ("same", "20251125_07_0000"),
    ]  # fmt: skip


# -- broken and replaced archives -----------------------------------------------------------


BROKEN = [b"", b"no archive", b"DES2\x02\0\0\0" + bytes(100)]


@pytest.mark.parametrize("broken", BROKEN, ids=["empty", "no archive", "cut off"])
def test_one_broken_archive_does_not_hide_the_others_nor_what_it_may_hold(
    broken: bytes, open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording({ARCHIVE: broken, "20251125_07_0001.des": build_des_core({"263": b"x"})})
    store = open_store(objects)
    assert store.get("263", NOON) == b"x"
    assert store.get_many([("263", NOON)]) == {("263", NOON): b"x"}
    for _attempt in range(2):
        for read in (store.get, store.get_entry, store.exists):
            with pytest.raises((CorruptArchiveError, UnsupportedFormatError), match=ARCHIVE):
                read("7", NOON)
    with pytest.raises((CorruptArchiveError, UnsupportedFormatError), match=ARCHIVE):
        store.get_many([("263", NOON), ("7", NOON)])
    assert objects.asked().count(ARCHIVE) <= 2, "that it is broken is remembered"
    names: list[str] = []
    with pytest.raises((CorruptArchiveError, UnsupportedFormatError), match=ARCHIVE):
        names.extend(entry.entry.name for entry in store.list("20251125"))
    assert names == ["263"]


def test_an_archive_that_was_mended_is_opened_anew(
    open_store: Any, recording: Any, build_des_core: Any, clock: Any
) -> None:
    objects = recording({ARCHIVE: b"broken"})
    store = open_store(objects)
    with pytest.raises(UnsupportedFormatError):
        store.get("7", NOON)
    objects.fill({ARCHIVE: build_des_core({"7": b"x"})})
    clock.now += 5
    assert store.get("7", NOON) == b"x"


def test_an_archive_that_cannot_be_reached_is_an_error_and_not_a_miss(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": b"x"}), "20251125_07_0001.des": build_des_core({"263": b"y"})})
    store = open_store(objects)
    objects.failures[ARCHIVE] = UnavailableError("away")
    for uid in ("7", "263", "519"):
        with pytest.raises(UnavailableError, match="away"):
            store.get(uid, NOON)
    objects.failures.clear()
    assert store.get("7", NOON) == b"x"


def test_an_entry_that_an_earlier_archive_holds_needs_no_later_one(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": b"x"}), "20251125_07_0001.des": build_des_core({"263": b"y"})})
    objects.failures["20251125_07_0001.des"] = UnavailableError("away")
    assert open_store(objects).get("7", NOON) == b"x"


def test_a_replaced_archive_is_read_anew_and_never_mixed(open_store: Any, recording: Any, build_des_core: Any) -> None:
    """A-23: an index that was kept without its version was applied to another archive."""
    objects = recording({ARCHIVE: build_des_core({"7": BIG, "263": b"x"})})
    store = open_store(objects)
    assert store.get("7", NOON) == BIG
    objects.fill({ARCHIVE: build_des_core({"263": b"y" * 100, "7": BIG[::-1]})})
    assert store.get("7", NOON) == BIG[::-1]
    assert store.get("263", NOON) == b"y" * 100


def test_an_archive_that_has_gone_since_the_listing_is_looked_for_anew(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = recording({ARCHIVE: build_des_core({"7": BIG})})
    store = open_store(objects)
    assert store.get("7", NOON) == BIG
    objects.delete(ARCHIVE)
    with pytest.raises(EntryNotFoundError):
        store.get("7", NOON)
    objects.fill({"20251125/07.des": build_des_core({"7": b"moved"})})
    with pytest.raises(EntryNotFoundError):
        store.get("7", NOON)


def test_an_open_entry_is_never_of_two_versions(open_store: Any, recording: Any, build_des_core: Any) -> None:
    payload = BIG * 20
    objects = recording({ARCHIVE: build_des_core({"7": payload})})
    store = LegacyStore.open(objects, "des-core")
    with store.open_entry("7", NOON) as file:
        assert file.read(10) == payload[:10]
        objects.fill({ARCHIVE: build_des_core({"7": payload[::-1]})})
        with pytest.raises(ObjectChangedError):
            file.read()


# -- external payloads ----------------------------------------------------------------------


@pytest.mark.parametrize("key", [ARCHIVE, "20251125/07.des"])
@pytest.mark.parametrize("folder", ["_bigFiles", "big", "some/big"])
def test_big_files_lie_beside_the_archive_in_the_folder_of_that_name(
    key: str, folder: str, open_store: Any, recording: Any, build_des_core: Any, external: Any
) -> None:
    payload = external(BIG)
    beside = f"{key[: key.rfind('/') + 1]}{folder}/{hashlib.sha256(BIG).hexdigest()}"
    objects = recording({key: build_des_core({"7": payload}), beside: BIG})
    store = open_store(objects, big_files_prefix=folder)
    assert store.get("7", NOON) == BIG
    assert objects.asked() == [key, beside]
    assert store.read_range("7", NOON, 3, 8) == BIG[3:8]
    assert store.get_entry("7", NOON).entry.is_external
    objects.delete(beside)
    with pytest.raises(BigFileMissingError, match=f"{key}: "):
        store.get("7", NOON)
    objects.fill({beside: BIG[::-1]})
    with pytest.raises(ChecksumMismatchError):
        store.get("7", NOON)


@pytest.mark.parametrize("digest", ["../../secret.txt", "../" * 20 + "etc", "a" * 63 + "/", "A" * 64, "." * 64])
def test_a_hash_from_an_archive_never_becomes_another_path(
    digest: str, open_store: Any, recording: Any, build_des_core: Any, external: Any
) -> None:
    """B-25: the hash was joined to a path as it stood."""
    objects = recording({ARCHIVE: build_des_core({"7": external(b"x")}, digest=digest), "secret.txt": b"x"})
    with pytest.raises(CorruptArchiveError, match=ARCHIVE):
        open_store(objects).get("7", NOON)
    assert set(objects.asked()) == {ARCHIVE}


# -- files, and what there is not -----------------------------------------------------------


def test_an_entry_reads_as_a_file(open_store: Any, recording: Any, build_des_core: Any) -> None:
    store = LegacyStore.open(recording({ARCHIVE: build_des_core({"7": BIG})}), "des-core")
    with store, store.open_entry("7", NOON) as file:
        assert file.read(3) == BIG[:3]
        assert file.seek(-2, io.SEEK_END) == len(BIG) - 2
        assert file.read() == BIG[-2:]


@pytest.mark.parametrize("name", ["v2_zstd", "v2_lz4"])
async def test_a_compressed_entry_reads_as_a_file(name: str, recording: Any, vectors: Path) -> None:
    objects = recording({"20251125_0_0000.des": (vectors / "des_core" / f"{name}.des").read_bytes()})
    sync = LegacyStore.open(objects, "des-core", n_bits=0)
    twin = AsyncLegacyStore.open(objects, "des-core", n_bits=0)
    for uid in [entry.entry.name for entry in sync.list("20251125")]:
        payload = sync.get(uid, NOON)
        assert sync.open_entry(uid, NOON).read() == payload
        file = await twin.open_entry(uid, NOON)
        assert await file.read(2) + await file.read() == payload


async def test_an_entry_reads_as_an_asynchronous_file(recording: Any, build_des_core: Any) -> None:
    store = AsyncLegacyStore.open(recording({ARCHIVE: build_des_core({"7": BIG})}), "des-core")
    file = await store.open_entry("7", NOON)
    assert isinstance(file, AsyncEntryFile)
    assert file.entry.size == len(BIG)
    assert (await file.read(3), file.tell()) == (BIG[:3], 3)
    assert file.seek(-2, io.SEEK_END) == len(BIG) - 2
    assert (await file.read(), await file.read()) == (BIG[-2:], b"")
    assert file.seek(-1, io.SEEK_CUR) == len(BIG) - 1
    for offset, whence in ((-1, io.SEEK_SET), (0, 9)):
        with pytest.raises(ValueError, match="position"):
            file.seek(offset, whence)


async def test_nothing_can_be_written(recording: Any) -> None:
    for kind in (LegacyStore, AsyncLegacyStore):
        for name in ("put", "put_many", "put_archive", "writer", "delete", "delete_many", "compact", "gc", "expire"):
            assert not hasattr(kind, name)
    objects = recording()
    view, twin = View(objects, "", False), AsyncView(objects, "", False)
    for write in (lambda: view.put("x", b""), lambda: view.delete("x")):
        with pytest.raises(UnsupportedOperationError, match="only read"):
            write()
    for attempt in (twin.put_async("x", b""), twin.delete_async("x")):
        with pytest.raises(UnsupportedOperationError, match="only read"):
            await attempt


def test_a_synchronous_object_store_is_no_asynchronous_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("des_format.store.legacy.aio.open_object_store", lambda url: object())
    with pytest.raises(UnsupportedOperationError, match="use LegacyStore"):
        AsyncLegacyStore.open("s3://bucket", "des-core")
