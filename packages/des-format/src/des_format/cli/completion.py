"""Shell completion of entry names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import typer

from ..errors import DesError
from ..reader import DesReader
from .reading import open_reader

__all__ = ["complete_name"]

_MOST = 200


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names in the archive of the command line so far that begin with `incomplete`, up to their next `/`."""
    archive: Path | None = ctx.params.get("archive")
    if archive is None:
        return []
    try:
        with open_reader(archive) as reader:
            return list(itertools.islice(_parts(reader, incomplete), _MOST))
    except (DesError, OSError):
        return []  # A shell that completes has no place for errors.


def _parts(reader: DesReader, incomplete: str) -> Iterator[str]:
    last = None
    for entry in reader.entries(incomplete):
        rest, slash, _below = entry.name[len(incomplete) :].partition("/")
        part = f"{incomplete}{rest}{slash}"
        if part != last:
            yield part
        last = part
