from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snooze.bundle.contract import Tensor
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Input
from snooze.convert.frameworks.onnx.graph import find_zipmaps, is_half, make_served, prepare

pytestmark = pytest.mark.framework

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
Make = Callable[..., Any]


def test_a_copy_is_prepared(make: Make) -> None:
    weights = {"w": np.ones((3, 2), np.float32)}
    inputs = {"w": (FLOAT, [3, 2]), "x": (FLOAT, ["n", 3])}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    for ir, expected in ((3, 4), (8, 8), (14, 13)):
        model = make(nodes, inputs, {"y": (FLOAT, ["n", 2])}, weights, ir=ir)

        prepared = prepare(model)

        assert prepared.ir_version == expected
        assert [value.name for value in prepared.graph.input] == ["x"]
        assert (model.ir_version, len(model.graph.input)) == (ir, 2)


@pytest.mark.parametrize("keys", [{"classlabels_strings": ["a", "b"]}, {"classlabels_int64s": [3, 5]}])
def test_maps_become_tensors(make: Make, keys: dict[str, Any]) -> None:
    nodes = [helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", **keys)]
    model = make(nodes, {"x": (FLOAT, ["n", 2])}, {})
    model.graph.output.add(name="y").type.sequence_type.elem_type.map_type.key_type = TensorProto.STRING

    served = make_served(prepare(model), (Input(Tensor("x", "FP32", (-1, 2))),), {"y": 2})

    assert find_zipmaps(model) == {"y": tuple(*keys.values())}
    assert [node.op_type for node in served.graph.node] == ["Identity"]
    assert served.graph.output[0].type.tensor_type.elem_type == FLOAT
    onnx.checker.check_model(served)


def test_inputs_are_declared_as_found(make: Make) -> None:
    model = make([helper.make_node("Neg", ["x"], ["y"])], {"x": (FLOAT, ["n", "m", 0])}, {"y": (FLOAT, None)})

    served = make_served(prepare(model), (Input(Tensor("x", "FP32", (1, -1, -1))),), {"y": 3})

    sizes = served.graph.input[0].type.tensor_type.shape.dim
    assert [(size.dim_value, size.dim_param) for size in sizes] == [(1, ""), (0, "m"), (0, "x_2")]


@pytest.mark.parametrize(
    ("nodes", "kind", "half"),
    [
        ([helper.make_node("Neg", ["x"], ["y"])], FLOAT, False),
        ([helper.make_node("Neg", ["x"], ["y"])], HALF, True),
        (
            [
                helper.make_node("Cast", ["x"], ["h"], to=HALF),
                helper.make_node("Neg", ["h"], ["n"]),
                helper.make_node("Cast", ["n"], ["y"], to=FLOAT),
            ],
            FLOAT,
            True,
        ),
    ],
)
def test_half_precision_is_seen(make: Make, nodes: list[Any], kind: int, half: bool) -> None:
    assert is_half(make(nodes, {"x": (kind, ["n"])}, {"y": (kind, ["n"])})) == half


def test_nodes_are_put_in_the_order_in_which_they_run(make: Make) -> None:
    late = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["b"]), helper.make_node("Abs", ["h"], ["a"])],
        "late",
        [],
        [helper.make_tensor_value_info("b", FLOAT, ["n"])],
    )
    nodes = [
        helper.make_node("If", ["yes"], ["y"], then_branch=late, else_branch=late),
        helper.make_node("Neg", ["x"], ["h"]),
    ]
    model = make(nodes, {"x": (FLOAT, ["n"])}, {"y": (FLOAT, ["n"])}, {"yes": np.array(True)})

    prepared = prepare(model)

    onnx.checker.check_model(prepared)
    assert [node.op_type for node in prepared.graph.node] == ["Neg", "If"]
    assert [node.op_type for node in prepared.graph.node[1].attribute[0].g.node] == ["Abs", "Neg"]


def test_random_answers_are_refused(make: Make) -> None:
    model = make([helper.make_node("RandomNormalLike", ["x"], ["y"])], {"x": (FLOAT, ["n"])}, {"y": (FLOAT, ["n"])})

    with pytest.raises(Unsupported, match="RandomNormalLike gives another answer each time"):
        prepare(model)


def test_a_model_needs_inputs_and_outputs(make: Make) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["y"])]

    with pytest.raises(Unsupported, match="it has no input; export it again"):
        prepare(make(nodes, {}, {"y": (FLOAT, ["n"])}))
    with pytest.raises(Unsupported, match="it has no output; export it again"):
        prepare(make(nodes, {"x": (FLOAT, ["n"])}, {}))
