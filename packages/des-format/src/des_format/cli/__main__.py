"""Entry point of the console script `des` and of `python -m des_format.cli`."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

try:
    import rich  # noqa: F401 - the progress bars need it, long after the command line was accepted
    import typer  # noqa: F401
except ModuleNotFoundError as error:
    missing: str | None = error.name
else:
    missing = None
    from .app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command and exit with one of `EXIT_CODES`."""
    if missing is not None:
        print(
            f"des: error: the package {missing!r}, which the command line needs, is not installed;"
            " install it with: pip install 'des-format[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    _unwind_on_termination()
    try:
        app(prog_name="des")
    except KeyboardInterrupt:
        # Pressed before the command began or after it ended; in between `app` answers it.
        sys.exit(130)


def _unwind_on_termination() -> None:
    """Let a request to end remove what is half-written, as Ctrl-C does."""

    def end(number: int, frame: object) -> NoReturn:
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What the caller ignores (nohup) stays ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


if __name__ == "__main__":
    main()
