"""What Knative does with our manifests: tags, splits, scales, private services, and images that are not there."""

from typing import Any

import pytest
from tests.cluster.callers import Question, Tally, ask, load
from tests.cluster.conftest import Figures
from tests.cluster.services import Service, wait_until

from snooze.benchmarks.load.outcomes import Outcome

pytestmark = pytest.mark.cluster
AUTOSCALING = "autoscaling.knative.dev"
NO_IMAGE = "tumour@sha256:" + "0" * 64
# A client in another pod: asks each of the addresses in turn for a prediction and prints the statuses.
CHAIN = """
import http.client, sys
body, *hosts = sys.argv[1:]
for host in hosts:
    connection = http.client.HTTPConnection(host, 80, timeout=60)
    connection.request("POST", "/v2/models/tumour/infer", body, {"Content-Type": "application/json"})
    print(connection.getresponse().status)
"""


def test_blue_and_green_swap_without_a_lost_request(service: Service, question: Question, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    service.deploy("tumour/1", "--env", "SNOOZE_LOG=json")
    blue, green = service.revisions()
    with load(url, [question], rps=20) as tally:
        for first, second in ((0, 100), (100, 0), (50, 50)):
            split(service, {blue: ("blue", first), green: ("green", second)})
            assert ask(service.tagged_url("blue"), question).revision == blue
            assert ask(service.tagged_url("green"), question).revision == green
            count = len(tally)
            wait_until(lambda seen=count: len(tally) > seen + 40, "requests")  # type: ignore[misc]
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert set(tally.revisions) == {blue, green}


def test_a_header_chooses_the_tag(service: Service, question: Question, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    service.deploy("tumour/1", "--env", "SNOOZE_LOG=json")
    blue, green = service.revisions()
    split(service, {blue: ("blue", 100), green: ("green", 0)})
    tally = Tally(ask(url, question, {"Knative-Serving-Tag": tag}) for tag in ("blue", "green", "other"))
    figures.add(tally)

    assert [seen.revision for seen in tally] == [blue, green, blue]


def test_an_initial_scale_of_0_needs_no_pod_until_the_first_request(
    service: Service, question: Question, figures: Figures
) -> None:
    def start_none(manifest: Any) -> None:
        manifest["spec"]["template"]["metadata"]["annotations"][f"{AUTOSCALING}/initial-scale"] = "0"

    url = service.apply("tumour/1", start_none)
    assert not service.pods()
    seen = ask(url, question)
    figures.add([seen])

    assert seen.outcome == Outcome.ANSWERED, seen.problem


def test_a_service_with_two_pods_at_least_is_ready_with_both_and_keeps_them(
    service: Service, question: Question, figures: Figures
) -> None:
    url = service.deploy("tumour/1", "--min-scale", "2", "--max-scale", "2")
    assert [is_ready(pod) for pod in service.pods()] == [True, True]
    with load(url, [question], rps=1) as tally, pytest.raises(AssertionError, match="fewer pods"):
        wait_until(lambda: service.replicas() < 4, "fewer pods", 20)  # two wanted and two running
    figures.add(tally)


@pytest.mark.parametrize("image", ["nobody:1", NO_IMAGE], ids=["tag", "digest"])
def test_an_image_that_is_not_there_is_named_and_the_old_revision_serves_on(
    image: str, service: Service, question: Question, figures: Figures
) -> None:
    url = service.deploy("tumour/1")
    done = service.try_to_deploy("tumour/2", image=f"{service.images}/{image}")
    seen = ask(url, question)
    figures.add([seen])

    assert done.returncode == 1
    assert image.partition("@")[0] in done.stderr
    assert seen.outcome == Outcome.ANSWERED, seen.problem
    assert (seen.revision, seen.headers["snooze-version"]) == (service.revisions()[0], "1")


def test_private_services_wake_one_after_the_other_when_a_pod_asks_them(service: Service, question: Question) -> None:
    service.deploy("tumour/1", "--min-scale", "1")
    asking = service.pods()[0]["metadata"]["name"]
    chain = [service._replace(name=f"{service.name}-{number}") for number in range(3)]
    try:
        for stage in chain:
            stage.deploy("tumour/1", "--private")
        for stage in chain:
            stage.wait_for_zero()
        body = question.candidate.payload.body.decode()
        hosts = [f"{stage.name}.{stage.cluster.namespace}.svc.cluster.local" for stage in chain]
        command = ("exec", asking, "-c", "user-container", "--", "python", "-c", CHAIN, body, *hosts)
        assert service.cluster.run(*command).split() == [b"200"] * 3
        public = service.url().replace(service.name, chain[0].name)
        assert ask(public, question).status == 404
    finally:
        for stage in chain:
            stage.delete()


def test_the_number_of_pods_follows_knatives_formula(service: Service, figures: Figures) -> None:
    def set_target(manifest: Any) -> None:
        manifest["spec"]["template"]["spec"]["containerConcurrency"] = 0
        annotations = manifest["spec"]["template"]["metadata"]["annotations"]
        annotations |= {f"{AUTOSCALING}/target": "2", f"{AUTOSCALING}/max-scale": "5"}

    slow = Question.of(service.models / "tumour/4", row=0)
    url = service.apply("tumour/4", set_target)
    with load(url, [slow], rps=1000, callers=4) as tally:  # always four at once: 4 / (2 x 0.7), rounded up
        wait_until(lambda: len(service.pods()) == 3, "three pods")
        with pytest.raises(AssertionError, match="another number"):
            wait_until(lambda: len(service.pods()) != 3, "another number", 15)
    figures.add(tally)

    assert not tally.failed, tally.describe()


def split(service: Service, percents: dict[str, tuple[str, int]]) -> None:
    """Set the traffic: a tag and a percentage for each revision."""
    traffic = [
        {"revisionName": revision, "tag": tag, "percent": percent, "latestRevision": False}
        for revision, (tag, percent) in percents.items()
    ]
    service.change({"spec": {"traffic": traffic}})
    wait_until(lambda: service.document()["status"]["traffic"][0].get("tag"), "the tags")
    service.url()


def is_ready(pod: dict[str, Any]) -> bool:
    """Return whether Kubernetes sends requests to a pod."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])
