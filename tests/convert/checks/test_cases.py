from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from snooze.bundle.contract import Bundle, Session, Source, Tensor, Tolerance
from snooze.bundle.samples import read_samples, write_samples
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Arrays, Case, join, rows_case, run_in_parts, split
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.parity import compare, tolerances
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

SaveOnnx = Callable[..., Path]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case: tensors of any rank, with rows along any axis or without rows."""
    rows = draw(st.integers(1, 12))
    tensors: Arrays = {}
    axes: dict[str, int | None] = {}
    for index in range(draw(st.integers(1, 3))):
        shape = draw(st.lists(st.integers(1, 3), max_size=3))
        axis = draw(st.none() | st.integers(0, len(shape)))
        if axis is not None:
            shape.insert(axis, rows)
        numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
        tensors[str(index)] = draw(st.sampled_from([numbers, numbers.astype(np.float32), numbers.astype(str)]))
        axes[str(index)] = axis
    return Case(tensors, axes)


def assert_same(first: Case, second: Case) -> None:
    assert first.axes == second.axes
    for name, array in first.tensors.items():
        np.testing.assert_array_equal(array, second.tensors[name])


@given(cases(), st.integers(1, 5))
def test_joining_the_parts_gives_the_case(case: Case, size: int) -> None:
    parts = list(split(case, size))

    assert sum(part.units for part in parts) == case.units
    assert all(part.units <= size for part in parts) or case.rows is None
    assert_same(join(parts), case)


@given(cases(), st.data())
def test_taking_rows_takes_them_from_every_tensor_with_rows(case: Case, data: st.DataObject) -> None:
    index = np.array(data.draw(st.lists(st.integers(0, case.units - 1), min_size=1, max_size=5)))

    taken = case.take(index)

    assert taken.rows == (None if case.rows is None else len(index))
    for name, axis in case.axes.items():
        if axis is None:
            assert taken.tensors[name] is case.tensors[name]
        else:
            np.testing.assert_array_equal(taken.by_unit(name), case.by_unit(name)[index])


@given(cases())
def test_every_unit_has_its_part_of_every_tensor(case: Case) -> None:
    for name, array in case.tensors.items():
        assert case.by_unit(name).shape[0] == case.units
        if case.axes[name] is None:
            assert case.by_unit(name).shape[1:] == array.shape


def test_outputs_have_rows_if_there_is_one_entry_for_each_row() -> None:
    case = rows_case({"x": np.zeros((3, 2))})

    answer = case.answer({"y": np.zeros((3, 5)), "mean": np.zeros(()), "classes": np.zeros(2)})

    assert answer.axes == {"y": 0, "mean": None, "classes": None}


def test_runs_parts_and_joins_them() -> None:
    sizes = []

    def run(tensors: Arrays) -> Arrays:
        sizes.append(len(tensors["x"]))
        return {"y": tensors["x"] * 2}

    answer = run_in_parts(rows_case({"x": np.arange(7)}), run, size=3)

    assert sizes == [3, 3, 1]
    assert answer.tensors["y"].tolist() == list(range(0, 14, 2))


@pytest.mark.parametrize(("width", "sizes"), [(1, [256, 44]), (2**16, [4] * 75), (2**19, [1] * 300)])
def test_parts_of_large_rows_are_small(width: int, sizes: list[int]) -> None:
    found = []

    def run(tensors: Arrays) -> Arrays:
        found.append(len(tensors["x"]))
        return {"y": tensors["x"][:, 0]}

    run_in_parts(rows_case({"x": np.broadcast_to(np.float32(0), (300, width))}), run)

    assert found == sizes


def test_an_output_without_rows_needs_the_whole_case() -> None:
    answer = run_in_parts(rows_case({"x": np.arange(7)}), lambda tensors: {"sum": tensors["x"].sum()}, size=3)

    assert answer.tensors["sum"] == 21


def test_an_output_whose_size_is_that_of_the_part_by_chance_has_no_rows() -> None:
    def run(tensors: Arrays) -> Arrays:
        return {"y": tensors["x"] * 2, "table": np.arange(3)}

    answer = run_in_parts(rows_case({"x": np.arange(6)}), run, size=3, axes={"y": 0, "table": None})

    assert answer.tensors["table"].tolist() == [0, 1, 2]
    assert answer.tensors["y"].tolist() == [0, 2, 4, 6, 8, 10]


def strings() -> tuple[list[Any], dict[str, Any], dict[str, Any], list[Case], Callable[[Arrays], Arrays]]:
    nodes = [helper.make_node("StringNormalizer", ["text"], ["upper"], case_change_action="UPPER", locale="C.UTF-8")]
    texts = [np.array(["a", "é"], object), np.array(["longer", "", "x"], object)]
    return (
        nodes,
        {"text": ("s", [None])},
        {"upper": ("s", [None])},
        [rows_case({"text": one}) for one in texts],
        lambda tensors: {"upper": np.array([one.upper() for one in tensors["text"]], object)},
    )


def scalars() -> tuple[list[Any], dict[str, Any], dict[str, Any], list[Case], Callable[[Arrays], Arrays]]:
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    values = [(1.5, 2.0), (-1.0, 0.25)]
    return (
        nodes,
        {"x": ("f", []), "factor": ("f", [])},
        {"y": ("f", [])},
        [Case({"x": np.array(x, "f"), "factor": np.array(f, "f")}, {"x": None, "factor": None}) for x, f in values],
        lambda tensors: {"y": np.asarray(tensors["x"] * tensors["factor"])},
    )


def lengths() -> tuple[list[Any], dict[str, Any], dict[str, Any], list[Case], Callable[[Arrays], Arrays]]:
    nodes = [helper.make_node("CumSum", ["sound", "axis"], ["sum"])]
    sounds = [np.linspace(0, 1, length, dtype=np.float32) for length in (3, 8, 5)]
    return (
        nodes,
        {"sound": ("f", [None])},
        {"sum": ("f", [None])},
        [Case({"sound": sound}, {"sound": None}) for sound in sounds],
        lambda tensors: {"sum": np.cumsum(tensors["sound"])},
    )


@pytest.mark.parametrize("build", [strings, scalars, lengths])
def test_strings_scalars_and_varying_lengths_pass_parity_and_golden_samples(
    save_onnx: SaveOnnx, original: Callable[..., Original], tmp_path: Path, build: Any
) -> None:
    nodes, inputs, outputs, given_cases, run = build()
    runner = Runner(save_onnx(nodes, inputs, outputs, {"axis": np.array(0, np.int64)} if build is lengths else None))
    model = original(run, roles=dict.fromkeys(outputs))
    data = Dataset(tuple(given_cases))

    expected = model.answer_all(data.cases)
    tolerance = tolerances(model, expected, trees=False)
    differences = compare(model, expected, runner.answer_all(data.cases), tolerance).differences
    samples = golden.choose_samples(runner, model, data, None, quantized=False)

    assert (differences.outliers, differences.flips) == (0, 0)
    assert differences.rows == len(data) == sum(case.units for case in given_cases)
    assert all(tolerance[name].exact == (kind == "s") for name, (kind, _) in outputs.items())
    write_samples(tmp_path / "samples.npz", samples)
    datatypes = {"f": "FP32", "s": "BYTES"}
    signature = {
        side: tuple(Tensor(name, datatypes[kind], tuple(-1 for _ in shape)) for name, (kind, shape) in tensors.items())  # type: ignore[arg-type]
        for side, tensors in (("inputs", inputs), ("outputs", outputs))
    }
    bundle = Bundle(
        name="m",
        version=1,
        created="2026-11-21T01:02:03Z",
        source=Source("none", "0", None, None, None, None),
        **signature,
        task=None,
        labels=None,
        batching=None,
        adapter=None,
        session=Session("model.onnx", "all", 1, "loop"),
        tolerance=tolerance,
        evidence={},
        profile={},
        files={},
    )
    read = read_samples(tmp_path, bundle)
    assert len(read) == len(given_cases)
    for sample, case in zip(read, given_cases, strict=True):
        for name, array in sample.inputs.items():
            np.testing.assert_array_equal(array, case.tensors[name])


def test_a_wrong_answer_to_one_case_is_one_outlier(original: Callable[..., Original]) -> None:
    expected = [Case({"y": np.arange(length, dtype=float)}, {"y": None}) for length in (2, 4, 3)]
    got = [case._replace(tensors={"y": case.tensors["y"] + (at == 1)}) for at, case in enumerate(expected)]
    model = original(roles={"y": "value"})

    found = compare(model, expected, got, {"y": Tolerance(atol=0.1)})

    assert found.outliers.tolist() == [False, True, False]
