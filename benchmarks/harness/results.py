"""Medians over the rounds of a run, and the targets that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from .systems import SYSTEMS

__all__ = ["TARGETS", "Figures", "Target"]

MIB = 2**20


class Figures:
    """What was measured, by dataset, system and metric."""

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}
        self.left_out: dict[str, str] = {}
        for record in records:
            reason = record.get("missing") or record.get("failed")
            if reason:
                self.left_out[record["system"]] = reason
            for metric, value in record.items():
                if isinstance(value, float | int) and metric != "round":
                    self._values.setdefault((record["dataset"], record["system"], metric), []).append(value)

    def get(self, dataset: str, system: str, metric: str) -> float | None:
        """The median over the rounds, or None."""
        values = self._values.get((dataset, system, metric))
        return median(values) if values else None

    def spread(self, dataset: str, system: str, metric: str) -> float:
        """Largest minus smallest value, as a part of the median."""
        values = self._values.get((dataset, system, metric), [0.0])
        return (max(values) - min(values)) / median(values) if median(values) else 0.0

    def noise(self) -> float:
        """Median part of the machine that others used during writes."""
        values = [value for (_, _, metric), found in self._values.items() if metric == "noise" for value in found]
        return median(values) if values else 0.0

    def ratio(self, dataset: str, metric: str, system: str, *others: str) -> float | None:
        """A system's rate divided by the best one of others: the median of the ratios of each round."""
        own = self._values.get((dataset, system, metric), [])
        rivals = [values for other in others if (values := self._values.get((dataset, other, metric)))]
        if not own or not rivals:
            return None
        best = max(rivals, key=median)
        return median(mine / theirs for mine, theirs in zip(own, best, strict=False))

    def speed_ratio(self, dataset: str, metric: str, system: str, *others: str) -> float | None:
        """As `ratio`, for times: how many times as fast as the fastest of the others."""
        own = self._values.get((dataset, system, metric), [])
        rivals = [values for other in others if (values := self._values.get((dataset, other, metric)))]
        if not own or not rivals:
            return None
        best = min(rivals, key=median)
        return median(theirs / mine for mine, theirs in zip(own, best, strict=False))


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach.

    Attributes:
        text: What is measured, with the goal left out.
        goal: The figure to reach.
        form: How a figure is written.
        measured: Takes it from the results.
        at_most: Whether the goal is an upper limit.
    """

    text: str
    goal: float
    form: str
    measured: Callable[[Figures], float | None]
    at_most: bool = False

    def is_reached(self, value: float) -> bool:
        return value <= self.goal if self.at_most else value >= self.goal


ARCHIVES = [name for name, system in SYSTEMS.items() if system.kind == "peer"]
PUBLISHED = ["Datavision", "DesCore"]


def _ratio(text: str, goal: float, dataset: str, metric: str, system: str, *others: str) -> Target:
    return Target(text, goal, "{:.2f} x", lambda figures: figures.ratio(dataset, metric, system, *others))


def _speed(text: str, goal: float, dataset: str, metric: str, system: str, *others: str) -> Target:
    return Target(text, goal, "{:.2f} x", lambda figures: figures.speed_ratio(dataset, metric, system, *others))


def _limit(text: str, goal: float, form: str, dataset: str, system: str, metric: str, unit: float = 1) -> Target:
    def measured(figures: Figures) -> float | None:
        value = figures.get(dataset, system, metric)
        return None if value is None else value / unit

    return Target(text, goal, form, measured, at_most=True)


def _stored_ratio(figures: Figures) -> float | None:
    stored = figures.get("D2", "DesDictionary", "stored_bytes")
    plain = figures.get("D2", "DesDictionary", "zstd_bytes")
    return stored / plain if stored and plain else None


def _scan_ratio(dataset: str) -> Target:
    def measured(figures: Figures) -> float | None:
        scan, cat = (figures.get(dataset, "Des", f"{what}_bytes_per_second") for what in ("scan", "cat"))
        return scan / cat if scan and cat else None

    return Target(f"{dataset}: sequential scan, verified, against `cat` to /dev/null", 0.5, "{:.2f} x", measured)


TARGETS = [
    target
    for dataset in ("D1", "D2", "D3")
    for target in (
        _ratio(f"{dataset}: random get, verified, against LMDB", 0.7, dataset, "gets_per_second", "Des", "Lmdb"),
        _ratio(
            f"{dataset}: random get, `verify=False`, against LMDB",
            0.9, dataset, "gets_per_second", "DesUnverified", "Lmdb",
        ),
        _ratio(
            f"{dataset}: random get, verified, against the fastest archive",
            1.0, dataset, "gets_per_second", "Des", *ARCHIVES,
        ),
        _ratio(f"{dataset}: `get_files_batch` of 1,000 against LMDB", 0.9, dataset, "batch_per_second", "Des", "Lmdb"),
    )
] + [
    _limit("open + first get at 1,000,000 entries", 2, "{:.2f} ms", "D2", "Des", "open_seconds", 1e-3),
    _limit("extra memory for it", 16, "{:.1f} MiB", "D2", "Des", "open_extra_bytes", MIB),
    _speed("D1: write, durable, against the faster published DES", 1.2, "D1", "write_seconds", "Des", *PUBLISHED),
    _speed("D1: write, durable, against ArrayRecord", 0.8, "D1", "write_seconds", "Des", "ArrayRecord"),
    _speed(
        "D1: write balanced, durable, against ArrayRecord with zstd",
        1.5, "D1", "write_seconds", "DesBalanced", "ArrayRecordZstd",
    ),
    _limit("writer's extra memory at 1,000,000 entries", 250, "{:.0f} MiB", "D2", "Des", "write_extra_bytes", MIB),
    _limit(
        "the same with compression and dictionary", 250, "{:.0f} MiB", "D2", "DesDictionary", "write_extra_bytes", MIB
    ),
    Target(
        "D2: stored payload, balanced + dictionary, against zstd 3 for each entry",
        0.6, "{:.3f} x", _stored_ratio, at_most=True,
    ),
    _limit("D2: format overhead an entry, its name of 30 bytes included", 100, "{:.1f} bytes", "D2", "Des",
           "overhead_bytes"),
    *map(_scan_ratio, ("D3", "D1", "D2")),
]  # fmt: skip
