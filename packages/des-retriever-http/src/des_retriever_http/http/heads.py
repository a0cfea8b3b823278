"""`HEAD` for routes of FastAPI, which has none by itself: load balancers and monitors ask with it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .documenting import ServedRoute

__all__ = ["head_routes"]


def head_routes(router: APIRouter) -> list[ServedRoute]:
    """Return a route for `HEAD` beside each one of a router for `GET`, which answers with the same headers."""
    routes = (route for route in router.routes if isinstance(route, APIRoute))
    return [_head_of(route) for route in routes if route.methods and "GET" in route.methods]


def _head_of(route: APIRoute) -> ServedRoute:
    statuses = {status: {"description": one["description"]} for status, one in route.responses.items()}
    return ServedRoute(
        route.path,
        route.endpoint,
        served_by=_Bodiless(route.app),
        methods=["HEAD"],
        description="Tell what `GET` would, in headers alone.",
        responses=statuses,
        response_model=None,
        tags=route.tags,
    )


class _Bodiless:
    """ASGI layer that sends the headers of an answer, and nothing of its body.

    Args:
        app: Answers as to `GET`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app(scope, receive, send_head)
