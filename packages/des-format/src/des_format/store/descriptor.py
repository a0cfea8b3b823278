"""The descriptor `des-store.json`: what every process that uses a store must agree on, created once.

Source: docs/store-format.md, section "Descriptor".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..errors import (
    ConflictError,
    CorruptArchiveError,
    InvalidInputError,
    ObjectNotFoundError,
    StoreExistsError,
    StoreNotFoundError,
    UnavailableError,
    UnsupportedFormatError,
)
from ..ports.objects import ObjectMeta
from ..routing import MAX_BITS, RoutingScheme
from .model.keys import DESCRIPTOR_KEY, classify
from .sansio.effects import Effects, List, ReadAll, Write, ask

__all__ = ["FORMAT_VERSION", "Descriptor", "create_descriptor", "found_store", "read_descriptor"]

FORMAT_VERSION = 1
# Where a store's objects are, they come first: their keys begin with digits.
_LOOKED_AT = 1000
_STORE_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a store's processes agree on.

    Attributes:
        store_id: 32 hex digits, chosen when the store was made.
        n_bits: There are 2**n_bits shards a day.
        scheme: How a uid becomes a shard number.
    """

    store_id: str
    n_bits: int = 8
    scheme: RoutingScheme = RoutingScheme.MODULO_CRC32

    def __post_init__(self) -> None:
        if not 0 <= self.n_bits <= MAX_BITS:
            raise InvalidInputError(f"n_bits {self.n_bits} is out of range; 0 to {MAX_BITS} are allowed")
        if not _STORE_ID.match(self.store_id):
            raise InvalidInputError(f"store id {self.store_id!r}; 32 lower-case hex digits are expected")

    def encode(self) -> bytes:
        """Return the object's bytes."""
        value = {
            "format": "des-store",
            "version": FORMAT_VERSION,
            "store_id": self.store_id,
            "n_bits": self.n_bits,
            "routing": self.scheme.value,
        }
        return json.dumps(value, indent=2).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Descriptor:
        """Read the object's bytes.

        Raises:
            UnsupportedFormatError: Made by a newer version.
            CorruptArchiveError: Anything else that is no descriptor.
        """
        try:
            value: Any = json.loads(data)
            if value["format"] != "des-store":
                raise ValueError(f"format {value['format']!r}, expected 'des-store'")
            version = value["version"]
            if version == FORMAT_VERSION:
                return cls(str(value["store_id"]), int(value["n_bits"]), RoutingScheme(value["routing"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptArchiveError(f"{DESCRIPTOR_KEY} is no descriptor of a store: {error!r}") from error
        raise UnsupportedFormatError(
            f"{DESCRIPTOR_KEY} has version {version!r}, this des-format reads version {FORMAT_VERSION}"
        )


def read_descriptor() -> Effects[Descriptor]:
    """Read the descriptor.

    Raises:
        StoreNotFoundError: There is none.
    """
    try:
        found = yield from ask(ReadAll(DESCRIPTOR_KEY))
    except ObjectNotFoundError as error:
        raise StoreNotFoundError(
            f"no store is here: {DESCRIPTOR_KEY} is missing; `des store init` makes a store,"
            " `des store rebuild-descriptor` a lost descriptor; those of the published systems need a layout"
        ) from error
    return Descriptor.decode(found.data)


def found_store(descriptor: Descriptor) -> Effects[None]:
    """Write the descriptor of a new store.

    Raises:
        StoreExistsError: There is a store, or there are objects of one that has lost its descriptor; nothing was
            changed.
    """
    listed: list[ObjectMeta] = yield from ask(List("", limit=_LOOKED_AT))
    if orphan := next((meta["path"] for meta in listed if classify(meta["path"]) is not None), None):
        try:
            found = yield from read_descriptor()
        except StoreNotFoundError as error:
            raise StoreExistsError(
                f"a store is here whose {DESCRIPTOR_KEY} is lost, as {orphan} shows; a new one would not open its"
                " shards: `des store rebuild-descriptor` makes the old one anew"
            ) from error
        raise StoreExistsError(f"a store is here already: {DESCRIPTOR_KEY} names store {found.store_id}")
    yield from create_descriptor(descriptor)


def create_descriptor(descriptor: Descriptor) -> Effects[None]:
    """Write the descriptor, unless there is one.

    Raises:
        StoreExistsError: There is another one; nothing was changed.
    """
    try:
        yield from ask(Write(DESCRIPTOR_KEY, descriptor.encode()))
    except (ConflictError, UnavailableError) as error:
        # The reply may have been lost: whose descriptor is there decides.
        try:
            found = yield from read_descriptor()
        except StoreNotFoundError:
            raise error from None
        if found != descriptor:
            raise StoreExistsError(f"a store is here already: {DESCRIPTOR_KEY} names store {found.store_id}") from error
