"""What may be read of the entries of one archive: their descriptions, their payloads, or payloads up to a limit.

For many names each takes as few rounds of requests as for one: what all of them ask for next is planned together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core import ArchiveCore
from ...entry import Codec, Entry
from ...fetching import in_step
from ...ranges import Steps

__all__ = ["Parts", "Way", "descriptions", "payloads", "within"]

Parts = tuple[Entry, bytes] | tuple[Entry, bytes, Codec]
Way = Callable[[ArchiveCore, Sequence[str]], "Steps[Mapping[str, Parts]]"]


def payloads(core: ArchiveCore, names: Sequence[str]) -> Steps[dict[str, tuple[Entry, bytes]]]:
    """Read entries with their payloads."""
    return core.get_many(names)


def descriptions(core: ArchiveCore, names: Sequence[str]) -> Steps[dict[str, tuple[Entry, bytes]]]:
    """Read entries, with an empty payload."""
    found = yield from in_step({name: core.find(name) for name in names}, core.cost)
    return {name: (entry, b"") for name, entry in found.items() if entry is not None}


def within(limit_bytes: int, *, keep_zstd: bool = False) -> Way:
    """Return what reads entries with payloads of up to `limit_bytes`, as `Archive.get_within` does."""

    def read(core: ArchiveCore, names: Sequence[str]) -> Steps[Mapping[str, Parts]]:
        found = yield from in_step(
            {name: core.get_within(name, limit_bytes, keep_zstd=keep_zstd) for name in names}, core.cost
        )
        return {name: parts for name, parts in found.items() if parts is not None}

    return read
