from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.convert.checks.cases import Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.synthetic import MAX_THRESHOLDS, draw_data, edge_cases, missing_cases
from snooze.convert.frameworks.interface import Input

MakeRows = Callable[..., Dataset]


def test_draws_rows_of_the_signature() -> None:
    data = draw_data((Input(Tensor("words", "INT32", (-1, -1))), Input(Tensor("image", "FP32", (-1, 4, 4)))), 5)

    assert {name: array.shape[::2] for name, array in data.cases[0].tensors.items()} == {"words": (5,), "image": (5, 4)}
    assert (len(data), data.real, data.labels) == (5, False, None)


def values(cases: list[Case]) -> Any:
    return np.concatenate([case.tensors["features"] for case in cases]).tolist()


def test_makes_edge_cases_of_every_kind(matrix: MakeRows) -> None:
    data = matrix([[0.4, -2.5], [1.6, 3.5]])

    kinds = {kind: values(cases) for kind, cases in edge_cases(data, [(1, 0.25)]).items()}

    assert kinds["integers"] == [[0, -2], [2, 4]]
    assert kinds["zeros"] == [[0, 0], [0, 0]]
    assert kinds["negated"] == [[-0.4, 2.5], [-1.6, -3.5]]
    assert kinds["ten times as large"] == [[4, -25], [16, 35]]
    assert kinds["minimum"] == [[0.4, -2.5]]
    assert kinds["maximum"] == [[1.6, 3.5]]
    assert kinds["on thresholds"] == [[0.4, 0.25]]
    assert np.float32(kinds["next larger"][0][0]) == np.nextafter(np.float32(0.4), np.float32(1))
    assert np.float32(kinds["next smaller"][0][0]) == np.nextafter(np.float32(0.4), np.float32(0))


@pytest.mark.parametrize("array", [np.array([[1, 2]]), np.array([[0.5]], np.float32), np.array([[True]])])
def test_keeps_the_datatypes_of_the_rows(matrix: MakeRows, array: Any) -> None:
    kinds = edge_cases(matrix(array), [])

    assert {case.tensors["features"].dtype for cases in kinds.values() for case in cases} == {array.dtype}


@pytest.mark.parametrize("array", [np.array([[1e308]]), np.array([[3e38]], np.float32)])
def test_edges_of_very_large_numbers_are_infinite_without_a_warning(matrix: MakeRows, array: Any) -> None:
    made = edge_cases(matrix(array), [])

    assert values(made["negated"]) == (-array).tolist()
    assert np.isposinf(values(made["ten times as large"])).all()


def test_strings_and_cases_without_rows_have_edges_too() -> None:
    case = Case({"sound": np.array([0.4, 1.6]), "text": np.array(["a"], object)}, {"sound": None, "text": None})

    kinds = edge_cases(Dataset((case,)), [])

    assert "minimum" not in kinds
    assert kinds["integers"][0].tensors["sound"].tolist() == [0, 2]
    assert kinds["integers"][0].tensors["text"].tolist() == ["a"]


def test_takes_some_of_very_many_thresholds(matrix: MakeRows) -> None:
    made = edge_cases(matrix([[0.0], [1.0]]), [(0, float(value)) for value in range(10_000)])

    assert len(values(made["on thresholds"])) == MAX_THRESHOLDS


def test_makes_missing_values(matrix: MakeRows) -> None:
    made = missing_cases(matrix([[1.0, 2.0, 3.0]]))

    np.testing.assert_array_equal(values(made["some missing"]), [[np.nan, 2, np.nan]])
    np.testing.assert_array_equal(values(made["all missing"]), [[np.nan] * 3])


def test_integers_cannot_be_missing(matrix: MakeRows) -> None:
    assert missing_cases(matrix([[1, 2]])) == {}
