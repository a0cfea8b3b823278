"""Requests of a probe, each sent once, and the removal of what they wrote."""

from __future__ import annotations

import uuid
from contextlib import closing, suppress
from typing import Any

from botocore.exceptions import ClientError
from des_format.errors import DesError

from ..calls import Answer
from ..failures import VENDOR_ERRORS
from ..store import S3ObjectStore
from .judging import Answered, judge_refusal, status_of

__all__ = ["ProbeRequests"]


class ProbeRequests:
    """Sends requests about objects below a prefix of its own.

    Args:
        objects: Where.

    Attributes:
        prefix: Of the keys in the bucket.
    """

    def __init__(self, objects: S3ObjectStore) -> None:
        self._clients = objects._clients
        self.prefix = f"{objects.prefix}des-probe-{uuid.uuid4().hex}/"

    def send(self, operation: str, name: str | None = None, **arguments: Any) -> Answer:
        """Send one request; raises what botocore raises."""
        arguments |= {"Bucket": self._clients.bucket, **self._clients.settings.extras(operation)}
        if name is not None:
            arguments["Key"] = self.prefix + name
        answer: Answer = getattr(self._clients.sync(), operation)(**arguments)
        if operation == "get_object":
            with closing(answer["Body"]) as body:
                answer["Body"] = body.read()
        return answer

    def status(self, operation: str, name: str | None = None, **arguments: Any) -> int:
        """Send one request, and return the status that it was answered with."""
        try:
            answer = self.send(operation, name, **arguments)
        except ClientError as error:
            return status_of(error)
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    def refusal(self, operation: str, name: str | None = None, **arguments: Any) -> Answered:
        """Send a request that has to be refused, and judge."""
        return judge_refusal(self.status(operation, name, **arguments))

    def put(self, name: str, content: bytes, **arguments: Any) -> str:
        """Write an object, and return its ETag."""
        return str(self.send("put_object", name, Body=content, **arguments).get("ETag", ""))

    def read(self, name: str, **arguments: Any) -> bytes:
        """Read an object."""
        body: bytes = self.send("get_object", name, **arguments)["Body"]
        return body

    def names(self, **arguments: Any) -> list[str]:
        """List the objects that are there, below the prefix."""
        rows = self.send("list_objects_v2", Prefix=self.prefix, **arguments).get("Contents", [])
        return [row["Key"].removeprefix(self.prefix) for row in rows]

    def remove(self, *, versions: bool) -> list[str]:
        """Remove what was written, if need be with all its versions; return the keys that could not be removed."""
        with suppress(*VENDOR_ERRORS, DesError):
            if versions:
                page = self.send("list_object_versions", Prefix=self.prefix)
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    self.send("delete_object", one["Key"].removeprefix(self.prefix), VersionId=one["VersionId"])
                return []
        with suppress(*VENDOR_ERRORS, DesError):
            for name in self.names():
                self.send("delete_object", name)
            return [self.prefix + name for name in self.names()]
        return [self.prefix]
