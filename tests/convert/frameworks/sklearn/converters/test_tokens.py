from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.convert.frameworks.sklearn.converters.conftest import Run

from snooze.convert.frameworks.sklearn.converters.nodes import Value
from snooze.convert.frameworks.sklearn.converters.tokens import (
    constant,
    count,
    find,
    look_up,
    matches,
    move_back,
    split,
)

pytestmark = pytest.mark.framework

Array = NDArray[Any]
TEXTS = np.array([["a bc  a"], [""], ["ü bc"]], object)


def tokens(texts: Value) -> Value:
    return split(texts.reshape(-1), "[^ ]+")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda texts: look_up(tokens(texts), {"a": 1, "ü": 2, "": 3}, 9), [[1, 9, 1], [3, 3, 3], [2, 9, 3]]),
        (lambda texts: find(tokens(texts), ["a", "ü"]), [[1, 0, 1], [0, 0, 0], [1, 0, 0]]),
        (lambda texts: matches(tokens(texts), "[b-z]"), [[0, 1, 0], [0, 0, 0], [0, 1, 0]]),
        (lambda texts: constant(texts.reshape(-1), 7), [[7], [7], [7]]),
        (lambda texts: find(constant(texts.reshape(-1), "x"), ["x"]), [[1], [1], [1]]),
        (lambda texts: count(tokens(texts), [["a", "bc"], ["a"], ["bc", "a"]]), [[1, 2, 1], [0, 0, 0], [0, 0, 0]]),
        (
            lambda texts: find(move_back(tokens(texts), find(tokens(texts), ["a", ""])), ["bc"]),
            [[1, 0, 0], [0, 0, 0], [0, 1, 0]],
        ),
    ],
    ids=["look up", "find", "matches", "constant", "constant text", "count", "move back"],
)
def test_tokens(run: Run, function: Callable[[Value], Value], expected: Any) -> None:
    found = run(lambda nodes: function(nodes.given()), TEXTS)

    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_marked_entries_are_moved_behind_the_others(run: Run, dtype: Any) -> None:
    rows = np.array([[1, -1, 2], [-3, -2, 5], [0, 0, 0]], dtype)

    found = run(lambda nodes: move_back(nodes.given(), nodes.given() < 0.0), rows)

    np.testing.assert_array_equal(found, [[1, 2, -1], [5, -3, -2], [0, 0, 0]])


def test_numbers_are_counted_as_texts_are(run: Run) -> None:
    rows = np.array([[1, 2, 1, 2], [2, 2, 1, 0]])

    found = run(lambda nodes: count(nodes.given().cast(np.int64), [[1, 2], [2], [-7], [2, 1, 2]]), rows)

    np.testing.assert_array_equal(found, [[2, 2, 0, 1], [0, 2, 0, 0]])
