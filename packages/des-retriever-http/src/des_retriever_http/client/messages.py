"""Requests and answers, without a library for HTTP: what pure code says and is told."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple, Protocol, TypeVar

__all__ = ["IDENTITY", "Answer", "Call", "Head", "Request", "Transfer"]

T = TypeVar("T")

IDENTITY: Mapping[str, str] = {"Accept-Encoding": "identity"}


class Request(NamedTuple):
    """A request. All of them may be sent again: they read, or do the same once more.

    Attributes:
        what: What it asks for, in messages of errors. It has no secrets; `target` may have.
        method: Its method.
        target: Path and query below the URL of the service, encoded.
        headers: More of its headers.
        body: Its body.
    """

    what: str
    method: str
    target: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None


class Head(NamedTuple):
    """The begin of an answer.

    Attributes:
        status: Its status.
        headers: Its headers, by names in any case.
    """

    status: int
    headers: Mapping[str, str]

    @property
    def coding(self) -> str:
        """How its body is compressed; `identity` for not at all."""
        return self.headers.get("content-encoding", "identity").lower()


class Answer(NamedTuple):
    """An answer whose status is no error.

    Attributes:
        status: Its status.
        headers: Its headers, by names in any case.
        body: Its body, not compressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


# Yields requests, is sent their answers or thrown the errors that they are, and returns what was asked for.
Call = Generator[Request, Answer, T]


class Transfer(Protocol[T]):
    """What comes piece by piece, over as many requests as it takes.

    A driver sends `request()`, tells what comes of it, and does so again until it is complete.
    """

    @property
    def complete(self) -> bool:
        """Whether everything was returned."""
        ...

    def request(self) -> Request:
        """Return the request for what is not there yet.

        Raises:
            UnavailableError: It cannot go on where it broke off.
        """
        ...

    def begin(self, head: Head) -> None:
        """Take the head of an answer that is no error."""
        ...

    def feed(self, data: bytes) -> list[T]:
        """Take bytes of the body; return what is whole with them."""
        ...

    def end(self) -> list[T]:
        """Take that the body has ended; return what is whole by that.

        Raises:
            UnavailableError: It has ended too early.
        """
        ...
