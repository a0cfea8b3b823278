"""Options and arguments that several commands of `des store` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["CreatedAt", "Day", "DryRun", "KeyFile", "KeyFiles", "Layout", "NBits", "OneUid", "Shard", "Url", "Yes"]

Url = Annotated[
    str,
    typer.Argument(
        metavar="URL", help="The store: a folder, or a URL such as s3://bucket/prefix if its distribution is installed."
    ),
]
OneUid = Annotated[str, typer.Argument(metavar="UID", help="Name of the entry.")]
CreatedAt = Annotated[
    str,
    typer.Option(
        "--created-at", metavar="TIME", help="When it was created, with a time zone; only its UTC day matters."
    ),
]
Day = Annotated[str | None, typer.Option(metavar="DAY", help="Only this UTC day, as YYYYMMDD or YYYY-MM-DD.")]
Shard = Annotated[str | None, typer.Option(metavar="HEX", help="Only this shard.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can be asked.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Sign with the key in FILE, of 16 bytes or more; a line break at its end does not count.",
    ),
]
KeyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Read only what is signed with the key in FILE; repeatable, while keys are changed.",
    ),
]
Layout = Annotated[
    Literal["des-core", "datavision"] | None,
    typer.Option(help="Read a store that this published system wrote, as it is."),
]
NBits = Annotated[
    int | None,
    typer.Option(
        "--n-bits",
        min=0,
        max=16,
        help="With --layout: there are 2**BITS shards a day, 8 bits by default. Without: the store must agree.",
    ),
]
