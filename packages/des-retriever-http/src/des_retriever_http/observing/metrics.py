"""All Prometheus metrics of the service; those of adapters are registered beside them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from ..security.principals import ACCESS_RESULTS
from .counting import FINE_SECONDS, BulkHistogram, Distribution

__all__ = ["OPERATIONS", "RetrieverMetrics", "Totals"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_BYTES = (512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 134217728, 1073741824)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})

SHED = ("requests", "memory")
TIMEOUTS = ("deadline", "stall")
REASONS = ("GDPR", "retention_expired", "user_request")
OPERATIONS = ("/health", "/metrics", "/stats", "/ui")
"""Routes that are no work for users; the figures of the console leave them out."""


class Totals:
    """What was answered since the start, but for probes, metrics and the console.

    Attributes:
        requests: Answers.
        errors: Those with a status of 500 or more.
        sent_bytes: Bytes of their bodies.
        counts: How long they took, in the classes of `FINE_SECONDS`.
    """

    def __init__(self) -> None:
        self.requests = self.errors = self.sent_bytes = 0
        self.counts = [0] * (len(FINE_SECONDS) + 1)


class _Answers:
    """Answers of one method, status and route that no metric has seen yet."""

    __slots__ = ("seconds", "sent_bytes")

    def __init__(self) -> None:
        self.seconds = Distribution(FINE_SECONDS)
        self.sent_bytes = 0


class _Retrievals:
    """Reads of one outcome that no metric has seen yet."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = Distribution(FINE_SECONDS)


