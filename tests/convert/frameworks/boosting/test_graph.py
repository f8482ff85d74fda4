import math
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import check, thresholds
from snooze.convert.frameworks.boosting.ensemble import Ensemble, Leaf, Link, Objective, Split, Tree
from snooze.convert.frameworks.boosting.graph import make_graph, round_down

pytestmark = pytest.mark.framework
VALUE = Objective()
ROWS = np.array([[-3], [-1], [-0.5], [0], [0.5], [1], [2], [2.5], [np.inf], [-np.inf], [np.nan]], np.float32)


def run(
    nodes: Tree, rows: Array, objective: Objective = VALUE, classes: Array | None = None, **settings: Any
) -> list[Array]:
    settings = {"targets": 1, "base": (0.0,), "inclusive": True, **settings}
    graph = make_graph(Ensemble((nodes,), rows.shape[1], objective=objective, **settings), classes, rows.dtype == "f8")
    check(graph)
    answers: list[Array] = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"features": rows})
    return answers


def tree(*nodes: Split | Leaf) -> Tree:
    return nodes


def leaves(*values: float) -> list[Leaf]:
    return [Leaf([(0, value)]) for value in values]


@given(st.floats(allow_nan=False))
def test_rounds_bounds_down(bound: float) -> None:
    with np.errstate(over="ignore"):
        (found,) = round_down(np.array([bound]))
        assert float(found) <= bound
        assert float(np.nextafter(found, np.float32(np.inf))) > bound or found == np.inf


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_chain_leads_to_the_first_bound_above(kind: Any, inclusive: bool, missing: int) -> None:
    bounds, children = [-1.0, 0.5, 2.0], [1, 2, 1, 3]
    nodes = tree(Split(0, bounds, children, missing), *leaves(10, 20, 30))

    (answer,) = run(nodes, ROWS.astype(kind), inclusive=inclusive)

    at = np.searchsorted(bounds, ROWS[:, 0], side="left" if inclusive else "right")
    expected = np.where(np.isnan(ROWS[:, 0]), missing, np.array(children)[at]) * 10
    assert answer[:, 0].tolist() == expected.tolist()


def test_chains_may_follow_chains() -> None:
    nodes = tree(Split(0, [-1.0, 1.0], [1, 2, 1], 2), *leaves(5), Split(1, [0.0, 3.0], [3, 4, 3], 4), *leaves(7, 9))
    rows = np.array([[-2, 0], [0, -1], [0, 2], [0, 4], [3, 0], [np.nan, np.nan]], np.float32)

    assert run(nodes, rows)[0][:, 0].tolist() == [5, 7, 9, 7, 5, 9]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("identity", lambda sums: sums),
        ("sigmoid", lambda sums: 1 / (1 + np.exp(-sums))),
        ("exp", np.exp),
        ("softplus", lambda sums: np.log1p(np.exp(sums))),
        ("signed square", lambda sums: sums * np.abs(sums)),
    ],
)
def test_links(link: Link, expected: Any) -> None:
    nodes = tree(Split(0, [0.0], [1, 2], 1), *leaves(-2, 1))

    (answer,) = run(nodes, ROWS, Objective(link), base=(0.5,), scale=2.0)

    np.testing.assert_allclose(answer[:, 0], expected(np.where(ROWS[:, 0] > 0, 3.0, -3.0)), rtol=1e-6)


@pytest.mark.parametrize(
    ("objective", "first"),
    [(Objective("sigmoid", "classification"), 1 / (1 + math.e)), (Objective("identity", "classification"), -1.0)],
)
def test_two_classes_have_two_columns(objective: Objective, first: float) -> None:
    label, answer = run([Leaf([(0, 1.0)])], ROWS, objective, np.array(["no", "ü"], object))

    assert label.tolist() == ["ü"] * len(ROWS)
    assert answer[0, 0] == pytest.approx(first)
    assert answer.shape == (len(ROWS), 2)


def test_several_classes() -> None:
    nodes = tree(Split(0, [0.0], [1, 2], 1), Leaf([(0, 1.0), (1, 2.0), (2, 0.0)]), Leaf([(0, 0.0), (1, 0.0), (2, 3.0)]))
    settings: dict[str, Any] = {"targets": 3, "base": (0.0, 0.0, 1.0)}

    label, answer = run(nodes, ROWS[:5], Objective("softmax", "classification"), np.array([5, 7, -9]), **settings)

    assert label.tolist() == [7, 7, 7, 7, -9]
    np.testing.assert_allclose(answer[0], np.exp([1, 2, 1]) / np.exp([1, 2, 1]).sum(), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_another_value_means_missing(kind: Any) -> None:
    nodes = tree(Split(0, [1.0], [1, 2], 2), *leaves(1, 2))

    (answer,) = run(nodes, ROWS[:6].astype(kind), missing=-0.5)

    assert answer[:, 0].tolist() == [1, 1, 2, 1, 1, 1]


def test_its_thresholds_are_found() -> None:
    graph = make_graph(
        Ensemble((tree(Split(0, [0.5], [1, 2], 1), *leaves(1, 2)),), 1, 1, (0.0,), True, Objective()), None
    )

    assert thresholds(graph) == [(0, 0.5)]
