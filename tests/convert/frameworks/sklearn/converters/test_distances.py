from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.neighbors import KNeighborsRegressor, KNeighborsTransformer, RadiusNeighborsTransformer
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.errors import Unsupported

pytestmark = pytest.mark.framework

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> Array:
    """Rows of positive and negative numbers, which have no ties."""
    return np.random.default_rng(0).normal(size=(60, 6)) * np.arange(1, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"metric": "manhattan"},
        {"metric": "chebyshev"},
        {"metric": "infinity"},
        {"metric": "minkowski", "p": 1.5},
        {"metric": "minkowski", "p": 3, "metric_params": {"w": np.arange(1.0, 7)}},
        {"metric": "minkowski", "p": 1, "metric_params": {"w": np.arange(1.0, 7)}},
        {"metric": "sqeuclidean", "algorithm": "brute"},
        {"metric": "l2"},
        {"metric": "seuclidean", "metric_params": {"V": np.arange(1.0, 7)}},
        {"metric": "mahalanobis", "metric_params": {"V": np.diag(np.arange(1.0, 7)) + 0.3}},
        {"metric": "mahalanobis", "metric_params": {"VI": np.diag(np.arange(1.0, 7)) + 0.3}, "algorithm": "brute"},
        {"metric": "cosine"},
        {"metric": "correlation"},
        {"metric": "canberra"},
        {"metric": "braycurtis", "algorithm": "brute"},
        {"metric": "braycurtis", "algorithm": "ball_tree"},
        {"metric": "hamming"},
        {"metric": "nan_euclidean"},
    ],
    ids=str,
)
def test_metrics_of_numbers(agree: Agree, rows: Array, settings: Settings) -> None:
    agree(RadiusNeighborsTransformer(radius=np.finfo(np.float32).max, **settings), rows)


@pytest.mark.parametrize("algorithm", ["brute", "ball_tree"])
@pytest.mark.parametrize(
    "metric", ["jaccard", "dice", "russellrao", "rogerstanimoto", "sokalmichener", "sokalsneath", "yule", "haversine"]
)
def test_metrics_of_truths_and_places(convert: Convert, metric: str, algorithm: str) -> None:
    if (metric, algorithm) in {("sokalmichener", "brute"), ("yule", "ball_tree")}:
        pytest.skip("scikit-learn has no such pair")
    generator = np.random.default_rng(0)
    given = generator.uniform(-1, 1, (60, 2)) if metric == "haversine" else generator.integers(0, 2, (60, 9))
    model = RadiusNeighborsTransformer(radius=1.5, metric=metric, algorithm=algorithm).fit(given[::2].astype(float))
    _, conversion = convert(model, given[1::2].astype(np.float32))
    assert conversion.parity.data.rows == 30


def test_distances_that_are_given(convert: Convert, rows: Array) -> None:
    distances = np.linalg.norm(rows[:, None] - rows[None, ::2], axis=2)
    model = RadiusNeighborsTransformer(radius=8, metric="precomputed").fit(distances[::2])
    _, conversion = convert(model, distances[1::2].astype(np.float32))
    assert conversion.parity.data.rows == 30


def test_neighbours_of_columns_far_from_zero_need_no_double_precision(agree: Agree) -> None:
    rows, _ = load_wine(return_X_y=True)
    found = agree(KNeighborsTransformer(mode="connectivity"), rows)
    assert [one.parity.attempt for one in found] == ["single precision"] * 3


def test_a_metric_that_is_a_function_is_refused(agree: Agree, rows: Array) -> None:
    with pytest.raises(Unsupported) as caught:
        agree(KNeighborsRegressor(metric=lambda one, other: abs(one - other).sum()), rows, rows[:, 0])
    assert caught.value.model == "KNeighborsRegressor"
    assert caught.value.problem.startswith("a graph cannot run metric=<a function>")
