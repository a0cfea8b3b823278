"""The commands `des ls` and `des cat`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ..copying import verified_stream
from ..entry import Entry
from ..errors import CorruptArchiveError, DesError, EntryNotFoundError, InvalidInputError
from ..reader import DesReader
from . import options
from .completion import complete_name
from .exit_codes import PARTLY_FAILED, exit_code_of
from .help import examples
from .messages import printable
from .metadata import date_of
from .output import stdout, write_json, write_line, write_name
from .reading import open_reader
from .sizes import human_size, parse_range

__all__ = ["cat", "described", "long_columns", "ls"]

_PIECE_BYTES = 1 << 20


@examples(
    "des ls photos.des",
    "des ls -l photos.des 2025/11/",
    "des ls --json photos.des | jq -r 'select(.size > 1000000) | .name'",
)
def ls(
    archive: options.Archive,
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX",
            help="Only names that begin with PREFIX.",
            show_default=False,
            autocompletion=complete_name,
        ),
    ] = "",
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With size, size as stored, codec and modification time (UTC).")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with metadata, sizes in bytes.")
    ] = False,
    null: Annotated[bool, typer.Option("--null", "-0", help="End names with NUL instead of a new line.")] = False,
) -> None:
    """List entries in the order of their names.

    In the column of the codec, `beside` means that the payload lies beside the archive, in the folder _bigFiles.
    """
    if long + json + null > 1:
        raise InvalidInputError("--long, --json and --null exclude each other")
    entry = None
    with open_reader(archive) as reader:
        for entry in reader.entries(prefix):
            if json:
                write_json(described(entry))
            elif long:
                write_line(f"{long_columns(entry)}  {printable(entry.name)}")
            else:
                write_name(entry.name, "\0" if null else "\n")
    if entry is None and prefix:
        raise EntryNotFoundError(f"no entry's name begins with {prefix!r}")


def described(entry: Entry) -> dict[str, Any]:
    """What there is to know about an entry, for scripts."""
    return {
        "name": entry.name,
        "size": entry.size,
        "stored_size": entry.stored_size,
        "kind": entry.kind.name.lower(),
        "codec": entry.codec.name.lower(),
        "offset": entry.offset,
        "length": entry.length,
        "meta": dict(entry.meta),
    }


def long_columns(entry: Entry) -> str:
    """Size, size as stored, codec and modification time of an entry, aligned."""
    codec = "beside" if entry.is_external else entry.codec.name.lower()
    date = date_of(entry.meta) or "-"
    stored = human_size(entry.stored_size)
    return f"{human_size(entry.size):>10}  {stored:>10}  {codec:<6}  {date:<20}"


@examples(
    "des cat photos.des 2025/11/cat.jpg > cat.jpg",
    "des cat --range 0:512 photos.des 2025/11/cat.jpg | file -",
    "des ls -0 logs.des | xargs -0 des cat logs.des | grep ERROR",
)
def cat(
    ctx: typer.Context,
    archive: options.Archive,
    names: options.Names,
    range_: Annotated[
        str | None,
        typer.Option(
            "--range", metavar="START:END", help="Only payload bytes from START up to END; either may be left out."
        ),
    ] = None,
) -> None:
    """Write payloads to stdout.

    They come one after the other, byte by byte as they were packed. Payloads inside the archive are checked before
    their first byte is written, those beside it at their end; a range of an entry that is not compressed is not
    checked, because checksums cover whole payloads. A name that is missing (exit code 3) or damaged (1) does not keep
    the others from being written.
    """
    start, end = parse_range(range_) if range_ is not None else (0, None)
    code = 0
    with open_reader(archive) as reader:
        for name in names:
            try:
                pieces = _whole(reader, name) if range_ is None else _part(reader, name, start, end)
                for piece in pieces:
                    stdout().write(piece)
            except DesError as error:
                ctx.obj.problem(name, str(error))
                failed = PARTLY_FAILED if isinstance(error, CorruptArchiveError) else exit_code_of(error)
                code = code or failed
    if code:
        raise typer.Exit(code)


def _whole(reader: DesReader, name: str) -> Iterator[bytes]:
    entry = reader.get_entry(name)
    if not entry.is_external:
        yield reader.get_file(name)
        return
    with verified_stream(reader, entry) as stream:
        yield from iter(lambda: stream.read(_PIECE_BYTES), b"")


def _part(reader: DesReader, name: str, start: int, end: int | None) -> Iterator[bytes]:
    with reader.open(name) as stream:
        at = stream.seek(start)
        while piece := stream.read(_PIECE_BYTES if end is None else max(0, min(_PIECE_BYTES, end - at))):
            at += len(piece)
            yield piece
