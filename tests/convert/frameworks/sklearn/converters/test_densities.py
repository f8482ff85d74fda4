from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from tests.convert.frameworks.sklearn.converters.conftest import with_awkward_scales
from tests.convert.frameworks.sklearn.converters.test_support_vectors import Convert

from snooze.convert.errors import ParityRefused, Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

SETTINGS: list[dict[str, Any]] = [
    {},
    {"contamination": 0.1, "n_neighbors": 5},
    {"algorithm": "brute", "metric": "sqeuclidean"},
    {"metric": "manhattan"},
    {"p": 3},
    {"metric": "cosine"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_scores_and_labels(converter: Convert, settings: dict[str, Any]) -> None:
    for rows in (load_wine().data, load_breast_cancer().data[:300]):
        model = LocalOutlierFactor(novelty=True, **settings).fit(rows[::2])
        _, conversion = converter(FRAMEWORK)(model, rows[1::2])
        assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_columns_of_different_scales(converter: Convert) -> None:
    rows = with_awkward_scales(load_breast_cancer().data[:200])
    for model in (LocalOutlierFactor(novelty=True), make_pipeline(MinMaxScaler(), LocalOutlierFactor(novelty=True))):
        _, conversion = converter(FRAMEWORK)(model.fit(rows[::2]), rows[1::2])
        assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_distances_that_the_rows_contain(converter: Convert) -> None:
    rows = load_wine().data
    model = LocalOutlierFactor(novelty=True, metric="precomputed").fit(pairwise_distances(rows[::2]))
    _, conversion = converter(FRAMEWORK)(model, pairwise_distances(rows[1::2], rows[::2]))
    assert conversion.parity.data.outliers == 0


def test_more_copies_of_rows_than_neighbours(converter: Convert) -> None:
    rows = load_wine().data
    model = LocalOutlierFactor(novelty=True).fit(np.repeat(rows[:60:2], 30, axis=0))
    assert model._lrd.max() == pytest.approx(1e10)
    _, conversion = converter(FRAMEWORK)(model, rows[1:60:2])
    assert conversion.parity.data.outliers == 0


def test_neighbours_that_are_equally_far_away(converter: Convert) -> None:
    rows = load_iris().data
    model = LocalOutlierFactor(novelty=True, metric="chebyshev").fit(rows[::2])
    with pytest.raises(ParityRefused, match="rounding decides which rows are the nearest"):
        converter(FRAMEWORK)(model, rows[1::2].astype(np.float32))


def test_a_function_as_metric(converter: Convert) -> None:
    rows = load_wine().data
    model = LocalOutlierFactor(novelty=True, metric=lambda a, b: float(np.abs(a - b).sum())).fit(rows[::4])
    with pytest.raises(Unsupported, match="cannot run metric=<a function>"):
        converter(FRAMEWORK)(model, rows[1::4])
