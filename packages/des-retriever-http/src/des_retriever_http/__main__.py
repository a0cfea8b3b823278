"""The command `des-retriever`, also `python -m des_retriever_http`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from des_format.errors import ConfigurationError, DesError, InvalidInputError

from .serving.arguments import parse
from .serving.checking import check
from .serving.operating import RetrieverSettings
from .serving.running import FAILED, run

__all__ = ["command", "main"]

USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0, 1 for a failure, 2 for settings that cannot be accepted."""
    arguments = parse(argv)
    # Workers are other processes, and read them there.
    os.environ.update(arguments.variables())
    try:
        settings = RetrieverSettings.read()
        if not arguments.check:
            return run(settings)
        asyncio.run(check(settings, sys.stdout))
    except (ConfigurationError, InvalidInputError) as error:
        return _told(error, USAGE)
    except (DesError, OSError) as error:
        return _told(error, FAILED)
    return 0


def _told(error: Exception, code: int) -> int:
    print(f"des-retriever: {error}", file=sys.stderr)
    return code


def command() -> None:
    """Run the command, and end the process with its exit code."""
    code = main()
    if code == FAILED:
        # What has failed may still be tried in threads of obstore, and they abort a process that ends in its own time.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
