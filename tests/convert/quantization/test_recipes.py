from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from snooze.convert.checks.cases import rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.quantization.recipes import prepare, recipes
from snooze.convert.runner import Runner


def graph(*operators: str) -> Any:
    return helper.make_model(helper.make_graph([helper.make_node(name, [], []) for name in operators], "test", [], []))


@pytest.mark.parametrize(
    ("operators", "names"),
    [
        (("Conv", "Relu", "Gemm"), ["int8-static"]),
        (("MatMul", "Relu"), ["int8-dynamic", "int8-dynamic-per-channel", "int8-static"]),
        (("Gemm", "LSTM"), ["int8-dynamic", "int8-dynamic-per-channel"]),
        (("MatMul", "LayerNormalization"), ["int8-dynamic", "int8-dynamic-per-channel"]),
    ],
)
def test_convolutions_are_calibrated_and_matrices_are_not_only(operators: tuple[str, ...], names: list[str]) -> None:
    assert [recipe.name for recipe in recipes(graph(*operators))] == names


@pytest.mark.parametrize("opset", [9, 18])
def test_biases_as_scikit_learn_has_them_can_be_calibrated(tmp_path: Path, opset: int) -> None:
    generator = np.random.default_rng(0)
    weights, bias = generator.standard_normal((8, 16)), generator.standard_normal((1, 16))
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])],
            "layer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16])],
            [numpy_helper.from_array(one.astype(np.float32), name) for name, one in (("w", weights), ("b", bias))],
        ),
        ir_version=9,
        opset_imports=[helper.make_opsetid("", opset)],
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    rows = {"x": generator.standard_normal((40, 8)).astype(np.float32)}
    static = next(recipe for recipe in recipes(model) if recipe.name == "int8-static")

    prepare(tmp_path / "m.onnx", tmp_path / "p.onnx")
    static.build(tmp_path / "p.onnx", tmp_path / "q.onnx", Dataset((rows_case(rows),)))

    np.testing.assert_allclose(Runner(tmp_path / "q.onnx").run(rows)["y"], rows["x"] @ weights + bias, atol=0.2)
