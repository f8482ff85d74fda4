from copy import deepcopy

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.knative.kubectl import SERVICE
from snooze.knative.rollout import lock
from snooze.knative.rollout.errors import NothingToRollBack, RolloutUnderWay, SplitTraffic, UnknownVersion
from snooze.knative.rollout.live import ROLLOUT, read
from snooze.knative.rollout.revision import REFUSED, list_revisions
from snooze.knative.rollout.rollback import find_previous, prepare


def silently(text: str) -> None:
    """Report nothing."""


def apply(knative: KnativeDouble, deploy: Deploy, *versions: int) -> None:
    """Deploy versions one after the other, without a rollout."""
    for version in versions:
        deployment = deploy(version)
        deployment.replace(read(knative, NAME), deployment.manifest["spec"]["traffic"])


def back(knative: KnativeDouble, version: str | None = None) -> str:
    """Roll back, and return the revision that serves then."""
    prepare(knative, NAME, version).put_back("rolled back", silently)
    (serving,) = read(knative, NAME).split
    return serving


def test_back_to_the_version_before_with_its_template(knative: KnativeDouble, deploy: Deploy) -> None:
    first = deepcopy(knative.service)
    apply(knative, deploy, 2)

    assert back(knative) == deploy(1).revision
    assert knative.service["spec"] == first["spec"]
    assert ROLLOUT not in knative.service["metadata"]["annotations"]
    assert knative.annotations[deploy(2).revision][REFUSED] == "rolled back"


def test_each_rollback_goes_further_and_not_to_a_version_that_was_turned_down(
    knative: KnativeDouble, deploy: Deploy
) -> None:
    apply(knative, deploy, 2, 3)
    assert back(knative) == deploy(2).revision

    apply(knative, deploy, 4)
    assert back(knative) == deploy(2).revision
    assert back(knative) == deploy(1).revision
    with pytest.raises(NothingToRollBack):
        prepare(knative, NAME, None)


def test_a_version_that_is_not_ready_is_no_target(knative: KnativeDouble, deploy: Deploy) -> None:
    apply(knative, deploy, 2, 3)
    revisions = list_revisions(knative, NAME)
    revisions[1].document["status"]["conditions"][0]["status"] = "False"

    assert find_previous(NAME, revisions, deploy(3).revision) == deploy(1).revision


def test_to_a_version_of_the_model_or_to_a_revision(knative: KnativeDouble, deploy: Deploy) -> None:
    apply(knative, deploy, 2, 3)

    # All have version 3 of the model, and differ in their images.
    assert back(knative, "3") == deploy(2).revision
    assert back(knative, "3") == deploy(1).revision  # the others were turned down
    assert back(knative, deploy(3).revision) == deploy(3).revision


@pytest.mark.parametrize("version", ["99", "tumour-v9"])
def test_an_unknown_version_is_an_error_that_names_those_there_are(
    version: str, knative: KnativeDouble, deploy: Deploy
) -> None:
    apply(knative, deploy, 2)

    with pytest.raises(UnknownVersion) as caught:
        prepare(knative, NAME, version)

    assert caught.value.known == ("3",)


def test_during_a_rollout_it_ends_the_rollout(knative: KnativeDouble, deploy: Deploy) -> None:
    before = deepcopy(knative.service["spec"])
    canary = lock.take(knative, deploy(2))
    canary.create(deploy(2), silently)
    canary.share(50)

    with pytest.raises(RolloutUnderWay):
        prepare(knative, NAME, deploy(2).revision)
    assert back(knative) == deploy(1).revision
    assert knative.service["spec"] == before
    assert knative.annotations[deploy(1).revision]["autoscaling.knative.dev/min-scale"] == "0"


def test_a_split_needs_a_choice(knative: KnativeDouble, deploy: Deploy) -> None:
    apply(knative, deploy, 2)
    one, two = deploy(1), deploy(2)
    split = [{"revisionName": one.revision, "percent": 70}, {"revisionName": two.revision, "percent": 30}]
    knative.patch(SERVICE, NAME, {"spec": {"traffic": split}})

    with pytest.raises(SplitTraffic):
        prepare(knative, NAME, None)
    assert back(knative, two.revision) == two.revision
