import json
from typing import Any

import numpy as np
import pytest

from snooze.client.exchange import Address
from snooze.client.v2 import ServedModel
from snooze.knative.comparison.arms import Arm
from snooze.knative.comparison.replay import Pair, Reply
from snooze.knative.comparison.report import Comparison, compare

MODEL = ServedModel(Address("host", 80, False, ""), "tumour")
ARMS = (Arm("v1", "tumour-v1", 90, MODEL), Arm("v2", "tumour-v2", 10, MODEL))


def reply(prediction: dict[str, Any] | None, seconds: float = 0.002) -> Reply:
    return Reply(prediction, "1", seconds) if prediction else Reply(None, None, seconds, "it answered 500", 500)


def compared(first: list[Any], second: list[Any], labels: list[Any], key: str = "label") -> Comparison:
    """Return the comparison of predictions, None for an error."""
    pairs = [
        Pair(row, (reply(a and {key: a}), reply(b and {key: b})))
        for row, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    return compare(("tumour", "models"), ARMS, pairs, np.array(labels), len(pairs), 0.95)


def test_the_arm_with_more_right_rows_wins() -> None:
    found = compared(["a"] * 20, ["a"] * 10 + ["b"] * 10, ["a"] * 10 + ["b"] * 10)

    assert found.verdict is not None
    assert (found.verdict.winner, found.verdict.lost, found.verdict.won) == ("v2", 0, 10)
    assert found.verdict.gain.value == 0.5
    assert [arm.score.value for arm in found.arms if arm.score] == [0.5, 1.0]
    assert [arm.labels for arm in found.arms] == [{"a": 20}, {"a": 10, "b": 10}]
    assert [arm.percent for arm in found.arms] == [90, 10]


def test_few_differences_are_no_victory() -> None:
    found = compared(["a"] * 20, ["b"] * 5 + ["a"] * 15, ["a"] * 20)

    assert found.verdict is not None
    assert found.verdict.winner is None
    assert found.verdict.detectable == pytest.approx(2.8 * np.sqrt(5) / 20, rel=0.01)


def test_the_smaller_error_wins() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(5, 1, 50)
    first, second = (truth + random.normal(0, spread, 50) for spread in (2.0, 0.1))
    found = compared(first.tolist(), second.tolist(), truth.tolist(), "value")

    assert found.metric == "mean absolute error"
    assert found.verdict is not None
    assert (found.verdict.winner, found.verdict.lost) == ("v2", None)
    assert found.verdict.gain.high < 0
    assert found.arms[0].values is not None
    assert list(found.arms[0].values) == ["p5", "p50", "p95"]


def test_errors_are_counted_and_their_rows_left_out() -> None:
    found = compared(["a", "a", "a"], ["a", None, "a"], ["a", "b", "a"])

    assert [arm.errors for arm in found.arms] == [0, 1]
    assert found.compared == 2
    assert found.arms[1].first_error == "it answered 500"
    assert [arm.score.value for arm in found.arms if arm.score] == [1.0, 1.0]


def test_without_common_answers_there_is_no_verdict() -> None:
    found = compared(["a", "a"], [None, None], ["a", "b"])

    assert (found.verdict, found.metric, found.compared) == (None, None, 0)
    assert found.arms[1].p50_seconds is None


@pytest.mark.parametrize("answers", [["a"], [1.0], [None]])
def test_the_document_is_json(answers: list[Any]) -> None:
    found = compared(answers, answers, answers if answers[0] else ["a"], "value" if answers == [1.0] else "label")
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))

    assert document["arms"][0]["tag"] == "v1"
    if found.verdict:
        assert set(document["verdict"]["gain"]) == set(document["arms"][0]["score"]) == {"value", "low", "high"}


def test_latencies_are_those_of_answers() -> None:
    pairs = [Pair(row, (reply({"label": "a"}, 0.01 * (row + 1)), reply(None, 9.0))) for row in range(3)]
    found = compare(("tumour", "models"), ARMS, pairs, np.array(["a"] * 3), 3, 0.95)

    assert found.arms[0].p50_seconds == pytest.approx(0.02)
    assert found.arms[1].p99_seconds is None
