"""DES archives and stores on S3-compatible object storage."""

from .files import S3FileReader
from .metrics import S3Metrics
from .opening import open_s3
from .reader import AsyncS3DesReader, S3DesReader
from .replicas import Replica, ReplicatedObjectStore
from .retries import RetryPolicy
from .source import AsyncS3RangeSource, S3RangeSource
from .store import S3ObjectStore
from .syncing import SyncFinding, SyncReport, sync_zones
from .target import S3Target
from .zones import Zone, ZonedObjectStore
from .zonesfile import load_zones, open_zones

__all__ = [
    "AsyncS3DesReader",
    "AsyncS3RangeSource",
    "Replica",
    "ReplicatedObjectStore",
    "RetryPolicy",
    "S3DesReader",
    "S3FileReader",
    "S3Metrics",
    "S3ObjectStore",
    "S3RangeSource",
    "S3Target",
    "SyncFinding",
    "SyncReport",
    "Zone",
    "ZonedObjectStore",
    "load_zones",
    "open_s3",
    "open_zones",
    "sync_zones",
]
