"""Read the sidecars of shards, and what follows from those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import CorruptArchiveError, DesError, UnsupportedFormatError
from ..sansio.effects import Effects, ReadAll, value_of
from .archives import again
from .listings import Found, Shelf
from .recent import Recent
from .sidecars import MAX_SIDECAR_BYTES, Deletions, Sidecar, decode_sidecar

__all__ = ["Ledger", "Sidecars"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known about deletions in the shards that are searched.

    Attributes:
        deletions: What the readable sidecars say.
        unknown: By the key of an archive, why nothing is known about deletions from it.
    """

    deletions: Deletions
    unknown: Mapping[str, DesError]


class Sidecars:
    """Reads sidecars, and keeps what they say as long as the listing shows the same version.

    Args:
        max_count: How many are kept.
    """

    def __init__(self, max_count: int) -> None:
        self._known: Recent[str, tuple[Found, Sidecar | DesError]] = Recent(max_count)

    def ledger(self, shelves: Iterable[Shelf]) -> Effects[Ledger]:
        """Say what is known about deletions; one round for sidecars that are new.

        Raises:
            ObjectNotFoundError: A sidecar vanished since it was listed.
            UnavailableError: One cannot be read now. Nothing may be read without it.
        """
        shelves = list(shelves)
        sizes = {archive.key: archive.size for shelf in shelves for archive in shelf.archives}
        listed = [pair for shelf in shelves for pair in shelf.sidecars]
        contents = yield from self._contents([found for _key, found in listed])
        known: list[tuple[Sidecar, str, int | None]] = []
        unknown: dict[str, DesError] = {}
        for (archive_key, _found), content in zip(listed, contents, strict=True):
            if isinstance(content, DesError):
                unknown[archive_key] = content
            else:
                known.append((content, archive_key, sizes.get(archive_key)))
        return Ledger(Deletions(known), unknown)

    def _contents(self, wanted: Sequence[Found]) -> Effects[list[Sidecar | DesError]]:
        contents = {found.key: content for found in wanted if (content := self._held(found)) is not None}
        missing = [found for found in wanted if found.key not in contents]
        small = [found for found in missing if found.size <= MAX_SIDECAR_BYTES]
        replies = (yield [ReadAll(found.key) for found in small]) if small else []
        data = {found.key: value_of(reply).data for found, reply in zip(small, replies, strict=True)}
        for found in missing:
            contents[found.key] = _decode(found, data.get(found.key))
            self._known.set(found.key, (found, contents[found.key]))
        return [contents[found.key] for found in wanted]

    def _held(self, found: Found) -> Sidecar | DesError | None:
        held = self._known.get(found.key)
        return held[1] if held is not None and held[0].version == found.version else None

    def forget(self, keys: Iterable[str]) -> None:
        """Read these anew when they are wanted next."""
        self._known.forget(set(keys).__contains__)


def _decode(found: Found, data: bytes | None) -> Sidecar | DesError:
    if data is None:
        return CorruptArchiveError(f"sidecar {found.key} has {found.size} bytes; at most {MAX_SIDECAR_BYTES} are read")
    try:
        return decode_sidecar(data, found.key)
    except (CorruptArchiveError, UnsupportedFormatError) as error:
        return again(error)
