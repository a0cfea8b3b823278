"""The commands `des verify` and `des salvage`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..audit import Problem, VerifyReport
from ..errors import ArchiveExistsError, NotFoundError
from ..salvage import salvage_archive
from . import options
from .exit_codes import PARTLY_FAILED
from .help import examples
from .messages import printable
from .output import write_json, write_line
from .progress import progress
from .reading import open_reader
from .sizes import human_size, parse_share, plural

__all__ = ["salvage", "verify"]


@examples("des verify photos.des", "des verify --sample 5% photos.des", "des verify --json photos.des | jq .problems")
def verify(
    ctx: typer.Context,
    archive: options.Archive,
    sample: Annotated[
        str, typer.Option(metavar="SHARE", help="Read only this share of the entries, such as 5% or 0.05.")
    ] = "100%",
    json: options.Json = False,
) -> None:
    """Check every byte of an archive.

    Everything that has a checksum is checked, and whether all parts agree; big files beside the archive, too. Damaged
    entries are listed on stdout, and the command ends with exit code 1. What is too damaged to be opened ends with 5;
    `des salvage` may still find entries in it.
    """
    share = parse_share(sample)
    with open_reader(archive) as reader, progress(ctx.obj, "verifying") as advance:
        report = reader.verify(sample=share, progress=advance)
    if json:
        write_json(
            {
                "archive": str(archive),
                "ok": report.ok,
                "complete": report.complete,
                "has_checksums": report.has_checksums,
                "entries_checked": report.entries_checked,
                "bytes_checked": report.bytes_checked,
                "problems": [_described(problem) for problem in report.problems],
            }
        )
    else:
        for problem in report.problems:
            write_line(printable(str(problem)))
        ctx.obj.note(_verdict(archive, report))
    if not report.ok:
        raise typer.Exit(PARTLY_FAILED)


def _verdict(archive: Path, report: VerifyReport) -> str:
    checked = f"{plural(report.entries_checked, 'entry', 'entries')}, {human_size(report.bytes_checked)} checked"
    notes = [] if report.complete else ["only a sample was read"]
    if not report.has_checksums:
        notes.append("this format has no checksums, so changed bytes cannot be noticed")
    verdict = "ok" if report.ok else plural(len(report.problems), "problem")
    return f"{archive}: {verdict}; {'; '.join([checked, *notes])}"


def _described(problem: Problem) -> dict[str, str | None]:
    return {"where": problem.where, "name": problem.name, "message": problem.message}


@examples("des salvage broken.des -o saved.des")
def salvage(
    ctx: typer.Context,
    damaged: Annotated[Path, typer.Argument(metavar="DAMAGED", help="The damaged archive; it is not changed.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.des", help="The archive to write.")],
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Rescue the intact entries of a damaged archive.

    They are written into a new archive. The damaged archive needs neither a footer nor an index: entries are found by
    themselves, and only those whose checksums hold are taken. What could not be saved is listed on stdout, and the
    command ends with exit code 1.
    """
    if not damaged.exists():
        raise NotFoundError(f"{damaged} does not exist")
    if output.exists() and not overwrite:
        raise ArchiveExistsError(f"{output} exists; --overwrite replaces it")
    with progress(ctx.obj, "salvaging") as advance:
        report = salvage_archive(damaged, output, overwrite=overwrite, progress=advance)
    if json:
        write_json(
            {
                "archive": str(output),
                "recovered": report.recovered,
                "recovered_bytes": report.recovered_bytes,
                "damaged_bytes": report.damaged_bytes,
                "problems": [_described(problem) for problem in report.problems],
            }
        )
    else:
        for problem in report.problems:
            write_line(printable(str(problem)))
        ctx.obj.note(
            f"{plural(report.recovered, 'entry', 'entries')}, {human_size(report.recovered_bytes)} recovered into"
            f" {output}; {human_size(report.damaged_bytes)} were damaged"
        )
    if report.problems:
        raise typer.Exit(PARTLY_FAILED)
