"""The storage as the service sees it: each read of it is timed, counted and, if wished, a span."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, perf_counter
from typing import cast

from des_format import errors
from des_format.store import ReadEntry, StoredEntry

from ..storage.backend import Backend, Fetched
from ..storage.retention import Extension
from .metrics import RetrieverMetrics
from .tracing import Tracing

__all__ = ["ObservedBackend", "StorageHistory", "observed", "outcome_of"]

_OUTCOMES: dict[type[BaseException], str] = {
    errors.EntryDeletedError: "deleted",
    errors.BigFileMissingError: "corrupt",
    errors.NotFoundError: "not_found",
    errors.CorruptArchiveError: "corrupt",
    errors.UnsupportedFormatError: "corrupt",
    errors.InvalidInputError: "invalid",
    errors.UnavailableError: "unavailable",
}


def outcome_of(error: BaseException) -> str:
    """Return what metrics call the end of a read."""
    return next((_OUTCOMES[kind] for kind in type(error).__mro__ if kind in _OUTCOMES), "error")


class StorageHistory:
    """When the storage last answered a read.

    Attributes:
        answered_at: Of the monotonic clock; negative infinity for never.
    """

    def __init__(self) -> None:
        self.answered_at = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedBackend(Backend):
    """A backend whose reads are observed.

    Attributes:
        metrics: Where they are counted.
        history: Where it is noted that the storage answers.
        tracing: Makes spans; None for none.
    """

    metrics: RetrieverMetrics
    history: StorageHistory
    tracing: Tracing | None = None

    async def fetch(
        self, uid: str, created_at: datetime, *, limit: int, fresh: bool = False, keep_zstd: bool = False
    ) -> Fetched:
        """As `Backend.fetch`."""
        began = perf_counter()
        try:
            with self._span("fetch"):
                found = await Backend.fetch(self, uid, created_at, limit=limit, fresh=fresh, keep_zstd=keep_zstd)
        except Exception as error:
            self._failed(error)
            raise
        self._succeeded(began, found.stored.entry.size)
        return found

    async def read_many(
        self, requests: Sequence[tuple[str, datetime]], *, limit: int
    ) -> dict[tuple[str, datetime], ReadEntry]:
        """As `Backend.read_many`. What fails is read again alone, and counted then; so are large and missing ones."""
        began = perf_counter()
        with self._span("read_many"):
            found = await Backend.read_many(self, requests, limit=limit)
        for read in found.values():
            if read.stored.entry.size <= limit:
                self._succeeded(began, read.stored.entry.size)
        return found

    async def describe(self, uid: str, created_at: datetime, *, fresh: bool = False) -> StoredEntry:
        """As `Backend.describe`."""
        began = perf_counter()
        try:
            with self._span("describe"):
                stored = await Backend.describe(self, uid, created_at, fresh=fresh)
        except Exception as error:
            self._failed(error)
            raise
        self._succeeded(began)
        return stored

    async def read_range(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """As `Backend.read_range`."""
        began = perf_counter()
        try:
            with self._span("read_range"):
                data = await Backend.read_range(self, uid, created_at, start, end)
        except Exception as error:
            self._failed(error)
            raise
        self._succeeded(began)
        return data

    async def stream(self, uid: str, created_at: datetime, start: int, end: int) -> AsyncIterator[bytes]:
        """As `Backend.stream`; only failures are counted, as the client decides how long it takes."""
        try:
            async with aclosing(cast("_Pieces", Backend.stream(self, uid, created_at, start, end))) as pieces:
                async for piece in pieces:
                    self.history.answered_at = monotonic()
                    yield piece
        except Exception as error:
            self._failed(error)
            raise

    async def delete(self, uid: str, created_at: datetime, *, reason: str, by: str, ticket: str | None) -> int:
        """As `Backend.delete`."""
        with self._span("delete"):
            sequence = await Backend.delete(self, uid, created_at, reason=reason, by=by, ticket=ticket)
        self.metrics.tombstone_created(reason)
        return sequence

    async def extend_retention(self, uid: str, created_at: datetime, until: datetime, *, by: str) -> Extension:
        """As `Backend.extend_retention`."""
        with self._span("extend_retention"):
            extension = await Backend.extend_retention(self, uid, created_at, until, by=by)
        self.metrics.retention_extended(is_new=extension.is_new)
        return extension

    def _span(self, operation: str) -> AbstractContextManager[None]:
        return _NO_SPAN if self.tracing is None else self.tracing.read(operation, {"des.backend": self.label})

    def _succeeded(self, began: float, size: int | None = None) -> None:
        now = perf_counter()
        self.history.answered_at = monotonic()
        self.metrics.retrieved("ok", now - began, size)

    def _failed(self, error: Exception) -> None:
        outcome = outcome_of(error)
        if outcome in ("deleted", "not_found"):
            self.history.answered_at = monotonic()
        self.metrics.retrieved(outcome)


_Pieces = AsyncGenerator[bytes, None]
_NO_SPAN: AbstractContextManager[None] = nullcontext()


def observed(
    backend: Backend, metrics: RetrieverMetrics, history: StorageHistory, tracing: Tracing | None
) -> ObservedBackend:
    """Return the same backend, observed."""
    return ObservedBackend(
        backend.label,
        backend.store,
        backend.memory,
        backend.fallback,
        backend.retention,
        backend.original,
        metrics=metrics,
        history=history,
        tracing=tracing,
    )
