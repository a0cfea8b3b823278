"""The guide names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from des_retriever_http.observing.metrics import RetrieverMetrics
from prometheus_client import CollectorRegistry

GUIDE = Path(__file__).parents[3] / "docs" / "retriever.md"


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of an unpacked sdist")
def test_the_table_of_metrics_has_all_of_them_and_no_others() -> None:
    registry = CollectorRegistry()
    RetrieverMetrics(registry)
    totals = {metric.name + ("_total" if metric.type == "counter" else "") for metric in registry.collect()}
    section = GUIDE.read_text(encoding="utf-8").partition("## Metrics and logs")[2]
    assert set(re.findall(r"`(des_\w+)`", section)) == totals
