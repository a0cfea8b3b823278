"""Archives that lie, with valid checksums around each lie: an error or a right answer, in bounded memory and time."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lz4.frame
import pytest
import xxhash
import zstandard
from des_format import CorruptArchiveError, DesReader, EntryNotFoundError, UnsupportedFormatError
from des_format.checksum import checksum32, checksum64
from des_format.entry import encode_record
from des_format.hashtable import name_hash
from des_format.layout import BLOCK_SIZE, FOOTER_SIZE, HEADER_SIZE
from des_format.listing import Row

if TYPE_CHECKING:
    from .conftest import Forgery

MIB = 2**20
Said = dict[str, str]
Probe = Callable[..., Said]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory need Linux")


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Let another process, with limits, read everything of an archive."""

    def run(data: bytes, *names: str) -> Said:
        path = tmp_path / "hostile.des"
        path.write_bytes(data)
        script = Path(__file__).with_name("probe.py")
        command = [sys.executable, str(script), str(path), json.dumps(names or ["a"])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said: Said = json.loads(done.stdout)
        assert not {read: result for read, result in said.items() if result.startswith("!")}
        return said

    return run


def refused(said: Said, *reads: str) -> bool:
    """Whether these reads failed, locally and remotely, and `verify` reported a problem."""
    results = [said[f"{label} {read}"] for label in ("local", "remote") for read in reads]
    return "ok" not in results and {said["local verify"], said["remote verify"]} == {"problems"}


def zstd_frame(promised: int, payload: bytes) -> bytes:
    """A frame that promises another content size than it has, and needs a window of 128 KiB."""
    frame = zstandard.compress(payload, 1)
    body = frame[zstandard.frame_header_size(frame) :]
    return frame[:4] + b"\xc0\x38" + promised.to_bytes(8, "little") + body


def lz4_frame(promised: int, payload: bytes) -> bytes:
    """A frame that promises another content size than it has."""
    frame = bytearray(lz4.frame.compress(payload, store_size=True))
    frame[6:14] = promised.to_bytes(8, "little")
    frame[14] = xxhash.xxh32_intdigest(bytes(frame[4:14])) >> 8 & 0xFF
    return bytes(frame)


# -- payloads that expand -------------------------------------------------------------------------


@pytest.mark.parametrize("promised", [2**40, 2**63, 2**64 - 2, 900 * MIB, 17 * MIB])
def test_a_zstd_payload_that_promises_more_than_it_holds_is_refused(
    forgery: Forgery, probe: Probe, promised: int
) -> None:
    forgery.add(b"a", zstd_frame(promised, b"x" * 100), codec=1, raw_length=promised)
    assert refused(probe(forgery.seal()), "get a", "batch", "range a", "scan")


@pytest.mark.parametrize("stated", [10, 17 * MIB])
def test_a_zstd_payload_that_holds_more_than_it_promises_is_refused(
    forgery: Forgery, probe: Probe, stated: int
) -> None:
    forgery.add(b"a", zstd_frame(stated, bytes(700 * MIB)), codec=1, raw_length=stated)
    assert refused(probe(forgery.seal()), "get a", "batch", "range a", "scan")


def test_a_zstd_frame_without_a_size_is_refused(forgery: Forgery, probe: Probe) -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(MIB))
    forgery.add(b"a", frame, codec=1, raw_length=MIB)
    assert refused(probe(forgery.seal()), "get a", "scan")


@pytest.mark.parametrize("promised", [10, 700 * MIB, 2**40])
def test_an_lz4_payload_of_another_size_than_promised_is_refused(forgery: Forgery, probe: Probe, promised: int) -> None:
    frame = lz4_frame(promised, bytes(300 * MIB))
    forgery.add(b"a", frame[: 64 * 1024], codec=2, raw_length=promised)
    forgery.add(b"b", frame, codec=2, raw_length=promised)
    assert refused(probe(forgery.seal(), "a", "b"), "get a", "get b", "batch", "range a", "scan")


