from collections.abc import Callable

import numpy as np

from snooze.convert.checks.cases import Rows, joined

MakeRows = Callable[..., Rows]


def test_takes_rows_with_their_labels(matrix: MakeRows) -> None:
    rows = matrix(np.arange(10).reshape(5, 2), np.arange(5)).take(np.array([3, 1]))

    assert rows.inputs["features"].tolist() == [[6, 7], [2, 3]]
    assert rows.labels is not None
    assert rows.labels.tolist() == [3, 1]


def test_spreads_some_rows_over_all(matrix: MakeRows) -> None:
    rows = matrix(np.arange(100).reshape(-1, 1))

    assert rows.at_most(3).inputs["features"].ravel().tolist() == [0, 49, 99]
    assert rows.at_most(100) is rows


def test_joins_batches_by_name() -> None:
    first, second = {"a": np.zeros((2, 1)), "b": np.zeros(2)}, {"a": np.ones((1, 1)), "b": np.ones(1)}

    assert {name: array.shape for name, array in joined([first, second]).items()} == {"a": (3, 1), "b": (3,)}
