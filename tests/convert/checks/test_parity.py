from collections.abc import Callable

import numpy as np
import pytest

from snooze.bundle.contract import Tolerance
from snooze.bundle.evidence import Differences
from snooze.convert.checks.cases import Case
from snooze.convert.checks.parity import compare, find_problem, margins, tolerances
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import Original

MakeOriginal = Callable[..., Original]
Outputs = Callable[..., list[Case]]
ONE_PERCENT = {"scores": Tolerance(atol=0.01)}


@pytest.fixture
def classifier(original: MakeOriginal) -> Original:
    return original(None, decides="scores", classes=(0, 1))


def scores(*rows: list[float]) -> list[Case]:
    return [Case({"scores": np.array(rows)}, {"scores": 0})]


def test_the_same_answers_agree(classifier: Original) -> None:
    found = compare(classifier, scores([0.1, 0.9]), scores([0.1, 0.9]), ONE_PERCENT)

    assert found.differences == Differences(rows=1, worst=0.0, outliers=0, flips=0, near_ties=0)
    assert find_problem(found.differences, trees=False) is None


def test_counts_rows_beyond_the_tolerance_and_flips(classifier: Original) -> None:
    expected = scores([0.1, 0.9], [0.4, 0.6], [0.3, 0.7])

    found = compare(classifier, expected, scores([0.1, 0.905], [0.6, 0.4], [0.2, 0.8]), ONE_PERCENT)

    assert found.outliers.tolist() == [False, True, True]
    assert found.flips.tolist() == [False, True, False]
    assert found.worst == pytest.approx(0.2)
    assert find_problem(found.differences, trees=False) == (
        "2 of 3 rows differ by more than the tolerance (worst 0.2), 1 labels flip"
    )


def test_a_flip_is_no_fault_where_the_original_hesitates(classifier: Original) -> None:
    found = compare(classifier, scores([0.50002, 0.49998]), scores([0.49999, 0.50001]), ONE_PERCENT)

    assert (found.flips.sum(), found.near_ties.sum()) == (0, 1)
    assert find_problem(found.differences, trees=False) is None


def test_one_column_decides_by_its_sign(classifier: Original) -> None:
    found = compare(
        classifier, scores([0.5], [1e-5], [-2.0]), scores([0.505], [-1e-5], [2.0]), {"scores": Tolerance(atol=9)}
    )

    assert found.flips.tolist() == [False, False, True]
    assert found.near_ties.tolist() == [False, True, False]


def test_labels_must_be_equal(original: MakeOriginal, outputs: Outputs) -> None:
    model = original(None, roles={"label": "label"})
    exact = {"label": Tolerance(exact=True)}

    found = compare(model, outputs(label=["a", "b"]), outputs(label=np.array(["a", "c"], object)), exact)
    assert found.flips.tolist() == [False, True]

    found = compare(model, outputs(label=[0.5, 1.0]), outputs(label=[0, 1]), exact)
    assert found.flips.tolist() == [True, False]


@pytest.mark.parametrize(
    ("expected", "got", "outlier"),
    [
        (np.nan, np.nan, False),
        (np.inf, np.inf, False),
        (np.inf, -np.inf, True),
        (np.nan, 1.0, True),
        (1.0, np.nan, True),
        (1.0, np.inf, True),
        (np.inf, 1e30, True),
    ],
)
def test_what_is_not_finite_must_be_the_same(
    original: MakeOriginal, outputs: Outputs, expected: float, got: float, outlier: bool
) -> None:
    model = original(None, roles={"value": "value"})

    found = compare(model, outputs(value=[[expected]]), outputs(value=[[got]]), {"value": Tolerance(rtol=0.1)})

    assert found.outliers.tolist() == [outlier]


def test_another_shape_is_refused(classifier: Original) -> None:
    with pytest.raises(GraphRefused, match=r"output 'scores' has shape \(1, 3\), the original's has \(1, 2\)"):
        compare(classifier, scores([0.1, 0.9]), scores([0.1, 0.8, 0.1]), ONE_PERCENT)


@pytest.mark.parametrize(("outliers", "agrees"), [(0, True), (2, True), (3, False)])
def test_trees_may_differ_on_one_row_in_a_thousand(
    original: MakeOriginal, outputs: Outputs, outliers: int, agrees: bool
) -> None:
    model = original(None, roles={"value": "value"})
    got = np.zeros((2_000, 1))
    got[:outliers] = 1

    found = compare(model, outputs(value=np.zeros((2_000, 1))), outputs(value=got), {"value": Tolerance(atol=1e-5)})

    assert (find_problem(found.differences, trees=True) is None) == agrees
    assert (find_problem(found.differences, trees=False) is None) == (outliers == 0)


def test_each_output_has_its_tolerance(original: MakeOriginal, outputs: Outputs) -> None:
    answers = outputs(label=[1, 2], scores=np.array([[0.5, 0.5]], np.float32), value=[[100.0], [300.0], [np.inf]])
    model = original(None, roles={"label": "label", "scores": "scores", "value": "value"})

    assert tolerances(model, answers, trees=False) == {
        "label": Tolerance(exact=True),
        "scores": Tolerance(rtol=1e-4, atol=1e-5),
        "value": Tolerance(rtol=1e-4, atol=1e-5 * 200),
    }
    assert tolerances(model, answers, trees=True)["scores"] == Tolerance(atol=1e-5)


def test_a_margin_is_the_distance_of_the_two_best_scores(
    original: MakeOriginal, classifier: Original, outputs: Outputs
) -> None:
    assert margins(classifier, scores([0.3, 0.7], [0.5, 0.5])) == pytest.approx([0.4, 0])
    assert margins(original(None, decides="scores", lowest_wins=True), scores([3, 1, 2])) == pytest.approx([1])
    assert margins(original(None, roles={"value": "value"}), outputs(value=[[0.0]])) is None
