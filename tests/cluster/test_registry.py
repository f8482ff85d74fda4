"""A registry that is gone: what is on the node goes on and wakes, what is new fails and says why."""

import os
import subprocess
from collections.abc import Iterator

import pytest
from tests.cluster.callers import Question, Tally, ask
from tests.cluster.conftest import Figures
from tests.cluster.services import Service, wait_until

from snooze.benchmarks.load.outcomes import Outcome

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("alone")]


@pytest.fixture
def no_registry() -> Iterator[None]:
    switch("stop")
    yield
    switch("start")


def test_a_service_wakes_without_the_registry(
    service: Service, question: Question, figures: Figures, request: pytest.FixtureRequest
) -> None:
    url = service.deploy("tumour/1")
    service.wait_for_zero()
    request.getfixturevalue("no_registry")
    seen = ask(url, question)
    figures.add([seen])

    assert seen.outcome == Outcome.ANSWERED, seen.problem


def test_a_new_revision_without_the_registry_fails_and_the_old_one_serves_on(
    service: Service, question: Question, figures: Figures, request: pytest.FixtureRequest
) -> None:
    url = service.deploy("tumour/1")
    request.getfixturevalue("no_registry")
    done = service.try_to_deploy("tumour/2")
    tally = Tally(ask(url, question) for _ in range(10))
    figures.add(tally)

    assert done.returncode == 1
    assert service.image("tumour/2") in done.stderr
    assert not tally.failed, tally.describe()
    assert {seen.headers["snooze-version"] for seen in tally} == {"1"}


def test_the_same_revision_is_deployed_again_when_the_registry_is_back(
    service: Service, question: Question, figures: Figures
) -> None:
    url = service.deploy("tumour/1")
    switch("stop")
    try:
        assert service.try_to_deploy("tumour/2").returncode == 1
    finally:
        switch("start")
    second = Question.of(service.models / "tumour/2")
    service.try_to_deploy("tumour/2")

    wait_until(lambda: ask(url, second).headers.get("snooze-version") == "2", "version 2")
    figures.add([ask(url, second)])


def switch(verb: str) -> None:
    """Take the registry away, or give it back."""
    subprocess.run([os.environ["SNOOZE_CLUSTER"], verb, "registry"], check=True, capture_output=True)
    if verb == "start":
        wait_until(answers, "the registry")


def answers() -> bool:
    """Return whether the registry answers."""
    return subprocess.run(["curl", "-sf", "http://registry.local:5000/v2/"], capture_output=True).returncode == 0
