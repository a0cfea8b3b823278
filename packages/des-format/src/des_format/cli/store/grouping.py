"""Add files so that those of a shard share an archive, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ...errors import DuplicateEntryError
from ...routing import locate_shard
from ..inputs import InputError
from ..packing import CountedStream
from ..progress import OnBytes
from .incoming import Incoming

if TYPE_CHECKING:
    from ...store import DesStore, NewEntry, Receipt

__all__ = ["Added", "add_grouped"]

_BATCH_BYTES = 64 * 2**20
_BATCH_ENTRIES = 100_000

Where = tuple[str, str]


class Added(NamedTuple):
    """An archive that was added, and the files in it."""

    receipt: Receipt
    entries: Sequence[Incoming]


def add_grouped(store: DesStore, incoming: Iterable[Incoming], on_bytes: OnBytes) -> Iterator[Added]:
    """Add files, and yield each archive once it is durable and visible.

    Args:
        store: Where to.
        incoming: The files.
        on_bytes: Called with the bytes that were read.

    Raises:
        DuplicateEntryError: Two have the same uid and day; nothing was added.
        InputError: A file cannot be read, or changed meanwhile; what was yielded stays added.
    """
    small: dict[Where, list[Incoming]] = {}
    size = count = 0
    for where, members in sorted(_by_shard(store, incoming).items()):
        member_bytes = sum(item.file.size for item in members)
        if member_bytes > _BATCH_BYTES:
            yield _stream(store, where, members, on_bytes)
            continue
        if size + member_bytes > _BATCH_BYTES or count + len(members) > _BATCH_ENTRIES:
            yield from _add(store, small, on_bytes)
            small, size, count = {}, 0, 0
        small[where] = members
        size, count = size + member_bytes, count + len(members)
    yield from _add(store, small, on_bytes)


def _by_shard(store: DesStore, incoming: Iterable[Incoming]) -> dict[Where, list[Incoming]]:
    descriptor = store.descriptor
    shards: dict[Where, dict[str, Incoming]] = {}
    for item in incoming:
        place = locate_shard(item.uid, item.created_at, descriptor.n_bits, descriptor.scheme)
        members = shards.setdefault((place.date_dir, place.shard_hex), {})
        if item.uid in members:
            raise DuplicateEntryError(
                f"uid {item.uid!r} comes twice for {place.date_dir}: {members[item.uid].file.path} and"
                f" {item.file.path}; nothing was added"
            )
        members[item.uid] = item
    return {where: list(members.values()) for where, members in shards.items()}


@contextmanager
def _opened(item: Incoming) -> Iterator[BinaryIO]:
    try:
        with item.file.open() as (stream, _):
            yield stream
    except InputError as error:
        raise InputError(f"{item.file.path}: {error}; neither it nor what is not reported was added") from error


def _check_size(item: Incoming, size: int) -> None:
    if size != item.file.size:
        raise InputError(f"changed since the command began: it had {item.file.size} bytes, now {size}")


def _add(store: DesStore, shards: dict[Where, list[Incoming]], on_bytes: OnBytes) -> Iterator[Added]:
    """Add whole shards from memory, side by side."""
    from ...store import NewEntry

    def read(item: Incoming) -> NewEntry:
        with _opened(item) as stream:
            data = stream.read()
            _check_size(item, len(data))
        on_bytes(len(data))
        return NewEntry(item.uid, item.created_at, data, item.meta)

    receipts = iter(store.put_many(read(item) for members in shards.values() for item in members))
    for members in shards.values():
        (receipt, *_) = [next(receipts) for _ in members]
        yield Added(receipt, members)


def _stream(store: DesStore, where: Where, members: Sequence[Incoming], on_bytes: OnBytes) -> Added:
    """Add one shard that may be larger than memory."""
    with store.writer(*where) as writer:
        for item in members:
            with _opened(item) as stream:
                before = on_bytes.done
                counted: Any = CountedStream(stream, on_bytes)
                writer.add_stream(item.uid, counted, item.meta)
                _check_size(item, on_bytes.done - before)
    assert writer.receipt is not None
    return Added(writer.receipt, members)
