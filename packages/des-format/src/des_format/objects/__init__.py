"""Object stores without a server: a folder, and memory."""

from .local import LocalObjectStore
from .memory import MemoryObjectStore

__all__ = ["LocalObjectStore", "MemoryObjectStore"]