# -- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"\xff\xfe", b"nul\0", b"", b"\xed\xa0\x80", b"\xc0\x80"])
def test_names_that_no_writer_accepts_are_refused(forgery: Forgery, probe: Probe, name: bytes) -> None:
    forgery.add(b"a", b"payload")
    forgery.add(name, b"payload of a nameless entry")
    said = probe(forgery.seal(), "a")
    assert refused(said, "entries", "scan")
    assert said["local get a"] == said["remote get a"] == "ok"


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"kind": 3}, b"x"),
        ({"kind": 255}, b"x"),
        ({"codec": 3}, b"x"),
        ({"codec": 1}, b"no zstd frame"),
        ({"codec": 2, "raw_length": 9}, b"no lz4 frame"),
        ({"codec": 1, "raw_length": 0}, b""),
        ({"codec": 2, "raw_length": 0}, b""),
        ({"kind": 1, "raw_length": 5}, b"31 bytes are no SHA-256 digest"),
        ({"kind": 1, "codec": 1, "raw_length": 5}, b"s" * 32),
        ({"dictionary": 7, "codec": 1, "raw_length": 5}, zstandard.compress(b"12345")),
    ],
)
def test_records_that_contradict_themselves_are_refused(
    forgery: Forgery, probe: Probe, changes: dict[str, Any], stored: bytes
) -> None:
    forgery.add(b"a", stored, **changes)
    assert refused(probe(forgery.seal()), "get a", "scan")


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 2**40, 5])
def test_an_external_entry_of_any_size_without_its_object_is_refused(
    forgery: Forgery, probe: Probe, tmp_path: Path, size: int
) -> None:
    forgery.add(b"a", b"d" * 32, kind=1, raw_length=size)
    assert refused(probe(forgery.seal()), "get a", "range a", "file a")
    (tmp_path / "_bigFiles").mkdir()
    (tmp_path / "_bigFiles" / (b"d" * 32).hex()).write_bytes(b"few")
    assert refused(probe(forgery.seal()), "get a", "range a")


@pytest.mark.parametrize(
    "meta",
    [
        b"[" * 200_000,
        b'{"n":' + b"9" * 100_000 + b"}",
        b"[1]",
        b"null",
        b"\xff\xfe{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":1} x',
    ],
)
def test_metadata_that_is_no_json_object_is_refused(forgery: Forgery, probe: Probe, meta: bytes) -> None:
    forgery.add(b"a", b"payload", meta=meta)
    assert refused(probe(forgery.seal()), "entry a", "entries", "scan")


# -- the index ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        (2**64 - 1, 50),
        (2**63, 50),
        (2**63 - 1, 2**32 - 1),
        (0, HEADER_SIZE + 50),
        (HEADER_SIZE, 1),
        (HEADER_SIZE, 2**32 - 1),
        (HEADER_SIZE + 1, 50),
        (HEADER_SIZE + 40, 36),
    ],
)
def test_an_index_that_points_anywhere_is_refused(forgery: Forgery, probe: Probe, place: tuple[int, int]) -> None:
    forgery.add(b"a", b"payload " * 10)
    said = probe(forgery.seal(index=forgery.index([(b"a", *place)])))
    assert said["remote get a"] != "ok"
    assert said["local verify"] == said["remote verify"] == "problems"
    # A local reader may go by the record, which proves itself, whatever length the index states.
    assert said["local get a"] == said["remote get a"] or place[0] == HEADER_SIZE


def test_an_index_that_leads_to_other_entries_finds_nothing_wrong(forgery: Forgery, probe: Probe) -> None:
    a, b = forgery.add(b"a", b"payload a"), forgery.add(b"b", b"payload b")
    swapped = forgery.index([(b"a", b.offset, b.length), (b"b", a.offset, a.length)])
    assert refused(probe(forgery.seal(index=swapped), "a", "b"), "get a", "get b", "entry a")


def one_tag_index(slots: list[tuple[int, int]], name: bytes) -> bytearray:
    """One block whose slots all carry the tag of `name`."""
    tag = name_hash(name) >> 8 & 0xFFFFFFFF
    block = b"".join(struct.pack("<QII", offset, tag, length) for offset, length in slots)
    return bytearray(block.ljust(BLOCK_SIZE, b"\0"))


def nested_heads(base: int, size: int, count: int) -> bytes:
    """Heads of entries `n`, forged for their places from `base` on; each claims all that follows as its payload."""
    nested = bytearray()
    for _ in range(count):
        claimed = size - len(nested) - 37
        head = bytearray(encode_record(base + len(nested), 0, 0, b"n", b"", b"", 0, 0))
        head[16:20], head[24:32] = claimed.to_bytes(4, "little"), claimed.to_bytes(8, "little")
        head[4:8] = checksum32(bytes(head[8:]), base + len(nested)).to_bytes(4, "little")
        nested += head
    return bytes(nested.ljust(size, b"\0"))


