from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.frameworks.keras.framework import FRAMEWORK

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    ("build", "rows"),
    [
        (lambda one: [one.Input((2,)), one.Dense(3, activation="gelu")], [[-3.0, 0.5], [0.0, 2.0]]),
        (lambda one: [one.Input((2,)), one.Discretization([-1.0, 0.0, 1.0])], [[-1.0, -0.9], [1.0, 7.0]]),
        (lambda one: [one.Input((1,), dtype="int64"), one.IntegerLookup(vocabulary=[30, -7])], [[30], [-7], [5]]),
        (
            lambda one: [one.Input((1,), dtype="string"), one.StringLookup(vocabulary=["no", "yes"])],
            [["yes"], ["no"], ["perhaps"]],
        ),
    ],
)
def test_converts_operators_that_tf2onnx_does_not_know(
    keras: ModuleType, converter: Callable[..., Any], build: Callable[[Any], list[Any]], rows: list[Any]
) -> None:
    data = np.array(rows, object if isinstance(rows[0][0], str) else None)

    _, conversion = converter(FRAMEWORK)(keras.Sequential(build(keras.layers)), data)

    assert conversion.parity.verdict == "agrees"
    assert conversion.parity.data.worst < 1e-6
