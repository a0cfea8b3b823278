"""The command `des store compact`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exit_codes import PARTLY_FAILED
from ..help import examples
from ..options import Json
from ..output import write_json, write_line
from ..progress import in_turn, progress
from ..sizes import human_size, parse_size, plural
from . import options
from .opening import open_store
from .shards import chosen_shards, failures_named

if TYPE_CHECKING:
    from ...store import Compaction

__all__ = ["compact"]


@examples(
    "des store compact archive",
    "des store compact archive --day 20251125 --dry-run",
    "des store compact archive --day 20251125 --shard 4D --full",
)
def compact(
    ctx: typer.Context,
    url: options.Url,
    day: options.Day = None,
    shard: options.Shard = None,
    target: Annotated[str, typer.Option(metavar="SIZE", help="Make no larger archives of smaller ones.")] = "1G",
    full: Annotated[bool, typer.Option("--full", help="Merge whatever fits, however little is gained.")] = False,
    rewrite: Annotated[
        bool,
        typer.Option("--rewrite", help="Write every entry anew, where the storage could copy the largest archive."),
    ] = False,
    dry_run: options.DryRun = False,
    json: Json = False,
) -> None:
    """Merge the small archives of each shard.

    What is deleted or was replaced is left out. Every entry of a new archive is compared with the old ones before it
    takes their place. Nothing is deleted: the old archives serve the past until `expire` and `gc`. A shard that is
    damaged is named and left as it is, and the command ends with exit code 1.
    """
    target_bytes = parse_size(target)
    done: list[Compaction] = []
    with open_store(url) as store, progress(ctx.obj, "compacting") as advance:
        on_bytes = in_turn(advance)
        for where in chosen_shards(store, day, shard):
            with failures_named(ctx.obj, where):
                for one in store.compact(
                    where.day,
                    where.shard,
                    target_bytes=target_bytes,
                    full=full,
                    rewrite=rewrite,
                    dry_run=dry_run,
                    progress=on_bytes,
                ):
                    write_json(_described(one, dry_run)) if json else write_line(_line(one, dry_run))
                    done.append(one)
    ctx.obj.note(_summary([one for one in done if not one.abandoned], dry_run))
    if ctx.obj.problem_count:
        raise typer.Exit(PARTLY_FAILED)


def _described(one: Compaction, dry_run: bool) -> dict[str, Any]:
    return {
        "day": one.where.day,
        "shard": one.where.shard,
        "inputs": list(one.inputs),
        "output": one.output,
        "entries_kept": one.entries_kept,
        "entries_dropped": one.entries_dropped,
        "bytes_before": one.bytes_before,
        "bytes_after": one.bytes_after,
        "abandoned": one.abandoned,
        "copied_bytes": one.copied_bytes,
        "refusal": one.refusal,
        "dry_run": dry_run,
    }


def _line(one: Compaction, dry_run: bool) -> str:
    inputs = f"{one.where}: {plural(len(one.inputs), 'archive')} of {human_size(one.bytes_before)}"
    if dry_run:
        return f"{inputs} would be compacted"
    if one.abandoned:
        return f"{inputs} left as they are: another process replaced one of them, or collected the result, first"
    dropped = f"{plural(one.entries_dropped, 'entry', 'entries')} dropped"
    if one.output is None:
        return f"{inputs} had nothing to keep, {dropped}"
    kept = f"{plural(one.entries_kept, 'entry', 'entries')} kept"
    copied = f", {human_size(one.copied_bytes)} copied by the storage" if one.copied_bytes else ""
    refused = f" (copying by the storage failed: {one.refusal})" if one.refusal else ""
    return f"{inputs} became {one.output} of {human_size(one.bytes_after)}, {kept}, {dropped}{copied}{refused}"


def _summary(done: list[Compaction], dry_run: bool) -> str:
    if not done:
        return "nothing to compact"
    inputs = plural(sum(len(one.inputs) for one in done), "archive")
    if dry_run:
        return f"dry run: {inputs} would become {len(done):,} or fewer; nothing was changed"
    outputs = sum(one.output is not None for one in done)
    dropped = sum(one.entries_dropped for one in done)
    return f"{inputs} became {outputs:,}, {plural(dropped, 'entry', 'entries')} dropped"
