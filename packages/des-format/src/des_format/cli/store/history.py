"""The command `des store history`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..sizes import plural
from . import options
from .opening import open_store
from .shards import refuse_foreign
from .times import shown_time

if TYPE_CHECKING:
    from ...store import ArchiveRow, Commit, DesStore, ShardKey, Tombstone

__all__ = ["history"]


@examples(
    "des store history archive 20251125 4D",
    "des store history archive 20251125 4D --uid report.pdf",
    "des store history --json archive 20251125 4D | jq -c 'select(.operation == \"delete\") | .deleted[]'",
)
def history(
    url: options.Url,
    day: Annotated[str, typer.Argument(metavar="DAY", help="The UTC day, as YYYYMMDD or YYYY-MM-DD.")],
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="The shard, in hex.")],
    uid: Annotated[
        str | None,
        typer.Option(metavar="UID", help="Only commits that deleted this entry, or added an archive with it."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the commits of a shard.

    The oldest comes first; what `expire` dropped is not known any more. `des store ls --as-of SEQUENCE` shows what was
    there after each.
    """
    with open_store(url) as store:
        where = store.engine.shard_key(day, shard)
        concerns = (lambda _commit: True) if uid is None else _about(store, where, uid)
        for commit in filter(concerns, store.history(day, shard)):
            if json:
                write_json(_described(commit))
            else:
                write_line(_line(commit))


def _about(store: DesStore, where: ShardKey, uid: str) -> Callable[[Commit], bool]:
    """Whether a commit is about an entry; its archives are asked, so a compaction that carried it on counts."""
    refuse_foreign(store, where, uid)

    def holds(row: ArchiveRow) -> bool:
        archive = store.engine.archives.get(where, row)
        return bool(store.runner.run(archive.run(archive.core.may_hold([uid]))))

    def concerns(commit: Commit) -> bool:
        return any(one.uid == uid for one in commit.tombstones) or any(holds(row) for row in commit.added)

    return concerns


def _described(commit: Commit) -> dict[str, Any]:
    return {
        "sequence": commit.sequence,
        "at": shown_time(commit.at),
        "id": commit.id,
        "operation": commit.operation.value,
        "added": [
            {"id": row.id, "size": row.size, "entries": row.footer.entry_count, "order": row.order}
            for row in commit.added
        ],
        "removed": list(commit.removed),
        "deleted": [
            {"uid": one.uid, "by": one.by, "reason": one.reason, "ticket": one.ticket} for one in commit.tombstones
        ],
        "condemned": [archive_id for archive_id, _at in commit.condemned],
        "released": list(commit.released),
        "collected": list(commit.absolved),
    }


def _line(commit: Commit) -> str:
    ids = {
        "removed": commit.removed,
        "condemned": commit.condemned,
        "released": commit.released,
        "collected": commit.absolved,
    }
    parts = [f"{plural(len(some), 'archive')} {what}" for what, some in ids.items() if some]
    if commit.added:
        entries = sum(row.footer.entry_count for row in commit.added)
        parts.insert(0, f"{plural(len(commit.added), 'archive')} added ({plural(entries, 'entry', 'entries')})")
    parts += [_deletion(one) for one in commit.tombstones]
    what = f"{commit.operation.value:<8}  {'; '.join(parts)}".rstrip()
    return f"{commit.sequence:>6}  {shown_time(commit.at):<27}  {what}"


def _deletion(one: Tombstone) -> str:
    ticket = f" ({one.ticket})" if one.ticket else ""
    return printable(f"{one.uid}: {one.reason}, by {one.by}{ticket}")
