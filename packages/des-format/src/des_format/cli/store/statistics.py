"""The command `des store stats`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from ..help import examples
from ..options import Json
from ..output import write_json, write_line
from ..sizes import human_size
from . import options
from .opening import open_store

if TYPE_CHECKING:
    from ...store import DayStats, StoreStats

__all__ = ["stats"]

_COLUMNS = ("shards", "archives", "entries", "raw_bytes", "archive_bytes", "external_bytes", "tombstones", "commits")


@examples("des store stats archive", "des store stats archive --by-day", "des store stats --json archive | jq .entries")
def stats(
    url: options.Url,
    day: options.Day = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each day.")] = False,
    json: Json = False,
) -> None:
    """Add up what a store holds.

    Entries that are deleted or were replaced count until `compact` leaves them out. Only manifests are read.
    """
    with open_store(url) as store:
        found = store.stats(day)
    if json:
        write_json(dataclasses.asdict(found))
    elif by_day:
        write_line("  ".join(["day     ", *(f"{name.replace('_', ' '):>14}" for name in _COLUMNS)]))
        for one in found.by_day:
            write_line("  ".join([one.day, *(f"{_shown(one, name):>14}" for name in _COLUMNS)]))
    else:
        for field in dataclasses.fields(found):
            if field.name != "by_day":
                write_line(f"{field.name.replace('_', ' '):<16} {_shown(found, field.name)}")


def _shown(stats: DayStats | StoreStats, name: str) -> str:
    value: int = getattr(stats, name)
    return human_size(value) if name.endswith("_bytes") else f"{value:,}"
