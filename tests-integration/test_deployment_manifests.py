"""The manifests for Kubernetes and Compose against the service that they start: settings, ports, probes, stopping."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from des_retriever_http import create_app
from des_retriever_http.app import Retriever
from des_retriever_http.serving.operating import Operations, RetrieverSettings
from servers import S3Server

ROOT = Path(__file__).resolve().parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes" / "retriever"
COMPOSE = ROOT / "deploy" / "compose"
MIB = 2**20
OTHERS_MIB = 300  # The interpreter with everything imported, and manifests.


def variables(path: Path) -> dict[str, str]:
    """A file of variables, as kustomize reads it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def documents(text: str) -> dict[str, Any]:
    """The objects of YAML, by their kinds."""
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@dataclass
class Deployed:
    """What is given to Kubernetes.

    Attributes:
        objects: By their kinds.
        environment: What the ConfigMap says.
    """

    objects: dict[str, Any]
    environment: dict[str, str]

    @cached_property
    def pod(self) -> Any:
        return self.objects["Deployment"]["spec"]["template"]

    @cached_property
    def container(self) -> Any:
        (container,) = self.pod["spec"]["containers"]
        return container

    @cached_property
    def settings(self) -> RetrieverSettings:
        return RetrieverSettings.read(self.environment)


def from_files() -> Deployed:
    """The base as it is in the files, and the variables of the overlay."""
    kustomization = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text(encoding="utf-8"))
    text = "---\n".join((KUBERNETES / "base" / name).read_text(encoding="utf-8") for name in kustomization["resources"])
    environment = variables(KUBERNETES / "base" / "retriever.env") | variables(KUBERNETES / "overlays/s3/s3.env")
    return Deployed(documents(text), environment)


def from_kustomize(folder: Path) -> Deployed:
    """What kustomize makes of an overlay; skip the test where there is none."""
    command = next(
        (words for words in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(words[0])), None
    )
    if command is None:
        pytest.skip("needs kustomize or kubectl on the PATH")
    objects = documents(subprocess.check_output([*command, str(folder)], text=True))
    return Deployed(objects, objects["ConfigMap"]["data"])


@pytest.fixture(scope="module", params=["files", "kustomize"])
def deployed(request: pytest.FixtureRequest) -> Deployed:
    """What the overlay for S3 gives to Kubernetes."""
    return from_files() if request.param == "files" else from_kustomize(KUBERNETES / "overlays" / "s3")


def test_the_service_accepts_its_settings(deployed: Deployed) -> None:
    assert (deployed.settings.kind, deployed.settings.workers) == ("s3", 1)


def test_the_example_of_a_secret_holds_settings_and_keys_of_the_storage_only(deployed: Deployed) -> None:
    secret = yaml.safe_load((KUBERNETES / "base" / "secret.example.yaml").read_text(encoding="utf-8"))["stringData"]
    assert all(name.startswith(("AWS_", "DES_")) for name in secret)
    assert not secret.keys() & deployed.environment.keys()
    RetrieverSettings.read(deployed.environment | secret)


def test_ports_agree(deployed: Deployed) -> None:
    (port,) = deployed.container["ports"]
    (service,) = deployed.objects["Service"]["spec"]["ports"]
    annotations = deployed.pod["metadata"]["annotations"]
    assert port["containerPort"] == deployed.settings.retriever_port == int(annotations["prometheus.io/port"])
    assert service["targetPort"] == port["name"]
    dockerfile = (ROOT / "services" / "des-retriever" / "Dockerfile").read_text(encoding="utf-8")
    assert f"\nEXPOSE {port['containerPort']}\n" in dockerfile


def test_the_service_of_that_name_makes_no_setting(deployed: Deployed) -> None:
    """Links of services would: DES_RETRIEVER_PORT=tcp://10.0.0.1:8000."""
    link = f"{deployed.objects['Service']['metadata']['name']}_port".upper().replace("-", "_")
    assert link.removeprefix("DES_").lower() in RetrieverSettings.model_fields
    assert deployed.pod["spec"]["enableServiceLinks"] is False


