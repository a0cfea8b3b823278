"""Rules, dashboard and runbooks against what the service exposes, and against each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import yaml
from des_cache.metrics import CacheMetrics
from des_format.errors import UnavailableError
from des_format.store import DesStore
from des_retriever_http import create_app
from des_retriever_http.app import Retriever
from des_retriever_http.observing.metrics import OPERATIONS
from des_retriever_http.observing.storage import outcome_of
from des_retriever_http.serving.operating import Operations, RetrieverSettings
from des_s3.metrics import S3Metrics
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "deploy" / "prometheus" / "retriever-rules.yaml"
RULE_TESTS = RULES.with_suffix(".test.yaml")
DASHBOARD = ROOT / "deploy" / "grafana" / "retriever.json"
RUNBOOK = ROOT / "docs" / "runbooks" / "retriever.md"
MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
AT = {"created_at": "2025-11-25T08:00:00Z"}
PARTS = ("What it means", "What users see", "How to look", "What to do", "When it is over")
OF_OTHERS = {
    "ALERTS",
    "kube_pod_deletion_timestamp",  # kube-state-metrics
    "kube_pod_container_status_last_terminated_reason",  # kube-state-metrics
}
OF_PROMETHEUS = {"instance", "job", "namespace", "pod", "reason", "alertname", "alertstate", "container"}


# -- what the service tells ---------------------------------------------------------------------


def served_store(folder: Path) -> Path:
    """A store with an entry that is right, one that is damaged, and one that is deleted."""
    payloads = {name: Random(name).randbytes(5000) for name in ("right", "damaged", "deleted")}
    store = DesStore.init(folder, n_bits=0)
    for name, payload in payloads.items():
        store.put(name, MORNING, payload)
    store.delete("deleted", MORNING, reason="GDPR", by="dpo@example.org")
    (archive,) = (path for path in folder.rglob("*.des") if payloads["damaged"] in path.read_bytes())
    content = bytearray(archive.read_bytes())
    content[content.index(payloads["damaged"]) + 7] ^= 1
    archive.write_bytes(content)
    return folder


@pytest.fixture
async def told(tmp_path: Path) -> str:
    """What `/metrics` says after requests that ended in every way, and what adapters declare beside it."""
    settings = RetrieverSettings.read({}, base_dir=served_store(tmp_path / "store"), cache_url="memory://")
    app = create_app(settings)
    assert isinstance(app, Retriever)
    Operations(app, settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://des") as client:
            answers = [await client.get(f"/files/{uid}", params=AT) for uid in ("right", "damaged", "deleted", "none")]
            assert [answer.status_code for answer in answers] == [200, 502, 410, 404]
            assert (await client.get("/health/ready")).is_success
            text = (await client.get("/metrics")).text
    of_s3, of_caches = CollectorRegistry(), CollectorRegistry()
    S3Metrics(of_s3)
    CacheMetrics(of_caches)
    return text + generate_latest(of_s3).decode() + generate_latest(of_caches).decode()


def exposed(text: str) -> set[str]:
    """The names of all series that there are, or can be."""
    suffixes = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE)
    return {name + suffix for name, kind in declared for suffix in suffixes[kind]}


# -- what is asked for --------------------------------------------------------------------------

_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\{{((?:[^{{}}\"]|{_STRING})*)\}}")
_MATCHER = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_WORDS = {"and", "or", "unless", "bool", "offset"}


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The metrics of an expression whose labels are told, with the matchers."""
    for name, matchers in _SELECTOR.findall(expression):
        yield name, [(label, kind, json.loads(text)) for label, kind, text in _MATCHER.findall(matchers)]


