"""A store of archives: commits without a database, deletion that holds, time travel."""

from .aio import AsyncDesStore, AsyncSnapshot
from .building import ArchiveOptions, NewEntry
from .commits import ArchiveRow, Commit, Operation, Tombstone
from .descriptor import Descriptor
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
    "Descriptor",
    "DesStore",
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
