"""The command `des convert`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..copying import copy_entries
from ..errors import ArchiveExistsError
from ..writer import DesWriter
from . import options
from .help import examples
from .output import write_json
from .packing import compression_of, parse_threshold
from .progress import OnBytes, progress
from .reading import open_reader
from .sizes import human_size, plural

__all__ = ["convert"]


@examples(
    "des convert old-format.des new.des",
    "des convert photos.des smaller.des --compression aggressive --dictionary auto",
    "des convert photos.des photos.des --overwrite",
)
def convert(
    ctx: typer.Context,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="An archive of any known format; it is not changed.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The archive to write, of version 3.")],
    compression: options.Profile = "balanced",
    level: options.Level = None,
    dictionary: options.Dictionary = None,
    threshold: options.Threshold = "10M",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write an archive anew, as version 3.

    This is for archives of old formats, for other compression, and to leave out the traces of appends. Names, metadata
    and order stay; payloads are checked and compressed anew. If anything in the old archive is damaged or missing, the
    new one does not appear (`des salvage` takes what is intact).
    """
    if new.exists() and not overwrite:
        raise ArchiveExistsError(f"{new} exists; --overwrite replaces it")
    began = time.monotonic()
    with open_reader(old) as reader:
        before = reader.get_stats()
        with progress(ctx.obj, "converting") as advance:
            on_bytes = OnBytes(advance, before.total_size_bytes)
            with DesWriter(
                new,
                compression=compression_of(compression, level, dictionary),
                big_file_threshold=parse_threshold(threshold),
                overwrite=overwrite,
            ) as writer:
                count = copy_entries(reader, writer, lambda entry: on_bytes(entry.size))
    after = writer.get_stats()
    if json:
        write_json(
            {
                "archive": str(new),
                "format_before": reader.format_name,
                "entries": count,
                "payload_bytes": after.total_size_bytes,
                "archive_bytes_before": before.archive_size_bytes,
                "archive_bytes": after.archive_size_bytes,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
        return
    ctx.obj.note(
        f"{plural(count, 'entry', 'entries')} converted from {reader.format_name}:"
        f" {human_size(before.archive_size_bytes)} became {human_size(after.archive_size_bytes)} in {new}"
    )
