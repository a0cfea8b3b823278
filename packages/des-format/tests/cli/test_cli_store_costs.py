"""`des store stats --cost`, against figures that were worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format.cli.store.costs import TARIFFS, Estimate, estimate, parse_tariffs
from des_format.errors import InvalidInputError
from des_format.store import DayStats, StoreStats

Des = Callable[..., Any]
KIB, MIB = 1 << 10, 1 << 20

MILLION = StoreStats.of(
    [
        DayStats(
            "20251125",
            shards=16,
            archives=16,
            entries=1_000_000,
            raw_bytes=10 * KIB * 1_000_000,
            stored_bytes=10 * KIB * 1_000_000,
            archive_bytes=16 * 620 * MIB,
            commits=16,
            manifest_bytes=16 * 700,
        )
    ]
)
"""A million objects of 10 KiB in 16 archives."""


def under(name: str, stats: StoreStats = MILLION) -> Estimate:
    (tariff,) = [tariff for tariff in TARIFFS if tariff.name == name]
    return estimate(stats, tariff)


def test_objects_of_their_own() -> None:
    standard, seldom = under("S3 Standard").objects, under("S3 Standard-IA").objects
    assert standard.put_count == 1_000_000
    assert standard.writing == pytest.approx(5.00)
    assert standard.storage_per_month == pytest.approx(10.24 * 0.023)
    assert standard.warm_reads == standard.cold_reads == pytest.approx(0.40)
    assert seldom.storage_per_month == pytest.approx(1.64, abs=0.005), "each is paid for as 128 KiB"
    assert seldom.warm_reads == pytest.approx(1.00 + 10.24 * 0.01)
    express = under("S3 Express One Zone").objects
    assert express.writing == pytest.approx(1.13 + 10.24 * 0.0032)
    assert under("R2").objects.writing == pytest.approx(4.50)


def test_archives() -> None:
    standard, seldom = under("S3 Standard").archives, under("S3 Standard-IA").archives
    assert standard.put_count == 16 * (78 + 2) + 16, "in parts of 8 MiB, a beginning and an end, and a manifest each"
    assert standard.writing == pytest.approx(1296 * 0.005 / 1000)
    assert standard.warm_reads == pytest.approx(0.40)
    assert standard.cold_reads == pytest.approx(1.20)
    assert seldom.storage_per_month == pytest.approx(0.13, abs=0.01)


def test_a_store_that_was_never_compacted_reads_more_when_cold() -> None:
    (day,) = MILLION.by_day
    many = StoreStats.of([dataclasses.replace(day, archives=160, archive_bytes=160 * 62 * MIB, commits=160)])
    assert under("S3 Standard", many).archives.cold_reads == pytest.approx(12 * 0.40)


def test_big_files_are_objects_in_either_case() -> None:
    size = 2 * MIB
    stats = StoreStats.of([DayStats("20251125", 1, 1, 10, 10 * size, 0, 2000, 10, 10 * size, 0, 1, 900)])
    found = under("S3 Standard", stats)
    assert (found.objects.put_count, found.archives.put_count) == (10, 12)
    assert found.archives.storage_per_month == pytest.approx(found.objects.storage_per_month, rel=0.001)


def test_an_empty_store_costs_nothing_to_keep() -> None:
    found = under("S3 Standard", StoreStats.of([]))
    for cost in (found.objects, found.archives):
        assert (cost.put_count, cost.writing, cost.storage_per_month) == (0, 0, 0)


OWN = {"name": "Ours", "as_of": "2026-01", "storage_per_gb_month": 1, "put_per_1000": 2, "get_per_1000": 3.5}


def test_tariffs_of_ones_own() -> None:
    (tariff,) = parse_tariffs(json.dumps([OWN]))
    assert (tariff.name, tariff.get_per_1000, tariff.min_object_bytes) == ("Ours", 3.5, 0)
    assert parse_tariffs(json.dumps([dataclasses.asdict(one) for one in TARIFFS])) == list(TARIFFS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("{}", "no list"),
        ("[]", "an empty one"),
        ("[1]", "tariff 1 is 1"),
        (json.dumps([OWN, {**OWN, "price": 1}]), "tariff 2 has price; known are name, as_of"),
        (json.dumps([{"name": "x"}]), "lacks as_of, storage_per_gb_month"),
        (json.dumps([{**OWN, "put_per_1000": -1}]), "put_per_1000 is -1, expected a number"),
        (json.dumps([{**OWN, "put_per_1000": True}]), "put_per_1000 is True"),
        (json.dumps([{**OWN, "put_per_1000": float("nan")}]), "put_per_1000 is nan"),
        (json.dumps([{**OWN, "name": 1}]), "name is 1, expected a text"),
    ],
)
def test_what_is_no_tariff_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_tariffs(text)


def test_costs_are_shown_after_the_sums(des: Des, store: Path) -> None:
    lines = des("store", "stats", store, "--cost").stdout.splitlines()
    assert lines[0].startswith("days ")
    table = lines[lines.index("") + 1 :]
    assert table[0].startswith("list prices, US dollars ")
    assert table[0].split()[4:] == [
        "kept",
        "as",
        "PUTs",
        "writing",
        *"storage/month 1M warm reads 1M cold reads".split(),
    ]
    assert table[1].split()[:5] == ["S3", "Standard", "(2025)", "objects", "3"]
    assert table[2].split()[0] == "archives"
    assert len({len(line) for line in table}) == 1
    assert len(table) == 1 + 2 * len(TARIFFS)


def test_costs_in_json_by_prices_of_ones_own(des: Des, store: Path) -> None:
    Path("prices.json").write_text(json.dumps([OWN]))
    found = json.loads(des("store", "stats", store, "--cost", "--tariff", "prices.json", "--json").stdout)
    (cost,) = found["costs"]
    assert found["entries"] == 3
    assert cost["tariff"]["name"] == "Ours"
    assert cost["objects"]["put_count"] == 3
    assert cost["objects"]["warm_reads"] == 3500
    assert "costs" not in json.loads(des("store", "stats", store, "--json").stdout)


def test_prices_of_ones_own_are_in_a_currency_of_ones_own(des: Des, store: Path) -> None:
    Path("prices.json").write_text(json.dumps([OWN]))
    result = des("store", "stats", store, "--cost", "--tariff", "prices.json")
    assert "dollars" not in result.stdout
    assert result.stdout.splitlines()[-2].split()[:3] == ["Ours", "(2026-01)", "objects"]


def test_tariffs_that_cannot_be_used_are_an_error(des: Des, store: Path) -> None:
    Path("prices.json").write_text("x")
    assert des("store", "stats", store, "--tariff", "prices.json").exit_code == 2
    assert des("store", "stats", store, "--cost", "--tariff", "prices.json").exit_code == 2
    assert des("store", "stats", store, "--cost", "--tariff", "missing.json").exit_code == 3
