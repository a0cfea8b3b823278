"""Archives that a reader must refuse, wholly or in part. Unless "damaged" is in the name, every checksum is right."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from des_format import DesWriter

from .raw import SLOTS, Head, MetaBlock, Row, header, meta_block
from .valid import noise
from .vector import CHECKSUM, CORRUPT, GOOD, OTHER, UNSUPPORTED, Vector, sound


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def openings() -> Iterator[Vector]:
    """Archives that cannot be opened at all."""

    def refused(name: str, about: str, code: str, data: bytes) -> Vector:
        return Vector(f"refuse-{name}.des", about, data, refused={"open": code})

    good = sound().finish()
    yield refused("nothing-known", "No archive at all.", UNSUPPORTED, noise("nothing", 1000))
    yield refused("truncated", "The last 100 bytes are missing.", CORRUPT, good[:-100])
    yield refused("header-only", "Nothing but a header.", CORRUPT, header())
    yield refused("bytes-after", "Eight bytes follow the footer.", CORRUPT, good + bytes(8))
    yield refused("footer-damaged", "One bit of the footer is wrong.", CHECKSUM, flipped(good, len(good) - 100))
    yield refused("footer-feature", "The footer requires an unknown feature.", UNSUPPORTED, sound().finish(required=1))
    start = len(sound().data)
    index_start = len(good) - 200 - 4096
    lies: list[tuple[str, str, dict[str, int]]] = [
        ("size", "the archive is 1 byte longer than it is", {"archive_size": len(good) + 1}),
        ("data-start", "DATA begins inside of the header", {"data_start": 31, "data_length": start - 31}),
        ("data-end", "DATA ends before META begins", {"data_length": start - 33}),
        ("data-wraps", "DATA has 2**64 - 1 bytes: a sum wraps around", {"data_length": 2**64 - 1, "meta_start": 31}),
        ("meta-length", "META reaches into the INDEX", {"meta_length": 5000}),
        ("index-alignment", "the INDEX begins 1 byte early", {"index_start": index_start - 1}),
        ("index-blocks", "the INDEX has a block more", {"index_block_count": 2}),
        ("index-wraps", "the INDEX has 2**52 + 1 blocks: a product wraps around", {"index_block_count": 2**52 + 1}),
        ("entry-count", "there are 256 entries in 255 slots", {"entry_count": 256}),
        ("external-count", "3 of 2 entries are external", {"external_count": 3}),
        ("external-bytes", "more bytes are external than there are", {"external_bytes": 2**64 - 1}),
        ("dictionary", "the dictionary reaches into META", {"dictionary_start": start - 40, "dictionary_length": 41}),
        ("gap", "DATA begins 8 bytes after the header", {"data_start": 40, "data_length": start - 40}),
        ("previous", "the previous footer overlaps DATA", {"previous_footer": 8}),
    ]
    for name, lie, fields in lies:
        yield refused(f"footer-{name}", f"The footer says that {lie}.", CORRUPT, sound().finish(footer=fields))
    headers = {
        "magic": ("has another magic", UNSUPPORTED, header(magic=b"DESHEAD4")),
        "feature": ("requires an unknown feature", UNSUPPORTED, header(required=0x8000)),
        "damaged": ("is damaged", CHECKSUM, flipped(header(), 20)),
    }
    for name, (what, code, head) in headers.items():
        about = f"The header {what}; who reads only the tail and ranges does not see it."
        file = f"refuse-header-{name}.des"
        yield Vector(file, about, head + good[32:], [GOOD, OTHER], refused={"open_local": code})


def slots() -> Iterator[Vector]:
    """INDEX blocks that lie; DATA and META are sound, so a scan and a listing succeed."""
    end = len(sound().data)
    first, second = sound().rows
    cases: list[tuple[str, str, str, dict[str, int]]] = [
        ("before-data", "A slot points to the header.", CORRUPT, {"offset": 0}),
        ("beyond-data", "A slot points into META.", CORRUPT, {"offset": end}),
        ("over-the-end", "A slot's entry reaches into META.", CORRUPT, {"length": second.length + 1}),
        ("beyond-file", "A slot points beyond the file.", CORRUPT, {"offset": 2**63}),
        ("wraps", "Offset and length make a sum that wraps around.", CORRUPT, {"offset": 2**64 - 1}),
        ("short", "A slot's length is below the record's.", CORRUPT, {"length": second.length - 1}),
        ("tiny", "A slot's length is below that of a head.", CORRUPT, {"length": 35}),
        ("no-record", "A slot points into a record.", CORRUPT, {"offset": first.offset + 1, "length": first.length}),
        ("other", "A slot points to another entry.", "entry_not_found", {"offset": 32, "length": first.length}),
    ]
    for name, about, code, changes in cases:
        archive = sound()
        data = archive.finish(indexed=archive.bend(b"other", **changes))
        yield Vector(f"refuse-slot-{name}.des", about, data, [GOOD, OTHER], refused_get={"other": code})
    good = sound().finish()
    about, both = "One bit of the only INDEX block is wrong.", {"good": CHECKSUM, "other": CHECKSUM}
    damaged = flipped(good, len(good) - 200 - 2000)
    yield Vector("refuse-block-damaged.des", about, damaged, [GOOD, OTHER], refused_get=both)
    yield endless()
    yield hidden()


def endless() -> Vector:
    archive = sound()

    def fill(blocks: list[bytearray]) -> None:
        row = archive.rows[0]
        blocks[:] = [bytearray(struct.pack("<QII", row.offset, 1, row.length) * SLOTS + bytes(16)) for _ in range(5)]
        for block in blocks:
            block[4080] = 1

    about = "Five full blocks flow into each other: a search visits four of them and ends."
    missing = {"good": "entry_not_found", "other": "entry_not_found"}
    data = archive.finish(bend_blocks=fill)
    return Vector("refuse-endless.des", about, data, [GOOD, OTHER], refused_get=missing, absent=["absent"])


def hidden() -> Vector:
    """A record between META and INDEX: no part of DATA, so the INDEX must not lead there."""
    archive = sound()
    archive.gap = bytes(8)
    offset = len(archive.data) + archive.meta_size() + 8
    archive.gap += Head().encode(offset, b"hidden", b"", b"payload") + b"payload"
    row = Row(b"hidden", offset, len(archive.gap) - 8, 7)
    data = archive.finish(indexed=[*archive.rows, row])
    about = "A slot points to a sound record outside of DATA."
    refused = {"hidden": CORRUPT}
    return Vector("refuse-slot-hidden.des", about, data, [GOOD, OTHER], refused_get=refused, listed=["good", "other"])


def listings() -> Iterator[Vector]:
    """META that lies; INDEX and DATA are sound, so everything can be read by name and scanned."""

    def vector(name: str, about: str, code: str, data: bytes) -> Vector:
        return Vector(f"refuse-meta-{name}.des", about, data, [GOOD, OTHER], refused={"list": code})

    rows = sound().rows
    right = meta_block(rows)
    blocks: list[tuple[str, str, MetaBlock]] = [
        ("row-count", "has 3 rows, the directory says 2", MetaBlock(meta_block(rows, row_count=3), 2, b"good")),
        ("rows-missing", "has 2 rows, the directory says 3", MetaBlock(right, 3, b"good")),
        ("three-bytes", "is 3 bytes long", MetaBlock(right[:3], 2, b"good")),
        ("no-rows", "holds the count and no rows", MetaBlock(right[:4], 2, b"good")),
        ("cut", "is cut off", MetaBlock(right[:-1], 2, b"good")),
        ("bytes-after", "has a byte more", MetaBlock(right + b"x", 2, b"good")),
        ("raw-length", "is not as long as the directory says", MetaBlock(right, 2, b"good", len(right) + 1)),
        ("huge", "has 2**32 - 1 bytes, says the directory", MetaBlock(right, 2, b"good", 2**32 - 1)),
        ("prefix-of-none", "begins with a shared prefix", MetaBlock(meta_block(rows, [1, 0]), 2, b"good")),
        ("prefix", "shares 5 bytes of a name of 4", MetaBlock(bent_prefix(rows), 2, b"good")),
    ]
    for name, what, block in blocks:
        yield vector(f"block-{name}", f"A META block {what}.", CORRUPT, sound().finish(meta_blocks=[block]))
    lies: dict[str, tuple[str, dict[str, int]]] = {
        "kind": ("an unknown kind", {"kind": 3}),
        "dictionary": ("the kind of a dictionary", {"kind": 2}),
        "codec": ("an unknown codec", {"codec": 3}),
        "length": ("a length below that of its own name", {"length": 40}),
    }
    for name, (what, changes) in lies.items():
        archive = sound()
        block = MetaBlock(meta_block(archive.bend(b"other", **changes)), 2, b"good")
        yield vector(f"row-{name}", f"A META row has {what}.", CORRUPT, archive.finish(meta_blocks=[block]))
    directories: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "count": ("says 2 blocks and has 1", lambda data: b"\2" + data[1:]),
        "cut": ("is cut off", lambda data: data[:-1]),
        "empty": ("has not even a count", lambda data: b""),
        "bytes-after": ("has a byte more", lambda data: data + b"x"),
        "length": ("does not fill META", lambda data: data[:4] + bytes([data[4] - 1]) + data[5:]),
    }
    for name, (what, bend) in directories.items():
        data = sound().finish(bend_directory=bend)
        yield vector(f"directory-{name}", f"The META directory {what}.", CORRUPT, data)
    good = sound().finish()
    start = len(sound().data)
    yield vector("block-damaged", "One bit of a META block is wrong.", CHECKSUM, flipped(good, start + 20))
    position = start + sound().meta_size() - 4
    yield vector("directory-damaged", "One bit of the META directory is wrong.", CHECKSUM, flipped(good, position))


def bent_prefix(rows: list[Row]) -> bytes:
    """Rows whose second name shares 5 bytes of the first, which has 4; the bytes of the names still add up."""
    block = bytearray(meta_block(rows, [0, 0]))
    block[4 + 1] = 5
    return bytes(block)


def segments() -> Iterator[Vector]:
    """What only a scan can notice."""
    archive = sound()
    archive.data += noise("tail", 20)
    about = "DATA ends with bytes that are no record."
    yield Vector("refuse-data-tail.des", about, archive.finish(), [GOOD, OTHER], refused={"scan": CORRUPT})
    archive = sound()
    archive.data += noise("garbage", 100)
    about = "DATA ends with 100 bytes of something else."
    yield Vector("refuse-data-garbage.des", about, archive.finish(), [GOOD, OTHER], refused={"scan": CORRUPT})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.des")
        with DesWriter(path, compression="none") as writer:
            writer.add_file(GOOD.name, GOOD.payload)
        old_size = path.stat().st_size
        with DesWriter.append(path, compression="none") as writer:
            writer.add_file(OTHER.name, OTHER.payload, OTHER.meta)
        data = path.read_bytes()
    about = "An earlier footer is damaged; only a scan goes there."
    damaged = flipped(data, old_size - 100)
    yield Vector("refuse-previous-damaged.des", about, damaged, [GOOD, OTHER], refused={"scan": CHECKSUM})
    about = "An append was interrupted: while the journal is there, the archive ends where the journal's footer ends."
    journal = data[old_size - 200 : old_size]
    yield Vector("interrupted.des", about, data[:-300], [GOOD], absent=["other"], journal=journal)
