"""What is fuzzed: every parser of the package, and what must hold whatever it is fed.

`check(data)` takes one input: its first byte chooses a target, the rest is for that target. A
`DesError` is a right answer; any other exception is a bug. Checksums would keep a fuzzer out of
what lies behind them, so targets that parse bytes under a checksum compute it anew first.
"""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import xxhash
import zstandard
from des_format import ByteRange, Codec, Compression, DesError, DesReader, DesWriter, Kind, Tail
from des_format.audit.payload import PayloadCheck
from des_format.checksum import checksum32, checksum64
from des_format.codecs import decompress
from des_format.entry import check_payload, decode_meta, decode_record, to_entry
from des_format.hashtable import check_block, iter_slots, search_block
from des_format.layout import BLOCK_SIZE, FOOTER_MAGIC, FOOTER_SIZE, HEADER, HEADER_SIZE, decode_footer
from des_format.listing import Directory, DirectoryRow, decode_block
from des_format.salvage import salvage_archive
from des_format.sources import BufferSource

MAX_ENTRY_BYTES = 2**20
LEGACY = Path(__file__).parents[1] / "vectors" / "legacy"


# -- archives to start from -----------------------------------------------------------------------

TEXT = b"words that come again and again, " * 5


def _write(path: Path, entries: dict[str, tuple[bytes, dict[str, Any] | None]], **options: Any) -> bytes:
    with DesWriter.append(path, **options) if path.exists() else DesWriter(path, **options) as writer:
        for name, (payload, meta) in entries.items():
            writer.add_file(name, payload, meta)
    return path.read_bytes()


def _dictionary() -> bytes:
    samples: list[bytes | bytearray | memoryview[int]] = [b'{"id": %d, "unit": "kelvin"}' % i for i in range(400)]
    return zstandard.train_dictionary(300, samples).as_bytes()


