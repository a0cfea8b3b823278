"""One opened store, sans I/O: its descriptor and the parts that read and write it.

`DesStore` and `AsyncDesStore` run what this yields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ConfigurationError, DuplicateEntryError, InvalidInputError
from .descriptor import Descriptor
from .model.ids import check_archive_id, new_id
from .model.keys import ObjectKind, ShardKey, check_day, classify
from .options import StoreOptions
from .reading.listing import ShardListing
from .reading.manifestcache import ManifestCache
from .reading.reads import Archives, Reads, Request
from .reading.shards import Shards
from .reading.snapshots import AsOf, Past, Present
from .sansio.effects import Effects, List, ask, together, value_of
from .writing.bigfiles import Runs, StoreBigFiles
from .writing.building import NewEntry, build_archive, inspect_archive
from .writing.transactions import Transactions
from .writing.writes import Deletion, NewArchive, Receipt, Writes

__all__ = ["Engine", "check_agreement"]

_HEX = re.compile(r"[0-9A-Fa-f]{1,4}\Z")


class Engine:
    """The logic of one opened store.

    Args:
        descriptor: Its descriptor.
        options: How it is opened.
        cached: Whether there is an index cache.
    """

    def __init__(self, descriptor: Descriptor, options: StoreOptions, *, cached: bool) -> None:
        self.descriptor = descriptor
        self.options = options
        self.shards = Shards(descriptor.store_id)
        ttl_seconds = options.manifest_ttl_seconds
        manifests = ManifestCache(descriptor.store_id, ttl_seconds=ttl_seconds, clock=options.clock)
        self.present = Present(
            self.shards,
            ttl_seconds=ttl_seconds,
            limit_bytes=options.manifest_cache_bytes,
            cache=manifests if cached else None,
        )
        self.transactions = Transactions(self.shards, clock=options.clock, policy=options.commits)
        self.archives = Archives(descriptor, options.reading, cached=cached)
        self.reads = Reads(descriptor, self.archives, self.present)
        self.writes = Writes(descriptor.store_id, self.shards, self.transactions, self.present, options.clock)

    def past(self, point: AsOf) -> Reads:
        """Reads of a point in history."""
        return Reads(self.descriptor, self.archives, Past(self.shards, point))

    # -- where things are -------------------------------------------------------------------

    def shard_key(self, day: str, shard: str | int) -> ShardKey:
        """The key of a shard that is named by a user.

        Raises:
            InvalidInputError: No day, or no shard of this store.
        """
        width = max(1, -(-self.descriptor.n_bits // 4))
        index = shard if isinstance(shard, int) else int(shard, 16) if _HEX.match(shard) else -1
        if not 0 <= index < 1 << self.descriptor.n_bits:
            raise InvalidInputError(f"shard {shard!r}; 0 to {(1 << self.descriptor.n_bits) - 1:X} (hex) are expected")
        return ShardKey(check_day(day), f"{index:0{width}X}")

    def all_shards(self, day: str | None = None) -> Effects[list[ShardKey]]:
        """The shards that have a manifest, in order; lists the store."""
        objects = yield from ask(List(check_day(day) if day is not None else ""))
        found = (classify(meta["path"]) for meta in objects)
        return sorted(ShardKey(one.day, one.shard) for one in found if one and one.kind is ObjectKind.MANIFEST)

    def listing(self, reads: Reads, where: ShardKey, prefix: str) -> Effects[ShardListing]:
        """Begin to list a shard."""
        state = yield from reads.view.state(where)
        return ShardListing(where, state, [self.archives.get(where, row) for row in state.newest_first()], prefix)

    # -- adding -----------------------------------------------------------------------------

    def build(self, runner: Runs, entries: Iterable[NewEntry]) -> list[tuple[NewArchive, list[int]]]:
        """Build one archive for each shard; return each with the positions of its entries. Stores big files.

        Raises:
            DuplicateEntryError: Two of the entries have the same uid and day.
            InvalidInputError: An entry is refused; nothing was added.
        """
        by_shard: dict[ShardKey, list[tuple[int, str, NewEntry]]] = {}
        seen: set[tuple[ShardKey, str]] = set()
        for position, entry in enumerate(entries):
            where, name = self.reads.locate(entry.uid, entry.created_at)
            if (where, name) in seen:
                raise DuplicateEntryError(f"uid {name!r} comes twice for {where}; one of a day can be added at a time")
            seen.add((where, name))
            by_shard.setdefault(where, []).append((position, name, entry))
        return [
            (self._archive(runner, where, members), [at for at, _, _ in members]) for where, members in by_shard.items()
        ]

    def _archive(self, runner: Runs, where: ShardKey, members: Sequence[tuple[int, str, NewEntry]]) -> NewArchive:
        big_files = StoreBigFiles(runner, where.day, self.options.clock)
        named = ((name, entry) for _position, name, entry in members)
        data, footer = build_archive(named, big_files, self.options.writing)
        return NewArchive(where, new_id(self.options.clock()), data, footer, tuple(big_files.written))

    def add_all(self, archives: Sequence[NewArchive]) -> Effects[list[Receipt]]:
        """Publish and commit archives, side by side.

        Raises:
            DesError: Of the first that failed; the others may have been added.
        """
        results = yield from together([self.writes.add(archive) for archive in archives])
        return [value_of(result) for result in results]

    def load_archive(self, runner: Runs, path: Path, where: ShardKey, archive_id: str | None) -> NewArchive:
        """Prepare a finished archive file for adding; stores its big files."""
        began_at = self.options.clock()
        chosen = check_archive_id(archive_id) if archive_id is not None else new_id(self.options.clock())
        big_files = StoreBigFiles(runner, where.day, self.options.clock)
        footer = inspect_archive(path, big_files)
        return NewArchive(where, chosen, path, footer, tuple(big_files.written), began_at)

    # -- deleting ---------------------------------------------------------------------------

    def delete(self, requests: Sequence[Request], reason: str, by: str, ticket: str | None) -> Effects[list[Receipt]]:
        """Delete entries, a commit for each shard.

        Raises:
            EntryDeletedError, EntryNotFoundError: One of them is not there; nothing was deleted.
        """
        found = yield from self.reads.find_many(requests)
        for uid, created_at in requests:
            if (uid, created_at) not in found:
                yield from self.reads.find(uid, created_at)  # Says whether it was deleted or never there.
        names: dict[ShardKey, list[str]] = {}
        for uid, created_at in requests:
            where, name = self.reads.locate(uid, created_at)
            names.setdefault(where, []).append(name)
        results = yield from together(
            [self.writes.delete(where, Deletion(uids, reason, by, ticket)) for where, uids in names.items()]
        )
        commits = [(where, value_of(result)) for where, result in zip(names, results, strict=True)]
        return [
            Receipt(where, "", committed.commit.sequence if committed.commit else 0, committed.retries)
            for where, committed in commits
        ]


def check_agreement(descriptor: Descriptor, n_bits: int | None) -> None:
    """Refuse a setting that contradicts the store.

    Raises:
        ConfigurationError: It does.
    """
    if n_bits is not None and n_bits != descriptor.n_bits:
        raise ConfigurationError(
            f"n_bits {n_bits} contradicts the store, whose descriptor says {descriptor.n_bits}; leave the setting out"
        )
