"""Write one archive of a shard front to back: entries in, and a commit at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol

from ...compression import Compression, Profile
from ...errors import (
    ConflictError,
    CorruptArchiveError,
    DesError,
    InvalidInputError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from ...layout import FOOTER_SIZE, decode_footer
from ...ports.objects import Creates, ObjectStore, translate
from ...routing import locate_shard
from ...targets import Target
from ...writer import DesWriter
from ..engine import Engine
from ..model.ids import check_archive_id, new_id
from ..model.keys import ShardKey, archive_key
from ..sansio.effects import Data, Effects, ReadTail, ask
from ..writing.bigfiles import Runs, StoreBigFiles
from ..writing.writes import NewArchive, Receipt

__all__ = ["ShardWriter"]

_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class _Draft(Target, Protocol):
    """Where a writer's bytes wait until they are published: a target whose `commit` only ends the writing.

    Attributes:
        data: The file to publish, or None when `publish` does it.
    """

    @property
    def data(self) -> Path | None: ...

    def publish(self) -> None:
        """Give the object its name; repeats its failure when called again."""
        ...


class _ObjectDraft:
    """The archive's own object, which has no name yet."""

    data = None

    def __init__(self, target: Target, key: str) -> None:
        self._target = target
        self._key = key
        self._ended = False
        self._failure: DesError | None = None
        self.write = target.write

    def commit(self) -> None:
        """Nothing yet: the object appears by `publish`."""

    def publish(self) -> None:
        if not self._ended:
            try:
                self._target.commit()
                self._ended = True
            except Exception as error:  # As for any foreign object store; `translate` knows it by name.
                self._failure = translate(error, self._key)
                self.rollback()
        if self._failure is not None:
            raise self._failure

    def rollback(self) -> None:
        if not self._ended:
            self._ended = True
            self._target.rollback()


