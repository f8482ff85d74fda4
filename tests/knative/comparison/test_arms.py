from typing import Any

import pytest
from tests.knative.comparison.conftest import StartArm, split_service
from tests.knative.kubectl_double import Kubectl

from snooze.bundle.errors import InvalidOption
from snooze.client import v2
from snooze.client.exchange import exchange
from snooze.knative.comparison.arms import TAG_HEADER, choose, connect
from snooze.knative.errors import NotReady
from snooze.knative.kubectl import REVISION, Cluster
from snooze.knative.rollout.live import LiveService


def a_service(**changes: Any) -> LiveService:
    return LiveService(Cluster("models"), split_service("http://v1", "http://v2", **changes))


def target(revision: str, percent: int, tag: str | None) -> dict[str, Any]:
    return {"revisionName": revision, "percent": percent, "tag": tag, "url": f"http://{tag}" if tag else None}


def test_the_arms_are_the_two_that_share_the_requests() -> None:
    first, second = choose(a_service(), None)
    assert (first.tag, second.tag) == ("v1", "v2")


@pytest.mark.parametrize("names", [("v2", "v1"), ("tumour-v2", "v1"), ("tumour-v2", "tumour-v1")])
def test_arms_are_named_by_tag_or_revision(names: tuple[str, str]) -> None:
    first, second = choose(a_service(), names)
    assert (first.revision, second.revision) == ("tumour-v2", "tumour-v1")


def test_a_share_and_a_tag_may_be_two_targets_of_one_revision() -> None:
    traffic = [target("a", 50, None), target("b", 50, "new"), target("a", 0, "old")]
    first, second = choose(a_service(traffic=traffic), None)

    assert (first.tag, second.tag) == ("old", "new")


@pytest.mark.parametrize(
    ("traffic", "names", "problem"),
    [
        ([target("a", 100, "old"), target("b", 0, "new")], None, "do not go to two revisions but to a 100 %; name two"),
        ([], None, "no revision yet"),
        ([target("a", 50, "old"), target("b", 50, None)], None, "revision 'b' has no tag"),
        ([target("a", 50, "old"), target("b", 50, "new")], ("old", "other"), "no tag or revision 'other'"),
        ([target("a", 50, "old"), target("b", 50, "new")], ("old", "a"), "both are revision 'a'"),
    ],
)
def test_says_why_there_are_not_two_arms(
    traffic: list[dict[str, Any]], names: tuple[str, str] | None, problem: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        choose(a_service(traffic=traffic), names)

    assert caught.value.option == "--arms"
    assert problem in caught.value.problem


@pytest.mark.process
def test_an_arm_is_reached_by_its_tag(kubectl: Kubectl, start_arm: StartArm) -> None:
    server = start_arm("tumour-v2", lambda feature: {"label": "a"})
    service = LiveService(Cluster("models"), split_service("http://v1", server))
    arm = connect(service, choose(service, None)[1], None, header=False, seconds=5)

    assert (arm.tag, arm.revision, arm.percent, arm.model.name) == ("v2", "tumour-v2", 50, "tumour")
    assert arm.model.address.url == server.url


@pytest.mark.process
def test_an_arm_is_reached_by_a_header(kubectl: Kubectl, start_arm: StartArm) -> None:
    server = start_arm("tumour-v2", lambda feature: {"label": "a"})
    service = LiveService(Cluster("models"), split_service(server, "http://v2.invalid"))
    arm = connect(service, choose(service, None)[1], "tumour", header=True, seconds=5)

    assert arm.model.address.url == server.url
    exchange(arm.model.address, "POST", "/v2/repository/index", None, 5)
    assert server.headers[-1][TAG_HEADER] == "v2"
    assert v2.read_metadata(arm.model)[1] is None


def fail(kubectl: Kubectl, revision: str) -> None:
    """Let a revision fail."""
    failed = {"type": "Ready", "status": "False", "reason": "ExitCode2", "message": "the container\nexited\n"}
    kubectl.put(f"{REVISION}/{revision}", {"status": {"conditions": [{"type": "Active", "status": "False"}, failed]}})


@pytest.mark.process
@pytest.mark.parametrize("name", ["v3", "tumour-v3"])
def test_a_revision_that_never_got_ready_is_no_arm(kubectl: Kubectl, name: str) -> None:
    fail(kubectl, "tumour-v3")
    document = split_service("http://v1", "http://v2") | {"spec": {"traffic": [target("tumour-v3", 0, "v3")]}}

    with pytest.raises(NotReady) as caught:
        choose(LiveService(Cluster("models"), document), ("v1", name))
    assert caught.value.revision == "tumour-v3"


@pytest.mark.process
def test_a_revision_that_failed_later_is_no_arm(kubectl: Kubectl) -> None:
    fail(kubectl, "tumour-v1")
    service = a_service()

    with pytest.raises(NotReady) as caught:
        connect(service, choose(service, None)[0], None, header=False, seconds=5)
    assert caught.value.reason == "the container exited"
