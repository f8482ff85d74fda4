"""Signatures, values and answers on which the schemas of a protocol and its codec must agree."""

import json
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
from jsonschema import Draft202012Validator

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidRow
from snooze.service.errors import RequestError
from snooze.service.messages import Call
from snooze.service.protocols.tensors import Signature

INPUTS: list[tuple[Tensor, ...]] = [
    (Tensor("x", "INT64", (-1,)),),
    (Tensor("x", "INT64", (-1, 1)),),
    (Tensor("x", "INT64", (-1, 2)),),
    (Tensor("x", "INT64", (-1, -1)),),
    (Tensor("x", "INT64", (2,)),),
    (Tensor("x", "FP32", (-1, 1, 2)),),
    (Tensor("x", "BYTES", (-1,)),),
    (Tensor("x", "INT64", (-1,)), Tensor("y", "INT64", (-1, 2))),
]
VALUES: list[Any] = [
    1,
    "a",
    [],
    [1],
    [1, 2],
    ["a"],
    [True],
    [1.5],
    [None],
    [[]],
    [[1]],
    [[1], [2]],
    [[1, 2]],
    [[1, 2], [3, 4]],
    [[[1, 2]]],
    [{"x": 1}],
    [{"x": [1]}],
    [{"x": 1, "y": [1, 2]}],
    [{"x": 1, "y": [1, 2], "z": 1}],
    [{"y": [1, 2]}],
    {"x": [1]},
    {"x": [1], "y": [[1, 2]]},
]
NAMES = ("no", "yes")
# The outputs of a model, the names of its classes, whether its scores are probabilities, and what it gave for two rows.
ANSWERS: list[tuple[tuple[Tensor, ...], tuple[str, ...] | None, bool, list[Any]]] = [
    ((Tensor("y", "INT64", (-1,), "label"),), NAMES, False, [[0, 1]]),
    ((Tensor("y", "INT64", (-1,), "label"),), NAMES, False, [[-1, 1]]),
    ((Tensor("y", "INT64", (-1, 1), "label"),), None, False, [[[0], [1]]]),
    ((Tensor("y", "BYTES", (-1,), "label"),), NAMES, False, [["no", "yes"]]),
    ((Tensor("y", "INT64", (-1, 2), "label"),), NAMES, False, [[[0, 1], [1, 1]]]),
    ((Tensor("y", "INT64", (-1, -1), "label"),), None, False, [[[0, 1], [1, 1]]]),
    ((Tensor("y", "FP32", (-1, 2), "scores"),), NAMES, True, [[[0.2, 0.8], [0.5, 0.5]]]),
    ((Tensor("y", "FP32", (-1, 1), "scores"),), NAMES, True, [[[0.2], [0.5]]]),
    ((Tensor("y", "FP32", (-1, 2), "scores"),), None, False, [[[-2, 8], [5, 5]]]),
    (
        (Tensor("y", "INT64", (-1,), "label"), Tensor("p", "FP32", (-1, 2), "scores")),
        NAMES,
        True,
        [[1, 0], [[0.2, 0.8], [0.5, 0.5]]],
    ),
    ((Tensor("y", "FP32", (-1,), "value"),), None, False, [[0.5, 1]]),
    ((Tensor("y", "FP32", (-1, 1), "value"),), None, False, [[[0.5], [1]]]),
    ((Tensor("y", "FP32", (-1, 2), "value"),), None, False, [[[0.5, 1], [2, 3]]]),
    ((Tensor("y", "FP32", (-1, -1), "value"),), None, False, [[[0.5], [2]]]),
    ((Tensor("y", "FP32", (-1, -1), "value"),), None, False, [[[0.5, 1], [2, 3]]]),
    (
        (Tensor("y", "FP32", (-1, 2), "embedding"), Tensor("z", "BOOL", (-1,))),
        None,
        False,
        [[[0, 1], [2, 3]], [True, False]],
    ),
    (
        (Tensor("y", "BYTES", (-1, 2)), Tensor("z", "FP32", (2, 3))),
        None,
        False,
        [[["a", "b"], ["c", ""]], [[1, 2, 3]] * 2],
    ),
]


def signature(
    inputs: Sequence[Tensor] = INPUTS[0],
    outputs: Sequence[Tensor] = (Tensor("y", "INT64", (-1,)),),
    labels: tuple[str, ...] | None = None,
    probabilities: bool = False,
) -> Signature:
    """Return a signature of what matters to the protocols."""
    bundle = SimpleNamespace(name="m", version=3, inputs=inputs, outputs=outputs, labels=labels)
    return Signature(cast(Any, bundle), probabilities)


def fits(schema: Any, value: Any) -> bool:
    """Return whether a JSON value is valid."""
    return bool(Draft202012Validator(schema).is_valid(value))


def accepts(codec: ModuleType, one: Signature, document: Any) -> bool:
    """Return whether a codec takes a request."""
    try:
        codec.decode(one, {}, json.dumps(document).encode())
    except (RequestError, InvalidRow):
        return False
    return True


def answer(codec: ModuleType, one: Signature, arrays: Sequence[Any], **options: Any) -> Any:
    """Return the JSON that a codec makes of what a model gave for two rows."""
    call = Call({"x": np.zeros(2)}, one.output_names, **options)
    made = [np.array(array, spec.dtype) for array, spec in zip(arrays, one.outputs.values(), strict=True)]
    return json.loads(codec.encode(one, call, made, b"id")[0])
