from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snooze.bundle import Tensor
from snooze.convert.checks.cases import Rows
from snooze.convert.checks.synthetic import MOST_THRESHOLDS, VARIABLE_SIZE, drawn, edges, missing

MakeRows = Callable[..., Rows]


def test_draws_rows_of_the_signature() -> None:
    takes = (Tensor("words", "INT32", (-1, -1)), Tensor("image", "FP32", (-1, 4, 4)), Tensor("on", "BOOL", (-1, 1)))

    rows = drawn(takes, 5)

    assert {name: (array.shape, str(array.dtype)) for name, array in rows.inputs.items()} == {
        "words": ((5, VARIABLE_SIZE), "int32"),
        "image": ((5, 4, 4), "float32"),
        "on": ((5, 1), "bool"),
    }
    assert not rows.real
    assert rows.labels is None


def test_draws_the_same_rows_each_time() -> None:
    takes = (Tensor("x", "FP64", (-1, 3)),)

    first, second = drawn(takes, 4).inputs["x"], drawn(takes, 4).inputs["x"]

    assert (first == second).all()
    assert (first == first.astype(np.float32)).all()


def test_makes_edges_of_every_kind(matrix: MakeRows) -> None:
    rows = matrix([[0.4, -2.5], [1.6, 3.5]])

    kinds = {kind: arrays["features"].tolist() for kind, arrays in edges(rows, [(1, 0.25)]).items()}

    assert kinds["whole numbers"] == [[0, -2], [2, 4]]
    assert kinds["zeros"] == [[0, 0], [0, 0]]
    assert kinds["turned signs"] == [[-0.4, 2.5], [-1.6, -3.5]]
    assert kinds["ten times as far"] == [[4, -25], [16, 35]]
    assert kinds["smallest"] == [[0.4, -2.5]]
    assert kinds["largest"] == [[1.6, 3.5]]
    assert kinds["on thresholds"] == [[0.4, 0.25]]
    assert np.float32(kinds["next above"][0][0]) == np.nextafter(np.float32(0.4), np.float32(1))
    assert np.float32(kinds["next below"][0][0]) == np.nextafter(np.float32(0.4), np.float32(0))


def test_keeps_the_types_of_the_rows(matrix: MakeRows) -> None:
    for array in (np.array([[1, 2]]), np.array([[0.5]], np.float32), np.array([[True]])):
        rows = matrix(array)

        assert {arrays["features"].dtype for arrays in edges(rows, []).values()} == {array.dtype}


@pytest.mark.parametrize("array", [np.array([[1e308]]), np.array([[3e38]], np.float32)])
def test_edges_of_very_large_numbers_are_infinite_without_a_warning(matrix: MakeRows, array: Any) -> None:
    made = edges(matrix(array), [])

    assert made["turned signs"]["features"].tolist() == (-array).tolist()
    assert np.isposinf(made["ten times as far"]["features"]).all()


def test_takes_some_of_very_many_thresholds(matrix: MakeRows) -> None:
    made = edges(matrix([[0.0], [1.0]]), [(0, float(value)) for value in range(10_000)])

    assert len(made["on thresholds"]["features"]) == MOST_THRESHOLDS


def test_makes_rows_of_missing_values(matrix: MakeRows) -> None:
    made = missing(matrix([[1.0, 2.0, 3.0]]))

    np.testing.assert_array_equal(made["some missing"]["features"], [[np.nan, 2, np.nan]])
    np.testing.assert_array_equal(made["all missing"]["features"], [[np.nan] * 3])


def test_whole_numbers_cannot_be_missing(matrix: MakeRows) -> None:
    assert missing(matrix([[1, 2]])) == {}
