"""The commands `des store put` and `des store put-archive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import InvalidInputError
from ..help import examples
from ..messages import printable
from ..options import Json
from ..output import write_json, write_line
from ..progress import OnBytes, progress
from ..reading import open_reader
from ..sizes import human_size, plural
from . import options
from .grouping import Added, add_grouped
from .incoming import MTIME, Incoming, of_files, of_manifest, parse_meta
from .opening import open_store
from .shards import refuse_foreign
from .times import shown_time

__all__ = ["put", "put_archive"]


@examples(
    "des store put archive report.pdf",
    "des store put archive scan.tif --uid 4711 --created-at 2025-11-25T10:00:00Z --meta '{\"dpi\": 300}'",
    "des store put s3://bucket/archive --from-json files.json --json | jq -r .archive_id | sort -u",
)
def put(
    ctx: typer.Context,
    url: options.Url,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Files, one entry each.")] = None,
    uid: Annotated[
        str | None, typer.Option(metavar="UID", help="Name of the entry of a single file, instead of the file's name.")
    ] = None,
    created_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|mtime",
            help="When the entries were created, with a time zone; by default when each file was last modified.",
        ),
    ] = None,
    meta: Annotated[str | None, typer.Option(metavar="JSON", help="Metadata of the entries, a JSON object.")] = None,
    from_json: Annotated[
        Path | None,
        typer.Option(
            "--from-json",
            metavar="MANIFEST",
            help="Take the files of a JSON list of objects with uid, created_at, size_bytes and source_path.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add files to a store.

    The entries of a shard go into one archive, and become visible together. Each archive is reported on stdout once it
    is durable (--json: each entry, one object a line). Adding a uid again replaces its entry of that day, and restores
    one that was deleted.
    """
    incoming = _incoming(files or [], uid, created_at, meta, from_json)
    total = sum(item.file.size for item in incoming)
    shards = 0
    with open_store(url) as store, progress(ctx.obj, "adding") as advance:
        for added in add_grouped(store, incoming, OnBytes(advance, total)):
            shards += 1
            _report(added, json)
    ctx.obj.note(
        f"{plural(len(incoming), 'entry', 'entries')}, {human_size(total)} added to {plural(shards, 'shard')}"
        f" of {printable(url)}"
    )


def _incoming(
    files: list[Path], uid: str | None, created_at: str | None, meta: str | None, from_json: Path | None
) -> list[Incoming]:
    if bool(files) == (from_json is not None):
        raise InvalidInputError("files or --from-json are expected, and not both")
    if from_json is None:
        return list(of_files(files, uid, created_at or MTIME, None if meta is None else parse_meta(meta)))
    if (uid, created_at, meta) != (None, None, None):
        raise InvalidInputError("--uid, --created-at and --meta are for files; with --from-json the list says it all")
    return list(of_manifest(from_json))


def _report(added: Added, json: bool) -> None:
    receipt = added.receipt
    if not json:
        size = sum(item.file.size for item in added.entries)
        count = plural(len(added.entries), "entry", "entries")
        write_line(f"{receipt.where}  {receipt.archive_id}  {count}, {human_size(size)}")
        return
    for item in added.entries:
        write_json(
            {
                "uid": item.uid,
                "created_at": shown_time(item.created_at),
                "size": item.file.size,
                "day": receipt.where.day,
                "shard": receipt.where.shard,
                "archive_id": receipt.archive_id,
                "sequence": receipt.sequence,
            }
        )


@examples("des store put-archive archive packed.des --day 20251125 --shard 4D")
def put_archive(
    ctx: typer.Context,
    url: options.Url,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A version-3 archive; it is copied.")],
    day: Annotated[str, typer.Option(metavar="DAY", help="The UTC day of its entries, which cannot be checked.")],
    shard: Annotated[str, typer.Option(metavar="HEX", help="The shard of its entries; others are refused.")],
    archive_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Its id, so that adding it twice does nothing; a new one by default."),
    ] = None,
    json: Json = False,
) -> None:
    """Add a finished archive to one shard.

    The big files beside it are added, too.
    """
    with open_store(url) as store:
        where = store.engine.shard_key(day, shard)
        with open_reader(archive) as reader:
            for entry in reader.entries():
                refuse_foreign(store, where, entry.name)
        receipt = store.put_archive(archive, day, shard, archive_id)
    described: dict[str, Any] = {
        "day": receipt.where.day,
        "shard": receipt.where.shard,
        "archive_id": receipt.archive_id,
        "sequence": receipt.sequence,
        "existed": receipt.existed,
    }
    if json:
        write_json(described)
    else:
        write_line(f"{receipt.where}  {receipt.archive_id}")
    done = "had been added before; nothing was changed" if receipt.existed else f"added to {receipt.where}"
    ctx.obj.note(f"{printable(str(archive))}: {done}")
