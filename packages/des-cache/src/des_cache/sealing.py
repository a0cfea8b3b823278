"""Values outside this process carry a checksum over key and value: what is damaged, cut off or mixed up is no value."""

from __future__ import annotations

from des_format.checksum import checksum64

__all__ = ["SEAL_BYTES", "seal", "unseal"]

SEAL_BYTES = 8


def _checksum(key: str, value: bytes | memoryview) -> bytes:
    seed = checksum64(key.encode("utf-8", "surrogatepass"))
    return checksum64(value, seed).to_bytes(SEAL_BYTES, "little")


def seal(key: str, value: bytes) -> bytes:
    """Return the value followed by its checksum."""
    return b"".join((value, _checksum(key, value)))


def unseal(key: str, data: bytes) -> bytes | None:
    """Return the value that was sealed under this key, or None if these bytes are anything else."""
    value = memoryview(data)[:-SEAL_BYTES]
    if len(data) < SEAL_BYTES or data[-SEAL_BYTES:] != _checksum(key, value):
        return None
    return bytes(value)
