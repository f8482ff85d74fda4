import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.knative.kubectl_double import Kubectl
from tests.knative.manifest.test_monitoring import promtool

from snooze.cli import main
from snooze.knative.rollout import readiness
from snooze.knative.rollout.readiness import State

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour@sha256:" + "12e4" * 16


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def deploy(bundle: Path, *options: str) -> dict[str, Any]:
    """Return the documents that are written, by kind."""
    assert main(["deploy", str(bundle), "--image", IMAGE, "--namespace", "models", *options]) == 0
    return {one["kind"]: one for one in yaml.safe_load_all(Path("tumour.yaml").read_text())}


def test_without_options_there_is_a_service_only(on_disk: Make) -> None:
    assert list(deploy(on_disk())) == ["Service"]


def test_all_objects_are_in_one_file_with_the_name_of_the_service(on_disk: Make) -> None:
    found = deploy(on_disk(), "--monitor", "--alerts", "--network-policy", "--monitor-label", "release=prometheus")

    assert list(found) == ["Service", "NetworkPolicy", "PodMonitor", "PrometheusRule"]
    assert {(one["metadata"]["name"], one["metadata"]["namespace"]) for one in found.values()} == {("tumour", "models")}
    for kind in ("PodMonitor", "PrometheusRule"):
        assert found[kind]["metadata"]["labels"]["release"] == "prometheus"


def test_the_file_is_still_ours(on_disk: Make) -> None:
    bundle = on_disk()
    deploy(bundle, "--monitor")
    assert list(deploy(bundle)) == ["Service"]


def test_namespaces_are_those_of_the_options(on_disk: Make) -> None:
    spaces = ("--gateway-namespace", "contour-external,contour-internal", "--prometheus-namespace", "")
    text = json.dumps(deploy(on_disk(), "--network-policy", *spaces)["NetworkPolicy"])

    assert "contour-internal" in text
    assert "kourier-system" not in text
    assert "monitoring" not in text


def test_alerts_watch_the_p99_that_was_asked_for(on_disk: Make) -> None:
    (group,) = deploy(on_disk(), "--alerts", "--p99", "25ms")["PrometheusRule"]["spec"]["groups"]
    (slow,) = (rule for rule in group["rules"] if rule["alert"] == "SnoozeSlowRequests")

    assert "> 0.025)" in slow["expr"]
    assert 'namespace="models", service="tumour"' in slow["expr"]


def test_the_window_and_the_retention_limit_the_cold_starts(on_disk: Make) -> None:
    bundle = on_disk()

    def threshold(*options: str) -> float:
        (group,) = deploy(bundle, "--alerts", *options)["PrometheusRule"]["spec"]["groups"]
        (rule,) = (rule for rule in group["rules"] if rule["alert"] == "SnoozeFrequentColdStarts")
        return float(rule["expr"].rpartition(" ")[2])

    assert (threshold(), threshold("--window", "5m"), threshold("--retention", "1h")) == (20, 6, 1)


@promtool
@pytest.mark.process
def test_rules_for_a_prometheus_without_operator(on_disk: Make) -> None:
    deploy(on_disk(), "--rules", "tumour.rules.yaml")

    subprocess.run(["promtool", "check", "rules", "tumour.rules.yaml"], check=True, capture_output=True)


def test_a_file_that_is_not_ours_is_kept(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.yaml").write_text("groups: []\n")

    assert main(["deploy", str(on_disk()), "--image", IMAGE, "--rules", "rules.yaml"]) == 2
    assert "choose another file with --rules" in capsys.readouterr().err
    assert Path("rules.yaml").read_text() == "groups: []\n"


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--monitor-label", "release", "expected a label such as release=prometheus, got 'release'"),
        ("--monitor-label", "release=a b", "expected a label"),
        ("--gateway-namespace", "Kourier", "expected names of namespaces"),
        ("--prometheus-namespace", "a,,b", "expected names of namespaces"),
    ],
)
def test_names_are_checked(
    on_disk: Make, capsys: pytest.CaptureFixture[str], option: str, value: str, problem: str
) -> None:
    with pytest.raises(SystemExit):
        main(["deploy", str(on_disk()), "--image", IMAGE, option, value])
    assert problem in capsys.readouterr().err


@pytest.mark.process
def test_what_lies_beside_the_service_is_applied_before_it(
    on_disk: Make, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "examine", lambda service, revision: State(True, "", False))
    bundle = on_disk()
    for _ in range(2):
        deploy(bundle, "--network-policy", "--apply")

    applied = [list(yaml.safe_load_all(call["stdin"])) for call in kubectl.calls if call["stdin"]]
    assert [[one["kind"] for one in documents] for documents in applied] == [
        ["NetworkPolicy"],
        ["Service", "NetworkPolicy"],
        ["NetworkPolicy"],
    ]


def test_json_lists_what_lies_beside_the_service(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(on_disk(), "--network-policy", "--json")
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)["beside"]] == ["NetworkPolicy"]
