"""The command `des store verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exit_codes import PARTLY_FAILED
from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..progress import progress
from ..sizes import human_size, parse_share, plural
from . import options
from .cursor import load_cursor, save_cursor
from .opening import open_store
from .times import parse_duration

if TYPE_CHECKING:
    from ...store import StoreVerifyReport

__all__ = ["verify"]


@examples(
    "des store verify archive",
    "des store verify archive --sample 5%",
    "des -q store verify s3://bucket/archive --budget 1h --state /var/lib/des/verify.json",
)
def verify(
    ctx: typer.Context,
    url: options.Url,
    sample: Annotated[
        str, typer.Option(metavar="SHARE", help="Read only this share of each archive's entries, such as 5% or 0.05.")
    ] = "100%",
    budget: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Begin no other archive after so long, such as 60s or 1h.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Go on where the last run with FILE ended, and keep in it where this one does."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check every byte of a store.

    This is the descriptor, manifests and history, archives, big files and records of deletions. Problems are listed on
    stdout, and the command ends with exit code 1; nothing is changed. With --budget and --state, runs of a nightly job
    go round the whole store.
    """
    share = parse_share(sample)
    seconds = None if budget is None else parse_duration(budget).total_seconds()
    with open_store(url) as store:
        store_id = store.descriptor.store_id
        after = None if state is None else load_cursor(state, store_id)
        with progress(ctx.obj, "verifying") as advance:
            report = store.verify(sample=share, budget_seconds=seconds, after=after, progress=advance)
    _write(report, url, after, json)
    if state is not None:
        save_cursor(state, store_id, report.resume_after)
    if not json:
        ctx.obj.note(_verdict(report, url))
    if not report.ok:
        raise typer.Exit(PARTLY_FAILED)


def _write(report: StoreVerifyReport, url: str, after: str | None, json: bool) -> None:
    if not json:
        for problem in report.problems:
            write_line(printable(str(problem)))
        return
    write_json(
        {
            "store": url,
            "ok": report.ok,
            "complete": report.complete,
            "shards_checked": report.shards_checked,
            "archives_checked": report.archives_checked,
            "entries_checked": report.entries_checked,
            "bytes_checked": report.bytes_checked,
            "unreferenced_count": report.unreferenced_count,
            "resumed_after": after,
            "resume_after": report.resume_after,
            "problems": [{"where": one.where, "name": one.name, "message": one.message} for one in report.problems],
        }
    )


def _verdict(report: StoreVerifyReport, url: str) -> str:
    verdict = "ok" if report.ok else plural(len(report.problems), "problem")
    checked = (
        f"{plural(report.shards_checked, 'shard')}, {plural(report.archives_checked, 'archive')},"
        f" {plural(report.entries_checked, 'entry', 'entries')}, {human_size(report.bytes_checked)} checked"
    )
    notes = [] if report.complete else ["only a sample of the entries was read"]
    if report.unreferenced_count:
        notes.append(f"{plural(report.unreferenced_count, 'object')} for `gc` to look at")
    if report.resume_after is not None:
        notes.append(f"the time was over after {report.resume_after}")
    return f"{printable(url)}: {verdict}; {'; '.join([checked, *notes])}"
