"""The exit codes of `des`, which scripts may rely on, and the code of each error."""

from __future__ import annotations

from ..errors import (
    AccessDeniedError,
    ConfigurationError,
    ConflictError,
    CorruptArchiveError,
    DesError,
    DuplicateEntryError,
    EntryDeletedError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
    UnsupportedFormatError,
    UnsupportedOperationError,
)

__all__ = [
    "BROKEN_PIPE",
    "DELETED",
    "EXISTS",
    "EXIT_CODES",
    "INTERRUPTED",
    "IO_FAILED",
    "NOT_FOUND",
    "PARTLY_FAILED",
    "UNREADABLE",
    "USAGE",
    "PartlyFailedError",
    "exit_code_of",
]

PARTLY_FAILED = 1
USAGE = 2
NOT_FOUND = 3
EXISTS = 4
UNREADABLE = 5
IO_FAILED = 6
DELETED = 7
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_CODES = {
    0: "everything that was asked for is done",
    PARTLY_FAILED: "some entries are damaged, or some inputs or entries could not be processed; each is named",
    USAGE: "the command line or a value in it cannot be accepted, or the extra `cli` is not installed",
    NOT_FOUND: "a store, an archive, an input that was named, an entry or a big file does not exist",
    EXISTS: "refused, because something exists already or another process is changing it; nothing was changed",
    UNREADABLE: "not an archive, one that needs a newer reader, or one too damaged for this command",
    IO_FAILED: "the system or the storage failed: permission denied, disk full, out of reach and the like",
    DELETED: "the entry was deleted from the store",
    INTERRUPTED: "interrupted by Ctrl-C, or not confirmed; nothing half-written is left (143 for SIGTERM)",
    BROKEN_PIPE: "whoever read the output stopped reading",
}


class PartlyFailedError(DesError):
    """One input or entry failed, and the command was not asked to go on without it."""

    code = "partly_failed"


_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (PartlyFailedError, PARTLY_FAILED),
    (DuplicateEntryError, EXISTS),
    (ConflictError, EXISTS),
    (EntryDeletedError, DELETED),
    (NotFoundError, NOT_FOUND),
    (CorruptArchiveError, UNREADABLE),
    (UnsupportedFormatError, UNREADABLE),
    (InvalidInputError, USAGE),
    (ConfigurationError, USAGE),
    (AccessDeniedError, IO_FAILED),
    (UnavailableError, IO_FAILED),
    (UnsupportedOperationError, IO_FAILED),
    (DesError, PARTLY_FAILED),
    (KeyboardInterrupt, INTERRUPTED),
    (BrokenPipeError, BROKEN_PIPE),
    (FileNotFoundError, NOT_FOUND),
    (FileExistsError, EXISTS),
)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code for an error that ends a command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), IO_FAILED)
