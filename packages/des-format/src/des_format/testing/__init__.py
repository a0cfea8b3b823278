"""For tests of whatever uses the ports: twins in memory, wrappers that fail and that count.

The contracts that every adapter must pass are in `des_format.testing.contracts`, which needs the extra `testing`.
"""

from .caches import FaultyIndexCache, MeteredIndexCache
from .faults import Fault, Plan, delay, fail_after, fail_before, lose_reply, truncate
from .metadata import MemoryMetadata
from .metadata_wrappers import FaultyMetadata, MeteredMetadata
from .meter import Meter
from .objects import FaultyObjectStore, MeteredObjectStore

__all__ = [
    "Fault",
    "FaultyIndexCache",
    "FaultyMetadata",
    "FaultyObjectStore",
    "MemoryMetadata",
    "Meter",
    "MeteredIndexCache",
    "MeteredMetadata",
    "MeteredObjectStore",
    "Plan",
    "delay",
    "fail_after",
    "fail_before",
    "lose_reply",
    "truncate",
]
