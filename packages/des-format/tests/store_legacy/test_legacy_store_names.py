"""Under which names archives are looked for, and what is listed for that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from des_format import EntryNotFoundError, InvalidInputError, locate_shard
from des_format.objects import LocalObjectStore


@pytest.mark.parametrize(("uid", "key"), [("1", "1"), ("16", "10"), ("63", "3F"), (1, "1"), ("²", "13")])
def test_six_bits_give_names_of_two_widths(
    uid: str | int, key: str, open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    assert locate_shard(uid, noon, 6).shard_index == int(key, 16)
    objects = recording({f"20251125_{key}_0000.des": build_des_core({str(uid): b"payload"})})
    store = open_store(objects, n_bits=6)
    assert store.get(uid, noon) == b"payload"
    assert list(store.shards("20251125")) == [f"{int(key, 16):02X}"]


@pytest.mark.parametrize("key", ["20251125/1.des", "20251125/01.des"])
def test_archives_in_day_folders_are_found_in_both_widths(
    key: str, open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    assert open_store(recording({key: build_des_core({"1": b"x"})}), n_bits=6).get("1", noon) == b"x"


@pytest.mark.parametrize("prefix", ["", "some/where", "/some/where/"])
def test_a_prefix_stands_before_every_key(
    prefix: str, open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    folder = prefix.strip("/") + "/" if prefix else ""
    objects = recording(
        {f"{folder}20251125_07_0000.des": build_des_core({"7": b"x"}), "some/20251125_07_0000.des": b"other"}
    )
    store = open_store(objects, prefix=prefix)
    assert store.get("7", noon) == b"x"
    assert [(entry.day, entry.shard, entry.archive_id, entry.entry.name) for entry in store.list("2025-11-25")] == [
        ("20251125", "07", "20251125_07_0000", "7")
    ]
    assert list(store.days()) == ["20251125"]
    assert store.get_entry("7", noon)[:3] == ("20251125", "07", "20251125_07_0000")


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "a\\b", "."])
def test_a_prefix_that_leads_elsewhere_is_refused(prefix: str, open_store: Any, recording: Any) -> None:
    for option in ("prefix", "big_files_prefix"):
        with pytest.raises(InvalidInputError, match="may lead elsewhere"):
            open_store(recording(), **{option: prefix})


def test_keys_of_other_shards_are_neither_listed_nor_opened(
    open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    """B-24: without the underscore, shard `1` of 6 bits had 17 shards' archives as candidates."""
    objects = {f"20251125_{n:X}_0000.des": build_des_core({str(n): b"%d" % n}) for n in range(64)}
    objects |= {f"20251125_1_{n:04d}.des": build_des_core({f"other-{n}": b""}) for n in range(1, 6)}
    store_objects = recording(objects)
    store = open_store(store_objects, n_bits=6)
    assert store.get("1", noon) == b"1"
    assert sorted(store_objects.asked("list")) == [
        "20251125>20251125/01.", "20251125>20251125/1.", ">20251125_1_",
    ]  # fmt: skip
    assert all(key.startswith("20251125_1_") for key in store_objects.asked())
    # Six keys of the shard, two a page; the page after them shows that there are no more.
    assert store_objects.page_count == 4


