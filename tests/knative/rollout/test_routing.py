from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.knative.rollout import routing
from snooze.knative.rollout.errors import NotRouted
from snooze.knative.rollout.live import read
from snooze.knative.rollout.routing import wait, wait_until_latest


class Answers(HTTPServer):
    """Answers with the revisions in turn, the last one from then on; None stands for another kind of server."""

    revisions: list[str | None]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Answers)
        server.asked.append(self.path)
        revision = server.revisions.pop(0) if len(server.revisions) > 1 else server.revisions[0]
        self.send_response(405)
        if revision is not None:
            self.send_header("Snooze-Revision", revision)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""


@pytest.fixture
def answers(knative: KnativeDouble) -> Iterator[Answers]:
    """The address of the Service."""
    with Answers(("127.0.0.1", 0), Handler) as server:
        server.revisions, server.asked = [], []
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        knative.service["status"]["url"] = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "POLL_SECONDS", 0.01)


def test_asks_until_only_the_right_revision_answers(answers: Answers, knative: KnativeDouble, deploy: Deploy) -> None:
    right = deploy(1).revision
    answers.revisions = [right, "other", right]

    wait(read(knative, NAME), {right: 100, "other": 0})

    assert answers.asked == ["/v2/models/tumour/infer"] * 7


def test_another_server_is_asked_once(answers: Answers, knative: KnativeDouble, deploy: Deploy) -> None:
    answers.revisions = [None]

    wait(read(knative, NAME), {deploy(1).revision: 100})

    assert len(answers.asked) == 1


def test_an_address_that_leads_nowhere_from_here_is_not_asked(knative: KnativeDouble, deploy: Deploy) -> None:
    knative.service["status"]["url"] = "http://127.0.0.1:9"

    wait(read(knative, NAME), {deploy(1).revision: 100})


def test_the_wrong_answers_for_long_are_an_error(
    answers: Answers, knative: KnativeDouble, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "ANSWER_SECONDS", 0.05)
    answers.revisions = ["other"]

    with pytest.raises(NotRouted) as caught:
        wait(read(knative, NAME), {deploy(1).revision: 100})

    assert "other still answers" in caught.value.problem


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 0},
        {"conditions": [{"type": "RoutesReady", "status": "False"}]},
        {"traffic": [{"revisionName": "tumour-other", "percent": 100}]},
    ],
    ids=["not read yet", "not ready", "to another revision"],
)
def test_traffic_that_does_not_change_is_an_error(
    status: dict, knative: KnativeDouble, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "ROUTE_SECONDS", 0.05)
    knative.service["status"] |= status

    with pytest.raises(NotRouted) as caught:
        wait(read(knative, NAME), {deploy(1).revision: 100})

    assert caught.value.problem.startswith("it did not change within 0.05 s: ")


def test_waits_until_the_latest_revision_is_another(
    knative: KnativeDouble, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until_latest(read(knative, NAME), deploy(1).revision)
    monkeypatch.setattr(routing, "ROUTE_SECONDS", 0.05)
    with pytest.raises(NotRouted):
        wait_until_latest(read(knative, NAME), deploy(2).revision)
