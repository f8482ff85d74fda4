"""With a stand-in for kubectl, and real servers of two versions behind it."""

import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.knative.rollout.judging.conftest import NEW, OLD, Kubectl, a_pod, a_revision

from snooze.bundle.store import Found
from snooze.client.exchange import Address, Payload, exchange
from snooze.knative.kubectl import Cluster
from snooze.knative.rollout.errors import MissingRight, NoFigures, PrometheusFailed
from snooze.knative.rollout.judging import judging
from snooze.knative.rollout.judging.judging import Judging
from snooze.knative.rollout.judging.options import Options
from snooze.knative.rollout.judging.questions import path_of
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.live import Target

pytestmark = pytest.mark.process
DEADLINE = 60.0
ROW = Payload(b'{"rows": [[1, 2, 3, 4]]}', {"Content-Type": "application/json"})
AWAY = "http://127.0.0.1:9"

Begin = Callable[..., Judging]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "INTERVAL_SECONDS", 0.05)


@pytest.fixture
def begin(kubectl: Kubectl, targets: tuple[Target, Target], versions: list[Found], urls: list[str]) -> Iterator[Begin]:
    """Return a function that begins to judge two revisions of one pod each, with their real servers as the pods."""
    opened: list[Judging] = []
    kubectl.show(a_pod("old", OLD), a_pod("new", NEW), a_revision(), old=urls[0], new=urls[1])

    def start(options: Options | None = None, **changed: Target) -> Judging:
        old, new = changed.get("old", targets[0]), changed.get("new", targets[1])
        judge = Judging(options or Options(), Cluster("judge"), "tumour", old, new, versions[1])
        opened.append(judge)
        judge.begin()
        return judge

    yield start
    for judge in opened:
        judge.close()
    names = [thread.name for thread in threading.enumerate() if "_watch" in thread.name or "_ask_on" in thread.name]
    assert names == []


def look_until(judge: Judging, condition: Callable[[Verdict], bool]) -> Verdict:
    """Return the first verdict of which the condition holds."""
    end = time.monotonic() + DEADLINE
    while not condition(verdict := judge.look()):
        assert time.monotonic() < end, verdict
        time.sleep(0.02)
    return verdict


def has_begun(verdict: Verdict) -> bool:
    return "no figures of this step yet" not in verdict.summary


def all_failed(verdict: Verdict) -> bool:
    """Return whether there were at least four probes, and all of them failed."""
    found = re.search(r"(\d+) probes, (\d+) failed", verdict.summary)
    return found is not None and found[1] == found[2] and int(found[1]) >= 4


def test_counts_the_users_requests_without_our_own(begin: Begin, urls: list[str]) -> None:
    judge = begin()
    look_until(judge, has_begun)

    for _ in range(20):
        assert exchange(Address.parse(urls[1]), "POST", path_of("tumour"), ROW).status == 200
    # A probe that is answered between the reading and the subtraction is missing until the next one.
    verdict = look_until(judge, lambda verdict: 18 <= verdict.requests <= 20)

    assert verdict.problems == ()
    assert f"{NEW}: {verdict.requests} requests, 0 errors, p99 " in verdict.summary
    assert "probes, 0 failed" in verdict.summary


def test_a_step_begins_at_nothing(begin: Begin, urls: list[str]) -> None:
    judge = begin()
    look_until(judge, has_begun)
    for _ in range(5):
        exchange(Address.parse(urls[1]), "POST", path_of("tumour"), ROW)
    look_until(judge, lambda verdict: verdict.requests >= 3)

    judge.begin()

    assert judge.look().requests == 0
    assert look_until(judge, has_begun).requests == 0


def test_probes_that_fail_at_the_new_revision_only_are_a_problem(begin: Begin, targets: tuple[Target, Target]) -> None:
    judge = begin(new=targets[1]._replace(url=AWAY))

    verdict = look_until(judge, lambda verdict: bool(verdict.problems))

    (problem,) = verdict.problems
    assert f"probes of {NEW} (Connection refused) failed; at most 1 % may, and 0 of " in problem


def test_probes_that_fail_everywhere_are_the_fault_of_the_way(begin: Begin, targets: tuple[Target, Target]) -> None:
    old, new = (one._replace(url=AWAY) for one in targets)
    judge = begin(old=old, new=new)

    verdict = look_until(judge, all_failed)

    assert verdict.problems == ()


def test_errors_are_no_problem_if_they_are_not_to_be_judged(begin: Begin, targets: tuple[Target, Target]) -> None:
    judge = begin(Options(abort_on=frozenset()), new=targets[1]._replace(url=AWAY))

    assert look_until(judge, all_failed).problems == ()


def test_a_restart_is_a_problem_at_once_even_before_the_first_figures(
    begin: Begin, kubectl: Kubectl, urls: list[str]
) -> None:
    judge = begin()
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    pods = a_pod("old", OLD, restartCount=1, lastState=killed), a_pod("new", NEW, restartCount=1, lastState=killed)
    kubectl.show(*pods, a_revision(), old=urls[0], new=urls[1])

    verdict = look_until(judge, lambda verdict: bool(verdict.problems))

    assert verdict.problems == (
        f"{NEW}: container user-container of pod new was restarted once (OOMKilled, exit code 137)",
    )


def test_an_api_server_that_is_away_is_told_and_the_figures_stay(begin: Begin, kubectl: Kubectl) -> None:
    judge = begin()
    look_until(judge, has_begun)
    kubectl.objects = None
    kubectl.save()

    verdict = look_until(judge, lambda verdict: "may not list pods" in verdict.summary)

    assert verdict.problems == ()


def test_a_pod_that_cannot_be_read_is_told_and_is_no_problem(begin: Begin, kubectl: Kubectl, urls: list[str]) -> None:
    judge = begin()
    kubectl.show(a_pod("old", OLD), a_pod("new", NEW), a_revision(), old=urls[0])

    verdict = look_until(judge, lambda verdict: "pod new cannot be read" in verdict.summary)

    assert verdict.problems == ()


def test_without_rights_or_figures_it_does_not_even_begin(begin: Begin, kubectl: Kubectl) -> None:
    kubectl.show(a_pod("old", OLD), a_pod("new", NEW), a_revision())
    with pytest.raises(NoFigures):
        begin()

    kubectl.objects = None
    kubectl.save()
    with pytest.raises(MissingRight) as caught:
        begin()
    assert caught.value.resource == "pods and revisions.serving.knative.dev"


def test_prometheus_is_asked_instead_of_the_pods(begin: Begin, kubectl: Kubectl) -> None:
    kubectl.show(a_pod("old", OLD), a_pod("new", NEW), a_revision())

    with pytest.raises(PrometheusFailed):
        begin(Options(prometheus=AWAY))
