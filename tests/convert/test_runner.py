import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from snooze.convert.checks.cases import rows_case
from snooze.convert.runner import Runner, import_onnxruntime


@pytest.fixture
def doubles(save_onnx: Callable[..., Path]) -> Path:
    """A model that adds x of fp32 to itself."""
    return save_onnx([helper.make_node("Add", ["x", "x"], ["y"])], {"x": ("f", [None, 1])}, {"y": ("f", [None, 1])})


def test_answers_a_case_with_many_rows(doubles: Path) -> None:
    rows = np.arange(600.0).reshape(-1, 1)

    (answer,) = Runner(doubles).answer_all([rows_case({"x": rows})])

    assert (answer.tensors["y"] == 2 * rows).all()
    assert answer.axes == {"y": 0}


def test_feeds_the_datatypes_of_the_model(doubles: Path) -> None:
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

    import_onnxruntime()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
