"""Archives that every reader must read."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lz4.frame
import xxhash
import zstandard
from des_format import Compression, DesWriter

from .raw import SLOTS, Head, RawArchive, header, place, xxh64
from .vector import Expected, Vector

LONG_NAME = "long/" * 13_107
UNICODE_NAMES = (
    "Straße/Ærøskøbing.txt",
    "caf\u00e9",
    "cafe\u0301",
    "日本語/ファイル",
    "עברית",
    "🗃/🧾.json",
    "\U0010ffff",
    "\ufeffbyte order mark",
    " blanks and\ttabs ",
    "line\nfeed",
    'a\\b:c*d?e"f<g>h|i',
    ".",
)
METADATA: dict[str, dict[str, Any]] = {
    "nested": {"a": {"b": [1, 2.5, None, True, {"c": "d"}]}, "ä": "ö"},
    "numbers": {"zero": 0, "negative": -17, "big": 9007199254740991, "small": 0.1},
    "text": {"quote": '"', "backslash": "\\", "line": "a\nb", "emoji": "🗃", "": "empty key"},
    "mime": {"mime": "application/pdf", "size": 17},
    "empty": {},
}


def noise(label: str, size: int) -> bytes:
    """Bytes that no codec makes smaller."""
    return hashlib.shake_128(label.encode()).digest(size)


def document(number: int) -> bytes:
    """A small JSON document, alike its neighbours."""
    fields = {"id": number, "kind": "invoice", "customer": f"customer-{number * 7919 % 1000}", "paid": number % 3 == 0}
    return json.dumps(fields | {"lines": [{"article": n, "price": number * n} for n in range(3)]}).encode()


def text(paragraphs: int) -> bytes:
    """Compressible text of about 100 bytes a paragraph."""
    line = b"%05d: many small objects in few large archives, %d of %d read in place by ranges.\n"
    return b"".join(line % (i, i * i, i) for i in range(paragraphs))


def written(
    file: str, about: str, groups: Sequence[Sequence[Expected]], *, compression: str = "none", **options: Any
) -> Vector:
    """An archive by today's writer: the first group written, each further one appended."""
    again = {} if "policy" in options else {"compression": compression, "groups": [len(group) for group in groups]}
    policy = options.pop("policy", compression)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        for number, group in enumerate(groups):
            add = DesWriter.append if number else DesWriter
            with add(path, compression=policy) as writer:
                for entry in group:
                    writer.add_file(entry.name, entry.payload, entry.meta or None, force_external=entry.external)
        data = path.read_bytes()
    entries = [entry for group in groups for entry in group]
    beside = {f"_bigFiles/{hashlib.sha256(e.payload).hexdigest()}": e.payload for e in entries if e.external}
    return Vector(file, about, data, entries, beside=beside, rewritten=again, **options)


