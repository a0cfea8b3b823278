"""CRC32C of what is uploaded, which S3 verifies and keeps; and where it is sent.

Foreign services differ: Backblaze refuses the header, Google's ignores it, Ceph 16 and moto take it and do not look.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Literal
from urllib.parse import urlsplit

import google_crc32c
from des_format.errors import ConfigurationError

__all__ = ["UploadChecksums", "check_upload_checksums", "crc32c", "is_sent"]

UploadChecksums = Literal["auto", "crc32c", "none"]

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")


def crc32c(data: bytes) -> str:
    """Return the checksum as S3 takes it."""
    return b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def is_sent(setting: UploadChecksums, endpoint_url: str) -> bool:
    """Whether uploads to an endpoint carry the checksum; `auto` is for the servers of AWS, if it costs next to nothing.

    Without its C extension, which is missing on rare platforms, a checksum takes longer than the upload.
    """
    if setting == "auto":
        host = urlsplit(endpoint_url).hostname or ""
        return google_crc32c.implementation == "c" and host.endswith(_AMAZON)
    return setting == "crc32c"


def check_upload_checksums(setting: str) -> None:
    """Refuse what is none of the settings.

    Raises:
        ConfigurationError: It is none.
    """
    if setting not in ("auto", "crc32c", "none"):
        raise ConfigurationError(f"upload_checksums is {setting!r}, expected 'auto', 'crc32c' or 'none'")
