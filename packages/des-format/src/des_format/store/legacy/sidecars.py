"""The `.meta` sidecars of Data Easy Store: which entries of a shard were deleted.

A published reader compared the whole timestamp, so that a deleted entry could be read again under
another time of the same day. Here a tombstone hides its uid in the shard of that day, and whoever
says that an entry is another one must prove it.

Source: docs/legacy-formats.md, section "Stores".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...errors import CorruptArchiveError, UnsupportedFormatError

__all__ = ["MAX_SIDECAR_BYTES", "Deletions", "Sidecar", "decode_sidecar"]

MAX_SIDECAR_BYTES = 256 * 2**20
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What one sidecar says.

    Attributes:
        archive_size: Size of the archive that its index describes, in bytes; None when it does not say.
        tombstones: For each deleted uid the creation times that were named.
        created: For each uid whose entry's creation time is certain, that time.
    """

    archive_size: int | None
    tombstones: Mapping[str, frozenset[datetime]]
    created: Mapping[str, datetime]


def decode_sidecar(data: bytes, key: str) -> Sidecar:
    """Read a sidecar.

    Args:
        data: The whole object.
        key: Its key, for messages.

    Raises:
        UnsupportedFormatError: Another version.
        CorruptArchiveError: Anything else that is no sidecar. Nothing is known about deletions then.
    """
    try:
        value: Any = json.loads(data)
        if value["version"] == _VERSION:
            size = value.get("shard_size")
            return Sidecar(
                size if isinstance(size, int) else None, _tombstones(value["tombstones"]), _created(value.get("index"))
            )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CorruptArchiveError(
            f"sidecar {key} cannot be read, so what was deleted is not known: {error!r}; restore or rebuild it"
        ) from error
    raise UnsupportedFormatError(f"sidecar {key} has version {value['version']!r}, known is {_VERSION}")


def _tombstones(items: Mapping[str, Mapping[str, Any]]) -> dict[str, frozenset[datetime]]:
    found: dict[str, set[datetime]] = {}
    for key, item in items.items():
        uid, created_at = item["uid"], item["created_at"]
        if not isinstance(uid, str | int) or isinstance(uid, bool):
            raise ValueError(f"tombstone {key!r} names the uid {uid!r}")
        at = _instant(created_at)
        found.setdefault(str(uid), set()).add(at)
        # Key and fields are written together; where they differ, either may be what was meant.
        named, _, time = key.removesuffix(created_at).rpartition(":")
        if (named, time) != (str(uid), ""):
            for other, instant in _readings(key):
                found.setdefault(other, set()).add(instant)
    return {uid: frozenset(times) for uid, times in found.items()}


def _readings(key: str) -> list[tuple[str, datetime]]:
    """Every way to take `uid:time` apart."""
    readings = []
    for at, character in enumerate(key):
        if character == ":":
            try:
                readings.append((key[:at], _instant(key[at + 1 :])))
            except ValueError:
                continue
    if not readings:
        raise ValueError(f"tombstone {key!r} is not named after a uid and a time")
    return readings


def _created(index: object) -> dict[str, datetime]:
    """The entries of an index whose creation time leaves no doubt; anything odd proves nothing."""
    times: dict[str, set[datetime | None]] = {}
    for key, item in index.items() if isinstance(index, dict) else ():
        uid = item.get("uid") if isinstance(item, dict) else None
        if not isinstance(uid, str):
            return {}
        try:
            time = _instant(key.removeprefix(f"{uid}:")) if key.startswith(f"{uid}:") else None
        except ValueError:
            time = None
        times.setdefault(uid, set()).add(time)
    return {uid: time for uid, found in times.items() if len(found) == 1 and (time := next(iter(found))) is not None}


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)


class Deletions:
    """What the sidecars of the shards that are searched say together.

    Args:
        sidecars: For each shard its sidecars by the key of the archive they belong to, with that
            archive's size in bytes; None for an archive that is not there.
    """

    def __init__(self, sidecars: Iterable[tuple[Sidecar, str, int | None]]) -> None:
        self._times: dict[str, set[datetime]] = {}
        self._created: dict[str, Mapping[str, datetime]] = {}
        for sidecar, archive_key, size in sidecars:
            for uid, times in sidecar.tombstones.items():
                self._times.setdefault(uid, set()).update(times)
            # An archive of another size was written anew: the index describes its predecessor.
            if size is not None and sidecar.archive_size == size:
                self._created[archive_key] = sidecar.created

    def __contains__(self, uid: str) -> bool:
        return uid in self._times

    def names(self, uid: str, created_at: datetime) -> bool:
        """Whether a tombstone names exactly this entry."""
        return created_at in self._times.get(uid, ())

    def hides(self, uid: str, archive_key: str, created_at: datetime | None) -> bool:
        """Whether the entry of this uid in an archive must not be shown.

        Args:
            uid: The entry's name.
            archive_key: Key of the archive.
            created_at: The time that was asked for; None in a listing.
        """
        times = self._times.get(uid)
        if not times:
            return False
        proven = self._created.get(archive_key, {}).get(uid)
        return proven is None or proven in times or (created_at is not None and created_at != proven)
