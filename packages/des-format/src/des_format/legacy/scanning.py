"""Read a legacy archive front to back, with memory bounded by the biggest entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..fetching import check_answer
from ..ranges import ByteRange
from ..scanning import CHUNK_BYTES, Scanned
from .fetching import Fetcher
from .table import Row

__all__ = ["TableScanner"]

_BATCH_ROWS = 16 * 1024
_NOTHING = ByteRange(0, 0)
# A scanner is fed one range a step; this is the range of a step that needs none.
_FIRST_BYTE = ByteRange(0, 1)


class Finisher(Protocol):
    """What the scanner needs of its archive."""

    def payload_range(self, row: Row) -> ByteRange: ...

    def finish(self, row: Row, meta: bytes, stored: bytes) -> Scanned: ...


class TableScanner:
    """Scanner over the rows of a table: batches whose metadata and payloads are one range each."""

    def __init__(self, rows: Iterator[Row], fetcher: Fetcher, archive: Finisher) -> None:
        self._rows = rows
        self._upcoming = next(rows, None)
        self._fetcher = fetcher
        self._archive = archive
        self._batch: list[Row] = []
        self._spans: list[ByteRange] = []
        self._chunks: list[bytes] = []

    def next_range(self) -> ByteRange | None:
        if not self._batch and not self._start_batch():
            return None
        for number, span in enumerate(self._spans):
            if not self._chunks[number] and span.size:
                return span
        return _FIRST_BYTE

    def _start_batch(self) -> bool:
        meta = payloads = _NOTHING
        while self._upcoming is not None and len(self._batch) < _BATCH_ROWS:
            row = self._upcoming
            grown = (
                _span(meta, ByteRange(row.meta_start, row.meta_start + row.meta_length)),
                _span(payloads, self._archive.payload_range(row)),
            )
            if self._batch and any(span.size > CHUNK_BYTES for span in grown):
                break
            meta, payloads = grown
            self._batch.append(row)
            self._upcoming = next(self._rows, None)
        self._spans = [meta, payloads]
        self._chunks = [self._fetcher.kept(meta) or b"", b""]
        return bool(self._batch)

    def feed(self, data: bytes) -> Iterator[Scanned]:
        wanted = self.next_range()
        assert wanted is not None
        check_answer(wanted, data)
        if wanted in self._spans:
            self._chunks[self._spans.index(wanted)] = data
        if any(span.size and not chunk for span, chunk in zip(self._spans, self._chunks, strict=True)):
            return
        batch, self._batch = self._batch, []
        (meta_span, payload_span), (metas, payloads) = self._spans, self._chunks
        for row in batch:
            place = self._archive.payload_range(row)
            meta_at = row.meta_start - meta_span.start
            yield self._archive.finish(
                row,
                metas[meta_at : meta_at + row.meta_length] if row.meta_length else b"",
                payloads[place.start - payload_span.start : place.end - payload_span.start] if place.size else b"",
            )


def _span(first: ByteRange, second: ByteRange) -> ByteRange:
    """The range that covers both; an empty one counts for nothing."""
    if not first.size:
        return second
    return ByteRange(first.start, max(first.end, second.end)) if second.size else first