def nested_places(base: int, size: int, count: int) -> list[tuple[int, int]]:
    return [(base + 37 * i, size - 37 * i) for i in range(count)]


def test_many_candidates_for_one_name_do_not_cost_the_archive_each(
    forgery: Forgery, probe: Probe, counting_source: Any
) -> None:
    size = 4 * MIB
    row = forgery.add(b"b", nested_heads(len(forgery.data) + 37, size, 255))
    for places in ([(row.offset, row.length)] * 255, nested_places(row.offset + 37, size, 255)):
        data = forgery.seal(index=one_tag_index(places, b"a"))
        assert refused(probe(data), "get a", "entry a")
        source = counting_source(data)
        reader = DesReader(source)
        with pytest.raises((CorruptArchiveError, EntryNotFoundError)):
            reader.get_file("a")
        assert sum(part.size for parts in source.rounds for part in parts) < 2 * size


def test_a_batch_does_not_copy_one_range_for_each_name(forgery: Forgery, probe: Probe) -> None:
    size = 24 * MIB
    names = [f"n{i}" for i in range(60)]
    row = forgery.add(b"b", nested_heads(len(forgery.data) + 37, size, 60))
    for places in ([(row.offset, row.length)] * 60, nested_places(row.offset + 37, size, 60)):
        slots = [(name.encode(), *place) for name, place in zip(names, places, strict=True)]
        said = probe(forgery.seal(index=forgery.index(slots)), *names)
        results = {said[f"{label} get {name}"] for label in ("local", "remote") for name in names}
        assert results <= {"CorruptArchiveError", "EntryNotFoundError"}


def test_a_chain_of_full_blocks_is_followed_only_as_far_as_writers_go(forgery: Forgery, counting_source: Any) -> None:
    for i in range(3):
        forgery.add(b"%d" % i, b"payload")
    row = forgery.rows[0]
    slots = struct.pack("<QII", row.offset, 0xFFFFFFFF, row.length) * 255
    block = slots + struct.pack("<I12x", 1)
    source = counting_source(forgery.seal(index=bytearray(block * 2000), entry_count=2000 * 255))
    reader = DesReader(source)
    source.forget()
    assert "a missing name" not in reader
    assert len(source.rounds) <= 4


# -- META -----------------------------------------------------------------------------------------


def region(
    raw: bytes, *, raw_length: int | None = None, entry_count: int = 1, first: bytes = b"a"
) -> tuple[bytes, bytes]:
    """A META of one block that decompresses to `raw`."""
    stored = zstandard.ZstdCompressor(level=1).compress(raw)
    if raw_length is not None:
        stored = zstd_frame(raw_length, raw)
    length = len(raw) if raw_length is None else raw_length
    head = struct.pack("<IIIHQ", len(stored), length, entry_count, len(first), checksum64(stored))
    return stored, struct.pack("<I", 1) + head + first


def columns(rows: Sequence[tuple[int, ...]]) -> bytes:
    """The fixed part of a META block, from `(shared, fresh, meta, kind, codec, length, raw, offset)`."""
    widths = (2, 2, 4, 1, 1, 4, 8, 8)
    parts = [struct.pack("<I", len(rows))]
    for column, width in enumerate(widths):
        encoded = b"".join(row[column].to_bytes(width, "little") for row in rows)
        parts += [encoded[plane::width] for plane in range(width)]
    return b"".join(parts)


SHARED_NAMES = columns([(0, 65535, 0, 0, 0, 50, 1, 32)] + [(65535, 0, 0, 0, 0, 50, 1, 32)] * 9000) + b"n" * 65535


