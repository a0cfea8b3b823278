"""What the package offers, and that importing it does nothing."""

from __future__ import annotations

import subprocess
import sys

import des_s3
import pytest
from des_format.errors import ConfigurationError
from des_format.ports.objects import AsyncObjectStore, ObjectStore
from des_format.ports.opening import open_object_store
from des_format.ranges import AsyncRangeSource, RangeSource
from des_s3 import AsyncS3RangeSource, RetryPolicy, S3ObjectStore, S3RangeSource, ZonedObjectStore


def test_every_public_name_exists_and_is_documented() -> None:
    assert des_s3.__all__ == sorted(des_s3.__all__)
    for name in des_s3.__all__:
        assert getattr(des_s3, name).__doc__


def test_an_import_registers_no_metric_and_leaves_asynchronous_clients_alone() -> None:
    program = (
        "import sys, prometheus_client as p; before = list(p.REGISTRY.collect()); import des_s3;"
        "assert len(list(p.REGISTRY.collect())) == len(before);"
        "assert not {'aiobotocore', 'aiohttp', 'yaml'} & sys.modules.keys(), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def _fits(
    store: S3ObjectStore, zoned: ZonedObjectStore, source: S3RangeSource, async_source: AsyncS3RangeSource
) -> tuple[list[ObjectStore], list[AsyncObjectStore], RangeSource, AsyncRangeSource]:
    """Adapters fit their ports, or this does not pass the type checker."""
    return [store, zoned], [store, zoned], source, async_source


@pytest.mark.parametrize(("scheme", "message"), [("s3", "acl: no parameter"), ("zones", "is no file of zones")])
def test_schemes_are_found_by_their_entry_points(scheme: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_object_store(f"{scheme}://host?acl=y")


@pytest.mark.parametrize(
    "arguments", [{"attempts": 0}, {"deadline_seconds": 0}, {"first_wait_seconds": -1}, {"max_wait_seconds": 0}]
)
def test_a_policy_that_cannot_work_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**arguments)
