"""Drivers of transfers: send what one asks for, tell it what comes, and go on where a connection broke."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

import httpx
from des_format.errors import DesError

from .connecting import refused
from .messages import Head, Request, Transfer
from .problems import may_pass, translated
from .retrying import RetryPolicy

__all__ = ["AsyncIncoming", "Incoming"]

T = TypeVar("T")


class Incoming(Generic[T]):
    """What a transfer returns, one after the other. Attempts are counted anew whenever something came.

    Args:
        transfer: The transfer.
        send: Sends a request; its answer has no body yet.
        policy: How often is tried again.
    """

    def __init__(self, transfer: Transfer[T], send: Callable[[Request], httpx.Response], policy: RetryPolicy) -> None:
        self._transfer = transfer
        self._send = send
        self._policy = policy
        self._what = ""
        self._response: httpx.Response | None = None
        self._body: Iterator[bytes] = iter(())
        self._items: list[T] = []

    def __iter__(self) -> Iterator[T]:
        while True:
            items, self._items = self._items, []
            yield from items
            if self._transfer.complete:
                self._finish()
                return
            self._advance()

    def open(self) -> None:
        """Ask for what is not there yet, until some of it comes."""
        request = self._transfer.request()
        self._what = request.what
        for attempt in self._policy.retrying():
            with attempt:
                self._begin(request, attempt.num)

    def close(self) -> None:
        """Close what is open; nothing more comes."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _begin(self, request: Request, attempt: int) -> None:
        try:
            with translated(self._what):
                self._response = response = self._send(request)
                if response.status_code >= 300:
                    response.read()
                    raise refused(self._what, response, attempt)
            self._transfer.begin(Head(response.status_code, response.headers))
            self._body = response.iter_raw()
            self._items = self._pull()
        except BaseException:
            self.close()
            raise

    def _advance(self) -> None:
        if self._response is not None:
            try:
                self._items = self._pull()
            except DesError as error:
                self.close()
                if not may_pass(error):
                    raise
            else:
                return
        self.open()

    def _pull(self) -> list[T]:
        """Return what the next bytes make whole; nothing if there are no more in this answer."""
        while True:
            with translated(self._what):
                data = next(self._body, None)
            if data is None:
                self.close()
                return self._transfer.end()
            if items := self._transfer.feed(data):
                return items

    def _finish(self) -> None:
        # A connection whose answer was read to its end can be used again.
        if self._response is not None:
            with suppress(DesError):
                self._pull()
        self.close()


class AsyncIncoming(Generic[T]):
    """Asynchronous twin of `Incoming`."""

    def __init__(
        self, transfer: Transfer[T], send: Callable[[Request], Awaitable[httpx.Response]], policy: RetryPolicy
    ) -> None:
        self._transfer = transfer
        self._send = send
        self._policy = policy
        self._what = ""
        self._response: httpx.Response | None = None
        self._body: AsyncIterator[bytes] | None = None
        self._items: list[T] = []

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            items, self._items = self._items, []
            for item in items:
                yield item
            if self._transfer.complete:
                await self._finish()
                return
            await self._advance()

    async def open(self) -> None:
        """Ask for what is not there yet, until some of it comes."""
        request = self._transfer.request()
        self._what = request.what
        async for attempt in self._policy.retrying():
            with attempt:
                await self._begin(request, attempt.num)

    async def aclose(self) -> None:
        """Close what is open; nothing more comes."""
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()

    async def _begin(self, request: Request, attempt: int) -> None:
        try:
            with translated(self._what):
                self._response = response = await self._send(request)
                if response.status_code >= 300:
                    await response.aread()
                    raise refused(self._what, response, attempt)
            self._transfer.begin(Head(response.status_code, response.headers))
            self._body = response.aiter_raw()
            self._items = await self._pull()
        except BaseException:
            await self.aclose()
            raise

    async def _advance(self) -> None:
        if self._response is not None:
            try:
                self._items = await self._pull()
            except DesError as error:
                await self.aclose()
                if not may_pass(error):
                    raise
            else:
                return
        await self.open()

    async def _pull(self) -> list[T]:
        assert self._body is not None
        while True:
            with translated(self._what):
                data = await anext(self._body, None)
            if data is None:
                await self.aclose()
                return self._transfer.end()
            if items := self._transfer.feed(data):
                return items

    async def _finish(self) -> None:
        # A connection whose answer was read to its end can be used again.
        if self._response is not None:
            with suppress(DesError):
                await self._pull()
        await self.aclose()
