"""The group `des store`: its commands."""

from __future__ import annotations

import typer

from ..help import examples
from . import (
    adding,
    cleaning,
    compacting,
    creating,
    getting,
    history,
    listing,
    locating,
    rebuilding,
    removing,
    statistics,
    verifying,
)

__all__ = ["store"]

store = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@store.callback()
@examples(
    "des store init archive",
    "des store put archive report.pdf --created-at 2025-11-25T10:00:00Z",
    "des store get archive report.pdf --created-at 2025-11-25T10:00:00Z -o report.pdf",
    "des store ls archive 20251125",
)
def main() -> None:
    """Work on a store of archives.

    A store is a folder, or a prefix of an object store. It keeps entries by uid and UTC day of creation. Any number of
    processes may add, delete and read at the same time. What is deleted or replaced stays readable in the past, until
    `expire`, and takes space until `gc`.
    """


store.command("init")(creating.init)
store.command("info")(creating.info)
store.command("put")(adding.put)
store.command("put-archive")(adding.put_archive)
store.command("get")(getting.get)
store.command("ls")(listing.ls)
store.command("rm")(removing.rm)
store.command("locate")(locating.locate)
store.command("history")(history.history)
store.command("stats")(statistics.stats)
store.command("verify")(verifying.verify)
store.command("compact")(compacting.compact)
store.command("expire")(cleaning.expire)
store.command("gc")(cleaning.gc)
store.command("rebuild")(rebuilding.rebuild)
store.command("rebuild-descriptor")(rebuilding.rebuild_descriptor)
