"""The records of deletions beside a manifest, from which a rebuild knows what was deleted.

Source: docs/store-format.md, section "Deleting".
"""

from __future__ import annotations

from typing import Any

from ...errors import CorruptArchiveError, UnsupportedFormatError
from ..model.checkedjson import decode_checked
from ..model.commits import Tombstone
from ..model.keys import ShardKey, tombstones_key

__all__ = ["decode_deletions"]


def decode_deletions(data: bytes, where: ShardKey, record_id: str, store_id: str) -> list[Tombstone]:
    """Read the object of that id; the tombstones have no sequence, which only a manifest gives.

    Raises:
        ChecksumMismatchError, CorruptArchiveError: Damaged, or of another shard or store.
        UnsupportedFormatError: Made by a newer version.
    """
    key = tombstones_key(where, record_id)
    value: Any = decode_checked(data, key)
    try:
        if value["format"] != "des-tombstones":
            raise CorruptArchiveError(f"{key} has format {value['format']!r}, expected 'des-tombstones'")
        if value["version"] != 1:
            raise UnsupportedFormatError(f"{key} has version {value['version']}, this des-format reads 1")
        found = (value["store_id"], value["day"], value["shard"])
        if found != (store_id, where.day, where.shard):
            raise CorruptArchiveError(f"{key} of store {store_id} is that of {found[1]}/{found[2]} of store {found[0]}")
        tombstones = [Tombstone.from_json(one) for one in value["tombstones"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, CorruptArchiveError | UnsupportedFormatError):
            raise
        raise CorruptArchiveError(f"{key} breaks the format: {error!r}") from error
    return [Tombstone(one.uid, 0, one.at, one.reason, one.by, one.ticket, record_id) for one in tombstones]
