"""Stores of Datavision Easy Store: names, and payloads beside archives."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import BigFileMissingError, CorruptArchiveError, EntryNotFoundError, locate_shard
from des_format.errors import UnavailableError

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
NAME = "UserCustom_20251125_(019ABCDEF012_0A)"


def _shard(name: str, n_bits: int = 8) -> int:
    return locate_shard(name, NOON, n_bits, "sha256-prefix").shard_index


@pytest.mark.parametrize("n_bits", [1, 4, 6, 8, 12])
@pytest.mark.parametrize("form", ["{:0{width}x}", "shard_{:02d}"])
def test_archives_are_found_under_both_kinds_of_names(
    form: str, n_bits: int, open_store: Any, recording: Any, build_datavision: Any
) -> None:
    for name in ("a", "b", NAME, "zażółć.txt"):
        key = f"2025-11-25/{form.format(_shard(name, n_bits), width=-(-n_bits // 4))}.des"
        store = open_store(recording({key: build_datavision({name: b"payload"})}), "datavision", n_bits=n_bits)
        assert store.get(name, NOON) == b"payload"
        assert [entry.archive_id for entry in store.list("20251125")] == [key[11:-4]]
        assert list(store.days()) == ["20251125"]
        assert list(store.shards("2025-11-25")) == [f"{_shard(name, n_bits):0{-(-n_bits // 4)}X}"]


def test_the_day_inside_of_a_name_is_tried_as_published(open_store: Any, recording: Any, build_datavision: Any) -> None:
    objects = recording({f"2025-11-25/shard_{_shard(NAME):02d}.des": build_datavision({NAME: b"x"})})
    store = open_store(objects, "datavision")
    assert store.get(NAME, datetime(2026, 1, 1, tzinfo=UTC)) == b"x"
    with pytest.raises(EntryNotFoundError, match=r"20260101/.*20251125/"):
        store.get(NAME.replace("0A", "0B"), datetime(2026, 1, 1, tzinfo=UTC))
    assert not store.exists("x_20259999_y", NOON)


def test_what_the_published_packer_wrote_reads_by_looking_into_the_whole_day(
    open_store: Any, recording: Any, build_datavision: Any
) -> None:
    """A-26: the packer took the shard from another key than the name, so that no published service found it."""
    wrong = (_shard(NAME) + 1) % 256
    objects = recording(
        {f"2025-11-25/shard_{wrong:02d}.des": build_datavision({NAME: b"x"}), "2025-11-25/_bigFiles/y": b""}
    )
    assert not open_store(objects, "datavision").exists(NAME, NOON)
    store = open_store(objects, "datavision", whole_day=True)
    objects.forget()
    assert store.get(NAME, NOON) == b"x"
    assert store.get(NAME, NOON) == b"x"
    assert (objects.count("list"), objects.count("get")) == (1, 1)
    with pytest.raises(EntryNotFoundError):
        store.get("other", NOON)


@pytest.mark.parametrize("in_order", [True, False])
def test_only_the_folder_of_the_day_is_listed(
    in_order: bool, open_store: Any, recording: Any, build_datavision: Any
) -> None:
    key = f"2025-11-25/{_shard('a'):02x}.des"
    objects = recording({key: build_datavision({"a": b"x"}), "2025-11-26/00.des": b""}, in_order=in_order)
    store = open_store(objects, "datavision")
    assert [store.get("a", NOON) for _ in range(3)] == [b"x"] * 3
    assert objects.count("list") == (2 if in_order else 1)
    assert all(call.startswith("2025-11-25>2025-11-25/") for call in objects.asked("list"))


@pytest.mark.parametrize("key", ["2025-11-25/CA.des", "2025-11-25/0ca.des", "2025-11-25/shard_0202.des", "2025/ca.des"])
def test_other_spellings_are_no_archives(key: str, open_store: Any, recording: Any, build_datavision: Any) -> None:
    store = open_store(recording({key: build_datavision({"a": b"x"})}), "datavision", whole_day=True)
    assert list(store.shards("20251125")) == []
    assert not store.exists("a", NOON)


# -- payloads beside archives ---------------------------------------------------------------

KEY = f"2025-11-25/shard_{_shard('x'):02d}.des"
PAYLOAD = b"the payload that lies beside"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("2025-11-25", "2025-11-25/_bigFiles/x"),
        (None, "2025-11-25/_bigFiles/x"),
        ("2025-11-25/shard_00", "2025-11-25/shard_00/_bigFiles/x"),
        ("bucket/prefix/2025-11-25", "2025-11-25/_bigFiles/x"),
        ("bucket/prefix/elsewhere", "elsewhere/_bigFiles/x"),
        ("bucket/prefix", "_bigFiles/x"),
        ("a/b", "a/b/_bigFiles/x"),
    ],
)
def test_an_external_payload_is_found_by_its_written_key_or_beside_the_archive(
    written: str | None, key: str, open_store: Any, recording: Any, build_datavision: Any, external: Any
) -> None:
    """A-09: the published reader ignored the key that the writer wrote. A-01: it returned the archive's first bytes."""
    objects = recording({KEY: build_datavision({"x": external(PAYLOAD)}, prefix=written), key: PAYLOAD})
    store = open_store(objects, "datavision")
    assert store.get("x", NOON) == PAYLOAD
    assert store.read_range("x", NOON, 4, 11) == PAYLOAD[4:11]
    assert store.get_many([("x", NOON)]) == {("x", NOON): PAYLOAD}
    objects.forget()
    assert store.get("x", NOON) == PAYLOAD
    assert objects.asked() == [key, key], "one to see its size, one for the bytes"


