"""Figures of the last minute for the console, of all workers together.

Each worker writes its own into a folder that they share, once a second; whoever is asked adds them up.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from .counting import FINE_SECONDS, quantile
from .metrics import RetrieverMetrics

__all__ = ["LiveFigures"]

_WINDOW = 60
_FRESH_SECONDS = 5


class _Snapshot(NamedTuple):
    """Totals at a time."""

    at: float
    requests: int
    errors: int
    sent_bytes: int
    hits: float
    misses: float
    counts: list[int]


class LiveFigures:
    """What happened in the last minute.

    Args:
        metrics: Of this process.
        adapters: Where caches have registered theirs.
        shared: The folder; None for a single process.
    """

    def __init__(self, metrics: RetrieverMetrics, adapters: CollectorRegistry, shared: Path | None = None) -> None:
        self._metrics = metrics
        self._adapters = adapters
        self._file = None if shared is None else shared / f"live-{os.getpid()}.json"
        self._began_at = time.time()
        self._seen: deque[_Snapshot] = deque(maxlen=_WINDOW + 1)
        self._seen.append(self._snapshot())

    def tick(self) -> None:
        """Note how things stand; once a second."""
        self._metrics.flush()
        self._seen.append(self._snapshot())
        hits, misses = (self._seen[-1].hits - self._seen[-2].hits, self._seen[-1].misses - self._seen[-2].misses)
        self._metrics.looked_up(max(0.0, hits), max(0.0, misses))
        if self._file is not None:
            # In one piece, so that no other worker reads half of it.
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._own()))
            new.replace(self._file)

    def close(self) -> None:
        """Note how things stood at the end; nothing is shared any more."""
        self.tick()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def figures(self) -> dict[str, Any]:
        """Return the figures; None where nothing was counted."""
        workers = [self._own(), *self._others()]
        total = {name: sum(one[name] for one in workers) for name in ("in_flight", "hits", "misses", "errors")}
        requests = sum(one["requests"] for one in workers)
        counts = [sum(column) for column in zip(*(one["counts"] for one in workers), strict=True)]
        lookups = total["hits"] + total["misses"]
        return {
            "window_seconds": _WINDOW,
            "workers": len(workers),
            "uptime_seconds": round(time.time() - min(one["began_at"] for one in workers), 1),
            "in_flight": total["in_flight"],
            "requests_per_second": round(sum(one["requests"] / one["seconds"] for one in workers), 3),
            "bytes_per_second": round(sum(one["sent_bytes"] / one["seconds"] for one in workers), 1),
            "error_rate": total["errors"] / requests if requests else None,
            "cache_hit_rate": total["hits"] / lookups if lookups else None,
            **{
                f"latency_p{percent}_seconds": quantile(FINE_SECONDS, counts, percent / 100) for percent in (50, 90, 99)
            },
        }

    def _own(self) -> dict[str, Any]:
        first, last = self._seen[0], self._seen[-1]
        return {
            "at": time.time(),
            "began_at": self._began_at,
            "in_flight": self._metrics.in_flight,
            "seconds": max(1.0, last.at - first.at),
            "requests": last.requests - first.requests,
            "errors": last.errors - first.errors,
            "sent_bytes": last.sent_bytes - first.sent_bytes,
            "hits": last.hits - first.hits,
            "misses": last.misses - first.misses,
            "counts": [new - old for old, new in zip(first.counts, last.counts, strict=True)],
        }

    def _others(self) -> list[dict[str, Any]]:
        if self._file is None:
            return []
        found = []
        for path in self._file.parent.glob("live-*.json"):
            try:
                told = json.loads(path.read_bytes()) if path != self._file else {"at": 0.0}
            except FileNotFoundError:
                continue  # Its worker has ended.
            if time.time() - told["at"] < _FRESH_SECONDS:
                found.append(told)
        return found

    def _snapshot(self) -> _Snapshot:
        totals = self._metrics.totals
        hits, misses = _lookups(self._adapters)
        return _Snapshot(
            time.monotonic(), totals.requests, totals.errors, totals.sent_bytes, hits, misses, list(totals.counts)
        )


def _lookups(adapters: CollectorRegistry) -> tuple[float, float]:
    """What any tier of the caches had, and what none had: tiers are asked in turn, so the last one misses least."""
    values: dict[str, list[float]] = {"des_cache_hits_total": [], "des_cache_misses_total": []}
    for metric in adapters.collect():
        for sample in metric.samples:
            if sample.name in values:
                values[sample.name].append(sample.value)
    return sum(values["des_cache_hits_total"]), min(values["des_cache_misses_total"], default=0.0)
