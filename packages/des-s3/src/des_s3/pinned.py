"""One version of one archive in a bucket: what is asked for, what answers must be, what a cache may keep of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from des_format.checksum import checksum64
from des_format.errors import BigFileMissingError, CorruptArchiveError, ObjectChangedError, ObjectNotFoundError
from des_format.layout import BLOCK_SIZE, FOOTER_MAGIC, FOOTER_SIZE, HEADER_SIZE, Footer, decode_footer
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions
from des_format.ranges import ByteRange, Tail

__all__ = ["PinnedArchive", "Read"]

_MAX_CACHED_BYTES = 16 << 20
_HEADER_BYTES = 16


class Read(NamedTuple):
    """One GET: what of which object."""

    part: ByteRange
    key: str
    options: GetOptions


class PinnedArchive:
    """The version of an archive that the first answer was of; another one is an error, never a mixture.

    Args:
        where: Name of the place that the key is in, for the cache.
        key: The archive's key.
    """

    def __init__(self, where: str, key: str) -> None:
        self.key = key
        self._folder = key.rpartition("/")[0]
        self._cache_key = f"des-s3:{where}/{key}"
        self._e_tag: str | None = None
        self._footer: Footer | None = None
        self._lengths: set[int] = set()
        self.is_open = False

    def __repr__(self) -> str:
        return self._cache_key.partition(":")[2]

    # -- the tail ---------------------------------------------------------------------------

    def tail_key(self, length: int) -> str:
        """The cache key of the archive's tail, whichever version it is of."""
        self._lengths.add(length)
        return f"{self._cache_key}:tail:{length}"

    def tail_keys(self) -> list[str]:
        """The cache keys of what would lead a new reader to this version."""
        return [self.tail_key(length) for length in self._lengths]

    def tail_options(self, length: int) -> GetOptions:
        """How the tail is read."""
        options: GetOptions = {"range": {"suffix": length}}
        return self._pinned(options)

    def _pinned(self, options: GetOptions) -> GetOptions:
        if self._e_tag is not None:
            options["if_match"] = self._e_tag
        return options

    def accept_tail(self, result: LoadedResult) -> Tail:
        """Pin the version that an answer is of, and return the tail."""
        self._check(self.key, result)
        self._e_tag = result.meta["e_tag"]
        return self._known(Tail(result.data, result.meta["size"]))

    def _known(self, tail: Tail) -> Tail:
        if tail.data[-FOOTER_SIZE:].startswith(FOOTER_MAGIC):
            try:
                self._footer = decode_footer(tail.data, archive_size=tail.archive_size)
            except CorruptArchiveError:
                self._footer = None  # For the reader to complain about.
        return tail

    def tail_item(self, length: int, tail: Tail) -> dict[str, bytes]:
        """What a cache keeps of the tail; nothing of an object without a version."""
        if self._e_tag is None:
            return {}
        head = json.dumps([self._e_tag, tail.archive_size]).encode() + b"\n"
        key = self.tail_key(length)
        return {key: _sealed(key, head + tail.data)}

    def accept_cached_tail(self, length: int, held: Mapping[str, bytes]) -> Tail | None:
        """Pin the version that a cache knows, and return its tail; None if it knows none, or its value is damaged."""
        value = _unsealed(self.tail_key(length), held)
        if value is None:
            return None
        head, _, data = value.partition(b"\n")
        self._e_tag, size = json.loads(head)
        return self._known(Tail(data, size))

    # -- ranges -----------------------------------------------------------------------------

    def reads(self, parts: Iterable[ByteRange]) -> list[Read]:
        """What is to be read for these ranges; nothing for an empty one."""
        return [self._read(part) for part in parts if part.size > 0]

    def _read(self, part: ByteRange) -> Read:
        options: GetOptions = {"range": (part.start, part.end)}
        if part.beside:
            return Read(part, f"{self._folder}/{part.beside}" if self._folder else part.beside, options)
        return Read(part, self.key, self._pinned(options))

    def accept(self, read: Read, result: LoadedResult) -> bytes:
        """Return the bytes of an answer, if it is of the pinned version.

        Raises:
            ObjectChangedError: It is not; some services ignore the condition.
        """
        if not read.part.beside:
            self._check(read.key, result)
        return result.data

    def _check(self, key: str, result: LoadedResult) -> None:
        found = result.meta["e_tag"]
        if self._e_tag is not None and found != self._e_tag:
            raise ObjectChangedError(f"archive {key} was replaced: found version {found}, expected {self._e_tag}")

    def missing(self, read: Read, error: ObjectNotFoundError) -> Exception:
        """The error for an object that is not there."""
        if not read.part.beside:
            return error
        missing = BigFileMissingError(f"big file {read.key} is missing")
        missing.__cause__ = error
        return missing

    def type_of(self, part: ByteRange) -> str:
        """What a range is read for, as a label of metrics."""
        if part.beside:
            return "bigfile"
        if part.start == 0 and part.end <= max(HEADER_SIZE, _HEADER_BYTES):
            return "header"
        if self._footer is not None:
            return "index" if part.start >= self._footer.meta_start else "payload"
        return "payload" if self.is_open else "index"

    # -- the index, cached ------------------------------------------------------------------

    def cached_keys(self, parts: Iterable[ByteRange]) -> list[str]:
        """The cache keys of what these ranges share with the index."""
        return [self._block_key(block) for part in parts for block in self._blocks(part)]

    def from_cache(self, part: ByteRange, held: Mapping[str, bytes]) -> bytes | None:
        """Return a range of the index, if a cache holds all of it."""
        blocks = [(block, _unsealed(self._block_key(block), held)) for block in self._blocks(part)]
        if not blocks or any(data is None or len(data) != block.size for block, data in blocks):
            return None
        return b"".join(data for _, data in blocks if data is not None)

    def items(self, part: ByteRange, data: bytes) -> Iterator[tuple[str, bytes]]:
        """What a cache keeps of a range that was read."""
        if len(data) != part.size:
            return
        for block in self._blocks(part):
            key = self._block_key(block)
            yield key, _sealed(key, data[block.start - part.start : block.end - part.start])

    def _blocks(self, part: ByteRange) -> Sequence[ByteRange]:
        if self._e_tag is None or part.size > _MAX_CACHED_BYTES or self.type_of(part) != "index":
            return ()
        start = self._footer.index_start if self._footer is not None else part.end
        if part.start < start or (part.start - start) % BLOCK_SIZE or part.size % BLOCK_SIZE:
            return (part,)
        return [ByteRange(at, at + BLOCK_SIZE) for at in range(part.start, part.end, BLOCK_SIZE)]

    def _block_key(self, part: ByteRange) -> str:
        return f"{self._cache_key}:{self._e_tag}:{part.start}-{part.end}"


def _sealed(key: str, data: bytes) -> bytes:
    """A value as a cache holds it: of two that a cache mixes up, each is sound, so it says whose it is."""
    return data + checksum64(key.encode() + data).to_bytes(8, "little")


def _unsealed(key: str, held: Mapping[str, Any]) -> bytes | None:
    value: bytes = held.get(key, b"")
    data = value[:-8]
    return data if value and value == _sealed(key, data) else None
