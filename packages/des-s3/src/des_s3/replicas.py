"""One zone in several places: a primary that decides, and replicas that follow it."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from des_format.errors import (
    ConfigurationError,
    DesError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
)
from des_format.objects.content import pieces
from des_format.objects.results import LoadedResult, expected_tag
from des_format.objects.threaded import ThreadedObjectStore
from des_format.ports.objects import (
    AsyncObjectStore,
    Content,
    GetOptions,
    ObjectMeta,
    ObjectStore,
    PutMode,
    PutResult,
    ReadsInParallel,
)

from .breaker import Breaker
from .copying import copy_object
from .metrics import S3Metrics
from .parallel import parallel_reads
from .versions import Versions, is_big_file, is_immutable

__all__ = ["PlaceStore", "Replica", "ReplicatedObjectStore", "WritePolicy"]

log = logging.getLogger(__name__)

T = TypeVar("T")

WritePolicy = Literal["all", "quorum"]
"""In how many places what never changes must be before a write returns: in all, or in more than half of them."""

_DISTRUST_SECONDS = 3600.0
_DOUBTS_KEPT = 16_384


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


class _Place:
    """A place, and whether it answers."""

    def __init__(self, replica: Replica, metrics: S3Metrics, clock: Callable[[], float]) -> None:
        self.name = replica.name
        self.store = replica.store
        self._metrics = metrics
        self._breaker = Breaker(clock=clock)

    def admit(self) -> bool:
        return self._breaker.admits()

    def ended(self, operation: str, error: BaseException | None = None) -> None:
        if not isinstance(error, UnavailableError):
            self._breaker.succeeded()
            return
        self._metrics.place_failures.labels(self.name, operation).inc()
        if self._breaker.failed():
            log.warning("place_does_not_answer", extra={"place": self.name})

    def call(self, operation: str, act: Callable[[PlaceStore], T]) -> T:
        """Do something there, unless it is known not to answer."""
        if not self.admit():
            raise _RefusedError(f"{self.name} did not answer for some time; it is tried again soon")
        try:
            result = act(self.store)
        except DesError as error:
            self.ended(operation, error)
            raise
        self.ended(operation)
        return result


class _RefusedError(UnavailableError):
    """Nothing was sent."""


Reading = Generator["tuple[_Place, GetOptions]", LoadedResult, LoadedResult]


class ReplicatedObjectStore(ThreadedObjectStore):
    """An object store with copies elsewhere.

    Writes go to the primary first, so no replica ever has what the primary never had; deletes go there last.

    - What never changes (archives, big files, parts of manifests, records of deletions) must be in as many places as
      `writes` says before a write returns, the primary among them. Where it is not, the write is an `UnavailableError`;
      repeating it completes it, and so does reading back.
    - Everything else (manifests, `des-store.json`) is decided by the primary alone, and its condition is checked there.
      Copies are made after it, at best effort: a replica may have an older version until `sync_zones` has run.
    - Reads ask the replicas, in order, only where the primary is an `UnavailableError`. Their ETags begin with the
      replica's name; a write that expects such a version is an `ObjectChangedError`. What a replica lacks is not
      missing but unavailable. Whoever pinned a version of an object that never changes reads on elsewhere, with the
      ETag that it pinned.
    - An object whose write failed is read from the primary only, by this store, until that has answered: who looks
      whether a write took effect must not be shown an older version.
    - Listings, and `head` of a big file, come from the primary only: a listing that lacks objects would let a rebuild
      forget them, and a copy looks younger than what it is a copy of.
    - A delete of what never changes is refused for an hour after an older version may have been read, because what is
      garbage by that need not be so. It goes to the replicas first, and to the primary only when all of them did it:
      what is still listed is collected by the next `gc`.

    Args:
        name: Of the primary.
        primary: The primary.
        replicas: The others, in the order of reading.
        writes: As above.
        metrics: Counts failures of places and reads of replicas.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: Names are equal, empty, or have a colon, or `writes` is unknown.
    """

    lists_in_order = True
    backend = "multi_s3"

    def __init__(
        self,
        name: str,
        primary: PlaceStore,
        replicas: Sequence[Replica],
        *,
        writes: WritePolicy = "all",
        metrics: S3Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        everywhere = [Replica(name, primary), *replicas]
        names = [replica.name for replica in everywhere]
        if len(set(names)) < len(names) or any(not one or ":" in one for one in names):
            raise ConfigurationError(f"places {names}: expected different names without colons")
        if writes not in ("all", "quorum"):
            raise ConfigurationError(f"writes is {writes!r}, expected 'all' or 'quorum'")
        self.replicas = tuple(replicas)
        self.primary = primary
        self.metrics = metrics or S3Metrics()
        self.needed_count = len(names) if writes == "all" else len(names) // 2 + 1
        self._places = [_Place(replica, self.metrics, clock) for replica in everywhere]
        self._versions = Versions(names)
        self._doubtful: OrderedDict[str, object] = OrderedDict()
        self._clock = clock
        self._distrusts_until: float | None = None

    @property
    def place(self) -> str:
        """The name of this place, which no other one has."""
        return str(getattr(self.primary, "place", self._places[0].name))

    @property
    def parallel_reads(self) -> int:
        """As for `S3ObjectStore`; that of the primary, if it has one."""
        return self.primary.parallel_reads if isinstance(self.primary, ReadsInParallel) else parallel_reads()

    # -- reading ----------------------------------------------------------------------------

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if not is_big_file(path):
            self._settle(path)
        steps = self._reading(path, options or {})
        try:
            place, asked = next(steps)
            while True:
                try:
                    found = place.store.get(path, options=asked)
                except DesError as error:
                    place, asked = steps.throw(error)
                else:
                    place, asked = steps.send(LoadedResult(found.meta, found.range, bytes(found.buffer())))
        except StopIteration as stop:
            result: LoadedResult = stop.value
            return result

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        if path in self._doubtful and not is_big_file(path):
            await asyncio.to_thread(self._settle, path)
        steps = self._reading(path, options or {})
        try:
            place, asked = next(steps)
            while True:
                try:
                    found = await place.store.get_async(path, options=asked)
                except DesError as error:
                    place, asked = steps.throw(error)
                else:
                    data = bytes(await found.buffer_async())
                    place, asked = steps.send(LoadedResult(found.meta, found.range, data))
        except StopIteration as stop:
            result: LoadedResult = stop.value
            return result

    def _reading(self, path: str, options: GetOptions) -> Reading:
        """Yield whom to ask what, be sent the answer or thrown the error, and return the result."""
        failures: list[DesError] = []
        doubt = self._doubtful.get(path)
        for place in self._readable(path):
            asked = self._asked(place, path, options)
            if asked is None or not place.admit():
                failures.append(UnavailableError(f"object {path!r} was not asked for in {place.name}"))
                continue
            try:
                found = yield place, asked
            except UnavailableError as error:
                place.ended("get", error)
                failures.append(error)
                continue
            except ObjectNotFoundError as error:
                place.ended("get", error)
                if place is self._places[0]:
                    self._answered(path, doubt)
                    raise
                failures.append(error)
                continue
            except DesError as error:
                place.ended("get", error)
                if place is self._places[0]:
                    self._answered(path, doubt)
                raise
            place.ended("get")
            self._note(place, path, doubt)
            wanted, tag = asked.get("if_match"), found.meta["e_tag"]
            if wanted is not None and tag != wanted:  # Some services ignore the condition.
                raise ObjectChangedError(f"object {path!r} in {place.name} is version {tag}, expected {wanted}")
            return self._shown(place, path, found, options.get("if_match"))
        raise _unavailable(path, failures)

    def _readable(self, path: str) -> Sequence[_Place]:
        return self._places[:1] if path in self._doubtful and not is_immutable(path) else self._places

    def _asked(self, place: _Place, path: str, options: GetOptions) -> GetOptions | None:
        """What to ask a place for; None where it cannot tell whether it has the version that is wanted."""
        asked = options.copy()
        if (known := asked.pop("if_none_match", None)) is not None:
            own = self._versions.inner(place.name, known)
            if own is not None:
                asked["if_none_match"] = own
        if (pinned := asked.pop("if_match", None)) is not None:
            if is_immutable(path):
                own = self._versions.condition(place.name, path, pinned)
            elif (own := self._versions.inner(place.name, pinned)) is None:
                return None
            if own is not None:
                asked["if_match"] = own
        return asked

    def _shown(self, place: _Place, path: str, found: LoadedResult, pinned: str | None) -> LoadedResult:
        meta = found.meta.copy()
        if is_immutable(path):
            meta["e_tag"] = self._versions.learn(place.name, path, found, pinned)
        else:
            meta["e_tag"] = self._versions.shown(place.name, meta["e_tag"])
        return LoadedResult(meta, found.range, found.data)

    def _note(self, place: _Place, path: str, doubt: object) -> None:
        """Remember who answered."""
        if place is self._places[0]:
            self._answered(path, doubt)
            return
        self.metrics.replica_reads.labels(place.name).inc()
        if not is_immutable(path):
            self._distrusts_until = self._clock() + _DISTRUST_SECONDS

    def head(self, path: str) -> ObjectMeta:
        self._settle(path)
        failures: list[DesError] = []
        doubt = self._doubtful.get(path)
        # How old a big file is decides whether it may be collected, and a copy is younger.
        for place in self._places[:1] if is_big_file(path) else self._readable(path):
            try:
                meta = place.call("head", lambda store: store.head(path)).copy()
            except (ObjectNotFoundError, UnavailableError) as error:
                if place is self._places[0] and isinstance(error, ObjectNotFoundError):
                    self._answered(path, doubt)
                    raise
                failures.append(error)
                continue
            self._note(place, path, doubt)
            meta["e_tag"] = self._versions.shown(place.name, meta["e_tag"])
            return meta
        raise _unavailable(path, failures)

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        place = self._places[0]
        pages = iter(place.call("list", lambda store: store.list(prefix, offset=offset)))
        while (page := place.call("list", lambda _store: next(pages, None))) is not None:
            yield page

    # -- writing ----------------------------------------------------------------------------

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        expected = expected_tag(path, mode or "overwrite")
        if expected is not None and not self._versions.is_first(expected):
            raise ObjectChangedError(f"object {path!r}: version {expected} is a replica's; read it again")
        doubt = self._doubtful.get(path)
        with _repeatable(file) as content:
            try:
                made = self._places[0].call("put", lambda store: store.put(path, content(), mode=mode))
            except ObjectExistsError:
                if is_immutable(path):
                    # Who wrote it may have died before it was everywhere, and the caller will rely on it.
                    self._complete(path)
                raise
            except _RefusedError:
                raise
            except UnavailableError:
                self._doubt(path)
                raise
            stored = [self._follow(place, path, content) for place in self._places[1:]]
        self._answered(path, doubt)
        if is_immutable(path):
            self._check_count(path, 1 + sum(stored))
        return made

    def _follow(self, place: _Place, path: str, content: Callable[[], Content]) -> bool:
        """Copy what the primary has taken to a replica; return whether that succeeded."""
        try:
            place.call("put", lambda store: store.put(path, content()))
        except DesError as error:
            log.warning("replica_was_not_written", extra={"place": place.name, "key": path, "error": str(error)})
            return False
        return True

    def _check_count(self, path: str, count: int) -> None:
        if count < self.needed_count:
            self._doubt(path)
            raise UnavailableError(
                f"object {path!r} is in {count} of {len(self._places)} places, expected {self.needed_count};"
                " writing it again is safe"
            )
        self._doubtful.pop(path, None)

    def _complete(self, path: str) -> None:
        """Copy what the primary has to those replicas that lack it.

        Raises:
            ObjectNotFoundError: The primary has no such object.
            UnavailableError: It is not in enough places.
        """
        primary = self._places[0]
        meta = primary.call("head", lambda store: store.head(path))
        self._check_count(path, 1 + sum(self._has(place, path, meta) for place in self._places[1:]))

    def _has(self, place: _Place, path: str, meta: ObjectMeta) -> bool:
        """Whether a replica has an object, if need be by a copy."""
        try:
            if place.call("head", lambda store: store.head(path))["size"] == meta["size"]:
                return True
        except ObjectNotFoundError:
            pass
        except DesError:
            return False
        try:
            place.call("put", lambda store: copy_object(self.primary, store, meta))
        except DesError as error:
            log.warning("replica_was_not_written", extra={"place": place.name, "key": path, "error": str(error)})
            return False
        return True

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

    def delete(self, paths: str | Sequence[str]) -> None:
        keys = [paths] if isinstance(paths, str) else paths
        self.check_delete(keys)
        failures: list[UnavailableError] = []
        for place in self._places[1:]:
            try:
                place.call("delete", lambda store: store.delete(keys))
            except UnavailableError as error:
                failures.append(error)
        if failures:
            raise UnavailableError(f"{len(keys)} objects were left in the primary: {failures[0]}") from failures[0]
        self._places[0].call("delete", lambda store: store.delete(keys))

    def target(self, key: str, /) -> _FileTarget:
        """Begin a new object, in a temporary file; `commit` writes it as `put` does."""
        return _FileTarget(self, key)

    # -- doubt ------------------------------------------------------------------------------

    def _doubt(self, path: str) -> None:
        self._doubtful[path] = object()
        while len(self._doubtful) > _DOUBTS_KEPT:
            self._doubtful.popitem(last=False)

    def _answered(self, path: str, doubt: object) -> None:
        """The primary told what it has, to one who asked after `doubt` arose; a later doubt remains."""
        if doubt is not None and not is_immutable(path) and self._doubtful.get(path) is doubt:
            self._doubtful.pop(path, None)

    def _settle(self, path: str) -> None:
        """Before something is read whose write failed: see that it is where it should be, or is nowhere.

        Raises:
            UnavailableError: That could not be done.
        """
        if path not in self._doubtful or not is_immutable(path):
            return
        try:
            self._complete(path)
        except ObjectNotFoundError:
            self._doubtful.pop(path, None)

    # -- connections ------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of synchronous connections."""
        for place in self._places:
            if (close := getattr(place.store, "close", None)) is not None:
                close()

    async def aclose(self) -> None:
        """Let go of all connections of the running event loop."""
        for place in self._places:
            if (close := getattr(place.store, "aclose", None)) is not None:
                await close()


