"""Copy what is visible of some archives into one, and compare that with what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from xxhash import xxh3_128_digest

from ...append import OpenedForAppend
from ...entry import Entry
from ...errors import ChecksumMismatchError
from ...layout import Footer
from ...ranges import ByteRange
from ...targets import NewFile
from ...writer import DesWriter
from ..engine import Engine
from ..model.commits import ArchiveRow
from ..model.keys import ShardKey
from ..model.state import ShardState
from ..reading.archives import StoredArchive
from ..sansio.effects import Read, ask
from ..writing.bigfiles import Runs
from .fronts import DataDigests, KeptArchive, check_assembled, place_of

__all__ = ["Merging", "Progress"]

Progress = Callable[[int, int], None]


class Merging:
    """Copies what is visible of some archives into one, and remembers what it must hold.

    Args:
        engine: The store.
        runner: Runs effects.
        where: The shard.
        state: Of the shard.
        progress: Called with the bytes done, and how many there are.
        total_bytes: How many there are.
        kept: The one that stays as it is, in front of what is written here; None for none.

    Attributes:
        dropped: Entries that were left out.
        big_files: SHA-256 (hex) of the big files that the new archive refers to.
    """

    def __init__(
        self,
        engine: Engine,
        runner: Runs,
        where: ShardKey,
        state: ShardState,
        progress: Progress | None,
        total_bytes: int,
        kept: KeptArchive | None = None,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._where = where
        self._state = state
        self._progress = progress
        self._total = total_bytes
        self._kept = kept
        self._done = 0
        self._expected: dict[str, bytes] = dict(kept.places) if kept else {}
        self.dropped = 0
        self.big_files: dict[str, None] = dict.fromkeys(kept.archive.row.big_files) if kept else {}

    def write(self, path: Path, rows: Sequence[ArchiveRow]) -> Footer:
        """Write the new archive, or what comes after the one that is kept, to a local file.

        Args:
            path: The file.
            rows: The archives, oldest first.
        """
        with self._writer(path) as writer:
            for row in reversed(rows):
                if self._kept is None or row != self._kept.archive.row:
                    archive = self._engine.archives.get(self._where, row)
                    for entry, payload in self._scan(archive):
                        self._copy(writer, row, entry, payload)
        assert writer.footer is not None
        return writer.footer

    def _writer(self, path: Path) -> DesWriter:
        compression = self._engine.options.writing.compression
        kept = self._kept
        if kept is None:
            return DesWriter(path, compression=compression, big_file_threshold=2**32)
        target = NewFile(path, overwrite=False)
        opened = OpenedForAppend(target, kept.archive.row.footer, kept.catalog, kept.dictionary)
        return DesWriter.after(opened, compression=compression)

    def _copy(self, writer: DesWriter, row: ArchiveRow, entry: Entry, payload: bytes | None) -> None:
        if entry.name in self._expected or self._state.hides(entry.name, row):
            self.dropped += 1
            return
        self._expected[entry.name] = _fingerprint(entry, payload)
        if payload is not None:
            writer.add_file(entry.name, payload, entry.meta or None)
            return
        assert entry.sha256 is not None
        writer.add_external(entry.name, entry.sha256, entry.size, entry.meta or None)
        self.big_files[entry.sha256] = None

    def _scan(
        self, archive: StoredArchive, on_data: Callable[[ByteRange, bytes], None] | None = None
    ) -> Iterator[tuple[Entry, bytes | None]]:
        scanner = self._runner.run(archive.run(archive.core.scanner()))
        while (wanted := scanner.next_range()) is not None:
            found = self._runner.run(ask(Read(archive.key, wanted.start, wanted.end, kind="payload")))
            self._count(len(found.data))
            data = archive.accept(found)
            if on_data is not None:
                on_data(wanted, data)
            yield from scanner.feed(data)

    def _count(self, count: int) -> None:
        # Everything is read twice, old and new, but how large the new archive will be is not known.
        self._done += count
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def compare(self, archive: StoredArchive) -> None:
        """Read the new archive back and compare every entry.

        Raises:
            CorruptArchiveError: It is not what was copied; nothing was committed.
        """
        kept = self._kept
        footers = check_assembled(self._runner, archive, kept) if kept else [archive.row.footer]
        kept_bytes = kept.archive.row.size if kept else 0
        digests = DataDigests(archive.key, footers)
        missing = dict(self._expected)
        for entry, payload in self._scan(archive, digests.update):
            found = place_of(entry) if entry.offset < kept_bytes else _fingerprint(entry, payload)
            if missing.pop(entry.name, None) != found:
                raise ChecksumMismatchError(
                    f"archive {archive.key}: entry {entry.name!r} is not what was read from the archives"
                    " that it is to replace; nothing was committed"
                )
        if missing:
            raise ChecksumMismatchError(f"archive {archive.key} lacks {len(missing)} entries; nothing was committed")
        digests.check()


def _fingerprint(entry: Entry, payload: bytes | None) -> bytes:
    content = f"{entry.sha256} {entry.size}".encode() if payload is None else payload
    meta = repr(sorted(entry.meta.items())).encode()
    return xxh3_128_digest(content) + xxh3_128_digest(meta)
