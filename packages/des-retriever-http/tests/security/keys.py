"""Keys for tests, and patience."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_TRIES = 1000


def api_key_item(id: str, key: str, permissions: list[str], **more: Any) -> dict[str, Any]:
    """What the document of credentials has of an API key."""
    return {"id": id, "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", "permissions": permissions, **more}


def public_key_item(key: Any, permissions: list[str], **more: Any) -> dict[str, Any]:
    """What the document of credentials has of the public half of a private key."""
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return {"public_key": line, "permissions": permissions, **more}


async def until(is_true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true."""
    for _ in range(_TRIES):
        if await is_true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it has not become true")
