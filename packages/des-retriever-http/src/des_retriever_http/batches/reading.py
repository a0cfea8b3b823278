"""Read many files, in the order in which they were asked for, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from des_format.errors import DesError, InvalidNameError, UnavailableError
from des_format.names import MAX_NAME_BYTES, encode_name
from des_format.store import ReadEntry, StoredEntry

from ..http.dates import parse_created_at
from ..http.problems import Problem, problem_of
from ..security.principals import Permission, Principal
from ..storage.backend import Backend
from ..storage.checking import begun, checked

__all__ = ["Outcome", "Wanted", "outcomes"]

# Files whose payloads are read together, and up to which size: so 16 MiB, twice, as one group is read ahead.
_GROUP_FILES = 256
_GROUPED_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that was asked for.

    Attributes:
        uid: Its uid.
        created_at: Its time, as it was given.
    """

    uid: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a file that was asked for.

    Attributes:
        wanted: The file.
        stored: What its archive says of it; None where there is a problem.
        pieces: Its payload, checked; what is raised in the middle must end the answer.
        problem: Why there is none.
    """

    wanted: Wanted
    stored: StoredEntry | None = None
    pieces: AsyncIterator[bytes] | None = None
    problem: Problem | None = None


async def outcomes(
    backend: Backend, principal: Principal | None, files: Sequence[Wanted], *, fetch_bytes: int
) -> AsyncIterator[Outcome]:
    """Yield what came of each file, in their order.

    Small files are read in groups, with as few requests as neighbours in archives allow, one group ahead of what is
    sent. Each piece of an outcome is taken before the next outcome.

    Args:
        backend: The storage.
        principal: Who asks; None for everybody.
        files: What is asked for.
        fetch_bytes: Larger files are read piece by piece.

    Raises:
        UnavailableError: The storage did not answer to the first group.
    """
    groups = _groups(files)
    reading = asyncio.create_task(_Group(backend, principal, next(groups)).read())
    is_first = True
    try:
        while True:
            group = await reading
            if is_first and isinstance(group.error, UnavailableError):
                raise group.error
            is_first = False
            following = next(groups, None)
            if following is not None:
                reading = asyncio.create_task(_Group(backend, principal, following).read())
            for wanted in group.files:
                yield await group.outcome(wanted, fetch_bytes)
            if following is None:
                return
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


def _groups(files: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    rest = iter(files)
    while group := list(islice(rest, _GROUP_FILES)):
        yield group


class _Group:
    """Files that are read together.

    Attributes:
        files: The files.
        error: Why they could not be read together.
    """

    def __init__(self, backend: Backend, principal: Principal | None, files: list[Wanted]) -> None:
        self.files = files
        self.error: DesError | None = None
        self._backend = backend
        self._requests: dict[Wanted, tuple[str, datetime]] = {}
        self._problems: dict[Wanted, Problem] = {}
        self._found: dict[tuple[str, datetime], ReadEntry] = {}
        for wanted in dict.fromkeys(files):
            try:
                if principal is not None and not principal.may(Permission.READ, wanted.uid):
                    raise Problem(403, "permission_denied", "Permission denied: not for this uid")
                self._requests[wanted] = (_checked_uid(wanted.uid), parse_created_at(wanted.created_at))
            except Problem as problem:
                self._problems[wanted] = problem

    async def read(self) -> _Group:
        """Read what is small."""
        try:
            self._found = await self._backend.read_many(list(self._requests.values()), limit=_GROUPED_BYTES)
        except DesError as error:
            # One damaged file among them is no reason to withhold the others: each is read alone.
            self.error = error
        return self

    async def outcome(self, wanted: Wanted, fetch_bytes: int) -> Outcome:
        """Return what came of a file."""
        if wanted in self._problems:
            return Outcome(wanted, problem=self._problems[wanted])
        request = self._requests[wanted]
        read = self._found.get(request)
        try:
            if read is not None and read.stored.entry.size <= _GROUPED_BYTES:
                return Outcome(wanted, read.stored, _whole(read.payload))
            fetched = await self._backend.fetch(*request, limit=fetch_bytes)
            if fetched.payload is not None:
                return Outcome(wanted, fetched.stored, _whole(fetched.payload))
            stream = self._backend.stream(*request, 0, fetched.stored.entry.size)
            return Outcome(wanted, fetched.stored, await begun(checked(stream, fetched.stored.entry)))
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                raise
            return Outcome(wanted, problem=problem)


def _checked_uid(uid: str) -> str:
    try:
        encode_name(uid)
    except InvalidNameError:
        # Without the uid, which its status has beside it, and which may be as long as a body.
        detail = f"A uid has 1 to {MAX_NAME_BYTES:,} bytes of UTF-8, and no NUL"
        raise Problem(400, InvalidNameError.code, detail) from None
    return uid


async def _whole(payload: bytes) -> AsyncIterator[bytes]:
    yield payload
