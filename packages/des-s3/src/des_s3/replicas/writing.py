"""Write and delete in several places: the primary decides, and enough others follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from des_format.errors import DesError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError, UnavailableError
from des_format.objects.results import expected_tag
from des_format.ports.objects import Content, ObjectMeta, PutMode, PutResult

from ..copying import copy_object
from ..versions import Versions, is_immutable
from .content import repeatable
from .doubts import Doubts
from .places import Place, RefusedError

__all__ = ["PlaceWrites"]

log = logging.getLogger(__name__)


class PlaceWrites:
    """Changes places.

    Args:
        places: The primary, then the replicas.
        needed_count: In so many places what never changes must be, the primary among them.
        versions: Tell which place a version is of.
        doubts: Learn of writes that failed.
    """

    def __init__(self, places: Sequence[Place], needed_count: int, versions: Versions, doubts: Doubts) -> None:
        self._primary, *self._replicas = places
        self._needed_count = needed_count
        self._versions = versions
        self._doubts = doubts

    def put(self, path: str, file: Content, mode: PutMode) -> PutResult:
        """Write to the primary, then to the replicas."""
        expected = expected_tag(path, mode)
        if expected is not None and not self._versions.is_first(expected):
            raise ObjectChangedError(f"object {path!r}: version {expected} is a replica's; read it again")
        doubt = self._doubts.of(path)
        with repeatable(file) as content:
            try:
                made = self._primary.call("put", lambda store: store.put(path, content(), mode=mode))
            except ObjectExistsError:
                if is_immutable(path):
                    # Who wrote it may have died before it was everywhere, and the caller will rely on it.
                    self._complete(path)
                raise
            except RefusedError:
                raise
            except UnavailableError:
                self._doubts.arise(path)
                raise
            stored = [self._follow(place, path, content) for place in self._replicas]
        self._doubts.primary_answered(path, doubt)
        if is_immutable(path):
            self._check_count(path, 1 + sum(stored))
        return made

    def _follow(self, place: Place, path: str, content: Callable[[], Content]) -> bool:
        """Copy what the primary has taken to a replica; return whether that succeeded."""
        try:
            place.call("put", lambda store: store.put(path, content()))
        except DesError as error:
            log.warning("replica_was_not_written", extra={"place": place.name, "key": path, "error": str(error)})
            return False
        return True

    def _check_count(self, path: str, count: int) -> None:
        if count < self._needed_count:
            self._doubts.arise(path)
            raise UnavailableError(
                f"object {path!r} is in {count} of {1 + len(self._replicas)} places, expected {self._needed_count};"
                " writing it again is safe"
            )
        self._doubts.settle(path)

    def settle(self, path: str) -> None:
        """Before something is read whose write failed: see that it is where it should be, or is nowhere.

        Raises:
            UnavailableError: That could not be done.
        """
        if path not in self._doubts or not is_immutable(path):
            return
        try:
            self._complete(path)
        except ObjectNotFoundError:
            self._doubts.settle(path)

    def _complete(self, path: str) -> None:
        """Copy what the primary has to those replicas that lack it.

        Raises:
            ObjectNotFoundError: The primary has no such object.
            UnavailableError: It is not in enough places.
        """
        meta = self._primary.call("head", lambda store: store.head(path))
        self._check_count(path, 1 + sum(self._has(place, path, meta) for place in self._replicas))

    def _has(self, place: Place, path: str, meta: ObjectMeta) -> bool:
        """Whether a replica has an object, if need be by a copy."""
        try:
            if place.call("head", lambda store: store.head(path))["size"] == meta["size"]:
                return True
        except ObjectNotFoundError:
            pass
        except DesError:
            return False
        try:
            place.call("put", lambda store: copy_object(self._primary.store, store, meta))
        except DesError as error:
            log.warning("replica_was_not_written", extra={"place": place.name, "key": path, "error": str(error)})
            return False
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete in the replicas, and in the primary only when all of them did it.

        Raises:
            UnavailableError: One did not, or they may be no garbage; what is in the primary stays.
        """
        self._doubts.check_delete(keys)
        failures: list[UnavailableError] = []
        for place in self._replicas:
            try:
                place.call("delete", lambda store: store.delete(keys))
            except UnavailableError as error:
                failures.append(error)
        if failures:
            raise UnavailableError(f"{len(keys)} objects were left in the primary: {failures[0]}") from failures[0]
        self._primary.call("delete", lambda store: store.delete(keys))
