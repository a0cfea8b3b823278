"""What an audit found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import DesError

__all__ = ["MAX_PROBLEMS", "Findings", "Problem", "Progress", "VerifyReport"]

MAX_PROBLEMS = 10_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that contradicts the format.

    Attributes:
        where: The part of the archive, with its offset.
        name: The entry that it concerns; None when it concerns none, or its name is not known.
        message: What was found, and what was expected.
    """

    where: str
    name: str | None
    message: str

    def __str__(self) -> str:
        text = self.message if self.where in self.message else f"{self.where}: {self.message}"
        return text if self.name is None or repr(self.name) in text else f"entry {self.name!r}: {text}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of an audit.

    Attributes:
        entries_checked: Entries whose payload was read, and checked as far as the format allows.
        bytes_checked: Bytes read: after a full audit of a sound version-3 archive the size of
            the archive and of the objects beside it.
        complete: Whether every byte was read, not only a sample of the entries.
        has_checksums: Whether the format has checksums. Without them damage that keeps lengths
            and structure intact goes unnoticed.
        problems: What contradicts the format, at most `MAX_PROBLEMS` of them and one that counts the rest.
    """

    entries_checked: int
    bytes_checked: int
    complete: bool
    has_checksums: bool
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def __str__(self) -> str:
        extent = "all entries" if self.complete else "a sample"
        verdict = f"{len(self.problems)} problems" if self.problems else "no problem found"
        text = f"{verdict}; {self.entries_checked} entries and {self.bytes_checked} bytes read ({extent})"
        if not self.has_checksums:
            text += "; this format has no checksums, so a changed byte inside a payload goes unnoticed"
        return text


class Findings:
    """Collects problems and progress during an audit."""

    def __init__(self, total_bytes: int, progress: Progress | None) -> None:
        self.entries_checked = 0
        self.bytes_checked = 0
        self._total = total_bytes
        self._progress = progress
        self._problems: list[Problem] = []
        self._unlisted = 0

    def add(self, where: str, problem: DesError | str, name: str | None = None) -> int:
        """Record a problem; return a handle for `set_name`.

        Raises:
            DesError: `problem` is one that a repeated call may not meet, so it says nothing about the archive.
        """
        if isinstance(problem, DesError) and problem.retryable:
            raise problem
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(where, name, str(problem)))
        else:
            self._unlisted += 1
        return len(self._problems) + self._unlisted - 1

    def set_name(self, handle: int, name: str) -> None:
        """Say which entry a problem concerns, now that it is known."""
        if handle < MAX_PROBLEMS and self._problems[handle].name is None:
            self._problems[handle] = replace(self._problems[handle], name=name)

    def count_bytes(self, count: int) -> None:
        """Record that `count` more bytes were read."""
        self.bytes_checked += count
        if self._progress is not None and count:
            self._progress(min(self.bytes_checked, self._total), self._total)

    def report(self, *, complete: bool, has_checksums: bool) -> VerifyReport:
        """Return the result, and tell `progress` that all is done."""
        if self._progress is not None:
            self._progress(self._total, self._total)
        problems = list(self._problems)
        if self._unlisted:
            problems.append(Problem("archive", None, f"{self._unlisted} further problems are not listed"))
        return VerifyReport(self.entries_checked, self.bytes_checked, complete, has_checksums, tuple(problems))
