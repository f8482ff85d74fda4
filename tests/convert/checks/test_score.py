from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.convert.checks.cases import Case
from snooze.convert.checks.score import check_value_names, class_names, r_squared, score, targets
from snooze.convert.frameworks.interface import Original

MakeOriginal = Callable[..., Original]
Outputs = Callable[..., list[Case]]


@pytest.fixture
def classifier(original: MakeOriginal) -> Original:
    return original(None, task="classification", classes=(0, 1), decides="scores")


@pytest.fixture
def regressor(original: MakeOriginal) -> Original:
    return original(None, task="regression", roles={"value": "value"})


@pytest.mark.parametrize(
    ("labels", "names", "found"),
    [
        ([0, 1], None, [0, 1]),
        ([[0], [1]], None, [0, 1]),
        ([[1, 0], [0, 1]], None, [0, 1]),
        ([[1.0, 0.0], [0.0, 1.0]], None, [0, 1]),
        ([[True, False], [False, True]], None, [0, 1]),
        (["bad", "good"], ("good", "bad"), [1, 0]),
        ([1.0, 0.0], ("good", "bad"), [1, 0]),
    ],
)
def test_returns_labels_as_class_numbers(
    classifier: Original, labels: Any, names: tuple[str, ...] | None, found: list[int]
) -> None:
    got = targets(classifier, np.array(labels), names)

    assert got is not None
    assert got.tolist() == found


def test_true_and_false_of_a_csv_file_are_classes(classifier: Original) -> None:
    got = targets(replace(classifier, classes=(False, True)), np.array(["True", "False"], object), None)

    assert got is not None
    assert got.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([0, 2], "the labels: expected one of the classes 0, 1, got 2"),
        (["x"], "the labels: expected one of the classes 0, 1, got x"),
        (np.zeros((2, 3)), "the labels: expected one label for each row, got shape (2, 3)"),
    ],
)
def test_names_a_label_that_is_not_a_class(classifier: Original, labels: Any, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        targets(classifier, np.asarray(labels), None)

    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([[1, 0], [1, 1]], "row 1 has [1, 1]"),
        ([[0, 0], [1, 0]], "row 0 has [0, 0]"),
        ([[0.7, 0.3], [0.2, 0.8]], "row 0 has [0.7, 0.3]"),
        ([[2, -1]], "row 0 has [2, -1]"),
        ([[1.0, np.nan]], "row 0 has [1.0, nan]"),
    ],
)
def test_one_hot_labels_have_one_1_per_row(classifier: Original, labels: Any, shown: str) -> None:
    with pytest.raises(InvalidData) as caught:
        targets(classifier, np.array(labels), None)

    assert str(caught.value) == (
        f"the labels: one-hot labels need exactly one 1 per row and otherwise 0, {shown}; "
        "or give one class number or name per row"
    )


def test_one_hot_labels_are_numbers(classifier: Original) -> None:
    with pytest.raises(InvalidData, match="the labels: one-hot labels need numbers, got <U1"):
        targets(classifier, np.array([["1", "0"]]), None)


@pytest.mark.parametrize("labels", [["a"], [np.nan]])
def test_values_are_finite_numbers(regressor: Original, labels: list[Any]) -> None:
    with pytest.raises(InvalidData, match="predicts values, so expected finite numbers"):
        targets(regressor, np.array(labels), None)


def test_labels_are_of_no_use_to_other_tasks(original: MakeOriginal) -> None:
    assert targets(original(None, task="clustering"), np.array([1]), None) is None
    assert targets(original(None, task="regression"), None, None) is None


def test_scores_classes_by_accuracy(classifier: Original, outputs: Outputs) -> None:
    found = score(classifier, outputs(scores=[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]), np.array([0, 1, 1, 1]))

    assert (found.metric, found.value) == ("accuracy", 0.75)


def test_scores_values_by_r_squared(regressor: Original, outputs: Outputs) -> None:
    truth = targets(regressor, np.array([1.0, 2.0, 3.0]), None)

    assert truth is not None
    found = score(regressor, outputs(value=[[1.0], [2.0], [4.0]]), truth)
    assert (found.metric, found.value) == ("R²", 0.5)


def test_constant_truth_scores_0() -> None:
    assert r_squared(np.ones((3, 1)), np.ones((3, 1))).tolist() == [0.0]


def test_each_column_counts_the_same(regressor: Original, outputs: Outputs) -> None:
    truth = np.array([[1000.0, 1.0], [2000.0, 2.0], [3000.0, 3.0]])

    assert score(regressor, outputs(value=truth * [1, 0]), truth).value < 0
    assert r_squared(truth, truth).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("truth", "value"), [([1e300, -1e300], [0, 0]), ([1, 2], [1e300, 0]), ([1, 2], [np.inf, 0]), ([1, 2], [np.nan, 0])]
)
def test_values_too_far_apart_have_no_score(truth: list[float], value: list[float]) -> None:
    with pytest.raises(InvalidData) as caught:
        r_squared(np.array(truth)[:, None], np.array(value)[:, None])

    assert str(caught.value) == "the labels: are too far from each other or from the predicted values for a score"


def test_labels_have_as_many_values_as_are_predicted() -> None:
    with pytest.raises(InvalidData) as caught:
        r_squared(np.ones((3, 2)), np.ones((3, 1)))

    assert str(caught.value) == "the labels: have 2 values a row, the model predicts 1"


def test_names_the_classes(original: MakeOriginal, classifier: Original) -> None:
    assert class_names(classifier, ("no", "yes")) == ("no", "yes")
    assert class_names(classifier, None) == ("0", "1")
    assert class_names(original(None), None) is None


def test_there_are_as_many_names_as_classes(original: MakeOriginal, classifier: Original) -> None:
    with pytest.raises(InvalidOption, match=r"^--labels: expected 2 names, one for each class, got 3$"):
        class_names(classifier, ("a", "b", "c"))
    with pytest.raises(InvalidOption, match=r"^--labels: Function has no classes to name; leave the option out$"):
        class_names(original(None), ("a",))


@pytest.mark.parametrize("classes", [(1, 2), ("no", "yes"), (1, 0)])
def test_names_need_numbered_classes(original: MakeOriginal, classes: tuple[object, ...]) -> None:
    model = original(None, classes=classes)

    with pytest.raises(
        InvalidOption, match="and names are only for classes that are numbered from 0; train on the names"
    ):
        class_names(model, ("a", "b"))


def test_the_model_s_own_names_may_be_given(original: MakeOriginal) -> None:
    assert class_names(original(None, classes=("no", "yes")), ("no", "yes")) == ("no", "yes")
    assert class_names(original(None, classes=(False, True)), ("no", "yes")) == ("no", "yes")


def test_the_values_of_a_regression_may_have_names(original: MakeOriginal) -> None:
    model = original(None, task="regression", roles={"value": "value"})
    outputs = [Case({"value": np.ones((3, 2))}, {"value": 0})]

    assert class_names(model, ("height", "width")) == ("height", "width")
    check_value_names(model, ("height", "width"), outputs)
    check_value_names(model, None, outputs)
    with pytest.raises(InvalidOption, match=r"^--labels: expected 2 names, one for each value, got 1$"):
        check_value_names(model, ("height",), outputs)
