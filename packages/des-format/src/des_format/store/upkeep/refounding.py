"""Make a lost descriptor anew, from what its store still tells about itself.

Source: docs/store-format.md, section "Descriptor".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ...errors import ConfigurationError, CorruptArchiveError, DesError, StoreExistsError, StoreNotFoundError
from ...opening import ReadOptions
from ...ports.objects import ObjectMeta
from ...routing import RoutingScheme
from ..descriptor import Descriptor, create_descriptor, read_descriptor
from ..model.checkedjson import decode_checked
from ..model.ids import new_id
from ..model.keys import DESCRIPTOR_KEY, ObjectKind, ShardKey, StoreObject, classify
from ..sansio.effects import Data, Effects, List, ReadAll, Write, ask, value_of
from .inspecting import misfits, open_archive

__all__ = ["rebuild_descriptor"]

T = TypeVar("T")

_SAMPLE = 64

Listed = tuple[StoreObject, ObjectMeta]


def rebuild_descriptor(n_bits: int, scheme: RoutingScheme, store_id: str | None) -> Effects[Descriptor]:
    """Write the descriptor of a store that lost it; a damaged one is replaced, and kept under another key.

    Args:
        n_bits: What it said.
        scheme: What it said.
        store_id: What it said; None to take it from the store's manifests, or a new one where there are none.

    Raises:
        StoreExistsError: There is a descriptor.
        ConfigurationError: The store's own objects contradict the arguments; nothing was written.
        StoreNotFoundError: There is nothing that a descriptor could be for.
    """
    damaged = yield from _damaged_descriptor()
    objects: list[ObjectMeta] = yield from ask(List(""))
    listed = [(one, meta) for meta in objects if (one := classify(meta["path"])) is not None and one.shard]
    if not listed:
        raise StoreNotFoundError("no archives, and no manifests, are here; `des store init` makes a new store")
    found = yield from _store_id(listed)
    if store_id is not None and found not in (None, store_id):
        raise ConfigurationError(f"store id {store_id} contradicts the store's manifests, which say {found}")
    descriptor = Descriptor(found or store_id or new_id(), n_bits, scheme)
    _check_shards(descriptor, listed)
    yield from _check_routing(descriptor, listed)
    if damaged is None:
        yield from create_descriptor(descriptor)
    else:
        yield from ask(Write(f"{DESCRIPTOR_KEY}.{new_id()}.damaged", damaged.data))
        yield from ask(Write(DESCRIPTOR_KEY, descriptor.encode(), damaged.e_tag))
    return descriptor


def _damaged_descriptor() -> Effects[Data | None]:
    """The descriptor's damaged bytes, or None when there are none."""
    try:
        found = yield from read_descriptor()
    except StoreNotFoundError:
        return None
    except CorruptArchiveError:
        damaged: Data = yield from ask(ReadAll(DESCRIPTOR_KEY))
        return damaged
    raise StoreExistsError(f"{DESCRIPTOR_KEY} is there, and names store {found.store_id}")


def _store_id(listed: Sequence[Listed]) -> Effects[str | None]:
    """The store's id according to its manifests, or else to its records of deletions; None for no word of it."""
    for kind in (ObjectKind.MANIFEST, ObjectKind.TOMBSTONES):
        keys = _some([meta["path"] for one, meta in listed if one.kind is kind])
        replies: list[Any] = (yield [ReadAll(key) for key in keys]) if keys else []
        ids: dict[str, str] = {}
        for key, reply in zip(keys, replies, strict=True):
            try:
                ids.setdefault(decode_checked(value_of(reply).data, key)["store_id"], key)
            except (DesError, KeyError, TypeError) as error:
                if isinstance(error, DesError) and error.retryable:
                    raise
        if len(ids) > 1:
            found = ", ".join(f"{key} is of store {store_id}" for store_id, key in ids.items())
            raise ConfigurationError(f"objects of several stores are here: {found}")
        if ids:
            return next(iter(ids))
    return None


def _check_shards(descriptor: Descriptor, listed: Sequence[Listed]) -> None:
    width = max(1, -(-descriptor.n_bits // 4))
    for one, meta in listed:
        if len(one.shard) != width or int(one.shard, 16) >= 1 << descriptor.n_bits:
            raise ConfigurationError(f"n_bits {descriptor.n_bits} contradicts the store: {meta['path']} is there")


def _check_routing(descriptor: Descriptor, listed: Sequence[Listed]) -> Effects[None]:
    """Compare the first names of some archives with where these archives are."""
    for one, meta in _some([item for item in listed if item[0].kind is ObjectKind.ARCHIVE]):
        where = ShardKey(one.day, one.shard)
        try:
            archive, pages = yield from open_archive(where, one.id, meta, ReadOptions())
            entries = (yield from archive.run(archive.core.list_page(pages[0]))) if pages else []
        except DesError as error:
            if error.retryable:
                raise
            continue  # It says nothing; `verify` names it once the descriptor is there.
        if strangers := misfits(descriptor, where, entries):
            raise ConfigurationError(
                f"n_bits {descriptor.n_bits} and routing {descriptor.scheme} contradict the store:"
                f" entry {strangers[0]!r} of {meta['path']} would belong to another shard"
            )


def _some(items: Sequence[T]) -> Sequence[T]:
    """At most `_SAMPLE` of the items, evenly spread."""
    step = max(1, -(-len(items) // _SAMPLE))
    return items[::step]
