"""How many requests of a batch run at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from ...ports.objects import ReadsInParallel
from .effects import Read, ReadAll, ReadTail, Request

__all__ = ["Widths"]

_READS = (Read, ReadTail, ReadAll)


class Widths:
    """How many requests of one batch run at the same time.

    Args:
        objects: The object store; reads may be as many as it says (`ReadsInParallel`).
        given: What the caller says, of whatever requests; or None.
        usual: Without either, and of batches that do not only read: a write holds more, and commits meet each other.

    Attributes:
        widest: The most of any batch.
    """

    def __init__(self, objects: object, given: int | None, usual: int) -> None:
        self._usual = given or usual
        self._reads = given or (objects.parallel_reads if isinstance(objects, ReadsInParallel) else usual)
        self.widest = max(self._usual, self._reads)

    def of(self, requests: Sequence[Request]) -> int:
        """Return how many of these requests run at the same time."""
        are_reads = self._reads != self._usual and all(isinstance(request, _READS) for request in requests)
        return min(self._reads if are_reads else self._usual, len(requests))