def by_writer() -> Iterator[Vector]:
    """The archives that the package's own writer made."""
    absent = ("absent", "a.txt ")
    hello = Expected("a.txt", b"hello, archive\n", {"mime": "text/plain"})
    yield written("empty.des", "No entries: DATA, META blocks and INDEX are empty.", [[]], absent=absent)
    yield written("one.des", "One entry with metadata; the worked example of docs/format.md.", [[hello]], absent=absent)
    sizes = (1, 15, 16, 17, 127, 128, 129, 240, 241, 1023, 1024, 1025, 3000)
    plain = [Expected(f"{'noise' if size % 2 else 'folder/noise'}-{size}", noise("plain", size)) for size in sizes]
    yield written(
        "plain.des", "Payloads of sizes at which XXH3 changes its way, added in no order.", [plain[::-1]],
        absent=("noise-2", "noise", "folder", "folder/", "NOISE-1"),
    )  # fmt: skip
    names = [Expected(name, name.encode()) for name in UNICODE_NAMES]
    yield written(
        "names.des",
        "Names beyond ASCII, compared byte by byte: nothing is normalised.",
        [names],
        absent=("CAFÉ", "cafe"),
    )
    yield written("long-name.des", "A name of 65,535 bytes.", [[Expected(LONG_NAME, b"payload"), hello]])
    metadata = [Expected(name, name.encode(), meta) for name, meta in METADATA.items()]
    yield written("metadata.des", "Metadata of all JSON types; empty metadata is none.", [metadata])
    zero = [Expected(f"zero-{i:02}", b"") for i in range(20)] + [Expected("zero-meta", b"", {"n": 1})]
    yield written("zero-length.des", "Payloads without a byte, between others.", [[hello, *zero, *plain[:2]]])
    papers = [Expected(f"documents/{i:03}.json", document(i), {"n": i} if i % 2 else {}) for i in range(20)]
    others = {"text.txt": text(300), "noise.bin": noise("mixed", 500), "none": b""}
    mixed = [*papers, *(Expected(name, payload) for name, payload in others.items())]
    yield written("zstd.des", "Payloads compressed with zstd where that pays.", [mixed], compression="balanced")
    yield written("lz4.des", "Payloads compressed with lz4 where that pays.", [mixed], compression="speed")
    trained = zstandard.train_dictionary(2000, [document(i) for i in range(1000, 1600)]).as_bytes()
    yield written(
        "dictionary.des", "A zstd dictionary, and an ordinary entry of the dictionary record's name.",
        [[*mixed, Expected("dictionary", b"an ordinary entry")]], policy=Compression(dictionary=trained),
        absent=("dictionary/",),
    )  # fmt: skip
    big = [Expected("big/one", text(30), {"n": 1}, external=True), Expected("big/none", b"", external=True)]
    same = Expected("big/the same", text(30), external=True)
    yield written("external.des", "Payloads beside the archive, one of them shared, one empty.", [[*big, hello, same]])
    more = [Expected("appended/1", b"first", {"n": 1}), Expected("appended/0", text(20))]
    last = [Expected("appended/2", b"second")]
    yield written("appended.des", "One append.", [[hello, *plain[:3]], more], absent=absent)
    yield written("appended-twice.des", "Two appends.", [[hello], more, last], absent=absent)
    yield written("appended-to-empty.des", "An append to an archive without entries.", [[], more], absent=absent)
    inner = written("one.des", "", [[hello]]).data
    nested = [Expected("inner.des", inner), hello]
    yield written("nested.des", "An entry that is an archive: its records are none of the outer archive.", [nested])


def equal_hashes(bits: int) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of names whose hashes agree in the lowest `bits`, so in tag and slot."""
    seen: dict[int, bytes] = {}
    for number in range(1 << 32):
        name = f"tag-{number:x}".encode()
        low = xxh64(name) & (1 << bits) - 1
        if low in seen:
            yield seen[low], name
        seen[low] = name


def names_of_block(block: int, blocks: int, count: int) -> list[bytes]:
    """Names that all begin their search in one block."""
    candidates = (f"{number:x}".encode() for number in range(1 << 32))
    found = (name for name in candidates if (xxh64(name) >> 32) * blocks >> 32 == block)
    return [next(found) for _ in range(count)]


def crafted(file: str, about: str, archive: RawArchive, entries: Sequence[Expected], **options: Any) -> Vector:
    fields = options.pop("fields", {})
    for entry in entries:
        archive.add(entry.name.encode(), entry.payload, meta=json.dumps(entry.meta).encode() if entry.meta else b"")
    return Vector(file, about, archive.finish(**fields), entries, **options)


def by_hand() -> Iterator[Vector]:
    """Archives that follow the specification, but that the package's writer would not make of such names."""
    names = names_of_block(1, 2, 301)
    yield crafted(
        "overflow.des", "300 names that begin in the last of two blocks: it overflows into the first one.",
        RawArchive(), [Expected(name.decode(), name[-1:] * (i % 2)) for i, name in enumerate(names[:300])],
        absent=[names[300].decode(), names_of_block(0, 2, 1)[0].decode()],
    )  # fmt: skip
    pairs = equal_hashes(40)
    (first, second), (third, missing) = next(pairs), next(pairs)
    yield crafted(
        "equal-tags.des", "Two names with one tag, block and slot; a third one shares them with a name that is absent.",
        RawArchive(), [Expected(name.decode(), b"payload of " + name) for name in (first, second, third)],
        absent=[missing.decode()],
    )  # fmt: skip
    few = [Expected(f"name-{i}", b"%d" % i) for i in range(12)]
    for seed in (1, 0xFEDC_BA98_7654_3210):
        about = f"Names hashed with seed {seed:#x}."
        yield crafted(f"seed-{seed:x}.des", about, RawArchive(seed=seed), few, absent=["name-12"])
    tree = ("a", "a/", "a/b", "a/b/c", "a0", "b", "b/a", "ä", "z" * 40)
    yield crafted(
        "meta-blocks.des", "META blocks of two rows each: a prefix ends and begins inside of blocks.",
        RawArchive(rows_per_block=2), [Expected(name, b"", {"n": name}) for name in tree],
    )  # fmt: skip
    future = RawArchive(head=header(minor=7, optional=0xFFFF_FFFF, spare=2**64 - 1))
    options = {"minor": 9, "optional": 0x8000_0001, "spare": 2**64 - 1, "bend_blocks": fill_reserved}
    about = "A later minor version: optional flags and reserved bytes are set."
    yield crafted("future.des", about, future, few, fields=options)
    yield full_block()
    yield codec_variants()


