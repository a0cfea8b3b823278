"""Which entries of an archive the command line names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..entry import Entry
from ..errors import EntryNotFoundError
from ..reader import DesReader
from .patterns import GLOB_CHARACTERS, Selection, pattern_regex

__all__ = ["Choice"]


class Choice:
    """Entries by name, glob pattern and prefix; may be iterated over again.

    What is the name of an entry means that entry, even if it looks like a pattern.

    Args:
        reader: The archive.
        wanted: Names and patterns; none for all entries.
        prefix: Only names that begin with it.
    """

    def __init__(self, reader: DesReader, wanted: Sequence[str] = (), prefix: str = "") -> None:
        self._reader = reader
        self._prefix = prefix
        self._names = {name for name in wanted if name in reader}
        self._patterns = [name for name in wanted if name not in self._names]
        self._selection = Selection(include=self._patterns)
        self.is_everything = not wanted and not prefix

    def __iter__(self) -> Iterator[Entry]:
        if self._names and not self._patterns:
            for name in sorted(self._names):
                if name.startswith(self._prefix):
                    yield self._reader.get_entry(name)
            return
        for entry in self._reader.entries(self._prefix):
            if not self._patterns or entry.name in self._names or self._selection.wants(entry.name):
                yield entry

    def check(self) -> int:
        """Return the payload bytes of all chosen entries.

        Raises:
            EntryNotFoundError: Nothing is chosen, or something that was asked for chooses nothing.
        """
        if self.is_everything:
            return self._reader.get_stats().total_size_bytes
        idle = {pattern: re.compile(pattern_regex(pattern), re.DOTALL) for pattern in self._patterns}
        total = 0
        entry = None
        for entry in self:
            total += entry.size
            for pattern in [pattern for pattern, regex in idle.items() if regex.fullmatch(entry.name)]:
                del idle[pattern]
        for pattern in idle:
            kind = "matches" if GLOB_CHARACTERS & set(pattern) else "is named, or lies below,"
            raise EntryNotFoundError(f"no entry {kind} {pattern!r}")
        if entry is None:
            raise EntryNotFoundError(f"no entry's name begins with {self._prefix!r}")
        return total
