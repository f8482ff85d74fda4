import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.convert.frameworks.boosting.ensemble import (
    Ensemble,
    Leaf,
    Objective,
    Split,
    Tree,
    check_tree,
    runs,
    split_on_intervals,
    split_on_number,
)

LEAF = Leaf([(0, 1.0)])
VALUE = Objective()


def ensemble(*trees: Tree, objective: Objective = VALUE, targets: int = 1) -> Ensemble:
    return Ensemble(trees, 3, targets, (0.0,) * targets, True, objective)


@given(st.sets(st.integers(0, 100)))
def test_runs_hold_exactly_the_categories(categories: set[int]) -> None:
    found = list(runs(categories))

    assert {one for first, last in found for one in range(first, last + 1)} == categories
    assert all(following > last + 1 for (_, last), (following, _) in pairwise(found))


def test_values_in_an_interval_go_inside() -> None:
    split = split_on_intervals(4, [(1.0, 2.0), (5.0, 9.0)], inside=1, outside=2, missing=2)

    assert split == Split(4, [1.0, 2.0, 5.0, 9.0], [2, 1, 2, 1, 2], 2)


def test_without_intervals_only_missing_values_go_inside() -> None:
    split = split_on_intervals(4, [], inside=1, outside=2, missing=1)

    assert split == Split(4, (-math.inf,), (1, 2), 1)


@pytest.mark.parametrize(
    ("objective", "targets", "answer", "two"),
    [
        (Objective(), 1, ("value", "value"), False),
        (Objective("sigmoid"), 1, ("value", "value"), False),
        (Objective("sigmoid", "classification"), 1, ("probabilities", "scores"), True),
        (Objective("identity", "classification"), 1, ("scores", "scores"), True),
        (Objective("softmax", "classification"), 3, ("probabilities", "scores"), False),
    ],
)
def test_names_the_answer(objective: Objective, targets: int, answer: tuple[str, str], two: bool) -> None:
    model = ensemble((LEAF,), objective=objective, targets=targets)

    assert (model.answer, model.two_columns) == (answer, two)


def test_draws_around_the_bounds_of_each_feature() -> None:
    first: Tree = (split_on_number(0, 10.0, 1, 2, 1), LEAF, LEAF)
    second: Tree = (Split(2, [-1.0, np.inf, 3.0], [1, 2, 1, 2], 1), LEAF, LEAF)

    domain = ensemble(first, second).domain

    assert np.asarray(domain.center).tolist() == [10, 0, 1]
    assert np.asarray(domain.scale).tolist() == [5, 1, 2]


def test_huge_bounds_are_drawn_in_single_precision() -> None:
    domain = ensemble((split_on_number(0, 1e300, 1, 2, 1), LEAF, LEAF)).domain

    assert np.isfinite(np.stack([domain.center, domain.scale])).all()


@pytest.mark.parametrize(
    "tree",
    [
        [split_on_number(0, 1.0, 0, 1, 1), LEAF],
        [split_on_number(0, 1.0, 1, 1, 1), split_on_number(0, 1.0, 0, 2, 2), LEAF],
        [split_on_number(0, 1.0, 1, 2, 1), LEAF],
        [split_on_number(0, 1.0, 1, -1, 1), LEAF],
        [split_on_number(3, 1.0, 1, 2, 1), LEAF, LEAF],
        [split_on_number(-1, 1.0, 1, 2, 1), LEAF, LEAF],
    ],
    ids=["itself", "cycle", "beyond the end", "before the begin", "unknown feature", "negative feature"],
)
def test_what_is_not_a_tree_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match="is not part of a tree"):
        check_tree(tree, 3)


def test_a_tree_is_returned() -> None:
    tree: Tree = (split_on_number(2, 1.0, 2, 1, 1), LEAF, LEAF)

    assert check_tree(tree, 3) == tree