@pytest.mark.parametrize(
    "written", ["..", "../..", "/", "2025-11-25/..", "a/../../b", "\\\\host\\share", "c:", "a\0b", "outside", "."]
)
def test_a_written_key_never_leads_out_of_the_store(
    written: str, open_store: Any, recording: Any, build_datavision: Any, external: Any
) -> None:
    objects = recording(
        {
            f"store/{KEY}": build_datavision({"x": external(PAYLOAD)}, prefix=written),
            "_bigFiles/x": PAYLOAD,
            "outside/_bigFiles/x": PAYLOAD,
            "a/_bigFiles/x": PAYLOAD,
            "b/_bigFiles/x": PAYLOAD,
        }
    )
    store = open_store(objects, "datavision", prefix="store")
    with pytest.raises(BigFileMissingError):
        store.get("x", NOON)
    assert all(key.startswith("store/") and ".." not in key for key in objects.asked())
    objects.fill({"store/2025-11-25/_bigFiles/x": PAYLOAD})
    assert store.get("x", NOON) == PAYLOAD


def test_a_payload_of_another_size_is_refused(
    open_store: Any, recording: Any, build_datavision: Any, external: Any
) -> None:
    key = "2025-11-25/_bigFiles/x"
    for payload in (PAYLOAD[:-1], PAYLOAD + b"!", b""):
        objects = recording({KEY: build_datavision({"x": external(PAYLOAD)}), key: payload})
        with pytest.raises(CorruptArchiveError, match=f"{key[11:]} .*has not {len(PAYLOAD)} bytes"):
            open_store(objects, "datavision").get("x", NOON)


def test_a_store_that_fails_reads_behind_an_objects_end_is_asked_for_its_size(
    open_store: Any, recording: Any, build_datavision: Any, external: Any
) -> None:
    key = "2025-11-25/_bigFiles/x"
    objects = recording({KEY: build_datavision({"x": external(PAYLOAD)}), key: b"short"})
    store = open_store(objects, "datavision")
    whole = objects.get

    def get(path: str, *, options: Any = None) -> Any:
        if path == key and options["range"][0] == len(PAYLOAD) - 1:
            raise UnavailableError("the range starts behind the end")
        return whole(path, options=options)

    objects.get = get
    with pytest.raises(CorruptArchiveError, match="has not"):
        store.get("x", NOON)
    objects.fill({key: PAYLOAD})
    with pytest.raises(UnavailableError, match="behind the end"):
        store.get("x", NOON)


def test_a_tree_of_the_published_writer_reads_from_a_folder(vectors: Path, open_store: Any) -> None:
    """Its archive was packed under a number that is not that of its entries' names."""
    tree = vectors / "datavision" / "externals"
    expected = {item["name"]: item for item in json.loads((tree / "2025-01-15" / "shard_05.json").read_text())}
    store = open_store(tree, "datavision", whole_day=True)
    day = datetime(2025, 1, 15, tzinfo=UTC)
    assert list(store.days()) == ["20250115"]
    assert list(store.shards("20250115")) == ["05"]
    assert [entry.entry.name for entry in store.list("2025-01-15")] == sorted(expected)
    found = store.get_many([(name, day) for name in expected])
    assert {name: hashlib.sha256(payload).hexdigest() for (name, _day), payload in found.items()} == {
        name: item["sha256"] for name, item in expected.items()
    }