class _FileDraft:
    """A temporary file, to be copied to the object store as often as it takes."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="des-archive-", suffix=".des")  # noqa: SIM115  # `rollback` closes it
        self.data = Path(self._file.name)
        self.write = self._file.write

    def commit(self) -> None:
        self._file.flush()

    def publish(self) -> None:
        """Nothing: an archive is published from its file when it is committed."""

    def rollback(self) -> None:
        self._file.close()


class ShardWriter(DesWriter):
    """Writes one new archive of a shard; `close` seals, publishes and commits it. Made by `DesStore.writer`.

    Nothing is visible before `close` returns. A `with` block that ends by an exception leaves nothing, except big
    files, which `gc` collects. After a `close` that failed in publishing or committing, another `close` only tries
    these again, and never adds the archive twice. Where the object store itself takes the archive piece by piece, an
    object that could not be completed is lost with the first failure, as for any `DesWriter`.

    Args:
        engine: The store's logic.
        runner: Runs it.
        objects: The object store.
        where: The shard.
        archive_id: As for `DesStore.put_archive`.
        compression: As for `DesWriter`; None for the store's option.
        big_file_threshold: As for `DesWriter`; None for the store's option.
    """

    def __init__(
        self,
        engine: Engine,
        runner: Runs,
        objects: ObjectStore,
        where: ShardKey,
        archive_id: str | None,
        *,
        compression: Compression | Profile | None = None,
        big_file_threshold: int | None = None,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._where = where
        self._began_at = engine.options.clock()
        self._id = check_archive_id(archive_id) if archive_id is not None else new_id(engine.options.clock())
        # Once an attempt may have had an effect, only the history tells whether the archive was added.
        self._may_be_known = archive_id is not None
        self._receipt: Receipt | None = None
        self._external: dict[str, None] = {}
        writing = engine.options.writing
        policy = Compression.of(compression if compression is not None else writing.compression)
        threshold = big_file_threshold if big_file_threshold is not None else writing.big_file_threshold
        sink = StoreBigFiles(runner, where.day, engine.options.clock)
        if threshold < 0:
            raise InvalidInputError(f"big_file_threshold {threshold} is negative")
        self._draft = _begin(objects, archive_key(where, self._id))
        super().__init__(self._draft, compression=policy, big_file_threshold=threshold, big_files=sink)

    @property
    def where(self) -> ShardKey:
        """The shard that is written to."""
        return self._where

    @property
    def archive_id(self) -> str:
        """The id of the archive."""
        return self._id

    @property
    def key(self) -> str:
        """The key that the archive's object has once it is published."""
        return archive_key(self._where, self._id)

    @property
    def receipt(self) -> Receipt | None:
        """What was added, once `close` has returned."""
        return self._receipt

    @property
    def is_open(self) -> bool:
        """Whether entries can be added: it was not closed, and no write failed."""
        return not self._closed

    # -- adding -----------------------------------------------------------------------------

    def _accept(self, name: str, meta: Mapping[str, Any] | None) -> tuple[bytes, bytes]:
        accepted = super()._accept(name, meta)
        descriptor = self._engine.descriptor
        # Its uid tells the shard; the day is for the caller to know.
        shard = locate_shard(name, _ANY_TIME, descriptor.n_bits, descriptor.scheme).shard_hex
        if shard != self._where.shard:
            raise InvalidInputError(f"uid {name!r} belongs to shard {shard}, this archive is one of {self._where}")
        return accepted

    def _append_external(self, encoded: bytes, meta: bytes, digest: bytes, size: int) -> None:
        super()._append_external(encoded, meta, digest, size)
        self._external[digest.hex()] = None

    def add_external(self, name: str, sha256: str, size: int, meta: Mapping[str, Any] | None = None) -> NoReturn:
        """Refused: the big file could be collected before the commit. Add the payload; equal ones are stored once."""
        raise UnsupportedOperationError(f"entry {name!r}: add its payload; a store keeps equal big files of a day once")

    def spill(self) -> None:
        """Hand on what waits in memory for a larger write; for who has many writers."""
        if self.is_open:
            with self._poisoned_by_failure("writing failed"):
                self._flush_pending()
                self._flush_buffer()

    # -- ending -----------------------------------------------------------------------------

    def close(self) -> None:
        """Seal the archive, publish it and commit it; once that was done, this does nothing.

        Raises:
            ConflictError: Others committed for too long, or another archive has this id; nothing was added.
            ArchiveCondemnedError: An archive of this id was collected as garbage.
            UnavailableError: The storage failed; whether the archive was added is not known until another `close`.
            WriterClosedError: A write failed before, so there is nothing to seal.
        """
        if self._receipt is not None:
            return
        super().close()
        self._publish()
        self._receipt = self._commit()
        self._draft.rollback()

    def _publish(self) -> None:
        try:
            self._draft.publish()
        except DesError as failure:
            try:
                self._runner.run(self._read_back())
            except ObjectNotFoundError:
                self._closed, self._footer = f"its object could not be completed: {failure}", None
                raise failure from failure.__cause__

    def _read_back(self) -> Effects[None]:
        """See whether the archive's object is there in spite of a failure.

        Raises:
            ObjectNotFoundError: It is not.
            ConflictError: Another one is.
        """
        found: Data = yield from ask(ReadTail(self.key, FOOTER_SIZE))
        with suppress(CorruptArchiveError):
            if decode_footer(found.data, archive_size=found.size) == self._footer:
                return
        raise ConflictError(f"another archive is stored as {self.key}; its footer is another one")

    def _commit(self) -> Receipt:
        assert self._footer is not None
        archive = NewArchive(
            self._where, self._id, self._draft.data, self._footer, tuple(self._external), self._began_at
        )
        writes = self._engine.writes
        once, self._may_be_known = self._may_be_known, True
        return self._runner.run(writes.add_once(archive) if once else writes.add(archive))

    def abort(self) -> None:
        """Give up, unless the archive is committed; after a `close` that failed, whether it was may not be known."""
        if self._receipt is None and self._footer is not None:
            self._closed = ""  # Sealed, but not all that this writer is for.
        super().abort()


def _begin(objects: ObjectStore, key: str) -> _Draft:
    if isinstance(objects, Creates):
        try:
            return _ObjectDraft(objects.target(key), key)
        except ObjectExistsError:
            pass  # An archive that is added again, perhaps; the commit looks at what it is.
        except Exception as error:
            raise translate(error, key) from error
    return _FileDraft()
