"""Errors of any store become errors of ours, and stores of obstore are object stores as they are."""

from __future__ import annotations

from pathlib import Path

import obstore.exceptions as theirs
import pytest
from des_format.errors import (
    AccessDeniedError,
    DesError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports.objects import AsyncObjectStore, NotModified, ObjectStore, translate
from des_format.testing import FaultyObjectStore, MeteredObjectStore
from obstore.store import LocalStore, MemoryStore, S3Store


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (theirs.AlreadyExistsError("x"), ObjectExistsError),
        (theirs.PreconditionError("x"), ObjectChangedError),
        (theirs.NotModifiedError("x"), NotModified),
        (theirs.PermissionDeniedError("x"), AccessDeniedError),
        (theirs.UnauthenticatedError("x"), AccessDeniedError),
        (theirs.NotSupportedError("x"), UnsupportedOperationError),
        (theirs.InvalidPathError("x"), InvalidInputError),
        (theirs.GenericError("x"), UnavailableError),
        (FileNotFoundError("x"), ObjectNotFoundError),
        (PermissionError("x"), AccessDeniedError),
        (NotImplementedError("x"), UnsupportedOperationError),
        (TimeoutError("x"), UnavailableError),
        (RuntimeError("x"), UnavailableError),
    ],
)
def test_errors_are_told_by_their_names(error: Exception, kind: type[DesError]) -> None:
    found = translate(error, "some/key")
    assert type(found) is kind
    assert found.__cause__ is error
    assert "some/key" in str(found)


def test_a_subclass_is_told_by_its_base() -> None:
    class Vanished(FileNotFoundError):
        pass

    assert type(translate(Vanished("x"), "key")) is ObjectNotFoundError


def test_errors_of_ours_stay_as_they_are() -> None:
    error = UnavailableError("x")
    assert translate(error, "key") is error
    assert error.__cause__ is None


def accept(_store: ObjectStore, _same: AsyncObjectStore) -> None:
    """Type-checks for stores of both ports only."""


def test_adapters_have_the_shape_of_the_ports(tmp_path: Path) -> None:
    memory, local = MemoryObjectStore(), LocalObjectStore(tmp_path)
    accept(memory, memory)
    accept(local, local)
    faulty, metered = FaultyObjectStore(memory), MeteredObjectStore(memory)
    accept(faulty, faulty)
    accept(metered, metered)


def test_stores_of_obstore_have_the_shape_of_the_ports() -> None:
    memory, local, s3 = MemoryStore(), LocalStore(), S3Store("bucket", skip_signature=True, region="x")
    accept(memory, memory)
    accept(local, local)
    accept(s3, s3)
