"""Read an archive of a store: ranges of its object, and of the big files beside it.

The object is pinned: the first answer tells its version, and every later range must be of that
version, so an object that was replaced is an error and never a mix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ...archive import Archive
from ...checksum import checksum64
from ...errors import BigFileMissingError, CorruptArchiveError, ObjectChangedError, ObjectNotFoundError
from ...hashtable import check_block
from ...layout import BLOCK_SIZE
from ...opening import ReadOptions
from ...ports.objects import RangeKind
from ...ranges import ByteRange, Steps, TailRead
from ..model.commits import ArchiveRow
from ..model.keys import ShardKey, archive_key
from ..sansio.effects import CacheGet, CacheSet, Data, Effects, Read, Request, value_of

__all__ = ["StoredArchive"]

T = TypeVar("T")


class StoredArchive:
    """One archive of a store, whose geometry is known from a manifest.

    Args:
        store_id: The store's id; part of the keys of the index cache.
        where: The archive's shard.
        row: What the manifest says about it.
        options: How to read it.
        cached: Whether there is an index cache to ask.
    """

    def __init__(self, store_id: str, where: ShardKey, row: ArchiveRow, options: ReadOptions, *, cached: bool) -> None:
        self.where = where
        self.row = row
        self.key = archive_key(where, row.id)
        self.core = Archive(
            row.footer, verify=options.verify, max_entry_bytes=options.max_entry_bytes, cost=options.cost
        )
        self._cache_prefix = f"{store_id}/{row.id}/" if cached else ""
        self._e_tag: str | None = None

    @property
    def e_tag(self) -> str | None:
        """The version of the object that was read; None before."""
        return self._e_tag

    def run(self, steps: Steps[T]) -> Effects[T]:
        """Run the steps of an archive.

        Raises:
            ObjectNotFoundError: The archive's object is missing.
            ObjectChangedError: It is another one than the manifest names, or than was read before.
        """
        try:
            request = next(steps)
            while True:
                try:
                    reply = yield from self._answer(request)
                except BigFileMissingError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def read_record(self, offset: int, length: int) -> Read:
        """The request for a record whose place is known; `accept` its answer."""
        return Read(self.key, offset, offset + length, self._e_tag, "payload")

    def _answer(self, request: Sequence[ByteRange] | TailRead) -> Effects[Any]:
        assert not isinstance(request, TailRead), "the geometry is known"
        if not self._cache_prefix:
            replies = (yield [self._request(part) for part in request]) if request else []
            return [self._check(part, reply) for part, reply in zip(request, replies, strict=True)]
        found = yield from self._cached(request)
        missing = [part for part in request if part not in found]
        requests: list[Request] = [self._request(part) for part in missing]
        replies = (yield requests) if requests else []
        fetched = {part: self._check(part, reply) for part, reply in zip(missing, replies, strict=True)}
        yield from self._keep(fetched)
        found |= fetched
        return [found[part] for part in request]

    def _request(self, part: ByteRange) -> Read:
        if part.beside:
            return Read(f"{self.where.day}/{part.beside}", part.start, part.end, kind="bigfile")
        kind: RangeKind = "index" if part.start >= self.row.footer.meta_start else "payload"
        return Read(self.key, part.start, part.end, self._e_tag, kind)

    def _check(self, part: ByteRange, reply: Any) -> bytes:
        if part.beside and isinstance(reply, ObjectNotFoundError):
            raise BigFileMissingError(f"big file {self.where.day}/{part.beside} is missing") from reply
        data: Data = value_of(reply)
        return data.data if part.beside else self.accept(data)

    def accept(self, data: Data) -> bytes:
        """Return the bytes of an answer about the archive's object, if it is of the pinned version."""
        if data.size != self.row.size:
            raise ObjectChangedError(f"archive {self.key} has {data.size} bytes, the manifest says {self.row.size}")
        if self._e_tag is None:
            self._e_tag = data.e_tag
        elif data.e_tag != self._e_tag:
            raise ObjectChangedError(
                f"archive {self.key} was replaced: found version {data.e_tag}, expected {self._e_tag}"
            )
        return data.data

    # -- index cache ------------------------------------------------------------------------

    def _blocks(self, part: ByteRange) -> range:
        """The index blocks that make up a range; empty for one that is not of the index."""
        start = self.row.footer.index_start
        if part.beside or part.start < start:
            return range(0)
        return range((part.start - start) // BLOCK_SIZE, (part.end - start) // BLOCK_SIZE)

    def _cached(self, parts: Iterable[ByteRange]) -> Effects[dict[ByteRange, bytes]]:
        """Ranges of the index that the cache holds whole; what is damaged there does not count."""
        wanted = {part: self._blocks(part) for part in parts} if self._cache_prefix else {}
        keys = [f"{self._cache_prefix}{block}" for blocks in wanted.values() for block in blocks]
        if not keys:
            return {}
        (held,) = yield [CacheGet(keys)]
        if not isinstance(held, dict):
            return {}
        found = {}
        for part, blocks in wanted.items():
            data = [self._unsealed(held, block) for block in blocks]
            if data and None not in data:
                found[part] = b"".join(block for block in data if block is not None)
        return found

    def _sealed(self, block: int, data: bytes) -> bytes:
        """A block as the cache holds it: of two that a cache mixes up, each is sound, so it says whose it is."""
        return data + checksum64(f"{self._cache_prefix}{block}".encode() + data).to_bytes(8, "little")

    def _unsealed(self, held: dict[str, bytes], block: int) -> bytes | None:
        data = held.get(f"{self._cache_prefix}{block}", b"")[:BLOCK_SIZE]
        if held.get(f"{self._cache_prefix}{block}") != self._sealed(block, data):
            return None
        try:
            # What the object store once gave damaged was kept as it came.
            check_block(data, block, self.row.footer.index_start)
        except CorruptArchiveError:
            return None
        return data

    def _keep(self, fetched: dict[ByteRange, bytes]) -> Effects[None]:
        items = {
            f"{self._cache_prefix}{block}": self._sealed(block, data[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE])
            for part, data in fetched.items()
            for number, block in enumerate(self._blocks(part))
        }
        if self._cache_prefix and items:
            yield [CacheSet(items)]
