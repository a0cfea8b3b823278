"""The command `des store get`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from ...durable import TemporaryFile
from ...errors import ArchiveExistsError, ChecksumMismatchError, InvalidInputError
from ..help import examples
from ..options import Overwrite
from ..output import stdout
from ..sizes import parse_range
from . import options
from .keys import read_key
from .opening import open_any, open_store
from .times import parse_time

if TYPE_CHECKING:
    from ...store import DesStore
    from ...store.legacy import LegacyStore

__all__ = ["get"]

_PIECE_BYTES = 1 << 20

Span = tuple[int, int | None]


@examples(
    "des store get archive report.pdf --created-at 2025-11-25T10:00:00Z -o report.pdf",
    "des store get archive scan.tif --created-at 2025-11-25T10:00:00Z --range 0:512 | file -",
    "des store get --layout des-core s3://old-bucket 4711 --created-at 2025-11-25T10:00:00Z > 4711",
    "des store locate archive report.pdf --created-at 2025-11-25T10:00:00Z | des store get archive --locator - | wc -c",
)
def get(
    url: options.Url,
    uid: Annotated[str | None, typer.Argument(metavar="UID", help="Name of the entry.")] = None,
    created_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it was created, with a time zone; only its UTC day matters."),
    ] = None,
    locator: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Read what `des store locate` printed; - for a line of stdin.")
    ] = None,
    key_file: options.KeyFiles = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a file instead of to stdout.")
    ] = None,
    overwrite: Overwrite = False,
    range_: Annotated[
        str | None,
        typer.Option(
            "--range", metavar="START:END", help="Only payload bytes from START up to END; either may be left out."
        ),
    ] = None,
    layout: options.Layout = None,
    n_bits: options.NBits = None,
) -> None:
    """Write the payload of one entry to stdout, or to a file.

    Payloads are checked before their first byte is written, big files at their end; a file appears complete or not at
    all. A range of an entry that is not compressed is not checked, because checksums cover whole payloads.
    """
    span = None if range_ is None else parse_range(range_)
    if locator is None:
        if uid is None or created_at is None or key_file:
            raise InvalidInputError("UID and --created-at are expected, or --locator, perhaps with --key-file")
        with open_any(url, layout, n_bits) as store:
            _write(output, overwrite, _pieces(store, uid, parse_time(created_at), span))
        return
    if uid is not None or created_at is not None or layout is not None:
        raise InvalidInputError("--locator says where the entry is; UID, --created-at and --layout are left out")
    text = sys.stdin.readline().strip() if locator == "-" else locator
    keys = [read_key(path) for path in key_file] if key_file else None
    with open_store(url, n_bits) as store:
        payload = store.read_locator(text, keys)
        _write(output, overwrite, iter([payload if span is None else payload[slice(*span)]]))


def _pieces(store: DesStore | LegacyStore, uid: str, created_at: datetime, span: Span | None) -> Iterator[bytes]:
    if span is not None:
        with store.open_entry(uid, created_at) as stream:
            yield from _part(stream, *span)
        return
    entry = store.get_entry(uid, created_at).entry
    if not entry.is_external:
        yield store.get(uid, created_at)
        return
    digest = hashlib.sha256()
    with store.open_entry(uid, created_at) as stream:
        for piece in _part(stream, 0, None):
            digest.update(piece)
            yield piece
    if entry.sha256 is not None and digest.hexdigest() != entry.sha256:
        raise ChecksumMismatchError(f"big file {entry.sha256} of entry {uid!r}: its SHA-256 is another one")


def _part(stream: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    at = stream.seek(start)
    while piece := stream.read(_PIECE_BYTES if end is None else max(0, min(_PIECE_BYTES, end - at))):
        at += len(piece)
        yield piece


def _write(path: Path | None, overwrite: bool, pieces: Iterator[bytes]) -> None:
    if path is None or str(path) == "-":
        for piece in pieces:
            stdout().write(piece)
        return
    if path.exists() and not path.is_file():
        raise InvalidInputError(f"{path} is no regular file; `> {path}` writes into it")
    if path.exists() and not overwrite:
        raise ArchiveExistsError(f"{path} exists; --overwrite replaces it")
    with TemporaryFile(path.parent, path.name) as file:
        for piece in pieces:
            file.write(piece)
        file.publish(path, replace=overwrite)
