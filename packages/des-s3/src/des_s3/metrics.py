"""Prometheus metrics of S3 access."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["RANGE_TYPES", "S3Metrics"]

RANGE_TYPES = ("header", "footer", "index", "payload", "bigfile")


class S3Metrics:
    """What was asked of S3, and how it ended.

    The label `operation` is the client's method (`get_object`, `put_object`, ...), `outcome` is `ok` or the `code` of
    the `DesError`. An attempt that is repeated counts again; attempts within obstore, which reads for the engine
    `obstore`, are not seen.

    Args:
        registry: Where the metrics are registered; None to keep them to oneself. One registry takes one `S3Metrics`.

    Attributes:
        range_calls: Range reads of archives, by readers and stores, by `backend` (`s3`, `multi_s3`) and `type`.
        requests: Requests, by `operation` and `outcome`.
        request_bytes: Bytes of payload that were read or written, by `operation`.
        source_reads: Whole-object reads of sources, by `status` (`ok`, `error`).
        source_bytes: Bytes that they brought.
        source_seconds: How long they took, by `status`.
        replica_reads: Reads that a replica answered, by `place`.
        place_failures: Calls that a place of a replicated zone did not answer, by `place` and `operation`.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.range_calls = Counter(
            "des_s3_range_calls_total", "Range reads of archives", ("backend", "type"), registry=registry
        )
        self.requests = Counter("des_s3_requests_total", "Requests to S3", ("operation", "outcome"), registry=registry)
        self.request_bytes = Counter(
            "des_s3_request_bytes_total", "Payload bytes read or written", ("operation",), registry=registry
        )
        self.source_reads = Counter("des_s3_source_reads_total", "Reads of sources", ("status",), registry=registry)
        self.source_bytes = Counter(
            "des_s3_source_bytes_downloaded_total", "Bytes read from sources", registry=registry
        )
        self.source_seconds = Histogram(
            "des_s3_source_read_seconds", "Duration of reads of sources", ("status",), registry=registry
        )
        self.replica_reads = Counter(
            "des_s3_replica_reads_total", "Reads answered by a replica", ("place",), registry=registry
        )
        self.place_failures = Counter(
            "des_s3_place_failures_total", "Calls without an answer", ("place", "operation"), registry=registry
        )
        self._children: dict[tuple[str, str], Counter] = {}
        self._ranges: dict[tuple[str, str], Counter] = {}

    def count(self, operation: str, outcome: str, size: int = 0) -> None:
        """Count one request, and the payload bytes that it moved."""
        self._child(operation, outcome).inc()
        if size:
            self._bytes(operation).inc(size)

    def count_ranges(self, backend: str, types: Iterable[str]) -> None:
        """Count range reads of an archive."""
        for kind in types:
            self._range(backend, kind).inc()

    # `labels` costs four times as much as what it is for.
    def _child(self, operation: str, outcome: str) -> Counter:
        child = self._children.get((operation, outcome))
        if child is None:
            child = self._children[operation, outcome] = self.requests.labels(operation, outcome)
        return child

    def _range(self, backend: str, kind: str) -> Counter:
        child = self._ranges.get((backend, kind))
        if child is None:
            child = self._ranges[backend, kind] = self.range_calls.labels(backend, kind)
        return child

    def _bytes(self, operation: str) -> Counter:
        child = self._children.get((operation, ""))
        if child is None:
            child = self._children[operation, ""] = self.request_bytes.labels(operation)
        return child
