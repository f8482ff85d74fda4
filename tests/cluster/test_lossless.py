"""No request is lost: at a cold service, while pods and revisions change, when a run takes long, and under overload."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.cluster.callers import Question, Tally, ask, burst
from tests.cluster.conftest import Figures
from tests.cluster.services import Service, wait_until

from snooze.benchmarks.load.outcomes import Outcome
from snooze.bundle.samples import Sample

pytestmark = pytest.mark.cluster
CONNECTIONS = 200
BURSTS = 5
LONG_SECONDS = 35.0
OPTIONS = ("--env", "SNOOZE_MAX_WAIT=2s", "--env", "SNOOZE_BATCHING=off")


def test_bursts_at_a_cold_service_are_answered(service: Service, question: Question, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    for _ in range(BURSTS):
        service.wait_for_zero()
        tally = burst(url, question, CONNECTIONS)
        figures.add(tally)
        assert not tally.failed, tally.describe()

    assert figures.sent == CONNECTIONS * BURSTS


def test_a_new_revision_and_a_deleted_pod_lose_nothing(service: Service, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    load = subprocess.Popen(
        [*(sys.executable, "-m", "snooze.cli", "bench", "load", url, "--model", "tumour"),
         *("--rps", "100", "--duration", "40", "--json")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        time.sleep(8)
        service.deploy("tumour/1", "--env", "SNOOZE_LOG=json")
        time.sleep(8)
        service.delete_pod()
        output, _ = load.communicate(timeout=300)
    finally:
        load.kill()
    report = json.loads(output)
    figures.sent, figures.lost = report["requests"] - report["outcomes"]["refused"], report["outcomes"]["lost"]
    figures.failed = report["errors"] - figures.lost

    assert report["outcomes"]["answered"] == report["requests"] == 4000, report["outcomes"]
    assert len(service.revisions()) == 2


def test_a_request_that_runs_for_35_s_is_answered_although_its_pod_is_deleted(
    service: Service, figures: Figures
) -> None:
    url = service.deploy("patient/1", "--timeout", "300s")
    seconds = np.full((1, 1), LONG_SECONDS, np.float32)
    long = Question.asking(service.models / "patient/1", Sample({"seconds": seconds}, {"answer": seconds}))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, url, long)
        time.sleep(2)
        deleted = service.delete_pod()
        seen = answer.result()
    figures.add(Tally([seen]))

    assert seen.outcome == Outcome.ANSWERED, seen.problem
    assert seen.seconds > LONG_SECONDS / 2, "the machine is faster than when the model was made"
    wait_until(lambda: deleted not in [pod["metadata"]["name"] for pod in service.pods()], "the deleted pod to end")


@pytest.mark.xdist_group("alone")
def test_overload_is_refused_with_a_time_to_try_again_and_passes(service: Service, figures: Figures) -> None:
    slow = Question.of(service.models / "tumour/4", row=0)
    url = service.deploy("tumour/4", "--max-scale", "1", *OPTIONS)
    tally = Tally(seen for _ in range(3) for seen in burst(url, slow, CONNECTIONS))
    figures.add(tally)

    assert tally.counts[Outcome.ANSWERED] > 0
    assert {seen.status for seen in tally.failed} in ({429}, {429, 503}), tally.describe()
    assert all(int(seen.headers.get("retry-after", 0)) > 0 for seen in tally.failed), tally.describe()
    after = ask(url, slow)
    assert after.outcome == Outcome.ANSWERED, after.problem
    assert after.seconds < 5
