"""Ask before something is done that cannot be undone."""

from __future__ import annotations

import sys

import typer

from ...errors import InvalidInputError
from ..exit_codes import INTERRUPTED
from ..messages import Messages, printable

__all__ = ["confirm"]


def confirm(messages: Messages, question: str, *, yes: bool) -> None:
    """Return if the answer is yes.

    Args:
        messages: Told when the answer is no.
        question: What would be done.
        yes: The answer was given on the command line.

    Raises:
        InvalidInputError: It was not, and there is no terminal to ask on.
        typer.Exit: The answer is no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInputError("there is no terminal to ask for confirmation on; --yes is required")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        messages.note("nothing was changed")
        raise typer.Exit(INTERRUPTED)
