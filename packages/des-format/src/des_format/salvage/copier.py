"""A writer that takes entries as they are stored."""

from __future__ import annotations

from ..entry import Kind, Record, encode_record
from ..writer import DesWriter

__all__ = ["Copier"]


class Copier(DesWriter):
    """A writer that also takes entries as they are stored in another archive."""

    def copy(self, record: Record, stored: bytes) -> None:
        """Add a record that was checked, with its stored payload, at a new place."""
        with self._poisoned_by_failure("copying an entry failed"):
            if record.kind is not Kind.DICTIONARY:
                self._catalog.names[record.name] = None
                self._append(
                    record.kind, record.codec, record.name, record.meta, stored, record.raw_length, record.dictionary
                )
                return
            start = self._position + len(self._buffer)
            head = encode_record(
                start, record.kind, record.codec, record.name, record.meta, stored, record.raw_length, record.dictionary
            )
            self._emit(head, stored)
            self._dictionary_span = (start, len(head) + len(stored))
