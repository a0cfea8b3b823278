"""Whether a server takes an ETag in `If-Match` as it gave it, in quotes.

Ceph's gateway refuses every conditional write whose tag is quoted (412, as if the object had changed), and takes the
bare one. Which kind a server is, is found out by writing an object of our own, when an update is refused for the
first time.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from des_format.errors import DesError, ObjectChangedError

from .calls import Call, Calls

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["IfMatchQuotes"]


class IfMatchQuotes:
    """What is known of a server.

    Args:
        known: Whether it wants the quotes; None to find out.
        prefix: Where an object may be written to find out; empty, or with a `/` at its end.

    Attributes:
        known: As above.
    """

    def __init__(self, known: bool | None, prefix: str) -> None:
        self.known = known
        self._prefix = prefix

    def dress(self, tag: str) -> str:
        """Return a tag as it is sent."""
        bare = tag.strip('"')
        return bare if self.known is False else f'"{bare}"'

    def were_accepted(self) -> None:
        """Learn from a write that succeeded."""
        if self.known is None:
            self.known = True

    def are_refused(self) -> Calls[bool]:
        """Find out whether the server refuses the right tag with quotes, and takes it without."""
        if self.known is not None:
            return not self.known
        key = f"{self._prefix}des-probe-{uuid.uuid4().hex}"
        try:
            refused = yield from self._probe(key)
        except DesError:
            # Such as one who may not write there: believe the standard, and ask again next time.
            return False
        self.known = not refused
        return refused

    def _probe(self, key: str) -> Generator[Call, dict[str, str], bool]:
        tag = (yield Call("put_object", key, {"Body": b"1"}))["ETag"]
        bare = tag.strip('"')
        try:
            for sent in (f'"{bare}"', bare):
                try:
                    yield Call("put_object", key, {"Body": b"2", "IfMatch": sent}, {"e_tag": tag})
                except ObjectChangedError:
                    continue
                return sent == bare
            return False
        finally:
            yield Call("delete_object", key, {})
