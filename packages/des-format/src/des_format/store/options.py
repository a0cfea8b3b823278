"""How a store is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..opening import ReadOptions
from .writing.building import ArchiveOptions
from .writing.transactions import CommitPolicy

__all__ = ["StoreOptions"]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How a store is read and written by one process; what all must agree on is in the descriptor.

    Attributes:
        manifest_ttl_seconds: Believe a manifest for so long before asking whether it changed. So long may a commit of
            another process, such as a deletion, go unseen.
        manifest_cache_bytes: Memory for manifests, roughly.
        reading: How archives are read.
        writing: How archives are written.
        commits: How long a commit is tried.
        clock: Gives the present time; tests replace it.
    """

    manifest_ttl_seconds: float = 5.0
    manifest_cache_bytes: int = 64 * 2**20
    reading: ReadOptions = field(default_factory=ReadOptions)
    writing: ArchiveOptions = field(default_factory=ArchiveOptions)
    commits: CommitPolicy = field(default_factory=CommitPolicy)
    clock: Callable[[], datetime] = _now
