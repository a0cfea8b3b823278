"""Answers with many files: frames, tar, zip."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from abc import ABC, abstractmethod
from datetime import UTC
from typing import Any

from ..http.dates import http_date
from ..http.representation import content_type_of
from ..http.validators import validators_of
from .naming import MANIFEST, MemberNames
from .reading import Outcome

__all__ = ["Frames", "Packing", "Tar", "Zip"]


def described(outcome: Outcome) -> dict[str, Any]:
    """Return what is told of a file beside its payload."""
    wanted, stored, problem = outcome.wanted, outcome.stored, outcome.problem
    members: dict[str, Any] = {"uid": wanted.uid, "created_at": wanted.created_at}
    if stored is None:
        assert problem is not None
        return {**members, "status": problem.status, "size": 0, "code": problem.code, "detail": problem.detail}
    validators = validators_of(stored)
    return {
        **members,
        "status": 200,
        "size": stored.entry.size,
        "content_type": content_type_of(stored.entry.meta),
        "etag": validators.etag,
        "last_modified": http_date(validators.modified),
    }


class Packing(ABC):
    """Makes one stream of bytes of outcomes, each with its payload between `begin` and `finish`."""

    content_type: str

    @abstractmethod
    def begin(self, outcome: Outcome) -> bytes:
        """Return what comes before a payload, or stands for one that is not there."""

    @abstractmethod
    def piece(self, data: bytes) -> bytes:
        """Return what a piece of the payload is sent as."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return what comes after the payload."""

    @abstractmethod
    def end(self) -> bytes:
        """Return what ends the stream."""


class Frames(Packing):
    """Each file is the length of a header (four bytes, big-endian), the header (JSON), and its payload.

    A length of 0 ends the stream; without it, it was cut off.
    """

    content_type = "application/vnd.des.frames"

    def begin(self, outcome: Outcome) -> bytes:
        # What is no Unicode is escaped as JSON has it, so that a header is UTF-8 whatever was asked for.
        header = json.dumps(described(outcome), ensure_ascii=False).encode("utf-8", "backslashreplace")
        return struct.pack(">I", len(header)) + header

    def piece(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return struct.pack(">I", 0)


class _Listed(Packing):
    """A stream of members, whose last one is the list of all files with their statuses."""

    def __init__(self) -> None:
        self._names = MemberNames()
        self._list: list[dict[str, Any]] = []

    def _add(self, outcome: Outcome) -> str | None:
        """Put a file on the list; return the name of its member, if it has one."""
        members = described(outcome)
        name = None if outcome.stored is None else self._names.name(outcome.wanted.uid)
        self._list.append(members if name is None else {**members, "name": name})
        return name

    def _listing(self) -> bytes:
        return json.dumps({"files": self._list}, ensure_ascii=True, indent=1).encode()


class Tar(_Listed):
    """A tar stream (POSIX pax)."""

    content_type = "application/x-tar"

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def begin(self, outcome: Outcome) -> bytes:
        name = self._add(outcome)
        self._size = 0
        if name is None or outcome.stored is None:
            return b""
        self._size = outcome.stored.entry.size
        return _tar_head(name, self._size, validators_of(outcome.stored).modified.timestamp())

    def piece(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return bytes(-self._size % tarfile.BLOCKSIZE)

    def end(self) -> bytes:
        data = self._listing()
        padding = bytes(-len(data) % tarfile.BLOCKSIZE)
        return _tar_head(MANIFEST, len(data), 0) + data + padding + bytes(2 * tarfile.BLOCKSIZE)


def _tar_head(name: str, size: int, modified: float) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mtime = int(modified)
    return info.tobuf(tarfile.PAX_FORMAT)


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class Zip(_Listed):
    """A zip file, whose members are stored as they are."""

    content_type = "application/zip"

    _YEARS = range(1980, 2108)

    def __init__(self) -> None:
        super().__init__()
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self._member: Any = None

    def begin(self, outcome: Outcome) -> bytes:
        name = self._add(outcome)
        if name is None or outcome.stored is None:
            return b""
        modified = validators_of(outcome.stored).modified.astimezone(UTC)
        date = modified.timetuple()[:6] if modified.year in self._YEARS else (self._YEARS[0], 1, 1, 0, 0, 0)
        info = zipfile.ZipInfo(name, date)
        info.file_size = outcome.stored.entry.size
        info.external_attr = 0o644 << 16
        self._member = self._zip.open(info, "w")
        return self._sink.take()

    def piece(self, data: bytes) -> bytes:
        self._member.write(data)
        return self._sink.take()

    def finish(self) -> bytes:
        if self._member is not None:
            self._member.close()
            self._member = None
        return self._sink.take()

    def end(self) -> bytes:
        self._zip.writestr(zipfile.ZipInfo(MANIFEST), self._listing())
        self._zip.close()
        return self._sink.take()
