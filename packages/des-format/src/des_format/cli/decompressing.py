"""Compressed streams of the usual kinds, recognised by their first bytes or by a file's name."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import IO, Any, BinaryIO, cast

from ..errors import CorruptArchiveError

__all__ = ["compress_to", "decompressed"]

_MAGIC_BYTES = 6
# zstd packs 128 KiB of zeros into 4 bytes: so little input at a time expands to 128 MiB at most.
_ZSTD_INPUT_BYTES = 4096


def _gzip(file: BinaryIO) -> IO[bytes]:
    import gzip

    return cast(IO[bytes], gzip.GzipFile(fileobj=file))


def _bzip2(file: BinaryIO) -> IO[bytes]:
    import bz2

    return bz2.BZ2File(file)


def _xz(file: BinaryIO) -> IO[bytes]:
    import lzma

    return lzma.LZMAFile(file)


def _zstd(file: BinaryIO) -> IO[bytes]:
    frames: Any = _ZstdFrames(file)
    return frames  # type: ignore[no-any-return]


class _ZstdFrames:
    """What a sequence of zstd frames expands to; unlike zstandard's own reader it notices that one is cut off."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._zstd = zstandard.ZstdDecompressor(max_window_size=2**31)
        self._frame: Any = None
        self._unused = b""
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._ready:
            data = self._unused or self._file.read(_ZSTD_INPUT_BYTES)
            if not data:
                if self._frame is not None:
                    raise EOFError("the last zstd frame is incomplete")
                return b""
            self._frame = self._frame or self._zstd.decompressobj()
            self._ready = memoryview(self._frame.decompress(data))
            self._unused = b""
            if self._frame.eof:
                self._frame, self._unused = None, self._frame.unused_data
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)


def _lz4(file: BinaryIO) -> IO[bytes]:
    import lz4.frame

    return lz4.frame.LZ4FrameFile(file)  # type: ignore[no-any-return]


_KINDS: tuple[tuple[bytes, Callable[[BinaryIO], IO[bytes]]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\x00", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"\x04\x22\x4d\x18", _lz4),
)


class _Checked(io.RawIOBase):
    """A decompressed stream whose damage is a `CorruptArchiveError`, whoever reads it."""

    def __init__(self, stream: IO[bytes], errors: tuple[type[Exception], ...]) -> None:
        self._stream = stream
        self._errors = errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except self._errors as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise CorruptArchiveError(f"compressed data is damaged or cut off: {error}") from error
        buffer[: len(data)] = data
        return len(data)


def decompressed(file: io.BufferedReader) -> BinaryIO:
    """Return the stream itself, or what it expands to if it begins like gzip, bzip2, xz, zstd or lz4.

    Reading it raises `CorruptArchiveError` for damage, also where the compressed data is cut off.
    """
    magic = file.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    for known, opened in _KINDS:
        if magic.startswith(known):
            return io.BufferedReader(_Checked(opened(file), _damage_errors()), 1 << 20)
    return file


def _damage_errors() -> tuple[type[Exception], ...]:
    import lzma

    import zstandard

    # gzip and bzip2 say OSError (without a number) or EOFError, lz4 says RuntimeError.
    return (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def compress_to(file: IO[bytes], path: PurePath) -> IO[bytes] | None:
    """Return a stream that compresses into `file` as the name says (`.gz`, `.tgz`, ...), or None for no such name.

    Closing it completes the compressed data and leaves `file` open. Equal input gives equal output.
    """
    suffix = path.suffix.lower()
    if suffix in (".gz", ".tgz"):
        import gzip

        return cast(IO[bytes], gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=6))
    if suffix in (".bz2", ".tbz2"):
        import bz2

        return bz2.BZ2File(file, "wb")
    if suffix in (".xz", ".txz"):
        import lzma

        return lzma.LZMAFile(file, "wb")
    if suffix in (".zst", ".tzst"):
        import zstandard

        return zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)
    return None
