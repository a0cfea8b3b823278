"""Records that contradict themselves or the format; all checksums that are not the point are right."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace

import lz4.frame
import xxhash
import zstandard

from .raw import Head, RawArchive
from .valid import document, noise, text
from .vector import CHECKSUM, CORRUPT, GOOD, OTHER, UNSUPPORTED, Expected, Vector, sound

PAYLOAD = b"payload"


def bad_record(name: str, about: str, code: str, stored: bytes, fields: Head, meta: bytes = b"") -> Vector:
    """An archive of a sound entry and the record `bad`, which cannot be read; its META row is innocent."""
    archive = RawArchive()
    archive.add(b"good", GOOD.payload)
    archive.add(b"bad", stored, fields, meta=meta)
    archive.rows = archive.bend(b"bad", kind=fields.kind % 3, codec=fields.codec % 3)
    return Vector(
        f"refuse-{name}.des", about, archive.finish(), [GOOD], listed=["bad", "good"], refused={"scan": code},
        refused_get={"bad": code},
    )  # fmt: skip


def records() -> Iterator[Vector]:
    cases = [
        ("kind", "An unknown kind.", UNSUPPORTED, Head(kind=3)),
        ("codec", "An unknown codec.", UNSUPPORTED, Head(codec=3)),
        ("moved", "A record that was made for another offset.", CHECKSUM, Head(seed=32)),
        ("payload-damaged", "A payload that is not what was added.", CHECKSUM, Head(payload_checksum=7)),
        ("raw-length", "Uncompressed, but raw and stored length differ.", CORRUPT, Head(raw_length=6)),
        ("dictionary-of-plain", "Uncompressed, but names a dictionary.", CORRUPT, Head(dictionary=5)),
        ("meta-length", "Metadata over the limit.", CORRUPT, Head(meta_length=2**24 + 1)),
        ("stored-length", "A payload beyond DATA.", CORRUPT, Head(stored_length=10_000, raw_length=10_000)),
        ("record-length", "2**32 bytes and more.", CORRUPT, Head(stored_length=2**32 - 1, raw_length=2**32 - 1)),
    ]
    for name, about, code, fields in cases:
        yield bad_record(name, about, code, PAYLOAD, fields)
    yield from frames()
    yield from dictionaries()
    yield from externals()


def zstd_bomb() -> bytes:
    """A frame that promises 1,000 bytes and holds 2**20."""
    frame: bytes = zstandard.ZstdCompressor().compress(bytes(2**20))
    assert frame[4] == 0b1010_0000, "a single segment with a content size of 4 bytes, no checksum"
    return frame[:5] + struct.pack("<I", 1000) + frame[9:]


def lz4_bomb() -> bytes:
    """A frame that promises 1,000 bytes and holds 2**18."""
    frame: bytes = lz4.frame.compress(bytes(2**18), store_size=False)
    descriptor = bytes([frame[4] | 0x08, frame[5]]) + struct.pack("<Q", 1000)
    return frame[:4] + descriptor + bytes([xxhash.xxh32_intdigest(descriptor) >> 8 & 255]) + frame[7:]


def frames() -> Iterator[Vector]:
    raw = text(40)
    zstd = zstandard.ZstdCompressor().compress(raw)
    zstd_unsized = zstandard.ZstdCompressor(write_content_size=False).compress(raw)
    lz4_sized, lz4_unsized = (lz4.frame.compress(raw, store_size=sized) for sized in (True, False))
    cases = [
        ("zstd-size", "the frame's content size is not the raw length", zstd, len(raw) - 1),
        ("zstd-bomb", "the frame promises 1,000 bytes and holds 2**20", zstd_bomb(), 1000),
        ("zstd-unsized", "the frame does not say its content size", zstd_unsized, len(raw)),
        ("zstd-two-frames", "two frames", zstd + zstd, len(raw)),
        ("zstd-bytes-after", "bytes after the frame", zstd + b"more", len(raw)),
        ("zstd-cut", "half a frame", zstd[: len(zstd) // 2], len(raw)),
        ("zstd-none", "no frame at all", noise("zstd-none", 100), 100),
        ("lz4-size", "the frame's content size is not the raw length", lz4_sized, len(raw) - 1),
        ("lz4-bomb", "the frame promises 1,000 bytes and holds 2**18", lz4_bomb(), 1000),
        ("lz4-unsized", "the frame does not say its content size", lz4_unsized, len(raw)),
        ("lz4-bytes-after", "bytes after the frame", lz4_sized + b"more", len(raw)),
        ("lz4-cut", "half a frame", lz4_sized[: len(lz4_sized) // 2], len(raw)),
        ("lz4-none", "no frame at all", noise("lz4-none", 100), 100),
    ]
    for name, about, stored, raw_length in cases:
        fields = Head(codec=1 if name.startswith("zstd") else 2, raw_length=raw_length)
        yield bad_record(name, f"{name[:4].rstrip('-')}: {about}.", CORRUPT, stored, fields)
    lacking = Head(codec=1, raw_length=len(raw), dictionary=0x1234)
    yield bad_record("no-dictionary", "Names a dictionary; the archive has none.", CORRUPT, zstd, lacking)


def dictionaries() -> Iterator[Vector]:
    trained = zstandard.train_dictionary(1500, [document(i) for i in range(2000, 2400)])
    data, right = trained.as_bytes(), trained.dict_id()
    raw = document(1)
    stored = zstandard.ZstdCompressor(dict_data=trained).compress(raw)

    def vector(name: str, about: str, content: bytes, named: int, fields: Head) -> Vector:
        archive = RawArchive()
        row = archive.add(b"dictionary", content, fields, listed=False)
        archive.dictionary = (row.offset, row.length)
        archive.add(b"bad", stored, Head(codec=1, raw_length=len(raw), dictionary=named))
        return Vector(
            f"refuse-{name}.des", about, archive.finish(), listed=["bad"], refused={"scan": CORRUPT},
            refused_get={"bad": CORRUPT},
        )  # fmt: skip

    sane = Head(kind=2, dictionary=right)
    yield vector("dictionary-id", "A payload that names another dictionary.", data, right ^ 1, sane)
    yield vector("dictionary-none", "A dictionary record without one.", noise("dictionary", 500), right, sane)
    yield vector("dictionary-kind", "The footer's dictionary is an ordinary entry.", data, right, Head())
    yield vector("dictionary-codec", "A dictionary that says it is compressed.", data, right, replace(sane, codec=1))
    archive = sound()
    row = archive.add(b"dictionary", data, sane, listed=False)
    archive.dictionary = (row.offset, row.length)
    yield Vector(
        "refuse-dictionary-indexed.des", "The dictionary record is in the INDEX; it is no entry all the same.",
        archive.finish(indexed=[*archive.rows, row]), [GOOD, OTHER], absent=["dictionary"],
    )  # fmt: skip


def externals() -> Iterator[Vector]:
    """External entries; a scan and a listing, which do not read the objects, succeed unless the record is wrong."""

    def vector(name: str, about: str, code: str, data: bytes, beside: Mapping[str, bytes]) -> Vector:
        fields = Head(kind=1, raw_length=len(data))
        plain = bad_record(name, about, code, hashlib.sha256(data).digest(), fields)
        entries = [GOOD, Expected("bad", data, external=True)]
        return replace(plain, entries=entries, refused={}, beside=beside)

    def key(data: bytes) -> str:
        return f"_bigFiles/{hashlib.sha256(data).hexdigest()}"

    yield vector("external-missing", "Its object is not there.", "big_file_missing", noise("missing", 200), {})
    data = noise("damaged", 200)
    beside = {key(data): data[:-1] + bytes([data[-1] ^ 1])}
    yield vector("external-damaged", "Its object holds something else.", CHECKSUM, data, beside)
    data = noise("short", 200)
    yield vector("external-short", "Its object is too short.", CORRUPT, data, {key(data): data[:100]})
    data = noise("hash", 200)
    digest = hashlib.sha256(data).digest()
    fields = Head(kind=1, raw_length=200)
    yield bad_record("external-hash", "A hash of 31 bytes.", CORRUPT, digest[:31], fields)
    yield bad_record("external-codec", "External and compressed at once.", CORRUPT, digest, replace(fields, codec=1))


def metadata() -> Iterator[Vector]:
    """Metadata that is none; the payload can be read, the description and the listing cannot."""
    cases = {
        "not-json": ("Metadata that is not JSON.", b"{'n': 1}"),
        "not-object": ("Metadata that is JSON, but no object.", b"[1]"),
        "not-utf8": ("Metadata that is not UTF-8.", b'{"n": "\xff"}'),
        "utf-16": ("Metadata in UTF-16.", '{"n": 1}'.encode("utf-16-le")),
        "byte-order-mark": ("Metadata with a byte order mark.", b'\xef\xbb\xbf{"n": 1}'),
    }
    for name, (about, encoded) in cases.items():
        archive = RawArchive()
        archive.add(b"bad", PAYLOAD, meta=encoded)
        yield Vector(
            f"refuse-meta-{name}.des", about, archive.finish(), refused={"list": CORRUPT, "scan": CORRUPT},
            refused_meta={"bad": CORRUPT},
        )  # fmt: skip


def names() -> Iterator[Vector]:
    cases = {
        "not-utf8": ("A name that is not UTF-8.", b"caf\xe9"),
        "surrogate": ("A name with an encoded surrogate.", b"\xed\xa0\x80"),
        "nul": ("A name with a NUL.", b"a\0b"),
        "empty": ("An empty name.", b""),
    }
    for name, (about, encoded) in cases.items():
        archive = RawArchive()
        archive.add(b"good", GOOD.payload)
        archive.add(encoded, PAYLOAD)
        yield Vector(
            f"refuse-name-{name}.des", about, archive.finish(), [GOOD], refused={"list": CORRUPT, "scan": CORRUPT}
        )
    unsafe = ["/etc/passwd", "../up", "a/../../up", "a/..", "./a", "a//b", "a/"]
    unsafe += ["C:/windows", "c:evil", "..\\up", "\\\\h\\s"]
    archive = RawArchive()
    entries = [Expected(name, name.encode()) for name in unsafe]
    for entry in entries:
        archive.add(entry.name.encode(), entry.payload)
    about = "Names that are legal, and that must never become a path as they are."
    yield Vector("unsafe-names.des", about, archive.finish(), entries, unsafe=unsafe)
