"""Progress bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .messages import Messages
from .sizes import human_size

__all__ = ["Advance", "OnBytes", "in_turn", "progress"]

_EVERY_SECONDS = 0.05

Advance = Callable[[int, int], None]
"""Takes the bytes done so far, and all bytes (0 for not known)."""


@contextmanager
def progress(messages: Messages, title: str, *, in_bytes: bool = True) -> Iterator[Advance]:
    """Show a bar with remaining time on stderr while the block runs, if stderr is a terminal.

    Args:
        messages: Whether to be quiet.
        title: What is going on.
        in_bytes: What is advanced by are bytes, shown with their rate; otherwise a count of things.
    """
    if messages.quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount: list[Any] = [DownloadColumn(binary_units=True), TextColumn("{task.fields[rate]}")]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *(amount if in_bytes else [MofNCompleteColumn()]),
        TimeRemainingColumn(),
    )
    # stdout is for results: a bar must neither swallow nor move them.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=None, rate="")
        began_at = time.monotonic()
        shown_at = 0.0

        def advance(done: int, total: int) -> None:
            nonlocal shown_at
            now = time.monotonic()
            # Many entries a millisecond: drawing each would take longer than the work.
            if now - shown_at >= _EVERY_SECONDS or done == total:
                shown_at = now
                rate = f"{human_size(done / (now - began_at))}/s" if now > began_at else ""
                bar.update(task, completed=done, total=total or None, rate=rate)

        yield advance


def in_turn(advance: Advance) -> Advance:
    """Return a callback for works that follow each other, each of which reports its own bytes, for one bar of all."""
    before = last_done = last_total = 0

    def add_up(done: int, total: int) -> None:
        nonlocal before, last_done, last_total
        if done < last_done or total != last_total:
            before += last_done
        last_done, last_total = done, total
        advance(before + done, 0)

    return add_up


class OnBytes:
    """Adds up bytes for a progress bar; may be called by several threads.

    Args:
        advance: The bar.
        total: All bytes, 0 for not known.
    """

    def __init__(self, advance: Advance, total: int = 0) -> None:
        self._advance = advance
        self._total = total
        self._lock = threading.Lock()
        self.done = 0

    def __call__(self, count: int) -> None:
        """Count further bytes."""
        with self._lock:
            self.done += count
            self._advance(self.done, self._total)
