from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from snooze.bundle.adapters.interface import Adapter
from snooze.bundle.contract import Tolerance
from snooze.bundle.errors import InvalidData
from snooze.bundle.samples import Sample
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Arrays, Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.golden import EDGES, RAW_BYTES, ROWS, check_size, choose_samples, tolerances
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

MakeOriginal = Callable[..., Original]
MakeRows = Callable[..., Dataset]


class Identity:
    """Answers with its rows."""

    def feed(self, tensors: Arrays) -> Arrays:
        return {name: array.astype(np.float32) for name, array in tensors.items()}

    def answer(self, case: Case) -> Case:
        return case.answer({"scores": self.feed(case.tensors)["features"]})

    def answer_all(self, cases: tuple[Case, ...]) -> list[Case]:
        return [self.answer(case) for case in cases]


RUNNER = cast("Runner", Identity())


def features(samples: tuple[Sample, ...]) -> Any:
    return np.concatenate([sample.inputs["features"] for sample in samples])


def test_chooses_rows_with_a_large_margin(original: MakeOriginal, matrix: MakeRows) -> None:
    model = original(decides="scores")
    near, clear = [[0.5, 0.501]] * 20, [[0.3, 0.7], [0.9, 0.1]]

    found = choose_samples(RUNNER, model, matrix(near + clear), matrix([*near, [0.0, 1.0]]), quantized=False)

    np.testing.assert_allclose(features(found), [[0.3, 0.7], [0.9, 0.1], [0.0, 1.0]])
    for sample in found:
        assert sample.inputs["features"].dtype == np.float32
        assert (sample.outputs["scores"] == sample.inputs["features"]).all()


def test_a_quantized_class_needs_a_larger_margin(original: MakeOriginal, matrix: MakeRows) -> None:
    found = choose_samples(RUNNER, original(decides="scores"), matrix([[0.45, 0.55], [0.1, 0.9]]), None, quantized=True)

    np.testing.assert_allclose(features(found), [[0.1, 0.9]])


def test_chooses_the_largest_margin_if_all_are_small(original: MakeOriginal, matrix: MakeRows) -> None:
    data = matrix([[0.5, 0.5], [0.499, 0.501]])

    found = choose_samples(RUNNER, original(decides="scores"), data, None, quantized=False)

    np.testing.assert_allclose(features(found), [[0.499, 0.501]], rtol=1e-6)


def test_leaves_out_outputs_that_are_not_finite(original: MakeOriginal, matrix: MakeRows) -> None:
    data = matrix([[np.nan], [1.0], [np.inf], [2.0]])

    assert features(choose_samples(RUNNER, original(roles={}), data, None, quantized=False)).tolist() == [[1.0], [2.0]]


def test_inputs_are_those_of_the_chosen_raw_rows(original: MakeOriginal, matrix: MakeRows) -> None:
    """Adapted together with a longer text, all are padded to its length."""

    class Padding:
        def apply(self, rows: list[str]) -> Arrays:
            width = max(map(len, rows))
            return {"features": np.array([[len(row)] + [0] * (width - 1) for row in rows], np.float32)}

        def pack(self, row: str) -> bytes:
            return row.encode()

    texts = ["a", "bb", "a long text"]
    adapter = cast("Adapter", Padding())
    data = matrix(adapter.apply(texts)["features"], raw=texts).take(np.array([0, 1]))

    (found,) = choose_samples(RUNNER, original(roles={}), data, None, quantized=False, adapter=adapter)

    assert found.raw == (b"a", b"bb")
    assert found.inputs["features"].tolist() == [[1, 0], [2, 0]]


def test_of_large_raw_rows_few_are_chosen_because_each_start_adapts_them(
    original: MakeOriginal, matrix: MakeRows
) -> None:
    class Sizes:
        def apply(self, rows: list[bytes]) -> Arrays:
            return {"features": np.array([[len(row)] for row in rows], np.float32)}

        def pack(self, row: bytes) -> bytes:
            return row

    adapter = cast("Adapter", Sizes())
    for size, expected in ((RAW_BYTES // 6, 6), (RAW_BYTES // 5, 2), (RAW_BYTES, 1), (2 * RAW_BYTES, 1)):
        raw = [bytes(size)] * 8
        data = matrix(adapter.apply(raw)["features"], raw=raw)
        (found,) = choose_samples(RUNNER, original(roles={}), data, None, quantized=False, adapter=adapter)
        assert found.raw is not None
        assert len(found.raw) == expected


def test_chooses_a_few_of_many(original: MakeOriginal, matrix: MakeRows) -> None:
    data = matrix(np.arange(1000.0).reshape(-1, 1))

    found = choose_samples(RUNNER, original(roles={}), data, data, quantized=False)

    assert [len(sample.inputs["features"]) for sample in found] == [ROWS, EDGES]


def test_chooses_fewer_rows_if_they_are_large(
    original: MakeOriginal, matrix: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row and its answer have 800 bytes each."""
    data = matrix(np.ones((20, 100)))
    for limit, rows in ((8 * 1600, [ROWS, EDGES]), (3 * 1600, [2, 1]), (1600, [1])):
        monkeypatch.setattr(golden, "MAX_BYTES", limit // 2)

        found = choose_samples(RUNNER, original(roles={}), data, data, quantized=False)

        assert [len(sample.inputs["features"]) for sample in found] == rows


def test_a_row_that_is_too_large_is_refused_before_anything_is_done(
    matrix: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = matrix(np.ones((2, 100), np.float32))
    check_size(data.cases, data.cases)
    monkeypatch.setattr(golden, "MAX_BYTES", 799)

    with pytest.raises(InvalidData) as caught:
        check_size(data.cases, data.cases)

    assert str(caught.value) == (
        "the input rows: one row and its answer have 800 B, a golden sample may have 799 B; "
        "give smaller ones with --data"
    )


def test_int8_may_round_differently_on_another_cpu(original: MakeOriginal, outputs: Callable[..., list[Case]]) -> None:
    """Scores share one range, as probabilities do; a column of other numbers has its own."""
    parity = {"label": Tolerance(exact=True), "scores": Tolerance(rtol=1e-4, atol=1e-5), "value": Tolerance(atol=1.0)}
    answers = outputs(
        label=[1, 1], scores=[[0.0, 0.1, np.inf], [4.0, 0.2, np.inf]], value=[[0.0, 1000.0], [1.0, 2000.0]]
    )

    assert tolerances(parity, answers, False, original()) == parity
    assert tolerances(parity, answers, True, original()) == {
        "label": Tolerance(exact=True),
        "scores": Tolerance(rtol=0.05, atol=0.2),
        "value": Tolerance(rtol=0.05, columns=(0.05, 50.0)),
    }