def starting_points() -> list[bytes]:
    """Small archives of every kind; some inputs say how to change one of them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plain = {"a/1": (b"first", None), "a/2": (b"", {"k": [1, None]}), "b": (bytes(9), None)}
        made = [
            _write(root / "plain", plain, compression="none"),
            _write(root / "zstd", {"text": (TEXT, None), "short": (b"no", {})}),
            _write(root / "lz4", {"text": (TEXT, None)}, compression="speed"),
            _write(root / "big", {"big": (b"beside", None), "in": (b"in", None)}, big_file_threshold=5),
            _write(
                root / "dictionary",
                {"x": (b'{"id": 999, "unit": "kelvin"}' * 2, None)},
                compression=Compression(dictionary=_dictionary()),
            ),
            _write(root / "empty", {}),
        ]
        _write(root / "appended", {"old": (b"1", None)}, compression="none")
        _write(root / "appended", {"mid": (b"22", {"n": 2})}, compression="none")
        made.append(_write(root / "appended", {"new": (b"333", None)}, compression="none"))
    return made


STARTS = starting_points()
LEGACY_STARTS = [path.read_bytes() for path in sorted(LEGACY.glob("*/*.des")) if path.stat().st_size < 4096]


# -- computing checksums anew ---------------------------------------------------------------------


def seal_record(data: bytearray, offset: int, end: int) -> int:
    """Compute both checksums of a record anew; return where it ends, or `end` when it does not fit."""
    if offset + 36 > end:
        return end
    name = int.from_bytes(data[offset + 10 : offset + 12], "little")
    meta = int.from_bytes(data[offset + 12 : offset + 16], "little")
    stored = int.from_bytes(data[offset + 16 : offset + 20], "little")
    payload = offset + 36 + name + meta
    following = payload + stored
    if following > end:
        return end
    data[offset : offset + 4] = b"DESE"
    struct.pack_into("<I", data, offset + 20, checksum32(bytes(data[payload:following])))
    struct.pack_into("<I", data, offset + 4, checksum32(bytes(data[offset + 8 : payload]), offset))
    return following


def seal(data: bytearray) -> bytes:
    """Compute every checksum of an archive anew, as far as its footer still makes sense."""
    if len(data) < HEADER_SIZE + FOOTER_SIZE:
        return bytes(data)
    data[:HEADER_SIZE] = HEADER
    start = len(data) - FOOTER_SIZE
    data[start : start + 8] = FOOTER_MAGIC
    struct.pack_into("<HQ", data, start + 10, 0, 0)  # no required features
    struct.pack_into("<Q", data, start + 16, len(data))
    fields = struct.unpack_from("<19Q", data, start + 16)
    data_start, data_length, meta_start, meta_length, directory_length, index_start, blocks = fields[1:8]
    if max(fields[1:8]) > len(data):
        return bytes(data)
    offset = data_start
    while offset < data_start + data_length:
        offset = seal_record(data, offset, data_start + data_length)
    directory = meta_start + meta_length
    seal_meta(data, meta_start, directory, directory_length)
    combined = b""
    for end in range(index_start + BLOCK_SIZE, min(index_start + blocks * BLOCK_SIZE, start) + 1, BLOCK_SIZE):
        struct.pack_into("<Q", data, end - 8, checksum64(bytes(data[end - BLOCK_SIZE : end - 8])))
        combined += data[end - 8 : end]
    struct.pack_into("<Q", data, start + 16 + 17 * 8, checksum64(bytes(data[directory : directory + directory_length])))
    struct.pack_into("<Q", data, start + 16 + 18 * 8, checksum64(combined))
    if data_start == HEADER_SIZE:
        digest = xxhash.xxh3_128(bytes(data[data_start : data_start + data_length])).digest()
        data[start + 16 + 19 * 8 : start + 32 + 19 * 8] = digest
    struct.pack_into("<Q", data, len(data) - 8, checksum64(bytes(data[start : len(data) - 8])))
    return bytes(data)


def seal_meta(data: bytearray, position: int, directory: int, length: int) -> None:
    """Compute the checksums of META blocks in their directory anew."""
    at = directory + 4
    while at + 22 <= min(directory + length, len(data)):
        stored, _raw, _count, name = struct.unpack_from("<IIIH", data, at)
        struct.pack_into("<Q", data, at + 14, checksum64(bytes(data[position : position + stored])))
        position += stored
        at += 22 + name


def changed(starts: Sequence[bytes], data: bytes) -> bytearray:
    """One of `starts` with the changes that `data` describes: places, from the end or the beginning, and values."""
    start = bytearray(starts[data[0] % len(starts)] if data else starts[0])
    for at in range(1, len(data) - 3, 4):
        place, value, how = struct.unpack_from("<HBB", data, at)
        position = (place if how & 1 else len(start) - 1 - place) % max(1, len(start))
        if how & 6 == 2:
            del start[position : position + (how >> 3)]
        elif how & 6 == 4:
            start[position:position] = bytes([value]) * (how >> 3)
        elif start:
            start[position] = value
    return start


# -- what must hold -------------------------------------------------------------------------------


class Remote:
    """Bytes behind a range source."""

    def __init__(self, data: bytes) -> None:
        self._source = BufferSource(data)

    def read_tail(self, length: int, /) -> Tail:
        return self._source.read_tail(length)

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        return self._source.read_ranges(ranges)


FAILED = object()


def attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except DesError:
        return FAILED


def read_all(source: Any, *, verify: bool = True) -> dict[str, Any] | None:
    """Every answer of an archive, each checked against the others; None if it does not open."""
    reader = attempt(lambda: DesReader(source, verify=verify, max_entry_bytes=MAX_ENTRY_BYTES))
    if reader is FAILED:
        return None
    with reader:
        listed = attempt(lambda: list(reader.entries()))
        names = [entry.name for entry in listed[:12]] if listed is not FAILED else []
        names += ["old", "a/1", "text"]
        answers = {name: attempt(partial(reader.get_file, name)) for name in names}
        batch = attempt(lambda: reader.get_files_batch(names))
        if batch is not FAILED:
            assert all(answers[name] is FAILED or answers[name] == payload for name, payload in batch.items())
        for name, payload in answers.items():
            check_entry(reader, name, payload)
        scanned = attempt(lambda: list(reader.scan()))
        if reader.core.has_checksums and attempt(reader.verify) is not FAILED and reader.verify().ok:
            assert listed is not FAILED
            assert scanned is not FAILED
            assert sorted(entry.name for entry, _ in scanned) == [entry.name for entry in listed]
            assert all(answers[entry.name] is not FAILED or entry.size > MAX_ENTRY_BYTES for entry in listed[:12])
        answers["list"] = listed
        assert len(reader) >= 0
        assert reader.get_stats().internal_files >= 0
    return answers


def check_entry(reader: DesReader, name: str, payload: Any) -> None:
    entry = attempt(lambda: reader.get_entry(name))
    attempt(lambda: name in reader)
    part = attempt(lambda: reader.read_range(name, 1, 5))
    attempt(lambda: reader.open(name).read(9))
    if payload is not FAILED and entry is not FAILED:
        assert len(payload) == entry.size
        assert part is FAILED or part == payload[1:5]


def archive(data: bytes) -> None:
    local, remote = read_all(data), read_all(Remote(data))
    read_all(data, verify=False)  # Its answers may be wrong, but they are answers.
    if local is not None and remote is not None:
        for question, answer in local.items():
            other = remote.get(question, FAILED)
            assert answer is FAILED or other is FAILED or answer == other


def changed_archive(data: bytes) -> None:
    archive(seal(changed(STARTS, data)))


def unsealed_archive(data: bytes) -> None:
    archive(bytes(changed(STARTS, data)))


def legacy_archive(data: bytes) -> None:
    archive(bytes(changed(LEGACY_STARTS, data)))


def footer(data: bytes) -> None:
    end = bytearray(data[:FOOTER_SIZE].ljust(FOOTER_SIZE, b"\0"))
    struct.pack_into("<Q", end, FOOTER_SIZE - 8, checksum64(bytes(end[:-8])))
    decoded = decode_footer(bytes(end), archive_size=int.from_bytes(end[16:24], "little"))
    assert HEADER_SIZE <= decoded.data_start <= decoded.meta_start <= decoded.index_start <= decoded.archive_size
    assert decoded.previous_footer < decoded.data_start


def meta_block(data: bytes) -> None:
    stored = zstandard.compress(data, 1)
    count = int.from_bytes(data[:4], "little")
    row = DirectoryRow(32, 32 + len(stored), len(data), count, checksum64(stored), b"")
    rows = decode_block(stored, row)
    assert len(rows) == count
    for listed in rows:
        entry = attempt(partial(getattr, listed, "entry"))
        assert entry is FAILED or entry.stored_size >= 0


def directory(data: bytes) -> None:
    size, at = 0, 4
    while at + 22 <= len(data) and size < 2**40:
        length, _raw, _count, name = struct.unpack_from("<IIIH", data, at)
        size += length
        at += 22 + name
    found = Directory.decode(data, meta_start=32, meta_length=size, expected_checksum=checksum64(data))
    assert sum(row.end - row.start for row in found.rows) == size
    found.with_prefix(data[:3])


def index_block(data: bytes) -> None:
    block = bytearray(data[:BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0"))
    struct.pack_into("<Q", block, BLOCK_SIZE - 8, checksum64(bytes(block[:-8])))
    check_block(bytes(block), 0, 0)
    slots = list(iter_slots(bytes(block)))
    for slot in range(255):
        _offset, tag, _length = struct.unpack_from("<QII", block, slot * 16)
        candidates, _goes_on = search_block(bytes(block), tag << 8 | slot)
        assert set(candidates) <= set(slots)


def record(data: bytes) -> None:
    sealed = bytearray(data)
    seal_record(sealed, 0, len(sealed))
    decoded = decode_record(bytes(sealed), 0)
    stored = bytes(sealed[decoded.payload_offset :])
    check_payload(decoded, stored)
    to_entry(decoded, stored if decoded.kind is Kind.EXTERNAL else None)
    if decoded.raw_length <= MAX_ENTRY_BYTES and decoded.codec is not Codec.NONE and not decoded.dictionary:
        raw = attempt(lambda: decompress(decoded.codec, stored, decoded.raw_length, where="record"))
        assert raw is FAILED or len(raw) == decoded.raw_length
    PayloadCheck(BufferSource(b""), None, lambda count: None).check(decoded, lambda: stored, lambda: iter((stored,)))


def metadata(data: bytes) -> None:
    decode_meta(data, where="entry")


def salvaged(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a", Path(folder) / "b"
        source.write_bytes(seal(changed(STARTS, data)) if data[:1] < b"\x80" else changed(STARTS, data))
        with contextlib.suppress(DesError):
            report = salvage_archive(source, target)
            with DesReader(target) as reader:
                assert reader.verify().ok
                assert len(reader) == report.recovered
            assert 0 <= report.damaged_bytes <= source.stat().st_size


TARGETS: tuple[Callable[[bytes], None], ...] = (
    archive,
    changed_archive,
    unsealed_archive,
    legacy_archive,
    footer,
    meta_block,
    directory,
    index_block,
    record,
    metadata,
    salvaged,
)


def check(data: bytes) -> None:
    """Feed one input to the target that its first byte names."""
    if data:
        with contextlib.suppress(DesError):
            TARGETS[data[0] % len(TARGETS)](data[1:])


def seeds() -> list[bytes]:
    """Inputs that reach every target with something sound, for a run that begins without a corpus."""
    inner = struct.pack("<HBB", 60, 0, 0)
    with io.BytesIO() as stream:
        with DesWriter(stream, compression="none") as writer:
            writer.add_file("a", b"payload", {"k": 1})
        small = stream.getvalue()
    found = [bytes([0]) + small]
    for target in (1, 2, 10):
        found += [bytes([target, start]) + inner for start in range(len(STARTS))]
    found += [bytes([3, start]) + inner for start in range(len(LEGACY_STARTS))]
    found.append(bytes([4]) + small[-FOOTER_SIZE:])
    described = decode_footer(small, archive_size=len(small))
    block = small[described.meta_start : described.directory_start]
    found.append(bytes([5]) + zstandard.decompress(block))
    found.append(bytes([6]) + small[described.directory_start :][: described.directory_length])
    found.append(bytes([7]) + small[described.index_start :][:BLOCK_SIZE])
    found.append(bytes([8]) + small[HEADER_SIZE : described.meta_start])
    found.append(bytes([8]) + STARTS[1][HEADER_SIZE:400])
    found.append(bytes([8]) + STARTS[2][HEADER_SIZE:400])
    found.append(bytes([9]) + b'{"a":[1,2.5,null,"x"]}')
    return found
