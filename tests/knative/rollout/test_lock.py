from datetime import UTC, datetime, timedelta

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.bundle.errors import InvalidOption
from snooze.knative.errors import UnknownService
from snooze.knative.kubectl import SERVICE
from snooze.knative.rollout import lock
from snooze.knative.rollout.errors import AlreadyServing, Displaced, RolloutUnderWay, SplitTraffic
from snooze.knative.rollout.live import ROLLOUT, read
from snooze.knative.rollout.record import Record, read_record


def write(knative: KnativeDouble, record: Record) -> None:
    knative.patch(SERVICE, NAME, {"metadata": {"annotations": {ROLLOUT: record.text}}})


def test_the_record_says_what_to_put_back(knative: KnativeDouble, deploy: Deploy) -> None:
    before = knative.service["spec"]["traffic"]

    canary = lock.take(knative, deploy(2, min_scale=2))

    old, new = deploy(1).revision, deploy(2, min_scale=2).revision
    assert read_record(read(knative, NAME)) == canary.record
    assert (canary.record.old, canary.record.new, canary.record.traffic) == (old, new, before)
    assert canary.record.annotations == {
        old: {"autoscaling.knative.dev/min-scale": "0", "serving.knative.dev/no-gc": None},
        new: {"autoscaling.knative.dev/min-scale": "2", "serving.knative.dev/no-gc": None},
    }


def test_of_two_at_once_one_gets_the_lock(knative: KnativeDouble, deploy: Deploy) -> None:
    knative.meanwhile += [lambda: None, lambda: None]
    winners = []
    knative.meanwhile[0] = lambda: winners.append(lock.take(knative, deploy(3)))

    with pytest.raises(RolloutUnderWay):
        lock.take(knative, deploy(2))

    assert read_record(read(knative, NAME)) == winners[0].record


def test_a_lock_that_is_not_renewed_is_taken_over(knative: KnativeDouble, deploy: Deploy) -> None:
    first = lock.take(knative, deploy(2)).record
    with pytest.raises(RolloutUnderWay):
        lock.take(knative, deploy(2))

    write(knative, first.take(first.holder, datetime.now(UTC) - timedelta(seconds=61)))
    second = lock.take(knative, deploy(2)).record

    assert second.holder != first.holder
    assert second.traffic == first.traffic


def test_without_a_service_there_is_no_rollout(knative: KnativeDouble, deploy: Deploy) -> None:
    with pytest.raises(UnknownService):
        lock.take(knative, deploy(2, name="other"))


def test_what_serves_already_is_not_rolled_out(knative: KnativeDouble, deploy: Deploy) -> None:
    with pytest.raises(AlreadyServing) as caught:
        lock.take(knative, deploy(1))

    assert caught.value.revision == deploy(1).revision
    assert ROLLOUT not in knative.service["metadata"]["annotations"]


def test_a_split_of_others_is_not_rolled_out_over(knative: KnativeDouble, deploy: Deploy) -> None:
    traffic = knative.service["status"]["traffic"]
    traffic[:] = [{**traffic[0], "percent": 60}, {"revisionName": "tumour-other", "percent": 40}]

    with pytest.raises(SplitTraffic):
        lock.take(knative, deploy(2))


def test_a_rollout_does_not_change_who_reaches_the_service(knative: KnativeDouble, deploy: Deploy) -> None:
    with pytest.raises(InvalidOption) as caught:
        lock.take(knative, deploy(2, private=True))

    assert caught.value.option == "--private"
    assert ROLLOUT not in knative.service["metadata"]["annotations"]


def test_what_somebody_changed_since_is_not_continued(knative: KnativeDouble, deploy: Deploy) -> None:
    canary = lock.take(knative, deploy(2))
    canary.create(deploy(2), lambda _: None)
    canary.share(25)
    canary.release()
    traffic = [{"revisionName": deploy(1).revision, "percent": 100}]
    knative.patch(SERVICE, NAME, {"spec": {"traffic": traffic}})

    with pytest.raises(Displaced) as caught:
        lock.take(knative, deploy(2))

    assert caught.value.problem == "its traffic is not as the rollout left it"
