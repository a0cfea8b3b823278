"""Errors: one tree under `DesError`, each class with a stable code.

A class also inherits the builtin that a caller would expect, so `except KeyError` around a
missing entry and `except FileExistsError` around an existing archive work as written.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AppendInProgressError",
    "ArchiveExistsError",
    "BigFileMissingError",
    "ChecksumMismatchError",
    "ConflictError",
    "CorruptArchiveError",
    "DesError",
    "DuplicateEntryError",
    "EntryNotFoundError",
    "EntryTooLargeError",
    "InvalidInputError",
    "InvalidNameError",
    "NotFoundError",
    "UnsafePathError",
    "UnsupportedFormatError",
    "WriterClosedError",
]


class DesError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        code: Stable, machine-readable identifier; never reworded.
        retryable: Whether the same call may succeed later without a change by the caller.
    """

    code: ClassVar[str] = "des_error"
    retryable: ClassVar[bool] = False


class InvalidInputError(DesError, ValueError):
    """An argument cannot be accepted; nothing was written."""

    code = "invalid_input"


class InvalidNameError(InvalidInputError):
    """An entry name is empty, too long, not UTF-8 or contains NUL."""

    code = "invalid_name"


class UnsafePathError(InvalidInputError):
    """An entry name cannot become a path inside the target folder."""

    code = "unsafe_path"


class DuplicateEntryError(InvalidInputError):
    """The archive already holds an entry of this name; nothing was written."""

    code = "duplicate_entry"


class EntryTooLargeError(InvalidInputError):
    """An entry, its metadata or what it expands to is over the limit."""

    code = "entry_too_large"


class WriterClosedError(DesError, RuntimeError):
    """The writer was sealed, aborted, or had failed before."""

    code = "writer_closed"


class NotFoundError(DesError):
    """Something that was asked for does not exist."""

    code = "not_found"


class EntryNotFoundError(NotFoundError, KeyError):
    """The archive holds no entry of this name."""

    code = "entry_not_found"

    def __str__(self) -> str:
        # KeyError would print the repr of its argument.
        return str(self.args[0]) if self.args else ""


class BigFileMissingError(NotFoundError, FileNotFoundError):
    """The object that holds an external entry's payload is not beside the archive."""

    code = "big_file_missing"


class ConflictError(DesError):
    """Someone else changed, or is changing, the same thing."""

    code = "conflict"


class ArchiveExistsError(ConflictError, FileExistsError):
    """The target exists and replacing it was not asked for."""

    code = "archive_exists"


class AppendInProgressError(ConflictError):
    """Another process is appending to this archive."""

    code = "append_in_progress"
    retryable = True


class CorruptArchiveError(DesError, ValueError):
    """The bytes contradict the format; no payload was returned."""

    code = "corrupt_archive"


class ChecksumMismatchError(CorruptArchiveError):
    """Stored bytes and their checksum differ; no payload was returned."""

    code = "checksum_mismatch"


class UnsupportedFormatError(DesError, ValueError):
    """Not an archive, or one that needs a newer reader."""

    code = "unsupported_format"
