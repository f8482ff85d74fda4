import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.knative.kubectl_double import Kubectl

from snooze.cli import main
from snooze.knative.commands.versions import format_table
from snooze.knative.kubectl import REVISION, SERVICE
from snooze.knative.rollout.live import ROLLOUT
from snooze.knative.rollout.record import Record
from snooze.knative.rollout.versions import Version

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
SERVED = Version(
    "t-v2-b", "t", "2", "accuracy 0.97", 100, "http://v2-b-t.models", NOW - timedelta(seconds=90), True, None
)
REFUSED = Version("t-v1-a", "t", "1", None, 0, None, NOW - timedelta(days=3), True, "too slow")
MADE_BY_KN = Version("t-00001", None, None, None, 0, None, NOW - timedelta(hours=5), False, "NoImage: none")


def test_the_table_has_a_line_for_each_and_the_problems_below() -> None:
    assert format_table([SERVED, REFUSED, MADE_BY_KN], NOW).splitlines() == [
        "revision  version  score          traffic  age  ready  url",
        "t-v2-b    2        accuracy 0.97  100 %    90s  yes    http://v2-b-t.models",
        "t-v1-a    1        -              -        3d   yes    -",
        "t-00001   -        -              -        5h   no     -",
        "",
        "t-v1-a: too slow",
        "t-00001: NoImage: none",
    ]


@pytest.fixture
def service(kubectl: Kubectl) -> Kubectl:
    """A Service that rolls out, behind a double of kubectl."""
    record = Record("t-v1-a", "t-v2-b", [], {}, 25)
    metadata = {"name": "t", "resourceVersion": "1", "annotations": {ROLLOUT: record.take("me", NOW).text}}
    traffic = [{"revisionName": "t-v2-b", "percent": 25, "tag": "v2-b", "url": "http://v2-b-t.models"}]
    kubectl.put(f"{SERVICE}/t", {"metadata": metadata, "status": {"traffic": traffic, "url": "http://t.models"}})
    for number, name in enumerate(("t-v1-a", "t-v2-b"), 1):
        labels = {"serving.knative.dev/service": "t", "serving.knative.dev/configurationGeneration": str(number)}
        about = {"name": name, "labels": labels, "creationTimestamp": "2026-11-21T01:02:03Z"}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        kubectl.put(f"{REVISION}/{name}", {"metadata": about, "status": status})
    return kubectl


@pytest.mark.process
def test_versions_prints_the_table_and_the_rollout(service: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "t", "--namespace", "models"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["t-v2-b", "t-v1-a"]
    assert lines[-1] == "a rollout from t-v1-a to t-v2-b was stopped at 25 %"


@pytest.mark.process
def test_versions_as_json(service: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "t", "--namespace", "models", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["rollout"] == {"old": "t-v1-a", "new": "t-v2-b", "percent": 25, "held": False}
    assert [(one["revision"], one["percent"]) for one in document["versions"]] == [("t-v2-b", 25), ("t-v1-a", 0)]
    assert document["versions"][0]["created"] == "2026-11-21T01:02:03+00:00"


@pytest.mark.process
def test_there_are_no_versions_without_a_service(kubectl: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", "t", "--namespace", "models"]) == 2
    assert capsys.readouterr().err.startswith("snooze: there is no Knative Service 't' in namespace 'models'; create")
