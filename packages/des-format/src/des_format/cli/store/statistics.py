"""The command `des store stats`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InvalidInputError
from ..help import examples
from ..options import Json
from ..output import write_json, write_line
from ..sizes import human_size
from . import options
from .costs import TARIFFS, Cost, Estimate, Tariff, estimate, parse_tariffs
from .opening import open_store

if TYPE_CHECKING:
    from ...store import DayStats, StoreStats

__all__ = ["stats"]

_COLUMNS = ("shards", "archives", "entries", "raw_bytes", "archive_bytes", "external_bytes", "tombstones", "commits")


@examples(
    "des store stats archive",
    "des store stats archive --by-day",
    "des store stats archive --cost",
    "des store stats --json archive | jq .entries",
)
def stats(
    url: options.Url,
    day: options.Day = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each day.")] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also estimate what this costs, and would cost as objects of their own.")
    ] = False,
    tariff: Annotated[
        Path | None,
        typer.Option("--tariff", metavar="FILE", help="With --cost: prices in JSON; else list prices."),
    ] = None,
    json: Json = False,
) -> None:
    """Add up what a store holds.

    Entries that are deleted or were replaced count until `compact` leaves them out. Only manifests are read.

    Costs are estimates from these sums, at the prices of a tariff with its date: writing what is there now, storage for
    a month, and a million random reads by readers that have the indexes cached (warm) or know nothing yet (cold).
    """
    if tariff is not None and not cost:
        raise InvalidInputError("--tariff is for --cost")
    tariffs = _tariffs(tariff) if cost else ()
    with open_store(url) as store:
        found = store.stats(day)
    estimates = [estimate(found, one) for one in tariffs]
    if json:
        described = dataclasses.asdict(found)
        write_json({**described, "costs": [dataclasses.asdict(one) for one in estimates]} if cost else described)
        return
    _show_by_day(found) if by_day else _show(found)
    if cost:
        _show_costs(estimates, "" if tariff else "list prices, US dollars")


def _tariffs(path: Path | None) -> Sequence[Tariff]:
    return TARIFFS if path is None else parse_tariffs(path.read_text(encoding="utf-8"))


def _show(found: StoreStats) -> None:
    for field in dataclasses.fields(found):
        if field.name != "by_day":
            write_line(f"{field.name.replace('_', ' '):<16} {_shown(found, field.name)}")


def _show_by_day(found: StoreStats) -> None:
    write_line("  ".join(["day     ", *(f"{name.replace('_', ' '):>14}" for name in _COLUMNS)]))
    for one in found.by_day:
        write_line("  ".join([one.day, *(f"{_shown(one, name):>14}" for name in _COLUMNS)]))


def _shown(stats: DayStats | StoreStats, name: str) -> str:
    value: int = getattr(stats, name)
    return human_size(value) if name.endswith("_bytes") else f"{value:,}"


_COST_COLUMNS = ("PUTs", "writing", "storage/month", "1M warm reads", "1M cold reads")


def _show_costs(estimates: Sequence[Estimate], title: str) -> None:
    width = max(len(title), *(len(_title(one.tariff)) for one in estimates))
    write_line("")
    write_line("  ".join([f"{title:<{width}}", "kept as ", *(f"{name:>13}" for name in _COST_COLUMNS)]))
    for one in estimates:
        write_line("  ".join([f"{_title(one.tariff):<{width}}", "objects ", *_prices(one.objects)]))
        write_line("  ".join([" " * width, "archives", *_prices(one.archives)]))


def _title(tariff: Tariff) -> str:
    return f"{tariff.name} ({tariff.as_of})"


def _prices(cost: Cost) -> list[str]:
    prices = (cost.writing, cost.storage_per_month, cost.warm_reads, cost.cold_reads)
    return [f"{cost.put_count:>13,}", *(f"{_price(price):>13}" for price in prices)]


def _price(price: float) -> str:
    return f"{price:,.2f}" if price >= 0.1 or price == 0 else f"{price:.2g}"
