"""The commands `des pack` and `des append`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..catalog import ArchiveStats
from ..errors import ArchiveExistsError, InvalidInputError
from ..writer import DesWriter
from . import options
from .exit_codes import PARTLY_FAILED
from .gathering import STDIN, Wanted
from .help import examples
from .inputs import Report
from .messages import Messages
from .output import stdout_for_archive, write_json
from .packing import add_inputs, compression_of, pack_result, pack_summary, parse_threshold, refuse_large
from .progress import OnBytes, progress
from .reading import open_reader

__all__ = ["append", "pack"]


@examples(
    "des pack photos -o photos.des",
    "des pack a b notes.txt --base . -o all.des --exclude '*.tmp' --exclude node_modules",
    "find logs -mtime +30 -print0 | des pack --files-from - -0 -o old-logs.des",
    "des pack --from-tar backup.tar.zst -o backup.des --compression aggressive --dictionary auto",
    "des pack photos -o - | ssh host 'cat > photos.des'",
)
def pack(
    ctx: typer.Context,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT.des", help="The archive; - for stdout, where it has no big files."),
    ],
    sources: options.Sources = None,
    from_tar: options.FromTar = None,
    from_zip: options.FromZip = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    include: options.Include = None,
    exclude: options.Exclude = None,
    base: options.Base = None,
    prefix: options.Prefix = "",
    follow: options.Follow = False,
    compression: options.Profile = "balanced",
    level: options.Level = None,
    dictionary: options.Dictionary = None,
    threshold: options.Threshold = "10M",
    no_meta: options.NoMeta = False,
    keep_going: options.KeepGoing = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Pack files and folders into an archive.

    A file in a folder is named by its path below the folder that was given, a single file by its own name; --base names
    both by their path below another folder. Two files of one name are refused. Entries are stored in the order of their
    names (of a list, a tar or a zip: in its order), each with its modification time and, if it is not 644, its
    permissions; nothing else, so that packing the same files again gives the same bytes.

    Symbolic links, sockets and the like, empty folders and the archive itself are skipped, and counted in the summary.
    A file that cannot be read, or that changes while it is read, stops the command, and no archive appears
    (--keep-going: it is left out).

    Patterns: * and ? stop at /, ** does not. A pattern without / matches any part of a name, one with / the name from
    its beginning.
    """
    wanted = Wanted(
        tuple(sources or ()), from_tar, from_zip, files_from, null, tuple(include or ()), tuple(exclude or ()),
        base, prefix, follow,
    )  # fmt: skip
    policy = compression_of(compression, level, dictionary)
    path = None if output == STDIN else Path(output)
    if path is not None and path.exists() and not overwrite:
        raise ArchiveExistsError(f"{path} exists; --overwrite replaces it")
    if path is None and json:
        raise InvalidInputError("--json and the archive cannot both go to stdout")
    report = Report(ctx.obj, keep_going)
    began = time.monotonic()
    with progress(ctx.obj, "packing") as advance, wanted.gather(path, report) as (inputs, total):
        on_bytes = OnBytes(advance, total)
        target = path or stdout_for_archive()
        if path is None:
            inputs = refuse_large(inputs, report)
        with DesWriter(
            target, compression=policy, big_file_threshold=parse_threshold(threshold), overwrite=overwrite
        ) as writer:
            added = add_inputs(writer, inputs, report, on_bytes, keep_meta=not no_meta)
    _finish(
        ctx.obj,
        str(path or "stdout"),
        writer.get_stats(),
        report,
        (added, on_bytes.done, time.monotonic() - began),
        json,
    )


@examples(
    "des append logs.des today.log",
    "des append photos.des photos --skip-existing",
    "des append photos.des 2026 --prefix 2026/",
)
def append(
    ctx: typer.Context,
    archive: options.Archive,
    sources: options.Sources = None,
    from_tar: options.FromTar = None,
    from_zip: options.FromZip = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    include: options.Include = None,
    exclude: options.Exclude = None,
    base: options.Base = None,
    prefix: options.Prefix = "",
    follow: options.Follow = False,
    compression: options.Profile = "balanced",
    level: options.Level = None,
    threshold: options.Threshold = "10M",
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave out names that the archive holds; else they stop the command."),
    ] = False,
    no_meta: options.NoMeta = False,
    keep_going: options.KeepGoing = False,
    json: options.Json = False,
) -> None:
    """Add files and folders to an archive.

    Files are found and named as by `des pack`. Readers see the old archive until the new one is complete; when the
    command fails or is interrupted, the archive stays as it was.
    """
    wanted = Wanted(
        tuple(sources or ()), from_tar, from_zip, files_from, null, tuple(include or ()), tuple(exclude or ()),
        base, prefix, follow,
    )  # fmt: skip
    report = Report(ctx.obj, keep_going)
    began = time.monotonic()
    with progress(ctx.obj, "appending") as advance, wanted.gather(archive, report) as (inputs, total):
        on_bytes = OnBytes(advance, total)
        writer = DesWriter.append(
            archive, compression=compression_of(compression, level, None), big_file_threshold=parse_threshold(threshold)
        )
        try:
            added = add_inputs(writer, inputs, report, on_bytes, keep_meta=not no_meta, skip_existing=skip_existing)
        except BaseException:
            writer.abort()
            raise
        # Another index for nothing would only make the archive larger.
        writer.close() if added else writer.abort()
    with open_reader(archive) as reader:
        stats = reader.get_stats()
    _finish(ctx.obj, str(archive), stats, report, (added, on_bytes.done, time.monotonic() - began), json)


def _finish(
    messages: Messages, archive: str, stats: ArchiveStats, report: Report, done: tuple[int, int, float], json: bool
) -> None:
    added, read_bytes, seconds = done
    if json:
        write_json(pack_result(archive, added, stats, report, seconds))
    else:
        messages.note(pack_summary(archive, added, stats, seconds, read_bytes))
    if report.skipped:
        messages.note(f"skipped: {report.summary()}")
    if report.failed:
        raise typer.Exit(PARTLY_FAILED)