@pytest.mark.parametrize(
    "meta",
    [
        region(b"", entry_count=0),
        region(b"abc"),
        region(struct.pack("<I", 2**32 - 1), entry_count=2**32 - 1),
        region(columns([(5, 1, 0, 0, 0, 50, 1, 32)]) + b"a"),
        region(columns([(0, 9, 0, 0, 0, 50, 1, 32)]) + b"a"),
        region(columns([(0, 1, 2**32 - 1, 0, 0, 50, 1, 32)]) + b"a"),
        region(columns([(0, 1, 0, 2, 0, 50, 1, 32)]) + b"a"),
        region(columns([(0, 1, 0, 0, 9, 50, 1, 32)]) + b"a"),
        region(columns([(0, 1, 0, 0, 0, 3, 1, 32)]) + b"a"),
        region(columns([(0, 1, 0, 0, 0, 50, 1, 32)] * 2) + b"ba", entry_count=2),
        region(bytes(300 * MIB), raw_length=17 * MIB),
        region(bytes(300 * MIB)),
        region(SHARED_NAMES, entry_count=9001),
        (b"", struct.pack("<I", 2**32 - 1)),
        (b"", struct.pack("<IIIIHQ", 1, 0, 0, 2**32 - 1, 65535, 0)),
        (b"", b""),
        (b"", b"\0"),
    ],
    ids=lambda meta: f"{len(meta[0])}-{meta[1][:12].hex()}",
)
def test_a_listing_that_lies_is_refused(forgery: Forgery, probe: Probe, meta: tuple[bytes, bytes]) -> None:
    forgery.add(b"a", b"payload")
    said = probe(forgery.seal(meta=meta))
    assert {said["local verify"], said["remote verify"], said["local sample"]} == {"problems"}
    assert said["local get a"] == said["remote get a"] == "ok"


# -- the footer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 2**32, 1])
@pytest.mark.parametrize(
    "field",
    "archive_size data_start data_length meta_start meta_length directory_length index_start index_block_count"
    " entry_count dictionary_start dictionary_length previous_footer external_count external_bytes".split(),
)
def test_a_footer_that_states_any_number_is_refused_or_harmless(forgery: Forgery, field: str, value: int) -> None:
    forgery.add(b"a", b"payload")
    truth = getattr(DesReader(forgery.seal()).core.footer, field)
    changes: dict[str, Any] = {field: value if value != truth else truth + 1}
    data = forgery.seal(**changes)
    try:
        reader = DesReader(data)
    except (CorruptArchiveError, UnsupportedFormatError):
        return
    assert not reader.verify().ok
    stats = reader.get_stats()
    assert min(stats.internal_files, stats.internal_size_bytes, stats.archive_size_bytes, len(reader)) >= 0


def test_a_footer_cannot_be_its_own_predecessor(forgery: Forgery, probe: Probe) -> None:
    forgery.add(b"a", b"payload")
    size = len(forgery.seal())
    for previous in (size - FOOTER_SIZE, size, size * 2, HEADER_SIZE):
        assert probe(forgery.seal(previous_footer=previous))["local open"] == "CorruptArchiveError"


def test_a_chain_of_very_many_footers_is_followed_in_linear_time(forgery: Forgery, probe: Probe) -> None:
    digest = b""
    start = HEADER_SIZE
    for _ in range(4000):
        forgery.data = bytearray(forgery.seal(data_start=start, previous_digest=digest))
        start, digest = len(forgery.data), bytes(forgery.data[-32:-16])
    forgery.add(b"a", b"payload")
    said = probe(forgery.seal(data_start=start, previous_digest=digest))
    assert set(said.values()) == {"ok"}


def test_unknown_features_are_refused(forgery: Forgery) -> None:
    forgery.add(b"a", b"payload")
    data = bytearray(forgery.seal())
    for start, end in ((0, HEADER_SIZE), (len(data) - FOOTER_SIZE, len(data))):
        changed = bytearray(data)
        changed[start + 10] |= 1
        changed[end - 8 : end] = checksum64(bytes(changed[start : end - 8])).to_bytes(8, "little")
        with pytest.raises(UnsupportedFormatError, match="newer"):
            DesReader(bytes(changed))


# -- the dictionary -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"\x37\xa4\x30\xec" + (77).to_bytes(4, "little") + b"garbage" * 20]
)
def test_a_dictionary_that_is_none_is_refused(forgery: Forgery, probe: Probe, content: bytes) -> None:
    forgery.add(b"dictionary", content, kind=2, dictionary=77)
    forgery.add(b"a", zstandard.compress(b"12345"), codec=1, raw_length=5, dictionary=77)
    assert refused(probe(forgery.seal()), "get a", "scan")


