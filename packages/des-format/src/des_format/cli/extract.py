"""The command `des extract`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .choosing import Choice
from .completion import complete_name
from .exit_codes import PARTLY_FAILED
from .extracting import Extractor
from .help import examples
from .output import write_json
from .progress import OnBytes, progress
from .reading import open_reader
from .sizes import human_size, plural
from .targetfolder import TargetFolder

__all__ = ["extract"]

_MOST_DEFAULT_JOBS = 4


@examples(
    "des extract photos.des -o photos",
    "des extract photos.des 2025/11/cat.jpg '*.png' -o out",
    "des extract photos.des --prefix 2025/ -o out --overwrite",
)
def extract(
    ctx: typer.Context,
    archive: options.Archive,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Names, folders or patterns, as of --include in `des pack`; none for everything.",
            autocompletion=complete_name,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to extract into; made when it is missing.")
    ] = Path(),
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Only entries whose names begin with TEXT.")] = "",
    overwrite: options.Overwrite = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=64, show_default="one a processor, up to 4", help="Threads."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write entries as files.

    If a file exists already, nothing is extracted, unless --overwrite. A file appears under its name only complete and
    checked, with the modification time and the permissions that `des pack` stored (less the umask). Names that would
    lead out of the folder (.., absolute paths, drive letters, backslashes) and paths through symbolic links are refused
    one by one; such entries and damaged ones are named, and the command ends with exit code 1.
    """
    with open_reader(archive) as reader:
        choice = Choice(reader, names or (), prefix)
        total = choice.check()
        folder = TargetFolder(output, overwrite=overwrite)
        if not overwrite and any(output.iterdir()):
            folder.refuse_existing(choice)
        failed = []
        with progress(ctx.obj, "extracting") as advance:
            on_bytes = OnBytes(advance, total)
            extractor = Extractor(reader, folder, on_bytes)
            for name, error in extractor.run(choice, jobs or min(os.cpu_count() or 1, _MOST_DEFAULT_JOBS)):
                failed.append(name)
                ctx.obj.problem(name, str(error))
    written = extractor.extracted_count
    if json:
        write_json({"extracted": written, "bytes": on_bytes.done, "failed": failed, "folder": str(output)})
    else:
        ctx.obj.note(f"{plural(written, 'file')}, {human_size(on_bytes.done)} extracted into {output}")
    if failed:
        raise typer.Exit(PARTLY_FAILED)
