"""Zones from a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import boto3
from des_format.errors import ConfigurationError
from prometheus_client import CollectorRegistry

from .metrics import S3Metrics
from .replicas import Replica
from .store import S3ObjectStore
from .zones import Zone, ZonedObjectStore

__all__ = ["load_zones", "open_zones"]

_S3 = {"bucket", "prefix", "region_name", "endpoint_url", "addressing_style", "engine", "request_payer", "anonymous"}


def open_zones(url: str, *, registry: CollectorRegistry | None = None) -> ZonedObjectStore:
    """Open zones by the URL of their file, such as `zones:///etc/des/zones.json`.

    Args:
        url: The URL.
        registry: Where the metrics of all zones are registered, if anywhere.

    Raises:
        ConfigurationError: The URL or the file is malformed.
    """
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise ConfigurationError(f"{url} is no file of zones: expected zones:///absolute/path")
    return load_zones(url2pathname(parts.path), metrics=S3Metrics(registry))


def load_zones(
    path: str | os.PathLike[str], *, session: boto3.Session | None = None, metrics: S3Metrics | None = None, **s3: Any
) -> ZonedObjectStore:
    """Open the zones of a file, as the published systems have them: JSON, or YAML (extra `zones`).

    Args:
        path: The file: `n_bits`, and `zones` with `name`, `range` (`start` and `end`, the last shard) and `s3`
            (`bucket`; optional `prefix`, `region_name`, `endpoint_url` and others of `S3ObjectStore`). A zone may have
            `replicas`, a list of `name` and `s3`; then the file may say `writes`: `all` (by default) or `quorum`.
        session: As for `S3ObjectStore`, for all zones.
        metrics: As for `S3ObjectStore`, for all zones.
        s3: Other arguments of `S3ObjectStore`, for all zones; the file overrides them.

    Raises:
        ConfigurationError: The file cannot be read, or does not say what it should.
    """
    path = Path(path)
    document = _mapping(_parse(path), str(path), {"n_bits", "zones"}, {"writes"})
    zones = document["zones"]
    if not isinstance(zones, list):
        raise ConfigurationError(f"{path}: zones is {zones!r}, expected a list")
    shared = {"session": session or boto3.Session(), "metrics": metrics or S3Metrics(), **s3}
    found = [_zone(zone, f"{path}: zone {number}", shared) for number, zone in enumerate(zones, 1)]
    writes = document.get("writes", "all")
    if writes not in ("all", "quorum"):
        raise ConfigurationError(f"{path}: writes is {writes!r}, expected 'all' or 'quorum'")
    return ZonedObjectStore(found, _number(document["n_bits"], f"{path}: n_bits"), writes=writes)


def _zone(zone: Any, where: str, shared: Mapping[str, Any]) -> Zone:
    zone = _mapping(zone, where, {"name", "range", "s3"}, {"replicas"})
    shards = _mapping(zone["range"], f"{where}: range", {"start", "end"})
    start, end = (_number(shards[name], f"{where}: {name}") for name in ("start", "end"))
    replicas = zone.get("replicas", [])
    if not isinstance(replicas, list):
        raise ConfigurationError(f"{where}: replicas is {replicas!r}, expected a list")
    copies = [_replica(replica, f"{where}: replica {number}", shared) for number, replica in enumerate(replicas, 1)]
    return Zone(str(zone["name"]), start, end, _place(zone["s3"], where, shared), tuple(copies))


def _replica(replica: Any, where: str, shared: Mapping[str, Any]) -> Replica:
    replica = _mapping(replica, where, {"name", "s3"})
    return Replica(str(replica["name"]), _place(replica["s3"], where, shared))


def _place(s3: Any, where: str, shared: Mapping[str, Any]) -> S3ObjectStore:
    s3 = _mapping(s3, f"{where}: s3", {"bucket"}, _S3)
    given = {name: value for name, value in s3.items() if value is not None}
    return S3ObjectStore(**{**shared, **given})


def _mapping(value: Any, where: str, required: set[str], optional: set[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is {value!r}, expected a mapping")
    if missing := sorted(required - value.keys()):
        raise ConfigurationError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(map(str, value.keys() - required - (optional or set()))):
        raise ConfigurationError(f"{where} has {', '.join(unknown)}, which means nothing here")
    return value


def _number(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{where} is {value!r}, expected a whole number")
    return value


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            return json.loads(text)
        import yaml
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ImportError as error:
        raise ConfigurationError(f"{path} is YAML: pip install 'des-s3[zones]', or write it as .json") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {error}") from error
