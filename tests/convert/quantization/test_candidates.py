from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from snooze.bundle.evidence import Candidate, Losses, QuantizationLimits
from snooze.convert.checks.cases import Case, rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization import candidates
from snooze.convert.quantization.candidates import Choice, broken_limit, measure_losses, split
from snooze.convert.quantization.recipes import Recipe

MakeOriginal = Callable[..., Original]
MakeRows = Callable[..., Dataset]
Outputs = Callable[..., list[Case]]
WIDTH = 64
ROWS = 300
LIMITS = QuantizationLimits(max_drop=0.5, max_flips=2.0, prefer="speed", rows=1, min_gain=1.15)


def net(operator: str = "MatMul") -> Any:
    """Two wide layers, the second giving two scores."""
    generator = np.random.default_rng(0)
    shapes = {"first": (WIDTH, WIDTH), "second": (WIDTH, 2)}
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "first"], ["h"]), helper.make_node("MatMul", ["h", "second"], ["scores"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def data() -> Dataset:
    generator = np.random.default_rng(1)
    case = rows_case({"x": generator.standard_normal((ROWS, WIDTH)).astype(np.float32)})
    return Dataset((case,), generator.integers(0, 2, ROWS))


@pytest.fixture
def classifier(original: MakeOriginal) -> Original:
    return original(task="classification", classes=(0, 1), decides="scores")


@pytest.fixture
def choose(tmp_path: Path, classifier: Original) -> Callable[..., Choice]:
    """Choose among the versions of the net, with the given limits."""

    def choose(data: Dataset, /, wanted: bool = True, graph: Any = None, **limits: Any) -> Choice:
        graph = graph or net()
        (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
        limits = {"max_drop": 50, "max_flips": 50} | limits
        return candidates.choose(
            tmp_path / "m.onnx", graph, classifier, data, LIMITS._replace(**limits), wanted, tmp_path
        )

    return choose


Choose = Callable[..., Choice]


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the microseconds that each version takes."""

    def speed(**microseconds: float) -> None:
        def run_seconds(calls: dict[str, Any]) -> dict[str, float]:
            return {name: microseconds.get(name.replace("-", "_"), 100.0) * 1e-6 for name in calls}

        monkeypatch.setattr(candidates, "run_seconds", run_seconds)

    return speed


Speed = Callable[..., None]


def by_name(choice: Choice) -> dict[str, Candidate]:
    return {one.name: one for one in choice.candidates}


def test_the_fastest_within_every_limit_is_chosen(choose: Choose, data: Dataset, speed: Speed) -> None:
    speed(fp32=100, int8_dynamic=50, int8_dynamic_per_channel=40, int8_static=60)

    choice = choose(data)

    assert (choice.name, choice.quantized) == ("int8-dynamic-per-channel", True)
    assert len(choice.report) == 100
    found = by_name(choice)
    assert {name: one.verdict for name, one in found.items()} == {
        "fp32": "passed",
        "int8-dynamic": "passed",
        "int8-dynamic-per-channel": "chosen",
        "int8-static": "passed",
    }
    chosen = found[choice.name]
    assert chosen.reason == "2.50 times as fast as fp32 and within every limit"
    assert chosen.seconds == pytest.approx(40e-6)
    assert chosen.speedup == pytest.approx(2.5)
    assert (chosen.bytes or 0) < (found["fp32"].bytes or 0) / 2
    assert chosen.selection is not None
    assert chosen.report is not None
    assert None not in chosen.selection


def test_a_gain_below_15_percent_is_not_enough(choose: Choose, data: Dataset, speed: Speed) -> None:
    speed(int8_dynamic=88, int8_static=300)

    choice = choose(data, rows=8)

    reasons = {name: one.reason for name, one in by_name(choice).items()}
    assert (choice.name, reasons["fp32"]) == ("fp32", "no 8-bit candidate is better")
    assert reasons["int8-dynamic"] == "it runs 1.14 times as fast as fp32 on 8 rows; expected 1.15 times"
    assert reasons["int8-static"] == "it runs 0.33 times as fast as fp32 on 8 rows; expected 1.15 times"
    assert len(choice.report) == ROWS


def test_the_smallest_wins_if_size_is_preferred_however_slow(choose: Choose, data: Dataset, speed: Speed) -> None:
    speed(fp32=100, int8_dynamic=200, int8_dynamic_per_channel=200, int8_static=200)

    choice = choose(data, prefer="size")

    assert choice.name == min(choice.candidates, key=lambda one: one.bytes or 0).name != "fp32"


def test_a_candidate_that_is_not_smaller_is_refused_if_size_is_preferred(
    choose: Choose, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(file: Path, made: Path, calibration: Dataset) -> None:
        made.write_bytes(net().SerializeToString())

    monkeypatch.setattr(candidates, "recipes", lambda graph: [Recipe("int8-copy", copy)])

    choice = choose(data, prefer="size")

    assert (choice.name, by_name(choice)["int8-copy"].reason) == ("fp32", "it is not smaller than fp32")


def test_flips_are_counted_against_fp32(choose: Choose, data: Dataset, speed: Speed) -> None:
    speed(int8_dynamic=10, int8_dynamic_per_channel=10, int8_static=10)
    generator = np.random.default_rng(2)
    close = net()
    column = generator.standard_normal((WIDTH, 1))
    second = np.concatenate([column, column + 0.02 * generator.standard_normal((WIDTH, 1))], axis=1)
    close.graph.initializer[1].CopyFrom(numpy_helper.from_array(second.astype(np.float32), "second"))

    choice = choose(data, graph=close, max_drop=100, max_flips=0)

    for one in choice.candidates[1:]:
        assert one.verdict == "refused"
        assert "of its labels flip; --max-flips allows 0 %" in one.reason


@pytest.mark.parametrize(
    ("losses", "problem"),
    [
        (Losses(9, drop=0.51), "its score drops by 0.51 points; --max-drop allows 0.5"),
        (Losses(9, flips=2.1), "2.1 % of its labels flip; --max-flips allows 2 %"),
        (Losses(9, drop=0.5, flips=2.0), ""),
    ],
)
def test_names_the_limit_that_is_exceeded(losses: Losses, problem: str) -> None:
    assert broken_limit(losses, LIMITS) == problem


def test_the_chosen_one_must_hold_on_rows_by_which_it_was_not_chosen(
    choose: Choose, data: Dataset, speed: Speed, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed(int8_dynamic=10)
    report = split(data)[2].cases[0].tensors["x"]

    def measure(original: Original, part: Dataset, *outputs: Any) -> Losses:
        on_report = np.array_equal(part.cases[0].tensors["x"], report)
        return Losses(len(part), flips=9.0 if on_report else 0.0)

    monkeypatch.setattr(candidates, "measure_losses", measure)

    choice = choose(data, max_flips=2)

    assert choice.name == "fp32"
    found = by_name(choice)["int8-dynamic"]
    assert found.verdict == "refused"
    assert found.reason == "on rows by which it was not chosen, 9.0 % of its labels flip; --max-flips allows 2 %"


def fail_to_build(file: Path, made: Path, calibration: Dataset) -> None:
    raise RuntimeError("Unable to find data type\nmore")


def fail_to_load(file: Path, made: Path, calibration: Dataset) -> None:
    made.write_bytes(b"not a model")


def fail_to_run(file: Path, made: Path, calibration: Dataset) -> None:
    """As the int8 candidates of GammaRegressor and its like fail in ONNX Runtime."""
    wrong = net()
    shape = numpy_helper.from_array(np.array([7, 7]), "shape")
    wrong.graph.initializer.append(shape)
    wrong.graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["reshaped"]))
    wrong.graph.node[1].input[0] = "reshaped"
    made.write_bytes(wrong.SerializeToString())


@pytest.mark.parametrize("build", [fail_to_build, fail_to_load, fail_to_run])
def test_a_candidate_that_fails_is_refused(
    choose: Choose, data: Dataset, monkeypatch: pytest.MonkeyPatch, build: Any
) -> None:
    monkeypatch.setattr(candidates, "recipes", lambda graph: [Recipe("int8-odd", build)])

    choice = choose(data)

    assert choice.name == "fp32"
    assert choice.candidates[1].verdict == "refused"
    assert choice.candidates[1].reason.startswith("it fails: ")
    assert "\n" not in choice.candidates[1].reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wanted": False}, "turned off by --quantize none"),
        ({"add": True}, "nothing to quantize: no matrix of weights among the operators Add"),
        (
            {"real": False},
            "without real rows there is nothing to calibrate with and to measure the loss on; add --data",
        ),
        ({"rows": 199}, "199 rows are too few for calibration, selection and report; give 200 or more"),
    ],
)
def test_says_why_nothing_is_tried(choose: Choose, data: Dataset, change: dict[str, Any], reason: str) -> None:
    given = Dataset(data.cases, data.labels, real=change.get("real", True)).take(np.arange(change.get("rows", ROWS)))
    graph = net("Add" if "add" in change else "MatMul")
    if "add" in change:
        del graph.graph.node[1]
        graph.graph.output[0].name = "h"

    choice = choose(given, wanted=change.get("wanted", True), graph=graph)

    assert choice.name == "fp32"
    assert choice.candidates[1:] == (Candidate("int8", "refused", reason),)
    assert len(choice.report) == len(given)


def test_a_model_in_half_precision_is_left_as_it_is(data: Dataset, original: MakeOriginal, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(net().SerializeToString())

    choice = candidates.choose(tmp_path / "m.onnx", net(), original(half=True), data, LIMITS, True, tmp_path)

    assert (choice.name, choice.quantized) == ("fp16", False)
    assert choice.candidates[1].reason.startswith("a model in half precision is served as it is")


def test_a_quantized_model_is_left_as_it_is(choose: Choose, data: Dataset) -> None:
    graph = net()
    graph.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["x", "unit"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "unit"], ["d"]),
        ]
    )

    choice = choose(data, graph=graph)

    assert (choice.name, choice.quantized, choice.report) == ("as it was quantized", True, data)
    assert [one.reason for one in choice.candidates] == ["the converted model, which is quantized already"]


@pytest.mark.parametrize(("count", "sizes"), [(200, (100, 50, 50)), (900, (225, 337, 338)), (5_000, (500, 2250, 2250))])
def test_splits_rows_in_three_without_overlap(matrix: MakeRows, count: int, sizes: tuple[int, ...]) -> None:
    parts = split(matrix(np.arange(count).reshape(-1, 1), np.arange(count)))

    assert tuple(len(part) for part in parts) == sizes
    labels: NDArray[Any] = np.concatenate([part.labels for part in parts if part.labels is not None])
    assert sorted(labels.tolist()) == list(range(count))


def test_values_are_compared_by_r_squared(original: MakeOriginal, matrix: MakeRows, outputs: Outputs) -> None:
    regressor = original(task="regression", roles={"value": "value"})
    before, after = outputs(value=[[1.0], [2.0], [3.0]]), outputs(value=[[1.0], [2.0], [3.1]])

    unlabelled = measure_losses(regressor, matrix(np.zeros((3, 1))), before, after)
    labelled = measure_losses(regressor, matrix(np.zeros((3, 1)), [[1.0], [2.0], [3.1]]), before, after)

    assert unlabelled._replace(drop=None) == Losses(3)
    assert unlabelled.drop == pytest.approx(0.5)
    assert labelled.score == 1.0
    assert labelled.drop is not None
    assert labelled.drop < 0


def test_the_worst_column_counts(original: MakeOriginal, matrix: MakeRows, outputs: Outputs) -> None:
    """A column 1,000 times smaller than its neighbour could be lost; one that is only rounding does not count."""
    values = np.array([[1000.0, 1.0, 1e-9], [2000.0, 2.0, 2e-9], [3000.0, 3.0, 0.0]])
    data = matrix(np.zeros((3, 1)))

    lost = measure_losses(original(), data, outputs(embedding=values), outputs(embedding=values * [1, 0, 1]))
    rounded = measure_losses(original(), data, outputs(embedding=values), outputs(embedding=values * [1, 1, 0]))

    assert (lost.drop or 0) > 100
    assert rounded.drop == pytest.approx(0)


def test_outputs_that_are_not_numbers_are_compared_by_equality(
    original: MakeOriginal, matrix: MakeRows, outputs: Outputs
) -> None:
    losses = measure_losses(original(), matrix(np.zeros((2, 1))), outputs(out=["a", "b"]), outputs(out=["a", "c"]))

    assert losses == Losses(2, drop=50.0)


def test_says_which_way_labels_flip(classifier: Original, matrix: MakeRows, outputs: Outputs) -> None:
    before, after = outputs(scores=[[1, 0], [1, 0], [0, 1], [0, 1]]), outputs(scores=[[0, 1], [1, 0], [1, 0], [1, 0]])

    found = measure_losses(classifier, matrix(np.zeros((4, 1)), [0, 0, 0, 1]), before, after)

    assert found == Losses(rows=4, score=0.5, drop=25.0, flips=75.0, right_to_wrong=2, wrong_to_right=1)