def fill_reserved(blocks: list[bytearray]) -> None:
    for block in blocks:
        struct.pack_into("<II", block, 4080, 0xFFFF_FFFE, 0xFFFF_FFFF)


def full_block() -> Vector:
    """255 entries in a single block that claims to overflow, into itself."""
    archive = RawArchive()
    entries = [Expected(f"{i:x}", b"") for i in range(SLOTS)]
    for entry in entries:
        archive.add(entry.name.encode(), b"")
    slots = archive.rows[:]

    def one_block(blocks: list[bytearray]) -> None:
        blocks[:] = place([xxh64(row.name) for row in slots], slots, 1)
        blocks[0][4080] |= 1

    data = archive.finish(bend_blocks=one_block)
    return Vector(
        "full-block.des", "A full table whose only block overflows into itself: a search still ends.", data, entries,
        absent=["absent", "100"],
    )  # fmt: skip


def lz4_by_hand(payload: bytes, cut: int) -> bytes:
    """An lz4 frame of two uncompressed, independent blocks with block checksums."""
    descriptor = bytes([0b0111_1000, 0x40]) + struct.pack("<Q", len(payload))
    frame = b"\x04\x22\x4d\x18" + descriptor + bytes([xxhash.xxh32_intdigest(descriptor) >> 8 & 255])
    for part in (payload[:cut], payload[cut:]):
        frame += struct.pack("<I", len(part) | 1 << 31) + part + struct.pack("<I", xxhash.xxh32_intdigest(part))
    return frame + bytes(4)


def codec_variants() -> Vector:
    """Frames as other compressors and settings write them."""
    payload = text(900)
    stream = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    with compressor.stream_writer(stream, size=len(payload), closefd=False) as out:
        for at in range(0, len(payload), 5000):
            out.write(payload[at : at + 5000])
            out.flush()
    zstd = {
        "zstd-checksum-many-blocks": (payload, stream.getvalue()),
        "zstd-19": (payload, zstandard.ZstdCompressor(level=19).compress(payload)),
        "zstd-stored": (noise("zstd", 300), zstandard.ZstdCompressor().compress(noise("zstd", 300))),
        "zstd-repeated-byte": (bytes(100_000), zstandard.ZstdCompressor().compress(bytes(100_000))),
        "zstd-empty": (b"", zstandard.ZstdCompressor().compress(b"")),
    }
    frames: dict[str, dict[str, Any]] = {
        "lz4-linked": {"block_linked": True},
        "lz4-independent": {"block_linked": False},
        "lz4-checksums": {"content_checksum": True, "block_checksum": True, "compression_level": 9},
        "lz4-large-blocks": {"block_size": lz4.frame.BLOCKSIZE_MAX4MB},
    }
    lz4s = {name: (payload, lz4.frame.compress(payload, store_size=True, **kind)) for name, kind in frames.items()}
    lz4s["lz4-stored"] = (noise("lz4", 300), lz4_by_hand(noise("lz4", 300), 100))
    archive, entries = RawArchive(), []
    for codec, kinds in ((1, zstd), (2, lz4s)):
        for name, (raw, stored) in kinds.items():
            archive.add(name.encode(), stored, Head(codec=codec, raw_length=len(raw)))
            entries.append(Expected(name, raw))
    about = "Frames that the package's writer does not make, but others may."
    return Vector("codecs.des", about, archive.finish(), entries)
