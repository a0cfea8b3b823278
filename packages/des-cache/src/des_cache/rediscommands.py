"""What a cache in Redis says to the server, and what it makes of the answers; no I/O, for both kinds of clients."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from des_format.errors import UnavailableError

from .bounds import check_seconds
from .breaker import Breaker
from .metrics import CacheMetrics, Operation, Tally
from .sealing import seal, unseal

__all__ = ["Command", "RedisCommands", "Steps", "is_failure"]

T = TypeVar("T")
Command = tuple[Any, ...]
Steps = Generator[list[Command], "list[Any] | Exception", T]
"""Yields commands that can go out together; is sent their replies, of which each may be an error, or the one error."""

_KEYS_AT_ONCE = 500
_BYTES_AT_ONCE = 4 << 20
_GLOB = re.compile(rb"([*?\[\]\\^-])")


def is_failure(error: Exception) -> bool:
    """Whether a client of Redis raises such an error when something is wrong with the server or the way to it.

    By name, so that redis-py and its fork valkey-py are the same, and neither has to be installed.
    """
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    # A client that decodes answers, and cannot be told not to, fails on them.
    return bool(packages & {"redis", "valkey"}) or isinstance(error, OSError | UnicodeDecodeError)


def _is_unreachable(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ConnectionError", "TimeoutError"}) or isinstance(error, OSError)


class RedisCommands:
    """The logic of both caches in Redis; arguments as for `RedisIndexCache`."""

    def __init__(
        self,
        key_prefix: str,
        default_ttl: float | None,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        metrics: CacheMetrics | None = None,
        tier: str = "redis",
    ) -> None:
        check_seconds("default_ttl", default_ttl)
        check_seconds("retry_seconds", retry_seconds)
        self.key_prefix = key_prefix
        self.default_ttl = default_ttl
        self.tally = Tally(tier, metrics)
        self.server = Breaker(retry_seconds=retry_seconds, clock=clock)
        # A server that is full, or a replica, answers reads; its refusals must not stop them.
        self.writes = Breaker(retry_seconds=retry_seconds, clock=clock)

    def get_many(self, keys: Iterable[str]) -> Steps[dict[str, bytes]]:
        """Return what is there and sound; what cannot be asked for is not there."""
        keys = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        damaged: list[str] = []
        for part in _parts(keys):
            if not self.server.allows():
                break
            outcome = yield [("MGET", *map(self._name, part))]
            (replies,) = self._replies("get", outcome, 1)
            for key, data in zip(part, replies if isinstance(replies, list) else [], strict=False):
                if data is not None:
                    value = unseal(key, data) if isinstance(data, bytes) else None
                    if value is None:
                        damaged.append(key)
                    else:
                        found[key] = value
        yield from self._remove_damaged(damaged)
        self.tally.read(len(found), len(keys) - len(found))
        return found

    def _remove_damaged(self, keys: list[str]) -> Steps[None]:
        if keys:
            self.tally.failed("verify", len(keys))
            outcome = yield [("DEL", *map(self._name, keys))]
            self._replies("delete", outcome, 1)

    def set_many(self, items: Mapping[str, bytes], ttl: float | None = None) -> Steps[None]:
        """Keep values for `ttl` seconds, or the default time; those that the server does not take are counted."""
        ttl = self.default_ttl if ttl is None else ttl
        expiry: Command = () if ttl is None else ("PX", max(1, math.ceil(ttl * 1000)))
        for part in _batches(items):
            if not (self.server.allows() and self.writes.allows()):
                return
            commands = [("SET", self._name(key), seal(key, value), *expiry) for key, value in part.items()]
            outcome = yield commands
            replies = self._replies("set", outcome, len(commands))
            if any(isinstance(reply, Exception) for reply in replies):
                self.writes.failed()
            else:
                self.writes.succeeded()

    def set_expiring(self, items: Mapping[str, bytes], ttl: float) -> Steps[None]:
        """Keep values for `ttl` seconds, or for the default time if that is shorter."""
        if ttl > 0:
            yield from self.set_many(items, ttl if self.default_ttl is None else min(ttl, self.default_ttl))
        elif items and self.server.allows():
            outcome = yield [("DEL", *map(self._name, items))]
            self._replies("delete", outcome, 1)

    def delete_many(self, keys: Iterable[str]) -> Steps[None]:
        """Forget keys.

        Raises:
            UnavailableError: The server did not confirm it.
        """
        for part in _parts(list(keys)):
            outcome = yield [("DEL", *map(self._name, part))]
            (reply,) = self._replies("delete", outcome, 1)
            if isinstance(reply, Exception):
                raise UnavailableError(f"Redis did not delete {len(part)} cached values") from reply

    def clear(self) -> Steps[None]:
        """Forget every key with the prefix, and no other.

        Raises:
            UnavailableError: The server did not confirm it.
        """
        pattern = _GLOB.sub(rb"\\\1", self._name("")) + b"*"
        cursor: Any = 0
        while True:
            outcome = yield [("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)]
            (reply,) = self._replies("delete", outcome, 1)
            if not isinstance(reply, Exception) and reply[1]:
                outcome = yield [("UNLINK", *reply[1])]
                (removed,) = self._replies("delete", outcome, 1)
                reply = removed if isinstance(removed, Exception) else reply
            if isinstance(reply, Exception):
                raise UnavailableError("Redis did not clear the cache") from reply
            cursor = int(reply[0])
            if cursor == 0:
                return

    def _name(self, key: str) -> bytes:
        # In bytes: which encoding the client was made with does not matter.
        return (self.key_prefix + key).encode("utf-8", "surrogatepass")

    def _replies(self, operation: Operation, outcome: list[Any] | Exception, count: int) -> Sequence[Any]:
        """One reply for each command, of which some may be errors; all are counted."""
        replies = [outcome] * count if isinstance(outcome, Exception) else outcome
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        if failures:
            self.tally.failed(operation, 1 if isinstance(outcome, Exception) else len(failures))
        if any(map(_is_unreachable, failures)):
            self.server.failed()
        else:
            self.server.succeeded()
        return replies


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE))


def _batches(items: Mapping[str, bytes]) -> Iterable[dict[str, bytes]]:
    """Parts of so few keys and bytes that sending one takes no longer than a timeout is for."""
    part: dict[str, bytes] = {}
    size_bytes = 0
    for key, value in items.items():
        if part and (len(part) == _KEYS_AT_ONCE or size_bytes + len(value) > _BYTES_AT_ONCE):
            yield part
            part, size_bytes = {}, 0
        part[key] = value
        size_bytes += len(value)
    if part:
        yield part
