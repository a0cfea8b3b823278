"""What people see of the demo: a line of progress on a terminal, and one table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Progress", "print_table"]

T = TypeVar("T")
_EVERY_SECONDS = 0.1


class Progress:
    """One line on standard error that says what happens now; silent where that is no terminal."""

    def __init__(self) -> None:
        self._visible = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._visible:
            print(f"\r\x1b[K{text[:79]}", end="", file=sys.stderr, flush=True)

    def over(self, items: Iterable[T], count: int, text: str) -> Iterator[T]:
        """Yield the items, and count them on the line."""
        self.show(text)
        for number, item in enumerate(items):
            if self._visible and time.monotonic() - self._shown_at > _EVERY_SECONDS:
                self._shown_at = time.monotonic()
                self.show(f"{text} {number:,} of {count:,}")
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.show("")


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(title, heads, rows)
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # In a pipe rich would assume 80 columns and cut numbers off.
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def _print_plain(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"{title}\n")
    for row in (heads, ["-" * width for width in widths], *rows):
        print(
            "  ".join(
                cell.rjust(width) if n else cell.ljust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
