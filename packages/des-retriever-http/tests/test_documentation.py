"""The guide names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from des_retriever_http.observing.metrics import RetrieverMetrics
from des_retriever_http.security.credentials import parse_credentials
from des_retriever_http.security.principals import Permission
from des_retriever_http.settings.security import SecuritySettings
from prometheus_client import CollectorRegistry

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = DOCS / "retriever.md"
SECURITY = DOCS / "security.md"

pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of an unpacked sdist")


def test_the_table_of_metrics_has_all_of_them_and_no_others() -> None:
    registry = CollectorRegistry()
    RetrieverMetrics(registry)
    totals = {metric.name + ("_total" if metric.type == "counter" else "") for metric in registry.collect()}
    section = GUIDE.read_text(encoding="utf-8").partition("## Metrics and logs")[2]
    assert set(re.findall(r"`(des_\w+)`", section)) == totals


def test_the_document_of_credentials_in_the_guide_is_one() -> None:
    block = re.search(r"```yaml\n(.*?)```", SECURITY.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    found = parse_credentials(block[1], where="the guide")
    (scanner,) = found.api_keys.values()
    assert (scanner.id, scanner.may(Permission.READ, "invoices/secret/1")) == ("scanner", False)
    ((_key, jobs),) = found.public_keys.values()
    assert jobs.id.endswith(" batch jobs")


def test_the_guide_names_all_settings_of_security() -> None:
    text = SECURITY.read_text(encoding="utf-8")
    missing = [name for name in SecuritySettings.model_fields if f"DES_{name.upper()}" not in text]
    assert missing == []
