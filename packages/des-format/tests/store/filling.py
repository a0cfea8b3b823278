"""Shards with a history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from des_format.store import Commit, DesStore, Operation, ShardKey
from des_format.store.model.state import NO_TIME

__all__ = ["AT", "DAY", "fill"]

DAY = "20251125"
AT = datetime(2025, 11, 25, 12, tzinfo=UTC)


def _nothing(_shard: object) -> Commit:
    return Commit(0, NO_TIME, "", Operation.CONDEMN)


def fill(commits: int) -> Callable[[DesStore], None]:
    """At most three archives, and commits of nothing before them: a shard of few archives is quick to look at."""

    def prepare(store: DesStore) -> None:
        for where in [ShardKey(DAY, shard) for shard in "01"[: 2**store.descriptor.n_bits]]:
            for _ in range(commits - 3):
                store.runner.run(store.engine.writes.commit(where, _nothing))
        for number in range(min(3, commits)):
            store.put(str(number), AT, f"version {number}".encode())

    return prepare
