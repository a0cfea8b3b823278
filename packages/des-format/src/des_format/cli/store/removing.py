"""The command `des store rm`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json
from ..sizes import plural
from . import options
from .confirming import confirm
from .opening import open_store
from .times import parse_time

__all__ = ["rm"]


@examples(
    "des store rm archive report.pdf --created-at 2025-11-25T10:00:00Z --reason 'erasure request' --by j.doe",
    "des store rm archive 4711 4712 --created-at 2025-11-25T00:00:00Z --reason GDPR --by dpo --ticket REQ-7 --yes",
)
def rm(
    ctx: typer.Context,
    url: options.Url,
    uids: Annotated[list[str], typer.Argument(metavar="UID", help="Names of entries of one day.")],
    created_at: options.CreatedAt,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the deletion.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who asks for it; kept with the deletion.")],
    ticket: Annotated[str | None, typer.Option(metavar="TEXT", help="Reference of the request.")] = None,
    yes: options.Yes = False,
    json: Json = False,
) -> None:
    """Delete entries.

    If one is missing (exit code 3) or deleted already (7), none is deleted. Deleted entries are hidden at once,
    whatever time of their day is asked for. The past still shows them (`ls --as-of`), and their bytes are there, until
    `compact`, `expire` and `gc` have run. `put` restores a deleted entry.
    """
    time = parse_time(created_at)
    names = list(dict.fromkeys(uids))
    what = plural(len(names), "entry", "entries")
    with open_store(url) as store:
        confirm(ctx.obj, f"Delete {what} ({_some(names)}) from {url}?", yes=yes)
        receipts = store.delete_many([(name, time) for name in names], reason=reason, by=by, ticket=ticket)
    if json:
        for receipt in receipts:
            write_json({"day": receipt.where.day, "shard": receipt.where.shard, "sequence": receipt.sequence})
    commits = ", ".join(f"{receipt.where} sequence {receipt.sequence}" for receipt in receipts)
    ctx.obj.note(f"{what} deleted from {printable(url)}: {commits}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
