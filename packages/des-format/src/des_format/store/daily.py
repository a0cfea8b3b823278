"""Files of the day, stored under names that are made for them."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..compression import Compression, Profile
from ..errors import InvalidInputError, StoreExistsError, StoreNotFoundError, WriterClosedError
from ..objects.local import LocalObjectStore
from ..routing import RoutingScheme
from .model.ids import new_id
from .model.keys import ShardKey, archive_key, check_day
from .options import StoreOptions
from .store import DesStore
from .writers.shardwriter import ShardWriter
from .writing.building import ArchiveOptions

__all__ = ["DailyShardedDesStore", "NameGenerator"]

NameGenerator = Callable[[str], str]
"""Makes a name, new each time, for an entry of a day (`YYYYMMDD`); the extension is added to it."""

DEFAULT_BITS = 8
# Each writer holds some MiB to compress them at once; of hundreds that would be too much.
_SPILL_BYTES = 64 * 2**20
_PREFIX = re.compile(r"[A-Za-z0-9]+\Z")
_PUBLISHED_ARCHIVE = re.compile(r"[0-9A-Fa-f]{1,4}\.des\Z")


def _now() -> datetime:
    return datetime.now(UTC)


class DailyShardedDesStore:
    """Adds files to a store in a folder, each to an archive of its shard and day.

    The store is made when there is none. It is one like any other, with the routing `sha256-prefix`: an entry is read
    by its name and its day through `store`. Any number of processes may add to a folder, and a day may be opened again.

    What was added becomes durable and visible by `flush` or `close`; before that only when its archive is sealed:
    because the day ended, because it has `max_archive_bytes`, or because `max_open` others were used since. The day
    ends with the first entry of another one. A `with` block that ends by an exception keeps what was added before.
    Safe to share between threads.

    Args:
        base_dir: The folder; made when missing.
        n_bits: There are 2**n_bits shards a day; by default what the store says, 8 for a new one.
        day: The day that all entries belong to; None for the day (UTC) at which each is added.
        prefix: First part of the names that are made: ASCII letters and digits.
        name_generator: Makes the names instead: `{prefix}_{YYYYMMDD}_{32 hex digits}` by default.
        max_open: Archives that are open at a time, each with a file; less than there are shards makes many small ones.
        clock: Gives the present time.
        shard_bits: The published name of `n_bits`.
        max_archive_bytes: Payload bytes after which an archive is sealed.
        compression: As for `DesWriter`.

    Raises:
        InvalidInputError: An argument is refused, or `n_bits` and `shard_bits` contradict each other.
        ConfigurationError: `n_bits` contradicts the store.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str],
        n_bits: int | None = None,
        day: str | date | None = None,
        *,
        prefix: str = "UserCustom",
        name_generator: NameGenerator | None = None,
        max_open: int = 256,
        clock: Callable[[], datetime] = _now,
        shard_bits: int | None = None,
        max_archive_bytes: int = 2**30,
        compression: Compression | Profile = "balanced",
    ) -> None:
        if not _PREFIX.match(prefix):
            raise InvalidInputError(f"prefix {prefix!r}: ASCII letters and digits are expected")
        if n_bits is not None and shard_bits is not None and n_bits != shard_bits:
            raise InvalidInputError(f"n_bits {n_bits} and shard_bits {shard_bits} mean the same; give one of them")
        if max_open < 1 or max_archive_bytes < 1:
            raise InvalidInputError(f"max_open {max_open}, max_archive_bytes {max_archive_bytes}: 1 is the least")
        self._day = check_day(day) if day is not None else None
        self._prefix = prefix
        self._make_name = name_generator or self._default_name
        self._max_open = max_open
        self._max_archive_bytes = max_archive_bytes
        self._clock = clock
        self._open: OrderedDict[ShardKey, ShardWriter] = OrderedDict()
        self._sizes: dict[ShardKey, int] = {}
        self._unspilled_bytes = 0
        self._sealed: list[ShardWriter] = []
        self._closed = False
        self._guard = threading.RLock()
        self._base = Path(base_dir).absolute()
        policy = Compression.of(compression)
        # Many archives are open, and a pool of threads for each would be too many.
        options = StoreOptions(writing=ArchiveOptions(replace(policy, threads=policy.threads or 1)), clock=clock)
        self._store = _open_or_make(self._base, n_bits if n_bits is not None else shard_bits, options)

    @property
    def store(self) -> DesStore:
        """The store, to read entries by their name and day."""
        return self._store

    # -- adding -----------------------------------------------------------------------------

    def add_file(
        self,
        data: bytes | bytearray | memoryview,
        meta: Mapping[str, Any] | None = None,
        ext: str = "",
        name: str | None = None,
    ) -> tuple[str, Path]:
        """Add one entry.

        Args:
            data: The payload.
            meta: A JSON object, or None.
            ext: End of the name that is made, such as `.jpg`.
            name: The entry's name, whole; of equal names of a day the one that was added last wins.

        Returns:
            The entry's name, and the path where its archive will be.

        Raises:
            InvalidInputError: The entry is refused; nothing was added.
            ConflictError, UnavailableError: Archives that had to be sealed first could not be committed; this entry was
                not added, and they are tried again with the next one that is sealed.
            WriterClosedError: The store was closed, or what was added to this shard since it was last sealed is lost,
                because writing it failed: reported once.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes-like, found {type(data).__name__}")

        def add(writer: ShardWriter, name: str) -> int:
            writer.add_file(name, data, meta)
            return len(data)

        return self._add(add, ext, name)

    def add_file_from_path(
        self, path: str | os.PathLike[str], meta: Mapping[str, Any] | None = None, keep_ext: bool = True
    ) -> tuple[str, Path]:
        """Add the content of a file, in memory bounded by the big-file threshold; the file stays.

        Args:
            path: The file.
            meta: A JSON object, or None.
            keep_ext: Let the entry's name end as the file's.

        Raises:
            As `add_file`.
        """
        with Path(path).open("rb") as stream:

            def add(writer: ShardWriter, name: str) -> int:
                writer.add_stream(name, stream, meta)
                return stream.tell()

            return self._add(add, Path(path).suffix if keep_ext else "", None)

    def _add(self, add: Callable[[ShardWriter, str], int], ext: str, name: str | None) -> tuple[str, Path]:
        if name is not None and ext:
            raise InvalidInputError(f"name {name!r} is whole; extension {ext!r} is for names that are made")
        with self._guard:
            if self._closed:
                raise WriterClosedError("the daily store is closed")
            now = self._clock().astimezone(UTC) if self._day is None else _noon(self._day)
            day = f"{now:%Y%m%d}".zfill(8)
            name = name if name is not None else self._make_name(day) + ext
            where, _uid = self._store.engine.reads.locate(name, now)
            writer = self._writer(where, name)
            size = add(writer, name)
            self._sizes[where] += size
            self._unspilled_bytes += size
            if self._unspilled_bytes >= _SPILL_BYTES:
                self._spill()
            return name, self._base / writer.key

    def _default_name(self, day: str) -> str:
        return f"{self._prefix}_{day}_{new_id()}"

    # -- archives ---------------------------------------------------------------------------

    def _writer(self, where: ShardKey, name: str) -> ShardWriter:
        """The open archive of a shard, where this name is new; whatever is in its way is sealed first."""
        over = [other for other in self._open if other.day != where.day]
        writer = self._open.get(where)
        if writer is None:
            kept = [other for other in self._open if other.day == where.day]
            over += kept[: max(0, len(kept) - self._max_open + 1)]
        elif name in writer or self._sizes[where] >= self._max_archive_bytes or not writer.is_open:
            over.append(where)
        if over:
            self._seal(over)
        if where not in self._open:
            self._open[where] = self._store.writer(where.day, where.shard)
            self._sizes[where] = 0
        self._open.move_to_end(where)
        return self._open[where]

    def _spill(self) -> None:
        self._unspilled_bytes = 0
        for writer in self._open.values():
            writer.spill()

    def _seal(self, shards: list[ShardKey]) -> None:
        """Seal archives and commit them, after those that could not be committed before.

        Raises:
            DesError: Of the first that failed; all that could be committed are.
        """
        waiting = [*self._sealed, *(self._open.pop(where) for where in shards)]
        self._sealed = []
        failure: Exception | None = None
        for writer in waiting:
            # Within a shard the order of commits decides which of equal names wins.
            if any(writer.where == other.where for other in self._sealed):
                self._sealed.append(writer)
                continue
            try:
                writer.close()
            except Exception as error:  # Raised below, when the others had their turn.
                failure = failure or error
                if writer.footer is not None:
                    self._sealed.append(writer)
        if failure is not None:
            raise failure

    def flush(self) -> None:
        """Seal and commit all archives: what was added before is durable and visible when this returns.

        Raises:
            ConflictError, UnavailableError: Some could not be committed; another `flush` or `close` tries these again.
        """
        with self._guard:
            self._seal(list(self._open))

    def close(self) -> None:
        """Accept nothing more, and `flush`; may be called again after a failure."""
        with self._guard:
            self._closed = True
            self._seal(list(self._open))
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- reading ----------------------------------------------------------------------------

    @staticmethod
    def iter_daily_des_files(base_dir: str | os.PathLike[str], day: str | date) -> Iterator[Path]:
        """Yield the paths of a day's archives, shard by shard, older ones before newer ones.

        Archives of the published layout, `YYYY-MM-DD/HEX.des`, come first. Deletions are not looked at: the entries
        that count are those of `DesStore.list`.
        """
        base, day = Path(base_dir).absolute(), check_day(day)
        published = base / f"{day[:4]}-{day[4:6]}-{day[6:]}"
        if published.is_dir():
            files = [path for path in published.iterdir() if _PUBLISHED_ARCHIVE.match(path.name)]
            yield from sorted(files, key=lambda path: int(path.stem, 16))
        try:
            store = DesStore.open(LocalObjectStore(base))
        except StoreNotFoundError:
            return
        with store:
            engine = store.engine
            for where in store.runner.run(engine.all_shards(day)):
                state = store.runner.run(engine.present.state(where))
                for row in reversed(state.newest_first()):
                    yield base / archive_key(where, row.id)


def _noon(day: str) -> datetime:
    return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), 12, tzinfo=UTC)


def _open_or_make(base: Path, n_bits: int | None, options: StoreOptions) -> DesStore:
    """Open the store in a folder, or make it; of several processes that do so at the same time one makes it."""
    objects = LocalObjectStore(base, create=True)
    try:
        return DesStore.open(objects, n_bits=n_bits, options=options)
    except StoreNotFoundError:
        pass
    try:
        bits = n_bits if n_bits is not None else DEFAULT_BITS
        return DesStore.init(objects, n_bits=bits, scheme=RoutingScheme.SHA256_PREFIX, options=options)
    except StoreExistsError:
        return DesStore.open(objects, n_bits=n_bits, options=options)
