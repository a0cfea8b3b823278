"""What the errors of botocore, aiohttp and obstore mean."""

from __future__ import annotations

import re
from typing import Any

from botocore import exceptions as boto
from des_format.errors import (
    AccessDeniedError,
    ConfigurationError,
    DesError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.ports.objects import NotModified, PutMode
from obstore.exceptions import BaseError as ObstoreError

__all__ = ["VENDOR_ERRORS", "RangeOutsideError", "UploadGoneError", "translated"]

VENDOR_ERRORS = (boto.BotoCoreError, boto.ClientError, ObstoreError, OSError)
"""All that a request can raise; `TimeoutError` is an `OSError`. Anything else is a bug, and not caught."""


class RangeOutsideError(DesError):
    """The range begins at the object's end or after it; never leaves this package."""

    code = "range_outside"


class UploadGoneError(UnavailableError):
    """There is no such multipart upload: it was aborted or, where the reply got lost, completed."""


_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.InfiniteLoopConfigError,
)
_SETTINGS = (
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.NoRegionError,
    boto.InvalidRegionError,
    boto.EndpointResolutionError,
    boto.UnknownSignatureVersionError,
)
_MAY_PASS = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_DENIED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestExpired"})
_MISPLACED = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "InvalidBucketName"})
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")


def translated(error: Exception, key: str, mode: PutMode | None = None) -> DesError:
    """Return an error of a request as one of ours, with the original as its `__cause__`.

    Args:
        error: What was raised.
        key: The object's key in the bucket, for the message.
        mode: Of a write; it tells what a failed condition means.
    """
    if isinstance(error, DesError):
        return error
    kind = _kind(error, mode)
    failure = kind(f"object {key!r}: {_text(error)}")
    failure.__cause__ = error
    return failure


def _kind(error: Exception, mode: PutMode | None) -> type[DesError]:
    if isinstance(error, boto.ClientError):
        response: dict[str, Any] = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _of_status(int(status or 0), response.get("Error", {}).get("Code", ""), mode)
    if isinstance(error, _CREDENTIALS):
        return AccessDeniedError
    if isinstance(error, _SETTINGS):
        return ConfigurationError
    if isinstance(error, boto.ParamValidationError):
        return InvalidInputError
    if isinstance(error, ObstoreError | FileNotFoundError):
        return _of_obstore(error)
    return UnavailableError


def _of_obstore(error: Exception) -> type[DesError]:
    text = str(error)
    status = _STATUS.search(text)
    if status is not None:
        code = _CODE.search(text)
        return _of_status(int(status[1]), code[1] if code else "", None)
    if type(error).__name__ in ("UnauthenticatedError", "PermissionDeniedError"):
        return AccessDeniedError
    return RangeOutsideError if "NotPartial" in text else UnavailableError


_BY_STATUS: dict[int, type[DesError]] = {
    301: ConfigurationError,
    304: NotModified,
    307: UnavailableError,
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: ObjectNotFoundError,
    405: UnsupportedOperationError,
    408: UnavailableError,
    409: UnavailableError,
    412: ObjectChangedError,
    416: RangeOutsideError,
    425: UnavailableError,
    429: UnavailableError,
    501: UnsupportedOperationError,
}


def _of_status(status: int, code: str, mode: PutMode | None) -> type[DesError]:
    if code == "NoSuchUpload":
        return UploadGoneError
    if code in _MISPLACED or (code == "NoSuchBucket" and mode is not None):
        return ConfigurationError
    if mode == "create" and status in (409, 412):
        return ObjectExistsError
    if isinstance(mode, dict) and status in (404, 409, 412):
        return ObjectChangedError
    if code in _MAY_PASS:
        return UnavailableError
    if code in _DENIED:
        return AccessDeniedError
    return _BY_STATUS.get(status, InvalidInputError if 400 <= status < 500 else UnavailableError)


def _text(error: Exception) -> str:
    # obstore adds a dump of its own state, of many lines, after an empty one.
    return str(error).partition("\n\n")[0] or type(error).__name__
