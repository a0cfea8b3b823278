"""The results of a run as markdown, and their place in the documentation."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .results import TARGETS, Figures
from .systems import SYSTEMS

__all__ = ["machine", "markdown", "update_document"]

PACKAGES = ("lmdb", "webdataset", "mosaicml-streaming", "array-record", "zstandard", "xxhash")


def machine() -> dict[str, Any]:
    """The class of the machine and the versions of what was measured; nothing that names the machine."""
    processor = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": f"{os.cpu_count()} cores of {processor}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "packages": versions,
    }


def markdown(run: dict[str, Any]) -> str:
    """All tables of a run."""
    figures = Figures(run["records"])
    about = run["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    lines = [
        f"{about['processor']}, {about['memory']} of memory, {about['system']}, Python {about['python']}; {packages}."
        f" Medians of {run['rounds']} rounds; during writes, others used {figures.noise():.0%} of the machine.",
        "",
        "| target | goal | measured | reached |",
        "|---|---:|---:|---|",
        *_target_rows(figures),
    ]
    for dataset in run["datasets"]:
        size, count = run["sizes"][dataset]
        lines += [
            "",
            f"### {dataset}: {count:,} payloads, {size / 1e6:,.0f} MB",
            "",
            *_dataset_rows(dataset, size, figures),
        ]
    if figures.left_out:
        lines += ["", "Not measured:", ""]
        lines += [f"- {SYSTEMS[system].title}: {reason}" for system, reason in figures.left_out.items()]
    return "\n".join(lines) + "\n"


def _target_rows(figures: Figures) -> Iterable[str]:
    for target in TARGETS:
        value = target.measured(figures)
        goal = f"{'at most' if target.at_most else 'at least'} {target.form.format(target.goal)}"
        if value is None:
            yield f"| {target.text} | {goal} | - | not measured |"
        else:
            reached = "yes" if target.is_reached(value) else "**no**"
            yield f"| {target.text} | {goal} | {target.form.format(value)} | {reached} |"


def _dataset_rows(dataset: str, size: int, figures: Figures) -> Iterable[str]:
    yield (
        "| system | stored / payload | write, MB/s | writer's memory, MiB | open + first get, ms | its memory, MiB"
        " | random gets/s | gets/s in batches of 1,000 |"
    )
    yield "|---|" + "---:|" * 7
    for name, system in SYSTEMS.items():
        if figures.get(dataset, name, "gets_per_second") is None:
            continue

        def cell(metric: str, form: str, unit: float = 1, name: str = name) -> str:
            value = figures.get(dataset, name, metric)
            return "" if value is None else form.format(value / unit)

        seconds = figures.get(dataset, name, "write_seconds")
        cells = [
            system.title,
            cell("file_bytes", "{:.3f}", size),
            f"{size / seconds / 1e6:,.0f}" if seconds else "",
            cell("write_extra_bytes", "{:,.0f}", 2**20),
            cell("open_seconds", "{:,.2f}", 1e-3),
            cell("open_extra_bytes", "{:,.1f}", 2**20),
            cell("gets_per_second", "{:,.0f}"),
            cell("batch_per_second", "{:,.0f}"),
        ]
        yield f"| {' | '.join(cells)} |"
    scan, cat = (figures.get(dataset, "Des", f"{what}_bytes_per_second") for what in ("scan", "cat"))
    if scan and cat:
        yield ""
        yield f"Sequential scan of DES, verified: {scan / 1e9:.1f} GB/s; `cat` to /dev/null: {cat / 1e9:.1f} GB/s."


def update_document(path: Path, text: str, *, name: str = "results") -> None:
    """Replace what lies between the two markers of that name in a document.

    Raises:
        ValueError: The markers are not there.
    """
    markers = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    document = path.read_text(encoding="utf-8")
    before, begin, rest = document.partition(markers[0])
    _old, end, after = rest.partition(markers[1])
    if not begin or not end:
        sys.exit(f"{path} has no lines {' and '.join(markers)}")
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")
