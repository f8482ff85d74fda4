from typing import Any

import pytest

from snooze.knative.kubectl import Cluster
from snooze.knative.rollout.errors import SplitTraffic
from snooze.knative.rollout.live import LiveService
from snooze.knative.rollout.traffic import find_serving, make_tag, share


def live(*traffic: dict[str, Any]) -> LiveService:
    return LiveService(Cluster("models"), {"metadata": {"name": "t"}, "status": {"traffic": traffic}})


V1 = {"revisionName": "t-v1-a", "percent": 100, "tag": "v1-a", "url": "http://v1-a-t"}
MADE_BY_KN = {"revisionName": "t-00001", "percent": 100, "latestRevision": True}
STABLE = {"revisionName": "t-v1-a", "tag": "stable", "url": "http://stable-t"}


@pytest.mark.parametrize(("revision", "tag"), [("t-v3-1f00ab", "v3-1f00ab"), ("t-00001", "r00001"), ("t-a-b", "a-b")])
def test_a_tag_is_the_own_part_of_a_name(revision: str, tag: str) -> None:
    assert make_tag("t", revision) == tag


def test_one_revision_serves() -> None:
    assert find_serving(live(V1, STABLE)) == "t-v1-a"
    assert find_serving(live({**V1, "percent": 40}, {**STABLE, "percent": 60})) == "t-v1-a"


@pytest.mark.parametrize("traffic", [[], [{**V1, "percent": 50}, {**MADE_BY_KN, "percent": 50}]], ids=["none", "two"])
def test_a_split_has_no_single_revision(traffic: list[dict[str, Any]]) -> None:
    with pytest.raises(SplitTraffic) as caught:
        find_serving(live(*traffic))

    assert caught.value.service == "t"


def test_both_revisions_are_pinned_by_name_and_have_tags() -> None:
    assert share(live(MADE_BY_KN), {"t-00001": 75, "t-v2-b": 25}) == [
        {"revisionName": "t-00001", "percent": 75, "latestRevision": False, "tag": "r00001"},
        {"revisionName": "t-v2-b", "percent": 25, "latestRevision": False, "tag": "v2-b"},
    ]


def test_tags_of_others_stay_and_the_revision_that_leaves_loses_its_own() -> None:
    v2 = {"revisionName": "t-v2-b", "percent": 100, "latestRevision": False, "tag": "v2-b"}
    stable = {"revisionName": "t-v1-a", "percent": 0, "latestRevision": False, "tag": "stable"}

    assert share(live(V1, STABLE), {"t-v2-b": 100}, ["t-v1-a"]) == [v2, stable]
