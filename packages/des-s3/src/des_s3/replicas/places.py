"""Places of a zone's objects, and whether they answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from des_format.errors import DesError, UnavailableError
from des_format.ports.objects import AsyncObjectStore, ObjectStore

from ..breaker import Breaker
from ..metrics import S3Metrics

__all__ = ["Place", "PlaceStore", "RefusedError", "Replica"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class PlaceStore(ObjectStore, AsyncObjectStore, Protocol):
    """A store with the methods of both ports."""


@dataclass(frozen=True, slots=True)
class Replica:
    """Another place of a zone's objects.

    Attributes:
        name: For people, and in the ETags of what is read there; without a colon.
        store: The place.
    """

    name: str
    store: PlaceStore


class Place:
    """A place, and whether it answers."""

    def __init__(self, replica: Replica, metrics: S3Metrics, clock: Callable[[], float]) -> None:
        self.name = replica.name
        self.store = replica.store
        self._metrics = metrics
        self._breaker = Breaker(clock=clock)

    def admit(self) -> bool:
        """Whether it may be asked now; tell by `ended` how that went."""
        return self._breaker.admits()

    def ended(self, operation: str, error: BaseException | None = None) -> None:
        """Learn how something ended that was asked of it."""
        if not isinstance(error, UnavailableError):
            self._breaker.succeeded()
            return
        self._metrics.place_failures.labels(self.name, operation).inc()
        if self._breaker.failed():
            log.warning("place_does_not_answer", extra={"place": self.name})

    def call(self, operation: str, act: Callable[[PlaceStore], T]) -> T:
        """Do something there, unless it is known not to answer.

        Raises:
            RefusedError: It is.
        """
        if not self.admit():
            raise RefusedError(f"{self.name} did not answer for some time; it is tried again soon")
        try:
            result = act(self.store)
        except DesError as error:
            self.ended(operation, error)
            raise
        self.ended(operation)
        return result


class RefusedError(UnavailableError):
    """Nothing was sent."""
