"""A store of archives: commits without a database, deletion that holds, time travel."""

from .aio import AsyncDesStore, AsyncSnapshot
from .building import ArchiveOptions, NewEntry
from .collection import Garbage, GarbageReport
from .commits import ArchiveRow, Commit, Operation, Tombstone
from .compaction import Compaction
from .daily import DailyShardedDesStore
from .descriptor import Descriptor
from .expiry import Expiry
from .grouping import AsyncGroupWriter, GroupWriter
from .keys import ShardKey
from .listing import StoredEntry
from .locators import Locator
from .options import StoreOptions
from .shardwriter import ShardWriter
from .store import DesStore, Snapshot
from .transactions import CommitPolicy
from .writes import Receipt

__all__ = [
    "ArchiveOptions",
    "ArchiveRow",
    "AsyncDesStore",
    "AsyncGroupWriter",
    "AsyncSnapshot",
    "Commit",
    "CommitPolicy",
    "Compaction",
    "DailyShardedDesStore",
    "DesStore",
    "Descriptor",
    "Expiry",
    "Garbage",
    "GarbageReport",
    "GroupWriter",
    "Locator",
    "NewEntry",
    "Operation",
    "Receipt",
    "ShardKey",
    "ShardWriter",
    "Snapshot",
    "StoreOptions",
    "StoredEntry",
    "Tombstone",
]
