"""The commands `des store rebuild` and `des store rebuild-descriptor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ...routing import RoutingScheme
from ..exit_codes import PARTLY_FAILED
from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..progress import progress
from ..sizes import plural
from . import options
from .confirming import confirm
from .opening import open_store

if TYPE_CHECKING:
    from ...store import Rebuild

__all__ = ["rebuild", "rebuild_descriptor"]


@examples(
    "des store rebuild archive",
    "des store rebuild archive --write",
    "des store rebuild archive --day 20251125 --shard 4D --force --write --yes",
    "des store rebuild archive --day 20251125 --shard 4D --without 019ab8f4c4007d3e9c51a0b1c2d3e4f5 --write",
)
def rebuild(
    ctx: typer.Context,
    url: options.Url,
    day: options.Day = None,
    shard: options.Shard = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also replace manifests that can be read, and go on where records of deletions cannot."
        ),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Leave this archive out, such as one whose object is lost; repeatable."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write manifests; otherwise this is a dry run.")] = False,
    yes: options.Yes = False,
    json: Json = False,
) -> None:
    """Make lost or damaged manifests anew.

    They are made from the archives and the records of deletions. The history is lost, and nothing else: what was
    deleted stays deleted, and the newer of two entries wins. Objects that cannot be read are named and left out, and
    the command ends with exit code 1; a manifest that is replaced is kept under another key.
    """
    if yes and not write:
        raise InvalidInputError("--yes is for --write; without it this is a dry run")
    with open_store(url) as store:
        if write:
            what = "all manifests" if force or without else "the missing and damaged manifests"
            confirm(ctx.obj, f"Make {what} of {_chosen(url, day, shard)} anew, without their history?", yes=yes)
        with progress(ctx.obj, "rebuilding", in_bytes=False):
            done = store.rebuild(day, shard, dry_run=not write, force=force, without=without or ())
    for one in done:
        write_json(_described(one)) if json else write_line(printable(_line(one)))
        for problem in one.problems:
            ctx.obj.problem(str(one.where), str(problem))
        if one.is_blocked:
            ctx.obj.problem(str(one.where), "deleted entries might come back; --force goes on without these records")
    made = plural(sum(not one.is_blocked for one in done), "manifest")
    ctx.obj.note(f"{made} made anew" if write else f"dry run: {made} would be made anew with --write")
    if ctx.obj.problem_count:
        raise typer.Exit(PARTLY_FAILED)


def _chosen(url: str, day: str | None, shard: str | None) -> str:
    return " ".join(part for part in (url, day and f"day {day}", shard and f"shard {shard}") if part)


def _described(one: Rebuild) -> dict[str, Any]:
    return {
        "day": one.where.day,
        "shard": one.where.shard,
        "why": one.why,
        "archives": list(one.archives),
        "tombstone_count": one.tombstone_count,
        "blocked": one.is_blocked,
        "sequence": one.sequence,
        "kept_as": one.kept_as,
        "problems": [{"where": each.where, "name": each.name, "message": each.message} for each in one.problems],
    }


def _line(one: Rebuild) -> str:
    held = f"{plural(len(one.archives), 'archive')}, {plural(one.tombstone_count, 'tombstone')}"
    kept = f", the old one is {one.kept_as}" if one.kept_as else ""
    return f"{one.where}: {held}{kept} ({one.why})"


@examples("des store rebuild-descriptor archive --n-bits 8", "des store rebuild-descriptor archive --n-bits 6 --json")
def rebuild_descriptor(
    ctx: typer.Context,
    url: options.Url,
    n_bits: Annotated[int, typer.Option("--n-bits", min=0, max=16, help="As when the store was made.")],
    routing: Annotated[RoutingScheme, typer.Option(help="As when the store was made.")] = RoutingScheme.MODULO_CRC32,
    store_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The store's id; by default what its manifests say.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a lost or damaged descriptor anew.

    Nothing is written if the store's own objects contradict what is given. A damaged one is kept under another key.
    """
    from ...store import DesStore

    descriptor = DesStore.rebuild_descriptor(url, n_bits=n_bits, scheme=routing, store_id=store_id)
    if json:
        write_json({"store": url, "store_id": descriptor.store_id, "n_bits": n_bits, "routing": routing.value})
    ctx.obj.note(f"descriptor of store {descriptor.store_id} made anew in {printable(url)}")
