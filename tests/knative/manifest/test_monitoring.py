import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.evidence import read_profile
from snooze.knative.manifest.document import write
from snooze.knative.manifest.monitoring import (
    LABELS,
    MAX_BUCKET_SECONDS,
    PORT_NAME,
    Threshold,
    Thresholds,
    choose_thresholds,
    pod_monitor,
    prometheus_rule,
    rules,
)
from snooze.service.metrics import SECONDS, Metrics, process

THRESHOLDS: Final = Thresholds(Threshold(0.02, "given"), Threshold(2.0, "profile"), Threshold(3, "window"))
OF_POD: Final = 'namespace="models", service="tumour", revision="tumour-v3", model_version="3"'
OF_MODEL: Final = f'{OF_POD}, pod="a", model="tumour", version="3"'
ANSWERED: Final = {f'snooze_requests_total{{{OF_MODEL}, protocol="v2", code="200"}}': "0+6000x40"}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: Debian's prometheus")


def refused(reason: str, per_minute: int) -> dict[str, str]:
    return {f'snooze_refused_total{{{OF_MODEL}, reason="{reason}"}}': f"0+{per_minute}x40"}


def failed(code: int, per_minute: int) -> dict[str, str]:
    return {f'snooze_requests_total{{{OF_MODEL}, protocol="v2", code="{code}"}}': f"0+{per_minute}x40"}


def latency(fast: int, slow: int) -> dict[str, str]:
    """Return the histogram of requests per minute that took up to 10 ms, and between 25 and 50 ms."""
    of_histogram = f'{OF_MODEL}, protocol="v2"'
    bounds = {"0.01": fast, "0.025": fast, "0.05": fast + slow, "+Inf": fast + slow}
    buckets = {f'snooze_request_seconds_bucket{{{of_histogram}, le="{le}"}}': n for le, n in bounds.items()}
    buckets[f"snooze_request_seconds_count{{{of_histogram}}}"] = fast + slow
    return {series: f"0+{per_minute}x40" for series, per_minute in buckets.items()}


def cold_start(session: float) -> dict[str, str]:
    phases = {'phase="imports", clock="wall"': 0.5, 'phase="session", clock="wall"': session}
    cpu = {'phase="imports", clock="cpu"': 50.0}
    return {
        f'snooze_cold_start_seconds{{{OF_POD}, pod="a", {labels}}}': f"{seconds}x40"
        for labels, seconds in (phases | cpu).items()
    }


def starts(*minutes: int) -> dict[str, str]:
    """Return pods that started at these minutes and lived for two."""
    return {
        f'process_start_time_seconds{{{OF_POD}, pod="{index}"}}': f"_x{minute} {minute * 60}x1 stale"
        for index, minute in enumerate(minutes)
    }


def restarted(seconds: int) -> dict[str, str]:
    """Return a pod whose server was started again so many seconds after its first start."""
    return {f'process_start_time_seconds{{{OF_POD}, pod="a"}}': f"100x20 {100 + seconds}x20"}


CASES: Final[list[tuple[str, dict[str, str], bool]]] = [
    ("SnoozeRefusedRequests", ANSWERED | refused("overload", 90), True),
    ("SnoozeRefusedRequests", ANSWERED | refused("overload", 30) | refused("deadline", 40), True),
    ("SnoozeRefusedRequests", ANSWERED | refused("overload", 50), False),
    ("SnoozeRefusedRequests", ANSWERED | refused("limit", 500), False),
    ("SnoozeErrors", ANSWERED | failed(500, 90), True),
    ("SnoozeErrors", ANSWERED | failed(500, 50), False),
    ("SnoozeErrors", ANSWERED | failed(503, 500) | failed(400, 500), False),
    ("SnoozeSlowRequests", latency(97, 3), True),
    ("SnoozeSlowRequests", latency(1000, 3), False),
    ("SnoozeSlowRequests", latency(1, 1), False),
    ("SnoozeSlowColdStarts", cold_start(session=1.6), True),
    ("SnoozeSlowColdStarts", cold_start(session=1.4), False),
    ("SnoozeFrequentColdStarts", starts(2, 5, 8, 11), True),
    ("SnoozeFrequentColdStarts", starts(2, 5, 8), False),
    ("SnoozeRestarts", restarted(600), True),
    ("SnoozeRestarts", restarted(1), False),
]


def count_firing(folder: Path, text: str, name: str, series: dict[str, str], minute: int = 30) -> str:
    """Return what promtool says when the alert fires for one revision after some minutes, empty if nothing is wrong."""
    (folder / "rules.yaml").write_text(text)
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing", {OF_POD}}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    return run("test", "rules", str(folder / "test.yaml"))


