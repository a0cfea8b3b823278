"""What the retriever is compared with: applications that have the payload in memory and do nothing but answer.

Their payload is in the file that the variable `BENCH_PAYLOAD` names.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["bare", "framework"]

TYPE = "application/octet-stream"


def _payload() -> bytes:
    return Path(os.environ["BENCH_PAYLOAD"]).read_bytes()


def bare() -> Starlette:
    """One route of Starlette."""
    payload = _payload()

    async def get(_request: Request) -> Response:
        return Response(payload, media_type=TYPE)

    return Starlette(routes=[Route("/files/{uid}", get)])


def framework() -> FastAPI:
    """A function of FastAPI as most are written: a plain `def`, which runs in a thread."""
    payload = _payload()
    app = FastAPI()

    @app.get("/files/{uid}")
    def get_file(uid: str, created_at: str) -> Response:
        return Response(payload, media_type=TYPE)

    return app
