"""A store whose shards are spread over several buckets, or services."""

from __future__ import annotations

import heapq
import itertools
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from des_format.errors import ConfigurationError, DesError, ObjectNotFoundError, UnavailableError
from des_format.objects.content import pieces
from des_format.objects.results import LoadedResult
from des_format.objects.threaded import ThreadedObjectStore
from des_format.ports.objects import Content, GetOptions, ObjectMeta, PutMode, PutResult, RangeKind
from des_format.store.sansio.running import Runner
from des_format.store.writing.probing import check_conditional_writes
from des_format.targets import Target

from .metrics import S3Metrics
from .replicas import Replica, ReplicatedObjectStore, WritePolicy
from .store import S3ObjectStore

__all__ = ["Zone", "ZonedObjectStore"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_SHARD = re.compile(r"(?:\A|/)\d{4}-?\d\d-?\d\d[/_]([0-9A-Fa-f]{1,4})[._]")
_BIG_FILE = re.compile(r"_bigFiles/([0-9a-f]{64})\Z")
_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Zone:
    """Where a range of shards is.

    Attributes:
        name: For people.
        start: The first shard.
        end: The last shard.
        store: Where they are.
        replicas: Where copies are; see `ReplicatedObjectStore`. Then `store` is the primary.
    """

    name: str
    start: int
    end: int
    store: S3ObjectStore
    replicas: tuple[Replica, ...] = ()


_ZoneStore = S3ObjectStore | ReplicatedObjectStore


class ZonedObjectStore(ThreadedObjectStore):
    """One object store made of zones; a key's shard decides where an object is.

    - Archives, manifests, tombstones (`YYYYMMDD/HEX...`, and the names of older systems): in the shard's zone.
    - Big files (`_bigFiles/<sha256>`): their key has no shard, because the shards of a day share them. Their home is
      the zone of the shard that the first bits of the digest make, so each is stored once, and zones fill evenly. It
      follows that a zone by itself is no complete store. Reads try the other zones as well, where stores that were
      written otherwise have them.
    - Everything else (`des-store.json`): in every zone; the first zone decides about conditions, reads take the first
      zone that has it and can be reached.

    Asynchronous calls run in worker threads, except reads.

    Args:
        zones: The zones.
        n_bits: There are `2 ** n_bits` shards; must be what the store's descriptor says.
        writes: As for `ReplicatedObjectStore`, for zones with replicas.
        clock: As for `ReplicatedObjectStore`.

    Attributes:
        gaps: Ranges of shards, first and last, that no zone has; using one is a `ConfigurationError`.

    Raises:
        ConfigurationError: Zones overlap, or have shards that do not exist, or equal names; or there are none. Or a
            replica's place is that of another one.
    """

    lists_in_order = True
    backend = "multi_s3"

    def __init__(
        self,
        zones: Sequence[Zone],
        n_bits: int,
        *,
        writes: WritePolicy = "all",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.n_bits = n_bits
        self.zones = sorted(zones, key=lambda zone: zone.start)
        self.gaps = _check(self.zones, n_bits)
        if self.gaps:
            log.warning("zones_have_gaps", extra={"gaps": self.gaps})
        _check_places(self.zones)
        self._stores: dict[str, _ZoneStore] = {zone.name: _opened(zone, writes, clock) for zone in self.zones}

    def __repr__(self) -> str:
        return f"ZonedObjectStore({', '.join(zone.name for zone in self.zones)})"

    @property
    def place(self) -> str:
        """The name of this place, which no other one has."""
        return "+".join(store.place for store in self._stores.values())

    @property
    def metrics(self) -> S3Metrics:
        """Those of the first zone; zones opened from one file share them."""
        return self._store(self.zones[0]).metrics

    @property
    def parallel_reads(self) -> int:
        """As for `S3ObjectStore`; of the zone that has the fewest, because a batch may be all in that one."""
        return min(store.parallel_reads for store in self._stores.values())

    def count_range(self, kind: RangeKind, /) -> None:
        """Count what a range is read for; see `des_format.ports.objects.CountsRanges`."""
        self.metrics.count_ranges(self.backend, [kind])

    def _store(self, zone: Zone) -> _ZoneStore:
        return self._stores[zone.name]

    # -- routing ----------------------------------------------------------------------------

    def zone_of_shard(self, shard: int) -> Zone:
        """Return the zone that has a shard.

        Raises:
            ConfigurationError: None has it.
        """
        for zone in self.zones:
            if zone.start <= shard <= zone.end:
                return zone
        raise ConfigurationError(f"shard {shard:X} is in no zone; zones are {_ranges(self.zones)}")

    def _only(self, key: str) -> _ZoneStore | None:
        """The one zone that an object can be in; None for a big file, and for what is in every zone."""
        match = _SHARD.search(key)
        return self._store(self.zone_of_shard(int(match[1], 16))) if match else None

    def _candidates(self, key: str) -> list[_ZoneStore]:
        """The zones that an object may be in, the likely one first."""
        stores = [self._store(zone) for zone in self.zones]
        match = _BIG_FILE.search(key)
        if match is not None:
            home = self._home(match[1])
            stores.sort(key=lambda store: store is not home)
        return stores

    def _home(self, sha256: str) -> _ZoneStore:
        number = int(sha256[:8], 16) >> (32 - self.n_bits)
        try:
            return self._store(self.zone_of_shard(number))
        except ConfigurationError:
            return self._store(self.zones[number % len(self.zones)])

    # -- the port ---------------------------------------------------------------------------

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if (only := self._only(path)) is not None:
            return only.get(path, options=options)
        failures: list[DesError] = []
        for store in self._candidates(path):
            try:
                return store.get(path, options=options)
            except (ObjectNotFoundError, UnavailableError) as error:
                failures.append(error)
        raise _worst(failures)

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if (only := self._only(path)) is not None:
            return await only.get_async(path, options=options)
        failures: list[DesError] = []
        for store in self._candidates(path):
            try:
                return await store.get_async(path, options=options)
            except (ObjectNotFoundError, UnavailableError) as error:
                failures.append(error)
        raise _worst(failures)

    def head(self, path: str) -> ObjectMeta:
        if (only := self._only(path)) is not None:
            return only.head(path)
        failures: list[DesError] = []
        for store in self._candidates(path):
            try:
                return store.head(path)
            except (ObjectNotFoundError, UnavailableError) as error:
                failures.append(error)
        raise _worst(failures)

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        if (only := self._only(path)) is not None:
            return only.put(path, file, mode=mode)
        first, *others = self._candidates(path)
        if _BIG_FILE.search(path):
            return first.put(path, file, mode=mode)
        content = b"".join(pieces(file))
        made = first.put(path, content, mode=mode)
        for store in others:
            store.put(path, content)
        return made

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        listings = [_rows(self._store(zone), prefix, offset) for zone in self.zones]
        merged = heapq.merge(*listings, key=lambda meta: meta["path"])
        # Of an object in several zones, the first zone's row comes first.
        unique = (next(same) for _, same in itertools.groupby(merged, key=lambda meta: meta["path"]))
        while page := [*itertools.islice(unique, _PAGE_SIZE)]:
            yield page

    def delete(self, paths: str | Sequence[str]) -> None:
        keys = [paths] if isinstance(paths, str) else paths
        # Whether a big file is garbage is said by manifests of all zones, wherever it is itself.
        for each in self._stores.values():
            if isinstance(each, ReplicatedObjectStore):
                each.check_delete(keys)
        routed = [(key, self._only(key)) for key in keys]
        for zone in self.zones:
            store = self._store(zone)
            if here := [key for key, only in routed if only is None or only is store]:
                store.delete(here)

    # -- more than the port -----------------------------------------------------------------

    def target(self, key: str, /) -> Target:
        """Begin a new object; see `des_format.ports.objects.Creates`.

        Raises:
            ConfigurationError: Its key has no shard.
        """
        if (only := self._only(key)) is None:
            raise ConfigurationError(f"key {key!r} has no shard, so it is in no single zone; use put")
        return only.target(key)

    def check_conditional_writes(self) -> None:
        """Prove, by writing a small object into each zone, that conditional writes work there.

        `DesStore.init` proves it for the first zone only.

        Raises:
            UnsupportedOperationError: They do not.
        """
        for zone in self.zones:
            Runner(self._store(zone)).run(check_conditional_writes())

    def close(self) -> None:
        """Let go of synchronous connections."""
        for zone in self.zones:
            self._store(zone).close()

    async def aclose(self) -> None:
        """Let go of all connections of the running event loop."""
        for zone in self.zones:
            await self._store(zone).aclose()


def _opened(zone: Zone, writes: WritePolicy, clock: Callable[[], float]) -> _ZoneStore:
    if not zone.replicas:
        return zone.store
    metrics = getattr(zone.store, "metrics", None)
    return ReplicatedObjectStore(zone.name, zone.store, zone.replicas, writes=writes, metrics=metrics, clock=clock)


def _check_places(zones: Sequence[Zone]) -> None:
    """Refuse a replica that is where something else is: they would take each other's objects for their own."""
    replicas = [replica.store for zone in zones for replica in zone.replicas]
    everywhere = [getattr(store, "place", id(store)) for store in [*(zone.store for zone in zones), *replicas]]
    for store in replicas:
        if everywhere.count(place := getattr(store, "place", id(store))) > 1:
            raise ConfigurationError(f"a replica is at {place}, and so is another one, or a zone")


def _rows(store: _ZoneStore, prefix: str | None, offset: str | None) -> Iterator[ObjectMeta]:
    for page in store.list(prefix, offset=offset):
        yield from page


def _worst(failures: list[DesError]) -> DesError:
    """The error for what no zone gave: it is missing only if every zone says so."""
    return next((error for error in failures if isinstance(error, UnavailableError)), failures[0])


def _check(zones: Sequence[Zone], n_bits: int) -> list[tuple[int, int]]:
    """Return the gaps between sorted zones."""
    if not zones or not 0 <= n_bits <= 16:
        raise ConfigurationError(f"{len(zones)} zones, n_bits {n_bits}: expected at least one zone, and 0 to 16 bits")
    names = [zone.name for zone in zones]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"zones have equal names: {', '.join(names)}")
    gaps = []
    following = 0
    for zone in zones:
        if not 0 <= zone.start <= zone.end < 2**n_bits:
            raise ConfigurationError(
                f"zone {zone.name} has shards {zone.start} to {zone.end}, there are 0 to {2**n_bits - 1}"
            )
        if zone.start < following:
            raise ConfigurationError(f"zone {zone.name} overlaps the one before: zones are {_ranges(zones)}")
        if zone.start > following:
            gaps.append((following, zone.start - 1))
        following = zone.end + 1
    return gaps + ([(following, 2**n_bits - 1)] if following < 2**n_bits else [])


def _ranges(zones: Sequence[Zone]) -> str:
    return ", ".join(f"{zone.name} {zone.start}-{zone.end}" for zone in zones)