def test_an_entry_is_no_dictionary(forgery: Forgery, probe: Probe) -> None:
    row = forgery.add(b"a", b"payload")
    forgery.dictionary_span = (row.offset, row.length)
    forgery.add(b"b", zstandard.compress(b"12345"), codec=1, raw_length=5, dictionary=77)
    assert refused(probe(forgery.seal(), "b"), "get b", "scan")


# -- work that could grow with the square of the size -----------------------------------------------


def fake_heads(size: int) -> bytes:
    """Heads, one after the other, each of which claims nearly everything after it as its metadata."""
    heads = bytearray()
    while len(heads) < size:
        meta = max(0, min(size - len(heads) - 100, 16 * MIB))
        heads += struct.pack("<4sIBBHIIIQI", b"DESE", 1, 0, 0, 1, meta, 0, 0, 0, 0)
    return bytes(heads)


def test_a_payload_full_of_false_heads_costs_linear_time(forgery: Forgery, probe: Probe) -> None:
    damaged = forgery.add(b"a", fake_heads(6 * MIB))
    forgery.add(b"b", b"payload")
    data = bytearray(forgery.seal())
    data[damaged.offset] ^= 1
    said = probe(bytes(data), "b")
    assert said["remote get b"] == said["salvage"] == said["saved"] == "ok"


def test_an_index_full_of_false_places_costs_linear_time(forgery: Forgery, probe: Probe) -> None:
    forgery.add(b"a", fake_heads(4 * MIB))
    slots = [(b"%d" % i, offset, 36) for i, offset in enumerate(range(HEADER_SIZE + 37, 4 * MIB, 36))]
    data = bytearray(forgery.seal(index=forgery.index(slots), entry_count=len(slots)))
    data[HEADER_SIZE] ^= 1
    said = probe(bytes(data), "a")
    assert said["local verify"] == said["remote verify"] == "problems"


def test_valid_heads_inside_damaged_payloads_cost_linear_time(forgery: Forgery, probe: Probe) -> None:
    """Each is forged for its place, so its head is good, and claims the rest of the file as its payload."""
    size = 4 * MIB
    damaged = forgery.add(b"a", nested_heads(len(forgery.data) + 37, size, size // 37))
    forgery.add(b"b", b"payload")
    data = bytearray(forgery.seal())
    data[damaged.offset] ^= 1
    said = probe(bytes(data), "b")
    assert said["remote get b"] == said["salvage"] == "ok"


@pytest.mark.parametrize(("at", "value"), [(15, 1), (19, 2), (15, 0x7F), (19, 0xFF)])
def test_a_scan_fetches_nothing_for_a_size_that_a_damaged_head_states(
    forgery: Forgery, counting_source: Any, at: int, value: int
) -> None:
    first = forgery.add(b"a", b"payload")
    for name in (b"b", b"c", b"d", b"e"):
        forgery.add(name, bytes(10 * MIB))
    data = bytearray(forgery.seal())
    data[first.offset + at] = value
    source = counting_source(bytes(data))
    with pytest.raises(CorruptArchiveError):
        list(DesReader(source).scan())
    assert sum(part.size for parts in source.rounds for part in parts) < 20 * MIB


# -- the journal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 199, 2**62, 2**63, 2**64 - 8192])
def test_a_journal_that_fits_no_archive_is_ignored(forgery: Forgery, tmp_path: Path, size: int) -> None:
    forgery.add(b"a", b"payload")
    path = tmp_path / "a.des"
    path.write_bytes(forgery.seal())
    start = size - size % 64 - BLOCK_SIZE if size > BLOCK_SIZE else size
    journal = forgery.seal(archive_size=start + BLOCK_SIZE + FOOTER_SIZE, index_start=start)[-FOOTER_SIZE:]
    (tmp_path / "a.des.append").write_bytes(journal)
    with DesReader(path) as reader:
        assert reader.get_file("a") == b"payload"


def test_rows_are_compared_by_the_kit_itself(forgery: Forgery) -> None:
    """The kit writes what the writer writes, so that its forgeries differ only where they lie."""
    forgery.add(b"a", b"payload", meta=b'{"k":1}')
    assert DesReader(forgery.seal()).verify().ok
    assert isinstance(forgery.rows[0], Row)