def test_probes_ask_what_the_service_answers(deployed: Deployed) -> None:
    app = create_app(deployed.settings)
    assert isinstance(app, Retriever)
    Operations(app, deployed.settings)
    known = set(app.openapi()["paths"])
    probes = {name: deployed.container[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["httpGet"]["path"] for probe in probes.values()} == {"/health/live", "/health/ready"} <= known
    assert probes["readinessProbe"]["httpGet"]["path"] == "/health/ready", "the only one that asks the storage"
    assert deployed.pod["metadata"]["annotations"]["prometheus.io/path"] in known
    assert probes["readinessProbe"]["timeoutSeconds"] > deployed.settings.ready_timeout_seconds


def test_a_pod_is_killed_only_after_it_had_time_to_end(deployed: Deployed) -> None:
    grace = deployed.pod["spec"]["terminationGracePeriodSeconds"]
    settings = deployed.settings
    assert grace >= settings.drain_seconds + settings.shutdown_seconds + 10
    readiness = deployed.container["readinessProbe"]
    unnoticed = readiness["periodSeconds"] * readiness["failureThreshold"] + readiness["timeoutSeconds"]
    assert settings.drain_seconds >= unnoticed, "load balancers may go by the probe"
    rules = (ROOT / "deploy" / "prometheus" / "retriever-rules.yaml").read_text(encoding="utf-8")
    (left,) = re.findall(r"kube_pod_deletion_timestamp.*time\(\) < (\d+)", rules)
    assert int(left) < grace - settings.drain_seconds, "a pod that drains as it should is no alert"


def mebibytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([MG])i", text).groups()  # type: ignore[union-attr]
    return int(number) * (1024 if unit == "G" else 1)


def test_memory_is_enough_for_what_the_settings_allow(deployed: Deployed) -> None:
    settings = deployed.settings
    (cache,) = re.findall(r"memory://\?max_bytes=(\d+)MiB", settings.cache_url or "")
    needed = (settings.max_answer_bytes + settings.stream_memory_bytes) // MIB + int(cache) + OTHERS_MIB
    assert mebibytes(deployed.container["resources"]["limits"]["memory"]) >= needed


def selectors(objects: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """What selects the pods, or the Service."""
    yield "Deployment", objects["Deployment"]["spec"]["selector"]["matchLabels"]
    yield "Service", objects["Service"]["spec"]["selector"]
    yield "PodDisruptionBudget", objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    yield "NetworkPolicy", objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    for one in objects["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        yield one["topologyKey"], one["labelSelector"]["matchLabels"]


def test_selectors_select_the_pods(deployed: Deployed) -> None:
    labels = deployed.pod["metadata"]["labels"].items()
    for what, selector in selectors(deployed.objects):
        assert selector, f"{what} would select every pod"
        assert selector.items() <= labels, what
    target = deployed.objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployed.objects["Deployment"]["metadata"]["name"])


def test_other_pods_are_told_by_their_own_labels(deployed: Deployed) -> None:
    """An overlay that labels everything would ask for DNS servers that are called retriever."""
    policy = deployed.objects["NetworkPolicy"]["spec"]
    peers = [peer for rule in policy["ingress"] for peer in rule["from"]]
    peers += [peer for rule in policy["egress"] for peer in rule.get("to", [])]
    own = deployed.pod["metadata"]["labels"].items()
    for peer in peers:
        assert not own & peer.get("podSelector", {}).get("matchLabels", {}).items(), peer


def test_a_disruption_leaves_some_pods(deployed: Deployed) -> None:
    least = deployed.objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
    assert least > deployed.objects["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    assert deployed.objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "replicas" not in deployed.objects["Deployment"]["spec"], "applying it would undo what the autoscaler did"


def test_pods_may_do_nothing_that_they_need_not(deployed: Deployed) -> None:
    pod, container = deployed.pod["spec"], deployed.container["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    dockerfile = (ROOT / "services" / "des-retriever" / "Dockerfile").read_text(encoding="utf-8")
    assert f"\nUSER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}\n" in dockerfile


def test_the_component_of_the_operator_scrapes_the_service_and_nothing_twice(tmp_path: Path) -> None:
    copy = tmp_path / "retriever"
    shutil.copytree(KUBERNETES, copy)
    overlay = copy / "overlays" / "s3" / "kustomization.yaml"
    text = overlay.read_text(encoding="utf-8")
    overlay.write_text(text.replace("# components:\n#   - ", "components:\n  - "), encoding="utf-8")
    deployed = from_kustomize(overlay.parent)
    monitor = deployed.objects["ServiceMonitor"]["spec"]
    service = deployed.objects["Service"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert "prometheus.io/scrape" not in deployed.pod["metadata"]["annotations"]


# -- Compose ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The services of the Compose file."""
    services: dict[str, Any] = yaml.safe_load((COMPOSE / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return services


def test_compose_starts_the_service_with_settings_that_it_accepts(compose: dict[str, Any]) -> None:
    retriever = compose["retriever"]
    settings = RetrieverSettings.read(retriever["environment"])
    assert retriever["ports"] == [f"127.0.0.1:{settings.retriever_port}:{settings.retriever_port}"]
    assert int(retriever["stop_grace_period"].removesuffix("s")) >= settings.drain_seconds + settings.shutdown_seconds
    assert {"s3", "valkey"} <= compose.keys()


def test_files_that_compose_names_are_there(compose: dict[str, Any]) -> None:
    build = compose["retriever"]["build"]
    assert (COMPOSE / build["context"] / build["dockerfile"]).is_file()
    for service in compose.values():
        for volume in service.get("volumes", []):
            assert (COMPOSE / volume.split(":")[0]).exists(), volume
    prometheus = yaml.safe_load((COMPOSE / "prometheus.yml").read_text(encoding="utf-8"))
    (rules,) = prometheus["rule_files"]
    assert (ROOT / "deploy" / "prometheus" / Path(rules).name).is_file()


def test_compose_takes_the_s3_server_of_the_tests(compose: dict[str, Any]) -> None:
    version = compose["s3"]["image"].rpartition(":")[2]
    assert f"\nmoto=={version}\n" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.valkey
def test_compose_fills_a_store_that_its_service_then_finds(
    compose: dict[str, Any], s3_server: S3Server, bucket: str, valkey_server: str
) -> None:
    def here(environment: Mapping[str, str]) -> dict[str, str]:
        changed = {
            "http://s3:5000": quote(s3_server.endpoint_url, safe=":/"),
            "s3://archive/": f"s3://{bucket}/",
            "redis://valkey:6379/0": valkey_server,
        }
        texts = dict(environment)
        for old, new in changed.items():
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        return s3_server.environment() | {name: text for name, text in texts.items() if name.startswith("DES_")}

    fill, serve = here(compose["fill"]["environment"]), here(compose["retriever"]["environment"])
    for _twice in range(2):
        subprocess.run([sys.executable, COMPOSE / "fill.py"], env=fill, check=True)
    command = [sys.executable, "-m", "des_retriever_http", "--check"]
    done = subprocess.run(command, env=serve, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a store (s3)" in done.stdout
