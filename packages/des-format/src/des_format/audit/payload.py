"""Check payloads: their checksums, what they expand to, and the objects beside the archive."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator

import lz4.frame
import xxhash
import zstandard

from ..bigfiles import big_file_key
from ..codecs import ZstdDictionary, decompress
from ..entry import Codec, Kind, Record, check_payload
from ..errors import ChecksumMismatchError, CorruptArchiveError, DesError
from ..ranges import RangeSource
from .pieces import read_exactly, read_pieces

__all__ = ["PayloadCheck"]

_AT_ONCE_BYTES = 16 * 2**20
_OUTPUT_BYTES = 2**20


class PayloadCheck:
    """Checks one payload after the other, holding at most `_AT_ONCE_BYTES` of each.

    Args:
        source: For objects beside the archive.
        dictionary: The archive's dictionary, or None.
        count_bytes: Told how much was read beside the archive.
    """

    def __init__(
        self, source: RangeSource, dictionary: ZstdDictionary | None, count_bytes: Callable[[int], None]
    ) -> None:
        self._source = source
        self.dictionary = dictionary
        self._count_bytes = count_bytes
        self._objects: dict[bytes, int] = {}

    def check(self, record: Record, read: Callable[[], bytes], pieces: Callable[[], Iterator[bytes]]) -> None:
        """Check the payload of a record, read at once or, a big one, in pieces.

        Raises:
            CorruptArchiveError: The stored bytes, or what they expand to, are not what the record promises.
            BigFileMissingError: The object of an external entry is not beside the archive.
        """
        if record.stored_length <= _AT_ONCE_BYTES and record.raw_length <= _AT_ONCE_BYTES:
            stored = read()
            check_payload(record, stored)
            if record.codec is not Codec.NONE:
                where, dictionary = self._where(record), self._dictionary_of(record)
                decompress(record.codec, stored, record.raw_length, where=where, dictionary=dictionary)
        elif record.kind is Kind.EXTERNAL:
            stored = read()
            check_payload(record, stored)
        else:
            self._check_big(record, pieces())
        if record.kind is Kind.EXTERNAL:
            self._check_object(record, stored)

    def _where(self, record: Record) -> str:
        return f"payload of entry {record.name.decode(errors='replace')!r} at offset {record.payload_offset}"

    def _dictionary_of(self, record: Record) -> ZstdDictionary | None:
        if not record.dictionary:
            return None
        if self.dictionary is None or self.dictionary.id != record.dictionary:
            raise CorruptArchiveError(
                f"{self._where(record)} needs dictionary {record.dictionary:#x}, which cannot be read"
            )
        return self.dictionary

    def _check_big(self, record: Record, pieces: Iterator[bytes]) -> None:
        where = self._where(record)
        digest = xxhash.xxh3_64()

        def observed() -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece

        stored = observed()
        size = record.raw_length
        try:
            if record.codec is Codec.ZSTD:
                size = _count(_expand_zstd(stored, self._dictionary_of(record)), record.raw_length)
            elif record.codec is Codec.LZ4:
                size = _count(_expand_lz4(stored), record.raw_length)
        finally:
            for _ in stored:
                pass
        found = digest.intdigest() & 0xFFFFFFFF
        if found != record.payload_checksum:
            raise ChecksumMismatchError(f"{where}: checksum {found:#010x}, expected {record.payload_checksum:#010x}")
        if size != record.raw_length:
            raise CorruptArchiveError(f"{where}: expands to another size than {record.raw_length} bytes")

    def _check_object(self, record: Record, sha256: bytes) -> None:
        known = self._objects.get(sha256)
        if known is None:
            self._read_object(sha256, record.raw_length)
            self._objects[sha256] = record.raw_length
        elif known != record.raw_length:
            raise CorruptArchiveError(
                f"big file {sha256.hex()} has {known} bytes, expected {record.raw_length} for this entry"
            )

    def _read_object(self, sha256: bytes, size: int) -> None:
        key = big_file_key(sha256)
        digest = hashlib.sha256()
        for piece in read_pieces(self._source, 0, size, key):
            digest.update(piece)
            self._count_bytes(len(piece))
        if digest.digest() != sha256:
            raise ChecksumMismatchError(f"big file {key}: SHA-256 of its first {size} bytes is {digest.hexdigest()}")
        try:
            beyond = read_exactly(self._source, size, size + 1, key)
        except CorruptArchiveError:
            return
        except DesError as error:
            if error.retryable or not size:
                raise
            return  # A store may refuse a range that begins at the end.
        raise CorruptArchiveError(f"big file {key}: longer than its {size} bytes, by at least {len(beyond)}")


def _count(pieces: Iterable[bytes], limit: int) -> int:
    """Total size of `pieces`, read no further than just over `limit`."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            break
    return total


class _PiecesFile(io.RawIOBase):
    """A file over pieces of any size: zstd writes over the end of its buffer when a read returns more than it asked."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size


def _expand_zstd(pieces: Iterator[bytes], dictionary: ZstdDictionary | None) -> Iterator[bytes]:
    try:
        engine = zstandard.ZstdDecompressor() if dictionary is None else dictionary.decompressor
        yield from engine.read_to_iter(io.BufferedReader(_PiecesFile(pieces)), write_size=_OUTPUT_BYTES)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError(f"stored bytes are no zstd frame: {error}") from error


def _expand_lz4(pieces: Iterator[bytes]) -> Iterator[bytes]:
    engine = lz4.frame.LZ4FrameDecompressor()
    try:
        for piece in pieces:
            yield engine.decompress(piece, max_length=_OUTPUT_BYTES)
            while not engine.needs_input and not engine.eof:
                yield engine.decompress(b"", max_length=_OUTPUT_BYTES)
            if engine.eof:
                return
    except (RuntimeError, EOFError) as error:
        raise CorruptArchiveError(f"stored bytes are no lz4 frame: {error}") from error
