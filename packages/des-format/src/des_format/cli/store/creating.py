"""The commands `des store init` and `des store info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...routing import RoutingScheme
from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..sizes import plural
from . import options
from .opening import open_store

if TYPE_CHECKING:
    from ...store import Descriptor

__all__ = ["info", "init"]


@examples("des store init archive", "des store init s3://bucket/archive --n-bits 4")
def init(
    ctx: typer.Context,
    url: options.Url,
    n_bits: Annotated[int, typer.Option("--n-bits", min=0, max=16, help="There will be 2**BITS shards a day.")] = 8,
    routing: Annotated[RoutingScheme, typer.Option(help="How a uid becomes a shard.")] = RoutingScheme.MODULO_CRC32,
    json: Json = False,
) -> None:
    """Make a new store, in a folder or under a prefix.

    Shards and routing stay as they are for ever. An object store must have conditional writes, which is tried out:
    without them commits would overwrite each other, and no store is made.
    """
    from ...store import DesStore

    with DesStore.init(url, n_bits=n_bits, scheme=routing) as store:
        if json:
            write_json(_described(url, store.descriptor))
        else:
            shards = plural(1 << n_bits, "shard")
            ctx.obj.note(
                f"store {store.descriptor.store_id} made in {printable(url)}: {shards} a day, routing {routing}"
            )


@examples("des store info archive", "des store info --json s3://bucket/archive | jq .n_bits")
def info(url: options.Url, json: Json = False) -> None:
    """Show the descriptor of a store.

    It is what all processes that use the store agree on. `des store stats` says what is in it.
    """
    with open_store(url) as store:
        described = _described(url, store.descriptor)
    if json:
        write_json(described)
        return
    for label, value in described.items():
        write_line(f"{label.replace('_', ' '):<16} {printable(str(value))}")


def _described(url: str, descriptor: Descriptor) -> dict[str, Any]:
    return {
        "store": url,
        "store_id": descriptor.store_id,
        "n_bits": descriptor.n_bits,
        "shards_per_day": 1 << descriptor.n_bits,
        "routing": descriptor.scheme.value,
    }
