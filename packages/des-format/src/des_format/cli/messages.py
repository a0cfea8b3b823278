"""What `des` says on stderr: messages for people, never results."""

from __future__ import annotations

import sys
from dataclasses import dataclass

__all__ = ["Messages", "printable"]


def printable(text: str) -> str:
    """Return the text with control characters and the like escaped, so that no name drives a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass
class Messages:
    """Messages of one command.

    Attributes:
        quiet: Say nothing but problems and errors; show no progress.
        debug: Show the traceback of the error that ends the command.
        problem_count: Problems reported so far.
    """

    quiet: bool = False
    debug: bool = False
    problem_count: int = 0

    def note(self, text: str) -> None:
        """Say something that is no problem, such as a summary."""
        if not self.quiet:
            self._write(text)

    def problem(self, name: str, message: str) -> None:
        """Report one input or entry that failed; the command goes on and ends with exit code 1."""
        self.problem_count += 1
        self._write(f"des: {printable(name)}: {printable(message)}")

    def warn(self, message: str) -> None:
        """Say that what was asked for has a danger; the command goes on."""
        self._write(f"des: warning: {message}")

    def error(self, message: str) -> None:
        """Report the error that ends the command."""
        self._write(f"des: error: {message}")

    @staticmethod
    def _write(text: str) -> None:
        # `sys.stderr` is looked up each time: a progress bar puts itself in between.
        print(text.encode(errors="backslashreplace").decode(), file=sys.stderr)
