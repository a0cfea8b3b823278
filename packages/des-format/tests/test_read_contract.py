"""The requests of every read, counted: docs/format.md, section "Read contract"."""

from pathlib import Path
from typing import Any, Protocol

import pytest
from des_format import AsyncDesReader, Compression, DesReader, DesWriter, EntryNotFoundError, TransferCost
from des_format.append import open_committed
from des_format.archive import Archive
from des_format.hashtable import block_count, block_of, build_index, name_hash
from des_format.layout import Footer
from des_format.ranges import Tail, drive

NAMES = [f"folder/{i:05d}" for i in range(5000)]


class MakeArchive(Protocol):
    def __call__(self, entries: Any, name: str = ..., **options: Any) -> Path: ...


@pytest.fixture
def source(make_archive: MakeArchive, counting_source: Any) -> Any:
    """An archive of 5,000 entries, whose index does not fit into the tail read."""
    path = make_archive({name: name.encode() * 20 for name in NAMES}, compression="none")
    return counting_source(path.read_bytes())


def footer_of(source: Any) -> Footer:
    footer: Footer = DesReader(source).core.footer
    source.forget()
    return footer


def far_names() -> list[str]:
    """Names whose index block lies before the tail read."""
    return [name for name in NAMES if block_of(name_hash(name.encode()), block_count(len(NAMES))) < 10]


def test_a_cold_get_takes_one_tail_one_block_and_one_payload(source: Any) -> None:
    name = far_names()[0]
    assert DesReader(source).get_file(name) == name.encode() * 20
    assert source.tail_reads == [65536]
    assert [len(requested) for requested in source.rounds] == [1, 1]
    assert [requested[0].size for requested in source.rounds] == [4096, 36 + 12 + 240]


def test_a_small_archive_brings_its_whole_index_with_the_tail(make_archive: MakeArchive, counting_source: Any) -> None:
    path = make_archive({name: name.encode() for name in NAMES[:2800]}, compression="none")
    source = counting_source(path.read_bytes())
    reader = DesReader(source)
    for name in NAMES[:2800:100]:
        source.forget()
        assert reader.get_file(name) == name.encode()
        assert [len(requested) for requested in source.rounds] == [1]


def test_with_known_geometry_a_get_takes_two_reads_and_with_its_block_one(source: Any) -> None:
    archive = Archive(footer_of(source))
    assert drive(archive.get(NAMES[7]), source)[1] == NAMES[7].encode() * 20
    assert [len(requested) for requested in source.rounds] == [1, 1]
    source.forget()
    drive(archive.get(NAMES[7]), source)
    assert [len(requested) for requested in source.rounds] == [1]


def test_a_known_entry_takes_one_read(source: Any) -> None:
    reader = DesReader(source)
    entry = reader.get_entry(NAMES[3])
    source.forget()
    assert reader._run(reader.core.read_entry_range(entry, 0, entry.size)) == NAMES[3].encode() * 20
    assert [len(requested) for requested in source.rounds] == [1]


def test_a_batch_takes_one_round_of_blocks_and_one_of_payloads(source: Any) -> None:
    reader = DesReader(source, cost=TransferCost(request_bytes=0))
    source.forget()
    names = NAMES[::50]
    assert list(reader.get_files_batch(names)) == names
    assert len(source.rounds) == 2
    blocks, payloads = source.rounds
    assert len(blocks) <= 27
    assert len(payloads) == 100


def test_neighbouring_payloads_of_a_batch_share_a_request(source: Any) -> None:
    reader = DesReader(source, cost=TransferCost(request_bytes=64 * 1024))
    source.forget()
    reader.get_files_batch(NAMES[100:200])
    assert len(source.rounds[-1]) == 1
    assert source.rounds[-1][0].size == 100 * (36 + 12 + 240)


def test_a_missing_entry_takes_its_block_alone(source: Any) -> None:
    reader = DesReader(source)
    source.forget()
    assert "nope" not in reader
    assert [len(requested) for requested in source.rounds] in ([1], [])
    source.forget()
    assert reader.get_files_batch(["nope"]) == {}
    assert source.rounds == []


def test_an_empty_archive_answers_without_a_read(make_archive: MakeArchive, counting_source: Any) -> None:
    source = counting_source(make_archive({}).read_bytes())
    reader = DesReader(source)
    assert reader.get_files_batch(["a"]) == {}
    assert source.rounds == []
    assert reader.list_files() == []


