"""Paths of entries: a uid may have any characters, so it is taken from the path as it was sent.

`/files/a%2Fb/meta` is the metadata of `a/b`. Slashes that were not encoded belong to the uid too, but for the last
segment if that is a sub-resource: what ends so by itself must be encoded, as in `/files/a%2Fmeta`.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote, unquote_to_bytes

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from .problems import Problem, shown

__all__ = ["EntryPaths", "Uid", "root_of"]

_FILES = "/files/"
_READING = frozenset({"GET", "HEAD"})
_SUB_RESOURCES = frozenset({"meta", "locator", "retention-policy", "history"})


class EntryPaths:
    """ASGI layer: the uid of a path below `/files/` becomes one encoded segment, which every router understands.

    The uid itself is then in the scope's `path_uid`, and the sub-resource in `path_sub`, such as `/meta`.

    Args:
        app: Serves everything but entries themselves.
        entries: Serves `GET` and `HEAD` of an entry, without a router in its way.
    """

    def __init__(self, app: ASGIApp, entries: ASGIApp) -> None:
        self._app = app
        self._entries = entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["path"].startswith(root_of(scope) + _FILES):
            uid, sub = _split(_raw_rest(scope))
            try:
                text = unquote_to_bytes(uid).decode()
            except UnicodeDecodeError:
                problem = Problem(400, "invalid_name", "The uid is not UTF-8 after percent-decoding")
                await shown(problem, scope)(scope, receive, send)
                return
            scope["path_uid"] = text
            scope["path_sub"] = sub
            if text and not sub and scope["method"] in _READING:
                app = self._entries
            else:
                scope["path"] = f"{root_of(scope)}{_FILES}{quote(text, safe='')}{sub}"
        await app(scope, receive, send)


def root_of(scope: Scope) -> str:
    """Return what the router takes off a path before it looks for a route: the prefix of a proxy, or nothing.

    Some servers put `root_path` before each path, others leave paths as they came: the router understands both.
    """
    root: str = scope.get("root_path", "")
    return root if scope["path"].startswith(f"{root}/") else ""


def _raw_rest(scope: Scope) -> str:
    """What follows `/files/` in the path, still encoded."""
    prefix = root_of(scope) + _FILES
    raw: str = scope.get("raw_path", b"").decode("latin-1")
    # Elsewhere, someone has encoded characters of the prefix; then what is encoded in the uid is not known.
    return raw.removeprefix(prefix) if raw.startswith(prefix) else quote(scope["path"].removeprefix(prefix))


def _split(rest: str) -> tuple[str, str]:
    uid, _separator, last = rest.rpartition("/")
    return (uid, f"/{last}") if uid and last in _SUB_RESOURCES else (rest, "")


Uid = Annotated[
    str,
    Path(description="The file's uid, percent-encoded where it has other characters than letters and digits."),
    AfterValidator(unquote),
]
