from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Case, rows_case
from snooze.convert.errors import Unfitted
from snooze.convert.frameworks.interface import Original, class_numbers, first_line

MakeOriginal = Callable[..., Original]
Outputs = Callable[..., list[Case]]


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
    assert class_numbers(np.array(labels), classes).tolist() == found


@pytest.mark.parametrize(
    ("settings", "answers", "classes"),
    [
        ({"classes": ("a", "b"), "decides": "scores"}, {"scores": [[0.2, 0.8], [3.0, 1.0]]}, [1, 0]),
        ({"classes": (0, 1), "decides": "scores", "lowest_wins": True}, {"scores": [[0.2, 0.8]]}, [0]),
        ({"classes": ("a", "b", "c"), "roles": {"label": "label"}}, {"label": ["c", "a"]}, [2, 0]),
    ],
    ids=["highest score", "lowest distance", "label"],
)
def test_classifies(original: MakeOriginal, outputs: Outputs, settings: Any, answers: Any, classes: list[int]) -> None:
    found = original(**settings).classify(outputs(**answers) + outputs(**answers))

    assert found is not None
    assert found.tolist() == classes * 2


def test_a_model_without_classes_does_not_classify(original: MakeOriginal, outputs: Outputs) -> None:
    assert original().classify(outputs(scores=np.zeros((1, 2)))) is None


def test_returns_values_with_one_row_for_each_unit(original: MakeOriginal, outputs: Outputs) -> None:
    values = original(roles={"value": "value"}).values(outputs(value=np.zeros(3)) + outputs(value=np.zeros((2, 1))))

    assert values is not None
    assert values.shape == (5, 1)
    assert original().values(outputs(scores=np.zeros(3))) is None


@pytest.mark.parametrize("error", [ValueError, AttributeError, RuntimeError])
def test_rows_that_the_model_does_not_accept_are_invalid(original: MakeOriginal, error: type[Exception]) -> None:
    def run(rows: object) -> dict[str, object]:
        raise error("Input X contains NaN.\nmany more lines")

    with pytest.raises(InvalidData) as caught:
        original(run).answer(rows_case({}))

    assert caught.value.problem == "Function does not accept them: Input X contains NaN"


@pytest.mark.parametrize("error", [MemoryError(), ModuleNotFoundError("pandas"), Unfitted("Function", "fit")])
def test_what_is_not_the_rows_fault_is_raised_as_it_is(original: MakeOriginal, error: Exception) -> None:
    def run(rows: object) -> dict[str, object]:
        raise error

    with pytest.raises(type(error)) as caught:
        original(run).answer(rows_case({}))
    assert caught.value is error


def test_an_error_without_a_message_is_named() -> None:
    assert first_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(("coupled", "most"), [(True, 256), (False, 600)])
def test_rows_that_change_each_others_answers_are_asked_for_in_the_parts_of_the_graph(
    original: MakeOriginal, coupled: bool, most: int
) -> None:
    asked: list[int] = []

    def run(arrays: Any) -> Any:
        asked.append(len(arrays["x"]))
        return {"y": arrays["x"]}

    rows = np.arange(1200.0).reshape(600, 2)
    found = original(run, coupled=coupled, roles={"y": None}).answer(rows_case({"x": rows}))

    assert max(asked) == most
    np.testing.assert_array_equal(found.tensors["y"], rows)
