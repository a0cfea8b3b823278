"""The command `des store ls`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import EntryNotFoundError, InvalidInputError
from ..help import examples
from ..listing import described, long_columns
from ..messages import printable
from ..output import write_json, write_line, write_name
from . import options
from .opening import open_any
from .times import Point, parse_point

if TYPE_CHECKING:
    from ...store import DesStore, StoredEntry
    from ...store.legacy import LegacyStore

__all__ = ["ls"]

_ALL = "all"


@examples(
    "des store ls archive",
    "des store ls -l archive 20251125 4D",
    "des store ls archive 20251125 all reports/ --as-of 2025-12-01T00:00:00Z",
    "des store ls --json archive 20251125 | jq -r 'select(.size > 1000000) | .uid'",
    "des store ls --layout datavision --n-bits 6 old-folder 20251125",
)
def ls(
    url: options.Url,
    day: Annotated[
        str | None, typer.Argument(metavar="DAY", help="The UTC day, as YYYYMMDD or YYYY-MM-DD; else days are listed.")
    ] = None,
    shard: Annotated[
        str | None, typer.Argument(metavar="SHARD", help="Only this shard, in hex; `all` for every one.")
    ] = None,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Only uids that begin so.", show_default=False)] = "",
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With size, size as stored, codec, modification time (UTC) and shard.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with place and metadata, sizes in bytes.")
    ] = False,
    null: Annotated[bool, typer.Option("--null", "-0", help="End names with NUL instead of a new line.")] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|SEQUENCE",
            help="As it was at a time, or right after a commit of one shard, by its number in `des store history`.",
        ),
    ] = None,
    layout: options.Layout = None,
    n_bits: options.NBits = None,
) -> None:
    """List the days of a store, or the entries of a day.

    Entries come shard by shard, in the order of their uids within each.
    """
    if long + json + null > 1:
        raise InvalidInputError("--long, --json and --null exclude each other")
    style = _Style(long, json, null)
    where = None if shard == _ALL else shard
    point = None if as_of is None else _checked_point(as_of, day, where)
    if point is not None and layout is not None:
        raise InvalidInputError("stores of the published systems have no history; --as-of is left out")
    with open_any(url, layout, n_bits) as store:
        if day is None:
            _list_days(store, style)
            return
        view = store if point is None else store.as_of(**point)  # type: ignore[union-attr]  # It has no layout.
        style.write(view.list(day, where, prefix), prefix)


def _checked_point(as_of: str, day: str | None, shard: str | None) -> Point:
    point = parse_point(as_of)
    if day is None or ("sequence" in point and shard is None):
        raise InvalidInputError("--as-of needs a DAY, and with a sequence a SHARD: each counts its own commits")
    return point


def _list_days(store: DesStore | LegacyStore, style: _Style) -> None:
    for day in store.days():
        if style.json:
            write_json({"day": day, "shards": list(store.shards(day))})
        elif style.long:
            write_line(f"{day}  {len(store.shards(day)):>5}")
        else:
            write_name(day, "\0" if style.null else "\n")


@dataclass(frozen=True, slots=True)
class _Style:
    """How entries are listed."""

    long: bool
    json: bool
    null: bool

    def write(self, entries: Iterable[StoredEntry], prefix: str) -> None:
        stored = None
        for stored in entries:
            self._write(stored)
        if stored is None and prefix:
            raise EntryNotFoundError(f"no uid begins with {prefix!r}")

    def _write(self, stored: StoredEntry) -> None:
        entry = stored.entry
        if self.json:
            place = {"day": stored.day, "shard": stored.shard, "archive_id": stored.archive_id}
            write_json({"uid": entry.name, **place} | {k: v for k, v in described(entry).items() if k != "name"})
        elif self.long:
            write_line(f"{long_columns(entry)}  {stored.shard:<4}  {printable(entry.name)}")
        else:
            write_name(entry.name, "\0" if self.null else "\n")
