"""What reading a legacy archive asks of its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from des_format import AsyncDesReader, ByteRange, DesReader, EntryTooLargeError, InvalidInputError, TransferCost

NAMES = [f"n{i:05d}" for i in range(3000)]
SHUFFLED = sorted(NAMES, key=lambda name: name[::-1])
PAYLOAD = bytes(range(256)) * 2


@pytest.fixture
def big_datavision(dv: Any, build_datavision: Any) -> bytes:
    """Index and META do not fit into the tail read; names are not in order."""
    archive: bytes = build_datavision(
        [dv(name.encode(), name.encode() + PAYLOAD, b'{"n":"%b"}' % name.encode()) for name in SHUFFLED]
    )
    return archive


@pytest.fixture
def big_des_core(dc: Any, build_des_core: Any) -> bytes:
    archive: bytes = build_des_core(
        [dc(name.encode(), name.encode() + PAYLOAD, meta=b'{"n":"%b"}' % name.encode()) for name in SHUFFLED]
    )
    return archive


def sizes(source: Any) -> list[list[int]]:
    rounds = [[part.size for part in requested] for requested in source.rounds]
    source.rounds.clear()
    return rounds


def test_a_small_archive_is_read_with_its_tail_alone(
    dv: Any, dc: Any, build_datavision: Any, build_des_core: Any, guarded: Any, read_all: Any
) -> None:
    for archive in (build_datavision([dv(b"a", b"1"), dv(b"b")]), build_des_core([dc(b"a", b"1"), dc(b"b")])):
        source = guarded(archive)
        assert read_all(DesReader(source)).keys() == {"a", "b"}
        # A scan asks for each of its batches.
        assert all(len(requested) == 1 for requested in source.rounds)
        assert len(source.rounds) <= 2


def test_an_open_takes_one_round_after_the_tail(big_datavision: bytes, big_des_core: bytes, guarded: Any) -> None:
    for archive, header in ((big_datavision, 16), (big_des_core, 8)):
        source = guarded(archive)
        reader = DesReader(source)
        ((header_read, index_read),) = sizes(source)
        assert (header_read, index_read > 64 * 1024) == (header, True)
        assert len(reader) == 3000
        assert sizes(source) == []


def test_a_datavision_get_takes_one_round_for_payload_and_metadata(big_datavision: bytes, guarded: Any) -> None:
    source = guarded(big_datavision)
    reader = DesReader(source)
    sizes(source)
    assert reader.get_file(SHUFFLED[0]) == SHUFFLED[0].encode() + PAYLOAD
    assert sizes(source) == [[518, 14]]
    assert reader.get_meta(SHUFFLED[1]) == {"n": SHUFFLED[1]}
    assert sizes(source) == [[14]]
    assert reader.read_range(SHUFFLED[2], 100, 110) == PAYLOAD[94:104]
    assert sizes(source) == [[14], [10]]
    assert "absent" not in reader
    assert sizes(source) == []


def test_a_des_core_get_takes_one_request(big_des_core: bytes, guarded: Any) -> None:
    source = guarded(big_des_core)
    reader = DesReader(source)
    sizes(source)
    assert reader.get_file(SHUFFLED[0]) == SHUFFLED[0].encode() + PAYLOAD
    assert sizes(source) == [[518]]
    assert reader.get_meta(SHUFFLED[1]) == {"n": SHUFFLED[1]}
    assert len(reader.list_files()) == 3000
    assert sizes(source) == []


def test_a_batch_is_one_round_of_merged_ranges(big_datavision: bytes, big_des_core: bytes, guarded: Any) -> None:
    for archive in (big_datavision, big_des_core):
        source = guarded(archive)
        reader = DesReader(source)
        sizes(source)
        batch = reader.get_files_batch([*SHUFFLED[50:60], SHUFFLED[0], "absent"])
        assert list(batch) == [*SHUFFLED[50:60], SHUFFLED[0]]
        assert all(payload == name.encode() + PAYLOAD for name, payload in batch.items())
        assert [len(requested) for requested in sizes(source)] in ([1], [2])
        costly = DesReader(source, cost=TransferCost(request_bytes=0))
        sizes(source)
        assert costly.get_files_batch([SHUFFLED[0], SHUFFLED[5]]).keys() == {SHUFFLED[0], SHUFFLED[5]}
        assert [len(requested) for requested in sizes(source)] in ([2], [4])


def test_a_listing_reads_metadata_once_when_it_fits_into_one_range(big_datavision: bytes, guarded: Any) -> None:
    source = guarded(big_datavision)
    reader = DesReader(source)
    sizes(source)
    assert [entry.meta["n"] for entry in reader.entries("n0")] == NAMES
    assert sizes(source) == [[14 * 3000]]
    assert reader.list_files() == NAMES
    assert reader.get_meta(SHUFFLED[0]) == {"n": SHUFFLED[0]}
    assert sizes(source) == []


def test_a_listing_of_more_metadata_reads_it_page_by_page(big_datavision: bytes, guarded: Any) -> None:
    source = guarded(big_datavision)
    reader = DesReader(source, cost=TransferCost(max_range_bytes=20_000))
    sizes(source)
    assert [entry.meta["n"] for entry in reader.entries()] == NAMES
    (asked,) = sizes(source)
    assert max(asked) <= 20_000
    assert sum(asked) == 14 * 3000
    assert reader.list_files("n0000") == NAMES[:10]
    assert sizes(source) != []


def test_pages_shrink_when_metadata_is_large(dv: Any, build_datavision: Any, guarded: Any) -> None:
    meta = b'{"pad":"%b"}' % (b"x" * 2**20)
    archive = build_datavision([dv(b"%d" % i, b"", meta) for i in range(20)])
    source = guarded(archive)
    reader = DesReader(source, cost=TransferCost(max_range_bytes=2**21))
    sizes(source)
    assert len(reader.list_files()) == 20
    assert [sum(requested) // len(meta) for requested in sizes(source)] == [3, 3, 3, 3, 3, 3, 2]


def test_an_empty_entry_costs_no_request_and_is_empty_in_any_company(
    dv: Any, dc: Any, build_datavision: Any, build_des_core: Any, guarded: Any
) -> None:
    pad = b"p" * 100_000
    for archive in (
        build_datavision([dv(b"e1", b"", b""), dv(b"full", b"HELLO", b""), dv(b"e2", b"", b""), dv(b"pad", pad, b"")]),
        build_des_core([dc(b"e1"), dc(b"full", b"HELLO"), dc(b"e2"), dc(b"pad", pad)]),
    ):
        source = guarded(archive)
        reader = DesReader(source)
        sizes(source)
        assert reader.get_file("e1") == reader.get_file("e2") == b""
        assert reader.read_range("e1", 0, 10) == b""
        assert reader.open("e1").read() == b""
        assert sizes(source) == []
        for order in (["full", "e1", "e2"], ["e2", "full"], ["full", "e2"], ["e1", "full", "e2"]):
            assert reader.get_files_batch(order) == {name: b"HELLO" if name == "full" else b"" for name in order}
            assert sizes(source) == [[5]]
        assert [payload for _, payload in reader.scan()] == [b"", b"HELLO", b"", pad]


@pytest.mark.parametrize("count", [1, 5])
def test_a_scan_of_nothing_but_empty_or_external_entries_yields_them(
    count: int, dc: Any, build_des_core: Any, guarded: Any
) -> None:
    rows = [dc(b"%d" % i, size=i, digest=b"a" * 64) if i % 2 else dc(b"%d" % i) for i in range(count)]
    source = guarded(build_des_core(rows))
    scanned = [(entry.name, payload) for entry, payload in DesReader(source).scan()]
    assert scanned == [(str(i), None if i % 2 else b"") for i in range(count)]
    assert source.rounds == [[ByteRange(0, 1)]]


def test_a_scan_holds_so_many_entries_at_a_time_however_small(dc: Any, build_des_core: Any, guarded: Any) -> None:
    source = guarded(build_des_core([dc(b"%d" % i) for i in range(20_000)]))
    reader = DesReader(source)
    source.rounds.clear()
    assert [entry.name for entry, _ in reader.scan()] == [str(i) for i in range(20_000)]
    assert source.rounds == [[ByteRange(0, 1)], [ByteRange(0, 1)]]


def test_a_scan_reads_everything_once_in_large_pieces(big_datavision: bytes, big_des_core: bytes, guarded: Any) -> None:
    for archive in (big_datavision, big_des_core):
        source = guarded(archive)
        reader = DesReader(source)
        sizes(source)
        source.read_bytes = 0
        scanned = [*reader.scan()]
        assert [entry.name for entry, _ in scanned] == SHUFFLED
        assert all(payload == entry.name.encode() + PAYLOAD for entry, payload in scanned)
        assert all(entry.meta == {"n": entry.name} for entry, _ in scanned)
        assert source.read_bytes <= len(archive)
        assert len(source.rounds) <= 2


def test_a_scan_holds_about_eight_mebibytes_at_a_time(dv: Any, build_datavision: Any, guarded: Any) -> None:
    big, small = bytes(3 * 2**20), bytes(100)
    archive = build_datavision([dv(b"%d" % i, big if i % 3 else small) for i in range(12)])
    source = guarded(archive, tail_length=72)
    reader = DesReader(source)
    sizes(source)
    assert [len(payload or b"") for _, payload in reader.scan()] == [len(big if i % 3 else small) for i in range(12)]
    asked = [size for requested in sizes(source) for size in requested]
    assert max(asked) <= 8 * 2**20
    assert sum(asked) < len(archive)


def test_an_entry_over_the_limit_is_not_held(dv: Any, dc: Any, build_datavision: Any, build_des_core: Any) -> None:
    payload = bytes(range(200))
    for archive in (
        build_datavision([dv(b"a", b"1"), dv(b"big", payload), dv(b"z", b"2")]),
        build_des_core([dc(b"a", b"1"), dc(b"big", payload), dc(b"z", b"2")]),
    ):
        with DesReader(archive, max_entry_bytes=199) as reader:
            with pytest.raises(EntryTooLargeError, match=r"'big' has 200 bytes.*max_entry_bytes"):
                reader.get_file("big")
            with pytest.raises(EntryTooLargeError):
                reader.get_files_batch(["a", "big"])
            assert reader.read_range("big", 10, 20) == payload[10:20]
            assert reader.open("big").read() == payload
            assert [found for _, found in reader.scan()] == [b"1", None, b"2"]
        with DesReader(archive, max_entry_bytes=200) as reader:
            assert reader.get_file("big") == payload


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2)])
def test_a_range_must_be_one(start: int, end: int, dc: Any, build_des_core: Any) -> None:
    with DesReader(build_des_core([dc(b"a", b"123")])) as reader, pytest.raises(InvalidInputError, match="0 <= start"):
        reader.read_range("a", start, end)


async def test_an_asynchronous_source_is_asked_for_the_same(
    big_datavision: bytes, guarded: Any, async_guarded: Any
) -> None:
    first, second = guarded(big_datavision), async_guarded(big_datavision)
    reader, twin = DesReader(first), await AsyncDesReader.open(second)
    assert reader.get_files_batch(NAMES[:50]) == await twin.get_files_batch(NAMES[:50])
    assert reader.list_files("n00") == await twin.list_files("n00")
    assert [*reader.scan()] == [scanned async for scanned in twin.scan()]
    assert first.rounds == second.rounds


def test_an_answer_of_another_length_is_refused(big_datavision: bytes, guarded: Any, tmp_path: Path) -> None:
    class Short(guarded):  # type: ignore[misc]
        short = False

        def read_ranges(self, ranges: Any, /) -> list[bytes]:
            return [data[:-1] if self.short else data for data in super().read_ranges(ranges)]

    source = Short(big_datavision)
    reader = DesReader(source)
    source.short = True
    for read in (lambda: reader.get_file(NAMES[0]), reader.list_files, lambda: [*reader.scan()]):
        with pytest.raises(ValueError, match=r"found \d+ bytes, expected \d+"):
            read()
