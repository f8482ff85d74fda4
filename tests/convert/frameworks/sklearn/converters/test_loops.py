from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

from snooze.convert.checks.graph import OPSET
from snooze.convert.frameworks.sklearn.converters.loops import repeat
from snooze.convert.frameworks.sklearn.converters.nodes import Nodes, Value

pytestmark = pytest.mark.framework


@pytest.fixture
def nodes() -> Nodes:
    """The nodes of a graph from `rows` to `found`."""
    from skl2onnx.common._container import ModelComponentContainer
    from skl2onnx.common._topology import Scope
    from skl2onnx.common.data_types import FloatTensorType

    container = ModelComponentContainer(OPSET)
    names = [SimpleNamespace(full_name=name, type=FloatTensorType([None, 2])) for name in ("rows", "found")]
    return Nodes(
        Scope("test", OPSET), SimpleNamespace(inputs=names[:1], outputs=names[1:], raw_operator=None), container
    )


def _run(nodes: Nodes, rows: Any) -> Any:
    container = nodes._container
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("rows", "found")]
    graph = helper.make_graph(container.nodes, "test", ends[:1], ends[1:], container.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET[""])])
    checker.check_model(model)
    return ReferenceEvaluator(model).run(None, {"rows": np.asarray(rows, np.float32)})[0]


@pytest.mark.parametrize(("most", "expected"), [(3, 8.0), (100, 128.0)])
def test_a_step_is_repeated_until_it_stops_or_too_often(nodes: Nodes, most: int, expected: float) -> None:
    rows = nodes.given()

    def double(_: Value, state: Value, factor: Value) -> tuple[Value, list[Value]]:
        state = state * factor
        return state.map("ReduceMax", keepdims=0) < 100.0, [state]

    nodes.answer(repeat(nodes, double, most, [rows], [rows * 0.0 + 2.0])[0])
    np.testing.assert_array_equal(_run(nodes, [[1, 0.5]]), [[expected, expected / 2]])


def test_steps_are_numbered_from_zero(nodes: Nodes) -> None:
    def add(number: Value, state: Value) -> tuple[Value, list[Value]]:
        return number < 3, [state + number.cast(np.float32)]

    nodes.answer(repeat(nodes, add, 100, [nodes.given()])[0])
    np.testing.assert_array_equal(_run(nodes, [[0, 1]]), [[6, 7]])
