"""The commands `des to-tar` and `des to-zip`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from ..reader import DesReader
from . import options
from .exit_codes import PARTLY_FAILED
from .gathering import STDIN
from .help import examples
from .messages import Messages
from .progress import OnBytes, progress
from .reading import open_reader
from .sizes import human_size, plural

__all__ = ["to_tar", "to_zip"]

Failed = Callable[[str, Exception], None]
Write = Callable[[DesReader, IO[bytes], Failed, Callable[[int], None]], int]


@examples(
    "des to-tar photos.des -o photos.tar",
    "des to-tar photos.des -o photos.tar.zst",
    "des to-tar photos.des -o - | tar -tvf -",
)
def to_tar(
    ctx: typer.Context,
    archive: options.Archive,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The tar archive; compressed for .gz, .bz2, .xz, .zst; - for stdout."
        ),
    ],
    overwrite: options.Overwrite = False,
) -> None:
    """Write all entries as a tar archive.

    The tar is of the pax format, its members in the order in which the entries were added. Modification times and
    permissions become those of the members; other metadata goes into a pax record `DES.meta`, from which `des pack
    --from-tar` reads it back. Names that would lead out of a folder are left out and named, and the command ends with
    exit code 1.
    """
    from .exporting import write_tar

    _export(ctx.obj, archive, output, overwrite, write_tar, compressible=True)


@examples("des to-zip photos.des -o photos.zip", "des to-zip photos.des --store -o - > photos.zip")
def to_zip(
    ctx: typer.Context,
    archive: options.Archive,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The zip archive; - for stdout.")],
    store: Annotated[bool, typer.Option("--store", help="Do not compress.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write all entries as a zip archive.

    Its members are in the order in which the entries were added. Modification times (to the second) and permissions
    become those of the members; other metadata is left out. Names that would lead out of a folder are left out and
    named, and the command ends with exit code 1.
    """
    from .exporting import write_zip

    _export(ctx.obj, archive, output, overwrite, partial(write_zip, compressed=not store))


def _export(
    messages: Messages, archive: Path, output: str, overwrite: bool, write: Write, *, compressible: bool = False
) -> None:
    from .exporting import opened_output

    path = None if output == STDIN else Path(output)
    with open_reader(archive) as reader, progress(messages, "exporting") as advance:
        on_bytes = OnBytes(advance, reader.get_stats().total_size_bytes)
        with opened_output(path, overwrite=overwrite, compressible=compressible) as file:
            count = write(reader, file, lambda name, error: messages.problem(name, str(error)), on_bytes)
    messages.note(f"{plural(count, 'entry', 'entries')}, {human_size(on_bytes.done)} written to {path or 'stdout'}")
    if messages.problem_count:
        raise typer.Exit(PARTLY_FAILED)
