"""Object lock: objects that nobody can delete until some time."""

from __future__ import annotations

from datetime import datetime

from botocore.exceptions import ClientError
from des_format.errors import InvalidInputError, ObjectNotFoundError, UnsupportedOperationError

from .calls import Call, Calls

__all__ = ["retain", "retained_until"]

_MODE = "GOVERNANCE"
_NONE = frozenset({"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"})


def retain(key: str, until: datetime) -> Calls[None]:
    """Lock the current version of an object, in governance mode.

    Raises:
        ObjectNotFoundError: There is no such object.
        UnsupportedOperationError: The bucket, or the service, has no object lock.
        AccessDeniedError: It is locked for longer, or these credentials may not lock.
    """
    try:
        yield Call("put_object_retention", key, {"Retention": {"Mode": _MODE, "RetainUntilDate": until}})
    except InvalidInputError as error:
        raise UnsupportedOperationError(f"object {key!r} cannot be locked: {error}") from error


def retained_until(key: str) -> Calls[datetime | None]:
    """Return until when the current version of an object is locked; None for one that is not.

    Raises:
        ObjectNotFoundError: There is no such object.
        UnsupportedOperationError: The service has no object lock.
    """
    try:
        answer = yield Call("get_object_retention", key, {})
    except InvalidInputError:
        return None  # A bucket without object lock.
    except ObjectNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and cause.response.get("Error", {}).get("Code") in _NONE:
            return None
        raise
    until: datetime | None = answer.get("Retention", {}).get("RetainUntilDate")
    return until
