from pathlib import Path

import pytest
from tests.service.conftest import Client, classifier, publish

from snooze.bundle.store import REPORT
from snooze.service import Settings, create_app

EVIDENCE = b"<!doctype html><p>evidence</p>"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with a report."""
    return publish(tmp_path / "models", "tumour", classifier(), ("malignant", "benign"), files={REPORT: EVIDENCE})


def serve(folder: Path, report: bool = True) -> Client:
    return Client(create_app(Settings(models=(folder,), log="off", report=report)))


def test_the_report_is_shown_but_can_do_nothing(bundle: Path) -> None:
    client = serve(bundle)

    for path in ("/models/tumour/report", "/models/tumour/versions/1/report"):
        answer = client.ask("GET", path)
        policy = answer.headers["content-security-policy"]
        assert (answer.status, answer.body) == (200, EVIDENCE)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
        assert policy.endswith("sandbox")


def test_reports_are_off(bundle: Path) -> None:
    answer = serve(bundle, report=Settings().report).ask("GET", "/models/tumour/report")

    assert answer.status == 404
    assert answer.error == (
        "the report of model 'tumour' is not served: reports are off; "
        "start the server with --report or SNOOZE_REPORT=on"
    )


def test_a_changed_report_is_not_shown_and_stops_nothing(bundle: Path) -> None:
    (bundle / REPORT).write_bytes(EVIDENCE + b"<script>")
    client = serve(bundle)

    answer = client.ask("GET", "/models/tumour/report")

    assert answer.status == 404
    assert "was changed or removed after the bundle was written" in answer.error
    assert client.post("/predict", [[0.5] * 30]).status == 200


def test_a_bundle_without_a_report_says_so(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier(), labels=("malignant", "benign"))

    answer = serve(tmp_path).ask("GET", "/models/tumour/report")

    assert (answer.status, answer.error) == (
        404,
        "the report of model 'tumour' is not served: its bundle has none",
    )


def test_another_model_is_unknown(bundle: Path) -> None:
    assert serve(bundle).ask("GET", "/models/other/report").status == 404
