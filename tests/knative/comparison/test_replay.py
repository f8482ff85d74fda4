import json
from typing import Any

import pytest
from tests.knative.comparison.conftest import ArmServer, Predict, StartArm

from snooze.bundle.errors import InvalidData
from snooze.client.exchange import Address, Payload
from snooze.client.v2 import ServedModel
from snooze.knative.comparison.arms import Arm
from snooze.knative.comparison.replay import MAX_ERRORS, Pair, choose_rows, replay
from snooze.knative.errors import WrongRevision

pytestmark = pytest.mark.process
ROWS = [
    Payload(json.dumps({"rows": [[number]]}).encode(), {"Content-Type": "application/json"}) for number in range(40)
]


def an_arm(server: ArmServer, revision: str) -> Arm:
    return Arm(revision[-2:], revision, 50, ServedModel(Address.parse(server.url), "tumour"))


def answer(_: float) -> dict[str, Any]:
    return {"label": "a"}


def run(start_arm: StartArm, first: Predict, second: Predict, count: int = 4, **options: Any) -> list[Pair]:
    servers = start_arm("tumour-v1", first), start_arm("tumour-v2", second, **options)
    arms = an_arm(servers[0], "tumour-v1"), an_arm(servers[1], "tumour-v2")
    return list(replay(arms, (ROWS, ROWS), range(count), 5))


def test_the_arms_take_turns_in_being_asked_first(start_arm: StartArm, order: list[tuple[str, float]]) -> None:
    run(start_arm, answer, answer, 3)

    first, second = "tumour-v1", "tumour-v2"
    assert order == [(first, 0), (second, 0), (second, 1), (first, 1), (first, 2), (second, 2)]


def test_replies_name_prediction_version_and_time(start_arm: StartArm) -> None:
    (pair,) = run(start_arm, answer, lambda feature: {"label": "b"}, 1)

    assert [reply.prediction for reply in pair.replies] == [{"label": "a"}, {"label": "b"}]
    assert [reply.version for reply in pair.replies] == ["1", "2"]
    assert all(0 < reply.seconds < 5 for reply in pair.replies)


def test_an_error_of_one_arm_is_a_reply(start_arm: StartArm) -> None:
    pairs = run(start_arm, answer, lambda feature: 500 if feature == 1 else {"label": "a"})

    assert [pair.replies[1].status for pair in pairs] == [None, 500, None, None]
    assert "no answer to 1" in str(pairs[1].replies[1].error)


def test_a_row_that_no_arm_accepts_is_wrong(start_arm: StartArm) -> None:
    with pytest.raises(InvalidData) as caught:
        run(start_arm, lambda feature: 400, lambda feature: 400)

    assert caught.value.what == "row 0"
    assert "no answer to 0" in caught.value.problem


def test_ends_when_an_arm_only_gives_errors(start_arm: StartArm) -> None:
    assert len(run(start_arm, answer, lambda feature: 503, 40)) == MAX_ERRORS


def test_an_answer_that_is_not_one_prediction_is_an_error(start_arm: StartArm) -> None:
    (pair,) = run(start_arm, answer, lambda feature: "a", 1)
    assert "expected one prediction" in str(pair.replies[1].error)


@pytest.mark.parametrize("name", [None, "tumour-v1"])
def test_an_answer_of_another_revision_ends_the_comparison(start_arm: StartArm, name: str | None) -> None:
    with pytest.raises(WrongRevision) as caught:
        run(start_arm, answer, answer, names=name)

    assert (caught.value.revision, caught.value.found) == ("tumour-v2", name)


def test_rows_are_drawn_once_each_and_the_same_each_time() -> None:
    assert sorted(choose_rows(100, None)) == list(range(100))
    assert choose_rows(100, 10) == choose_rows(100, None)[:10]
    assert len(choose_rows(3, 10)) == 3