def names(expression: str) -> set[str]:
    """The names of all metrics of an expression."""
    text = _SELECTOR.sub(r"\1 ", expression)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    return {name for name in re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()", text) if name not in _WORDS}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return board


def queries_of_dashboard() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def runbooks() -> dict[str, str]:
    """The sections of the runbook that are about an alert, by its name."""
    parts = re.split(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def queries_of_runbooks() -> list[str]:
    blocks = re.findall(r"^```promql\n(.*?)^```$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [query for block in blocks for query in block.split("\n\n")]


@pytest.fixture(params=["rules", "dashboard", "runbooks"])
def expressions(request: pytest.FixtureRequest) -> list[str]:
    """All expressions of the rules, of the dashboard, and of the runbooks."""
    found = {"dashboard": queries_of_dashboard, "runbooks": queries_of_runbooks}
    return [rule["expr"] for rule in rules()] if request.param == "rules" else found[request.param]()


# -- that it fits -------------------------------------------------------------------------------


def test_every_metric_that_is_asked_for_is_exposed(told: str, expressions: list[str]) -> None:
    known = exposed(told) | {rule["record"] for rule in rules() if "record" in rule} | OF_OTHERS
    assert expressions
    for expression in expressions:
        assert names(expression), expression
        assert names(expression) <= known, expression


def test_every_label_that_is_asked_for_is_one_of_its_metric(told: str, expressions: list[str]) -> None:
    labels: dict[str, set[str]] = {}
    for collector in (S3Metrics(CollectorRegistry()), CacheMetrics(CollectorRegistry())):
        for metric in vars(collector).values():
            if described := getattr(metric, "_labelnames", None):
                labels[metric._name + "_total"] = set(described)
    samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    for expression in expressions:
        for name, matchers in selectors(expression):
            for label, kind, text in matchers:
                if name not in labels or (label in OF_PROMETHEUS and label not in labels[name]):
                    continue
                assert label in labels[name], f"{name} has no {label}: {expression}"
                if kind == "=" and "$" not in text:
                    values = {sample.labels[label] for sample in samples if sample.name == name}
                    assert text in values, f"{name} has no {label}={text}: {expression}"


def test_probes_and_the_console_are_no_work_for_users() -> None:
    left_out = "|".join(f"{route}.*" for route in OPERATIONS)
    for expression in [rule["expr"] for rule in rules()] + queries_of_dashboard():
        for _name, matchers in selectors(expression):
            for label, kind, text in matchers:
                assert (label, kind) != ("route", "!~") or text == left_out


def test_failures_of_the_storage_are_called_what_rules_look_for() -> None:
    (text,) = {
        text
        for rule in rules()
        for name, matchers in selectors(rule["expr"])
        for label, kind, text in matchers
        if (name, label, kind) == ("des_retrievals_total", "status", "=~")
    }
    assert text.split("|") == [outcome_of(UnavailableError("no answer")), outcome_of(RuntimeError("a defect"))]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert alerts().keys() == runbooks().keys()
    for name, alert in alerts().items():
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert page.endswith("/runbooks/retriever.html")
        assert anchor == name.lower()
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in {"critical", "warning"}


def test_every_runbook_says_how_to_look_what_to_do_and_when_it_is_over() -> None:
    for name, text in runbooks().items():
        assert [part for part in PARTS if f"**{part}.**" not in text] == [], name
        assert "```" in text, f"{name} has no command and no query"


def test_damage_is_told_at_once() -> None:
    alert = alerts()["DesRetrieverCorrupt"]
    assert alert["labels"]["severity"] == "critical"
    assert "for" not in alert


def test_panels_are_apart_and_ask_for_what_was_chosen() -> None:
    board = dashboard()
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for query in queries_of_dashboard():
        for name, matchers in selectors(query):
            chosen = {(label, text) for label, _kind, text in matchers}
            assert {("namespace", "$namespace"), ("job", "$job")} <= chosen, f"{name} in {query}"


@pytest.fixture(scope="module")
def promtool() -> str:
    """The tool that comes with Prometheus."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs promtool on the PATH (apt-get install prometheus)")
    return found


def run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules_and_they_do_what_their_tests_say(promtool: str) -> None:
    run(promtool, "check", "rules", RULES)
    run(promtool, "test", "rules", RULE_TESTS)


def test_every_alert_is_tested() -> None:
    text = RULE_TESTS.read_text(encoding="utf-8")
    assert [name for name in alerts() if name.removeprefix("DesRetriever") not in text] == []


def test_prometheus_accepts_all_queries(promtool: str, tmp_path: Path) -> None:
    queries = [
        re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(namespace|job)", ".*", query))
        for query in queries_of_dashboard() + queries_of_runbooks()
    ]
    group = {"name": "queries", "rules": [{"record": f"query:{at}", "expr": text} for at, text in enumerate(queries)]}
    (tmp_path / "queries.yaml").write_text(json.dumps({"groups": [group]}), encoding="utf-8")
    run(promtool, "check", "rules", tmp_path / "queries.yaml")
