from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from snooze.convert.checks.boundaries import Boundaries, find_boundaries
from snooze.convert.frameworks.interface import Feature, Original

MakeOriginal = Callable[..., Original]


def trees(*splits: tuple[int, float]) -> Any:
    """Return a graph of a scaler and trees with the splits (feature, threshold)."""
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["scaled"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_modes=["BRANCH_LEQ" for _ in splits],
        nodes_featureids=[feature for feature, _ in splits],
        nodes_values=[threshold for _, threshold in splits],
    )
    value = helper.make_tensor_value_info("features", 1, [None, 2])
    return helper.make_model(
        helper.make_graph([helper.make_node("Cast", ["features"], ["scaled"], to=1), tree], "test", [value], [])
    )


def only(boundaries: Boundaries) -> tuple[Any, Any]:
    (on,), (between,) = (values.values() for values in boundaries)
    return on, between


def test_maps_thresholds_back_through_the_scaler(original: MakeOriginal) -> None:
    model = original(features=(None, Feature("age", 3, center=40.0, scale=8.0)))

    found = find_boundaries(trees((0, 1.0), (1, -0.5), (1, 0.25), (7, 1.0)), model)

    assert list(found.on) == list(found.between) == [("age", 3)], "of features that are not known there are none"
    on, between = only(found)
    assert {36.0, 42.0, float(np.nextafter(np.float32(36), np.float32(99)))} <= set(on.tolist())
    np.testing.assert_allclose(between, [35.7, 39, 42.3], rtol=1e-6)


def test_there_are_gaps_beside_a_single_large_threshold(original: MakeOriginal) -> None:
    _, between = only(find_boundaries(trees((0, 1e6)), original(features=(Feature("x", 0),))))

    assert between[0] < 1e6 < between[-1]


def test_rounds_to_what_people_measure(original: MakeOriginal) -> None:
    on, _ = only(find_boundaries(trees((0, 0.27)), original(features=(Feature("x", 0, 0.0, 10.0),))))

    assert {2.7, 2.5, 3.0} <= set(on.tolist())


@pytest.mark.parametrize(("threshold", "on"), [(0.2, [2.0]), (0.25, [])])
def test_only_integers_decide_for_trees_in_double_precision(
    original: MakeOriginal, threshold: float, on: list[float]
) -> None:
    model = original(features=(Feature("x", 0, 0.0, 10.0, single=False),))

    found = find_boundaries(trees((0, threshold)), model)

    assert [values.tolist() for values in found.on.values()] == ([on] if on else [])


def test_thresholds_of_trees_without_a_scaler_are_exact(original: MakeOriginal) -> None:
    on, between = only(find_boundaries(trees((1, 2.5), (1, 0.1)), original()))

    assert on.tolist() == [2.5]
    np.testing.assert_allclose(between, [-0.02, 1.3, 2.62], rtol=1e-6)


@pytest.mark.parametrize("threshold", [np.inf, -np.inf])
def test_infinite_thresholds_have_no_values_beside_them(original: MakeOriginal, threshold: float) -> None:
    """They tell missing values from others."""
    assert find_boundaries(trees((1, threshold)), original()) == ({}, {})
