"""Check a payload while it is sent: the end is held back until everything before it proved right."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from des_format.checksum import RunningChecksum
from des_format.entry import Entry
from des_format.errors import ChecksumMismatchError, CorruptArchiveError

__all__ = ["begun", "checked"]

_IN_THREAD_BYTES = 2**20


async def checked(pieces: AsyncIterator[bytes], entry: Entry) -> AsyncIterator[bytes]:
    """Yield the pieces of an uncompressed or external payload; its last byte only if its checksum holds.

    So a receiver that counts bytes never takes a damaged payload for a whole one.

    Raises:
        ChecksumMismatchError: It does not hold; the payload was not yielded to its end.
    """
    digest = hashlib.sha256() if entry.sha256 else RunningChecksum()
    held = b""
    async for piece in pieces:
        if held:
            yield held
        if len(piece) >= _IN_THREAD_BYTES:
            await asyncio.to_thread(digest.update, piece)
        else:
            digest.update(piece)
        held = piece
    if isinstance(digest, RunningChecksum):
        holds = entry.payload_checksum is None or entry.codec or digest.checksum32() == entry.payload_checksum
    else:
        holds = digest.hexdigest() == entry.sha256
    if not holds:
        raise ChecksumMismatchError(f"the payload of entry {entry.name!r} differs from its checksum")
    if held:
        yield held


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Take the first piece, so that what fails before it is still told by a status; return all of them.

    Raises:
        CorruptArchiveError: There is none.
        DesError: As the first piece.
    """
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        raise CorruptArchiveError("the payload has no bytes, its entry says otherwise") from None

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()
