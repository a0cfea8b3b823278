"""Versions of one object in several places, whose ETags differ."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from des_format.errors import ObjectChangedError
from des_format.objects.results import LoadedResult

__all__ = ["Versions", "is_big_file", "is_immutable"]

_IMMUTABLE = re.compile(r"\.(des|commits|tombstones|damaged)\Z|(?:\A|/)_bigFiles/[0-9a-f]{64}\Z")
_KEPT_COUNT = 16_384


def is_immutable(key: str) -> bool:
    """Whether an object's key tells its content: what has this key in two places, is the same."""
    return _IMMUTABLE.search(key) is not None


def is_big_file(key: str) -> bool:
    """Whether an object is a big file."""
    return "_bigFiles/" in key


@dataclass(slots=True)
class _Version:
    size: int
    tags: dict[str, str] = field(default_factory=dict)


class Versions:
    """Tags that say of which place they are, and which of them are of the same version of an immutable object.

    The first place's tags are its own; another's are `PLACE:TAG`.

    Args:
        names: The places' names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._first, *others = names
        self._others = frozenset(others)
        self._known: OrderedDict[tuple[str, str], _Version] = OrderedDict()
        self._latest: dict[str, str] = {}
        self._guard = threading.Lock()

    def shown(self, name: str, tag: str | None) -> str | None:
        """A place's tag, as callers see it."""
        return tag if tag is None or name == self._first else f"{name}:{tag}"

    def inner(self, name: str, shown: str) -> str | None:
        """The tag by which a place knows what callers see; None for one of another place."""
        return self._split(shown)[1] if self._split(shown)[0] == name else None

    def is_first(self, shown: str) -> bool:
        """Whether a tag is of the first place."""
        return self._split(shown)[0] == self._first

    def _split(self, shown: str) -> tuple[str, str]:
        name, colon, tag = shown.partition(":")
        return (name, tag) if colon and name in self._others else (self._first, shown)

    # -- immutable objects ------------------------------------------------------------------

    def condition(self, name: str, key: str, pinned: str) -> str | None:
        """The tag to insist on in a place, for a reader who pinned a version there or elsewhere; None if unknown."""
        if (own := self.inner(name, pinned)) is not None:
            return own
        with self._guard:
            known = self._known.get((key, pinned))
            return known.tags.get(name) if known is not None else None

    def learn(self, name: str, key: str, result: LoadedResult, pinned: str | None) -> str | None:
        """Take in what a place gave, and return the tag to show for it.

        That is the pinned one, or else the one that was shown before for what seems to be the same version elsewhere:
        of two reads at the same time neither can pin what the other found.

        Raises:
            ObjectChangedError: It has not the size of the version that was pinned.
        """
        tag, size = result.meta["e_tag"], result.meta["size"]
        own = self.shown(name, tag)
        if tag is None or own is None:
            return pinned
        with self._guard:
            shown = pinned or self._same(name, key, tag, size) or own
            version = self._known.setdefault((key, shown), _Version(size))
            if version.size != size:
                raise ObjectChangedError(f"object {key!r} has {size} bytes in {name}, expected {version.size}")
            version.tags[name] = tag
            self._known.move_to_end((key, shown))
            if pinned is None:
                self._latest[key] = shown
            if len(self._known) > _KEPT_COUNT:
                (dropped, old), _ = self._known.popitem(last=False)
                if self._latest.get(dropped) == old:
                    del self._latest[dropped]
        return shown

    def _same(self, name: str, key: str, tag: str, size: int) -> str | None:
        """What was shown last for an object, if this may be the same version."""
        shown = self._latest.get(key)
        version = self._known.get((key, shown)) if shown is not None else None
        if version is not None and version.size == size and version.tags.get(name, tag) == tag:
            return shown
        return None
