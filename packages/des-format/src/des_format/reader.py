"""Read an archive synchronously: from a local file, from memory, or over any range source."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from .append import open_committed
from .archive import DEFAULT_MAX_ENTRY_BYTES, Archive
from .audit import VerifyReport, audit
from .catalog import ArchiveStats
from .core import ArchiveCore
from .entry import Codec, Entry, Record
from .entryio import open_entry
from .errors import DesError, EntryNotFoundError
from .layout import HEADER_SIZE, check_header
from .localread import LocalIndex, scan_mapped
from .names import encode_name
from .opening import ReadOptions, open_core
from .planner import TransferCost
from .ranges import RangeSource, Steps, drive
from .sources import BufferSource

__all__ = ["DesReader", "open_archive"]

T = TypeVar("T")


class DesReader:
    """Reads one archive of any known format; the format is recognised by its last bytes.

    A version-3 archive opens without parsing: memory use does not grow with the number of
    entries, and a lookup touches one index block. Every payload is checked before it is
    returned. Safe to share between threads; a forked process may go on using it.

    Args:
        source: Path of a local archive, its bytes, or a `RangeSource`.
        verify: Check the checksums of entries; those of the index always are.
        max_entry_bytes: Refuse to expand, or to read from beside the archive, a larger payload as a whole.
        cost: What a request costs, for merging the ranges of batch reads over a `RangeSource`.

    Raises:
        FileNotFoundError: No such file.
        UnsupportedFormatError: Not an archive, or one that needs a newer reader.
        CorruptArchiveError: An archive that is truncated or damaged.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | RangeSource,
        *,
        verify: bool = True,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        cost: TransferCost | None = None,
    ) -> None:
        self._source: RangeSource
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            self._label = str(path)
            self._source = open_committed(path)
        elif isinstance(source, bytes):
            self._label = f"{len(source)} bytes in memory"
            self._source = BufferSource(source)
        else:
            self._label = repr(source)
            self._source = source
        self._local: LocalIndex | None = None
        try:
            options = ReadOptions(verify=verify, max_entry_bytes=max_entry_bytes, cost=cost or TransferCost())
            self._core = drive(open_core(options), self._source)
            if isinstance(self._source, BufferSource) and isinstance(self._core, Archive):
                check_header(self._source.data[:HEADER_SIZE])
                if LocalIndex.supports(self._core.footer):
                    self._read_locally(
                        LocalIndex(self._source.data, self._core.footer, _LocalExpander(self._core, self._source))
                    )
        except DesError as error:
            self.close()
            error.args = (f"{self._label}: {error}",)
            raise
        except BaseException:
            self.close()
            raise

    def _read_locally(self, local: LocalIndex) -> None:
        self._local = local
        if type(self).get_file is DesReader.get_file:
            # A function of this instance, without `self`, so that no cycle keeps a dropped reader's file open.
            get_file = local.getter(partial(_get_over, self._core, self._source))
            self.get_file = get_file  # type: ignore[assignment, method-assign]

    def _run(self, steps: Steps[T]) -> T:
        return drive(steps, self._source)

    def finder(self) -> Callable[[str], bytes | None]:
        """Return a function like `get_file` that returns None for a name that the archive does not hold."""
        core, source = self._core, self._source

        def find(name: str) -> bytes | None:
            try:
                return _get_over(core, source, name)
            except EntryNotFoundError:
                return None

        return find if self._local is None else self._local.getter(find, lambda _name: None)

    # -- payloads ---------------------------------------------------------------------------

    def get_file(self, name: str) -> bytes:
        """Return an entry's payload.

        Raises:
            EntryNotFoundError: No entry of this name (also a `KeyError`).
            CorruptArchiveError: Its bytes contradict the format or their checksum.
            BigFileMissingError: Its payload lies beside the archive, and is not there.
            EntryTooLargeError: The payload, compressed or external, is over `max_entry_bytes`.
        """
        return _get_over(self._core, self._source, name)

    def read_entry(
        self, name: str, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> tuple[Entry, bytes, Codec]:
        """Return what the archive says about an entry together with its payload, with one lookup.

        Args:
            name: The entry.
            limit_bytes: Of a payload of more bytes nothing is read, and it is empty in the result; None for no limit.
            keep_zstd: Leave a payload that is compressed with zstd, without a dictionary, as it is stored; checked.

        Returns:
            The entry, its payload, and how that is still compressed.

        Raises:
            As `get_file`.
        """
        limit = sys.maxsize if limit_bytes is None else limit_bytes
        found = self._local.read(name, limit, keep_zstd=keep_zstd) if self._local is not None else None
        if found is None:
            found = self._run(self._core.get_within(name, limit, keep_zstd=keep_zstd))
        if found is None:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return found

    def get_files_batch(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the payloads of many entries, in the order of `names`; missing ones are left out.

        Over a range source this takes one round of index blocks and one of payloads, with
        neighbouring ranges merged where that is cheaper than a request of their own.

        Raises:
            TypeError: `names` is one string.
            As `get_file`, but for missing entries.
        """
        if isinstance(names, str | bytes):
            raise TypeError("names must be an iterable of names, found a single one; use get_file")
        wanted = list(names)
        local = self._local
        if local is None:
            found = self._run(self._core.get_many(wanted))
            return {name: payload for name, (_entry, payload) in found.items()}
        try:
            payloads = local.get_many(wanted)
        except (AttributeError, UnicodeEncodeError):
            for name in wanted:
                encode_name(name)  # Says what is wrong with it.
            raise
        slow = [name for name, payload in payloads.items() if payload is None]
        if slow:
            found = self._run(self._core.get_many(slow))
            for name in slow:
                if name in found:
                    payloads[name] = found[name][1]
                else:
                    del payloads[name]
        return cast("dict[str, bytes]", payloads)

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`; what lies beyond the payload is left out.

        Of an uncompressed or external entry only these bytes are read, so its checksum, which
        covers the whole payload, is not checked; a compressed one is read as a whole.

        Raises:
            InvalidInputError: Not `0 <= start <= end`.
            As `get_file`.
        """
        return self._run(self._core.read_entry_range(self.get_entry(name), start, end))

    def open(self, name: str) -> io.BufferedReader:
        """Return a seekable, read-only binary file over an entry's payload.

        A payload that is stored compressed is expanded, and checked, as a whole when it is
        opened; any other is read as needed, like `read_range`.
        """
        entry = self.get_entry(name)
        if entry.codec:
            return io.BufferedReader(io.BytesIO(self.get_file(name)))
        return open_entry(entry, lambda start, end: self._run(self._core.read_entry_range(entry, start, end)))

    # -- descriptions -----------------------------------------------------------------------

    def get_entry(self, name: str) -> Entry:
        """Return what the archive says about an entry, without reading its payload.

        Raises:
            EntryNotFoundError: No entry of this name.
        """
        return self._run(self._core.entry(name))

    def get_meta(self, name: str) -> dict[str, Any]:
        """Return an entry's metadata; an empty dict for none.

        Raises:
            EntryNotFoundError: No entry of this name.
        """
        return dict(self.get_entry(name).meta)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose names have the prefix, in name order, a few META blocks at a time."""
        for page in self._run(self._core.pages(prefix)):
            yield from self._run(self._core.list_page(page, prefix))

    def list_files(self, prefix: str = "") -> list[str]:
        """Return the names that have the prefix, in the order of their UTF-8 bytes."""
        return [entry.name for entry in self.entries(prefix)]

    def scan(self) -> Iterator[tuple[Entry, bytes | None]]:
        """Yield every entry with its payload, in the order in which they were added.

        The payload of an external entry is None, so that memory stays bounded; `open` and
        `get_file` read it.
        """
        if isinstance(self._core, Archive) and isinstance(self._source, BufferSource):
            segments = [(part.data_start, part.meta_start) for part in self._run(self._core.footers())]
            self._run(self._core.dictionary())
            return scan_mapped(self._source.data, segments, self._core)
        return self._scan_source()

    def _scan_source(self) -> Iterator[tuple[Entry, bytes | None]]:
        scanner = self._run(self._core.scanner())
        while (wanted := scanner.next_range()) is not None:
            (data,) = self._source.read_ranges([wanted])
            yield from scanner.feed(data)

    # -- the archive ------------------------------------------------------------------------

    @property
    def core(self) -> Any:
        """The sans-I/O archive behind this reader: an `Archive`, or a legacy format's twin."""
        return self._core

    @property
    def format_name(self) -> str:
        """The archive's format, for people."""
        return self._core.format_name

    def get_stats(self) -> ArchiveStats:
        """Return what the archive adds up to; nothing is read."""
        return self._core.stats

    def verify(self, *, sample: float = 1.0, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Check every byte of the archive and every object beside it, or a sample of its entries.

        Problems are collected, not raised; damage so bad that the archive cannot be opened is
        an error when it is opened. Formats without checksums are read whole, and the report says so.

        Args:
            sample: Share of the entries to read, above 0 to 1; everything else is checked whole.
            progress: Called with the bytes read so far, and how many there are about.

        Raises:
            InvalidInputError: `sample` is out of its range.
        """
        return audit(self._core, self._source, sample=sample, progress=progress)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._run(self._core.find(name)) is not None

    def __len__(self) -> int:
        return self._core.stats.total_files

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self.entries())

    def __repr__(self) -> str:
        return f"<DesReader {self._label}, {self.format_name}, {len(self)} entries>"

    def close(self) -> None:
        """Release the file; reading afterwards is an error."""
        if self._local is not None:
            self._local.close()
            self._local = None
            self.__dict__.pop("get_file", None)
        if isinstance(self._source, BufferSource):
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _LocalExpander:
    """Expands payloads of a local archive, whose dictionary is read when the first one needs it."""

    def __init__(self, archive: Archive, source: RangeSource) -> None:
        self.verify = archive.verify
        self._archive = archive
        self._source = source

    def expand(self, record: Record, stored: bytes) -> bytes:
        if record.dictionary:
            drive(self._archive.dictionary(), self._source)
        return self._archive.expand(record, stored)


def _get_over(core: ArchiveCore, source: RangeSource, name: str) -> bytes:
    return drive(core.get(name), source)[1]


def open_archive(source: str | os.PathLike[str] | bytes | RangeSource, **options: Any) -> DesReader:
    """Open an archive of any known format; arguments and errors as for `DesReader`."""
    return DesReader(source, **options)
