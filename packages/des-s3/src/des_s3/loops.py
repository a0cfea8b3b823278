"""aiobotocore clients, one for each event loop; imported only when there is one, because that takes half a second."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import boto3
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials

from .credentials import frozen
from .failures import VENDOR_ERRORS
from .settings import S3Settings

__all__ = ["LoopClients"]


class LoopClients:
    """Makes clients that use the credentials of a boto3 session, and keeps them.

    Args:
        settings: How S3 is reached.
        session: The session.
    """

    errors = (*VENDOR_ERRORS, aiohttp.ClientError)
    """All that a request can raise; aiobotocore lets errors of a body through."""

    def __init__(self, settings: S3Settings, session: boto3.Session) -> None:
        self._settings = settings
        self._session = session
        self._lock = threading.Lock()
        self._aio_session: AioSession | None = None
        self._clients: dict[asyncio.AbstractEventLoop, tuple[AsyncExitStack, Any]] = {}

    async def client(self) -> Any:
        """Return the client of the running event loop."""
        loop = asyncio.get_running_loop()
        if (known := self._clients.get(loop)) is not None:
            return known[1]
        stack = AsyncExitStack()
        client = await stack.enter_async_context(
            self._shared_session().create_client(
                "s3",
                endpoint_url=self._settings.endpoint_url,
                region_name=self._settings.region_name or self._session.region_name,
                config=AioConfig(**self._settings.config()),
            )
        )
        if (known := self._clients.get(loop)) is not None:  # Another task was faster.
            await stack.aclose()
            return known[1]
        for closed in [other for other in self._clients if other.is_closed()]:
            del self._clients[closed]
        self._clients[loop] = stack, client
        return client

    def _shared_session(self) -> AioSession:
        with self._lock:
            if self._aio_session is None:
                name = self._session.profile_name
                session = AioSession(profile=None if name == "default" else name)
                session.register_component("credential_provider", _CredentialProvider(self._session))
                # It keeps the descriptions of the service, which take a tenth of a second to read.
                session.register_component("data_loader", self._session._session.get_component("data_loader"))
                self._aio_session = session
            return self._aio_session

    async def aclose(self) -> None:
        """Close the client of the running event loop."""
        known = self._clients.pop(asyncio.get_running_loop(), None)
        if known is not None:
            await known[0].aclose()


class _CredentialProvider:
    """Gives an aiobotocore session the credentials of a boto3 session."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session

    async def load_credentials(self) -> AioCredentials | None:
        if await asyncio.to_thread(self._session.get_credentials) is None:
            return None
        return _SharedCredentials(self._session)


class _SharedCredentials(AioCredentials):  # type: ignore[misc]  # it has no types
    def __init__(self, session: boto3.Session) -> None:
        super().__init__("", "")
        self._session = session

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        # A refresh asks a server; what needs none must not pay for a thread.
        if getattr(self._session.get_credentials(), "refresh_needed", bool)():
            return await asyncio.to_thread(frozen, self._session)
        return frozen(self._session)
