"""Errors: one tree under `DesError`, each class with a stable code.

A class also inherits the builtin that a caller would expect, so `except KeyError` around a
missing entry and `except FileExistsError` around an existing archive work as written.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDeniedError",
    "AppendInProgressError",
    "ArchiveCondemnedError",
    "ArchiveExistsError",
    "BigFileMissingError",
    "ChecksumMismatchError",
    "ConfigurationError",
    "ConflictError",
    "ContentionError",
    "CorruptArchiveError",
    "DesError",
    "DuplicateEntryError",
    "EntryDeletedError",
    "EntryNotFoundError",
    "EntryTooLargeError",
    "InvalidInputError",
    "InvalidLocatorError",
    "InvalidNameError",
    "LeaseLostError",
    "LocatorExpiredError",
    "NotFoundError",
    "ObjectChangedError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "StoreExistsError",
    "StoreNotFoundError",
    "UnavailableError",
    "UnsafePathError",
    "UnsupportedFormatError",
    "UnsupportedOperationError",
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


class ContentionError(ConflictError):
    """Others committed to the same shard for so long that this gave up; nothing was committed."""

    code = "contention"
    retryable = True


class ObjectNotFoundError(NotFoundError, FileNotFoundError):
    """The object store holds no object under this key."""

    code = "object_not_found"


class StoreNotFoundError(NotFoundError, FileNotFoundError):
    """No store of archives is here: its descriptor `des-store.json` is missing."""

    code = "store_not_found"


class EntryDeletedError(NotFoundError, KeyError):
    """The entry was deleted; what it was is not told."""

    code = "entry_deleted"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ObjectExistsError(ConflictError, FileExistsError):
    """The object store holds an object under this key already; it is untouched."""

    code = "object_exists"


class ObjectChangedError(ConflictError):
    """An object is not, or no longer, the version that was expected; nothing was read or written."""

    code = "object_changed"
    retryable = True


class StoreExistsError(ConflictError, FileExistsError):
    """A store of archives is here already."""

    code = "store_exists"


class ArchiveCondemnedError(ConflictError):
    """The archive was given up as garbage before it was committed; write it again under another id."""

    code = "archive_condemned"


class LeaseLostError(ConflictError):
    """The lease ran out, or someone else holds it; nothing that it protects was changed."""

    code = "lease_lost"


class UnavailableError(DesError, OSError):
    """The storage failed, in a way that may pass; whether a write took effect is not known."""

    code = "unavailable"
    retryable = True


class AccessDeniedError(DesError, PermissionError):
    """The storage refuses these credentials."""

    code = "access_denied"


class UnsupportedOperationError(DesError, NotImplementedError):
    """The storage cannot do this."""

    code = "unsupported_operation"


class ConfigurationError(DesError, ValueError):
    """Settings contradict each other, or the data; nothing was done."""

    code = "configuration"


class InvalidLocatorError(InvalidInputError):
    """Text that is no locator, or one whose signature does not hold."""

    code = "invalid_locator"


class LocatorExpiredError(InvalidInputError):
    """The locator was valid until a time that has passed."""

    code = "locator_expired"


class CorruptArchiveError(DesError, ValueError):
    """The bytes contradict the format; no payload was returned."""

    code = "corrupt_archive"


class ChecksumMismatchError(CorruptArchiveError):
    """Stored bytes and their checksum differ; no payload was returned."""

    code = "checksum_mismatch"


class UnsupportedFormatError(DesError, ValueError):
    """Not an archive, or one that needs a newer reader."""

    code = "unsupported_format"
