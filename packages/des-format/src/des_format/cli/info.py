"""The command `des info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..append import committed_size
from ..archive import Archive
from ..entry import ENTRY_HEAD_SIZE
from ..hashtable import SLOTS_PER_BLOCK
from ..layout import BLOCK_SIZE, FOOTER_SIZE
from ..ranges import drive
from ..sources import FileSource
from . import options
from .help import examples
from .output import write_json, write_line
from .reading import open_reader
from .sizes import human_size, plural

__all__ = ["describe", "info"]


@examples("des info photos.des", "des info --json photos.des | jq .index.load")
def info(ctx: typer.Context, archive: options.Archive, json: options.Json = False) -> None:
    """Show what an archive adds up to, and its geometry.

    Overhead is what the archive takes beyond the stored payloads and the dictionary: heads of entries, names, metadata,
    index, listing. Nothing is checked but what is read; see `des verify`.
    """
    described = describe(archive)
    if json:
        write_json(described)
        return
    for label, value in _lines(described):
        write_line(f"{label:<16} {value}")
    uncommitted = described.get("uncommitted_bytes")
    if uncommitted:
        ctx.obj.note(
            f"{human_size(uncommitted)} at the end belong to an append that is running or was interrupted;"
            " readers ignore them, and the next append removes them"
        )


def describe(path: Path) -> dict[str, Any]:
    """Return everything `des info` knows, sizes in bytes.

    Raises:
        UnsupportedFormatError: Not an archive.
        CorruptArchiveError: A damaged one.
    """
    with open_reader(path) as reader:
        stats = reader.get_stats()
        described: dict[str, Any] = {
            "archive": str(path),
            "format": reader.format_name,
            "has_checksums": reader.core.has_checksums,
            "archive_bytes": stats.archive_size_bytes,
            "entries": stats.total_files,
            "payload_bytes": stats.total_size_bytes,
            "inside": {
                "entries": stats.internal_files,
                "payload_bytes": stats.internal_size_bytes,
                "stored_bytes": stats.stored_size_bytes,
                "ratio": round(stats.compression_ratio, 4),
            },
            "beside": {"entries": stats.external_files, "payload_bytes": stats.external_size_bytes},
        }
        dictionary_bytes = 0
        if isinstance(reader.core, Archive):
            described |= _geometry(path, reader.core)
            dictionary_bytes = described["dictionary"]["bytes"] if described["dictionary"] else 0
        overhead = stats.archive_size_bytes - stats.stored_size_bytes - dictionary_bytes
        described["overhead_bytes"] = overhead
        described["overhead_bytes_per_entry"] = round(overhead / stats.total_files, 1) if stats.total_files else None
    return described


def _geometry(path: Path, archive: Archive) -> dict[str, Any]:
    source = FileSource(path, archive.footer.archive_size)
    try:
        footers = drive(archive.footers(), source)
        dictionary = drive(archive.dictionary(), source)
        meta_blocks = len(drive(archive.directory(), source).rows)
    finally:
        source.close()
    footer = archive.footer
    slots = footer.index_block_count * SLOTS_PER_BLOCK
    return {
        "content_digest": footer.content_digest.hex(),
        "appends": len(footers) - 1,
        "data": {"segments": len(footers), "bytes": sum(part.data_length for part in footers)},
        "meta": {
            "start": footer.meta_start,
            "blocks": meta_blocks,
            "bytes": footer.meta_length + footer.directory_length,
        },
        "index": {
            "start": footer.index_start,
            "blocks": footer.index_block_count,
            "bytes": footer.index_length,
            "load": round(footer.entry_count / slots, 4) if slots else 0.0,
            "hash_seed": footer.hash_seed,
        },
        "superseded_bytes": sum(part.archive_size - part.meta_start for part in footers[:-1]),
        "dictionary": {"id": dictionary.id, "bytes": len(dictionary.data)} if dictionary else None,
        "uncommitted_bytes": path.stat().st_size - footer.archive_size if committed_size(path) is not None else 0,
    }


def _lines(described: dict[str, Any]) -> list[tuple[str, str]]:
    inside, beside = described["inside"], described["beside"]
    lines = [
        ("archive", described["archive"]),
        ("format", described["format"] + ("" if described["has_checksums"] else ", without checksums")),
        ("size", f"{human_size(described['archive_bytes'])} ({described['archive_bytes']:,} bytes)"),
        ("entries", f"{described['entries']:,}"),
        ("payload inside", _payload_inside(inside)),
    ]
    if beside["entries"]:
        lines.append(
            (
                "payload beside",
                f"{human_size(beside['payload_bytes'])} in {plural(beside['entries'], 'entry', 'entries')}",
            )
        )
    per_entry = described["overhead_bytes_per_entry"]
    lines.append(
        ("overhead", human_size(described["overhead_bytes"]) + (f", {per_entry:,} bytes an entry" if per_entry else ""))
    )
    return lines + (_geometry_lines(described) if "index" in described else [])


def _payload_inside(inside: dict[str, Any]) -> str:
    return (
        f"{human_size(inside['payload_bytes'])} in {plural(inside['entries'], 'entry', 'entries')},"
        f" stored in {human_size(inside['stored_bytes'])} ({inside['ratio']:.1%})"
    )


def _geometry_lines(described: dict[str, Any]) -> list[tuple[str, str]]:
    index, meta, dictionary = described["index"], described["meta"], described["dictionary"]
    appends = plural(described["appends"], "time") if described["appends"] else "never"
    if described["superseded_bytes"]:
        appends += f"; {human_size(described['superseded_bytes'])} of earlier indexes (`des convert` leaves them out)"
    return [
        ("dictionary", f"{human_size(dictionary['bytes'])}, id {dictionary['id']:#x}" if dictionary else "none"),
        ("listing", f"{plural(meta['blocks'], 'block')}, {human_size(meta['bytes'])}"),
        (
            "index",
            f"{plural(index['blocks'], 'block')} of {BLOCK_SIZE:,} bytes, load {index['load']:.2f},"
            f" hash seed {index['hash_seed']}",
        ),
        ("fixed parts", f"{ENTRY_HEAD_SIZE} bytes a head of an entry, {FOOTER_SIZE} bytes a footer"),
        ("appended", appends),
        ("content digest", described["content_digest"]),
    ]
