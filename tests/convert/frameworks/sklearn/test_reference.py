from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.impute import KNNImputer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.frameworks.sklearn.reference import REFERENCE, make_reference

pytestmark = pytest.mark.framework

Array = NDArray[Any]


@pytest.fixture(scope="module")
def rows() -> Array:
    """Rows of small integers, many of which are equally far away."""
    return np.random.default_rng(0).integers(0, 6, (200, 4)).astype(float)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_the_first_of_equally_near_neighbours(rows: Array, algorithm: str, weights: str) -> None:
    model = KNeighborsRegressor(4, algorithm=algorithm, weights=weights).fit(rows[::2], np.arange(100))
    distances = np.linalg.norm(rows[1::2, None] - rows[None, ::2], axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :4]

    settled = make_reference(model)

    assert (settled.kneighbors(rows[1::2], return_distance=False) == nearest).all()
    if weights == "uniform":
        assert np.allclose(settled.predict(rows[1::2]), nearest.mean(1))
    assert not np.allclose(settled.predict(rows[1::2]), model.predict(rows[1::2]))


def test_more_neighbours_are_equally_near_than_are_looked_at_first() -> None:
    model = KNeighborsRegressor(2, algorithm="kd_tree").fit(np.zeros((100, 1)), np.arange(100))
    assert make_reference(model).predict([[1]]) == [0.5]


@pytest.mark.parametrize("algorithm", ["brute", "ball_tree"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev", "hamming"])
def test_graphs_take_the_first_too(convert: Convert, rows: Array, metric: str, algorithm: str) -> None:
    model = KNeighborsClassifier(metric=metric, algorithm=algorithm).fit(rows[::2], np.arange(100) % 3)

    _, conversion = convert(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.near_ties) == (0, 0)
    assert conversion.parity.reference == REFERENCE


@pytest.mark.parametrize(
    "model", [KNeighborsTransformer(mode="connectivity"), make_pipeline(KNeighborsTransformer(), Ridge())]
)
def test_neighbours_inside_a_model(convert: Convert, rows: Array, model: Any) -> None:
    _, conversion = convert(model.fit(rows[::2], np.arange(100)), rows[1::2].astype(np.float32))
    assert conversion.parity.data.outliers == 0


def test_imputed_values(convert: Convert, rows: Array) -> None:
    rows = np.where(np.random.default_rng(0).random(rows.shape) < 0.15, np.nan, rows)
    model = KNNImputer().fit(rows[::2])

    _, conversion = convert(model, rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0
    settled = make_reference(model).transform(rows[1::2])
    assert (settled != model.transform(rows[1::2])).any(1).sum() > 5


def test_other_models_are_left_as_they_are(rows: Array) -> None:
    model = Ridge().fit(rows, rows[:, 0])
    assert make_reference(model) is model
