"""The shards that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...errors import ConflictError, CorruptArchiveError, InvalidInputError, NotFoundError
from ...routing import locate_shard
from ..messages import Messages

if TYPE_CHECKING:
    from ...store import DesStore, ShardKey

__all__ = ["chosen_shards", "failures_named", "refuse_foreign"]

_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def chosen_shards(store: DesStore, day: str | None, shard: str | None) -> list[ShardKey]:
    """The shards that an operation is for; `shard` alone means that one of every day."""
    engine = store.engine
    if day is not None and shard is not None:
        return [engine.shard_key(day, shard)]
    found = store.runner.run(engine.all_shards(day))
    return found if shard is None else [where for where in found if where == engine.shard_key(where.day, shard)]


@contextmanager
def failures_named(messages: Messages, where: ShardKey) -> Iterator[None]:
    """Report what is wrong with one shard, so that the others get their turn."""
    try:
        yield
    except (ConflictError, CorruptArchiveError, NotFoundError) as error:
        messages.problem(str(where), str(error))


def refuse_foreign(store: DesStore, where: ShardKey, uid: str) -> None:
    """Check that a uid belongs to a shard; elsewhere nobody looks for it.

    Raises:
        InvalidInputError: It does not.
    """
    descriptor = store.descriptor
    shard = locate_shard(uid, _ANY_TIME, descriptor.n_bits, descriptor.scheme).shard_hex
    if shard != where.shard:
        raise InvalidInputError(f"uid {uid!r} belongs to shard {shard}, not {where.shard}")
