"""A store of archives: commits without a database, deletion that holds, time travel."""

from .aio import AsyncDesStore, AsyncSnapshot
from .daily import DailyShardedDesStore
from .descriptor import Descriptor
from .model.commits import ArchiveRow, Commit, Operation, Tombstone
from .model.keys import ShardKey
from .model.locators import Locator
from .options import StoreOptions
from .reading.entryfile import AsyncEntryFile
from .reading.listing import ReadEntry, StoredEntry
from .store import DesStore, Snapshot
from .upkeep.collection import Garbage, GarbageReport
from .upkeep.compaction import Compaction
from .upkeep.expiry import Expiry
from .upkeep.rebuilding import Rebuild
from .upkeep.statistics import DayStats, StoreStats
from .upkeep.verification import StoreVerifyReport
from .writers.grouping import AsyncGroupWriter, GroupWriter
from .writers.shardwriter import ShardWriter
from .writing.building import ArchiveOptions, NewEntry
from .writing.transactions import CommitPolicy
from .writing.writes import Receipt

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
    "ReadEntry",
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
