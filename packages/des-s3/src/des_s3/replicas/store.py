"""An object store with copies elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from des_format.errors import ConfigurationError
from des_format.objects.results import LoadedResult
from des_format.objects.threaded import ThreadedObjectStore
from des_format.ports.objects import Content, GetOptions, ObjectMeta, PutMode, PutResult, RangeKind, ReadsInParallel

from ..metrics import S3Metrics
from ..parallel import parallel_reads
from ..versions import Versions, is_big_file
from .content import FileTarget
from .doubts import Doubts
from .places import Place, PlaceStore, Replica
from .reading import PlaceReads, drive, drive_async
from .writing import PlaceWrites

__all__ = ["ReplicatedObjectStore", "WritePolicy"]

WritePolicy = Literal["all", "quorum"]
"""In how many places what never changes must be before a write returns: in all, or in more than half of them."""


class ReplicatedObjectStore(ThreadedObjectStore):
    """An object store with copies elsewhere.

    Writes go to the primary first, so no replica ever has what the primary never had; deletes go there last.

    - What never changes (archives, big files, parts of manifests, records of deletions) must be in as many places as
      `writes` says before a write returns, the primary among them. Where it is not, the write is an `UnavailableError`;
      repeating it completes it, and so does reading back.
    - Everything else (manifests, `des-store.json`) is decided by the primary alone, and its condition is checked there.
      Copies are made after it, at best effort: a replica may have an older version until `sync_zones` has run.
    - Reads ask the replicas, in order, only where the primary is an `UnavailableError`. Their ETags begin with the
      replica's name; a write that expects such a version is an `ObjectChangedError`. What a replica lacks is not
      missing but unavailable. Whoever pinned a version of an object that never changes reads on elsewhere, with the
      ETag that it pinned.
    - An object whose write failed is read from the primary only, by this store, until that has answered: who looks
      whether a write took effect must not be shown an older version.
    - Listings, and `head` of a big file, come from the primary only: a listing that lacks objects would let a rebuild
      forget them, and a copy looks younger than what it is a copy of.
    - A delete of what never changes is refused for an hour after an older version may have been read, because what is
      garbage by that need not be so. It goes to the replicas first, and to the primary only when all of them did it:
      what is still listed is collected by the next `gc`.

    Args:
        name: Of the primary.
        primary: The primary.
        replicas: The others, in the order of reading.
        writes: As above.
        metrics: Counts failures of places and reads of replicas.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: Names are equal, empty, or have a colon, or `writes` is unknown.
    """

    lists_in_order = True
    backend = "multi_s3"

    def __init__(
        self,
        name: str,
        primary: PlaceStore,
        replicas: Sequence[Replica],
        *,
        writes: WritePolicy = "all",
        metrics: S3Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        everywhere = [Replica(name, primary), *replicas]
        names = [replica.name for replica in everywhere]
        if len(set(names)) < len(names) or any(not one or ":" in one for one in names):
            raise ConfigurationError(f"places {names}: expected different names without colons")
        if writes not in ("all", "quorum"):
            raise ConfigurationError(f"writes is {writes!r}, expected 'all' or 'quorum'")
        self.replicas = tuple(replicas)
        self.primary = primary
        self.metrics = metrics or S3Metrics()
        self.needed_count = len(names) if writes == "all" else len(names) // 2 + 1
        self._places = [Place(replica, self.metrics, clock) for replica in everywhere]
        self._doubts = Doubts(clock)
        versions = Versions(names)
        self._reads = PlaceReads(self._places, versions, self._doubts, self.metrics)
        self._writes = PlaceWrites(self._places, self.needed_count, versions, self._doubts)

    @property
    def place(self) -> str:
        """The name of this place, which no other one has."""
        return str(getattr(self.primary, "place", self._places[0].name))

    @property
    def parallel_reads(self) -> int:
        """As for `S3ObjectStore`; that of the primary, if it has one."""
        return self.primary.parallel_reads if isinstance(self.primary, ReadsInParallel) else parallel_reads()

    def count_range(self, kind: RangeKind, /) -> None:
        """Count what a range is read for; see `des_format.ports.objects.CountsRanges`."""
        self.metrics.count_ranges(self.backend, [kind])

    # -- reading ----------------------------------------------------------------------------

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if not is_big_file(path):
            self._writes.settle(path)

        def ask(asked: tuple[Place, GetOptions]) -> LoadedResult:
            found = asked[0].store.get(path, options=asked[1])
            return LoadedResult(found.meta, found.range, bytes(found.buffer()))

        return drive(self._reads.get(path, options or {}), ask)

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if path in self._doubts and not is_big_file(path):
            await asyncio.to_thread(self._writes.settle, path)

        async def ask(asked: tuple[Place, GetOptions]) -> LoadedResult:
            found = await asked[0].store.get_async(path, options=asked[1])
            return LoadedResult(found.meta, found.range, bytes(await found.buffer_async()))

        return await drive_async(self._reads.get(path, options or {}), ask)

    def head(self, path: str) -> ObjectMeta:
        self._writes.settle(path)
        return drive(self._reads.head(path), lambda place: place.call("head", lambda store: store.head(path)))

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        place = self._places[0]
        pages = iter(place.call("list", lambda store: store.list(prefix, offset=offset)))
        while (page := place.call("list", lambda _store: next(pages, None))) is not None:
            yield page

    # -- writing ----------------------------------------------------------------------------

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        return self._writes.put(path, file, mode or "overwrite")

    def delete(self, paths: str | Sequence[str]) -> None:
        self._writes.delete([paths] if isinstance(paths, str) else paths)

    def check_delete(self, keys: Sequence[str]) -> None:
        """See that what is to be deleted was not found to be garbage by an older version.

        Raises:
            UnavailableError: It may have been.
        """
        self._doubts.check_delete(keys)

    def target(self, key: str, /) -> FileTarget:
        """Begin a new object, in a temporary file; `commit` writes it as `put` does."""
        return FileTarget(self, key)

    # -- connections ------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of synchronous connections."""
        for place in self._places:
            if (close := getattr(place.store, "close", None)) is not None:
                close()

    async def aclose(self) -> None:
        """Let go of all connections of the running event loop."""
        for place in self._places:
            if (close := getattr(place.store, "aclose", None)) is not None:
                await close()
