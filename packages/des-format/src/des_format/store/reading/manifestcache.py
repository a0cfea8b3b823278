"""Manifests in an index cache, sans I/O: for a process that begins, and for many that read the same shards.

Two values for each shard. The **content** is a manifest with its version, kept for a day: the object store is asked
whether it still is that version. The **sighting** says which version was found there, and is kept for half the time for
which a manifest is believed, from when it was asked for. Who finds it believes it for the other half. So nobody needs
to know how old it is, no clocks are compared, and a commit goes unseen no longer than without a cache.

Source: docs/store-format.md, section "Index cache".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ...checksum import checksum64
from ..model.keys import ShardKey, manifest_key
from ..sansio.effects import CacheGet, CacheSet, Data, Effects

__all__ = ["CachedManifest", "ManifestCache"]

_CONTENT_SECONDS = 86_400.0
_MAX_CONTENT_BYTES = 1 << 20
_LENGTH = struct.Struct("<H")
_TIME = struct.Struct("<d")
_NO_OBJECT = ""


@dataclass(frozen=True, slots=True)
class CachedManifest:
    """What a cache knows of a shard.

    Attributes:
        content: A version of its manifest, perhaps an old one.
        seen: Whether the object store was seen lately to have the version `e_tag`.
        e_tag: Its version then; None if there was no manifest.
    """

    content: Data | None = None
    seen: bool = False
    e_tag: str | None = None


class ManifestCache:
    """The manifests of one store in an index cache.

    Args:
        store_id: The store's id.
        ttl_seconds: How long a manifest is believed. Processes that were told another time share contents only.
        clock: The time of day.
    """

    def __init__(self, store_id: str, *, ttl_seconds: float, clock: Callable[[], datetime]) -> None:
        self.half_seconds = ttl_seconds / 2
        self._store_id = store_id
        self._clock = clock

    def _content_key(self, where: ShardKey) -> str:
        return f"{self._store_id}/{manifest_key(where)}"

    def _sighting_key(self, where: ShardKey) -> str:
        return f"{self._store_id}/{manifest_key(where)}/{self.half_seconds}"

    def find(self, where: ShardKey) -> Effects[CachedManifest]:
        """What is known; what is damaged, or of another key, is not."""
        content_key, sighting_key = self._content_key(where), self._sighting_key(where)
        keys = [content_key, sighting_key] if self.half_seconds > 0 else [content_key]
        (held,) = yield [CacheGet(keys, expiring=True)]
        if not isinstance(held, dict):
            return CachedManifest()
        content = _decode_content(_unseal(content_key, held.get(content_key)))
        seen = self._decode_sighting(_unseal(sighting_key, held.get(sighting_key)))
        return CachedManifest(content, seen is not None, seen or None)

    def keep(self, where: ShardKey, e_tag: str | None, read: Data | None, age_seconds: float) -> Effects[None]:
        """Keep what the object store was found to have.

        Args:
            where: The shard.
            e_tag: The version that is there; None if there is no manifest.
            read: The manifest, if it was transferred.
            age_seconds: How long ago the object store was asked.
        """
        if read is not None and read.e_tag and len(read.data) <= _MAX_CONTENT_BYTES:
            key = self._content_key(where)
            yield [CacheSet({key: _seal(key, _encode_content(read))}, _CONTENT_SECONDS)]
        if age_seconds < self.half_seconds:
            key = self._sighting_key(where)
            sighting = _TIME.pack(self._clock().timestamp() - age_seconds) + (e_tag or _NO_OBJECT).encode()
            yield [CacheSet({key: _seal(key, sighting)}, self.half_seconds - age_seconds)]

    def _decode_sighting(self, data: bytes | None) -> str | None:
        """The version that was seen, `_NO_OBJECT` if there was none; None if that is too long ago.

        The cache lets it go in time. It carries the time, too, for what the network delivered late or a cache kept too
        long: where clocks are right, that is noticed. Where they are not, the object store is asked once more.
        """
        if data is None:
            return None
        (seen_at,) = _TIME.unpack_from(data)
        if not abs(self._clock().timestamp() - seen_at) < self.half_seconds:
            return None
        return data[_TIME.size :].decode()


def _encode_content(read: Data) -> bytes:
    e_tag = (read.e_tag or "").encode()
    return _LENGTH.pack(len(e_tag)) + e_tag + read.data


def _decode_content(data: bytes | None) -> Data | None:
    if data is None:
        return None
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    return Data(data[start:], len(data) - start, data[_LENGTH.size : start].decode())


def _seal(key: str, data: bytes) -> bytes:
    return data + checksum64(key.encode() + data).to_bytes(8, "little")


def _unseal(key: str, sealed: bytes | None) -> bytes | None:
    """What was sealed under this key, or None: whatever passes was made by `keep`."""
    if sealed is None or len(sealed) < 8 or _seal(key, bytes(sealed[:-8])) != sealed:
        return None
    return bytes(sealed[:-8])