def test_more_keys_than_a_page_holds_are_all_searched(
    open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    objects = {f"20251125_07_{n:04d}.des": build_des_core({str(7 + 256 * n): b"%d" % n}) for n in range(25)}
    store = open_store(recording(objects))
    assert [store.get(7 + 256 * n, noon) for n in range(25)] == [b"%d" % n for n in range(25)]


def test_a_store_without_order_is_listed_once_for_all_shards(
    open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    objects = recording(
        {f"20251125_{n:02X}_0000.des": build_des_core({str(n): b"%d" % n}) for n in range(16)}
        | {"20251124/05.des": build_des_core({"5": b"yesterday"}), "_bigFiles/" + "0" * 64: b""},
        in_order=False,
    )
    store = open_store(objects)
    assert [store.get(n, noon) for n in range(16)] == [b"%d" % n for n in range(16)]
    assert store.get("5", noon - timedelta(days=1)) == b"yesterday"
    assert objects.asked("list") == [">"]
    assert list(store.shards("20251125")) == [f"{n:02X}" for n in range(16)]


def test_of_equal_names_the_first_archive_counts_as_published(
    open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    """The number is that of a split within one run: a rerun with fewer splits leaves the older ones behind it."""
    objects = {f"20251125_07_{n:04d}.des": build_des_core({"7": b"%d" % n}) for n in (2, 0, 1)}
    store = open_store(recording(objects))
    assert store.get("7", noon) == b"0"
    assert [entry.archive_id for entry in store.list("20251125")] == ["20251125_07_0000"]


@pytest.mark.parametrize("day", ["20251125", "20251126"])
def test_both_the_utc_day_and_the_day_of_the_given_offset_are_tried(
    day: str, open_store: Any, recording: Any, build_des_core: Any
) -> None:
    """B-27: the published writer took the day in the offset of the timestamp."""
    evening = datetime(2025, 11, 25, 22, tzinfo=timezone(timedelta(hours=-5)))
    store = open_store(recording({f"{day}_07_0000.des": build_des_core({"7": b"x"})}))
    assert store.get("7", evening) == b"x"


def test_the_day_of_the_given_offset_counts_first_as_published(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    evening = datetime(2025, 11, 25, 22, tzinfo=timezone(timedelta(hours=-5)))
    objects = {f"2025112{n}_07_0000.des": build_des_core({"7": b"%d" % n}) for n in (5, 6)}
    assert open_store(recording(objects)).get("7", evening) == b"5"


def test_the_day_in_the_zone_of_the_writers_is_tried_when_it_is_known(
    open_store: Any, recording: Any, build_des_core: Any
) -> None:
    night = datetime(2025, 11, 25, 23, 30, tzinfo=UTC)
    objects = recording({"20251126_07_0000.des": build_des_core({"7": b"x"})})
    with pytest.raises(EntryNotFoundError, match="no entry '7' in 20251125/07"):
        open_store(objects).get("7", night)
    assert open_store(objects, zone=ZoneInfo("Europe/Warsaw")).get("7", night) == b"x"


@pytest.mark.parametrize(
    "key",
    [
        "20251125_07.des", "20251125_7_0000.des", "20251125_007_0000.des", "20251325_07_0000.des", "20251125_07_.des",
        "20251125_07_0000.des.tmp", "20251125/7.des", "20251125/07/x.des", "x/20251125_07_0000.des", "20251125/07.",
        "20251125_07_0000.meta.des.bak", "2025-11-25/07.des",
    ],
)  # fmt: skip
def test_names_that_the_writers_never_gave_are_no_archives(
    key: str, open_store: Any, recording: Any, build_des_core: Any, noon: datetime
) -> None:
    objects = recording({key: build_des_core({"7": b"x"})})
    store = open_store(objects)
    assert not store.exists("7", noon)
    assert list(store.days()) == []
    assert objects.count("get") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "other"}, "unknown layout 'other'; known: des-core, datavision"),
        ({"n_bits": 17}, "n_bits 17"),
        ({"listing_ttl_seconds": -1.0}, "listing_ttl_seconds -1.0"),
        ({"max_open_archives": 0}, "max_open_archives 0"),
        ({"big_files_prefix": "/"}, "big_files_prefix is empty"),
    ],
)
def test_options_out_of_range_are_refused(
    options: dict[str, Any], message: str, open_store: Any, recording: Any
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        open_store(recording(), **options)


@pytest.mark.parametrize(
    ("day", "shard"), [("2025", None), ("20251125", "xyz"), ("20251125", "10000"), ("20251125", -1)]
)
def test_a_listing_of_no_day_or_shard_is_refused(day: str, shard: Any, open_store: Any, recording: Any) -> None:
    with pytest.raises(InvalidInputError):
        list(open_store(recording()).list(day, shard))


def test_a_time_without_a_zone_is_refused(open_store: Any, recording: Any) -> None:
    with pytest.raises(InvalidInputError, match="no time zone"):
        open_store(recording()).get("7", datetime(2025, 11, 25))  # noqa: DTZ001


def test_a_folder_is_opened_by_its_path(tmp_path: Path, open_store: Any, build_des_core: Any, noon: datetime) -> None:
    (tmp_path / "20251125").mkdir()
    (tmp_path / "20251125" / "07.des").write_bytes(build_des_core({"7": b"x"}))
    for objects in (tmp_path, str(tmp_path), tmp_path.as_uri(), LocalObjectStore(tmp_path)):
        assert open_store(objects).get("7", noon) == b"x"
