"""A store of archives: commits without a database, deletion that holds, time travel."""

from .aio import AsyncDesStore, AsyncSnapshot
from .building import ArchiveOptions, NewEntry
from .collection import Garbage, GarbageReport
from .commits import ArchiveRow, Commit, Operation, Tombstone
from .compaction import Compaction
from .daily import DailyShardedDesStore
from .descriptor import Descriptor
from .entryfile import AsyncEntryFile
from .expiry import Expiry
from .grouping import AsyncGroupWriter, GroupWriter
from .keys import ShardKey
from .listing import StoredEntry
from .locators import Locator
from .options import StoreOptions
from .rebuilding import Rebuild
from .shardwriter import ShardWriter
from .statistics import DayStats, StoreStats
from .store import DesStore, Snapshot
from .transactions import CommitPolicy
from .verification import StoreVerifyReport
from .writes import Receipt

__all__ = [
    "ArchiveOptions",
    "ArchiveRow",
    "AsyncDesStore",
    "AsyncEntryFile",
    "AsyncGroupWriter",
    "AsyncSnapshot",
    "Commit",
    "CommitPolicy",
    "Compaction",
    "DailyShardedDesStore",
    "DayStats",
    "DesStore",
    "Descriptor",
    "Expiry",
    "Garbage",
    "GarbageReport",
    "GroupWriter",
    "Locator",
    "NewEntry",
    "Operation",
    "Rebuild",
    "Receipt",
    "ShardKey",
    "ShardWriter",
    "Snapshot",
    "StoreOptions",
    "StoreStats",
    "StoreVerifyReport",
    "StoredEntry",
    "Tombstone",
]
