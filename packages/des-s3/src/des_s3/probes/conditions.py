"""Questions about conditional writes, on which commits depend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from ..probing import Verdict
from .judging import MISSING, REFUSALS, Answered, race_is_lost
from .requests import ProbeRequests

__all__ = ["Conditions"]

_RACERS = 8
_ROUNDS = 3
_WRITTEN = [b"%d" % racer for racer in range(_RACERS)]


class Conditions:
    """Asks them; `replace_race` after the two other questions about replacing."""

    def __init__(self, requests: ProbeRequests) -> None:
        self._requests = requests
        self._quotes: bool | None = None
        self.questions: Mapping[str, Callable[[], Answered]] = {
            "create": self._create,
            "create_race": lambda: self._race(lambda number: (f"created-{number}", {"IfNoneMatch": "*"})),
            "replace_quoted": lambda: self._replace("quoted", lambda tag: f'"{tag}"'),
            "replace_bare": lambda: self._replace("bare", lambda tag: tag),
            "replace_race": self._replace_race,
        }

    def _create(self) -> Answered:
        self._requests.put("create", b"1", IfNoneMatch="*")
        return self._requests.refusal("put_object", "create", Body=b"2", IfNoneMatch="*")

    def _replace(self, name: str, dress: Callable[[str], str]) -> Answered:
        tag = self._requests.put(name, b"1").strip('"')
        if not tag:
            return Verdict.NO, "objects have no ETag"
        status = self._requests.status("put_object", name, Body=b"2", IfMatch=dress(tag))
        if status >= 300:
            return (Verdict.NO if status in REFUSALS | MISSING else Verdict.UNKNOWN), f"{status} for the right tag"
        answered = self._requests.refusal("put_object", name, Body=b"3", IfMatch=dress(tag))
        if answered[0] is Verdict.YES and self._quotes is None:
            self._quotes = name == "quoted"
        return answered

    def _replace_race(self) -> Answered:
        if self._quotes is None:
            return Verdict.NO, "no form of If-Match works"

        def prepare(number: int) -> tuple[str, dict[str, str]]:
            tag = self._requests.put(f"replaced-{number}", b"first").strip('"')
            return f"replaced-{number}", {"IfMatch": f'"{tag}"' if self._quotes else tag}

        return self._race(prepare)

    def _race(self, prepare: Callable[[int], tuple[str, dict[str, str]]]) -> Answered:
        """Let many write one object on the same condition, some times, and see that one of them wins."""
        refused: set[int] = set()
        with ThreadPoolExecutor(_RACERS) as threads:
            for number in range(_ROUNDS):
                name, condition = prepare(number)
                start = Barrier(_RACERS)

                def write(content: bytes, name: str = name, condition: Any = condition, start: Barrier = start) -> int:
                    start.wait()
                    return self._requests.status("put_object", name, Body=content, **condition)

                statuses = list(threads.map(write, _WRITTEN))
                if set(statuses) <= MISSING:
                    return Verdict.NO, str(statuses[0])
                if (why := race_is_lost(statuses, _WRITTEN, self._requests.read(name))) is not None:
                    return Verdict.NO, why
                refused |= {status for status in statuses if status >= 300}
        answers = ", ".join(map(str, sorted(refused)))
        return Verdict.YES, f"{_ROUNDS} rounds; others were answered {answers}"
