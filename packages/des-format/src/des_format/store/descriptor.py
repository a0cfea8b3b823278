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
from ..routing import MAX_BITS, RoutingScheme
from .effects import Effects, ReadAll, Write, ask
from .keys import DESCRIPTOR_KEY

__all__ = ["FORMAT_VERSION", "Descriptor", "create_descriptor", "read_descriptor"]

FORMAT_VERSION = 1
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
            f"no store is here: {DESCRIPTOR_KEY} is missing; `des store init` makes one,"
            " and stores of the published systems are opened with layout="
        ) from error
    return Descriptor.decode(found.data)


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
