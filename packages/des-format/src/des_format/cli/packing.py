"""Put inputs into an archive, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..catalog import ArchiveStats
from ..compression import Compression
from ..entry import Codec
from ..errors import InvalidInputError, NotFoundError
from ..writer import DesWriter
from .inputs import Input, InputError, Report
from .progress import OnBytes
from .sizes import human_size, parse_size, plural

__all__ = [
    "CountedStream",
    "add_inputs",
    "compression_of",
    "pack_result",
    "pack_summary",
    "parse_threshold",
    "refuse_large",
]

_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"
# What `des extract` and every reader with default settings still expands.
_MAX_INSIDE_BYTES = 2**30


class CountedStream:
    """An input's bytes, counted as they are read."""

    def __init__(self, stream: BinaryIO, on_bytes: OnBytes) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._on_bytes(len(data))
        return data


def add_inputs(
    writer: DesWriter,
    inputs: Iterable[Input],
    report: Report,
    on_bytes: OnBytes,
    *,
    keep_meta: bool = True,
    skip_existing: bool = False,
) -> int:
    """Add every input to a writer, and return how many were added.

    Args:
        writer: The archive.
        inputs: What to add.
        report: Told what cannot be added; decides whether to go on.
        on_bytes: Called with the bytes that were read.
        keep_meta: Store the inputs' metadata.
        skip_existing: Leave out names that the archive holds.

    Raises:
        InputError: An input failed, and the report does not go on.
        OSError: The archive cannot be written.
    """
    added = 0
    for item in inputs:
        if skip_existing and item.name in writer:
            report.skip("existing name", item.name)
            continue
        try:
            with item.open() as (stream, meta):
                counted: Any = CountedStream(stream, on_bytes)
                writer.add_stream(item.name, counted, meta if keep_meta else None)
        except (InputError, InvalidInputError) as error:
            report.fail(item.name, error)
        else:
            added += 1
    return added


def compression_of(profile: str, level: int | None, dictionary: str | None) -> Compression:
    """Return the compression for the options of the command line.

    Raises:
        InvalidInputError: They contradict each other, or the file is no zstd dictionary.
        NotFoundError: There is no such dictionary file.
    """
    chosen = Compression.of(profile)
    if chosen.codec is not Codec.ZSTD and (level is not None or dictionary is not None):
        raise InvalidInputError(f"--level and --dictionary need zstd; --compression {profile} does not use it")
    if level is not None:
        chosen = dataclasses.replace(chosen, level=level)
    if dictionary == "auto":
        return dataclasses.replace(chosen, dictionary="auto")
    if dictionary is not None:
        try:
            data = Path(dictionary).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"dictionary {dictionary} does not exist") from error
        if not data.startswith(_DICTIONARY_MAGIC):
            raise InvalidInputError(f"{dictionary} is no trained zstd dictionary: it begins with {data[:4]!r}")
        chosen = dataclasses.replace(chosen, dictionary=data)
    return chosen


def parse_threshold(text: str) -> int:
    """Return the size over which payloads go beside the archive.

    Raises:
        InvalidInputError: No size, or so large that readers would refuse to hold such an entry in memory.
    """
    threshold = parse_size(text)
    if threshold > _MAX_INSIDE_BYTES:
        raise InvalidInputError(
            f"threshold of {human_size(threshold)}; at most {human_size(_MAX_INSIDE_BYTES)} is allowed,"
            " because readers hold what is inside in memory"
        )
    return threshold


def refuse_large(inputs: Iterable[Input], report: Report) -> Iterator[Input]:
    """Yield the inputs that fit into an archive that is written to a pipe, which has no place for big files."""
    for item in inputs:
        if item.size > _MAX_INSIDE_BYTES:
            report.fail(
                item.name, InputError(f"has {human_size(item.size)}; too large for an archive without a folder")
            )
        else:
            yield item


def pack_result(archive: str, added: int, stats: ArchiveStats, report: Report, seconds: float) -> dict[str, Any]:
    """What happened, for scripts."""
    return {
        "archive": archive,
        "added": added,
        "entries": stats.total_files,
        "payload_bytes": stats.total_size_bytes,
        "external_entries": stats.external_files,
        "external_bytes": stats.external_size_bytes,
        "archive_bytes": stats.archive_size_bytes,
        "skipped": dict(sorted(report.skipped.items())),
        "failed": report.failed,
        "seconds": round(seconds, 3),
    }


def pack_summary(archive: str, added: int, stats: ArchiveStats, seconds: float, read_bytes: int) -> str:
    """What happened, in a sentence."""
    beside = f" and {plural(stats.external_files, 'payload')} beside it" if stats.external_files else ""
    return (
        f"{plural(added, 'entry', 'entries')} added, {human_size(read_bytes)} read: {archive} has"
        f" {plural(stats.total_files, 'entry', 'entries')} in {human_size(stats.archive_size_bytes)}{beside}"
        f" ({seconds:.1f} s, {human_size(read_bytes / max(seconds, 1e-9))}/s)"
    )
