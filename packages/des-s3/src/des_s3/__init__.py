"""DES archives and stores on S3-compatible object storage."""

from .metrics import S3Metrics
from .opening import open_s3
from .retries import RetryPolicy
from .store import S3ObjectStore
from .target import S3Target

__all__ = ["RetryPolicy", "S3Metrics", "S3ObjectStore", "S3Target", "open_s3"]
