from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData
from snooze.knative.comparison.scoring import score

NAMED = {"label": "ill", "probabilities": {"healthy": 0.1, "ill": 0.9}}


@pytest.mark.parametrize(
    ("prediction", "labels", "right"),
    [
        ({"label": "ill"}, ["ill", "healthy"], [1, 0]),
        ({"label": 1}, [1, 0], [1, 0]),
        ({"label": "1"}, [1.0, 2.0], [1, 0]),
        (NAMED, ["ill", "healthy"], [1, 0]),
        (NAMED, [1, 0], [1, 0]),
        ({"label": "0", "scores": {"1": -0.5, "0": 0.5}}, [0, 1], [1, 0]),
    ],
)
def test_labels_are_compared_by_name_or_number(prediction: dict[str, Any], labels: list[Any], right: list[int]) -> None:
    found = score([(prediction, {"label": "?"})] * len(labels), np.array(labels, object))

    assert found.metric == "accuracy"
    assert found.losses[:, 0].tolist() == right
    assert found.predicted[1] == ["?"] * len(labels)


def test_a_class_that_only_one_arm_knows_is_a_label() -> None:
    newer = {"label": "unsure", "probabilities": {"healthy": 0.1, "unsure": 0.8, "ill": 0.1}}

    assert score([(NAMED, newer)], np.array(["unsure"])).losses.tolist() == [[0, 1]]
    with pytest.raises(InvalidData):  # number 1 is another class for each arm
        score([(NAMED, newer)], np.array([1]))


def test_values_are_compared_by_their_distance() -> None:
    found = score([({"value": 1.0}, {"value": [2.5]}), ({"value": 3}, {"value": 2.0})], np.array([1.0, 2.0]))

    assert found.metric == "mean absolute error"
    assert found.losses.tolist() == [[0, 1.5], [1, 0]]
    assert found.predicted == ([1.0, 3.0], [2.5, 2.0])


@pytest.mark.parametrize(
    ("prediction", "label", "problem"),
    [
        (NAMED, "unknown", "expected one of the classes healthy, ill, got 'unknown'"),
        ({"label": ["a", "b"]}, "a", "several labels for each row"),
        ({"value": 1.0}, "red", "'red' is not a number; the model predicts values"),
        ({"value": 1.0}, float("nan"), "missing or infinite"),
        ({"value": [1.0, 2.0]}, 1.0, "expected a label or one value for each row"),
        ({"embedding": [1.0]}, 1.0, "its predictions have: embedding"),
    ],
)
def test_says_what_cannot_be_compared(prediction: dict[str, Any], label: Any, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        score([(prediction, prediction)], np.array([label], object))

    assert problem in str(caught.value)
