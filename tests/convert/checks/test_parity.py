from collections.abc import Callable

import numpy as np
import pytest

from snooze.bundle.contract import MAX_NUMBER, Tolerance
from snooze.bundle.evidence import Differences
from snooze.convert.checks.cases import Case
from snooze.convert.checks.parity import compare, compare_edges, find_problem, margins, spans, tolerances
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


def test_half_precision_may_hesitate_more(original: MakeOriginal) -> None:
    model = original(half=True)

    assert compare(model, scores([0.502, 0.498]), scores([0.499, 0.501]), ONE_PERCENT).near_ties.sum() == 1
    assert tolerances(model, scores([0.5, 0.5]), trees=False) == {"scores": Tolerance(rtol=0.01, atol=0.001)}


def test_probabilities_have_a_range_however_small_they_are(original: MakeOriginal, outputs: Outputs) -> None:
    answers = outputs(y=[[1e-9], [2e-9]])
    model = original(roles={"y": None})

    assert tolerances(model, answers, trees=False)["y"].atol < 1e-9
    model = original(roles={"y": None}, probabilities=frozenset({"y"}))
    assert tolerances(model, answers, trees=False)["y"] == Tolerance(rtol=1e-4, atol=1e-5)


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
    assert found.differences.worst == (MAX_NUMBER if outlier else 0), "a bundle can state no larger one"


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


def test_an_edge_case_of_a_wider_range_has_the_tolerance_of_its_own(original: MakeOriginal, outputs: Outputs) -> None:
    model = original(roles={"y": "value"})
    ordinary = tolerances(model, outputs(y=[[0.0, 0.0], [1.0, 1.0]]), trees=False)
    large, small = outputs(y=[[0.0, 0.0], [1e4, 1e4]]), outputs(y=[[0.0, 0.0], [0.1, 0.1]])

    found = compare_edges(
        model,
        [*large, *small],
        [*outputs(y=[[0.05, 0.0], [1e4, 1e4]]), *outputs(y=[[0.05, 0.0], [0.1, 0.1]])],
        ordinary,
        trees=False,
    )

    assert found.outliers.tolist() == [False, False, True, False]
    assert compare(model, large, outputs(y=[[0.05, 0.0], [1e4, 1e4]]), ordinary).outliers.any()


def test_a_small_column_has_its_own_tolerance(original: MakeOriginal, outputs: Outputs) -> None:
    """It passed as zeros beside one that is 1,000 times larger; and rounding of the large one passes still."""
    model = original(None, roles={"value": "value"})
    generator = np.random.default_rng(0)
    answers = generator.normal(0, [1000.0, 1.0, 900.0], (200, 3))
    expected = outputs(value=answers)

    limits = tolerances(model, expected, trees=False)
    lost = compare(model, expected, outputs(value=answers * [1, 0, 1]), limits)
    rounded = compare(model, expected, outputs(value=answers.astype(np.float32) + np.float32(1e-4)), limits)

    assert lost.outliers.mean() > 0.9
    assert not rounded.outliers.any()


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([[0.0, 0.0], [1000.0, 500.0]], Tolerance(rtol=1e-4, atol=0.01)),
        ([[0.0, 0.0], [1000.0, 5.0]], Tolerance(rtol=1e-4, columns=(0.01, 0.005))),
        ([[0.0, 0.0], [1000.0, 0.01]], Tolerance(rtol=1e-4, columns=(0.01, 0.003))),
        ([[0.0, 7.0], [1000.0, 7.0]], Tolerance(rtol=1e-4, atol=0.01)),
        ([0.0, 1000.0], Tolerance(rtol=1e-4, atol=0.01)),
        ([[np.nan, np.nan], [np.nan, np.inf]], Tolerance(rtol=1e-4, atol=1e-10)),
    ],
)
def test_columns_are_told_apart_where_their_ranges_differ_much(
    original: MakeOriginal, outputs: Outputs, answers: list[object], found: Tolerance
) -> None:
    limits = tolerances(original(None, roles={"value": "value"}), outputs(value=answers), trees=False)["value"]

    assert limits.rtol == found.rtol
    assert [limits.atol, *limits.columns] == pytest.approx([found.atol, *found.columns])


def test_outputs_of_different_widths_have_one_range() -> None:
    cases = [Case({"sound": np.arange(float(size)).reshape(1, size)}, {"sound": 0}) for size in (5, 9)]

    assert spans(cases, "sound").tolist() == [8.0]
    assert spans([Case({"x": np.array([[1.0, 5.0, 2.0]])}, {"x": 1})], "x").tolist() == [4.0], "rows are no columns"


def test_a_margin_is_the_distance_of_the_two_best_scores(
    original: MakeOriginal, classifier: Original, outputs: Outputs
) -> None:
    assert margins(classifier, scores([0.3, 0.7], [0.5, 0.5])) == pytest.approx([0.4, 0])
    assert margins(original(None, decides="scores", lowest_wins=True), scores([3, 1, 2])) == pytest.approx([1])
    assert margins(original(None, roles={"value": "value"}), outputs(value=[[0.0]])) is None
