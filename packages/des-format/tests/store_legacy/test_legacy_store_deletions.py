"""Tombstones of `.meta` sidecars: what was deleted stays deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from des_format.errors import (
    CorruptArchiveError,
    EntryDeletedError,
    EntryNotFoundError,
    UnavailableError,
    UnsupportedFormatError,
)
from des_format.store.legacy.sidecars import Deletions, decode_sidecar
from hypothesis import given
from hypothesis import strategies as st

ARCHIVE = "20251125_07_0000.des"
SIDECAR = "20251125_07_0000.meta"
TEN, ELEVEN = "2025-11-25T10:00:00Z", "2025-11-25T11:00:00Z"
AT_TEN, AT_ELEVEN, AT_NOON = (datetime(2025, 11, 25, hour, tzinfo=UTC) for hour in (10, 11, 12))


@pytest.fixture
def archive(build_des_core: Any) -> bytes:
    """Entries of shard 7."""
    data: bytes = build_des_core({"7": b"seven", "263": b"kept"})
    return data


def test_a_deletion_holds_whatever_time_of_the_day_is_asked_for(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    """B-07: a published reader compared the whole timestamp, and found the shard by its date."""
    store = open_store(recording({ARCHIVE: archive, SIDECAR: build_sidecar([("7", TEN)], index=["7", "263"])}))
    for asked in (AT_TEN, AT_ELEVEN, AT_NOON, datetime(2025, 11, 25, 23, 59, 59, 999999, tzinfo=UTC)):
        with pytest.raises(EntryDeletedError, match="entry '7' of 20251125 was deleted"):
            store.get("7", asked)
        for read in (store.get_entry, store.open_entry):
            with pytest.raises(EntryDeletedError):
                read("7", asked)
        with pytest.raises(EntryDeletedError):
            store.read_range("7", asked, 0, 1)
        assert not store.exists("7", asked)
        assert store.get_many([("7", asked), ("263", asked)]) == {("263", asked): b"kept"}
    assert [entry.entry.name for entry in store.list("20251125")] == ["263"]


def test_a_deletion_is_seen_at_once_by_who_asks(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    objects = recording({ARCHIVE: archive})
    store = open_store(objects, listing_ttl_seconds=3600.0)
    assert store.get("7", AT_TEN) == b"seven"
    objects.put(SIDECAR, build_sidecar([("7", TEN)]))
    assert store.get("7", AT_TEN) == b"seven"
    store.refresh("7", AT_TEN)
    with pytest.raises(EntryDeletedError):
        store.get("7", AT_TEN)


def test_a_sidecar_is_never_taken_for_an_archive(
    open_store: Any, recording: Any, archive: bytes, build_des_core: Any, build_sidecar: Any
) -> None:
    """B-02: after one deletion every entry of the later archives of that shard failed to read."""
    objects = {
        ARCHIVE: archive,
        SIDECAR: build_sidecar([("7", TEN)]),
        "20251125_07_0001.des": build_des_core({"519": b"x"}),
    }
    store = open_store(recording(objects))
    assert store.get("519", AT_NOON) == b"x"
    with pytest.raises(EntryNotFoundError):
        store.get("775", AT_NOON)


def test_another_entry_that_the_sidecar_proves_is_read_at_its_own_time_only(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    content = build_sidecar([("7", TEN)], index=[("7", ELEVEN), "263"], size=len(archive))
    store = open_store(recording({ARCHIVE: archive, SIDECAR: content}))
    assert store.get("7", AT_ELEVEN) == b"seven"
    assert store.get("7", AT_ELEVEN.astimezone(timezone(timedelta(hours=1)))) == b"seven"
    for asked in (AT_TEN, AT_NOON):
        with pytest.raises(EntryDeletedError):
            store.get("7", asked)
    assert store.get_many([("7", AT_TEN), ("7", AT_ELEVEN)]) == {("7", AT_ELEVEN): b"seven"}
    assert [entry.entry.name for entry in store.list("20251125")] == ["263", "7"]


@pytest.mark.parametrize(
    ("index", "extra"),
    [
        (["7"], 0),
        ([], 0),
        ([("7", TEN)], 0),
        ([("7", ELEVEN), "7"], 0),
        ([("7", ELEVEN), ("7", TEN)], 0),
        ([("7", "no time")], 0),
        ([("7", ELEVEN)], 1),
    ],
    ids=["bare", "absent", "the deleted one", "also bare", "two times", "no time", "an archive of another size"],
)
def test_in_doubt_an_entry_is_hidden(
    index: list[Any], extra: int, open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    content = build_sidecar([("7", TEN)], index=index, size=len(archive) + extra)
    store = open_store(recording({ARCHIVE: archive, SIDECAR: content}))
    with pytest.raises(EntryDeletedError):
        store.get("7", AT_ELEVEN)
    assert [entry.entry.name for entry in store.list("20251125")] == ["263"]


def test_an_index_with_anything_odd_proves_nothing(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    value = json.loads(build_sidecar([("7", TEN)], index=[("7", ELEVEN)], size=len(archive)))
    odd: list[Any] = [None, [], {**value["index"], "x": None}, {**value["index"], "x": {"uid": 3}}]
    for index in odd:
        content = json.dumps({**value, "index": index}).encode()
        with pytest.raises(EntryDeletedError):
            open_store(recording({ARCHIVE: archive, SIDECAR: content})).get("7", AT_ELEVEN)


@pytest.mark.parametrize("key", ["20251125_07_0001.meta", "20251125_07_0000.des.meta", "20251125/07.meta"])
def test_a_tombstone_counts_in_all_of_its_shard_even_without_its_archive(
    key: str, open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    store = open_store(recording({ARCHIVE: archive, SIDECAR: build_sidecar(), key: build_sidecar([("7", TEN)])}))
    with pytest.raises(EntryDeletedError):
        store.get("7", AT_NOON)
    with pytest.raises(EntryDeletedError):
        open_store(recording({SIDECAR: build_sidecar([("7", TEN)])})).get("7", AT_NOON)


def test_a_tombstone_of_another_day_or_uid_hides_nothing(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    objects = {
        ARCHIVE: archive,
        SIDECAR: build_sidecar([("519", TEN)]),
        "20251126_07_0000.des": archive,
        "20251126_07_0000.meta": build_sidecar([("7", "2025-11-26T10:00:00Z")]),
    }
    assert open_store(recording(objects)).get("7", AT_NOON) == b"seven"


@pytest.mark.parametrize("day", ["20251125", "20251126"])
def test_a_tombstone_under_either_day_of_a_timestamp_hides_the_entry(
    day: str, open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    evening = datetime(2025, 11, 25, 22, tzinfo=timezone(timedelta(hours=-5)))
    content = build_sidecar([("7", "2025-11-26T03:00:00Z")])
    store = open_store(recording({ARCHIVE: archive, f"{day}_07_0000.meta": content}))
    with pytest.raises(EntryDeletedError):
        store.get("7", evening)


def test_naive_times_of_tombstones_are_utc_and_uids_may_hold_colons(
    open_store: Any, recording: Any, build_des_core: Any, build_sidecar: Any
) -> None:
    uid = "a:b:2025-11-25T10:00:00Z"
    objects = {
        "20251125_0_0000.des": build_des_core({uid: b"x", "a": b"y"}),
        "20251125_0_0000.meta": build_sidecar([(uid, "2025-11-25T12:00:00")], index=[(uid, "2025-11-25T12:00:00")]),
    }
    store = open_store(recording(objects), n_bits=0)
    with pytest.raises(EntryDeletedError):
        store.get(uid, AT_NOON)
    assert store.get("a", AT_NOON) == b"y"


def test_a_tombstone_whose_key_and_fields_differ_hides_both(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    value = json.loads(build_sidecar([("519", TEN)]))
    value["tombstones"] = {f"7:{ELEVEN}": value["tombstones"][f"519:{TEN}"]}
    store = open_store(recording({ARCHIVE: archive, SIDECAR: json.dumps(value).encode()}))
    for uid in ("7", "519"):
        with pytest.raises(EntryDeletedError):
            store.get(uid, AT_NOON)


def _damaged(change: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "index": {}, "tombstones": {}} | change).encode()


DAMAGE = [
    b"",
    b"{",
    b"\xff\xfe\xfd",
    b"null",
    b"[]",
    b"[" * 100_000,
    b"{}",
    json.dumps({"version": 1, "index": {}}).encode(),
    _damaged({"version": 2}),
    _damaged({"tombstones": []}),
    _damaged({"tombstones": {"7": {"uid": "7", "created_at": "noon"}}}),
    _damaged({"tombstones": {"7:x": {"uid": "7"}}}),
    _damaged({"tombstones": {f"7:{TEN}": {"uid": None, "created_at": TEN}}}),
    _damaged({"tombstones": {"7": {"uid": "7", "created_at": TEN}}}),
    _damaged({"tombstones": {f"7:{TEN}": None}}),
    _damaged({"tombstones": {f"7:{TEN}": {"uid": "7", "created_at": 3}}}),
]


@pytest.mark.parametrize("content", DAMAGE, ids=range(len(DAMAGE)))
def test_with_a_corrupt_sidecar_nothing_of_its_archive_is_read(
    content: bytes, open_store: Any, recording: Any, archive: bytes, build_des_core: Any
) -> None:
    other = build_des_core({"519": b"other", "7": b"a second seven"})
    store = open_store(recording({ARCHIVE: archive, SIDECAR: content, "20251125_07_0001.des": other}))
    for read in (store.get, store.get_entry, store.exists, store.open_entry):
        for uid in ("7", "263"):
            with pytest.raises((CorruptArchiveError, UnsupportedFormatError), match=f"sidecar {SIDECAR}"):
                read(uid, AT_NOON)
    with pytest.raises((CorruptArchiveError, UnsupportedFormatError)):
        store.get_many([("7", AT_NOON), ("519", AT_NOON)])
    assert store.get("519", AT_NOON) == b"other"
    assert not store.exists("775", AT_NOON)
    names: list[str] = []
    with pytest.raises((CorruptArchiveError, UnsupportedFormatError), match=f"sidecar {SIDECAR}"):
        names.extend(entry.entry.name for entry in store.list("20251125"))
    assert names == ["519"]


def test_an_oversized_sidecar_is_not_read_at_all(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("des_format.store.legacy.deletions.MAX_SIDECAR_BYTES", 10)
    objects = recording({ARCHIVE: archive, SIDECAR: build_sidecar()})
    with pytest.raises(CorruptArchiveError, match="at most 10 are read"):
        open_store(objects).get("7", AT_NOON)
    assert SIDECAR not in objects.asked()


@pytest.mark.parametrize("broken", [b"no archive at all", None], ids=["broken", "missing"])
def test_a_corrupt_sidecar_of_an_archive_that_nobody_can_read_closes_the_shard(
    broken: bytes | None, open_store: Any, recording: Any, build_des_core: Any
) -> None:
    objects = {"20251125_07_0001.des": build_des_core({"7": b"seven"}), SIDECAR: b"{", "20251125_08_0000.des": b""}
    if broken is not None:
        objects[ARCHIVE] = broken
    store = open_store(recording(objects))
    for uid in ("7", "263"):
        with pytest.raises(CorruptArchiveError, match=f"sidecar {SIDECAR}"):
            store.get(uid, AT_NOON)
    names: list[str] = []
    with pytest.raises(CorruptArchiveError, match=f"sidecar {SIDECAR}"):
        names.extend(entry.entry.name for entry in store.list("20251125", "07"))
    assert names == []


def test_nothing_is_read_while_a_sidecar_cannot_be(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    objects = recording({ARCHIVE: archive, SIDECAR: build_sidecar([("7", TEN)])})
    store = open_store(objects)
    objects.failures[SIDECAR] = UnavailableError("away")
    for _attempt in range(2):
        with pytest.raises(UnavailableError, match="away"):
            store.get("263", AT_NOON)
    objects.failures.clear()
    assert store.get("263", AT_NOON) == b"kept"


def test_a_sidecar_is_read_once_and_again_when_the_listing_shows_another_version(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any, clock: Any
) -> None:
    objects = recording({ARCHIVE: archive, SIDECAR: build_sidecar()})
    store = open_store(objects)
    for _attempt in range(3):
        assert store.get("7", AT_NOON) == b"seven"
        clock.now += 5
    assert objects.asked().count(SIDECAR) == 1
    objects.fill({SIDECAR: build_sidecar([("7", TEN)])})
    clock.now += 4.9
    with pytest.raises(EntryDeletedError):
        store.get("7", AT_NOON)
    assert objects.asked().count(SIDECAR) == 2


def test_a_new_deletion_is_seen_when_the_listing_is_renewed(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any, clock: Any
) -> None:
    objects = recording({ARCHIVE: archive})
    store = open_store(objects)
    assert store.get("7", AT_NOON) == b"seven"
    objects.fill({SIDECAR: build_sidecar([("7", TEN)])})
    clock.now += 5.0
    with pytest.raises(EntryDeletedError):
        store.get("7", AT_NOON)
    assert list(store.days()) == ["20251125"]


def test_a_sidecar_that_vanishes_while_it_is_wanted_is_listed_anew(
    open_store: Any, recording: Any, archive: bytes, build_sidecar: Any
) -> None:
    objects = recording({ARCHIVE: archive, SIDECAR: b"{"})
    whole = objects.get

    def get(path: str, *, options: Any = None) -> Any:
        if path == SIDECAR:
            objects.delete(SIDECAR)
            objects.fill({"20251125_07_0001.meta": build_sidecar([("263", TEN)])})
        return whole(path, options=options)

    objects.get = get
    store = open_store(objects)
    with pytest.raises(EntryDeletedError):
        store.get("263", AT_NOON)
    assert objects.count("list") == 4
    assert store.get("7", AT_NOON) == b"seven"


times = st.sampled_from([TEN, ELEVEN, "2025-11-25T12:00:00Z"])
uids = st.sampled_from(["7", "263"])
archives = st.sampled_from(["a", "b"])
sidecars = st.lists(
    st.tuples(archives, st.lists(st.tuples(uids, times)), st.lists(st.one_of(uids, st.tuples(uids, times)))), max_size=4
)


@given(found=sidecars, uid=uids, archive_key=archives, asked=times, listed=st.booleans())
def test_what_a_tombstone_names_is_hidden_unless_another_entry_is_proven(
    found: list[Any], uid: str, archive_key: str, asked: str, listed: bool, build_sidecar: Any
) -> None:
    decoded = [(decode_sidecar(build_sidecar(dead, index=index, size=9), key), key, 9) for key, dead, index in found]
    deletions = Deletions(decoded)
    dead = {time for _key, tombstones, _index in found for name, time in tombstones if name == uid}
    proofs = [item for key, _dead, index in found for item in index if key == archive_key and uid in (item, item[0])]
    shown = not deletions.hides(uid, archive_key, None if listed else datetime.fromisoformat(asked))
    if dead and shown:
        assert any(isinstance(item, tuple) and item[1] not in dead for item in proofs)
        assert listed or asked not in dead
    assert dead or shown
