"""Open a bucket by its URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
from botocore.exceptions import ProfileNotFound
from des_format.errors import ConfigurationError
from prometheus_client import CollectorRegistry

from .metrics import S3Metrics
from .store import S3ObjectStore

__all__ = ["open_s3"]

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ConfigurationError(f"{name} is {text!r} in an s3:// URL, expected true or false")
    return _BOOLEANS[text.lower()]


def _text(_name: str, text: str) -> str:
    return text


_PARAMETERS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "endpoint_url": ("endpoint_url", _text),
    "region": ("region_name", _text),
    "engine": ("engine", _text),
    "addressing": ("addressing_style", _text),
    "request_payer": ("request_payer", _boolean),
    "anonymous": ("anonymous", _boolean),
    "if_match_quotes": ("if_match_quotes", _boolean),
    "upload_checksums": ("upload_checksums", _text),
}


def open_s3(url: str, *, registry: CollectorRegistry | None = None) -> S3ObjectStore:
    """Open a bucket, such as `s3://bucket/prefix?endpoint_url=https://s3.example.com&addressing=path`.

    Parameters are `endpoint_url`, `region`, `engine` (`obstore`, `boto`), `addressing` (`auto`, `path`, `virtual`),
    `profile` (of the AWS configuration), `request_payer`, `anonymous` and `if_match_quotes` (`true`, `false`), and
    `upload_checksums` (`auto`, `crc32c`, `none`). Credentials are not among them: URLs end up in logs. Nothing is
    asked of the service.

    Args:
        url: The URL.
        registry: Where the metrics are registered, if anywhere.

    Raises:
        ConfigurationError: The URL is malformed, or has another parameter.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() != "s3" or not parts.netloc or parts.fragment or "@" in parts.netloc:
        # Not shown: who puts a key into a URL should not find it in a log.
        raise ConfigurationError("this is no URL of a bucket; expected s3://BUCKET/PREFIX?PARAMETER=VALUE")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    profile = given.pop("profile", None)
    if unknown := sorted(given.keys() - _PARAMETERS.keys()):
        known = ", ".join(sorted([*_PARAMETERS, "profile"]))
        raise ConfigurationError(f"{', '.join(unknown)}: no parameter of an s3:// URL; known are {known}")
    arguments = {_PARAMETERS[name][0]: _PARAMETERS[name][1](name, text) for name, text in given.items()}
    try:
        session = boto3.Session(profile_name=profile) if profile else None
    except ProfileNotFound as error:
        raise ConfigurationError(f"profile {profile!r} of an s3:// URL: {error}") from error
    return S3ObjectStore(parts.netloc, unquote(parts.path), session=session, metrics=S3Metrics(registry), **arguments)
