"""Rollouts as a process of their own, under a steady load whose every request is accounted for."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from tests.cluster.callers import Question, Tally, load
from tests.cluster.services import SMALL, Service, wait_until

from snooze.bundle.contract import Tolerance

RPS: Final = 50.0
MIN_REQUESTS: Final = 50
ROLLOUT_SECONDS: Final = 400.0
LABEL_ONLY: Final = Tolerance(rtol=0.0, atol=0.49)  # the probability of the right label is above one half


class Ended(NamedTuple):
    """A rollout that has ended: its exit code, its JSON document and its errors."""

    code: int
    document: dict[str, Any]
    errors: str


class Rollout:
    """A running `snooze rollout` of a bundle."""

    def __init__(self, service: Service, bundle: str, *options: str, image: str | None = None) -> None:
        command = [
            *(sys.executable, "-m", "snooze.cli", "rollout", service.name, str(service.models / bundle)),
            *("--image", image or service.image(bundle), "--namespace", service.cluster.namespace, "--json", *SMALL),
            *("--min-requests", str(MIN_REQUESTS), "--step-timeout", "180s", *options),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> Ended:
        """Wait until it ends by itself."""
        output, errors = self.process.communicate(timeout=ROLLOUT_SECONDS)
        return Ended(self.process.returncode, json.loads(output) if output.strip() else {}, errors)

    def stop(self, number: signal.Signals) -> Ended:
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        return self.end()

    def wait_for_traffic(self, service: Service, percent: int) -> None:
        """Wait until a new revision gets so much of the requests."""
        wait_until(lambda: percent in percents(service).values() or self.process.poll() is not None, f"{percent} %")
        assert self.process.poll() is None, self.end()


@contextmanager
def rollout(service: Service, bundle: str, *options: str, image: str | None = None) -> Iterator[Rollout]:
    """Start a rollout; it does not outlive the block."""
    running = Rollout(service, bundle, *options, image=image)
    try:
        yield running
    finally:
        running.process.kill()
        print(*running.process.communicate())  # shown if the test fails


def label_of(question: Question) -> Question:
    """Return the question for which every good version has the right answer: the label, and its probability roughly."""
    tolerance = {**question.golden.bundle.tolerance, "probabilities": LABEL_ONLY}
    bundle = question.golden.bundle._replace(tolerance=tolerance)
    return question._replace(golden=question.golden._replace(bundle=bundle))


@contextmanager
def users(service: Service, questions: Sequence[Question]) -> Iterator[Tally]:
    """Ask at the usual rate, and yield what became of the requests."""
    with load(service.url(), questions, RPS) as tally:
        wait_until(lambda: len(tally) > RPS, "answers")
        yield tally


def percents(service: Service) -> dict[str, int]:
    """Return the percentage of the requests by revision."""
    found: dict[str, int] = {}
    for target in service.document()["status"]["traffic"]:
        if target.get("percent"):
            found[target["revisionName"]] = found.get(target["revisionName"], 0) + target["percent"]
    return found


def let_pass(seconds: float) -> None:
    """Let the users go on for a while, so that what fails after the end is counted, too."""
    time.sleep(seconds)
