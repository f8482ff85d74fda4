from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from snooze.bundle import Tolerance
from snooze.convert import variants
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization.candidates import Limits
from snooze.convert.runner import Runner
from snooze.convert.variants import FILE, WEIGHTS, Served, Variant

MakeOriginal = Callable[..., Original]


def saved(path: Path, width: int) -> Path:
    weights = np.random.default_rng(0).standard_normal((width, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["value"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def choose(tmp_path: Path, original: MakeOriginal) -> Callable[..., Served]:
    """Choose the form of a net of the given width."""

    def choose(width: int, prefer: Any = "speed", tolerance: float = 1e-3) -> Served:
        model = original(None, roles={"value": "value"})
        rows = {"x": np.ones((4, width), np.float32)}
        file = saved(tmp_path / "m.onnx", width)
        return variants.choose(
            file, False, model, rows, {"value": Tolerance(atol=tolerance)}, Limits(prefer=prefer), tmp_path
        )

    return choose


def test_small_weights_stay_inside(choose: Callable[..., Served]) -> None:
    served = choose(8)

    assert [(one.name, one.optimization) for one in served.variants] == [
        ("as converted, weights inside", "none"),
        ("as converted, weights inside", "all"),
        ("optimized ahead, weights inside", "none"),
        ("optimized ahead, weights inside", "all"),
    ]
    assert [path.name for path in served.folder.iterdir()] == [FILE]
    assert served.session.intra_op_threads == 1
    assert [one.figures.get("chosen", False) for one in served.variants].count(True) == 1


def test_large_weights_are_tried_beside_the_model(choose: Callable[..., Served]) -> None:
    served = choose(600)

    assert len(served.variants) == 8
    beside = next(one for one in served.variants if one.name == "optimized ahead, weights beside")
    assert sorted(path.name for path in beside.folder.iterdir()) == [FILE, WEIGHTS]
    assert (beside.folder / FILE).stat().st_size < 10_000
    assert beside.figures["bytes"] > 600 * 600 * 4
    assert all(one.figures["agrees"] for one in served.variants)


def test_a_quantized_graph_is_never_loaded_raw_without_optimization(tmp_path: Path) -> None:
    found = [(one.name, one.optimization) for one in variants.forms(saved(tmp_path / "m.onnx", 8), True, tmp_path)]

    assert ("as converted, weights inside", "none") not in found
    assert ("optimized ahead, weights inside", "none") in found


def measured(name: str, run: float, start: float, size: int = 1) -> Variant:
    return Variant(name, Path(), "all", {"run_seconds": run, "start_seconds": start, "bytes": size})


@pytest.mark.parametrize(("prefer", "name"), [("speed", "near"), ("start", "slow"), ("size", "small")])
def test_what_starts_soonest_wins_among_those_that_run_as_fast(prefer: Any, name: str) -> None:
    found = [
        measured("fast", run=1.00, start=9, size=5),
        measured("near", run=1.05, start=5, size=5),
        measured("slow", run=1.06, start=1, size=5),
        measured("small", run=9.00, start=9, size=2),
    ]

    assert variants.preferred(found, prefer).name == name


def test_a_form_that_answers_otherwise_is_left_out(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Runner):
        def run(self, inputs: Any) -> Any:
            found = super().run(inputs)
            return {name: array + ("ahead" in str(self.file)) for name, array in found.items()}

    monkeypatch.setattr(variants, "Runner", Wrong)

    served = choose(8, prefer="start")

    assert [one.figures["agrees"] for one in served.variants] == [True, True, False, False]
    assert "run_seconds" not in served.variants[2].figures
    assert "as-converted" in served.folder.name


@pytest.mark.parametrize(("run", "where"), [(0.4e-3, "loop"), (0.6e-3, "executor")])
def test_a_short_run_stays_on_the_loop(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, run: float, where: str
) -> None:
    monkeypatch.setattr(variants, "run_seconds", lambda calls: dict.fromkeys(calls, run))

    assert choose(8).session.run_in == where


def test_optimized_ahead_holds_nothing_of_this_cpu(tmp_path: Path) -> None:
    import onnx

    made = variants.optimized(saved(tmp_path / "m.onnx", 8), tmp_path / "ahead.onnx")

    assert {node.domain for node in onnx.load(made).graph.node} <= {"", "ai.onnx.ml", "com.microsoft"}