def run(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@promtool
@pytest.mark.process
@pytest.mark.parametrize("p99", [0.02, 60.0])
def test_prometheus_accepts_the_rules(tmp_path: Path, p99: float) -> None:
    text = write(*rules("tumour", "models", THRESHOLDS._replace(p99=Threshold(p99, "given"))))
    (tmp_path / "rules.yaml").write_text(text)

    assert run("check", "rules", str(tmp_path / "rules.yaml")) == ""


@promtool
@pytest.mark.process
@pytest.mark.parametrize(("name", "series", "fires"), CASES)
def test_an_alert_fires_when_it_should(tmp_path: Path, name: str, series: dict[str, str], fires: bool) -> None:
    problem = count_firing(tmp_path, write(*rules("tumour", "models", THRESHOLDS)), name, series)

    if fires:
        assert problem == ""
    else:
        assert "got:" in problem
        assert "{} 0E+00" in problem


@promtool
@pytest.mark.process
def test_above_the_highest_bucket_the_mean_is_compared(tmp_path: Path) -> None:
    text = write(*rules("tumour", "models", THRESHOLDS._replace(p99=Threshold(20.0, "given"))))
    histogram = f'{OF_MODEL}, protocol="v2"'

    def series(mean: int) -> dict[str, str]:
        return {
            f"snooze_request_seconds_sum{{{histogram}}}": f"0+{mean * 10}x40",
            f"snooze_request_seconds_count{{{histogram}}}": "0+10x40",
        }

    assert count_firing(tmp_path, text, "SnoozeSlowRequests", series(mean=21)) == ""
    assert count_firing(tmp_path, text, "SnoozeSlowRequests", series(mean=19)) != ""


def test_every_alert_is_tested_both_ways() -> None:
    (group,) = rules("tumour", "models", THRESHOLDS)[0]["groups"]

    assert {(rule["alert"], fires) for rule in group["rules"] for fires in (True, False)} == {
        (name, fires) for name, _, fires in CASES
    }


def test_the_rules_use_metrics_that_the_server_has() -> None:
    families = {value.name for value in vars(Metrics()).values() if hasattr(value, "labels")}
    families |= {family.name for family in process()}
    text = write(*rules("tumour", "models", THRESHOLDS))

    used = set(re.findall(r"\b((?:snooze|process)_\w+)\{", text))
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in used} <= families
    assert SECONDS[-1] == MAX_BUCKET_SECONDS


def test_no_label_of_a_pod_hides_one_of_a_metric() -> None:
    own = {label for value in vars(Metrics()).values() for label in getattr(value, "labels", ())}
    assert not set(LABELS) & own


def test_a_pod_monitor_scrapes_the_server_and_names_service_revision_and_version() -> None:
    manifest, reasons = pod_monitor("tumour", "models", {"release": "prometheus"})
    (endpoint,) = manifest["spec"]["podMetricsEndpoints"]

    assert manifest["metadata"]["namespace"] == "models"
    assert manifest["metadata"]["labels"]["release"] == "prometheus"
    assert manifest["spec"]["selector"] == {"matchLabels": {"serving.knative.dev/service": "tumour"}}
    assert (endpoint["port"], endpoint["path"]) == (PORT_NAME, "/metrics")
    assert [one["targetLabel"] for one in endpoint["relabelings"]] == ["service", "revision", "model_version"]
    assert yaml.safe_load(write(manifest, reasons)) == manifest


def test_the_rules_for_the_operator_are_those_of_the_file() -> None:
    manifest, reasons = prometheus_rule("tumour", "models", {}, THRESHOLDS)

    assert manifest["spec"] == rules("tumour", "models", THRESHOLDS)[0]
    assert write(manifest, reasons).count("  # given\n") == 1


@pytest.mark.parametrize(
    ("options", "window", "expected"),
    [
        ({"p99_seconds": 0.02}, 60.0, {"p99": 0.02, "cold_start": 2.1, "starts": 20}),
        ({}, 3600.0, {"p99": 0.0, "cold_start": 2.1, "starts": 1}),
    ],
)
def test_thresholds_follow_from_profile_and_options(
    options: dict[str, Any], window: float, expected: dict[str, float]
) -> None:
    bundle = a_bundle()
    size = size_of(bundle, 10.0, **options)
    found = choose_thresholds(read_profile(bundle), size, window)

    assert found.cold_start.value == expected["cold_start"]
    assert found.starts.value == expected["starts"]
    if expected["p99"]:
        assert found.p99.value == expected["p99"]
    else:  # the prediction, with the largest error
        assert found.p99.value > 3 * size.pod.p99_seconds
