"""Compress and decompress payloads; nothing expands beyond what its record promises.

zstd objects are not safe to share between threads (a shared compressor crashes the
interpreter), so each thread has its own.
"""

from __future__ import annotations

import threading

import lz4.frame
import zstandard

from .entry import Codec
from .errors import CorruptArchiveError, InvalidInputError, UnsupportedFormatError

__all__ = ["ZstdDictionary", "compress_lz4", "compress_zstd", "decompress", "decompress_zstd"]

_STREAM_OVER_BYTES = 16 * 2**20
_LZ4_MAX_RATIO = 255  # a byte more of a match length stands for at most so many
_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"
_local = threading.local()


class ZstdDictionary:
    """A trained zstd dictionary, with one decompressor for each thread that uses it.

    Raises:
        InvalidInputError: The bytes are not a zstd dictionary with an id.
    """

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_DICTIONARY_MAGIC) or not int.from_bytes(data[4:8], "little"):
            raise InvalidInputError(f"not a zstd dictionary with an id: {len(data)} bytes that begin with {data[:8]!r}")
        self.data = data
        self.zstd = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
        self.id: int = self.zstd.dict_id()
        self._local = threading.local()
        try:
            self.decompressor  # noqa: B018  It parses the tables that follow the id.
        except zstandard.ZstdError as error:
            raise InvalidInputError(f"not a zstd dictionary: {error}") from error

    @property
    def decompressor(self) -> zstandard.ZstdDecompressor:
        try:
            return self._local.decompressor  # type: ignore[no-any-return]
        except AttributeError:
            made = self._local.decompressor = zstandard.ZstdDecompressor(dict_data=self.zstd)
            return made


def _decompressor() -> zstandard.ZstdDecompressor:
    try:
        return _local.decompressor  # type: ignore[no-any-return]
    except AttributeError:
        made = _local.decompressor = zstandard.ZstdDecompressor()
        return made


def compress_zstd(data: bytes, level: int) -> bytes:
    """Return one zstd frame with its content size in the frame header."""
    compressors = _local.__dict__.setdefault("compressors", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressors[level].compress(data)  # type: ignore[no-any-return]


def compress_lz4(data: bytes) -> bytes:
    """Return one LZ4 frame with its content size in the frame header."""
    return lz4.frame.compress(data, store_size=True)  # type: ignore[no-any-return]


def decompress_zstd(data: bytes, raw_length: int, *, where: str, dictionary: ZstdDictionary | None = None) -> bytes:
    """Return the `raw_length` bytes of one zstd frame.

    Raises:
        CorruptArchiveError: No such frame, or another size; nothing larger is allocated.
    """
    try:
        if zstandard.frame_content_size(data) != raw_length:
            raise CorruptArchiveError(
                f"{where}: zstd frame of {zstandard.frame_content_size(data)} bytes, expected {raw_length}"
            )
        engine = _decompressor() if dictionary is None else dictionary.decompressor
        if raw_length > _STREAM_OVER_BYTES:
            return _decompress_stream(engine, data, raw_length, where)
        raw: bytes = engine.decompress(data, max_output_size=raw_length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError(f"{where}: {error}") from error
    if len(raw) != raw_length:
        raise CorruptArchiveError(f"{where}: expands to {len(raw)} bytes, expected {raw_length}")
    return raw


def _decompress_stream(engine: zstandard.ZstdDecompressor, data: bytes, raw_length: int, where: str) -> bytes:
    """Decompress piece by piece, so that a frame that lies about its size cannot allocate it first."""
    raw = bytearray()
    for piece in engine.read_to_iter(data, write_size=_STREAM_OVER_BYTES):
        raw += piece
        if len(raw) > raw_length:
            break
    if len(raw) != raw_length:
        raise CorruptArchiveError(f"{where}: expands to {len(raw)} bytes, expected {raw_length}")
    return bytes(raw)


def _decompress_lz4(data: bytes, raw_length: int, where: str) -> bytes:
    try:
        promised = lz4.frame.get_frame_info(data)["content_size"]
        if promised != raw_length:
            raise CorruptArchiveError(f"{where}: lz4 frame of {promised} bytes, expected {raw_length}")
        if raw_length > _LZ4_MAX_RATIO * len(data):
            raise CorruptArchiveError(f"{where}: {len(data)} bytes of lz4 cannot expand to {raw_length}")
        engine = lz4.frame.LZ4FrameDecompressor()
        raw: bytes = engine.decompress(data, max_length=raw_length + 1)
    except RuntimeError as error:
        raise CorruptArchiveError(f"{where}: {error}") from error
    if len(raw) != raw_length or not engine.eof or engine.unused_data:
        raise CorruptArchiveError(f"{where}: expands to {len(raw)} bytes, expected {raw_length}")
    return raw


def decompress(
    codec: Codec, data: bytes, raw_length: int, *, where: str, dictionary: ZstdDictionary | None = None
) -> bytes:
    """Return the payload for its stored bytes.

    Args:
        codec: How it is stored.
        data: The stored bytes, already checked against their checksum.
        raw_length: The exact size of the result; nothing larger is produced.
        where: Names the entry in error messages.
        dictionary: The dictionary that the record names, if any.

    Raises:
        CorruptArchiveError: The bytes do not expand to exactly `raw_length` bytes.
    """
    if codec is Codec.NONE:
        return data
    if codec is Codec.ZSTD:
        return decompress_zstd(data, raw_length, where=where, dictionary=dictionary)
    if codec is Codec.LZ4:
        return _decompress_lz4(data, raw_length, where)
    raise UnsupportedFormatError(f"{where}: unknown codec {codec}")
