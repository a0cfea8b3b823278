"""How many requests run at the same time."""

from __future__ import annotations

import sys

__all__ = ["MAX_PARALLEL", "parallel_reads"]

MAX_PARALLEL = 256
"""With a thousand ranges a batch waits four times, and its connections cost less than what it would wait longer."""

_FILES_SHARE = 4


def parallel_reads(connection_count: int = MAX_PARALLEL) -> int:
    """Return how many reads may run at the same time, of one reader or store.

    Args:
        connection_count: So many connections are kept.

    Returns:
        At most `MAX_PARALLEL`, and at most a quarter of the files that the process may open, for each takes a socket.
    """
    return max(1, min(MAX_PARALLEL, connection_count, _open_files() // _FILES_SHARE))


def _open_files() -> int:
    if sys.platform == "win32":
        return MAX_PARALLEL * _FILES_SHARE
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_PARALLEL * _FILES_SHARE if limit == resource.RLIM_INFINITY else limit
