"""The command `des bench`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options
from .help import examples
from .measuring import BATCH_ENTRIES, Measured, measure
from .output import finish, write_json, write_line
from .sizes import human_size

__all__ = ["bench"]

_LABELS = {
    "open": "open the archive",
    "list": "list names",
    "get": "get, one by one",
    "batch": f"get, {BATCH_ENTRIES} at a time",
    "scan": "scan front to back",
}
_HEADINGS = ("operation", "each", "a second", "payload", "dict + pread", "share")


@examples("des bench photos.des", "des bench --count 100000 --json photos.des > before.jsonl")
def bench(
    archive: options.Archive,
    count: Annotated[int, typer.Option(min=1, help="How many entries to read at random.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    scan_seconds: Annotated[float, typer.Option(min=0, help="End the scan after this time.")] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, times in seconds.")] = False,
) -> None:
    """Measure reading an archive of your own.

    Opening, listing, reading at random and scanning are measured. `dict + pread` is what reading costs without any
    archive: a dict from name to place, and one system call for the stored bytes of the same entries, neither checked
    nor expanded; `share` is how much of its rate is reached. The best of three rounds counts, with the file in the
    system's cache as far as it fits; big files beside the archive are left out.
    """
    if not json:
        write_line(_row(_HEADINGS))
    for measured in measure(archive, count, seed, scan_seconds):
        if json:
            write_json(_described(measured))
        else:
            write_line(_row(_cells(measured)))
        finish()  # Each takes seconds.


def _described(measured: Measured) -> dict[str, Any]:
    return {
        "operation": measured.what,
        "count": measured.count,
        "seconds": measured.seconds,
        "per_second": measured.count / measured.seconds,
        "payload_bytes": measured.payload_bytes,
        "baseline_seconds": measured.baseline_seconds,
    }


def _cells(measured: Measured) -> tuple[str, ...]:
    seconds, baseline = measured.seconds, measured.baseline_seconds
    rate = f"{human_size(measured.payload_bytes / seconds)}/s" if measured.payload_bytes else ""
    return (
        _LABELS[measured.what],
        f"{seconds / max(measured.count, 1) * 1e6:,.1f} µs",
        f"{measured.count / seconds:,.0f}",
        rate,
        f"{measured.count / baseline:,.0f}/s" if baseline else "",
        f"{baseline / seconds:.0%}" if baseline else "",
    )


def _row(cells: tuple[str, ...]) -> str:
    first, *others = cells
    return f"{first:<22}{''.join(f'{cell:>15}' for cell in others)}".rstrip()
