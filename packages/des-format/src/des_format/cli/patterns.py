"""Glob patterns over entry names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import InvalidInputError

__all__ = ["GLOB_CHARACTERS", "Selection", "pattern_regex"]

GLOB_CHARACTERS = frozenset("*?[")
_TOKEN = re.compile(r"(?P<any_folders>\*\*/)|(?P<anything>\*\*)|(?P<part>\*)|(?P<one>\?)|\[(?P<set>!?\]?[^\]]*)\]")


def pattern_regex(pattern: str) -> str:
    """Return the regular expression that a whole name must match.

    `*` and `?` stand for characters but `/`, `**` also for those, `[a-z]` and `[!a-z]` for one
    of a set. A pattern without `/` matches any part of a name, one with `/` the name from its
    first part on; a final `/` matches folders alone. What matches a folder matches all below it.
    """
    whole = pattern.rstrip("/")
    anywhere = "/" not in whole
    whole = whole.removeprefix("/")
    translated = []
    at = 0
    for token in _TOKEN.finditer(whole):
        translated.append(re.escape(whole[at : token.start()]))
        translated.append(_translate(token))
        at = token.end()
    translated.append(re.escape(whole[at:]))
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    return f"(?:{'(?:.*/)?' if anywhere else ''}{''.join(translated)}{below})"


def _translate(token: re.Match[str]) -> str:
    if token["any_folders"]:
        return "(?:.*/)?"
    if token["anything"]:
        return ".*"
    if token["part"]:
        return "[^/]*"
    if token["one"]:
        return "[^/]"
    members = token["set"].removeprefix("!").replace("\\", r"\\").replace("]", r"\]").replace("^", r"\^")
    members = members.replace("[", r"\[")
    return f"(?!/)[{'^' if token['set'].startswith('!') else ''}{members}]"


class Selection:
    """Which names are wanted.

    Args:
        include: Patterns of wanted names; none for all.
        exclude: Patterns of names, and folders, that are not wanted whatever `include` says.

    Raises:
        InvalidInputError: A pattern cannot be understood, such as `[z-a]`.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _union(include)
        self._exclude = _union(exclude)

    def wants(self, name: str) -> bool:
        """Whether an entry of this name is wanted."""
        if self._exclude is not None and self._exclude.fullmatch(name):
            return False
        return self._include is None or self._include.fullmatch(name) is not None

    def prunes(self, folder: str) -> bool:
        """Whether nothing below this folder can be wanted."""
        return self._exclude is not None and self._exclude.fullmatch(f"{folder}/") is not None


def _union(patterns: Sequence[str]) -> re.Pattern[str] | None:
    try:
        return re.compile("|".join(map(pattern_regex, patterns)), re.DOTALL) if patterns else None
    except re.error as error:
        raise InvalidInputError(f"pattern {' or '.join(map(repr, patterns))}: {error}") from error
