"""What it takes to open a legacy store, checked once for both of its twins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from ...archive import DEFAULT_MAX_ENTRY_BYTES
from ...bigfiles import BIG_FILES_FOLDER
from ...errors import InvalidInputError
from ...opening import ReadOptions
from ...planner import TransferCost
from .archives import Archives
from .deletions import Sidecars
from .layouts import LegacyLayout, make_layout
from .listings import Listings
from .search import LegacyReads
from .view import check_prefix

__all__ = ["LegacyOptions"]

_SIDECARS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """How to read a store of one of the published systems.

    Attributes:
        layout: Which of them wrote it: `des-core` or `datavision`.
        n_bits: There are 2**n_bits shards a day: `DES_N_BITS`, or `shard_bits`; 0 to 16.
        prefix: The store's folder in the object store; empty for all of it.
        big_files_prefix: Name of the folder of external payloads beside des_core archives, `DES_BIGFILES_PREFIX`.
        zone: The time zone in which the writers' days began, if they wrote timestamps with an offset.
        whole_day: Look into all archives of the day, for archives that were not named after their entries' shard.
        listing_ttl_seconds: How long new archives, new deletions and replaced archives may go unnoticed.
        lists_in_order: Whether the object store lists in the order of keys; None to ask its attribute of this name.
        max_open_archives: How many archives are kept open.
        verify: Check the checksums of entries, where a format has them.
        max_entry_bytes: Refuse to expand, or to read from beside an archive, a larger payload as a whole.
        cost: What a request costs, for merging ranges.
        clock: Seconds that only grow; tests replace it.
    """

    layout: LegacyLayout | str
    n_bits: int = 8
    prefix: str = ""
    big_files_prefix: str = BIG_FILES_FOLDER
    zone: tzinfo | None = None
    whole_day: bool = False
    listing_ttl_seconds: float = 5.0
    lists_in_order: bool | None = None
    max_open_archives: int = 64
    verify: bool = True
    max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES
    cost: TransferCost = TransferCost()
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if self.listing_ttl_seconds < 0 or self.max_open_archives < 1:
            raise InvalidInputError(
                f"listing_ttl_seconds {self.listing_ttl_seconds} must not be negative,"
                f" max_open_archives {self.max_open_archives} must be 1 or more"
            )

    def folder(self) -> str:
        """The prefix as it stands before keys."""
        return check_prefix(self.prefix, "prefix")

    def in_order(self, objects: Any) -> bool:
        """Whether a listing may stop behind the last key that is wanted."""
        return bool(getattr(objects, "lists_in_order", False)) if self.lists_in_order is None else self.lists_in_order

    def reads(self, objects: Any) -> LegacyReads:
        """The logic that reads such a store, with nothing read yet.

        Raises:
            InvalidInputError: An option is out of its range.
        """
        big_files_folder = check_prefix(self.big_files_prefix, "big_files_prefix").removesuffix("/")
        if not big_files_folder:
            raise InvalidInputError("big_files_prefix is empty; payloads would lie among the archives")
        layout = make_layout(self.layout, self.n_bits, self.zone)
        listings = Listings(
            layout, in_order=self.in_order(objects), ttl_seconds=self.listing_ttl_seconds, clock=self.clock
        )
        options = ReadOptions(verify=self.verify, max_entry_bytes=self.max_entry_bytes, cost=self.cost)
        archives = Archives(options, big_files_folder=big_files_folder, max_count=self.max_open_archives)
        return LegacyReads(layout, listings, Sidecars(_SIDECARS_KEPT), archives, whole_day=self.whole_day)
