"""Archives written once and never again: every reader, for ever, must make of them what their manifest says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xxhash
import zstandard
from des_format import AsyncDesReader, DesError, DesReader, DesWriter, EntryNotFoundError, UnsafePathError
from des_format.append import journal_path
from des_format.archive import Archive
from des_format.entry import decode_record
from des_format.layout import FOOTER_SIZE, Footer, decode_footer
from des_format.listing import Directory, Row, decode_block
from des_format.names import safe_path
from des_format.ranges import drive

FOLDER = Path(__file__).parent / "vectors" / "v3"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
VECTORS: list[dict[str, Any]] = MANIFEST["vectors"]


@dataclass(frozen=True)
class Case:
    """One vector, read as a local file, as bytes, or over a source that is no file."""

    vector: dict[str, Any]
    way: str

    def refused(self, operation: str) -> str | None:
        refused: dict[str, str] = self.vector.get("refused", {})
        if operation == "open" and self.way != "source" and "open_local" in refused:
            return refused["open_local"]
        return refused.get(operation)

    @property
    def path(self) -> Path:
        return FOLDER / str(self.vector["file"])

    @property
    def data(self) -> bytes:
        """The archive as someone sees it who does not see its folder: up to the committed footer."""
        data = self.path.read_bytes()
        if "journal_sha256" in self.vector:
            data = data[: int.from_bytes(journal_path(self.path).read_bytes()[16:24], "little")]
        return data

    @property
    def refused_get(self) -> dict[str, str]:
        return dict(self.vector.get("refused_get", {}))

    @property
    def readable(self) -> dict[str, dict[str, Any]]:
        """The entries that can be read by name."""
        rows = {name_of(row["name"]): row for row in self.vector["entries"]}
        return {name: row for name, row in rows.items() if name not in self.refused_get}

    @property
    def absent(self) -> list[str]:
        return list(self.vector.get("absent", ()))

    @property
    def listed(self) -> list[str]:
        """All names, in the order of their UTF-8 bytes."""
        names = self.vector.get("listed") or [row["name"] for row in self.vector["entries"]]
        return sorted(map(name_of, names), key=str.encode)


def name_of(written: str | tuple[str, int]) -> str:
    return written if isinstance(written, str) else written[0] * written[1]


CASES = [Case(vector, way) for vector in VECTORS for way in ("path", "bytes", "source")]
OPENING = [case for case in CASES if not case.refused("open")]
SOUND = [case for case in OPENING if case.way == "source" and not case.vector["file"].startswith("refuse-")]
REWRITTEN = [case for case in SOUND if "rewritten" in case.vector]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[f"{case.vector['file']}-{case.way}" for case in cases])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def refused_as(code: str | None) -> Iterator[None]:
    """What happens inside succeeds for None, and is refused with this error code otherwise."""
    if code is None:
        yield
        return
    with pytest.raises(DesError) as caught:
        yield
    assert caught.value.code == code, repr(caught.value)


@pytest.fixture
def open_case(counting_source: Any) -> Callable[[Case], DesReader]:
    def open_it(case: Case) -> DesReader:
        if case.way == "path":
            return DesReader(case.path)
        # Big files lie in a folder, which bytes do not have.
        needs_folder = case.vector.get("beside") or "big_file_missing" in case.refused_get.values()
        if case.way == "bytes" and not needs_folder:
            return DesReader(case.data)
        return DesReader(counting_source(case.data, FOLDER))

    return open_it


OpenCase = Callable[[Case], DesReader]


@each([case for case in CASES if case.way == "path"])
def test_a_vector_is_what_was_written_once(case: Case) -> None:
    data = case.path.read_bytes()
    assert (len(data), sha256(data)) == (case.vector["size"], case.vector["sha256"])
    for key, digest in case.vector.get("beside", {}).items():
        assert sha256((FOLDER / key).read_bytes()) == digest
    if "journal_sha256" in case.vector:
        assert sha256(journal_path(case.path).read_bytes()) == case.vector["journal_sha256"]


def test_the_manifest_names_every_file() -> None:
    named = {"manifest.json"}
    for vector in VECTORS:
        named |= {vector["file"], *vector.get("beside", ())}
        named |= {f"{vector['file']}.append"} if "journal_sha256" in vector else set()
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()} == named


@each([case for case in CASES if case.refused("open")])
def test_an_archive_that_breaks_the_format_does_not_open(case: Case, open_case: OpenCase) -> None:
    with refused_as(case.refused("open")):
        open_case(case)


@each(OPENING)
def test_every_payload_is_read_or_refused(case: Case, open_case: OpenCase) -> None:
    with open_case(case) as reader:
        for name, row in case.readable.items():
            payload = reader.get_file(name)
            assert (len(payload), sha256(payload)) == (row["size"], row["sha256"])
        for name, code in case.refused_get.items():
            with refused_as(code):
                reader.get_file(name)
        for name in case.absent:
            assert name not in reader
            with pytest.raises(EntryNotFoundError):
                reader.get_file(name)


@each(OPENING)
def test_a_batch_reads_all_or_is_refused(case: Case, open_case: OpenCase) -> None:
    with open_case(case) as reader:
        batch = reader.get_files_batch([*case.absent, *case.readable])
        assert {name: sha256(data) for name, data in batch.items()} == {
            name: row["sha256"] for name, row in case.readable.items()
        }
        for name, code in case.refused_get.items():
            if code == "entry_not_found":
                assert reader.get_files_batch([name]) == {}
                continue
            with refused_as(code):
                reader.get_files_batch([*case.readable, name])


@each(OPENING)
def test_every_entry_is_described_or_refused(case: Case, open_case: OpenCase) -> None:
    refused = case.vector.get("refused_meta", {})
    with open_case(case) as reader:
        for name, row in case.readable.items():
            if name in refused:
                continue
            entry = reader.get_entry(name)
            assert (entry.name, entry.size, entry.is_external) == (name, row["size"], row.get("external", False))
            assert reader.get_meta(name) == entry.meta == row.get("meta", {})
            assert entry.sha256 == (row["sha256"] if entry.is_external else None)
        for name, code in refused.items():
            with refused_as(code):
                reader.get_meta(name)


@each(OPENING)
def test_a_listing_is_complete_and_in_order_or_refused(case: Case, open_case: OpenCase) -> None:
    with open_case(case) as reader, refused_as(case.refused("list")):
        assert reader.list_files() == case.listed
        for prefix in sorted({name[:size] for name in case.listed[:40] for size in (1, 2, 3, 5, len(name))}):
            assert reader.list_files(prefix) == [name for name in case.listed if name.startswith(prefix)], prefix
        for entry in reader.entries():
            row = case.readable.get(entry.name)
            if row:
                assert (entry.size, entry.meta, entry.is_external) == (
                    row["size"], row.get("meta", {}), row.get("external", False),
                )  # fmt: skip


@each(OPENING)
def test_a_scan_yields_every_entry_in_order_or_is_refused(case: Case, open_case: OpenCase) -> None:
    found = []
    with open_case(case) as reader, refused_as(case.refused("scan")):
        for entry, payload in reader.scan():
            found.append((entry.name, entry.size, payload if payload is None else sha256(payload)))
    expected = [
        (name_of(row["name"]), row["size"], None if row.get("external") else row["sha256"])
        for row in case.vector["entries"]
    ]
    assert found == expected[: len(found)]
    assert case.refused("scan") or len(found) == len(expected)


@each([case for case in OPENING if case.way == "source"])
async def test_the_asynchronous_reader_agrees(case: Case, async_counting_source: Any) -> None:
    reader = await AsyncDesReader.open(async_counting_source(case.data, FOLDER))
    batch = await reader.get_files_batch([*case.absent, *case.readable])
    assert {name: sha256(data) for name, data in batch.items()} == {
        name: row["sha256"] for name, row in case.readable.items()
    }
    for name, code in case.refused_get.items():
        with refused_as(code):
            await reader.get_file(name)
    with refused_as(case.refused("list")):
        assert await reader.list_files() == case.listed
    with refused_as(case.refused("scan")):
        assert [entry.name async for entry, _ in reader.scan()] == [
            name_of(row["name"]) for row in case.vector["entries"]
        ]


@each(OPENING)
def test_a_verification_finds_everything_that_is_wrong_and_nothing_else(case: Case, open_case: OpenCase) -> None:
    with open_case(case) as reader:
        assert reader.verify().ok is not case.vector["file"].startswith("refuse-")


@each([case for case in OPENING if case.way == "source"])
def test_a_payload_takes_one_round_of_reads(case: Case, counting_source: Any) -> None:
    for name, row in case.readable.items():
        source = counting_source(case.data, FOLDER)
        reader = DesReader(source)
        assert (source.tail_reads, source.rounds) == ([64 * 1024], [])
        index_in_tail = reader.core.footer.index_start >= len(case.data) - 64 * 1024
        reader.get_file(name)
        same_tag = 1 if case.vector["file"] == "equal-tags.des" else 0
        rounds = 1 + (not index_in_tail) + bool(row.get("external") and row["size"])
        assert rounds <= len(source.rounds) <= rounds + same_tag


def test_a_search_visits_four_blocks_at_most(counting_source: Any) -> None:
    source = counting_source((FOLDER / "refuse-endless.des").read_bytes())
    archive = Archive(DesReader(source).core.footer)
    assert archive.footer.index_block_count == 5
    assert drive(archive.find("absent"), source) is None
    assert len(source.rounds) == 4


def test_an_archive_of_a_later_minor_version_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "future.des"
    path.write_bytes((FOLDER / "future.des").read_bytes())
    with refused_as("unsupported_format"):
        DesWriter.append(path)
    assert path.read_bytes() == (FOLDER / "future.des").read_bytes()
    assert not journal_path(path).exists()


@each([case for case in CASES if case.vector.get("unsafe") and case.way == "path"])
def test_an_unsafe_name_never_becomes_a_path(case: Case) -> None:
    for name in case.vector["unsafe"]:
        with pytest.raises(UnsafePathError):
            safe_path(Path("target"), name)


@each([case for case in CASES if "journal_sha256" in case.vector and case.way == "path"])
def test_an_interrupted_append_without_its_journal_is_refused(case: Case) -> None:
    with refused_as("corrupt_archive"):
        DesReader(case.path.read_bytes())


def chain_of(data: bytes) -> list[Footer]:
    chain = [decode_footer(data, archive_size=len(data))]
    while chain[-1].previous_footer:
        size = chain[-1].previous_footer + FOOTER_SIZE
        chain.append(decode_footer(data[:size], archive_size=size))
    return chain[::-1]


@each(SOUND)
def test_the_content_digest_covers_data_and_its_history(case: Case) -> None:
    digest = b""
    for footer in chain_of(case.data):
        digest = xxhash.xxh3_128(digest + case.data[footer.data_start : footer.meta_start]).digest()
        assert footer.content_digest == digest


@each(SOUND)
def test_the_magic_and_the_checksum_of_a_record_find_exactly_the_records(case: Case) -> None:
    data, found, at = case.data, [], case.data.find(b"DESE")
    while at >= 0:
        try:
            record = decode_record(data[at:], at)
        except DesError:
            pass
        else:
            found.append(record.name.decode())
        at = data.find(b"DESE", at + 1)
    footer = chain_of(data)[-1]
    has_dictionary = ["dictionary"] if footer.dictionary_length else []
    assert found == has_dictionary + [name_of(row["name"]) for row in case.vector["entries"]]


def rows_of(data: bytes, footer: Footer) -> list[Row]:
    directory = Directory.decode(
        data[footer.directory_start : footer.directory_start + footer.directory_length],
        meta_start=footer.meta_start,
        meta_length=footer.meta_length,
        expected_checksum=footer.directory_checksum,
    )
    return [row for block in directory.rows for row in decode_block(data[block.start : block.end], block)]


@each(REWRITTEN)
def test_the_writer_still_writes_the_same_archive(case: Case, tmp_path: Path) -> None:
    options, expected = case.vector["rewritten"], case.data
    path, at = tmp_path / "again.des", 0
    with DesReader(case.path) as reader:
        for number, count in enumerate(options["groups"]):
            add = DesWriter.append if number else DesWriter
            with add(path, compression=options["compression"]) as writer:
                for row in case.vector["entries"][at : at + count]:
                    name, external = name_of(row["name"]), row.get("external", False)
                    writer.add_file(name, reader.get_file(name), row.get("meta"), force_external=external)
            at += count
    written = path.read_bytes()
    if ".".join(map(str, zstandard.ZSTD_VERSION)) == MANIFEST["zstd"]:
        assert written == expected
    # META, and with it the places of what follows, is as long as this version of zstd makes it.
    for new, old in zip(chain_of(written), chain_of(expected), strict=True):
        if options["compression"] == "none" and not new.previous_footer:
            assert written[: new.meta_start] == expected[: old.meta_start]
        assert [row[:2] for row in rows_of(written, new)] == [row[:2] for row in rows_of(expected, old)]
        for field in ("entry_count", "raw_bytes", "external_count", "external_bytes", "index_block_count", "hash_seed"):
            assert getattr(new, field) == getattr(old, field)
