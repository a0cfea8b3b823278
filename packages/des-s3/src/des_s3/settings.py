"""How S3 is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore import UNSIGNED
from botocore.config import Config
from des_format.errors import ConfigurationError

from .checksums import UploadChecksums, check_upload_checksums
from .parallel import MAX_PARALLEL
from .retries import RetryPolicy

__all__ = ["AddressingStyle", "S3Settings"]

AddressingStyle = Literal["auto", "path", "virtual"]

_CUSTOMER = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
_SERVER = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled")
_MAKES_OBJECT = frozenset({"put_object", "create_multipart_upload", "copy_object"})
_COPIES = frozenset({"copy_object", "upload_part_copy"})
_TAKES_KEY = _MAKES_OBJECT | _COPIES | {"get_object", "head_object", "upload_part", "complete_multipart_upload"}


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How S3 is reached; what is None comes from boto3's own chain of environment, profile and instance.

    Attributes:
        endpoint_url: Of a service other than AWS.
        region_name: The region.
        addressing_style: Where the bucket's name goes; `auto` is the path for an `endpoint_url`, else the host.
        request_payer: Pay for requests to a requester-pays bucket.
        anonymous: Do not sign requests.
        sse: Server-side encryption, as parameters of boto3: `ServerSideEncryption`, `SSEKMSKeyId`,
            `SSEKMSEncryptionContext`, `BucketKeyEnabled`, or `SSECustomerAlgorithm` and `SSECustomerKey`.
        upload_checksums: Whether uploads carry their CRC32C beside Content-MD5: `crc32c`, `none`, or `auto`, which is
            `crc32c` for the servers of AWS only.
        retries: How long a failed request is tried again.
        connect_timeout_seconds: For a connection.
        read_timeout_seconds: For the next bytes of an answer.
    """

    endpoint_url: str | None = None
    region_name: str | None = None
    addressing_style: AddressingStyle = "auto"
    request_payer: bool = False
    anonymous: bool = False
    sse: Mapping[str, Any] = field(default_factory=dict, repr=False)
    upload_checksums: UploadChecksums = "auto"
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.addressing_style not in ("auto", "path", "virtual"):
            raise ConfigurationError(
                f"addressing_style is {self.addressing_style!r}, expected 'auto', 'path' or 'virtual'"
            )
        check_upload_checksums(self.upload_checksums)
        if unknown := sorted(set(self.sse) - {*_CUSTOMER, *_SERVER}):
            raise ConfigurationError(f"sse has {', '.join(unknown)}, expected some of {', '.join(_SERVER + _CUSTOMER)}")

    def config(self) -> dict[str, Any]:
        """Return the arguments of a botocore `Config`: requests are sent once, what repeats them is above."""
        arguments: dict[str, Any] = {
            "s3": {"addressing_style": self.addressing_style},
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "connect_timeout": self.connect_timeout_seconds,
            "read_timeout": self.read_timeout_seconds,
            "max_pool_connections": MAX_PARALLEL,
            # Checksums of S3's own: foreign services send that of the whole object with a range, or refuse trailers.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        # Presigned URLs, which tell how the bucket is addressed, would have an old signature for a custom endpoint.
        arguments["signature_version"] = UNSIGNED if self.anonymous else "s3v4"
        return arguments

    def boto_config(self) -> Config:
        """Return the configuration of a boto3 client."""
        return Config(**self.config())

    def extras(self, operation: str) -> dict[str, Any]:
        """Return the parameters that every call of an operation has."""
        extras: dict[str, Any] = {"RequestPayer": "requester"} if self.request_payer else {}
        for name in _CUSTOMER:
            if name in self.sse and operation in _TAKES_KEY:
                extras[name] = self.sse[name]
                if operation in _COPIES:
                    extras[f"CopySource{name}"] = self.sse[name]
        if operation in _MAKES_OBJECT:
            extras |= {name: self.sse[name] for name in _SERVER if name in self.sse}
        return extras
