from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from snooze.convert.checks.cases import Rows
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization import candidates as quantize
from snooze.convert.quantization.candidates import Candidate, Choice, Limits
from snooze.convert.quantization.recipes import Recipe

MakeOriginal = Callable[..., Original]
MakeRows = Callable[..., Rows]
WIDTH = 256
ROWS = 600


def net(operator: str = "MatMul", weight: float = 1.0) -> Any:
    """Two wide layers, the second giving two scores."""
    generator = np.random.default_rng(0)
    shapes = {"first": (WIDTH, WIDTH), "second": (WIDTH, 2)}
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "first"], ["h"]), helper.make_node("MatMul", ["h", "second"], ["scores"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(weight * generator.standard_normal(shape).astype(np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def rows() -> Rows:
    generator = np.random.default_rng(1)
    return Rows({"x": generator.standard_normal((ROWS, WIDTH)).astype(np.float32)}, generator.integers(0, 2, ROWS))


@pytest.fixture
def classifier(original: MakeOriginal) -> Original:
    return original(None, task="classification", classes=(0, 1), decides="scores")


@pytest.fixture
def choose(tmp_path: Path, classifier: Original) -> Callable[..., Choice]:
    """Choose among the versions of the net, by the limits given."""

    def choose(rows: Rows, /, wanted: bool = True, graph: Any = None, **limits: Any) -> Choice:
        graph = graph or net()
        (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
        return quantize.choose(tmp_path / "m.onnx", graph, classifier, rows, Limits(**limits), wanted, tmp_path)

    return choose


Choose = Callable[..., Choice]


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Decide how many microseconds each version takes, for what follows from that."""

    def speed(**microseconds: float) -> None:
        def run_seconds(calls: dict[str, Any]) -> dict[str, float]:
            return {name: microseconds.get(name.replace("-", "_"), 100.0) * 1e-6 for name in calls}

        monkeypatch.setattr(quantize, "run_seconds", run_seconds)

    return speed


Speed = Callable[..., None]


def verdicts(choice: Choice) -> dict[str, str]:
    return {one.name: one.verdict for one in choice.candidates}


def test_the_fastest_within_every_limit_is_chosen(choose: Choose, rows: Rows, speed: Speed) -> None:
    speed(fp32=100, int8_dynamic=50, int8_dynamic_per_channel=40, int8_static=60)

    choice = choose(rows, max_drop=50, max_flips=50)

    assert choice.chosen.name == "int8-dynamic-per-channel"
    assert choice.chosen.reason == "2.50 times as fast as fp32 and within every limit"
    assert verdicts(choice) == {
        "fp32": "passed",
        "int8-dynamic": "passed",
        "int8-dynamic-per-channel": "chosen",
        "int8-static": "passed",
    }
    record = choice.chosen.record()
    assert record["seconds"] == pytest.approx(40e-6)
    assert record["speedup"] == pytest.approx(2.5)
    assert record["bytes"] < choice.candidates[0].figures["bytes"] / 2
    assert {"score", "drop", "flips", "right_to_wrong", "wrong_to_right", "report"} <= set(record)


def test_less_than_15_percent_is_not_worth_it(choose: Choose, rows: Rows, speed: Speed) -> None:
    speed(int8_dynamic=88, int8_static=300)

    choice = choose(rows, max_drop=50, max_flips=50, rows=8)

    assert choice.chosen.name == "fp32"
    assert choice.chosen.reason == "no 8-bit candidate is better"
    reasons = {one.name: one.reason for one in choice.candidates}
    assert reasons["int8-dynamic"] == "it runs 1.14 times as fast as fp32 on 8 rows; 1.15 times is asked"
    assert reasons["int8-static"] == "it runs 0.33 times as fast as fp32 on 8 rows; 1.15 times is asked"
    assert len(choice.report) == ROWS


def test_the_smallest_wins_if_size_is_preferred_however_slow(choose: Choose, rows: Rows, speed: Speed) -> None:
    speed(fp32=100, int8_dynamic=200, int8_dynamic_per_channel=200, int8_static=200)

    choice = choose(rows, prefer="size", max_drop=50, max_flips=50)

    smallest = min(choice.candidates, key=lambda one: one.figures["bytes"])
    assert choice.chosen is smallest
    assert choice.chosen.name != "fp32"


def test_flips_are_counted_against_fp32(choose: Choose, rows: Rows, speed: Speed) -> None:
    speed(int8_dynamic=10, int8_dynamic_per_channel=10, int8_static=10)

    generator = np.random.default_rng(2)
    close = net()
    column = generator.standard_normal((WIDTH, 1))
    second = np.concatenate([column, column + 0.02 * generator.standard_normal((WIDTH, 1))], axis=1)
    close.graph.initializer[1].CopyFrom(numpy_helper.from_array(second.astype(np.float32), "second"))

    choice = choose(rows, graph=close, max_drop=100, max_flips=0)

    for one in choice.candidates[1:]:
        assert one.verdict == "refused"
        assert "of its labels flip; --max-flips allows 0 %" in one.reason


def test_a_drop_of_the_score_is_refused() -> None:
    assert quantize.too_much_lost({"drop": 0.51}, Limits()) == "its score drops by 0.51 points; --max-drop allows 0.5"
    assert quantize.too_much_lost({"flips": 2.1}, Limits()) == "2.1 % of its labels flip; --max-flips allows 2 %"
    assert quantize.too_much_lost({"drop": 0.5, "flips": 2.0}, Limits()) == ""


def test_the_winner_must_hold_on_rows_it_was_not_chosen_by(
    choose: Choose, rows: Rows, speed: Speed, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed(int8_dynamic=10)
    real = quantize.lost

    def worse_on_report(original: Original, part: Rows, *outputs: Any) -> dict[str, Any]:
        last = part.inputs["x"][-1]
        on_report = (last == quantize.split(rows)[2].inputs["x"][-1]).all()
        return real(original, part, *outputs) | ({"flips": 9.0} if on_report else {"flips": 0.0})

    monkeypatch.setattr(quantize, "lost", worse_on_report)

    choice = choose(rows, max_drop=100)

    assert choice.chosen.name == "fp32"
    assert {one.name: one.reason for one in choice.candidates}["int8-dynamic"] == (
        "on rows that it was not chosen by, 9.0 % of its labels flip; --max-flips allows 2 %"
    )


def test_a_recipe_that_fails_is_recorded(choose: Choose, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: Path, made: Path, calibration: Rows) -> None:
        raise RuntimeError("Unable to find data type\nmore")

    monkeypatch.setattr(quantize, "recipes", lambda graph: [Recipe("int8-odd", fail)])

    choice = choose(rows)

    assert choice.chosen.name == "fp32"
    assert choice.candidates[1].reason == "could not be built: RuntimeError: Unable to find data type"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wanted": False}, "turned off by --quantize off"),
        ({"graph": net("Add")}, None),
        (
            {"real": False},
            "no real rows were given, and made-up rows can neither calibrate nor tell what is lost; add --data",
        ),
        ({"rows": 199}, "199 rows are too few to calibrate, choose and report by; give 200 or more"),
    ],
)
def test_says_why_nothing_is_tried(choose: Choose, rows: Rows, change: dict[str, Any], reason: str | None) -> None:
    given = Rows(rows.inputs, rows.labels, real=change.get("real", True)).take(slice(change.get("rows", ROWS)))
    if "graph" in change:
        del change["graph"].graph.node[1]
        change["graph"].graph.output[0].name = "h"
        reason = "nothing to quantize: the graph holds Add and no matrix of weights among them"

    choice = choose(given, wanted=change.get("wanted", True), graph=change.get("graph"))

    assert choice.chosen.name == "fp32"
    assert [one.name for one in choice.candidates] == ["fp32", "int8"]
    assert choice.candidates[1].record() == {
        "name": "int8",
        "verdict": "refused",
        "reason": reason,
        **dict.fromkeys(("seconds", "speedup", "score", "drop", "flips", "bytes")),
    }
    assert len(choice.report) == len(given)


@pytest.mark.parametrize(("count", "sizes"), [(200, (100, 50, 50)), (900, (225, 337, 338)), (5_000, (500, 2250, 2250))])
def test_splits_rows_three_ways_without_overlap(matrix: MakeRows, count: int, sizes: tuple[int, ...]) -> None:
    parts = quantize.split(matrix(np.arange(count).reshape(-1, 1), np.arange(count)))

    assert tuple(len(part) for part in parts) == sizes
    seen: NDArray[Any] = np.concatenate([part.labels for part in parts if part.labels is not None])
    assert sorted(seen.tolist()) == list(range(count))


def test_values_are_judged_by_how_well_they_follow_fp32(original: MakeOriginal, matrix: MakeRows) -> None:
    regressor = original(None, task="regression", roles={"value": "value"})
    before = {"value": np.array([[1.0], [2.0], [3.0]])}
    after = {"value": np.array([[1.0], [2.0], [3.1]])}

    unlabelled = quantize.lost(regressor, matrix(np.zeros((3, 1))), before, after)
    labelled = quantize.lost(regressor, matrix(np.zeros((3, 1)), [[1.0], [2.0], [3.1]]), before, after)

    assert unlabelled == {"judged_rows": 3, "drop": pytest.approx(0.5)}
    assert labelled["score"] == 1.0
    assert labelled["drop"] < 0


def test_says_which_way_labels_flip(classifier: Original, matrix: MakeRows) -> None:
    before = {"scores": np.array([[1, 0], [1, 0], [0, 1], [0, 1]])}
    after = {"scores": np.array([[0, 1], [1, 0], [1, 0], [1, 0]])}

    found = quantize.lost(classifier, matrix(np.zeros((4, 1)), [0, 0, 0, 1]), before, after)

    assert found == {
        "judged_rows": 4,
        "flips": 75.0,
        "right_to_wrong": 2,
        "wrong_to_right": 1,
        "score": 0.5,
        "drop": 25.0,
    }


def test_what_was_not_measured_is_null() -> None:
    assert Candidate("int8").record()["seconds"] is None
