"""Small ONNX models, made node by node."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

Values = Mapping[str, tuple[int, Sequence[Any] | None]]
Make = Callable[..., Any]


@pytest.fixture(scope="session")
def make() -> Make:
    """Make a function that makes a model: nodes, inputs and outputs with type and shape, constants."""

    def make(
        nodes: Sequence[Any],
        inputs: Values,
        outputs: Values,
        constants: Mapping[str, Any] | None = None,
        opset: int = 18,
        ir: int = 8,
    ) -> Any:
        values = [
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in side.items()]
            for side in (inputs, outputs)
        ]
        weights = [numpy_helper.from_array(np.asarray(one), name) for name, one in (constants or {}).items()]
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(
            helper.make_graph(nodes, "test", *values, weights), ir_version=ir, opset_imports=opsets
        )

    return make


@pytest.fixture(scope="session")
def dense(make: Make) -> Any:
    """A matrix of 3 x 2 weights and a softmax."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["y"])]
    weights = np.arange(6, dtype=np.float32).reshape(3, 2) / 4
    return make(nodes, {"x": (TensorProto.FLOAT, ["n", 3])}, {"y": (TensorProto.FLOAT, ["n", 2])}, {"w": weights})
