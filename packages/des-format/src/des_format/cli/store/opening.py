"""Open the store that the command line names.

`des_format.store` is imported here and where it is worked with, so that the other commands start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...store import DesStore
    from ...store.legacy import LegacyStore

__all__ = ["open_any", "open_store"]


def open_store(url: str, n_bits: int | None = None) -> DesStore:
    """Open a store.

    Raises:
        StoreNotFoundError: There is none.
        ConfigurationError: `n_bits` contradicts the store, or nothing that is installed opens the URL.
    """
    from ...store import DesStore

    return DesStore.open(url, n_bits=n_bits)


def open_any(url: str, layout: str | None, n_bits: int | None) -> DesStore | LegacyStore:
    """Open a store for reading, or that of a published system if a layout is given."""
    if layout is None:
        return open_store(url, n_bits)
    from ...store.legacy import LegacyStore

    return LegacyStore.open(url, layout, n_bits=8 if n_bits is None else n_bits)
