"""What a process must not believe of replicas, after what happened to itself. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from des_format.errors import UnavailableError

from ..versions import is_immutable

__all__ = ["Doubts"]

_DISTRUST_SECONDS = 3600.0
_DOUBTS_KEPT = 16_384


class Doubts:
    """Objects whose write ended nobody knows how, and whether an older version may have been read lately.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._doubtful: OrderedDict[str, object] = OrderedDict()
        self._clock = clock
        self._distrusts_until: float | None = None

    def __contains__(self, path: str) -> bool:
        return path in self._doubtful

    def of(self, path: str) -> object:
        """The present doubt about an object, to tell it from later ones; None for none."""
        return self._doubtful.get(path)

    def arise(self, path: str) -> None:
        """A write failed: who looks whether it took effect must not be shown an older version."""
        self._doubtful[path] = object()
        while len(self._doubtful) > _DOUBTS_KEPT:
            self._doubtful.popitem(last=False)

    def settle(self, path: str) -> None:
        """An object is where it should be, or is nowhere."""
        self._doubtful.pop(path, None)

    def primary_answered(self, path: str, doubt: object) -> None:
        """The primary told what it has, to one who asked after `doubt` arose; a later doubt remains."""
        if doubt is not None and not is_immutable(path) and self._doubtful.get(path) is doubt:
            self.settle(path)

    def replica_answered(self, path: str) -> None:
        """A replica told what it has, which may be an older version."""
        if not is_immutable(path):
            self._distrusts_until = self._clock() + _DISTRUST_SECONDS

    def check_delete(self, keys: Sequence[str]) -> None:
        """See that what is to be deleted was not found to be garbage by an older version.

        Raises:
            UnavailableError: It may have been.
        """
        if self._distrusts_until is not None and self._clock() < self._distrusts_until and any(map(is_immutable, keys)):
            raise UnavailableError(
                f"{len(keys)} objects were not deleted: a replica was read less than {_DISTRUST_SECONDS:.0f} s ago,"
                " by which they may seem to be garbage that are none"
            )
