"""Rollouts of bad versions at 50 requests a second: each returns by itself, and only what reached it may fail."""

import math

import numpy as np
import pytest
from tests.cluster.callers import Question, Tally, row_of
from tests.cluster.conftest import Figures
from tests.cluster.rollouts import Ended, let_pass, percents, rollout, users
from tests.cluster.services import Service

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("rollouts")]
FIRST_STEP = 0.05  # of the requests
LARGE_RADIUS = 20.0  # the first feature for which tumour/5 takes more memory than its pod has


@pytest.mark.parametrize(
    ("bundle", "image"),
    [("tumour/6", None), ("tumour/2", "nobody:1"), ("tumour/2", "tumour@sha256:" + "0" * 64), ("tumour/3", None)],
    ids=["never ready", "no such tag", "no such digest", "wrong answers"],
)
def test_no_request_fails(
    bundle: str, image: str | None, service: Service, question: Question, figures: Figures
) -> None:
    ended, tally = roll_out(service, bundle, [question], figures, image=image and f"{service.images}/{image}")

    assert_returned(service, ended, tally)
    assert not tally.failed, tally.describe()


def test_a_slow_version_answers_at_most_its_share(service: Service, question: Question, figures: Figures) -> None:
    ended, tally = roll_out(service, "tumour/4", [question], figures)

    assert_returned(service, ended, tally)
    assert "p99" in ended.document["reason"]
    assert not tally.failed, tally.describe()
    assert_at_most_the_first_step(tally, tally.revisions[ended.document["new"]])


def test_a_version_that_dies_fails_at_most_its_share(service: Service, question: Question, figures: Figures) -> None:
    ended, tally = roll_out(service, "tumour/5", [question, question, large_tumour(service)], figures)

    assert_returned(service, ended, tally)
    assert ended.document["old"] not in tally.failed.revisions
    assert_at_most_the_first_step(tally, len(tally.failed))


def roll_out(
    service: Service, bundle: str, questions: list[Question], figures: Figures, image: str | None = None
) -> tuple[Ended, Tally]:
    """Roll a bad version out while users ask."""
    service.deploy("tumour/1")
    with users(service, questions) as tally:
        with rollout(service, bundle, image=image) as running:
            ended = running.end()
        let_pass(5)
    figures.add(tally)
    figures.returned = ended.document.get("seconds_back")
    return ended, tally


def assert_returned(service: Service, ended: Ended, tally: Tally) -> None:
    """Check that the old revision serves everything again, and that the rollout says why."""
    assert ended.code == 1, ended
    old = ended.document["old"]
    assert percents(service) == {old: 100}, ended
    assert ended.document["reason"], ended
    assert {seen.revision for seen in tally[-50:]} == {old}


def assert_at_most_the_first_step(tally: Tally, number: int) -> None:
    """Check that no more requests than the first step's share, by four standard deviations, are affected."""
    expected = FIRST_STEP * len(tally)
    assert number <= expected + 4 * math.sqrt(expected)


def large_tumour(service: Service) -> Question:
    """Ask for a row that version 1 answers as any other, and that version 5 dies of."""
    from sklearn.datasets import load_breast_cancer

    rows = load_breast_cancer()["data"].astype(np.float32)
    first = service.models / "tumour/1"
    return Question.asking(first, row_of(first, rows[rows[:, 0] > LARGE_RADIUS][0]))
