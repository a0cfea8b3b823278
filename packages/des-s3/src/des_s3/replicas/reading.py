"""Which place is asked for an object, with which condition, and what its answer is shown as. Sans I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TypeVar

from des_format.errors import DesError, ObjectChangedError, ObjectNotFoundError, UnavailableError
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions, ObjectMeta

from ..metrics import S3Metrics
from ..versions import Versions, is_big_file, is_immutable
from .doubts import Doubts
from .places import Place

__all__ = ["PlaceReads", "drive", "drive_async"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

Reading = Generator[tuple[Place, GetOptions], LoadedResult, LoadedResult]
Describing = Generator[Place, ObjectMeta, ObjectMeta]


class PlaceReads:
    """Decides about reads.

    Args:
        places: The primary, then the replicas in the order of reading.
        versions: What is known of objects in several places.
        doubts: What must not be read from a replica.
        metrics: Count reads of replicas.
    """

    def __init__(self, places: Sequence[Place], versions: Versions, doubts: Doubts, metrics: S3Metrics) -> None:
        self._places = places
        self._versions = versions
        self._doubts = doubts
        self._metrics = metrics

    def get(self, path: str, options: GetOptions) -> Reading:
        """Yield whom to ask what, be sent the answer or thrown the error, and return the result."""
        failures: list[DesError] = []
        doubt = self._doubts.of(path)
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
                    self._doubts.primary_answered(path, doubt)
                    raise
                failures.append(error)
                continue
            except DesError as error:
                place.ended("get", error)
                if place is self._places[0]:
                    self._doubts.primary_answered(path, doubt)
                raise
            place.ended("get")
            self._note(place, path, doubt)
            wanted, tag = asked.get("if_match"), found.meta["e_tag"]
            if wanted is not None and tag != wanted:  # Some services ignore the condition.
                raise ObjectChangedError(f"object {path!r} in {place.name} is version {tag}, expected {wanted}")
            return self._shown(place, path, found, options.get("if_match"))
        raise _unavailable(path, failures)

    def head(self, path: str) -> Describing:
        """Yield whom to ask, be sent the answer or thrown the error, and return what the first says that answers."""
        failures: list[DesError] = []
        doubt = self._doubts.of(path)
        # How old a big file is decides whether it may be collected, and a copy is younger.
        for place in self._places[:1] if is_big_file(path) else self._readable(path):
            try:
                meta = (yield place).copy()
            except (ObjectNotFoundError, UnavailableError) as error:
                if place is self._places[0] and isinstance(error, ObjectNotFoundError):
                    self._doubts.primary_answered(path, doubt)
                    raise
                failures.append(error)
                continue
            self._note(place, path, doubt)
            meta["e_tag"] = self._versions.shown(place.name, meta["e_tag"])
            return meta
        raise _unavailable(path, failures)

    def _readable(self, path: str) -> Sequence[Place]:
        return self._places[:1] if path in self._doubts and not is_immutable(path) else self._places

    def _asked(self, place: Place, path: str, options: GetOptions) -> GetOptions | None:
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

    def _shown(self, place: Place, path: str, found: LoadedResult, pinned: str | None) -> LoadedResult:
        meta = found.meta.copy()
        if is_immutable(path):
            meta["e_tag"] = self._versions.learn(place.name, path, found, pinned)
        else:
            meta["e_tag"] = self._versions.shown(place.name, meta["e_tag"])
        return LoadedResult(meta, found.range, found.data)

    def _note(self, place: Place, path: str, doubt: object) -> None:
        """Remember who answered."""
        if place is self._places[0]:
            self._doubts.primary_answered(path, doubt)
            return
        self._metrics.replica_reads.labels(place.name).inc()
        self._doubts.replica_answered(path)


def drive(steps: Generator[Asked, Answer, Result], act: Callable[[Asked], Answer]) -> Result:
    """Do what is yielded, and return the result."""
    try:
        asked = next(steps)
        while True:
            try:
                answer = act(asked)
            except DesError as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result


async def drive_async(steps: Generator[Asked, Answer, Result], act: Callable[[Asked], Awaitable[Answer]]) -> Result:
    """Asynchronous twin of `drive`."""
    try:
        asked = next(steps)
        while True:
            try:
                answer = await act(asked)
            except DesError as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _unavailable(path: str, failures: Sequence[DesError]) -> DesError:
    cause = next((one for one in failures if isinstance(one, UnavailableError)), None)
    error = UnavailableError(f"object {path!r} could not be read anywhere: {'; '.join(map(str, failures))}")
    error.__cause__ = cause
    return error
