"""How the published systems named their archives: which keys an entry may lie under, and what a key says.

Source: docs/legacy-formats.md, section "Stores".
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import ClassVar, NamedTuple

from ...errors import InvalidInputError
from ...routing import MAX_BITS, RoutingScheme, locate_shard
from ..model.keys import ShardKey, check_day

__all__ = ["DatavisionLayout", "DesCoreLayout", "Layout", "LegacyLayout", "Named", "Stem", "make_layout"]

_FLAT = re.compile(r"(?P<day>[0-9]{8})_(?P<hex>[0-9A-F]{1,4})_[^/]+\Z")
_DAY_FOLDER = re.compile(r"(?P<day>[0-9]{8})/(?P<hex>[0-9A-F]{1,4})\Z")
_DATED_FOLDER = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})/(?:(?P<hex>[0-9a-f]{1,4})|shard_(?P<decimal>[0-9]{2,5}))\Z"
)
_DAY_IN_NAME = re.compile(r"_([0-9]{8})_")


class LegacyLayout(StrEnum):
    """Which system wrote a store.

    `DES_CORE`: Data Easy Store. `DATAVISION`: Datavision Easy Store.
    """

    DES_CORE = "des-core"
    DATAVISION = "datavision"


class Stem(NamedTuple):
    """What wanted keys begin with: `text`, which lies in the folder `folder` (empty for the store's root)."""

    folder: str
    text: str


class Named(NamedTuple):
    """What a key says: a shard's archive, named `archive_key`, or the sidecar of that archive."""

    where: ShardKey
    archive_key: str
    is_sidecar: bool


class Layout(ABC):
    """The naming rules of one published system.

    Args:
        n_bits: There are 2**n_bits shards a day; 0 to 16.
        zone: Time zone in which the writers' days began, if another than UTC; its day is tried as well.
    """

    scheme: ClassVar[RoutingScheme]

    def __init__(self, n_bits: int, zone: tzinfo | None) -> None:
        if not 0 <= n_bits <= MAX_BITS:
            raise InvalidInputError(f"n_bits {n_bits} is out of range; 0 to {MAX_BITS} are allowed")
        self.n_bits = n_bits
        self._zone = zone

    def places(self, uid: str | int, created_at: datetime) -> tuple[str, list[ShardKey]]:
        """Return the uid as text, and the shards that its entry may lie in, in the order in which they count.

        Raises:
            TypeError: `uid` is neither `str` nor `int`.
            InvalidInputError: As for `locate_shard`.
        """
        location = locate_shard(uid, created_at, self.n_bits, self.scheme)
        shard = self.shard_text(location.shard_index)
        days = dict.fromkeys(self._days(location.uid, created_at, location.date_dir))
        return location.uid, [ShardKey(day, shard) for day in days]

    def _days(self, uid: str, created_at: datetime, utc_day: str) -> Iterator[str]:
        # Writers took the day in the offset that a timestamp came with, and so did their readers.
        yield _day(created_at)
        yield utc_day
        if self._zone is not None:
            yield _day(created_at.astimezone(self._zone))

    def shard_text(self, number: int) -> str:
        """A shard number as text, as everywhere outside of keys: upper-case hex, `ceil(n_bits / 4)` digits."""
        return f"{number:0{max(1, -(-self.n_bits // 4))}X}"

    @abstractmethod
    def stems(self, where: ShardKey) -> list[Stem]:
        """What the keys of a shard begin with, exactly: no key of another shard does."""

    @abstractmethod
    def day_stems(self, day: str) -> list[Stem]:
        """What the keys of a day (`YYYYMMDD`) begin with."""

    @abstractmethod
    def area(self, day: str) -> list[Stem]:
        """What to list where nothing less can be listed than a folder."""

    @abstractmethod
    def parse(self, key: str) -> Named | None:
        """What a key says, or None for one that is neither an archive nor a sidecar."""


class DesCoreLayout(Layout):
    """`YYYYMMDD_HEX_NNNN.des` in the root, and `YYYYMMDD/HEX.des`; a `.meta` sidecar beside an archive.

    HEX is padded to `max(1, n_bits // 4)` digits, so 6 bits give `1`, `10`, `3F`; in day folders
    also to `ceil(n_bits / 4)`.
    """

    scheme = RoutingScheme.MODULO_CRC32

    def _hex(self, number: int) -> str:
        return f"{number:0{max(1, self.n_bits // 4)}X}"

    def stems(self, where: ShardKey) -> list[Stem]:
        published = self._hex(int(where.shard, 16))
        in_folder = dict.fromkeys((published, where.shard))
        flat = Stem("", f"{where.day}_{published}_")
        return [flat, *(Stem(where.day, f"{where.day}/{text}.") for text in in_folder)]

    def day_stems(self, day: str) -> list[Stem]:
        return [Stem("", f"{day}_"), Stem(day, f"{day}/")]

    def area(self, day: str) -> list[Stem]:
        return [Stem("", "")]

    def parse(self, key: str) -> Named | None:
        if key.endswith(".des"):
            stem, is_sidecar = key.removesuffix(".des"), False
        elif key.endswith(".meta"):
            stem, is_sidecar = key.removesuffix(".meta").removesuffix(".des"), True
        else:
            return None
        flat = _FLAT.match(stem)
        match = flat or _DAY_FOLDER.match(stem)
        if match is None:
            return None
        number = int(match["hex"], 16)
        known = {self._hex(number)} if flat else {self._hex(number), self.shard_text(number)}
        if match["hex"] not in known or not _is_day(match["day"]):
            return None
        return Named(ShardKey(match["day"], self.shard_text(number)), f"{stem}.des", is_sidecar)


class DatavisionLayout(Layout):
    """`YYYY-MM-DD/<hex>.des` and `YYYY-MM-DD/shard_<decimal>.des`; there are no sidecars.

    `<hex>` is lower-case, of `ceil(n_bits / 4)` digits; `<decimal>` has two digits or more.
    """

    scheme = RoutingScheme.SHA256_PREFIX

    def _days(self, uid: str, created_at: datetime, utc_day: str) -> Iterator[str]:
        yield from super()._days(uid, created_at, utc_day)
        # The published retriever knew no other day than this one.
        named = _DAY_IN_NAME.search(uid)
        if named and _is_day(named[1]):
            yield named[1]

    def _names(self, shard: str) -> tuple[str, str]:
        return shard.lower(), f"shard_{int(shard, 16):02d}"

    def stems(self, where: ShardKey) -> list[Stem]:
        folder = _dated(where.day)
        return [Stem(folder, f"{folder}/{name}.") for name in self._names(where.shard)]

    def day_stems(self, day: str) -> list[Stem]:
        return [Stem(_dated(day), f"{_dated(day)}/")]

    def area(self, day: str) -> list[Stem]:
        return self.day_stems(day)

    def parse(self, key: str) -> Named | None:
        match = _DATED_FOLDER.match(key.removesuffix(".des")) if key.endswith(".des") else None
        if match is None:
            return None
        shard = self.shard_text(int(match["hex"], 16) if match["hex"] else int(match["decimal"]))
        day = match["day"].replace("-", "")
        if key[len("YYYY-MM-DD/") : -len(".des")] not in self._names(shard) or not _is_day(day):
            return None
        return Named(ShardKey(day, shard), key, False)


def make_layout(layout: LegacyLayout | str, n_bits: int, zone: tzinfo | None) -> Layout:
    """Return the rules of a layout by its name.

    Raises:
        InvalidInputError: An unknown layout, or `n_bits` out of its range.
    """
    try:
        chosen = LegacyLayout(layout)
    except ValueError as error:
        raise InvalidInputError(f"unknown layout {layout!r}; known: {', '.join(LegacyLayout)}") from error
    return (DesCoreLayout if chosen is LegacyLayout.DES_CORE else DatavisionLayout)(n_bits, zone)


def _day(time: datetime) -> str:
    return f"{time:%Y%m%d}".zfill(8)


def _dated(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _is_day(text: str) -> bool:
    try:
        check_day(text)
    except InvalidInputError:
        return False
    return True
