"""The format's checksums: XXH3, whole (64 bits) or its low half (32 bits)."""

from __future__ import annotations

from xxhash import xxh3_64, xxh3_64_intdigest

__all__ = ["RunningChecksum", "checksum32", "checksum64"]

checksum64 = xxh3_64_intdigest


def checksum32(data: bytes | bytearray | memoryview, seed: int = 0) -> int:
    """Low 32 bits of XXH3-64 of `data`."""
    return xxh3_64_intdigest(data, seed) & 0xFFFFFFFF


class RunningChecksum:
    """`checksum32` of bytes that come piece by piece."""

    def __init__(self) -> None:
        self._state = xxh3_64()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next bytes."""
        self._state.update(data)

    def checksum32(self) -> int:
        """The checksum of all bytes so far."""
        return self._state.intdigest() & 0xFFFFFFFF
