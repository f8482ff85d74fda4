import threading

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.knative.errors import Conflict, NotReady
from snooze.knative.kubectl import REVISION, SERVICE
from snooze.knative.rollout import canary as canary_module
from snooze.knative.rollout import lock
from snooze.knative.rollout.canary import Canary
from snooze.knative.rollout.errors import Displaced
from snooze.knative.rollout.live import ROLLOUT, read
from snooze.knative.rollout.record import read_record


def silently(text: str) -> None:
    """Report nothing."""


@pytest.fixture
def canary(knative: KnativeDouble, deploy: Deploy) -> Canary:
    found = lock.take(knative, deploy(2))
    found.create(deploy(2), silently)
    return found


def test_the_new_version_is_tagged_and_gets_nothing(canary: Canary, knative: KnativeDouble, deploy: Deploy) -> None:
    old, new = canary.targets()

    assert (old.revision, old.percent) == (deploy(1).revision, 100)
    assert (new.revision, new.percent, new.tag) == (deploy(2).revision, 0, deploy(2).tag)


def test_a_change_of_the_status_is_no_change_of_somebody_else(canary: Canary, knative: KnativeDouble) -> None:
    def change_status() -> None:
        knative.patch(SERVICE, NAME, {"status": {"latestReadyRevisionName": "any"}})

    knative.meanwhile.append(change_status)

    canary.share(25)

    assert canary.percents == read(knative, NAME).split
    assert sorted(canary.percents.values()) == [25, 75]


def test_a_change_whose_answer_was_lost_is_not_taken_for_that_of_somebody_else(
    canary: Canary, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = knative.patch
    lost = [True]

    def lose_the_answer(kind: str, name: str, change: dict) -> dict:
        changed = patch(kind, name, change)
        if kind == SERVICE and lost:
            lost.clear()
            raise Conflict("the second try meets the first", "Conflict")
        return changed

    monkeypatch.setattr(type(knative), "patch", lambda _, *given: lose_the_answer(*given))

    canary.share(25)

    assert canary.record.percent == 25


def test_a_rollout_that_was_ended_changes_nothing_more(canary: Canary, knative: KnativeDouble) -> None:
    before = canary.live.document["spec"]
    knative.patch(SERVICE, NAME, {"metadata": {"annotations": {ROLLOUT: None}}})

    with pytest.raises(Displaced):
        canary.share(25)

    assert knative.service["spec"] == before


def test_a_holder_renews_its_record_and_learns_that_it_lost(
    canary: Canary, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_module, "RENEW_SECONDS", 0.01)
    version = canary.live.version
    with canary.renewed():
        while canary.live.version == version:
            threading.Event().wait(0.01)
        canary.check()
        knative.patch(SERVICE, NAME, {"metadata": {"annotations": {ROLLOUT: None}}})
        with pytest.raises(Displaced):
            check_until_it_fails(canary)


def check_until_it_fails(canary: Canary) -> None:
    while True:
        canary.check()


def test_the_record_does_not_come_back_after_the_end(
    canary: Canary, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_module, "RENEW_SECONDS", 0.001)
    with canary.renewed():
        canary.finish()
        threading.Event().wait(0.05)

    assert read_record(read(knative, NAME)) is None


def test_a_released_rollout_keeps_its_split(canary: Canary, knative: KnativeDouble) -> None:
    canary.share(50)
    canary.release()

    record = read_record(read(knative, NAME))
    assert record is not None
    assert (record.percent, record.holder) == (50, None)
    assert read(knative, NAME).split == canary.percents


@pytest.mark.parametrize(("before", "during"), [(0, "1"), (1, "1"), (3, "3")])
def test_no_version_loses_pods_that_it_is_to_keep(
    before: int, during: str, knative: KnativeDouble, deploy: Deploy
) -> None:
    deployment = deploy(2, min_scale=before)
    found = lock.take(knative, deployment)
    found.create(deployment, silently)

    assert knative.annotations[deployment.revision]["autoscaling.knative.dev/min-scale"] == during


def test_a_version_without_a_pod_is_not_ready(
    knative: KnativeDouble, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_module, "PODS_SECONDS", -1)
    knative.objects[REVISION, deploy(1).revision]["status"]["actualReplicas"] = 0
    found = lock.take(knative, deploy(2))

    with pytest.raises(NotReady) as caught:
        found.create(deploy(2), silently)

    assert caught.value.revision == deploy(1).revision
