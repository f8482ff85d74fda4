from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Arrays
from snooze.convert.frameworks.interface import Inputs
from snooze.convert.frameworks.onnx.graph import prepare
from snooze.convert.frameworks.onnx.inputs import LENGTHS, find_axes, find_inputs, run_problem
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework

FLOAT = TensorProto.FLOAT
Make = Callable[..., Any]


def find(model: Any, sample: Arrays | None = None) -> tuple[Inputs, dict[str, int | None]]:
    prepared = prepare(model)
    runner = Runner(prepared.SerializeToString())
    inputs = find_inputs(prepared, runner, sample)
    return inputs, find_axes(runner, inputs)[0]


ADD = [helper.make_node("Add", ["x", "s"], ["y"])]
MEAN = [helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0), helper.make_node("Mul", ["m", "s"], ["y"])]
BOTH = [helper.make_node("MatMul", ["x", "s"], ["y"])]
EXPAND = [helper.make_node("Concat", ["x", "s"], ["y"], axis=0)]


@pytest.mark.parametrize(
    ("nodes", "x", "s", "axes", "shapes", "output"),
    [
        (ADD, ["n", 3], ["n", 3], (0, 0), ((-1, 3), (-1, 3)), 0),
        (ADD, [None, 3], [None, 3], (0, 0), ((-1, 3), (-1, 3)), 0),
        (ADD, ["unk__1", 3], ["unk__2", 3], (0, 0), ((-1, 3), (-1, 3)), 0),
        (ADD, ["n", 3], [], (0, None), ((-1, 3), ()), 0),
        (ADD, ["n", 3], [2, "n", 3], (0, 1), ((-1, 3), (2, -1, 3)), 1),
        (ADD, [None, 3], [2, None, 3], (0, 1), ((-1, 3), (2, -1, 3)), 1),
        (ADD, [-1, "m"], [1, "m"], (0, None), ((-1, -1), (1, -1)), 0),
        (ADD, [1, 3], [3], (None, None), ((1, 3), (3,)), None),
        (ADD, [1, "height", "width"], [1], (None, None), ((1, -1, -1), (1,)), None),
        (BOTH, ["n", 3], [3, "m"], (0, None), ((-1, 3), (3, -1)), 0),
        (MEAN, ["time", 3], [], (None, None), ((-1, 3), ()), None),
        (EXPAND, ["a", 3], ["b", 3], (None, None), ((-1, 3), (-1, 3)), None),
    ],
)
def test_rows_are_what_an_output_follows(
    make: Make, nodes: list[Any], x: list[Any], s: list[Any], axes: Any, shapes: Any, output: int | None
) -> None:
    model = make(nodes, {"x": (FLOAT, x), "s": (FLOAT, s)}, {"y": (FLOAT, None)})

    inputs, found = find(model)

    assert tuple(one.axis for one in inputs) == axes
    assert tuple(one.tensor.shape for one in inputs) == shapes
    assert found == {"y": output}
    assert all(one.example is not None for one in inputs)


def test_lengths_are_made_up_until_the_model_accepts_them(make: Make) -> None:
    any_length = make([helper.make_node("Neg", ["x"], ["y"])], {"x": (FLOAT, ["n", "m"])}, {"y": (FLOAT, None)})
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    even = make(nodes, {"x": (FLOAT, ["n", "m"])}, {"y": (FLOAT, None)}, {"shape": np.array([0, -1, 32])})

    assert find(any_length)[0][0].domain.lengths == LENGTHS[:3]
    assert find(even)[0][0].domain.lengths == (32, 64, 128)


def test_an_input_without_a_shape_needs_its_rows(make: Make) -> None:
    model = make([helper.make_node("Neg", ["x"], ["y"])], {"x": (FLOAT, None)}, {"y": (FLOAT, None)})

    with pytest.raises(InvalidData, match="input 'x' declares no shape, so its rows are needed by this name"):
        find(model)
    inputs, axes = find(model, {"x": np.zeros((5, 2, 3), np.float32)})
    assert (inputs[0].tensor.shape, inputs[0].axis, axes) == ((-1, -1, -1), 0, {"y": 0})


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        ({"x": np.zeros((3, 4))}, r"input 'x' has shape \[any, 3\], got \[3, 4\]"),
        ({"z": np.zeros((3, 3)), "y": np.zeros((3, 3))}, "input 'x' is missing"),
        ({"x": np.array([["a", "b", "c"]], object)}, "row 0, input 'x' at \\[0\\]: 'a' is not a number"),
    ],
)
def test_a_sample_must_fit(make: Make, sample: Arrays, problem: str) -> None:
    model = make([helper.make_node("Neg", ["x"], ["y"])], {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, None)})

    with pytest.raises(InvalidData, match=problem):
        find(model, sample)


def test_large_sizes_are_not_tried(make: Make) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    model = make(nodes, {"x": (FLOAT, ["n", "a", "b"])}, {"y": (FLOAT, None)}, {"shape": np.array([0, -1, 9973])})

    with pytest.raises(InvalidData, match=r"accepts none of the sizes tried: .*; add --data with real rows"):
        find(model)


def test_says_what_onnx_runtime_says() -> None:
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:/onnxruntime_src/core/graph.cc:1587 "
        "void onnxruntime::Graph::Initialize() This is an invalid model.\nmore"
    )

    assert run_problem(RuntimeError(text)) == "Load model from m.onnx failed:This is an invalid model"
    assert run_problem(RuntimeError()) == "RuntimeError"
