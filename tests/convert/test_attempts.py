from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from snooze.bundle.contract import Batching, Tensor
from snooze.bundle.errors import InvalidData
from snooze.convert.attempts import UNSTEADY, Conversion, answer, convert, find_batching
from snooze.convert.checks.cases import Arrays, Case, rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.synthetic import draw_data
from snooze.convert.errors import GraphRefused, ParityRefused, Unsupported
from snooze.convert.frameworks.interface import Attempt, Input, Original
from snooze.convert.runner import Runner

MakeOriginal = Callable[..., Original]
SHAPE = ("f", [None, 1])


def negate(tensors: Arrays) -> Arrays:
    """What the original answers: it does not accept missing values or integers."""
    if np.isnan(tensors["features"]).any():
        raise ValueError("Input X contains NaN")
    return {"value": -tensors["features"]}


@pytest.fixture
def graph(save_onnx: Callable[..., Path]) -> Callable[..., Any]:
    """Make a graph from features to a value."""

    def graph(*nodes: Any) -> Any:
        return onnx.load(save_onnx(list(nodes), {"features": SHAPE}, {"value": SHAPE}))

    return graph


@pytest.fixture
def attempt(
    graph: Callable[..., Any], original: MakeOriginal, matrix: Callable[..., Dataset], tmp_path: Path
) -> Callable[..., Conversion]:
    """Convert a function that negates three rows, by attempts that use one operator each."""

    def attempt(*operators: str, run: Any = negate) -> Conversion:
        attempts = tuple(
            Attempt(name, lambda name=name: graph(helper.make_node(name, ["features"], ["value"])))  # type: ignore[misc]
            for name in operators
        )
        model = original(run, roles={"value": "value"}, attempts=attempts)
        return convert(model, matrix(np.array([[1.0], [5.0], [3.0]], np.float32)), tmp_path)

    return attempt


def test_drawn_rows_that_the_original_does_not_accept_ask_for_real_ones(
    original: MakeOriginal, matrix: Callable[..., Dataset], graph: Callable[..., Any], tmp_path: Path
) -> None:
    def refuse() -> Any:
        raise Unsupported("Function", "has no converter")

    rows = np.array([[np.nan]], np.float32)
    made = Attempt("single precision", lambda: graph(helper.make_node("Neg", ["features"], ["value"])))

    with pytest.raises(
        InvalidData, match=r"rows drawn from the signature: .* contains NaN; give real ones with --data"
    ):
        convert(original(negate, attempts=(made,)), matrix(rows, real=False), tmp_path)
    with pytest.raises(InvalidData, match=r"the input rows: .* contains NaN$"):
        convert(original(negate, attempts=(made,)), matrix(rows), tmp_path)
    with pytest.raises(Unsupported, match="has no converter"):
        convert(original(negate, attempts=(Attempt("x", refuse),)), matrix(rows, real=False), tmp_path)


def test_edge_cases_that_the_original_answers_differently_among_copies_do_not_count(
    original: MakeOriginal, matrix: Callable[..., Dataset], graph: Callable[..., Any], tmp_path: Path
) -> None:
    """Here rows of zeros, as a network does that normalizes the noise of silence."""

    def run(tensors: Arrays) -> Arrays:
        rows = tensors["features"]
        noise = np.arange(len(rows))[:, None] if not rows.any() else 0
        return {"value": noise - rows}

    made = Attempt("only", lambda: graph(helper.make_node("Neg", ["features"], ["value"])))
    shown = (Input(Tensor("features", "FP32", (-1, 1))),)
    model = original(run, inputs=shown, roles={"value": "value"}, attempts=(made,))

    parity = convert(model, matrix(np.arange(1, 9, dtype=np.float32)[:, None]), tmp_path).parity

    assert parity.edges is not None
    assert (parity.verdict, parity.edges.outliers) == ("agrees", 0)
    assert UNSTEADY in parity.edges_refused


def test_takes_the_first_attempt_that_agrees(attempt: Callable[..., Conversion]) -> None:
    conversion = attempt("Identity", "Magic", "Neg", "Abs")

    assert (conversion.parity.attempt, conversion.parity.verdict) == ("Neg", "agrees")
    assert [one.attempt for one in conversion.parity.failed] == ["Identity", "Magic"]
    compared, invalid = (one.differences for one in conversion.parity.failed)
    assert compared is not None
    assert (compared.rows, compared.outliers, compared.worst, invalid) == (3, 3, 10.0, None)
    assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [("value", (-1, 1), "value")]
    assert conversion.parity.missing == "refused"
    assert conversion.parity.data.rows == 3
    assert conversion.parity.edges is not None
    assert conversion.parity.edges.rows == 20


def test_the_original_is_asked_about_edge_cases_once(attempt: Callable[..., Conversion]) -> None:
    asked: list[int] = []

    def run(tensors: Arrays) -> Arrays:
        asked.append(len(tensors["features"]))
        return negate(tensors)

    counts = []
    for operators in (("Neg",), ("Abs", "Exp", "Neg")):
        attempt(*operators, run=run)
        counts.append(len(asked))
        asked.clear()

    assert counts[1] - counts[0] == 2  # copies of the rows that differ, for each attempt that fails


def test_reports_the_problem_of_the_simplest_attempt(attempt: Callable[..., Conversion]) -> None:
    with pytest.raises(ParityRefused) as caught:
        attempt("Identity", "Magic")

    assert caught.value.exit_code == 1
    assert caught.value.problem.startswith("converted in Identity, the Function answers differently: 3 of 3 rows")


