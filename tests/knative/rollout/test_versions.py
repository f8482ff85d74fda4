import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.knative.rollout import lock
from snooze.knative.rollout.live import read
from snooze.knative.rollout.revision import REFUSED, annotate, list_revisions
from snooze.knative.rollout.versions import describe, format_age


def test_each_revision_with_what_it_serves_and_gets(knative: KnativeDouble, deploy: Deploy) -> None:
    canary = lock.take(knative, deploy(2))
    canary.create(deploy(2), lambda _: None)
    canary.share(25)
    annotate(knative, deploy(1).revision, {REFUSED: "too slow", "snooze/score": "accuracy 0.9877"})

    new, old = describe(read(knative, NAME), list_revisions(knative, NAME))

    assert (new.revision, new.model, new.version, new.percent) == (deploy(2).revision, "tumour", "3", 25)
    assert (new.url, new.ready, new.problem) == (f"http://{deploy(2).tag}-tumour.models.example", True, None)
    assert (old.percent, old.score, old.problem) == (75, "accuracy 0.9877", "too slow")


def test_a_revision_of_others_tells_nothing_about_a_model(knative: KnativeDouble) -> None:
    knative.objects.clear()
    knative.broken["tumour-00001"] = "ContainerMissing"
    knative.create({"metadata": {}, "spec": {}}, [{"latestRevision": True, "percent": 100}])

    (one,) = describe(read(knative, NAME), list_revisions(knative, NAME))

    assert (one.model, one.version, one.score, one.url) == (None, None, None, None)
    assert (one.ready, one.problem) == (False, "ContainerMissing: ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_799, "47h"), (172_800, "2d")],
)
def test_an_age_is_short(seconds: float, text: str) -> None:
    assert format_age(seconds) == text
