"""What store logic asks of the outside world: one vocabulary, run synchronously or asynchronously.

Logic is written as generators of *effects*: each `yield` asks for a batch of requests, which may
run in parallel, and is sent one reply for each request, in order. A reply is a value or, where
the request failed, a `DesError` instance: whoever asked decides what a failure means.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from ...errors import DesError
from ...ports.objects import Front, RangeKind

__all__ = [
    "Assemble",
    "CacheGet",
    "CacheSet",
    "Data",
    "Delete",
    "Effects",
    "Head",
    "List",
    "Read",
    "ReadAll",
    "ReadTail",
    "Request",
    "Sleep",
    "Write",
    "ask",
    "together",
    "value_of",
]

T = TypeVar("T")


class Data(NamedTuple):
    """Bytes of an object, the size of the whole object, and its version."""

    data: bytes
    size: int
    e_tag: str | None


class Read(NamedTuple):
    """Bytes `[start, end)` of an object; answered with `Data`, shorter where the object is.

    With `if_match`, another version of the object is an `ObjectChangedError`. `kind` is what the bytes are for, where
    that is known.
    """

    key: str
    start: int
    end: int
    if_match: str | None = None
    kind: RangeKind | None = None


class ReadTail(NamedTuple):
    """The last `length` bytes of an archive, or all of a shorter one; answered with `Data`."""

    key: str
    length: int
    if_match: str | None = None


class ReadAll(NamedTuple):
    """A whole object; answered with `Data`, or with None when it still is version `if_none_match`.

    A `shared` one may be answered with what a request that was begun earlier finds: not for who
    asks whether a write of his own took effect.
    """

    key: str
    if_none_match: str | None = None
    shared: bool = False


class Write(NamedTuple):
    """Store an object, whole and durable; answered with its version (an ETag, or None).

    `expected` is None to create it (`ObjectExistsError` when the key is taken), or the version to
    replace (`ObjectChangedError` when it is another one). `overwrite` replaces whatever is there.
    """

    key: str
    data: bytes | Path
    expected: str | None = None
    overwrite: bool = False


class Assemble(NamedTuple):
    """Create an object of the first bytes of another one, and a local file after them; answered with its version.

    Only for object stores that can (`Assembles`).
    """

    key: str
    front: Front
    rest: Path


class Head(NamedTuple):
    """Size, version and time of an object; answered with an `ObjectMeta`."""

    key: str


class List(NamedTuple):
    """All objects below a folder (`prefix`), with keys after `offset`; answered with a list of `ObjectMeta`.

    With a `limit`, the listing ends once there are so many; some more may come.
    """

    prefix: str
    offset: str | None = None
    limit: int | None = None


class Delete(NamedTuple):
    """Remove objects; one that is missing is no error. Answered with None."""

    keys: Sequence[str]


class CacheGet(NamedTuple):
    """Look keys up in the index cache; answered with a dict of what is there.

    What was kept for a time is looked up as `expiring`.
    """

    keys: Sequence[str]
    expiring: bool = False


class CacheSet(NamedTuple):
    """Keep values in the index cache; answered with None.

    With `ttl_seconds`, for so long at most; a cache that cannot do that does not keep them.
    """

    items: Mapping[str, bytes]
    ttl_seconds: float | None = None


class Sleep(NamedTuple):
    """Wait; answered with None.

    With `turn_at`, queue for that object instead, for at most `turn_seconds`, and be answered with the `Turn`, held or
    not. Where the object store has no turns, this waits as ever; so it does beside other requests, because who waits
    for one turn must not hold another.
    """

    seconds: float
    turn_at: str | None = None
    turn_seconds: float = 0.0


Request = Read | ReadTail | ReadAll | Write | Assemble | Head | List | Delete | CacheGet | CacheSet | Sleep
Effects = Generator[list[Request], list[Any], T]


def value_of(reply: Any) -> Any:
    """Return a reply's value, or raise its error."""
    if isinstance(reply, DesError):
        raise reply
    return reply


def ask(request: Request) -> Effects[Any]:
    """Perform one request and return its value, or raise its error."""
    (reply,) = yield [request]
    return value_of(reply)


class _Running:
    """One of several effects that run side by side."""

    def __init__(self, effects: Effects[Any]) -> None:
        self._effects = effects
        self.requests: list[Request] = []
        self.result: Any = None
        self.done = False
        self.advance(None)

    def advance(self, replies: list[Any] | None) -> None:
        """Send replies (None to start), and keep what is asked next, or the result."""
        try:
            self.requests = next(self._effects) if replies is None else self._effects.send(replies)
        except StopIteration as stop:
            self.result, self.done = stop.value, True
        except DesError as error:
            self.result, self.done = error, True


def together(several: Iterable[Effects[T]]) -> Effects[list[T | DesError]]:
    """Run effects side by side, a round of each in one batch; return their results or errors, in order."""
    everyone = [_Running(effects) for effects in several]
    waiting = [one for one in everyone if not one.done]
    while waiting:
        replies = yield [request for one in waiting for request in one.requests]
        at = 0
        for one in waiting:
            count = len(one.requests)
            one.advance(replies[at : at + count])
            at += count
        waiting = [one for one in waiting if not one.done]
    return cast("list[T | DesError]", [one.result for one in everyone])
