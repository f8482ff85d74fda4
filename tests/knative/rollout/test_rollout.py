import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import KnativeDouble

from snooze.knative.rollout import lock, readiness, rollout
from snooze.knative.rollout.errors import Displaced, NoFigures
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.live import ROLLOUT, Target, read
from snooze.knative.rollout.record import Record
from snooze.knative.rollout.revision import REFUSED
from snooze.knative.rollout.rollback import prepare
from snooze.knative.rollout.rollout import Checks, Ending, Outcome, run
from snooze.knative.rollout.steps import make_plan

GOOD = Verdict(100, (), "100 requests")
BAD = Verdict(3, ("3 of 3 requests failed",), "3 requests")
WAIT = Verdict(3, (), "3 requests")


class JudgeDouble:
    """Gives the verdicts one after the other, and the last one from then on."""

    def __init__(self, *verdicts: Verdict, then: Callable[[], None] = lambda: None) -> None:
        self.verdicts = list(verdicts)
        self.begun = 0
        self.then = then

    def begin(self) -> None:
        self.begun += 1

    def look(self) -> Verdict:
        self.then()
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]


def checks(judge: JudgeDouble, shadow: Verdict = GOOD) -> Checks:
    def compare(old: Target, new: Target) -> Verdict:
        assert (old.percent, new.percent) == (100, 0)
        assert old.url != new.url
        return shadow

    return Checks(compare, lambda old, new: nullcontext(judge))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0)


def roll_out(
    knative: KnativeDouble, deploy: Deploy, judge: JudgeDouble, shadow: Verdict = GOOD, hold: int | None = None
) -> tuple[Outcome, list[str]]:
    events: list[str] = []
    deployment = deploy(2)
    plan = make_plan([5, 50, 100], 100, 60, hold)
    outcome = run(lock.take(knative, deployment), deployment, plan, checks(judge, shadow), events.append)
    return outcome, events


def test_a_good_version_gets_everything_step_by_step(knative: KnativeDouble, deploy: Deploy) -> None:
    judge = JudgeDouble(WAIT, GOOD)
    before = deepcopy(knative.annotations)

    outcome, events = roll_out(knative, deploy, judge)

    new = deploy(2)
    assert outcome == Outcome(Ending.DONE)
    assert judge.begun == 3
    assert [event.split(",")[0] for event in events if "routed" in event] == [
        f"{percent} % for {new.revision}" for percent in (5, 50, 100)
    ]
    assert knative.service["spec"]["traffic"] == new.manifest["spec"]["traffic"]
    assert knative.service["spec"]["template"] == new.manifest["spec"]["template"]
    assert ROLLOUT not in knative.service["metadata"]["annotations"]
    assert knative.service["metadata"]["annotations"]["snooze/bundle"] == "sha256:2"
    after = knative.annotations
    assert after.pop(new.revision) == {
        **new.manifest["spec"]["template"]["metadata"]["annotations"],
        "serving.knative.dev/creator": "me",
    }
    assert after == before


@pytest.mark.parametrize(
    ("verdicts", "shadow", "reason"),
    [
        ([BAD], GOOD, "at 5 %: 3 of 3 requests failed"),
        ([GOOD, BAD], GOOD, "at 50 %: 3 of 3 requests failed"),
        ([GOOD, GOOD, BAD], GOOD, "at 100 %: 3 of 3 requests failed"),
        ([GOOD], Verdict(8, ("wrong", "very"), "8 rows"), "wrong; very"),
    ],
)
def test_a_bad_version_leaves_nothing_behind_but_its_revision(
    verdicts: list[Verdict], shadow: Verdict, reason: str, knative: KnativeDouble, deploy: Deploy
) -> None:
    before, annotations = deepcopy(knative.service), deepcopy(knative.annotations)

    outcome, events = roll_out(knative, deploy, JudgeDouble(*verdicts), shadow)

    assert (outcome.ending, outcome.reason) == (Ending.PUT_BACK, reason)
    assert outcome.seconds is not None
    assert any("serves everything again after" in event for event in events)
    assert knative.service["spec"] == before["spec"]
    assert knative.service["status"]["traffic"] == before["status"]["traffic"]
    after = knative.annotations
    assert after.pop(deploy(2).revision)[REFUSED] == reason
    assert after == annotations


