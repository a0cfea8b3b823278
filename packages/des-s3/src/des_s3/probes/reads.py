"""Questions about reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..probing import Verdict
from .judging import Answered, judge_range
from .requests import ProbeRequests

__all__ = ["CONTENT", "OBJECT", "Reads"]

OBJECT = "object"
CONTENT = b"0123456789"


class Reads:
    """Asks them, of an object `OBJECT` with the content `CONTENT`."""

    def __init__(self, requests: ProbeRequests) -> None:
        self._requests = requests
        self.questions: Mapping[str, Callable[[], Answered]] = {
            "range": lambda: self._range("bytes=3-5", CONTENT[3:6]),
            "suffix": self._suffix,
            "get_if_match": lambda: requests.refusal("get_object", OBJECT, IfMatch=f'"{"0" * 32}"'),
            "get_if_none_match": self._if_none_match,
        }

    def _range(self, header: str, expected: bytes) -> Answered:
        return judge_range(self._requests.read(OBJECT, Range=header), expected, CONTENT)

    def _suffix(self) -> Answered:
        first = self._range("bytes=-4", CONTENT[-4:])
        # An archive may be shorter than what is asked for to open it.
        return first if first[0] is not Verdict.YES else self._range("bytes=-100", CONTENT)

    def _if_none_match(self) -> Answered:
        tag = self._requests.send("head_object", OBJECT).get("ETag", "")
        return self._requests.refusal("get_object", OBJECT, IfNoneMatch=tag)
