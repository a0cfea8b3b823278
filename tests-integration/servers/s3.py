"""What a client has to know about an S3 server, and what its requests are for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.http1 import Head


@dataclass(frozen=True)
class S3Server:
    name: str
    version: str
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that uses this server: its keys, and no other settings of AWS."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return mine | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def client(self, endpoint_url: str | None = None, **config: Any) -> Any:
        """Return a boto3 client that tries once; close it.

        Args:
            endpoint_url: Of a proxy, instead of the server's own.
            config: Further arguments of `botocore.config.Config`.
        """
        import boto3
        from botocore.config import Config

        defaults: dict[str, Any] = {
            "s3": {"addressing_style": "path"},
            "retries": {"total_max_attempts": 1},
            "connect_timeout": 5,
            "read_timeout": 60,
            "max_pool_connections": 32,
            "proxies": {},  # whatever HTTP_PROXY says
        }
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url or self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(**(defaults | config)),
        )


def s3_kind(head: Head) -> str:
    """Name the S3 operation of a path-style request."""
    url = urlsplit(head.target)
    query = parse_qs(url.query, keep_blank_values=True)
    has_key = url.path[1:].partition("/")[2] != ""
    match head.method:
        case "GET" if has_key:
            if "uploadId" in query:
                return "list_parts"
            return "get" if head.get("range") is None else "get_range"
        case "GET":
            return "list_uploads" if "uploads" in query else "list" if url.path.strip("/") else "list_buckets"
        case "HEAD":
            return "head" if has_key else "head_bucket"
        case "PUT" if has_key:
            return _kind_of_put(head, query)
        case "PUT":
            return "create_bucket"
        case "POST":
            known = {"delete": "delete_many", "uploads": "create_upload", "uploadId": "complete_upload"}
            return next((kind for name, kind in known.items() if name in query), "post")
        case "DELETE" if has_key:
            return "abort_upload" if "uploadId" in query else "delete"
        case "DELETE":
            return "delete_bucket"
    return head.method.lower()


def _kind_of_put(head: Head, query: dict[str, list[str]]) -> str:
    is_copy = head.get("x-amz-copy-source") is not None
    if "partNumber" in query:
        return "upload_part_copy" if is_copy else "upload_part"
    if is_copy:
        return "copy"
    if head.get("if-none-match") is not None:
        return "create"
    return "put" if head.get("if-match") is None else "update"
