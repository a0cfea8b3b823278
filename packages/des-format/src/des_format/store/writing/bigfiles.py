"""Payloads too big for an archive, stored once for each day under their SHA-256.

A big file that exists already may be unreferenced and about to be collected. Whoever relies on it
writes it again when it is no longer young, which starts its grace period anew.

Source: docs/store-format.md, sections "Big files" and "Garbage".
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from ...errors import CorruptArchiveError, ObjectExistsError, ObjectNotFoundError, UnavailableError
from ...ports.objects import ObjectMeta
from ..model.keys import big_file_object_key
from ..sansio.effects import Effects, Head, Write, ask

__all__ = ["GRACE", "StoreBigFiles", "put_big_file"]

T = TypeVar("T")

GRACE = timedelta(hours=24)
_COPY_BYTES = 1 << 20


class Runs(Protocol):
    """Runs effects synchronously."""

    def run(self, effects: Effects[T], /) -> T: ...


def put_big_file(day: str, sha256: str, source: bytes | Path, size: int, now: Callable[[], datetime]) -> Effects[None]:
    """Store a big file, unless it is there and young.

    Raises:
        CorruptArchiveError: An object of another size is there.
        UnavailableError: Whether it was stored is not known.
    """
    key = big_file_object_key(day, sha256)
    try:
        yield from ask(Write(key, source))
        return
    except (ObjectExistsError, UnavailableError):
        found = yield from _head(key)
    if found is not None and found["size"] != size:
        raise CorruptArchiveError(
            f"big file {key}: found {found['size']} bytes, expected {size}; it does not hold what its name says,"
            " so nothing was written over it"
        )
    if found is None or now().astimezone(UTC) - found["last_modified"] > GRACE / 2:
        yield from ask(Write(key, source, overwrite=True))


def _head(key: str) -> Effects[ObjectMeta | None]:
    try:
        found: ObjectMeta = yield from ask(Head(key))
        return found
    except ObjectNotFoundError:
        # It was collected meanwhile, or a write that was refused is still on its way.
        return None


class StoreBigFiles:
    """Where the writer of an archive puts its big files.

    Args:
        runner: Runs effects.
        day: The day of the archive.
        now: The clock.

    Attributes:
        written: SHA-256 (hex) of the big files that were put, in order.
    """

    def __init__(self, runner: Runs, day: str, now: Callable[[], datetime]) -> None:
        self._runner = runner
        self._day = day
        self._now = now
        self.written: dict[str, None] = {}

    def put(self, head: bytes, rest: BinaryIO | None, /) -> tuple[bytes, int]:
        """Store a payload; what does not come as bytes goes through a temporary file."""
        if rest is None:
            digest = hashlib.sha256(head)
            self._store(digest.hexdigest(), head, len(head))
            return digest.digest(), len(head)
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(prefix="des-big-file-") as spool:
            piece = head
            while piece:
                digest.update(piece)
                spool.write(piece)
                piece = rest.read(_COPY_BYTES)
            spool.flush()
            size = spool.tell()
            self._store(digest.hexdigest(), Path(spool.name), size)
        return digest.digest(), size

    def _store(self, sha256: str, source: bytes | Path, size: int) -> None:
        self._runner.run(put_big_file(self._day, sha256, source, size, self._now))
        self.written[sha256] = None
