"""Which archives and sidecars there are: listed once, and believed for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ...ports.objects import ObjectMeta
from ..model.keys import ShardKey
from ..sansio.effects import Effects, List, value_of
from .layouts import Layout, Stem
from .recent import Recent

__all__ = ["EMPTY", "Found", "Listings", "Shelf"]

_MAX_UNITS = 1024


class Found(NamedTuple):
    """An object as it was listed; `version` changes when it is replaced."""

    key: str
    size: int
    version: tuple[Any, ...]


class Shelf(NamedTuple):
    """What one shard consists of.

    Attributes:
        archives: In the order of their keys.
        sidecars: Each with the key of the archive that it belongs to.
    """

    archives: tuple[Found, ...]
    sidecars: tuple[tuple[str, Found], ...]


EMPTY = Shelf((), ())

_Unit = tuple[Stem, ...]
_Shelves = Mapping[ShardKey, Shelf]


class Listings:
    """Lists the object store as the layout says.

    A store that lists in the order of keys is asked for the keys of one shard. Any other would have to
    yield everything for that, so there one listing serves all shards that it covers.

    Args:
        layout: The naming rules.
        in_order: Whether the object store lists in the order of keys.
        ttl_seconds: How long a listing is believed.
        clock: Seconds that only grow.
    """

    def __init__(self, layout: Layout, *, in_order: bool, ttl_seconds: float, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._in_order = in_order
        self._ttl = ttl_seconds
        self._clock = clock
        self._units: Recent[_Unit, tuple[float, _Shelves]] = Recent(_MAX_UNITS)

    def shelf(self, where: ShardKey) -> Effects[Shelf]:
        """What a shard consists of; no request while the last listing is fresh."""
        shelves = yield from self._cached(self._unit(where))
        return shelves.get(where, EMPTY)

    def day(self, day: str) -> Effects[_Shelves]:
        """All shards of a day (`YYYYMMDD`), in their order."""
        shelves = yield from self._cached(self._day_unit(day))
        return {where: shelves[where] for where in sorted(shelves) if where.day == day}

    def days(self) -> Effects[list[str]]:
        """All days that have an archive. The whole store is listed."""
        shelves = yield from self._list((Stem("", ""),))
        return sorted({where.day for where, shelf in shelves.items() if shelf.archives})

    def shards(self, day: str) -> Effects[list[str]]:
        """The shards of a day (`YYYYMMDD`) that have an archive."""
        shelves = yield from self.day(day)
        return [where.shard for where, shelf in shelves.items() if shelf.archives]

    def forget(self, places: Iterable[ShardKey]) -> None:
        """List these shards anew when they are wanted next."""
        units = {unit for where in places for unit in (self._unit(where), self._day_unit(where.day))}
        self._units.forget(units.__contains__)

    def _unit(self, where: ShardKey) -> _Unit:
        return tuple(self._layout.stems(where) if self._in_order else self._layout.area(where.day))

    def _day_unit(self, day: str) -> _Unit:
        return tuple(self._layout.day_stems(day) if self._in_order else self._layout.area(day))

    def _cached(self, unit: _Unit) -> Effects[_Shelves]:
        now = self._clock()
        held = self._units.get(unit)
        if held is not None and now < held[0]:
            return held[1]
        shelves = yield from self._list(unit)
        self._units.set(unit, (now + self._ttl, shelves))
        return shelves

    def _list(self, unit: _Unit) -> Effects[_Shelves]:
        replies = yield [List(stem.folder, stem.text or None) for stem in unit]
        return _sort(self._layout, (meta for reply in replies for meta in value_of(reply)))


def _sort(layout: Layout, listed: Iterable[ObjectMeta]) -> _Shelves:
    archives: dict[ShardKey, list[Found]] = {}
    sidecars: dict[ShardKey, list[tuple[str, Found]]] = {}
    for meta in listed:
        named = layout.parse(meta["path"])
        if named is None:
            continue
        found = Found(meta["path"], meta["size"], (meta["e_tag"], meta["size"], meta["last_modified"]))
        if named.is_sidecar:
            sidecars.setdefault(named.where, []).append((named.archive_key, found))
        else:
            archives.setdefault(named.where, []).append(found)
    return {
        where: Shelf(tuple(sorted(archives.get(where, ()))), tuple(sorted(sidecars.get(where, ()))))
        for where in archives.keys() | sidecars.keys()
    }
