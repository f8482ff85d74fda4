import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.bundle.conftest import EVIDENCE

from snooze.bundle.contract import Tolerance
from snooze.bundle.evidence import Parity, QuantizationLimits, Variant
from snooze.convert import variants
from snooze.convert.checks.dataset import Dataset
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner
from snooze.convert.variants import FILE, WEIGHTS, Form, Served

MakeOriginal = Callable[..., Original]
Check = Callable[[Runner], tuple[Parity, str | None]]


def save(path: Path, width: int) -> Path:
    weights = np.random.default_rng(0).standard_normal((width, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["h"]), helper.make_node("Relu", ["h"], ["value"])],
        "net",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(model.SerializeToString())
    return path


def agree(runner: Runner) -> tuple[Parity, str | None]:
    return EVIDENCE.parity, None


@pytest.fixture
def choose(tmp_path: Path, original: MakeOriginal, matrix: Callable[..., Dataset]) -> Callable[..., Served]:
    """Choose the form of a net of the given width."""

    def choose(width: int, prefer: Any = "speed", tolerance: float = 1e-3, check: Check = agree) -> Served:
        model = original(roles={"value": "value"})
        file = save(tmp_path / "m.onnx", width)
        tolerances = {"value": Tolerance(atol=tolerance)}
        limits = QuantizationLimits(max_drop=0.5, max_flips=2, prefer=prefer, rows=1, min_gain=1.15)
        return variants.choose(file, False, model, matrix(np.ones((4, width))), tolerances, limits, tmp_path, check)

    return choose


def test_a_form_that_fails_the_last_check_is_left_out(choose: Callable[..., Served]) -> None:
    problems = iter(["7 labels flip", "1 label flips"])

    served = choose(8, check=lambda runner: (EVIDENCE.parity, next(problems, None)))

    assert [one.agrees for one in served.variants].count(False) == 2
    assert [one.agrees for one in served.variants if one.chosen] == [True]
    assert served.parity == EVIDENCE.parity


def test_a_model_without_a_form_that_agrees_is_refused(choose: Callable[..., Served]) -> None:
    with pytest.raises(ParityRefused, match="every form to be served answers differently: 7 labels flip"):
        choose(8, check=lambda runner: (EVIDENCE.parity, "7 labels flip"))


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
    assert [one.chosen for one in served.variants].count(True) == 1


def test_large_weights_are_tried_beside_the_model(choose: Callable[..., Served]) -> None:
    served = choose(600)

    assert len(served.variants) == 8
    folder = served.folder.parent / "optimized-ahead-weights-beside"
    assert sorted(path.name for path in folder.iterdir()) == [FILE, WEIGHTS]
    assert (folder / FILE).stat().st_size < 10_000
    assert all(one.agrees and (one.bytes or 0) > 600 * 600 * 4 for one in served.variants)


def test_a_quantized_graph_is_never_loaded_raw_without_optimization(tmp_path: Path) -> None:
    found = [(one.name, one.optimization) for one in variants.write_forms(save(tmp_path / "m.onnx", 8), True, tmp_path)]

    assert ("as converted, weights inside", "none") not in found
    assert ("optimized ahead, weights inside", "none") in found


def measured(name: str, run: float, start: float, size: int = 1) -> tuple[Form, Variant]:
    variant = Variant(name, "all", agrees=True, chosen=False, bytes=size, start_seconds=start, run_seconds=run)
    return Form(name, Path(), "all"), variant


@pytest.mark.parametrize(("prefer", "name"), [("speed", "near"), ("start", "slow"), ("size", "small")])
def test_the_soonest_start_wins_among_the_fast_ones(prefer: Any, name: str) -> None:
    found = dict(
        [
            measured("fast", run=1.00, start=9, size=5),
            measured("near", run=1.05, start=5, size=5),
            measured("slow", run=1.06, start=1, size=5),
            measured("small", run=9.00, start=9, size=2),
        ]
    )

    assert variants.select(found, prefer).name == name


def test_a_form_that_answers_differently_is_left_out(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Runner):
        def __init__(self, file: Path, *rest: Any, **more: Any) -> None:
            super().__init__(file, *rest, **more)
            self.error = float("ahead" in str(file))

        def run(self, tensors: Any) -> Any:
            return {name: array + self.error for name, array in super().run(tensors).items()}

    monkeypatch.setattr(variants, "Runner", Wrong)

    served = choose(8, prefer="start")

    assert [one.agrees for one in served.variants] == [True, True, False, False]
    assert served.variants[2].run_seconds is None
    assert "as-converted" in served.folder.name


def test_a_form_that_cannot_be_made_or_run_is_left_out(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Runner):
        def run(self, tensors: Any) -> Any:
            if self.session.get_session_options().graph_optimization_level.name == "ORT_DISABLE_ALL":
                raise RuntimeError("[ONNXRuntimeError] : 6")
            return super().run(tensors)

    def fail(file: Path, made: Path) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1")

    monkeypatch.setattr(variants, "Runner", Failing)
    monkeypatch.setattr(variants, "optimize", fail)

    assert [(one.name, one.agrees) for one in choose(8).variants] == [
        ("as converted, weights inside", False),
        ("as converted, weights inside", True),
    ]


@pytest.mark.parametrize(("limit", "counts"), [(2**28, [4]), (0, [1, 1, 1, 1])])
def test_large_models_are_measured_one_after_the_other(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, limit: int, counts: list[int]
) -> None:
    found = []

    def run_seconds(calls: dict[str, Any]) -> dict[str, float]:
        found.append(len(calls))
        return dict.fromkeys(calls, 1.0)

    monkeypatch.setattr(variants, "run_seconds", run_seconds)
    monkeypatch.setattr(variants, "MAX_LOADED_BYTES", limit)

    choose(8)

    assert found == counts


def test_slow_models_are_compared_on_fewer_rows(
    tmp_path: Path, original: MakeOriginal, matrix: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    class Slow(Runner):
        def run(self, tensors: Any) -> Any:
            rows.append(len(tensors["features"]))
            time.sleep(0.02 * rows[-1])
            return super().run(tensors)

    monkeypatch.setattr(variants, "Runner", Slow)
    monkeypatch.setattr(variants, "MAX_SECONDS", 0.4)
    model = original(roles={"value": "value"})
    limits = QuantizationLimits(max_drop=0.5, max_flips=2, prefer="speed", rows=1, min_gain=1.15)

    data = matrix(np.ones((64, 8)))
    file, tolerance = save(tmp_path / "m.onnx", 8), {"value": Tolerance(atol=1)}
    variants.choose(file, False, model, data, tolerance, limits, tmp_path, agree)

    assert rows[0] == 8
    assert 8 < rows[1] < 25
    assert len({*rows[1:6]}) == 1


@pytest.mark.parametrize(("run", "run_in"), [(0.4e-3, "loop"), (0.6e-3, "executor")])
def test_a_short_run_stays_on_the_loop(
    choose: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, run: float, run_in: str
) -> None:
    monkeypatch.setattr(variants, "run_seconds", lambda calls: dict.fromkeys(calls, run))

    assert choose(8).session.run_in == run_in


def test_a_model_optimized_ahead_does_not_depend_on_this_cpu(tmp_path: Path) -> None:
    import onnx

    variants.optimize(save(tmp_path / "m.onnx", 8), tmp_path / "ahead.onnx")

    assert {node.domain for node in onnx.load(tmp_path / "ahead.onnx").graph.node} <= {
        "",
        "ai.onnx.ml",
        "com.microsoft",
    }
