"""What errors of the libraries mean."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
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
from des_format.ports.objects import NotModified
from des_s3.failures import RangeOutsideError, UploadGoneError, translated
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

VERSION: Any = {"e_tag": '"x"'}


def _answer(status: int, code: str) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")


@pytest.mark.parametrize(
    ("status", "code", "mode", "kind"),
    [
        (304, "304", None, NotModified),
        (404, "NoSuchKey", None, ObjectNotFoundError),
        (404, "NoSuchBucket", None, ObjectNotFoundError),
        (404, "NoSuchBucket", "create", ConfigurationError),
        (404, "NoSuchKey", VERSION, ObjectChangedError),
        (404, "NoSuchUpload", "create", UploadGoneError),
        (412, "PreconditionFailed", None, ObjectChangedError),
        (412, "PreconditionFailed", "create", ObjectExistsError),
        (412, "PreconditionFailed", VERSION, ObjectChangedError),
        (409, "ConditionalRequestConflict", "create", ObjectExistsError),
        (409, "ConditionalRequestConflict", VERSION, ObjectChangedError),
        (409, "OperationAborted", "overwrite", UnavailableError),
        (403, "AccessDenied", None, AccessDeniedError),
        (403, "SignatureDoesNotMatch", "create", AccessDeniedError),
        (401, "Unauthorized", None, AccessDeniedError),
        (400, "ExpiredToken", None, AccessDeniedError),
        (400, "RequestTimeout", None, UnavailableError),
        (400, "BadDigest", "create", UnavailableError),
        (400, "AuthorizationHeaderMalformed", None, ConfigurationError),
        (301, "PermanentRedirect", None, ConfigurationError),
        (400, "EntityTooLarge", "create", InvalidInputError),
        (416, "InvalidRange", None, RangeOutsideError),
        (405, "MethodNotAllowed", None, UnsupportedOperationError),
        (501, "NotImplemented", "create", UnsupportedOperationError),
        (429, "TooManyRequests", None, UnavailableError),
        (500, "InternalError", "create", UnavailableError),
        (503, "SlowDown", None, UnavailableError),
        (0, "", None, UnavailableError),
    ],
)
def test_an_answer_means(status: int, code: str, mode: Any, kind: type[DesError]) -> None:
    error = _answer(status, code)
    failure = translated(error, "key", mode)
    assert type(failure) is kind
    assert failure.__cause__ is error
    assert "'key'" in str(failure)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.NoCredentialsError(), AccessDeniedError),
        (boto.CredentialRetrievalError(provider="x", error_msg="y"), AccessDeniedError),
        (boto.NoRegionError(), ConfigurationError),
        (boto.ProfileNotFound(profile="x"), ConfigurationError),
        (boto.ParamValidationError(report="x"), InvalidInputError),
        (boto.ReadTimeoutError(endpoint_url="x"), UnavailableError),
        (boto.ResponseStreamingError(error="x"), UnavailableError),
        (aiohttp.ClientPayloadError(), UnavailableError),
        (TimeoutError(), UnavailableError),
        (ConnectionResetError(), UnavailableError),
        (UnauthenticatedError("x"), AccessDeniedError),
        (PermissionDeniedError("x"), AccessDeniedError),
        (GenericError("Server returned non-2xx status code: 503: <Code>SlowDown</Code>"), UnavailableError),
        (GenericError("error sending request"), UnavailableError),
        (GenericError("x\n\nDebug source: NotPartial"), RangeOutsideError),
        (FileNotFoundError("x: status code: 404"), ObjectNotFoundError),
    ],
)
def test_an_error_means(error: Exception, kind: type[DesError]) -> None:
    failure = translated(error, "key")
    assert type(failure) is kind
    assert "Debug source" not in str(failure)


def test_an_error_of_ours_stays_what_it_is() -> None:
    failure = ObjectChangedError("x")
    assert translated(failure, "key") is failure
