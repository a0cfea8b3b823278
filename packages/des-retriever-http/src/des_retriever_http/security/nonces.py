"""Which nonces were used already, as one process knows it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["MemoryNonces", "NoncesFull"]


class NoncesFull(Exception):
    """So many nonces are in use that no other can be remembered; the request must be refused."""


class MemoryNonces:
    """Nonces of one process, each remembered for a while, and never more than a number of them.

    Replicas do not see each other's nonces. Whoever calls `use` has checked the signature before, or else anybody
    could use up the nonces of others.
    """

    def __init__(self, *, ttl_seconds: float, max_count: int, clock: Callable[[], float]) -> None:
        """Remember each nonce for `ttl_seconds` of `clock`, which never goes back."""
        self._ttl_seconds = ttl_seconds
        self._max_count = max_count
        self._clock = clock
        self._expires: OrderedDict[tuple[str, str], float] = OrderedDict()

    def use(self, key_id: str, nonce: str) -> bool:
        """Remember a nonce of a key; False if it was used before.

        Raises:
            NoncesFull: There is no room. None is forgotten early: what is forgotten could be replayed.
        """
        now = self._clock()
        while self._expires and next(iter(self._expires.values())) <= now:
            self._expires.popitem(last=False)
        if (key_id, nonce) in self._expires:
            return False
        if len(self._expires) >= self._max_count:
            raise NoncesFull(f"{self._max_count} nonces are in use")
        self._expires[key_id, nonce] = now + self._ttl_seconds
        return True
