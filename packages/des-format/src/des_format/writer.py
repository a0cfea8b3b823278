"""Write an archive: entries in, one file out, never seeking back."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import xxhash

from .append import OpenedForAppend, open_for_append
from .bigfiles import BigFileSink, FolderBigFiles
from .catalog import ArchiveStats, Catalog, Segment, tail_regions
from .codecs import ZstdDictionary
from .compression import TRAINING_BYTES, Compression, Compressor, Profile, train_dictionary
from .entry import ENTRY_HEAD_SIZE, EXTERNAL_PAYLOAD_SIZE, MAX_ENTRY_BYTES, Codec, Kind, encode_meta, encode_record
from .errors import DuplicateEntryError, EntryTooLargeError, InvalidInputError, WriterClosedError
from .layout import FOOTER_SIZE, HEADER, Footer, decode_footer
from .names import encode_name
from .targets import ByteSink, NewFile, StreamTarget, Target

__all__ = ["DEFAULT_BIG_FILE_THRESHOLD", "DesWriter"]

DEFAULT_BIG_FILE_THRESHOLD = 10 * 2**20
_BUFFER_BYTES = 1 << 20
_ABORTED = "the writer was aborted"
_BATCH_BYTES = 2 * 2**20


class _Pending(NamedTuple):
    """An accepted entry that waits for its batch to be compressed."""

    name: bytes
    meta: bytes
    payload: bytes
    compressible: bool


class _Batch(NamedTuple):
    """Entries that are being compressed, and what waits for the stored forms of those that are compressible."""

    entries: list[_Pending]
    results: Callable[[], list[bytes | None]]


class DesWriter:
    """Writes one archive, front to back, in memory bounded by the number of its entries.

    A file target appears under its name only when `close` (or a `with` block that ends well)
    has sealed it; a `with` block that ends by an exception leaves nothing behind. After a
    failed write the writer accepts nothing more and never seals. Not thread-safe: one writer
    belongs to one thread at a time.

    Args:
        target: Path of the archive (folders are made), or an object with an append-only
            `write`, such as a binary file; a `Target` also decides how to commit.
        compression: A profile (`none`, `speed`, `balanced`, `aggressive`) or a `Compression`.
        big_file_threshold: Payloads of more bytes than this are stored beside the archive.
        big_files: Where they go; beside a path target by default. Without one (other
            targets), payloads up to the entry limit of 4 GiB are stored inside.
        overwrite: Replace an existing file at `target`, in one step at the end.

    Raises:
        ArchiveExistsError: The target exists and `overwrite` is false.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | ByteSink | Target,
        *,
        compression: Compression | Profile = "balanced",
        big_file_threshold: int = DEFAULT_BIG_FILE_THRESHOLD,
        big_files: BigFileSink | None = None,
        overwrite: bool = False,
    ) -> None:
        policy = Compression.of(compression)
        if big_file_threshold < 0:
            raise InvalidInputError(f"big_file_threshold {big_file_threshold} is negative")
        self._policy = policy
        self._threshold = big_file_threshold
        self._big_files = big_files
        if isinstance(target, str | os.PathLike):
            path = Path(target)
            self._target: Target = NewFile(path, overwrite=overwrite)
            self._big_files = big_files or FolderBigFiles(path.parent)
        else:
            self._target = target if isinstance(target, Target) else StreamTarget(target)
        self._catalog = Catalog()
        self._begin(start=len(HEADER), previous=None)
        with self._poisoned_by_failure("writing the header failed"):
            self._target.write(HEADER)

    @classmethod
    def append(
        cls,
        path: str | os.PathLike[str],
        *,
        compression: Compression | Profile = "balanced",
        big_file_threshold: int = DEFAULT_BIG_FILE_THRESHOLD,
        big_files: BigFileSink | None = None,
    ) -> Self:
        """Return a writer that adds entries to an existing archive.

        Readers see the old archive until the new one is complete. If the process dies, they
        still see the old one, and the next append begins by rolling the file back to it. The
        archive's dictionary, if it has one, is used again.

        Raises:
            AppendInProgressError: Another process appends to it.
            UnsupportedFormatError: Not a version-3 archive; see `des convert`.
            CorruptArchiveError: Damaged; nothing was changed.
        """
        policy = Compression.of(compression)
        opened = open_for_append(Path(path))
        return cls._after(opened, policy, big_file_threshold, big_files or FolderBigFiles(Path(path).parent))

    @classmethod
    def after(cls, opened: OpenedForAppend, *, compression: Compression | Profile = "balanced") -> Self:
        """Return a writer of what comes after an archive, for code that puts the archive in front by itself.

        Its target gets the bytes from the archive's end on, as `append` would write them. Payloads of any size
        up to the entry limit are stored inside.

        Args:
            opened: The archive, and where the bytes go.
            compression: As for `DesWriter`.
        """
        return cls._after(opened, Compression.of(compression), DEFAULT_BIG_FILE_THRESHOLD, None)

    @classmethod
    def _after(
        cls, opened: OpenedForAppend, policy: Compression, big_file_threshold: int, big_files: BigFileSink | None
    ) -> Self:
        self = cls.__new__(cls)
        self._policy = policy
        self._threshold = big_file_threshold
        self._big_files = big_files
        self._target = opened.target
        self._catalog = opened.catalog
        self._begin(start=opened.footer.archive_size, previous=opened.footer)
        if opened.dictionary is not None and self._policy.codec is Codec.ZSTD:
            self._compressor = Compressor(self._policy, opened.dictionary)
        return self

    def _begin(self, *, start: int, previous: Footer | None) -> None:
        """Set up an empty DATA segment that starts at offset `start`."""
        self._segment_start = self._position = start
        self._previous_footer = start - FOOTER_SIZE if previous else 0
        self._dictionary_span = (previous.dictionary_start, previous.dictionary_length) if previous else (0, 0)
        self._digest = xxhash.xxh3_128(previous.content_digest if previous else b"")
        self._buffer = bytearray()
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._compressing: deque[_Batch] = deque()
        self._closed = ""
        self._footer: Footer | None = None
        self._compressor = Compressor(self._policy) if self._policy.codec is not Codec.NONE else None
        self._wants_dictionary = self._policy.dictionary is not None and not self._dictionary_span[1]
        self._batch_bytes = TRAINING_BYTES if self._wants_dictionary else _BATCH_BYTES

    @contextmanager
    def _poisoned_by_failure(self, reason: str) -> Iterator[None]:
        """After a failure inside, accept nothing more and leave nothing behind: half of an entry may be written."""
        try:
            yield
        except BaseException:
            self._abandon(reason)
            raise

    # -- adding entries ---------------------------------------------------------------------

    def add_file(
        self,
        name: str,
        data: bytes | bytearray | memoryview,
        meta: Mapping[str, Any] | None = None,
        *,
        force_external: bool = False,
    ) -> None:
        """Add one entry.

        Args:
            name: 1 to 65,535 UTF-8 bytes, not yet in the archive; `/` is allowed.
            data: The payload.
            meta: A JSON object; stored as it is now, never changed.
            force_external: Store the payload beside the archive whatever its size.

        Raises:
            TypeError: `name` is not `str`, or `data` not bytes-like.
            InvalidNameError, DuplicateEntryError, EntryTooLargeError, InvalidInputError:
                Refused; nothing was written and the writer stays usable.
            WriterClosedError: The writer was closed, or failed before.
        """
        encoded, encoded_meta = self._accept(name, meta)
        if type(data) is not bytes:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise TypeError(f"data of entry {name!r} must be bytes-like, found {type(data).__name__}")
            data = bytes(data)
        if force_external or len(data) > self._threshold:
            if self._big_files is not None:
                self._add_external(encoded, encoded_meta, data, None)
                return
            if force_external:
                raise InvalidInputError(f"entry {name!r} cannot be external: this writer has no place for big files")
        self._add_inline(name, encoded, encoded_meta, data)

    def add_stream(self, name: str, stream: BinaryIO, meta: Mapping[str, Any] | None = None) -> None:
        """Add one entry from a binary stream, in memory bounded by the big-file threshold.

        What is over the threshold goes beside the archive piece by piece. Without a place for
        big files the whole payload is read into memory.

        Raises:
            As `add_file`; the stream may have been read.
        """
        encoded, encoded_meta = self._accept(name, meta)
        limit = self._threshold if self._big_files is not None else MAX_ENTRY_BYTES
        pieces: list[bytes] = []
        size = 0
        while size <= limit:
            piece = stream.read(min(_BUFFER_BYTES, limit + 1 - size))
            if not isinstance(piece, bytes):
                raise TypeError(f"stream of entry {name!r} must yield bytes, found {type(piece).__name__}")
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        data = b"".join(pieces)
        if size > limit and self._big_files is not None:
            self._add_external(encoded, encoded_meta, data, stream)
        else:
            self._add_inline(name, encoded, encoded_meta, data)

    def add_external(self, name: str, sha256: str, size: int, meta: Mapping[str, Any] | None = None) -> None:
        """Add an entry whose payload lies beside the archive already, such as one of another archive in the folder.

        Args:
            name: As for `add_file`.
            sha256: SHA-256 of the payload, in hex; the name of the big file.
            size: Its size in bytes.
            meta: As for `add_file`.

        Raises:
            As `add_file`. Whether the big file exists is not checked.
        """
        encoded, encoded_meta = self._accept(name, meta)
        digest = bytes.fromhex(sha256)
        if len(digest) != EXTERNAL_PAYLOAD_SIZE or size < 0:
            raise InvalidInputError(f"entry {name!r}: SHA-256 {sha256!r} of {size} bytes is no big file")
        self._append_external(encoded, encoded_meta, digest, size)

    def _accept(self, name: str, meta: Mapping[str, Any] | None) -> tuple[bytes, bytes]:
        if self._closed:
            raise WriterClosedError(f"entry {name!r} cannot be added: {self._closed}")
        encoded = encode_name(name)
        if encoded in self._catalog.names:
            raise DuplicateEntryError(f"the archive already holds an entry {name!r}")
        return encoded, encode_meta(meta) if meta is not None else b""

    def _add_inline(self, name: str, encoded: bytes, meta: bytes, payload: bytes) -> None:
        length = ENTRY_HEAD_SIZE + len(encoded) + len(meta) + len(payload)
        if length > MAX_ENTRY_BYTES:
            raise EntryTooLargeError(f"entry {name!r} takes {length} bytes; at most {MAX_ENTRY_BYTES} fit inside")
        self._catalog.names[encoded] = None
        try:
            if self._compressor is None:
                self._append(Kind.INLINE, Codec.NONE, encoded, meta, payload, len(payload), 0)
                return
            self._pending.append(_Pending(encoded, meta, payload, self._policy.applies_to(name)))
            self._pending_bytes += length
            if self._pending_bytes >= self._batch_bytes:
                self._compress_pending()
        except BaseException:
            # Not a context manager: this is the hot path of small uncompressed entries.
            self._abandon(f"adding entry {name!r} failed")
            raise

    def _add_external(self, encoded: bytes, meta: bytes, head: bytes, rest: BinaryIO | None) -> None:
        assert self._big_files is not None
        digest, size = self._big_files.put(head, rest)
        self._append_external(encoded, meta, digest, size)

    def _append_external(self, encoded: bytes, meta: bytes, digest: bytes, size: int) -> None:
        self._catalog.names[encoded] = None
        with self._poisoned_by_failure(f"adding entry {encoded.decode()!r} failed"):
            self._flush_pending()
            self._append(Kind.EXTERNAL, Codec.NONE, encoded, meta, digest, size, 0)

    # -- from entries to bytes --------------------------------------------------------------

    def _flush_pending(self) -> None:
        """Compress and append all entries that wait, in the order in which they were added."""
        self._compress_pending()
        while self._compressing:
            self._append_compressed()

    def _compress_pending(self) -> None:
        """Start to compress the entries that wait; append the oldest batch when enough are on their way."""
        if self._compressor is None or not self._pending:
            return
        entries, self._pending, self._pending_bytes = self._pending, [], 0
        compressible = [entry.payload for entry in entries if entry.compressible]
        if self._wants_dictionary:
            self._add_dictionary(compressible)
        self._compressing.append(_Batch(entries, self._compressor.start(compressible)))
        if len(self._compressing) > self._compressor.threads:
            self._append_compressed()

    def _append_compressed(self) -> None:
        """Append the oldest batch, once it is compressed."""
        assert self._compressor is not None
        batch = self._compressing.popleft()
        results = iter(batch.results())
        dictionary = self._compressor.dictionary.id if self._compressor.dictionary else 0
        for name, meta, payload, tried in batch.entries:
            stored = next(results) if tried else None
            if stored is None:
                self._append(Kind.INLINE, Codec.NONE, name, meta, payload, len(payload), 0)
            else:
                self._append(Kind.INLINE, self._policy.codec, name, meta, stored, len(payload), dictionary)

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._compressing.clear()
        if self._compressor is not None:
            self._compressor.close()

    def _add_dictionary(self, samples: list[bytes]) -> None:
        """Write the dictionary that was given, or one trained on the first batch if that pays."""
        self._wants_dictionary = False
        self._batch_bytes = _BATCH_BYTES
        given = self._policy.dictionary
        dictionary = ZstdDictionary(given) if isinstance(given, bytes) else train_dictionary(samples, self._policy)
        if dictionary is None:
            return
        data = dictionary.data
        start = self._position + len(self._buffer)
        record = encode_record(start, Kind.DICTIONARY, Codec.NONE, b"dictionary", b"", data, len(data), dictionary.id)
        self._emit(record, data)
        self._dictionary_span = (start, len(record) + len(data))
        self._compressor = Compressor(self._policy, dictionary)

    def _append(
        self, kind: Kind, codec: Codec, name: bytes, meta: bytes, stored: bytes, raw_length: int, dictionary: int
    ) -> None:
        offset = self._position + len(self._buffer)
        record = encode_record(offset, kind, codec, name, meta, stored, raw_length, dictionary)
        self._emit(record, stored)
        self._catalog.place(offset, len(record) + len(stored), kind, codec, raw_length, len(stored), meta)

    def _emit(self, record: bytes, stored: bytes) -> None:
        buffer = self._buffer
        buffer += record
        buffer += stored
        if len(buffer) >= _BUFFER_BYTES:
            self._flush_buffer()

    def _flush_buffer(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        self._digest.update(data)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self._position += len(data)

    # -- ending -----------------------------------------------------------------------------

    def close(self) -> None:
        """Seal the archive and make it visible; the second call does nothing.

        Raises:
            ArchiveExistsError: Someone else made the target meanwhile; theirs is untouched.
            WriterClosedError: A write failed before, so there is nothing to seal.
        """
        if self._footer is not None:
            return
        if self._closed:
            raise WriterClosedError(f"the archive cannot be sealed: {self._closed}")
        with self._poisoned_by_failure("sealing it failed"):
            self._seal()
            self._target.commit()
        self._closed = "the writer is closed"
        self._forget_pending()

    def _seal(self) -> None:
        self._flush_pending()
        self._flush_buffer()
        segment = Segment(
            start=self._segment_start,
            end=self._position,
            digest=self._digest.digest(),
            previous_footer=self._previous_footer,
            dictionary_start=self._dictionary_span[0],
            dictionary_length=self._dictionary_span[1],
        )
        piece = b""
        for piece in tail_regions(self._catalog, segment):
            self._write(piece)
        self._footer = decode_footer(piece, archive_size=self._position)

    def abort(self) -> None:
        """Give up: leave no archive (or, when appending, the old one); does nothing once closed."""
        if not self._closed:
            self._abandon(_ABORTED)

    def _abandon(self, reason: str) -> None:
        if not self._closed:
            self._closed = reason
            self._footer = None
            self._forget_pending()
            self._target.rollback()

    @property
    def footer(self) -> Footer | None:
        """The footer, once the archive is sealed."""
        return self._footer

    def get_stats(self) -> ArchiveStats:
        """What was written so far; complete once the writer is closed."""
        return ArchiveStats.of(self._footer) if self._footer else self._catalog.stats()

    def __len__(self) -> int:
        return len(self._catalog.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.encode(errors="replace") in self._catalog.names

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._closed != _ABORTED:
            self.close()
