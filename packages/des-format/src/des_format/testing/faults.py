"""What goes wrong, and when."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

from ..errors import UnavailableError

__all__ = ["Fault", "Plan", "delay", "fail_after", "fail_before", "lose_reply", "truncate"]

T = TypeVar("T")
Callback = Callable[[str, str], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: What; see the functions that make faults.
        nth: At which of the calls that match, counted from 1; None for each of them.
        operations: Which calls match, such as `put`; None for all.
        keys: Pattern of the keys that match (`fnmatch`); a call with several keys matches by any.
        error: Makes the error that is raised.
        callback: What a delay calls, with operation and key; may be a coroutine function where calls are asynchronous.
        length: Bytes that are left by truncation.
    """

    kind: Literal["before", "after", "lose_reply", "delay", "truncate"]
    nth: int | None = 1
    operations: Collection[str] | None = None
    keys: str = "*"
    error: Callable[[str], Exception] = UnavailableError
    callback: Callback | None = None
    length: int = 0

    def matches(self, operation: str, keys: Sequence[str], *, conditional: bool) -> bool:
        """Whether this fault is about such a call."""
        if self.operations is not None and operation not in self.operations:
            return False
        if self.kind == "lose_reply" and not conditional:
            return False
        return self.keys == "*" or any(fnmatchcase(key, self.keys) for key in keys)


def fail_before(
    nth: int | None = 1,
    operations: Collection[str] | None = None,
    keys: str = "*",
    error: Callable[[str], Exception] = UnavailableError,
) -> Fault:
    """Raise instead of doing it."""
    return Fault("before", nth, operations, keys, error)


def fail_after(
    nth: int | None = 1,
    operations: Collection[str] | None = None,
    keys: str = "*",
    error: Callable[[str], Exception] = UnavailableError,
) -> Fault:
    """Do it, then raise."""
    return Fault("after", nth, operations, keys, error)


def lose_reply(nth: int | None = 1, keys: str = "*") -> Fault:
    """Lose the reply of a conditional write: the transport repeats it, and its own success makes it fail."""
    return Fault("lose_reply", nth, ("put", "assemble"), keys)


def delay(
    callback: Callback, nth: int | None = None, operations: Collection[str] | None = None, keys: str = "*"
) -> Fault:
    """Call back before doing it: to wait, or to let something else happen first."""
    return Fault("delay", nth, operations, keys, callback=callback)


def truncate(length: int, nth: int | None = 1, keys: str = "*") -> Fault:
    """Return only the first `length` bytes of what a get read."""
    return Fault("truncate", nth, ("get",), keys, length=length)


class Plan:
    """Faults by the count of calls; safe to share between threads.

    Attributes:
        calls: How often each operation was called.
    """

    def __init__(self, *faults: Fault) -> None:
        self.calls: Counter[str] = Counter()
        self._faults: list[tuple[Fault, Counter[str]]] = []
        self._lock = threading.Lock()
        self.add(*faults)

    @property
    def call_count(self) -> int:
        """How many calls there were."""
        return self.calls.total()

    def add(self, *faults: Fault) -> None:
        """Add faults, which count from here on."""
        with self._lock:
            self._faults += [(fault, Counter()) for fault in faults]

    def clear(self) -> None:
        """Let everything go well from here on."""
        with self._lock:
            self._faults.clear()

    def meet(self, operation: str, keys: Iterable[str], *, conditional: bool = False) -> list[Fault]:
        """Count a call, and return the faults that it meets."""
        keys = list(keys)
        met = []
        with self._lock:
            self.calls[operation] += 1
            for fault, seen in self._faults:
                if fault.matches(operation, keys, conditional=conditional):
                    seen["calls"] += 1
                    if fault.nth in (None, seen["calls"]):
                        met.append(fault)
        return met


Script = Generator[Callable[[], Any], Any, T]


def script(faults: Sequence[Fault], operation: str, keys: Sequence[str], act: Callable[[], Any]) -> Script[Any]:
    """Yield, in order, what has to be called for one operation that meets these faults; return its result."""
    key = keys[0] if keys else ""
    what = f"{operation} of {key!r}"
    for fault in faults:
        if fault.kind == "delay" and fault.callback is not None:
            callback = fault.callback
            yield lambda callback=callback: callback(operation, key)  # type: ignore[misc]
    kinds = {fault.kind: fault for fault in faults}
    if "before" in kinds:
        raise kinds["before"].error(f"{what} failed, as planned, before it took effect")
    result = yield act
    if "lose_reply" in kinds:
        result = yield act
    if "after" in kinds:
        raise kinds["after"].error(f"{what} failed, as planned, after it took effect")
    return result


def perform(steps: Script[T]) -> T:
    """Run a script whose steps are plain functions."""
    try:
        step = next(steps)
        while True:
            step = steps.send(step())
    except StopIteration as stop:
        result: T = stop.value
        return result


async def perform_async(steps: Script[T]) -> T:
    """Run a script whose steps may be coroutine functions."""
    try:
        step = next(steps)
        while True:
            value = step()
            step = steps.send(await value if inspect.isawaitable(value) else value)
    except StopIteration as stop:
        result: T = stop.value
        return result
