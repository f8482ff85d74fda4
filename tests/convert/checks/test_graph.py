from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from snooze.convert.checks import graph as graphs
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import GraphRefused
from snooze.convert.runner import Runner


def model(
    nodes: list[Any], output: tuple[str, list[Any]] = ("y", [None, 2]), constants: dict[str, Any] | None = None
) -> Any:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["unk__1", 2])],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in (*graphs.OPSET.items(), ("else.where", 1))]
    return helper.make_model(graph, ir_version=9, opset_imports=opsets)


def run(made: Any, folder: Path, rows: Any) -> Arrays:
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    return Runner(folder / "m.onnx").run({made.graph.input[0].name: np.asarray(rows)})


def test_renames_and_frees_the_batch(tmp_path: Path) -> None:
    made = graphs.rename(model([helper.make_node("Neg", ["x"], ["y"])]), {"x": "features", "y": "value"})

    graphs.check(made)
    assert run(made, tmp_path, [[1, 2]])["value"].tolist() == [[-1, -2]]
    assert [value.type.tensor_type.shape.dim[0].dim_param for value in made.graph.input] == ["batch"]


def test_a_new_name_may_be_taken_inside(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["label"]), helper.make_node("Abs", ["label"], ["y"])]

    made = graphs.rename(model(nodes), {"y": "label"})

    graphs.check(made)
    assert run(made, tmp_path, [[1, -2]])["label"].tolist() == [[1, 2]]


def test_refuses_operators_of_other_domains() -> None:
    with pytest.raises(GraphRefused, match=r"operators of other domains are not served: else\.where\.Magic"):
        graphs.check(model([helper.make_node("Magic", ["x"], ["y"], domain="else.where")]))


def test_refuses_what_is_not_valid_onnx() -> None:
    with pytest.raises(GraphRefused, match="the graph is not valid ONNX: "):
        graphs.check(model([helper.make_node("StringToHashBucketFast", ["x"], ["y"])]))


def test_the_signature_is_observed_not_declared(tmp_path: Path) -> None:
    sums = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    made = model(sums, ("y", [None, 2]), {"axes": np.array([1])})
    takes = np.zeros((3, 2), np.float32)

    runs = [run(made, tmp_path, takes[:1]), run(made, tmp_path, takes)]
    inputs, outputs = graphs.signature(made, {"x": takes.dtype}, runs, {"y": "value"})

    assert [(one.name, one.datatype, one.shape) for one in inputs] == [("x", "FP32", (-1, 2))]
    assert [(one.name, one.shape, one.role) for one in outputs] == [("y", (-1, 1), "value")]
    assert [size.dim_value for size in made.graph.output[0].type.tensor_type.shape.dim] == [0, 1]


def test_refuses_an_output_with_a_varying_number_of_dimensions() -> None:
    made = model([helper.make_node("Neg", ["x"], ["y"])])
    runs: list[Arrays] = [{"y": np.zeros(2)}, {"y": np.zeros((3, 2))}]

    with pytest.raises(GraphRefused, match="output 'y' changes its number of dimensions with the input"):
        graphs.signature(made, {"x": np.dtype(np.float32)}, runs, {})


def branching(inner: list[Any], name: str = "inner") -> Any:
    """A model that runs some nodes, which make `inner` of x, only if the first sum is positive."""
    branches = {
        f"{branch}_branch": helper.make_graph(
            [*nodes, helper.make_node("Identity", [source], [f"{branch}_out"])],
            branch,
            [],
            [helper.make_tensor_value_info(f"{branch}_out", TensorProto.FLOAT, None)],
        )
        for branch, nodes, source in (("then", inner, name), ("else", [], "x"))
    }
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], **branches),
    ]
    return model(nodes, constants={"zero": np.float32(0)})


def test_looks_inside_branches() -> None:
    made = branching([helper.make_node("Neg", ["x"], ["inner"])])

    assert graphs.operators(made) == {"ReduceSum", "Greater", "If", "Neg", "Identity"}
    with pytest.raises(GraphRefused, match=r"else\.where\.Magic"):
        graphs.check(branching([helper.make_node("Magic", ["x"], ["inner"], domain="else.where")]))


def test_renames_inside_branches(tmp_path: Path) -> None:
    made = graphs.rename(
        branching([helper.make_node("Neg", ["x"], ["value"])], "value"), {"x": "features", "y": "value"}
    )

    graphs.check(made)
    assert run(made, tmp_path, [[1, 2]])["value"].tolist() == [[-1, -2]]
    assert run(made, tmp_path, [[-1, -2]])["value"].tolist() == [[-1, -2]]


def test_accepts_functions_of_the_model_and_looks_inside(tmp_path: Path) -> None:
    made = model([helper.make_node("Twice", ["x"], ["y"], domain="else.where")])
    opsets = [helper.make_opsetid("", 18)]
    double = helper.make_function(
        "else.where", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets
    )
    made.functions.append(double)

    graphs.check(made)
    assert graphs.operators(made) == {"Twice", "Add"}
    assert run(made, tmp_path, [[1, 2]])["y"].tolist() == [[2, 4]]

    made.functions[0].node[0].domain = "another"
    with pytest.raises(GraphRefused, match=r"another\.Add"):
        graphs.check(made)


@pytest.mark.parametrize("kind", ["DequantizeLinear", "QLinearConv", "MatMulNBits"])
def test_knows_quantized_models(kind: str) -> None:
    assert graphs.is_quantized(branching([helper.make_node(kind, ["x"], ["inner"])]))
    assert not graphs.is_quantized(branching([]))


@pytest.mark.parametrize(("lengths", "expected"), [((2, 2), (-1, -1)), ((2, 4), (-1, 3))])
def test_a_length_that_never_varied_may_vary(lengths: tuple[int, int], expected: tuple[int, int]) -> None:
    made = model([helper.make_node("Neg", ["x"], ["y"])], ("y", [None, "any"]))
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "length"
    feeds = [{"x": np.zeros((rows, length), np.float32)} for rows, length in zip((1, 3), lengths, strict=True)]
    runs = [{"y": np.zeros((len(feed["x"]), 3), np.float32)} for feed in feeds]

    _, outputs = graphs.signature(made, {"x": np.dtype(np.float32)}, runs, {}, feeds)

    assert outputs[0].shape == expected


@pytest.mark.parametrize("double", [False, True])
def test_finds_the_thresholds_of_trees(double: bool) -> None:
    values = [2.5, 0.1, 0.0]
    tensor = helper.make_tensor("", TensorProto.DOUBLE, [len(values)], values)
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["cast"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"],
        nodes_featureids=[1, 0, 0],
        **{"nodes_values_as_tensor": tensor} if double else {"nodes_values": values},
    )

    direct, scaled = (
        model([node, tree])
        for node in (helper.make_node("Cast", ["x"], ["cast"], to=1), helper.make_node("Neg", ["x"], ["cast"]))
    )

    assert graphs.thresholds(direct) == [(0, pytest.approx(0.1)), (1, 2.5)]
    assert graphs.thresholds(scaled) == []
    assert graphs.thresholds(scaled, direct=False) == graphs.thresholds(direct)
