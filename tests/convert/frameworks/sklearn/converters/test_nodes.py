from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.convert.frameworks.sklearn.converters.conftest import Run

pytestmark = pytest.mark.framework

Array = NDArray[Any]
ROWS = np.array([[0.5, -1.5, 2.0], [3.0, 2.0, 2.0], [-4.25, 0.0, 1.0], [1.0, 1.0, 1.0]])
PRECISIONS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x + 1.5,
        lambda x: 1.5 + x,
        lambda x: x - [1.0, 2.0, 3.0],
        lambda x: np.array([1.0, 2.0, 3.0]) - x,
        lambda x: x * x,
        lambda x: 2 * x,
        lambda x: x / 4,
        lambda x: 1 / (x + 10),
        lambda x: (x + 10) ** 0.5,
        lambda x: x @ np.arange(6.0).reshape(3, 2),
        lambda x: np.arange(16.0).reshape(4, 4) @ x,
        lambda x: -x,
        lambda x: x < 1,
        lambda x: x <= 1.0,
        lambda x: x > np.array([1.0, 2.0, 3.0]),
        lambda x: x >= 1.0,
        lambda x: (x > 0) & (x < 2),
        lambda x: (x > 2) | ~(x > 0),
        lambda x: x.sum(1),
        lambda x: x.argmax(1),
        lambda x: x.argmin(1),
        lambda x: x.take([2, 0], axis=1),
        lambda x: x.take(1, axis=0),
        lambda x: x.reshape(2, -1),
        lambda x: x.transpose(1, 0),
    ],
    ids=range(25),
)
@PRECISIONS
def test_operators_are_those_of_numpy(run: Run, formula: Any, dtype: Any) -> None:
    expected = np.asarray(formula(ROWS))
    found = run(lambda nodes: formula(nodes.given()), ROWS.astype(dtype))

    assert found.dtype == dtype
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-6)


@PRECISIONS
def test_choices_and_equality(run: Run, dtype: Any) -> None:
    found = run(lambda nodes: nodes.where(nodes.given().equals(2.0), nodes.given(), -7.0), ROWS.astype(dtype))

    np.testing.assert_array_equal(found, np.where(ROWS == 2, ROWS, -7))


def test_integers_and_floats_are_one_matrix_or_columns(run: Run) -> None:
    inputs = ROWS.astype(np.float32), np.arange(4).reshape(-1, 1)
    expected = np.hstack(inputs)

    joined = run(lambda nodes: nodes.given(), *inputs)
    columns = run(lambda nodes: nodes.join([one.cast(nodes.dtype) for one in nodes.columns()]), *inputs)

    np.testing.assert_array_equal(joined, expected)
    np.testing.assert_array_equal(columns, expected)


@PRECISIONS
def test_another_model_in_the_graph(run: Run, dtype: Any) -> None:
    """Twice, so that names must not collide, and on rows that were changed before."""
    labels = [0, 1, 0, 1]
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(ROWS, labels)

    found = run(lambda nodes: nodes.apply(model, nodes.given())[1] - nodes.apply(model, nodes.given() * 2.0)[1],
                ROWS.astype(dtype))  # fmt: skip

    assert found.dtype == dtype
    np.testing.assert_allclose(found, model.predict_proba(ROWS) - model.predict_proba(ROWS * 2), atol=1e-6)
