"""Port of object storage: bytes under keys, with conditional writes.

The protocols have the shape of the public obspec protocols, so that a store of the obstore library satisfies them as it
is. A key is relative, its segments separated by `/`. Adapters of ours raise errors of the tree under `DesError`;
`translate` makes these of what any other store raises.

What a store promises is written as tests: `des_format.testing.contracts.ObjectStoreContract`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Literal, NamedTuple, Protocol, TypedDict, runtime_checkable

from ..errors import (
    AccessDeniedError,
    DesError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from ..sources import FileSource
from ..targets import Target

__all__ = [
    "Assembles",
    "AsyncObjectStore",
    "Buffer",
    "Content",
    "CountsRanges",
    "Creates",
    "Front",
    "GetOptions",
    "GetResult",
    "GetResultAsync",
    "Mappable",
    "NotModified",
    "ObjectMeta",
    "ObjectStore",
    "OffsetRange",
    "PutMode",
    "PutResult",
    "RangeKind",
    "ReadsInParallel",
    "Retains",
    "SuffixRange",
    "TakesTurns",
    "Turn",
    "UpdateVersion",
    "translate",
]


class Buffer(Protocol):
    """Anything that exposes bytes: `bytes`, `bytearray`, `memoryview`, a mapped file."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class ObjectMeta(TypedDict):
    """What a store knows of an object; `size` is of the whole object, in bytes."""

    path: str
    last_modified: datetime
    size: int
    e_tag: str | None
    version: str | None


class OffsetRange(TypedDict):
    """Everything from byte `offset` on."""

    offset: int


class SuffixRange(TypedDict):
    """The last `suffix` bytes, or all of a shorter object."""

    suffix: int


class GetOptions(TypedDict, total=False):
    """Conditions and range of a read. Only `if_match`, `if_none_match` and `range` belong to the port's contract.

    The other keys are those of obspec. A range is half-open; one that ends after the object's end is cut there.
    """

    if_match: str | None
    if_none_match: str | None
    if_unmodified_since: datetime | None
    if_modified_since: datetime | None
    range: tuple[int, int] | Sequence[int] | OffsetRange | SuffixRange
    version: str | None
    head: bool


class UpdateVersion(TypedDict, total=False):
    """The version that a conditional write expects to replace."""

    e_tag: str | None
    version: str | None


class PutResult(TypedDict):
    """Identity of the version that a write made."""

    e_tag: str | None
    version: str | None


PutMode = Literal["create", "overwrite"] | UpdateVersion
"""`create` fails when the object exists, an `UpdateVersion` when it is not that version, `overwrite` never."""

Content = Buffer | bytes | Path | IO[bytes] | Iterable[Buffer]
"""What can be written: bytes, a local file by its path, an open file from where it stands, or pieces in order."""


class GetResult(Protocol):
    """Answer to a `get`: bytes and metadata of one and the same version."""

    @property
    def meta(self) -> ObjectMeta: ...

    @property
    def range(self) -> tuple[int, int]:
        """The half-open range of the object that `buffer` holds."""
        ...

    def buffer(self) -> Buffer: ...


class GetResultAsync(Protocol):
    """Asynchronous twin of `GetResult`."""

    @property
    def meta(self) -> ObjectMeta: ...

    @property
    def range(self) -> tuple[int, int]: ...

    async def buffer_async(self) -> Buffer: ...


class ObjectStore(Protocol):
    """Bytes under keys."""

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        """Read an object, or a range of it.

        Raises:
            ObjectNotFoundError: There is no such object.
            ObjectChangedError: It is not the version `if_match`.
            NotModified: It is still the version `if_none_match`.
        """
        ...

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        """Write an object in one step; it is durable when this returns. `mode` None is `overwrite`.

        Raises:
            ObjectExistsError: `create`, and there is one.
            ObjectChangedError: An `UpdateVersion`, and the object is another version, or missing.
            UnavailableError: It failed; whether it took effect is not known.
        """
        ...

    def head(self, path: str) -> ObjectMeta:
        """Return an object's metadata.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        ...

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterable[Sequence[ObjectMeta]]:
        """Yield the objects below `prefix`, which is made of whole segments, whose keys are greater than `offset`."""
        ...

    def delete(self, paths: str | Sequence[str]) -> None:
        """Delete objects; a missing one is no error."""
        ...


class AsyncObjectStore(Protocol):
    """Asynchronous twin of `ObjectStore`; an adapter may have the methods of both."""

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> GetResultAsync: ...

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult: ...

    async def head_async(self, path: str) -> ObjectMeta: ...

    def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]: ...

    async def delete_async(self, paths: str | Sequence[str]) -> None: ...


@runtime_checkable
class Mappable(Protocol):
    """Optional capability: objects are files that can be mapped into memory."""

    def map(self, key: str, /) -> FileSource:
        """Map an object.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        ...


@runtime_checkable
class Creates(Protocol):
    """Optional capability: an object can be written front to back, without a copy elsewhere."""

    def target(self, key: str, /) -> Target:
        """Begin an object, which appears, complete and durable, only by `commit`.

        Raises:
            ObjectExistsError: The key is taken, here or at `commit`.
        """
        ...


