import builtins
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from snooze.convert.errors import MissingExtra
from snooze.convert.runner import Runner, runtime


@pytest.fixture
def doubles(tmp_path: Path) -> Path:
    """A model that adds x of fp32 to itself."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubles",
        [value("x", TensorProto.FLOAT, ["batch", 1])],
        [value("y", TensorProto.FLOAT, ["batch", 1])],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "m.onnx"


def test_runs_any_number_of_rows_a_part_at_a_time(doubles: Path) -> None:
    rows = {"x": np.arange(10.0).reshape(-1, 1)}

    found = Runner(doubles).run_all(rows, chunk=3)

    assert found["y"].tolist() == (2 * rows["x"]).tolist()


def test_gives_the_model_its_own_datatypes(doubles: Path) -> None:
    runner = Runner(doubles)

    assert runner.feed({"x": np.array([[1]])})["x"].dtype == np.float32
    assert runner.run({"x": np.array([[1e300]])})["y"].tolist() == [[np.inf]]


def test_uses_one_thread_and_the_optimization_asked_for(doubles: Path) -> None:
    options = Runner(doubles, "none").session.get_session_options()

    assert options.intra_op_num_threads == 1
    assert options.graph_optimization_level.name == "ORT_DISABLE_ALL"
    assert Runner(doubles).session.get_session_options().graph_optimization_level.name == "ORT_ENABLE_ALL"


def test_turns_telemetry_off_before_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")

    runtime()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtra, match=r"pip install 'snooze\[sklearn\]'"):
        runtime()
