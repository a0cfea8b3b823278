"""`/ui/`: the web console, which is files of this distribution and talks to nobody but this service."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib.resources import files

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..http.answers import Answer, RawHeaders
from ..http.conditions import evaluate
from ..http.problems import Problem, shown

__all__ = ["console_routes"]

_INDEX = "index.html"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
# Scripts and styles are this distribution's files. Previews are blobs that the console itself has made of raster
# images, of PDF and of media, and no text ever becomes markup (trusted types).
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "frame-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS: RawHeaders = [
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
_IF_NONE_MATCH = b"if-none-match"
_NO_DATE = datetime.min.replace(tzinfo=UTC)


def console_routes() -> list[Route]:
    """Return the routes of the console. Its files are read now, and kept: they are some 60 KiB."""
    folder = files("des_retriever_http") / "ui"
    assets = {one.name: _Asset(one.name, one.read_bytes()) for one in folder.iterdir() if _suffix(one.name) in _TYPES}
    assets[""] = assets[_INDEX]
    console = _Console(assets)
    return [
        Route("/ui", _Redirect(), methods=["GET"], include_in_schema=False),
        Route("/ui/{name:path}", console, methods=["GET"], include_in_schema=False),
    ]


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


class _Asset:
    """One file of the console."""

    def __init__(self, name: str, body: bytes) -> None:
        self.etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self.body = body
        self.lasting: RawHeaders = [(b"etag", self.etag.encode()), *_HEADERS]
        self.headers: RawHeaders = [
            (b"content-type", _TYPES[_suffix(name)]),
            (b"content-length", b"%d" % len(body)),
            *self.lasting,
        ]


class _Console:
    """ASGI application that answers with the files of the console."""

    def __init__(self, assets: dict[str, _Asset]) -> None:
        self._assets = assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asset = self._assets.get(scope["path_params"]["name"])
        if asset is None:
            await shown(Problem(404, "no_such_route", "The console has no such file"), scope)(scope, receive, send)
            return
        conditions = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == _IF_NONE_MATCH
        }
        if evaluate(conditions, asset.etag, _NO_DATE):
            answer = Answer(304, asset.lasting)
        else:
            answer = Answer(200, asset.headers, asset.body if scope["method"] == "GET" else b"")
        await answer(scope, receive, send)


class _Redirect:
    """ASGI application that leads from `/ui` to `/ui/`; relative, so that the prefix of a proxy stays."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Answer(308, [(b"location", b"ui/"), (b"content-length", b"0")])(scope, receive, send)
