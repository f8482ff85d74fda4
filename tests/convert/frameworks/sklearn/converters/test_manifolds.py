from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import Isomap, LocallyLinearEmbedding
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, with_awkward_scales

from snooze.convert.errors import ParityRefused, Unsupported

pytestmark = [
    pytest.mark.framework,
    pytest.mark.filterwarnings("ignore:The number of connected components"),
    pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning"),
]
WINE, CANCER = load_wine().data, load_breast_cancer().data[:200]


@pytest.mark.parametrize("settings", [{}, {"n_neighbors": 12, "n_components": 5}, {"p": 1}], ids=str)
def test_isomap(agree: Agree, settings: dict[str, Any]) -> None:
    agree(Isomap(**settings), WINE)


@pytest.mark.parametrize(
    "settings",
    [
        {"metric": "l1"},
        {"metric": "sqeuclidean"},
        {"metric": "cosine"},
        {"metric": "chebyshev"},
        {"p": 3},
        {"n_neighbors": None, "radius": 1500.0},
    ],
    ids=str,
)
def test_neighbours(convert: Convert, settings: dict[str, Any]) -> None:
    model = Isomap(**settings).fit(CANCER[::2])
    assert convert(model, CANCER[1::2])[1].parity.verdict == "agrees"


def test_distances_that_are_given(convert: Convert) -> None:
    model = Isomap(metric="precomputed").fit(pairwise_distances(WINE[::2]))
    _, conversion = convert(model, pairwise_distances(WINE[1::2], WINE[::2]))
    assert conversion.parity.verdict == "agrees"


@pytest.mark.parametrize("method", ["standard", "modified", "ltsa", "hessian"])
def test_locally_linear_embedding(convert: Convert, method: str) -> None:
    for rows in (WINE, load_diabetes().data[:200], with_awkward_scales(WINE)):
        model = LocallyLinearEmbedding(n_neighbors=8, method=method, eigen_solver="dense").fit(rows[::2])
        _, conversion = convert(model, rows[1::2])
        assert (conversion.parity.data.outliers, conversion.parity.verdict) == (0, "agrees")


def test_neighbours_that_a_row_equals(convert: Convert) -> None:
    rows = np.repeat(WINE[:20], 4, axis=0)
    model = LocallyLinearEmbedding(n_neighbors=4, eigen_solver="dense").fit(rows)
    _, conversion = convert(model, rows)
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    "manifold", [Isomap(n_neighbors=8), LocallyLinearEmbedding(n_neighbors=8)], ids=["isomap", "lle"]
)
def test_manifolds_in_front_of_a_classifier(convert: Convert, manifold: Any) -> None:
    rows, labels = load_wine(return_X_y=True)
    model = make_pipeline(manifold, LogisticRegression()).fit(rows[::2], labels[::2])
    assert convert(model, rows[1::2])[1].parity.verdict == "agrees"


def test_other_metrics_are_refused(convert: Convert) -> None:
    with pytest.raises(Unsupported) as caught:
        convert(Isomap(metric="canberra").fit(WINE), WINE)
    assert caught.value.problem.startswith("its converter has no metric 'canberra'")


def test_neighbours_at_equal_distances_are_refused(convert: Convert) -> None:
    """Which of them scikit-learn takes depends on its tree."""
    rows = load_iris().data  # in steps of 0.1
    with pytest.raises(ParityRefused, match="equally far away"):
        convert(Isomap(metric="manhattan").fit(rows[::2]), rows[1::2])
