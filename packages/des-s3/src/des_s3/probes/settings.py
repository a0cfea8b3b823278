"""Questions about the settings of a bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from botocore.exceptions import ClientError

from ..probing import Verdict
from .judging import MISSING, Answered, status_of
from .requests import ProbeRequests

__all__ = ["BucketSettings"]


class BucketSettings:
    """Asks them.

    Attributes:
        is_versioned: Whether what is deleted may stay, as a version; known after the question `versioning`.
    """

    def __init__(self, requests: ProbeRequests) -> None:
        self._requests = requests
        self.is_versioned = False
        self.questions: Mapping[str, Callable[[], Answered]] = {
            "versioning": self._versioning,
            "object_lock": self._object_lock,
        }

    def _versioning(self) -> Answered:
        state = self._requests.send("get_bucket_versioning").get("Status", "never on")
        self.is_versioned = state != "never on"
        return (Verdict.YES if state == "Enabled" else Verdict.NO), state.lower()

    def _object_lock(self) -> Answered:
        try:
            answer = self._requests.send("get_object_lock_configuration")
        except ClientError as error:
            if status_of(error) in {400, 404, *MISSING}:
                return Verdict.NO, error.response["Error"]["Code"]
            raise
        settings = answer.get("ObjectLockConfiguration", {})
        return (Verdict.YES if settings.get("ObjectLockEnabled") == "Enabled" else Verdict.NO), ""
