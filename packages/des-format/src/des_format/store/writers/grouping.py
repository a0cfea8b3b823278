"""Group commit: entries of many threads or tasks share archives and commits, and each is acknowledged on its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from ...errors import DesError, WriterClosedError
from ..engine import Engine
from ..sansio.running import AsyncRunner, LoopRunner, Runner
from ..writing.writes import Receipt
from .groups import Built, GroupLimits, Member, Waiting, accept, build_group, fail, settle

__all__ = ["AsyncGroupWriter", "GroupLimits", "GroupWriter"]

_CLOSED = "the group writer is closed"
_SHARDS_AT_A_TIME = 16


class GroupWriter:
    """Adds entries of many threads to a store, in groups. Made by `DesStore.group_writer`.

    While one group is written, the next one gathers: the more comes, the more share a commit, and nothing waits for a
    timer. A shard that fails fails its own entries, an entry that is refused only itself. Of equal names the one that
    was added later wins.

    An accepted entry is never dropped silently: its future ends with a receipt or an error, also when the `with` block
    ends by an exception. Only a process that ends without `close` leaves futures that never end.
    A forked child needs a writer of its own.

    Args:
        engine: The store's logic.
        runner: Runs it.
        limits: How entries are grouped.
    """

    def __init__(self, engine: Engine, runner: Runner, limits: GroupLimits) -> None:
        self._engine = engine
        self._runner = runner
        self._limits = limits
        self._waiting = Waiting(limits)
        self._in_flight: Sequence[Member] = ()
        self._flushing = 0
        self._closing = False
        self._process = os.getpid()
        lock = threading.Lock()
        self._wanted = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._threads = ThreadPoolExecutor(_SHARDS_AT_A_TIME, thread_name_prefix="des-group-writer")
        self._thread = threading.Thread(target=self._work, name="des-group-writer", daemon=True)
        self._thread.start()

    def add(
        self, uid: str | int, created_at: datetime, data: bytes | bytearray | memoryview, meta: Any = None
    ) -> Future[Receipt]:
        """Accept an entry; blocks while too many bytes wait.

        Args:
            uid: Its name.
            created_at: When it was created, with a time zone.
            data: The payload; copied, unless it is `bytes`.
            meta: A JSON object, or None; copied.

        Returns:
            Its end: a receipt once the entry is durable and visible, or the error of `DesStore.put`, also when the
            entry is refused at once. Callbacks run in the writer's thread and must not wait for it.
            Cancelling it works until the entry's group is begun.

        Raises:
            WriterClosedError: The writer was closed, or belongs to another process.
        """
        self._check_process()
        try:
            member = accept(self._engine, uid, created_at, data, meta)
        except (DesError, TypeError) as error:
            refused: Future[Receipt] = Future()
            refused.set_exception(error)
            return refused
        with self._room:
            self._room.wait_for(lambda: self._closing or self._waiting.has_room(member))
            if self._closing:
                raise WriterClosedError(f"entry {member.name!r} cannot be added: {_CLOSED}")
            self._waiting.add(member)
            if len(self._waiting) == 1 or self._waiting.is_enough:
                self._wanted.notify()
        return member.future

    def flush(self) -> None:
        """Wait until every entry that was added before has come to its end, whatever it is."""
        self._check_process()
        with self._wanted:
            self._flushing += 1
            self._wanted.notify()
            futures = [*(member.future for member in self._in_flight), *self._waiting.futures]
        try:
            wait(futures)
        finally:
            with self._wanted:
                self._flushing -= 1

    def close(self) -> None:
        """Accept nothing more, and wait until every entry has come to its end; does nothing in a forked child."""
        if self._process != os.getpid():
            return
        with self._wanted:
            self._closing = True
            self._wanted.notify()
            self._room.notify_all()
        self._thread.join()
        self._threads.shutdown()

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise WriterClosedError(f"this group writer belongs to process {self._process}; make another one here")

    def _work(self) -> None:
        while (group := self._next_group()) is not None:
            try:
                built = build_group(self._engine, self._runner, group)
                # A shard that others write to must not keep the other shards waiting, so each has a thread.
                list(self._threads.map(self._add, built))
            except BaseException as error:  # Nobody else is here to see it: who waits for an entry must.
                fail(group, error)

    def _add(self, built: Built) -> None:
        archive, members = built
        try:
            settle(members, self._runner.run(self._engine.writes.add(archive)))
        except Exception as error:  # Nobody else is here to see it: who waits for an entry must.
            fail(members, error)

    def _next_group(self) -> Sequence[Member] | None:
        with self._wanted:
            self._in_flight = ()
            if not self._waiting:
                self._wanted.wait_for(lambda: self._waiting or self._closing)
                self._wanted.wait_for(self._is_due, self._limits.max_delay_seconds)
            if not self._waiting:
                return None
            self._in_flight = self._waiting.take()
            self._room.notify_all()
            return self._in_flight

    def _is_due(self) -> bool:
        return self._closing or self._flushing > 0 or self._waiting.is_enough

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncGroupWriter:
    """Asynchronous twin of `GroupWriter` for the tasks of one event loop. Made by `AsyncDesStore.group_writer`.

    Args:
        engine: The store's logic.
        runner: Runs it.
        limits: How entries are grouped.
    """

    def __init__(self, engine: Engine, runner: AsyncRunner, limits: GroupLimits) -> None:
        self._engine = engine
        self._runner = runner
        self._limits = limits
        self._waiting = Waiting(limits)
        self._in_flight: Sequence[Member] = ()
        self._flushing = 0
        self._closing = False
        self._wanted = asyncio.Event()
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def add(
        self, uid: str | int, created_at: datetime, data: bytes | bytearray | memoryview, meta: Any = None
    ) -> Receipt:
        """Add an entry, durable and visible when this returns; arguments and errors as for `AsyncDesStore.put`.

        Cancelling it takes the entry back only until its group is begun.

        Raises:
            WriterClosedError: The writer was closed.
        """
        member = accept(self._engine, uid, created_at, data, meta)
        while not self._closing and not self._waiting.has_room(member):
            self._room.clear()
            await self._room.wait()
        if self._closing:
            raise WriterClosedError(f"entry {member.name!r} cannot be added: {_CLOSED}")
        self._waiting.add(member)
        self._notice()
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="des-group-writer")
        return await asyncio.wrap_future(member.future)

    async def flush(self) -> None:
        """Wait until every entry that was added before has come to its end, whatever it is."""
        futures = [*(member.future for member in self._in_flight), *self._waiting.futures]
        self._flushing += 1
        self._notice()
        try:
            await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        finally:
            self._flushing -= 1

    async def close(self) -> None:
        """Accept nothing more, and wait until every entry has come to its end."""
        self._closing = True
        self._notice()
        self._room.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def _notice(self) -> None:
        self._wanted.set()
        if self._closing or self._flushing or self._waiting.is_enough:
            self._due.set()

    async def _work(self) -> None:
        runner = LoopRunner(self._runner, asyncio.get_running_loop())
        try:
            while group := await self._next_group():
                try:
                    built = await asyncio.to_thread(build_group, self._engine, runner, group)
                    await asyncio.gather(*map(self._add, built))
                except Exception as error:  # Nobody else is here to see it: who waits for an entry must.
                    fail(group, error)
        finally:
            # Only a cancelled task, of a loop that ends, leaves any.
            self._closing = True
            left = [*self._in_flight]
            while self._waiting:
                left += self._waiting.take()
            fail(left, WriterClosedError(_CLOSED))

    async def _add(self, built: Built) -> None:
        archive, members = built
        try:
            settle(members, await self._runner.run(self._engine.writes.add(archive)))
        except Exception as error:  # As above.
            fail(members, error)

    async def _next_group(self) -> Sequence[Member]:
        """The next group; an empty one is the end."""
        self._in_flight = ()
        while not self._in_flight:
            if not self._waiting:
                if self._closing:
                    return ()
                self._wanted.clear()
                await self._wanted.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.max_delay_seconds):
                        await self._due.wait()
            self._due.clear()
            self._in_flight = self._waiting.take()
            self._room.set()
        return self._in_flight

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
