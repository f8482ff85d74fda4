from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snooze.convert.frameworks.sklearn.imputers import replace_imputers
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework


@pytest.mark.parametrize("marker", [float("nan"), -1.0])
def test_replaces_missing_values_in_double_precision(tmp_path: Path, marker: float) -> None:
    imputer = helper.make_node(
        "Imputer",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        imputed_value_floats=[7.0, 8.5],
        replaced_value_float=marker,
    )
    takes, gives = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 2]) for name in "xy")
    graph = helper.make_model(
        helper.make_graph([imputer], "test", [takes], [gives]),
        ir_version=9,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
    )

    replace_imputers(graph)

    onnx.checker.check_model(graph, full_check=True)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    rows = np.array([[marker, 0.1], [3.0, marker]])
    assert Runner(tmp_path / "m.onnx").run({"x": rows})["y"].tolist() == [[7.0, 0.1], [3.0, 8.5]]
