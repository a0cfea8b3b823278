"""Deterministic simulation: several processes as generators, advanced request by request in a chosen order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from des_format.errors import DesError, UnavailableError
from des_format.ports.objects import ObjectStore
from des_format.store.sansio.effects import Effects, Request, Sleep, Write
from des_format.store.sansio.running import Runner

__all__ = ["Failure", "Process", "run_in_turns"]

Failure = Literal["none", "before", "after", "lose reply"]


class Process:
    """One operation of one process.

    Args:
        effects: What it does.
        objects: What it does it to.

    Attributes:
        result: What it returned.
        error: How it failed.
        is_running: Whether it goes on.
    """

    def __init__(self, effects: Effects[Any], objects: ObjectStore) -> None:
        self._effects = effects
        self._runner = Runner(objects)
        self.result: Any = None
        self.error: DesError | None = None
        self.is_running = True
        self.step_count = 0
        self._asked: list[Request] = []
        self._advance(lambda: next(effects))

    def step(self, failure: Failure = "none") -> None:
        """Perform what it asks for; the first request of the batch meets the failure."""
        self.step_count += 1
        replies = [self._reply(request, failure if at == 0 else "none") for at, request in enumerate(self._asked)]
        self._advance(lambda: self._effects.send(replies))

    def die(self, *, after: bool = False) -> None:
        """End, before or after what it asks for takes effect."""
        if after:
            for request in self._asked:
                self._reply(request, "none")
        self.is_running = False

    def _advance(self, go_on: Callable[[], list[Request]]) -> None:
        try:
            self._asked = go_on()
        except StopIteration as stop:
            self.result, self.is_running = stop.value, False
        except DesError as error:
            self.error, self.is_running = error, False

    def _reply(self, request: Request, failure: Failure) -> Any:
        if isinstance(request, Sleep):
            return None
        if failure == "before":
            return UnavailableError("failed, as planned, before it took effect")
        reply = self._runner._reply(request)
        if failure == "lose reply" and isinstance(request, Write) and not request.overwrite:
            return self._runner._reply(request)  # The transport repeats it.
        return UnavailableError("failed, as planned, after it took effect") if failure == "after" else reply


def run_in_turns(processes: list[Process], turns: Iterator[tuple[int, Failure]]) -> None:
    """Let processes take turns as chosen, then each go on to its end."""
    for who, failure in turns:
        running = [process for process in processes if process.is_running]
        if not running:
            return
        running[who % len(running)].step(failure)
    while running := [process for process in processes if process.is_running]:
        for process in running:
            process.step()
