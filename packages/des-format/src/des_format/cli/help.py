"""Help texts: what a command does is its docstring, and every command shows examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["examples"]

F = TypeVar("F", bound=Callable[..., Any])


def examples(*lines: str) -> Callable[[F], F]:
    r"""Return a decorator that adds example command lines to a command's help.

    The paragraph begins with `\b`, which keeps its line breaks in a terminal; its indentation
    makes it a block of code in Markdown.
    """

    def decorate(command: F) -> F:
        text = inspect.cleandoc(command.__doc__ or "")
        block = "\n".join(f"    {line}" for line in lines)
        command.__doc__ = f"{text}\n\nFor example:\n\n\b\n{block}\n"
        return command

    return decorate