class RetrieverMetrics:
    """What the service did, for Prometheus. It belongs to one thread.

    What is counted for each request is collected in plain numbers first, and reaches the metrics with `flush`: every
    second, and before this process answers a scrape.

    Args:
        registry: Where the metrics are registered.
        backend: Label of the storage.

    Attributes:
        totals: The same, summed up for the console.
    """

    def __init__(self, registry: CollectorRegistry, backend: str = "local") -> None:

        def counter(name: str, text: str, *labels: str, known: tuple[str, ...] = ()) -> Counter:
            made = Counter(f"des_{name}", text, labels, registry=registry)
            for value in known:
                made.labels(value)  # A series that is there at 0 is one whose first increase is seen.
            return made

        def seconds(name: str, text: str, *labels: str) -> BulkHistogram:
            return BulkHistogram(f"des_{name}", text, labels, buckets=_SECONDS, registry=registry)

        self.backend = backend
        self.totals = Totals()
        self.in_flight = 0
        self.waiting_bytes = 0
        self._answers: dict[tuple[str, int, str], _Answers] = {}
        self._retrievals: dict[str, _Retrievals] = {}
        self._sizes = Distribution(_BYTES)

        self._requests = counter("retriever_requests_total", "Answers.", "method", "status")
        self._durations = seconds(
            "retriever_request_seconds", "From the head of a request to the end of its answer.", "route", "status"
        )
        self._sent = counter("retriever_sent_bytes_total", "Bytes of bodies of answers.")
        self._incomplete = counter(
            "retriever_incomplete_total", "Answers that ended early: the client left, or the storage failed."
        )
        self._shed = counter("retriever_shed_total", "Requests that were refused to bound load.", "reason", known=SHED)
        self._timeouts = counter("retriever_timeouts_total", "Requests that took too long.", "kind", known=TIMEOUTS)
        self._in_flight = Gauge(
            "des_retriever_in_flight_requests", "Requests under way.", registry=registry, multiprocess_mode="livesum"
        )
        self._waiting = Gauge(
            "des_retriever_answer_bytes",
            "Answers in memory that clients have not taken yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._file_sizes = BulkHistogram(
            "des_retriever_file_size_bytes", "Sizes of files that were read.", buckets=_BYTES, registry=registry
        )
        self._accesses = counter(
            "auth_requests_total", "Requests by how their credentials were found.", "result", known=ACCESS_RESULTS
        )
        self._reads = counter("retrievals_total", "Reads of entries.", "backend", "status")
        self._read_seconds = seconds("retrieval_seconds", "Duration of successful reads of entries.", "backend")
        self._s3_seconds = seconds("retriever_s3_latency_seconds", "Duration of successful reads of entries from S3.")
        self._hits = counter("retriever_cache_hits_total", "Index blocks that a cache had.")
        self._misses = counter("retriever_cache_misses_total", "Index blocks that no cache had.")
        self._checks = counter("tombstone_checks_total", "Reads by whether the entry was deleted.", "result")
        self._moves = counter("ext_retention_moves_total", "Files that were put under extended retention.")
        self._updates = counter("ext_retention_updates_total", "Extended retentions that were moved on.")
        self._tombstones = counter("tombstones_created_total", "Deletions.", "reason", known=REASONS)

    # Per request.

    def answered(self, method: str, status: int, route: str, seconds: float, sent_bytes: int) -> None:
        """Count an answer."""
        answers = self._answers.get((method, status, route))
        if answers is None:
            answers = self._answers[method, status, route] = _Answers()
        answers.seconds.add(seconds)
        answers.sent_bytes += sent_bytes

    def retrieved(self, outcome: str, seconds: float = 0.0, size: int | None = None) -> None:
        """Count a read of an entry.

        Args:
            outcome: `ok`, `not_found`, `deleted`, `corrupt`, `unavailable`, `invalid` or `error`.
            seconds: How long it took.
            size: Bytes of the entry, if it was read.
        """
        reads = self._retrievals.get(outcome)
        if reads is None:
            reads = self._retrievals[outcome] = _Retrievals()
        reads.count += 1
        if outcome == "ok":
            reads.seconds.add(seconds)
        if size is not None:
            self._sizes.add(size)

    # Now and then.

    def incomplete(self) -> None:
        """Count an answer that ended early."""
        self._incomplete.inc()

    def shed(self, reason: str) -> None:
        """Count a request that was refused, for a reason of `SHED`."""
        self._shed.labels(reason).inc()

    def timed_out(self, kind: str) -> None:
        """Count a request that took too long, of `TIMEOUTS`: to begin, or in between."""
        self._timeouts.labels(kind).inc()

    def accessed(self, result: str) -> None:
        """Count a request at the gate, for a result of `ACCESS_RESULTS`."""
        self._accesses.labels(result).inc()

    def retention_extended(self, *, is_new: bool) -> None:
        """Count a file that was put under extended retention, or whose time was moved on."""
        (self._moves if is_new else self._updates).inc()

    def tombstone_created(self, reason: str) -> None:
        """Count a deletion, for a reason of `REASONS`."""
        self._tombstones.labels(reason).inc()

    def looked_up(self, hits: float, misses: float) -> None:
        """Count index blocks that a cache had, and that none had."""
        self._hits.inc(hits)
        self._misses.inc(misses)

    # Into the metrics.

    def flush(self) -> None:
        """Bring the metrics up to date."""
        for (method, status, route), answers in self._answers.items():
            self._flush_answers(method, status, route, answers)
        for outcome, reads in self._retrievals.items():
            self._flush_retrievals(outcome, reads)
        self._file_sizes.add(self._sizes)
        self._sizes.clear()
        self._in_flight.set(self.in_flight)
        self._waiting.set(self.waiting_bytes)

    def _flush_answers(self, method: str, status: int, route: str, answers: _Answers) -> None:
        count = sum(answers.seconds.counts)
        if not count:
            return
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc(count)
        self._durations.labels(route, f"{status // 100}xx").add(answers.seconds)
        self._sent.inc(answers.sent_bytes)
        if not route.startswith(OPERATIONS):
            totals = self.totals
            totals.requests += count
            totals.errors += count if status >= 500 else 0
            totals.sent_bytes += answers.sent_bytes
            totals.counts = [old + new for old, new in zip(totals.counts, answers.seconds.counts, strict=True)]
        answers.seconds.clear()
        answers.sent_bytes = 0

    def _flush_retrievals(self, outcome: str, reads: _Retrievals) -> None:
        if not reads.count:
            return
        self._reads.labels(self.backend, outcome).inc(reads.count)
        if outcome in ("ok", "deleted"):
            self._checks.labels("tombstoned" if outcome == "deleted" else "active").inc(reads.count)
        if outcome == "ok":
            self._read_seconds.labels(self.backend).add(reads.seconds)
            if self.backend in ("s3", "multi_s3"):
                self._s3_seconds.add(reads.seconds)
        reads.count = 0
        reads.seconds.clear()