def test_edge_cases_decide(attempt: Callable[..., Conversion]) -> None:
    """Relu agrees on the positive rows, not on the negated ones."""

    with pytest.raises(ParityRefused, match="on edge cases, "):
        attempt("Relu", run=lambda tensors: {"value": tensors["features"]})


def test_missing_values_do_not_decide(attempt: Callable[..., Conversion]) -> None:
    conversion = attempt("Neg", run=lambda tensors: {"value": -np.nan_to_num(tensors["features"])})

    assert (conversion.parity.verdict, conversion.parity.missing) == ("agrees", "differs")


def test_a_graph_that_cannot_run_is_refused(
    graph: Callable[..., Any], original: MakeOriginal, matrix: Callable[..., Dataset], tmp_path: Path
) -> None:
    def no_kernel() -> Any:
        made = graph(helper.make_node("Neg", ["features"], ["value"]))
        made.ir_version = 9
        made.opset_import[0].version = 99
        return made

    model = original(negate, roles={"value": "value"}, attempts=(Attempt("only", no_kernel),), remedy="do this")

    with pytest.raises(GraphRefused) as caught:
        convert(model, matrix(np.ones((3, 1), np.float32)), tmp_path)

    assert caught.value.problem


def test_rows_that_the_original_does_not_accept_are_invalid(attempt: Callable[..., Conversion]) -> None:
    def refuse(tensors: Arrays) -> Arrays:
        raise ValueError("no")

    with pytest.raises(InvalidData):
        attempt("Neg", run=refuse)


def test_requests_are_joined_unless_rows_change_each_others_answers(
    attempt: Callable[..., Conversion],
    save_onnx: Callable[..., Path],
    original: MakeOriginal,
) -> None:
    conversion, model = attempt("Neg"), original(negate, roles={"value": "value"})
    mean = helper.make_node("ReduceMean", ["features"], ["mean"])
    nodes = [mean, helper.make_node("Sub", ["features", "mean"], ["value"])]
    mixing = save_onnx(nodes, {"features": SHAPE}, {"value": SHAPE}, name="mixing.onnx")

    assert find_batching(conversion, Runner(conversion.file), conversion.expected.tolerance, model) == Batching(0, 64)
    assert find_batching(conversion, Runner(mixing), conversion.expected.tolerance, model) is None


@pytest.mark.parametrize(("limit", "shape"), [(99, (-1, -1, 3)), (4, (-1, 4, 3))])
def test_a_length_that_varies_is_observed_although_the_rows_have_one(
    save_onnx: Callable[..., Path], original: MakeOriginal, tmp_path: Path, limit: int, shape: tuple[int, ...]
) -> None:
    """It was declared fixed. What the original refuses, here more or fewer than 4, is not observed."""
    values = ("f", [None, None, 3])
    path = save_onnx([helper.make_node("Neg", ["words"], ["value"])], {"words": values}, {"value": values})

    def run(tensors: Arrays) -> Arrays:
        if limit == 4 != tensors["words"].shape[1]:
            raise ValueError("expected 4 words")
        return {"value": -tensors["words"]}

    model = original(
        run,
        inputs=(Input(Tensor("words", "FP32", (-1, -1, 3))),),
        roles={"value": None},
        attempts=(Attempt("only", lambda: onnx.load(path)),),
    )

    conversion = convert(model, Dataset((rows_case({"words": np.ones((5, 4, 3), np.float32)}),)), tmp_path)

    assert [one.shape for one in conversion.outputs] == [shape]


def test_drawn_lengths_that_the_original_refuses_are_left_out(original: MakeOriginal) -> None:
    data = draw_data((Input(Tensor("words", "FP32", (-1, -1))),), 30)

    def run(tensors: Arrays) -> Arrays:
        if tensors["words"].shape[1] < 10:
            raise ValueError("too short")
        return {"value": tensors["words"].sum(1, keepdims=True)}

    accepted, outputs = answer(original(run), data)

    assert [case.tensors["words"].shape for case in accepted.cases] == [(10, 16), (10, 23)]
    assert len(outputs) == 2


def test_drawn_rows_that_the_original_refuses_ask_for_real_ones(original: MakeOriginal) -> None:
    def refuse(tensors: Arrays) -> Arrays:
        raise ValueError("no such colour")

    with pytest.raises(InvalidData) as caught:
        answer(original(refuse), draw_data((Input(Tensor("colour", "BYTES", (-1, 1))),)))

    assert str(caught.value) == (
        "rows drawn from the signature: Function does not accept them: no such colour; give real ones with --data"
    )


def test_cases_without_rows_are_never_joined(
    save_onnx: Callable[..., Path], original: MakeOriginal, tmp_path: Path
) -> None:
    path = save_onnx(
        [helper.make_node("Neg", ["sound"], ["value"])], {"sound": ("f", [None])}, {"value": ("f", [None])}
    )
    cases = tuple(Case({"sound": np.linspace(0, 1, size, dtype=np.float32)}, {"sound": None}) for size in (4, 9))
    model = original(
        lambda tensors: {"value": -tensors["sound"]},
        roles={"value": None},
        attempts=(Attempt("only", lambda: onnx.load(path)),),
    )

    conversion = convert(model, Dataset(cases), tmp_path)

    assert conversion.parity.data.rows == 2
    assert find_batching(conversion, Runner(conversion.file), conversion.expected.tolerance, model) is None
    assert [one.shape for one in conversion.outputs] == [(-1,)]
    assert conversion.expected.tolerance["value"].atol == pytest.approx(1e-5)
