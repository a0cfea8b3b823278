"""One file, piece by piece, over as many requests as it takes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import zstandard
from des_format.checksum import RunningChecksum
from des_format.errors import ChecksumMismatchError, ObjectChangedError, UnavailableError

from .arguments import FileKey, path_of, query_of
from .messages import IDENTITY, Head, Request
from .problems import UnexpectedAnswerError
from .ranges import content_range
from .results import FileMeta, decoded

__all__ = ["FileHead", "FileTransfer"]

# The tags of this service end with what is known of the content: 64 bits of the SHA-256 of a payload beside the
# archive, or the 32 bits with which the archive checks what it has; 0 for nothing.
_SHA256_TAG = re.compile(r'"[^"]*-([0-9a-f]{16})"\Z', re.ASCII)
_CHECKSUM_TAG = re.compile(r'"[^"]*-([1-9a-f][0-9a-f]{0,7})"\Z', re.ASCII)
_PIECE_BYTES = 2**20
_STRONG_TAG = re.compile(r'"[^"]*"\Z', re.ASCII)


@dataclass(frozen=True, slots=True)
class FileHead:
    """What is known of a file before its first byte.

    Attributes:
        size: Size in bytes.
        content_type: Its media type.
        etag: Its strong entity tag, with its quotes; empty for none.
        last_modified: When its archive was made, as HTTP writes it; empty if that is not known.
    """

    size: int
    content_type: str
    etag: str
    last_modified: str


class FileTransfer:
    """The bytes of a file, each of them once; the last ones only if what was put together is whole.

    The service checks a payload that it sends as a whole, and ends one that is damaged before its end. From here that
    looks like a connection that broke, and the rest, asked for by itself, is not checked there. So it is here.

    Args:
        key: The file.
        packed: Take one that is stored with zstd as it is, and expand it here. It then comes in one piece.
    """

    def __init__(self, key: FileKey, *, packed: bool = False) -> None:
        self._key = key
        self._codings = {"Accept-Encoding": "zstd"} if packed else IDENTITY
        self._packed: bytearray | None = None
        self._target = path_of(key) + query_of(created_at=key.time)
        self._head: FileHead | None = None
        self._position = 0
        self._skip = 0
        self._resumed = False
        self._checksum = RunningChecksum()
        self._sha256: hashlib._Hash | None = None
        self._doubted: _Doubted | None = None
        self.complete = False

    @property
    def head(self) -> FileHead:
        """What is known of the file; there is one as soon as anything has begun."""
        if self._head is None:
            raise UnavailableError(f"{self._key}: the transfer has not begun")
        return self._head

    def request(self) -> Request:
        """Return the request for what is not there yet.

        Raises:
            UnavailableError: Nothing tells whether the rest would belong to what has come.
        """
        what = str(self._key)
        if self._doubted is not None:
            return Request(what, "GET", path_of(self._key, "/meta") + query_of(created_at=self._key.time), IDENTITY)
        if self._position == 0:
            return Request(what, "GET", self._target, self._codings)
        if not self.head.etag:
            raise UnavailableError(f"{what}: broke off after {self._position} bytes, and has no strong entity tag")
        headers = {**IDENTITY, "Range": f"bytes={self._position}-", "If-Range": self.head.etag}
        return Request(what, "GET", self._target, headers)

    def begin(self, head: Head) -> None:
        """Take the head of an answer that is no error.

        Raises:
            ObjectChangedError: The file is not the one that the first bytes were of.
            UnexpectedAnswerError: It is another part than was asked for.
        """
        if self._doubted is not None:
            self._doubted.asked = True
            self._doubted.body.clear()
        elif self._position == 0:
            coding = head.coding
            if coding not in ("identity", self._codings["Accept-Encoding"]):
                raise UnexpectedAnswerError(
                    f"{self._key}: the answer is compressed with {coding!r}; nobody asked for that"
                )
            self._packed = bytearray() if coding == "zstd" else None
            self._head = _head_of(str(self._key), head, sized=self._packed is None)
            self._sha256 = hashlib.sha256() if _SHA256_TAG.match(self._head.etag) else None
        else:
            self._go_on(head, self.head)

    def _go_on(self, head: Head, known: FileHead) -> None:
        self._resumed = True
        self._skip = 0
        if head.headers.get("etag", known.etag) != known.etag:
            raise ObjectChangedError(f"{self._key}: changed after {self._position} of {known.size} bytes were read")
        if head.status == 200 and "etag" in head.headers:
            self._skip = self._position
        elif head.status != 206 or content_range(head.headers.get("content-range", "")) != (
            self._position,
            known.size,
            known.size,
        ):
            raise UnexpectedAnswerError(
                f"{self._key}: status {head.status}, expected the rest from {self._position} on"
            )

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of the body; return those that are new.

        Raises:
            ChecksumMismatchError: They are the last ones, and the whole is damaged.
            UnexpectedAnswerError: There are more than the file has.
        """
        if self._doubted is not None:
            self._doubted.body += data
            return []
        if self._packed is not None:
            self._packed += data
            return []
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if not data:
            return []
        self._position += len(data)
        if self._position > self.head.size:
            raise UnexpectedAnswerError(f"{self._key}: more than {self.head.size} bytes came")
        (self._sha256 or self._checksum).update(data)
        if self._position == self.head.size and not self._holds():
            self._doubted = _Doubted(data)
            return []
        self.complete = self._position == self.head.size
        return [data]

    def end(self) -> list[bytes]:
        """Take that the body has ended.

        Raises:
            ChecksumMismatchError: The archive says that the checksum is that of the whole, which has another one.
            UnavailableError: It has ended too early.
        """
        if self._packed is not None:
            return [self._expanded(self._packed)]
        if self._doubted is None:
            self.complete = self._position == self.head.size
            if not self.complete:
                raise UnavailableError(f"{self._key}: broke off after {self._position} of {self.head.size} bytes")
            return []
        if not self._doubted.asked:
            return []
        meta = decoded(f"metadata of {self._key}", bytes(self._doubted.body), FileMeta.parse)
        if meta.etag != self.head.etag:
            raise ObjectChangedError(f"{self._key}: changed while it was read")
        if meta.codec == "none":
            raise self._mismatch()
        self.complete = True
        return [self._doubted.last]

    def _expanded(self, packed: bytearray) -> bytes:
        size = self.head.size
        payload = bytearray()
        try:
            for piece in zstandard.ZstdDecompressor().read_to_iter(bytes(packed), write_size=_PIECE_BYTES):
                payload += piece
                if len(payload) > size:
                    break
        except zstandard.ZstdError as error:
            raise UnexpectedAnswerError(f"{self._key}: what came cannot be expanded: {error}") from error
        if len(payload) != size:
            raise UnexpectedAnswerError(f"{self._key}: what came does not expand to {size} bytes")
        self.complete = True
        return bytes(payload)

    def _holds(self) -> bool:
        """Whether all bytes are what the tag says; False if the archive has to tell what that is a checksum of."""
        if self._sha256 is not None:
            if f'-{self._sha256.hexdigest()[:16]}"' != self.head.etag[-18:]:
                raise self._mismatch()
        elif self._resumed and (match := _CHECKSUM_TAG.match(self.head.etag)):
            return self._checksum.checksum32() == int(match[1], 16)
        return True

    def _mismatch(self) -> ChecksumMismatchError:
        return ChecksumMismatchError(f"{self._key}: what came differs from its checksum; its end was not returned")


class _Doubted:
    """The last bytes of a file whose checksum may be that of what is stored, which may be compressed.

    Of such a file the service expands and checks all of it for every part, so then there is nothing to doubt.
    """

    def __init__(self, last: bytes) -> None:
        self.last = last
        self.asked = False
        self.body = bytearray()


def _head_of(what: str, head: Head, *, sized: bool) -> FileHead:
    headers = head.headers
    size = headers.get("x-des-size-bytes", "")
    if head.status != 200 or not size.isdigit() or (sized and headers.get("content-length", size) != size):
        raise UnexpectedAnswerError(f"{what}: status {head.status}, expected 200 with the size of the file")
    tag = headers.get("etag", "")
    return FileHead(
        int(size),
        headers.get("content-type", ""),
        tag if _STRONG_TAG.match(tag) else "",
        headers.get("last-modified", ""),
    )
