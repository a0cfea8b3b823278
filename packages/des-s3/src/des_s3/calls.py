"""Requests as data, and what sends them: operations are written once, for boto3 and for aiobotocore.

An operation is a generator that yields a `Call` and is sent the client's answer, its body read, or thrown the
`DesError` that the call failed with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from des_format.errors import DesError, UnsupportedOperationError
from des_format.ports.objects import PutMode

from .checksums import crc32c
from .clients import Clients
from .failures import VENDOR_ERRORS, translated
from .metrics import S3Metrics
from .repeating import Repeated

__all__ = ["Answer", "Call", "Caller", "Calls"]

T = TypeVar("T")

_WHOLE_BYTES = 1 << 20
"""A server that ignores a range may send so much in its place."""

Answer = dict[str, Any]


class Call(NamedTuple):
    """One request.

    Attributes:
        operation: Method of the client.
        key: The object's key in the bucket.
        arguments: The method's other arguments; bucket, key and what every call has are added.
        mode: Of a write. One with a condition is sent once.
        once: Send it once.
        whole: It is about the bucket, not one object.
    """

    operation: str
    key: str
    arguments: dict[str, Any]
    mode: PutMode | None = None
    once: bool = False
    whole: bool = False

    @property
    def is_repeatable(self) -> bool:
        return not self.once and self.mode in (None, "overwrite")


Calls = Generator[Call, Answer, T]


class Caller:
    """Runs operations.

    Args:
        clients: Send the requests.
        metrics: Counts them.
    """

    def __init__(self, clients: Clients, metrics: S3Metrics) -> None:
        self.clients = clients
        self.metrics = metrics
        self._repeat = clients.settings.retries.repeating(self._try_again)
        self._repeat_async = clients.settings.retries.repeating(self._try_again_async)

    def run(self, calls: Calls[T]) -> T:
        """Run an operation by the boto3 client, and return its result."""
        try:
            call = next(calls)
            while True:
                try:
                    answer = self.send(call)
                except DesError as error:
                    call = calls.throw(error)
                else:
                    call = calls.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def run_async(self, calls: Calls[T]) -> T:
        """Run an operation by the event loop's aiobotocore client, or by the caller's own boto3 client in a thread."""
        if self.clients.given is not None:
            return await asyncio.to_thread(self.run, calls)
        try:
            call = next(calls)
            while True:
                try:
                    answer = await self._send_async(call)
                except DesError as error:
                    call = calls.throw(error)
                else:
                    call = calls.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def send(self, call: Call) -> Answer:
        """Send one request, repeatedly if it may be, and return the answer."""
        return self._repeat(self._repeated(call), call) if call.is_repeatable else self._try(call)

    async def _send_async(self, call: Call) -> Answer:
        if not call.is_repeatable:
            return await self._try_async(call)
        return await self._repeat_async(self._repeated(call), call)

    def _repeated(self, call: Call) -> Repeated:
        return Repeated(call.operation, self.clients.bucket, call.key)

    def _try_again(self, _told: Repeated, call: Call) -> Answer:
        return self._try(call)

    async def _try_again_async(self, _told: Repeated, call: Call) -> Answer:
        return await self._try_async(call)

    def _try(self, call: Call) -> Answer:
        try:
            answer: Answer = getattr(self.clients.sync(), call.operation)(**self._arguments(call))
            if call.operation == "get_object":
                # Its own `with` would give the stream below, whose errors are not botocore's.
                with closing(answer["Body"]) as body:
                    _check_partial(call, answer)
                    answer["Body"] = body.read()
        except VENDOR_ERRORS as error:
            raise self._failed(call, error) from error
        self._succeeded(call, answer)
        return answer

    async def _try_async(self, call: Call) -> Answer:
        loops = self.clients.loops()
        try:
            client = await loops.client()
            answer: Answer = await getattr(client, call.operation)(**self._arguments(call))
            if call.operation == "get_object":
                with closing(answer["Body"]) as body:
                    _check_partial(call, answer)
                    answer["Body"] = await body.read()
        except loops.errors as error:
            raise self._failed(call, error) from error
        self._succeeded(call, answer)
        return answer

    def _arguments(self, call: Call) -> dict[str, Any]:
        arguments = {"Bucket": self.clients.bucket, **self.clients.settings.extras(call.operation), **call.arguments}
        if not call.whole:
            arguments["Key"] = call.key
        if call.operation == "put_object" and self.clients.sends_crc32c:
            arguments["ChecksumCRC32C"] = crc32c(arguments["Body"])
        return arguments

    def _failed(self, call: Call, error: Exception) -> DesError:
        failure = translated(error, call.key, call.mode)
        self.metrics.count(call.operation, failure.code)
        return failure

    def _succeeded(self, call: Call, answer: Answer) -> None:
        payload = answer.get("Body") or call.arguments.get("Body") or b""
        self.metrics.count(call.operation, "ok", len(payload))


def _check_partial(call: Call, answer: Answer) -> None:
    if "Range" in call.arguments and "ContentRange" not in answer and answer["ContentLength"] > _WHOLE_BYTES:
        raise UnsupportedOperationError(
            f"object {call.key!r}: asked for {call.arguments['Range']}, the server sends all of its"
            f" {answer['ContentLength']} bytes"
        )
