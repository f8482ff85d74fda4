from collections.abc import Callable
from typing import Any, cast

import numpy as np

from snooze.bundle import Tolerance
from snooze.convert.checks.cases import Arrays, Rows
from snooze.convert.checks.golden import EDGES, ROWS, samples, tolerances
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

MakeOriginal = Callable[..., Original]
MakeRows = Callable[..., Rows]


class Identity:
    """Answers with its rows."""

    def feed(self, inputs: Arrays) -> Arrays:
        return {name: array.astype(np.float32) for name, array in inputs.items()}

    def run(self, inputs: Arrays) -> Arrays:
        return {"scores": inputs["features"]}

    run_all = run


RUNNER = cast("Runner", Identity())


def test_takes_rows_whose_class_wins_clearly(original: MakeOriginal, matrix: MakeRows) -> None:
    model = original(None, decides="scores")
    near, clear = [[0.5, 0.501]] * 20, [[0.3, 0.7], [0.9, 0.1]]

    found = samples(RUNNER, model, matrix(near + clear), matrix([*near, [0.0, 1.0]]).inputs, quantized=False)

    np.testing.assert_allclose(found.inputs["features"], [[0.3, 0.7], [0.9, 0.1], [0.0, 1.0]])
    assert found.inputs["features"].dtype == np.float32
    assert (found.outputs["scores"] == found.inputs["features"]).all()


def test_a_quantized_class_must_win_by_more(original: MakeOriginal, matrix: MakeRows) -> None:
    model = original(None, decides="scores")

    found = samples(RUNNER, model, matrix([[0.45, 0.55], [0.1, 0.9]]), None, quantized=True)

    np.testing.assert_allclose(found.inputs["features"], [[0.1, 0.9]])


def test_takes_the_clearest_where_none_is_clear(original: MakeOriginal, matrix: MakeRows) -> None:
    found = samples(
        RUNNER, original(None, decides="scores"), matrix([[0.5, 0.5], [0.499, 0.501]]), None, quantized=False
    )

    np.testing.assert_allclose(found.inputs["features"], [[0.499, 0.501]], rtol=1e-6)


def test_leaves_out_what_is_not_finite(original: MakeOriginal, matrix: MakeRows) -> None:
    found = samples(RUNNER, original(None, roles={}), matrix([[np.nan], [1.0], [np.inf], [2.0]]), None, quantized=False)

    assert found.inputs["features"].tolist() == [[1.0], [2.0]]


def test_takes_a_handful_of_many(original: MakeOriginal, matrix: MakeRows) -> None:
    rows = matrix(np.arange(1000.0).reshape(-1, 1))

    found = samples(RUNNER, original(None, roles={}), rows, rows.inputs, quantized=False)

    assert len(found.inputs["features"]) == ROWS + EDGES


def test_int8_may_round_otherwise_on_another_cpu() -> None:
    parity = {"label": Tolerance(exact=True), "scores": Tolerance(rtol=1e-4, atol=1e-5)}
    outputs: dict[str, Any] = {"label": np.array([1]), "scores": np.array([[0.0, 4.0, np.inf]])}

    assert tolerances(parity, outputs, quantized=False) == parity
    assert tolerances(parity, outputs, quantized=True) == {
        "label": Tolerance(exact=True),
        "scores": Tolerance(rtol=0.05, atol=0.2),
    }
