"""What a store costs on object storage, and what the same entries would cost as objects of their own: estimates."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError
from ...layout import BLOCK_SIZE

if TYPE_CHECKING:
    from ...store import StoreStats

__all__ = ["TARIFFS", "Cost", "Estimate", "Tariff", "estimate", "parse_tariffs"]

GB = 10**9
READS = 1_000_000

_PART_BYTES = 8 << 20
_COMMITS_PER_SEGMENT = 32


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices of a kind of storage, in one currency; a GB is 10^9 bytes.

    Attributes:
        name: What it is called.
        as_of: When these prices were found.
        storage_per_gb_month: For what is stored.
        put_per_1000: For PUT, COPY, POST and LIST requests.
        get_per_1000: For GET requests.
        upload_per_gb: For bytes that are written.
        read_per_gb: For bytes that are read, within the region.
        min_object_bytes: A smaller object is paid for as if it had this size.
    """

    name: str
    as_of: str
    storage_per_gb_month: float
    put_per_1000: float
    get_per_1000: float
    upload_per_gb: float = 0.0
    read_per_gb: float = 0.0
    min_object_bytes: int = 0


TARIFFS = (
    Tariff("S3 Standard", "2025", 0.023, 0.005, 0.0004),
    Tariff("S3 Standard-IA", "2025", 0.0125, 0.01, 0.001, read_per_gb=0.01, min_object_bytes=128 << 10),
    Tariff("S3 Express One Zone", "2025-04", 0.11, 0.00113, 0.00003, upload_per_gb=0.0032, read_per_gb=0.0006),
    Tariff("R2", "2026", 0.015, 0.0045, 0.00036),
)
"""List prices in US dollars: Amazon S3 in us-east-1, Cloudflare R2."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way to keep the entries costs.

    Attributes:
        put_count: Requests that write what is there now.
        writing: Their price, and that of the bytes.
        storage_per_month: The price of keeping it.
        warm_reads: A million random reads of one entry, indexes being cached: one GET each.
        cold_reads: As many by readers that know nothing yet: from a store a manifest, a block of each archive of the
            shard, and the entry.
    """

    put_count: int
    writing: float
    storage_per_month: float
    warm_reads: float
    cold_reads: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Both ways under one tariff."""

    tariff: Tariff
    objects: Cost
    archives: Cost


def estimate(stats: StoreStats, tariff: Tariff) -> Estimate:
    """Estimate from sums: the mean size stands for all sizes, and what was compacted since was not written twice."""
    return Estimate(tariff, _as_objects(stats, tariff), _as_archives(stats, tariff))


def _as_objects(stats: StoreStats, tariff: Tariff) -> Cost:
    size = stats.raw_bytes / max(stats.entries, 1)
    reads = _reads(tariff, 1, size)
    return Cost(
        stats.entries,
        _writing(tariff, stats.entries, stats.raw_bytes),
        _storage(tariff, stats.entries, stats.raw_bytes),
        reads,
        reads,
    )


def _as_archives(stats: StoreStats, tariff: Tariff) -> Cost:
    manifests = stats.commits + stats.commits // _COMMITS_PER_SEGMENT
    put_count = stats.archives * _puts(stats.archive_bytes, stats.archives) + stats.external_count + manifests
    payload_bytes = (stats.stored_bytes + stats.external_bytes) / max(stats.entries, 1)
    manifest_bytes = stats.manifest_bytes / max(stats.shards, 1)
    blocks = max(stats.archives / max(stats.shards, 1), 1)
    return Cost(
        put_count,
        _writing(tariff, put_count, stats.archive_bytes + stats.external_bytes),
        _storage(tariff, stats.archives, stats.archive_bytes)
        + _storage(tariff, stats.external_count, stats.external_bytes)
        + _storage(tariff, stats.shards, stats.manifest_bytes),
        _reads(tariff, 1, payload_bytes),
        _reads(tariff, 2 + blocks, payload_bytes + manifest_bytes + blocks * BLOCK_SIZE),
    )


def _puts(size: int, count: int) -> int:
    """Requests for an archive of the mean size: one, or parts, a beginning and an end."""
    part_count = math.ceil(size / max(count, 1) / _PART_BYTES)
    return 1 if part_count <= 1 else part_count + 2


def _writing(tariff: Tariff, put_count: int, size: int) -> float:
    return put_count / 1000 * tariff.put_per_1000 + size / GB * tariff.upload_per_gb


def _storage(tariff: Tariff, count: int, size: int) -> float:
    return max(size, count * tariff.min_object_bytes) / GB * tariff.storage_per_gb_month


def _reads(tariff: Tariff, get_count: float, size: float) -> float:
    return READS * (get_count / 1000 * tariff.get_per_1000 + size / GB * tariff.read_per_gb)


_FIELDS = {field.name: field for field in dataclasses.fields(Tariff)}
_TEXTS = ("name", "as_of")


def parse_tariffs(text: str) -> Sequence[Tariff]:
    """Return the tariffs of a JSON list of objects with the attributes of `Tariff`.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"the tariffs are no JSON: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise InvalidInputError("the tariffs are no list, or an empty one; expected [{...}, ...]")
    return [_parse(row, number) for number, row in enumerate(rows, 1)]


def _parse(row: Any, number: int) -> Tariff:
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"tariff {number} is {row!r}, expected an object")
    if unknown := sorted(row.keys() - _FIELDS.keys()):
        raise InvalidInputError(f"tariff {number} has {', '.join(unknown)}; known are {', '.join(_FIELDS)}")
    required = [name for name, field in _FIELDS.items() if field.default is dataclasses.MISSING]
    if missing := [name for name in required if name not in row]:
        raise InvalidInputError(f"tariff {number} lacks {', '.join(missing)}")
    for name, value in row.items():
        is_price = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        if not (isinstance(value, str) if name in _TEXTS else is_price):
            raise InvalidInputError(f"tariff {number}: {name} is {value!r}, expected a {_kind(name)}")
    return Tariff(**row)


def _kind(name: str) -> str:
    return "text" if name in _TEXTS else "number from 0"
