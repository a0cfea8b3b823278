"""Measure DES and what one would use instead, side by side; needs Linux.

hatch run bench:run                     measure everything, print the tables
hatch run bench:run --update-docs       the same, and put the tables into docs/benchmarks.md
hatch run bench:run --datasets D3 --systems Des,Lmdb --rounds 1
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness.datasets import DATASETS, Dataset
from harness.plan import Plan
from harness.report import machine, markdown, update_document
from harness.systems import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".dev" / "bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def names(known: dict[str, Any]) -> Any:
    """An argument type: names that are known, separated by commas."""

    def parse(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known: {', '.join(known)}")
        return text.split(",")

    return parse


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=names(DATASETS), default=list(DATASETS), help="such as D1,D3")
    parser.add_argument("--systems", type=names(SYSTEMS), default=list(SYSTEMS), help="such as Des,Lmdb")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--patience", type=float, default=30, metavar="SECONDS", help="wait so long for a quiet machine before a write"
    )
    parser.add_argument("--data", type=Path, default=CACHE / "data", help="folder of the datasets, made when missing")
    parser.add_argument("--stores", type=Path, default=CACHE / "stores", help="folder for what is written; 12 GB")
    parser.add_argument("--json", type=Path, default=CACHE / "results.json", help="where the figures go")
    parser.add_argument("--report", type=Path, help="only print the tables of these figures")
    parser.add_argument("--update-docs", action="store_true", help=f"put the tables into {DOCUMENT.relative_to(ROOT)}")
    return parser.parse_args()


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, saving after each dataset what is known so far."""
    run: dict[str, Any] = {
        "machine": machine(), "rounds": arguments.rounds, "datasets": arguments.datasets, "sizes": {}, "records": [],
    }  # fmt: skip
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        data=arguments.data,
        stores=arguments.stores,
        patience_seconds=arguments.patience,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    for name in arguments.datasets:
        run["records"] += plan.measure(name, arguments.systems, arguments.rounds)
        dataset = Dataset(name, arguments.data)
        run["sizes"][name] = [dataset.size, len(dataset)]
        arguments.json.write_text(json.dumps(run, indent=1), encoding="utf-8")
    return run


def main() -> int:
    arguments = parse_arguments()
    run = json.loads(arguments.report.read_text(encoding="utf-8")) if arguments.report else measure_all(arguments)
    text = markdown(run)
    print(text)
    if arguments.update_docs:
        update_document(DOCUMENT, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
