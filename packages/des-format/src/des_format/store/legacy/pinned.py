"""One entry of a legacy store as a file: read piece by piece."""

from __future__ import annotations

from ...entry import Codec
from ..sansio.effects import Effects
from .search import Located

__all__ = ["Pinned"]


class Pinned:
    """One entry that is read piece by piece, always of the versions that were found first.

    Attributes:
        entry: What the archive says about it.
    """

    def __init__(self, located: Located) -> None:
        self.entry = located.entry
        self._archive = located.archive
        self._versions: dict[str, str | None] = {}
        self._expanded: bytes | None = None

    def read(self, start: int, end: int) -> Effects[bytes]:
        """Return payload bytes `[start, end)`; a compressed payload is expanded once, and kept.

        Raises:
            ObjectChangedError: The archive, or the payload beside it, was replaced since.
        """
        core = self._archive.core
        if self.entry.codec is Codec.NONE:
            return (yield from self._archive.source.run(core.read_entry_range(self.entry, start, end), self._versions))
        if self._expanded is None:
            _entry, self._expanded = yield from self._archive.source.run(core.get(self.entry.name), self._versions)
        return self._expanded[start:end]