def test_a_version_that_does_not_get_ready_never_gets_a_request(knative: KnativeDouble, deploy: Deploy) -> None:
    before = deepcopy(knative.service["spec"])
    knative.broken[deploy(2).revision] = "ContainerMissing"
    judge = JudgeDouble(GOOD)

    outcome, _ = roll_out(knative, deploy, judge)

    assert outcome.ending is Ending.PUT_BACK
    assert "ContainerMissing" in str(outcome.reason)
    assert judge.begun == 0
    assert knative.service["spec"] == before


def test_the_way_back_does_not_wait_for_the_judge(knative: KnativeDouble, deploy: Deploy) -> None:
    @contextmanager
    def watch(old: Target, new: Target) -> Iterator[JudgeDouble]:
        yield JudgeDouble(BAD)
        assert read(knative, "tumour").split == {deploy(1).revision: 100}

    deployment, plan = deploy(2), make_plan([5, 100], 100, 60, None)
    checked = Checks(lambda old, new: GOOD, watch)

    outcome = run(lock.take(knative, deployment), deployment, plan, checked, lambda _: None)

    assert outcome.ending is Ending.PUT_BACK


def test_what_cannot_be_judged_is_put_back(knative: KnativeDouble, deploy: Deploy) -> None:
    def fail() -> None:
        raise NoFigures("no pod answers")

    outcome, _ = roll_out(knative, deploy, JudgeDouble(GOOD, then=fail))

    assert outcome.ending is Ending.PUT_BACK
    assert "no pod answers" in str(outcome.reason)


def test_traffic_to_the_latest_revision_is_pinned_meanwhile_and_put_back(
    knative: KnativeDouble, deploy: Deploy
) -> None:
    template = {"metadata": {"annotations": {}}, "spec": {"containers": [{"image": "made-by-kn"}]}}
    knative.objects.clear()
    knative.create(template, [{"latestRevision": True, "percent": 100}])

    outcome, _ = roll_out(knative, deploy, JudgeDouble(BAD))

    assert outcome.ending is Ending.PUT_BACK
    assert knative.service["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]
    assert knative.service["status"]["traffic"][0]["revisionName"] == "tumour-00001"
    assert knative.service["spec"]["template"]["metadata"]["name"] == "tumour-00001"
    assert knative.service["spec"]["template"]["spec"] == template["spec"]
    assert "snooze/bundle" not in knative.service["metadata"]["annotations"]


def test_a_split_is_held_and_the_same_rollout_goes_on(knative: KnativeDouble, deploy: Deploy) -> None:
    new = deploy(2).revision

    assert roll_out(knative, deploy, JudgeDouble(GOOD), hold=50)[0].ending is Ending.HELD
    record = Record(**json.loads(knative.service["metadata"]["annotations"][ROLLOUT]))
    assert (record.percent, record.held, record.holder) == (50, True, None)
    assert knative.annotations[new]["autoscaling.knative.dev/min-scale"] == "1"
    assert knative.annotations[record.old]["serving.knative.dev/no-gc"] == "true"

    judge = JudgeDouble(GOOD)
    assert roll_out(knative, deploy, judge)[0].ending is Ending.DONE
    assert judge.begun == 1


def test_a_deployment_joins_a_held_split_without_requests_and_a_rollback_ends_it(
    knative: KnativeDouble, deploy: Deploy
) -> None:
    before = deepcopy(knative.service["spec"])
    roll_out(knative, deploy, JudgeDouble(GOOD), hold=50)

    deploy(3).apply(knative)
    split = {deploy(1).revision: 50, deploy(2).revision: 50}
    assert read(knative, "tumour").split == split
    assert read(knative, "tumour").targets[-1].revision == deploy(3).revision

    prepare(knative, "tumour", None).put_back("rolled back", lambda _: None)
    after = knative.service["spec"]
    assert (after["template"], after["traffic"][0]) == (before["template"], before["traffic"][0])
    assert ROLLOUT not in knative.service["metadata"]["annotations"]


def test_the_change_of_somebody_else_ends_a_rollout_and_stays(knative: KnativeDouble, deploy: Deploy) -> None:
    def interfere() -> None:
        traffic = [{"revisionName": deploy(1).revision, "percent": 100, "tag": "mine"}]
        knative.meanwhile.append(lambda: change(traffic))

    def change(traffic: list) -> None:
        knative.patch("services.serving.knative.dev", "tumour", {"spec": {"traffic": traffic}})

    with pytest.raises(Displaced) as caught:
        roll_out(knative, deploy, JudgeDouble(GOOD, then=interfere))

    assert caught.value.problem == "somebody else changed its template or its traffic"
    assert [one["tag"] for one in knative.service["spec"]["traffic"]] == ["mine"]