class _FileTarget:
    """A `des_format.targets.Target` that waits in a file, because it is written as often as there are places."""

    def __init__(self, store: ReplicatedObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._file = tempfile.NamedTemporaryFile(prefix="des-s3-")  # noqa: SIM115  # `commit` or `rollback` close it
        self.write = self._file.write

    def commit(self) -> None:
        """Make the object appear; raises what `put` raises."""
        self._file.flush()
        self._store.put(self._key, Path(self._file.name), mode="create")
        self._file.close()

    def rollback(self) -> None:
        """Forget it."""
        self._file.close()


@contextmanager
def _repeatable(content: Content) -> Iterator[Callable[[], Content]]:
    """What gives the content as often as it is asked."""
    if isinstance(content, bytes | bytearray | memoryview | Path):
        yield lambda: content
        return
    with tempfile.TemporaryFile(prefix="des-s3-") as file:
        for piece in pieces(content):
            file.write(piece)

        def again() -> Any:
            file.seek(0)
            return file

        yield again


def _unavailable(path: str, failures: Sequence[DesError]) -> DesError:
    cause = next((one for one in failures if isinstance(one, UnavailableError)), None)
    error = UnavailableError(f"object {path!r} could not be read anywhere: {'; '.join(map(str, failures))}")
    error.__cause__ = cause
    return error
