"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .completion import complete_name

__all__ = [
    "Archive",
    "Base",
    "Dictionary",
    "Exclude",
    "FilesFrom",
    "Follow",
    "FromTar",
    "FromZip",
    "Include",
    "Json",
    "KeepGoing",
    "Level",
    "Names",
    "NoMeta",
    "Null",
    "Overwrite",
    "Prefix",
    "Profile",
    "Sources",
    "Threshold",
]

Archive = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The archive.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of entries.", autocompletion=complete_name)]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON, sizes in bytes.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]

Sources = Annotated[
    list[Path] | None,
    typer.Argument(metavar="SRC", help="Folders, whose files are named by their path below them, and single files."),
]
FromTar = Annotated[
    str | None,
    typer.Option(
        "--from-tar",
        metavar="FILE",
        help="Take the files of a tar archive, also compressed with gzip, bzip2, xz, zstd or lz4; - for stdin.",
    ),
]
FromZip = Annotated[Path | None, typer.Option("--from-zip", metavar="FILE", help="Take the files of a zip archive.")]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="FILE",
        help="Take the files of a list, one path a line, in its order; - for stdin. Folders in it are ignored.",
    ),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="NUL separates the paths of the list, as in `find -print0`.")]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Take only names that match; repeatable. What matches a folder takes it whole."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave out names and folders that match, whatever --include says; repeatable."),
]
Base = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Name files by their path below DIR. For a list this is the current folder, unless given."
    ),
]
Prefix = Annotated[str, typer.Option(metavar="TEXT", help="Put TEXT in front of every name, such as `2025/`.")]
Follow = Annotated[
    bool, typer.Option("--follow", "-L", help="Pack what symbolic links point to, instead of skipping them.")
]
NoMeta = Annotated[bool, typer.Option("--no-meta", help="Store neither modification times nor permissions.")]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going", "-k", help="Leave out what cannot be read, name it, and end with exit code 1; else stop there."
    ),
]

Profile = Annotated[
    Literal["none", "speed", "balanced", "aggressive"],
    typer.Option("--compression", "-c", help="speed is lz4, balanced zstd 3, aggressive zstd 9."),
]
Level = Annotated[int | None, typer.Option(min=1, max=22, help="zstd level, instead of the profile's.")]
Dictionary = Annotated[
    str | None,
    typer.Option(
        metavar="auto|FILE", help="Share a zstd dictionary: one trained on the first files, or a trained one."
    ),
]
Threshold = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Store larger payloads beside the archive, in the folder _bigFiles; up to 1G.",
    ),
]
