"""Index caches without a server."""

from .memory import MemoryIndexCache

__all__ = ["MemoryIndexCache"]
