from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import SparseRandomProjection
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework

TRANSFORMERS = [
    FactorAnalysis(2),
    FactorAnalysis(3, rotation="varimax"),
    FastICA(2, random_state=0),
    FastICA(3, whiten="arbitrary-variance", random_state=0),
    FastICA(whiten=False, random_state=0, max_iter=20),
    SparsePCA(2, max_iter=10),
    SparsePCA(1, max_iter=10),
    MiniBatchSparsePCA(3, max_iter=10, random_state=0),
    SparseRandomProjection(3, random_state=0),
    SparseRandomProjection(4, dense_output=True, random_state=0),
    BernoulliRBM(3, n_iter=2, random_state=0),
]


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_projections(agree: Agree, transformer: Any, load: Any) -> None:
    rows, _ = load(return_X_y=True)

    agree(transformer, rows[:200])


@pytest.mark.parametrize("transformer", TRANSFORMERS[:-1], ids=str)
def test_projection_in_front_of_a_classifier(agree: Agree, transformer: Any) -> None:
    rows, labels = load_wine(return_X_y=True)

    agree(make_pipeline(transformer, LogisticRegression()), rows, labels)


def test_one_column(agree: Agree) -> None:
    rows, _ = load_wine(return_X_y=True)

    agree(FastICA(whiten=False, random_state=0), rows[:, :1])


def test_more_components_than_they_span(agree: Agree) -> None:
    rows, _ = load_wine(return_X_y=True)

    agree(SparsePCA(3, ridge_alpha=0.001, max_iter=10), np.column_stack([rows[:, 0], rows[:, 0], rows[:, 1]]))


def test_centered_before_the_product(agree: Agree) -> None:
    rows, _ = load_wine(return_X_y=True)

    conversions = agree(FactorAnalysis(2), rows[:, :4] + 10_000)

    assert {one.parity.attempt for one in conversions[:2]} == {"single precision"}