class Front(NamedTuple):
    """The first bytes of an object.

    Attributes:
        path: Its key.
        length: How many bytes.
        e_tag: The version that it has to be; None for whichever there is.
    """

    path: str
    length: int
    e_tag: str | None


@runtime_checkable
class Assembles(Protocol):
    """Optional capability: a new object can begin with bytes of another one, which the storage copies by itself."""

    @property
    def least_front_bytes(self) -> int:
        """Fewer bytes cannot be copied, or are not worth it."""
        ...

    def assemble(self, path: str, front: Front, rest: Content) -> PutResult:
        """Create an object of the first bytes of another one, and `rest` after them, in one step.

        What was copied is believed to the storage; whoever has to know reads it back.

        Raises:
            ObjectExistsError: The key is taken.
            ObjectNotFoundError, ObjectChangedError: The other object is not there, or is another version.
            UnsupportedOperationError, InvalidInputError, AccessDeniedError: The storage cannot do it, will not, or who
                asks may not.
            UnavailableError: It failed; whether it took effect is not known.
        """
        ...

    async def assemble_async(self, path: str, front: Front, rest: Content) -> PutResult:
        """Asynchronous twin of `assemble`."""
        ...


RangeKind = Literal["header", "footer", "index", "payload", "bigfile"]
"""What a range is read for: parts of an archive, or an entry's payload in an object of its own."""


@runtime_checkable
class CountsRanges(Protocol):
    """Optional capability: it counts what ranges are read for, which only those know who ask for them."""

    def count_range(self, kind: RangeKind, /) -> None:
        """Count a range that is about to be read."""
        ...


@runtime_checkable
class ReadsInParallel(Protocol):
    """Optional capability: it says how many reads at the same time pay, where latency is what they wait for."""

    @property
    def parallel_reads(self) -> int: ...


@runtime_checkable
class Retains(Protocol):
    """Optional capability: an object can be kept from being deleted until some time, whoever asks for it."""

    def retain(self, path: str, until: datetime) -> None:
        """Keep an object, as it is now, until a time, which can only be moved on.

        Raises:
            ObjectNotFoundError: There is no such object.
            UnsupportedOperationError: The storage, or this part of it, cannot keep objects.
            AccessDeniedError: It is kept for longer already, or who asks may not.
        """
        ...

    async def retain_async(self, path: str, until: datetime) -> None:
        """Asynchronous twin of `retain`."""
        ...

    def retained_until(self, path: str) -> datetime | None:
        """Return until when an object is kept; None for one that is not.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        ...

    async def retained_until_async(self, path: str) -> datetime | None:
        """Asynchronous twin of `retained_until`."""
        ...


class Turn(Protocol):
    """A place in the queue for an object."""

    def take(self) -> bool:
        """Take the turn, unless someone else has it; never waits. Return whether it is held."""
        ...

    def end(self) -> None:
        """Let it go, and leave the queue; the second call does nothing."""
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """Optional capability: writers of an object can queue, instead of losing to each other.

    A turn is a courtesy between those who ask for it. No write depends on it, and it ends with the process.
    """

    def turn(self, key: str, /) -> Turn | None:
        """Join the queue for an object; None where there is none."""
        ...


class NotModified(DesError):  # an answer, not a failure
    """The object is still the version that the caller holds."""

    code = "not_modified"


_BY_NAME: dict[str, tuple[type[DesError], str]] = {
    "AlreadyExistsError": (ObjectExistsError, "exists already"),
    "PreconditionError": (ObjectChangedError, "is not the expected version"),
    "NotModifiedError": (NotModified, "is unchanged"),
    "NotFoundError": (ObjectNotFoundError, "does not exist"),
    "FileNotFoundError": (ObjectNotFoundError, "does not exist"),
    "PermissionDeniedError": (AccessDeniedError, "may not be accessed"),
    "UnauthenticatedError": (AccessDeniedError, "may not be accessed"),
    "PermissionError": (AccessDeniedError, "may not be accessed"),
    "NotSupportedError": (UnsupportedOperationError, "cannot be used in this way"),
    "NotImplementedError": (UnsupportedOperationError, "cannot be used in this way"),
    "InvalidPathError": (InvalidInputError, "is no valid key"),
}


def translate(error: Exception, key: str) -> DesError:
    """Return what a store raised as an error of our tree, with the original as its `__cause__`.

    A `DesError` is returned as it is. obspec fixes the names of exceptions, not their classes, so the names decide;
    what has no known name becomes `UnavailableError`.
    """
    if isinstance(error, DesError):
        return error
    kind: type[DesError] = UnavailableError
    what = "could not be reached"
    for base in type(error).__mro__:
        if base.__name__ in _BY_NAME:
            kind, what = _BY_NAME[base.__name__]
            break
    translated = kind(f"object {key!r} {what}: {error}")
    translated.__cause__ = error
    return translated
