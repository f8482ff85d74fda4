from collections.abc import Callable

import numpy as np
import pytest

from snooze.convert.errors import InvalidData
from snooze.convert.frameworks.interface import Original, first_line, numbers

MakeOriginal = Callable[..., Original]


@pytest.mark.parametrize(
    ("labels", "classes", "found"),
    [
        ([0, 1, 2], (0, 1), [0, 1, -1]),
        ([3.0, 1.0], (1, 3), [1, 0]),
        ([True, False], (False, True), [1, 0]),
        ([1, 0], (False, True), [1, 0]),
        (["b", "ü", "x"], ("b", "ü"), [0, 1, -1]),
        ([0.5], (0, 1), [-1]),
        (["1"], (0, 1), [-1]),
    ],
)
def test_finds_labels_among_the_classes(labels: list[object], classes: tuple[object, ...], found: list[int]) -> None:
    assert numbers(np.array(labels), classes).tolist() == found


def test_the_highest_score_decides(original: MakeOriginal) -> None:
    model = original(None, classes=("a", "b"), decides="scores")

    assert model.decision({"scores": np.array([[0.2, 0.8], [3.0, 1.0]])}).tolist() == [1, 0]  # type: ignore[union-attr]


def test_the_lowest_distance_decides(original: MakeOriginal) -> None:
    model = original(None, classes=(0, 1), decides="scores", lowest_wins=True)

    assert model.decision({"scores": np.array([[0.2, 0.8]])}).tolist() == [0]  # type: ignore[union-attr]


def test_the_label_decides_where_scores_do_not(original: MakeOriginal) -> None:
    model = original(None, classes=("a", "b", "c"), roles={"label": "label"})

    assert model.decision({"label": np.array(["c", "a"])}).tolist() == [2, 0]  # type: ignore[union-attr]


def test_without_classes_nothing_is_decided(original: MakeOriginal) -> None:
    assert original(None).decision({"scores": np.zeros((1, 2))}) is None


def test_finds_the_value_as_one_row_of_values_each(original: MakeOriginal) -> None:
    model = original(None, roles={"value": "value"})

    assert model.value({"value": np.zeros(3)}).shape == (3, 1)  # type: ignore[union-attr]
    assert original(None).value({"scores": np.zeros(3)}) is None


def test_what_the_model_refuses_is_the_data_s_fault(original: MakeOriginal) -> None:
    def answer(rows: object) -> dict[str, object]:
        raise ValueError("Input X contains NaN.\nmany more lines")

    with pytest.raises(InvalidData) as caught:
        original(answer)({})

    assert str(caught.value) == "the rows given: Function refuses them: Input X contains NaN."


def test_an_error_without_words_is_named() -> None:
    assert first_line(KeyError()) == "KeyError"
