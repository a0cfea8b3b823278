"""Small archives of every kind, what is true of them, and a kit that forges archives with valid checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import xxhash
import zstandard
from des_format import ByteRange, Codec, Compression, DesError, DesReader, DesWriter, Entry, EntryNotFoundError, Tail
from des_format.audit import VerifyReport
from des_format.checksum import checksum64
from des_format.entry import encode_record
from des_format.hashtable import block_count, block_of, build_index, name_hash
from des_format.layout import BLOCK_SIZE, FOOTER_SIZE, HEADER, HEADER_SIZE, Footer, decode_footer, encode_footer
from des_format.listing import Row, encode_meta_region
from des_format.sources import BufferSource

# -- archives of every kind ---------------------------------------------------------------------

Contents = dict[str, tuple[bytes, dict[str, Any]]]

TEXT = b"the same words again and again, " * 6


def colliding_names(count: int) -> list[str]:
    """Names that all belong into the first block of an index for `count` entries, more than fit."""
    blocks = block_count(count)
    names = (f"{i:x}" for i in range(10**9))
    chosen = (name for name in names if block_of(name_hash(name.encode()), blocks) == 0)
    return [next(chosen) for _ in range(count)]


def trained_dictionary() -> bytes:
    readings = (f'{{"id": {i}, "kind": "reading", "unit": "kelvin", "value": {i * 37 % 101}}}' for i in range(400))
    samples: list[bytes | bytearray | memoryview[int]] = [reading.encode() for reading in readings]
    return zstandard.train_dictionary(400, samples).as_bytes()


READING = b'{"id": 77, "kind": "reading", "unit": "kelvin", "value": 5}'

# Each: options of the writer, then one mapping of entries for the archive and one for each append.
KINDS: dict[str, tuple[dict[str, Any], list[Contents]]] = {
    "none": ({"compression": "none"}, [{"a/1": (b"first payload", {}), "a/2": (b"", {}), "b": (b"\x00" * 9, {})}]),
    "zstd": ({"compression": "balanced"}, [{"text": (TEXT, {}), "short": (b"no", {})}]),
    "lz4": ({"compression": "speed"}, [{"text": (TEXT, {}), "short": (b"no", {})}]),
    "dictionary": (
        {"compression": Compression(dictionary=trained_dictionary())},
        [{"one": (READING, {}), "two": (READING.replace(b"77", b"78"), {"n": 2})}],
    ),
    "metadata": (
        {"compression": "none"},
        [{"m": (b"payload", {"mime": "text/plain", "tags": [1, 2.5, None, "ż"]}), "n": (b"", {"empty": True})}],
    ),
    "externals": (
        {"compression": "none", "big_file_threshold": 12},
        [{"big": (b"beside the archive", {"b": 1}), "small": (b"inside", {})}],
    ),
    "empty": ({}, [{}]),
    "appended": (
        {"compression": "none"},
        [{"old/1": (b"one", {})}, {"mid": (b"two", {"n": 2})}, {"zz": (b"three", {}), "aa": (b"four", {})}],
    ),
    "one entry": ({"compression": "none"}, [{"only": (b"payload", {"k": "v"})}]),
    "overflowing": ({"compression": "none"}, [{name: (name.encode(), {}) for name in colliding_names(300)}]),
}


@dataclass(frozen=True)
class Specimen:
    """One archive, in its own folder, and what it holds."""

    kind: str
    path: Path
    data: bytes
    contents: Contents
    footers: list[Footer]

    @property
    def footer(self) -> Footer:
        return self.footers[-1]

    def entries(self) -> list[Entry]:
        """Every entry as it lies in DATA."""
        with DesReader(self.path) as reader:
            return [entry for entry, _payload in reader.scan()]

    def index_regions(self) -> list[range]:
        return [range(part.index_start, part.index_start + part.index_length) for part in self.footers]


def build_specimen(kind: str, folder: Path) -> Specimen:
    options, steps = KINDS[kind]
    path = folder / f"{kind.replace(' ', '-')}.des"
    footers = []
    for number, step in enumerate(steps):
        with DesWriter.append(path, **options) if number else DesWriter(path, **options) as writer:
            for name, (payload, meta) in step.items():
                writer.add_file(name, payload, meta)
        data = path.read_bytes()
        footers.append(decode_footer(data, archive_size=len(data)))
    contents = {name: value for step in steps for name, value in step.items()}
    return Specimen(kind, path, path.read_bytes(), contents, footers)


@pytest.fixture(scope="session")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Specimen]:
    return {kind: build_specimen(kind, tmp_path_factory.mktemp("specimen")) for kind in KINDS}


@pytest.fixture(params=list(KINDS))
def specimen(request: pytest.FixtureRequest, specimens: dict[str, Specimen]) -> Specimen:
    return specimens[request.param]


# -- reading everything, and comparing ----------------------------------------------------------


class RemoteSource:
    """Bytes behind a range source: the way that object stores are read."""

    def __init__(self, data: bytes, folder: Path | None = None) -> None:
        self._source = BufferSource(data, folder)

    def read_tail(self, length: int, /) -> Tail:
        return self._source.read_tail(length)

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        return self._source.read_ranges(ranges)


@pytest.fixture
def remote_source() -> type[RemoteSource]:
    return RemoteSource


Verify = Callable[..., VerifyReport]
SaidBy = Callable[[VerifyReport], str]
NamesIn = Callable[[VerifyReport], list[str | None]]
Flip = Callable[..., bytes]


@pytest.fixture(params=["local", "remote"])
def verify(request: pytest.FixtureRequest) -> Verify:
    """Verify bytes, as a local archive and as a remote one."""

    def run(data: bytes, folder: Path | None = None, **options: Any) -> VerifyReport:
        source = BufferSource(data, folder) if request.param == "local" else RemoteSource(data, folder)
        with DesReader(source) as reader:
            return reader.verify(**options)

    return run


@pytest.fixture
def said() -> SaidBy:
    """All problems of a report, one a line."""
    return lambda report: "\n".join(map(str, report.problems))


@pytest.fixture
def names() -> NamesIn:
    """The names in the problems of a report."""
    return lambda report: [problem.name for problem in report.problems]


@pytest.fixture
def flipped() -> Flip:
    """Bytes with one bit changed at each of these positions."""

    def flip(data: bytes, *positions: int | None) -> bytes:
        changed = bytearray(data)
        for position in positions:
            assert position is not None
            changed[position] ^= 0x40
        return bytes(changed)

    return flip


@dataclass(frozen=True)
class Truth:
    """Every answer that the undamaged archive gives."""

    payloads: dict[str, bytes]
    entries: dict[str, Entry]
    listed: list[Entry]
    scanned: list[tuple[Entry, bytes | None]]
    sample: list[str]

    @classmethod
    def of(cls, specimen: Specimen) -> Truth:
        names = list(specimen.contents)
        with DesReader(specimen.path) as reader:
            truth = cls(
                payloads=reader.get_files_batch(names),
                entries={name: reader.get_entry(name) for name in names},
                listed=list(reader.entries()),
                scanned=list(reader.scan()),
                sample=names if len(names) < 10 else names[:2] + names[-2:],
            )
        assert truth.payloads == {name: payload for name, (payload, _meta) in specimen.contents.items()}
        assert {name: dict(entry.meta) for name, entry in truth.entries.items()} == {
            name: meta for name, (_payload, meta) in specimen.contents.items()
        }
        return truth

    def check(self, reader: DesReader, data: bytes) -> bool:
        """Ask `reader`, over the damaged `data`, everything; return whether every answer came.

        Each answer must be right or a `DesError`; "no such entry" is wrong for one that exists.
        """
        complete = [self._check_iterable(reader.entries, self.listed), self._check_iterable(reader.scan, self.scanned)]
        names = [entry.name for entry in self.listed]
        complete.append(_check(reader.list_files, lambda found: found == names))
        sample = [*self.sample, "no such entry"]
        expected = {name: self.payloads[name] for name in self.sample}
        complete.append(_check(lambda: reader.get_files_batch(sample), lambda found: found == expected))
        complete.append(_check(lambda: "no such entry" in reader, lambda found: found is False))
        complete.extend(self._check_name(reader, data, name) for name in self.sample)
        return all(complete)

    def _check_name(self, reader: DesReader, data: bytes, name: str) -> bool:
        payload, entry = self.payloads[name], self.entries[name]
        checks = (
            _check(lambda: reader.get_file(name), lambda found: found == payload),
            _check(lambda: reader.get_entry(name), lambda found: found == entry),
            _check(lambda: reader.get_meta(name), lambda found: found == dict(entry.meta)),
            _check(lambda: name in reader, lambda found: found is True),
            _check(lambda: reader.read_range(name, 1, 7), lambda found: found in allowed_range(entry, payload, data)),
        )
        return all(checks)

    @staticmethod
    def _check_iterable(make: Callable[[], Iterable[Any]], expected: Sequence[Any]) -> bool:
        """What comes before an error must be right as well."""
        found = 0
        try:
            for item in make():
                assert item == expected[found]
                found += 1
        except DesError:
            return False
        assert found == len(expected)
        return True


def allowed_range(entry: Entry, payload: bytes, data: bytes) -> list[bytes]:
    """What `read_range(name, 1, 7)` may return.

    The only read without a checksum, as documented: a part of an uncompressed payload. Its
    place is still proved, so a changed payload byte shows, but no byte of anything else.
    """
    allowed = [payload[1:7]]
    if entry.codec is Codec.NONE and not entry.is_external:
        start = entry.offset + entry.length - entry.size
        allowed.append(data[start : start + entry.size][1:7])
    return allowed


def _check(read: Callable[[], Any], is_right: Callable[[Any], bool]) -> bool:
    try:
        found = read()
    except EntryNotFoundError:
        raise AssertionError("an entry that exists was not found") from None
    except DesError:
        return False
    assert is_right(found), found
    return True


@pytest.fixture(scope="session")
def truths(specimens: dict[str, Specimen]) -> dict[str, Truth]:
    return {kind: Truth.of(specimen) for kind, specimen in specimens.items()}


# -- forging ------------------------------------------------------------------------------------


@dataclass
class Forgery:
    """An archive made by hand, with valid checksums around whatever it claims.

    `add` writes records as a writer would; afterwards everything can be changed, and `seal`
    computes what depends on it. `footer_changes` are fields of the footer.
    """

    data: bytearray = field(default_factory=lambda: bytearray(HEADER))
    rows: list[Row] = field(default_factory=list)
    seed: int = 0
    dictionary_span: tuple[int, int] = (0, 0)

    def add(
        self,
        name: bytes,
        stored: bytes = b"",
        *,
        kind: int = 0,
        codec: int = 0,
        meta: bytes = b"",
        raw_length: int | None = None,
        dictionary: int = 0,
    ) -> Row:
        """Write a record; return its row of META, which is listed in the index too."""
        offset = len(self.data)
        raw = len(stored) if raw_length is None else raw_length
        record = encode_record(offset, kind, codec, name, meta, stored, raw, dictionary) + stored
        self.data += record
        row = Row(name, meta, kind, codec, len(record), raw, offset)
        if kind == 2:
            self.dictionary_span = (offset, len(record))
        else:
            self.rows.append(row)
        return row

    def index(self, slots: Iterable[tuple[bytes, int, int]] | None = None, blocks: int | None = None) -> bytearray:
        """An index over `(name, offset, length)`; by default over the rows."""
        chosen = [(row.name, row.offset, row.length) for row in self.rows] if slots is None else list(slots)
        count = block_count(len(chosen)) if blocks is None else blocks
        hashes = [name_hash(name, self.seed) for name, _, _ in chosen]
        index = build_index(hashes, [slot[1] for slot in chosen], [slot[2] for slot in chosen], count)
        assert index is not None
        return bytearray(index)

    def seal(
        self,
        *,
        rows: Sequence[Row] | None = None,
        meta: tuple[bytes, bytes] | None = None,
        padding: bytes | None = None,
        index: bytearray | None = None,
        data_start: int = HEADER_SIZE,
        previous_digest: bytes = b"",
        **footer_changes: Any,
    ) -> bytes:
        """Return the archive; `rows` as they are, or `meta` as (blocks, directory), stand in for the true META."""
        listed = sorted(self.rows) if rows is None else rows
        *parts, directory = encode_meta_region(listed)
        blocks = b"".join(parts)
        if meta is not None:
            blocks, directory = meta
        data = bytes(self.data)
        meta_end = len(data) + len(blocks) + len(directory)
        gap = bytes(-meta_end % 64) if padding is None else padding
        table = reseal_index(self.index() if index is None else index)
        inline = [row for row in self.rows if row.kind == 0]
        external = [row for row in self.rows if row.kind == 1]
        footer = Footer(
            archive_size=meta_end + len(gap) + len(table) + FOOTER_SIZE,
            data_start=data_start,
            data_length=(len(data) - data_start) % 2**64,
            meta_start=len(data),
            meta_length=len(blocks),
            directory_length=len(directory),
            index_start=meta_end + len(gap),
            index_block_count=len(table) // BLOCK_SIZE,
            hash_seed=self.seed,
            entry_count=len(self.rows),
            raw_bytes=sum(row.raw_length for row in self.rows),
            stored_bytes=sum(row.length - 36 - len(row.name) - len(row.meta) for row in inline),
            external_count=len(external),
            external_bytes=sum(row.raw_length for row in external),
            dictionary_start=self.dictionary_span[0],
            dictionary_length=self.dictionary_span[1],
            previous_footer=(data_start - FOOTER_SIZE) % 2**64 if data_start != HEADER_SIZE else 0,
            directory_checksum=checksum64(directory),
            index_checksum=checksum64(
                b"".join(table[end - 8 : end] for end in range(BLOCK_SIZE, len(table) + 1, BLOCK_SIZE))
            ),
            content_digest=xxhash.xxh3_128(previous_digest + data[data_start:]).digest(),
        )
        return data + blocks + directory + gap + table + encode_footer(replace(footer, **footer_changes))


def reseal_index(index: bytearray) -> bytes:
    """Compute the checksum of every block anew."""
    for start in range(0, len(index), BLOCK_SIZE):
        end = start + BLOCK_SIZE
        index[end - 8 : end] = checksum64(bytes(index[start : end - 8])).to_bytes(8, "little")
    return bytes(index)


@pytest.fixture
def forgery() -> Forgery:
    return Forgery()


@pytest.fixture
def contents_of() -> Callable[[Path], Contents]:
    """What an archive holds, read by every name."""

    def read(path: Path) -> Contents:
        with DesReader(path) as reader:
            names = reader.list_files()
            payloads: Mapping[str, bytes] = reader.get_files_batch(names)
            return {name: (payloads[name], reader.get_meta(name)) for name in names}

    return read
