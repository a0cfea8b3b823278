"""The commands `des store expire` and `des store gc`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ..exit_codes import PARTLY_FAILED
from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..progress import progress
from ..sizes import human_size, plural
from . import options
from .confirming import confirm
from .opening import open_store
from .shards import chosen_shards, failures_named
from .times import parse_duration

if TYPE_CHECKING:
    from ...store import Expiry, GarbageReport

__all__ = ["expire", "gc"]

_SAFE_AGE = timedelta(hours=24)


@examples("des store expire archive --older-than 30d --dry-run", "des store expire archive --older-than 30d --yes")
def expire(
    ctx: typer.Context,
    url: options.Url,
    older_than: Annotated[
        str, typer.Option(metavar="DURATION", help="How much of the past to keep: 0s for none, 36h, 30d, 4w.")
    ],
    day: options.Day = None,
    shard: options.Shard = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    json: Json = False,
) -> None:
    """Drop the history that is older than a time.

    It cannot be read any more, and `gc` deletes what only it needed. The present stays as it is, and so does the state
    at that time and all history after it. A shard that is damaged is named and left as it is, and the command ends
    with exit code 1.
    """
    age = parse_duration(older_than)
    done: list[Expiry] = []
    with open_store(url) as store:
        if not dry_run:
            confirm(ctx.obj, f"Drop the history of {url} that is older than {older_than}?", yes=yes)
        shards = chosen_shards(store, day, shard)
        with progress(ctx.obj, "expiring", in_bytes=False) as advance:
            for number, where in enumerate(shards, 1):
                with failures_named(ctx.obj, where):
                    for one in store.expire(age, where.day, where.shard, dry_run=dry_run):
                        write_json(_expiry(one, dry_run)) if json else write_line(_expiry_line(one))
                        done.append(one)
                advance(number, len(shards))
    commits = plural(sum(one.commits_dropped for one in done), "commit")
    archives = plural(sum(len(one.archives_released) for one in done), "archive")
    result = f"{commits} of {plural(len(done), 'shard')} {'would be ' if dry_run else ''}dropped"
    ctx.obj.note(f"{'dry run: ' if dry_run else ''}{result}, with {archives} for `gc` to delete")
    if ctx.obj.problem_count:
        raise typer.Exit(PARTLY_FAILED)


def _expiry(one: Expiry, dry_run: bool) -> dict[str, Any]:
    return {
        "day": one.where.day,
        "shard": one.where.shard,
        "horizon": one.horizon,
        "commits_dropped": one.commits_dropped,
        "archives_released": list(one.archives_released),
        "tombstones_dropped": one.tombstones_dropped,
        "dry_run": dry_run,
    }


def _expiry_line(one: Expiry) -> str:
    return (
        f"{one.where}: history before sequence {one.horizon}: {plural(one.commits_dropped, 'commit')},"
        f" {plural(len(one.archives_released), 'archive')}, {plural(one.tombstones_dropped, 'tombstone')}"
    )


@examples(
    "des store gc archive",
    "des store gc archive --delete --yes",
    "des store gc archive --json | jq -r '.objects[].key'",
)
def gc(
    ctx: typer.Context,
    url: options.Url,
    min_age: Annotated[str, typer.Option(metavar="DURATION", help="Leave younger objects.")] = "24h",
    day: options.Day = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; otherwise this is a dry run.")] = False,
    yes: options.Yes = False,
    json: Json = False,
) -> None:
    """List or delete what nothing refers to.

    These are archives that `expire` released or that were never committed, and what belonged to them. Deletes only what
    a manifest says is garbage: shards without a manifest, or with a damaged one, are named and left alone, and the
    command ends with exit code 1.
    """
    age = parse_duration(min_age)
    if yes and not delete:
        raise InvalidInputError("--yes is for --delete; without it this is a dry run")
    with open_store(url) as store:
        if age < _SAFE_AGE:
            ctx.obj.warn(f"--min-age {min_age} is below 24h: nobody may be adding big files while garbage is deleted")
        if delete:
            confirm(ctx.obj, f"Delete the garbage of {url} that is older than {min_age}?", yes=yes)
        with progress(ctx.obj, "collecting garbage", in_bytes=False):
            report = store.gc(min_age=age, day=day, dry_run=not delete)
    _report(report, delete, json)
    for text in report.left_alone:
        where, _, why = text.partition(": ")
        ctx.obj.problem(where, f"left alone: {why}")
    ctx.obj.note(_gc_summary(report, url, delete))
    if report.left_alone:
        raise typer.Exit(PARTLY_FAILED)


def _report(report: GarbageReport, delete: bool, json: bool) -> None:
    if not json:
        for one in report.objects:
            write_line(f"{human_size(one.size):>10}  {printable(one.key)}  {one.why}")
        return
    write_json(
        {
            "dry_run": not delete,
            "objects": [
                {"key": one.key, "size": one.size, "kind": one.kind.value, "why": one.why} for one in report.objects
            ],
            "deleted_count": report.deleted_count,
            "freed_bytes": report.freed_bytes,
            "young_count": report.young_count,
            "left_alone": report.left_alone,
        }
    )


def _gc_summary(report: GarbageReport, url: str, delete: bool) -> str:
    young = f"; {report.young_count:,} younger ones were left" if report.young_count else ""
    if delete:
        freed = human_size(report.freed_bytes)
        return f"{plural(report.deleted_count, 'object')}, {freed} deleted from {printable(url)}{young}"
    size = human_size(sum(one.size for one in report.objects))
    return f"dry run: {plural(len(report.objects), 'object')}, {size} would be deleted with --delete{young}"
