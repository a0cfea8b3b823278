"""Every system that is measured, DES first."""

from .base import Missing, System
from .des import Des, DesBalanced, DesDictionary, DesUnverified
from .local import Lmdb, TarIndex, ZipStored
from .published import Datavision, DesCore
from .shards import ArrayRecord, ArrayRecordZstd, Mds, WebDataset

__all__ = ["SYSTEMS", "Missing", "System"]

SYSTEMS: dict[str, type[System]] = {
    system.__name__: system
    for system in (
        Des, DesUnverified, DesBalanced, DesDictionary, Lmdb, TarIndex, ZipStored, WebDataset, Mds, ArrayRecord,
        ArrayRecordZstd, Datavision, DesCore,
    )
}  # fmt: skip
