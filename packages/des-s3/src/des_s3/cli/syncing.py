"""The command `des s3 sync-zones`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from des_format.cli.exit_codes import PARTLY_FAILED
from des_format.cli.help import examples
from des_format.cli.options import Json
from des_format.cli.output import write_json, write_line
from des_format.cli.sizes import human_size

from ..syncing import SyncReport
from ..syncing import sync_zones as sync
from ..zonesfile import load_zones

__all__ = ["sync_zones"]


@examples(
    "des s3 sync-zones /etc/des/zones.yaml",
    "des s3 sync-zones --write /etc/des/zones.yaml",
    "des s3 sync-zones --write --restore --json /etc/des/zones.yaml | jq .findings",
)
def sync_zones(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="ZONES_FILE", help="The file of zones, JSON or YAML.")],
    write: Annotated[bool, typer.Option("--write", help="Copy; otherwise this is a dry run.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Also copy to a primary what only a replica has.")] = False,
    json: Json = False,
) -> None:
    """Compare the replicas of zones with their primaries, and copy what they lack.

    In a primary nothing is deleted or replaced. Where something is still not the same at the end, the exit code is 1.
    """
    zoned = load_zones(file)
    try:
        report = sync(zoned, dry_run=not write, restore=restore)
    finally:
        zoned.close()
    if json:
        write_json({"ok": report.ok, "dry_run": not write, **asdict(report)})
    else:
        _show(report)
    for found in report.findings:
        if found.kind == "failed":
            ctx.obj.problem(found.key or found.replica, found.why)
    if not report.ok:
        raise typer.Exit(PARTLY_FAILED)


def _show(report: SyncReport) -> None:
    for found in report.findings:
        if found.kind != "failed":
            end = "copied" if found.done else "left"
            write_line(f"{end:<6}  {found.kind:<7}  {found.zone}  {found.replica}  {found.key}  {found.why}")
    write_line(
        f"{report.compared_count} compared, {len(report.findings)} not the same,"
        f" {report.copied_count} copied ({human_size(report.copied_bytes)})"
    )