def test_metadata_takes_one_read_after_its_block_unless_it_is_large(
    make_archive: MakeArchive, counting_source: Any
) -> None:
    path = make_archive({"small": (b"x" * 100_000, {"a": 1}), "large": (b"", {"a": "y" * 10_000})}, compression="none")
    source = counting_source(path.read_bytes())
    reader = DesReader(source)
    for name, reads in (("small", 1), ("large", 2)):
        source.forget()
        reader.get_meta(name)
        assert len(source.rounds) == reads
        assert sum(requested[0].size for requested in source.rounds) < 20_000


def test_listing_a_prefix_takes_the_directory_and_the_blocks_that_hold_it(source: Any) -> None:
    reader = DesReader(source)
    source.forget()
    assert reader.list_files("folder/0123") == [f"folder/0123{i}" for i in range(10)]
    assert [len(requested) for requested in source.rounds] == [1, 1]
    source.forget()
    assert len(reader.list_files()) == 5000
    assert len(source.rounds) == len(reader._run(reader.core.pages()))


def test_a_dictionary_comes_with_the_first_payload(make_archive: MakeArchive, counting_source: Any) -> None:
    records = {f"{i}": f'{{"number":{i},"user":"u{i * 7919 % 1000}","city":"Warszawa"}}'.encode() for i in range(4000)}
    path = make_archive(records, compression=Compression(dictionary="auto"))
    source = counting_source(path.read_bytes())
    reader = DesReader(source, cost=TransferCost(request_bytes=0))
    assert reader.core.footer.dictionary_length
    source.forget()
    assert reader.get_file("3999") == records["3999"]
    assert len(source.rounds) <= 2
    assert len(source.rounds[-1]) == 2
    source.forget()
    assert reader.get_file("3998") == records["3998"]
    assert len(source.rounds[-1]) == 1


def test_the_header_is_never_read_over_a_range_source(source: Any) -> None:
    reader = DesReader(source)
    reader.get_file(NAMES[9])
    reader.list_files("folder/00")
    assert all(requested.start >= 32 for round_ in source.rounds for requested in round_)


async def test_the_asynchronous_reader_makes_the_same_requests(source: Any, async_counting_source: Any) -> None:
    twin = async_counting_source(source.read_tail(10**9).data)
    source.forget()
    names = NAMES[10:4000:500]
    DesReader(source).get_files_batch(names)
    await (await AsyncDesReader.open(twin)).get_files_batch(names)
    assert (twin.tail_reads, twin.rounds) == (source.tail_reads, source.rounds)


def test_nothing_is_asked_for_where_there_is_nothing_to_read(make_archive: MakeArchive, counting_source: Any) -> None:
    path = make_archive({"a": b""}, compression="none")
    with DesWriter(path, overwrite=True) as writer:
        writer.add_file("external", b"", force_external=True)
        writer.add_file("inline", b"")
    source = counting_source(path.read_bytes(), path.parent)
    reader = DesReader(source)
    assert reader.get_files_batch(["external", "inline"]) == {"external": b"", "inline": b""}
    assert reader.read_range("external", 0, 10) == b""
    assert reader.open("inline").read() == b""
    assert all(requested.size for round_ in source.rounds for requested in round_)


@pytest.mark.parametrize("count", [1, 2])
def test_places_of_other_names_are_read_and_are_not_the_entry(
    make_archive: MakeArchive, counting_source: Any, count: int
) -> None:
    source = counting_source(make_archive({"a": b"1", "b": b"2"}, compression="none").read_bytes())
    entries = [DesReader(source).get_entry(name) for name in "ab"][:count]
    footer = footer_of(source)
    # As if the hashes of these names were that of another one, to which a block that is held leads.
    index = build_index(
        [name_hash(b"other")] * count, [one.offset for one in entries], [one.length for one in entries], 1
    )
    assert index is not None
    archive = Archive(footer)
    data = source.read_tail(10**9).data
    archive.keep_blocks(Tail(data[: footer.index_start] + index, footer.index_start + len(index)))
    source.forget()
    with pytest.raises(EntryNotFoundError):
        drive(archive.get("other"), source)
    assert len(source.rounds) == count
    assert drive(archive.get_many(["other"]), source) == {}
    assert len(source.rounds) == 2 * count


def test_big_files_beside_the_archive_are_read_warm_as_they_are_cold(tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    with DesWriter(path, big_file_threshold=1000) as writer:
        writer.add_file("big", b"x" * 2000)
        writer.add_file("small", b"y")
    with DesReader(path) as reader:
        core, source = reader.core, open_committed(path)
        for _ in range(2):
            assert drive(core.get("big"), source)[1] == b"x" * 2000
            assert drive(core.get("small"), source)[1] == b"y"
        source.close()
