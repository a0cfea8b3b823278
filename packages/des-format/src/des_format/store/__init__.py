"""A store of archives: commits without a database, deletion that holds, time travel."""

from .aio import AsyncDesStore, AsyncSnapshot
from .building import ArchiveOptions, NewEntry
from .collection import Garbage, GarbageReport
from .commits import ArchiveRow, Commit, Operation, Tombstone
from .compaction import Compaction
from .descriptor import Descriptor
from .expiry import Expiry
from .keys import ShardKey
from .listing import StoredEntry
from .locators import Locator
from .options import StoreOptions
from .store import DesStore, Snapshot
from .transactions import CommitPolicy
from .writes import Receipt

__all__ = [
    "ArchiveOptions",
    "ArchiveRow",
    "AsyncDesStore",
    "AsyncSnapshot",
    "Commit",
    "CommitPolicy",
    "Compaction",
    "DesStore",
    "Descriptor",
    "Expiry",
    "Garbage",
    "GarbageReport",
    "Locator",
    "NewEntry",
    "Operation",
    "Receipt",
    "ShardKey",
    "Snapshot",
    "StoreOptions",
    "StoredEntry",
    "Tombstone",
]
