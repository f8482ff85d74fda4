"""With a `kubectl` on the PATH that fails as the real one does while the API server is away."""

import os
from pathlib import Path

import pytest

from snooze.knative.errors import Conflict, KubectlFailed
from snooze.knative.rollout import patience
from snooze.knative.rollout.patience import PatientCluster

pytestmark = pytest.mark.process
REFUSED = "The connection to the server 10.99.0.1:6443 was refused - did you specify the right host or port?"
WEBHOOK = "Error from server (InternalError): Internal error occurred: failed calling webhook"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the program on the PATH: it fails with `message` below `failures` calls, and counts in this file."""
    program = tmp_path / "kubectl"
    program.write_text(
        f"#!/bin/sh\ncd {tmp_path}\necho >> calls\n"
        '[ $(wc -l < calls) -gt $(cat failures) ] && echo \'{"kind": "Service"}\' && exit 0\ncat message >&2\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "calls"


def fail(calls: Path, failures: int, message: str) -> None:
    (calls.parent / "failures").write_text(str(failures))
    (calls.parent / "message").write_text(message)


@pytest.mark.parametrize("message", [REFUSED, WEBHOOK])
def test_waits_for_an_api_server_that_comes_back(message: str, calls: Path) -> None:
    fail(calls, 2, message)

    assert PatientCluster("models").get("services", "tumour") == {"kind": "Service"}
    assert calls.read_text().count("\n") == 3


def test_gives_up_after_a_while(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0)
    fail(calls, 1000, REFUSED)

    with pytest.raises(KubectlFailed):
        PatientCluster("models").get("services", "tumour")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Error from server (Forbidden): you may not", KubectlFailed),
        ("Error from server (BadRequest): admission webhook denied the request", KubectlFailed),
        ("Error from server (Conflict): the object has been modified", Conflict),
    ],
)
def test_an_answer_of_the_api_server_is_final(message: str, error: type[KubectlFailed], calls: Path) -> None:
    fail(calls, 1, message)

    with pytest.raises(error):
        PatientCluster("models").get("services", "tumour")
    assert calls.read_text().count("\n") == 1


def test_a_pod_that_does_not_answer_is_asked_once(calls: Path) -> None:
    fail(calls, 1, "Error from server (ServiceUnavailable): dial tcp 10.244.0.9:8080: connect: connection refused")

    with pytest.raises(KubectlFailed):
        PatientCluster("models").read_pod("tumour-1", 8080, "/metrics")
    assert calls.read_text().count("\n") == 1
