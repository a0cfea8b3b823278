"""Cursors: where a page of a listing ended, short enough for a query whatever the uid there is."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from des_format.store import StoredEntry

from ..http.problems import Problem

__all__ = ["MAX_CURSOR", "Position"]

# With the longest prefix, percent-encoded, a query stays below `DES_MAX_QUERY_BYTES`.
MAX_CURSOR = 768
_MAX_HEAD_BYTES = 512
# No name has it.
_SEPARATOR = b"\0"


class Position(NamedTuple):
    """Where a page ended.

    Attributes:
        shard: The shard, in hex.
        head: The uid there, in UTF-8, or the first bytes of a long one.
        digest: SHA-256 of a long uid; empty for one that `head` has as a whole.
    """

    shard: str
    head: bytes
    digest: bytes

    @classmethod
    def of(cls, last: StoredEntry) -> Position:
        """Return the position behind an entry."""
        name = last.entry.name.encode()
        if len(name) <= _MAX_HEAD_BYTES:
            return cls(last.shard, name, b"")
        return cls(last.shard, name[:_MAX_HEAD_BYTES], hashlib.sha256(name).digest())

    @classmethod
    def decode(cls, cursor: str) -> Position:
        """Read a position from a cursor.

        Raises:
            Problem: 400; it is none.
        """
        try:
            shard, head, digest = base64.b64decode(cursor, b"-_", validate=True).split(_SEPARATOR, 2)
            int(shard, 16)
            return cls(shard.decode(), head, digest)
        except (ValueError, binascii.Error):
            raise _invalid("The cursor is none that this service gave") from None

    def encode(self) -> str:
        """Return the cursor."""
        parts = (self.shard.encode(), self.head, self.digest)
        return base64.urlsafe_b64encode(_SEPARATOR.join(parts)).decode()

    async def behind(self, listed: AsyncIterator[StoredEntry]) -> AsyncIterator[StoredEntry]:
        """Yield the entries of its shard that come after it.

        Args:
            listed: All entries of the shard, in the order of their uids.

        Raises:
            Problem: 400; of a long uid it is not known where it was, as its file is gone.
        """
        is_behind = False
        async for stored in listed:
            if is_behind:
                yield stored
                continue
            name = stored.entry.name.encode()
            if not self.digest:
                is_behind = name > self.head
                if is_behind:
                    yield stored
            elif name.startswith(self.head):
                is_behind = hashlib.sha256(name).digest() == self.digest
            elif name > self.head:
                break
        if self.digest and not is_behind:
            raise _invalid("The file at which the page ended is gone")


def _invalid(why: str) -> Problem:
    return Problem(400, "invalid_cursor", f"{why}; begin without a cursor")
