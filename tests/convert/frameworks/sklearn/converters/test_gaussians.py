from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.covariance import OAS, EllipticEnvelope
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.pipeline import make_pipeline, make_union
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework

LINEAR = [{}, {"solver": "lsqr"}, {"solver": "lsqr", "shrinkage": "auto"}, {"solver": "eigen", "shrinkage": 0.3}]
QUADRATIC = [
    {"reg_param": 0.1},
    {"solver": "eigen", "shrinkage": 0.1},
    {"solver": "eigen", "covariance_estimator": OAS()},
]
KINDS = ["full", "tied", "diag", "spherical"]


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("settings", LINEAR, ids=str)
def test_linear_discriminants(agree: Agree, settings: dict[str, Any], load: Any) -> None:
    conversions = agree(LinearDiscriminantAnalysis(**settings), *load(return_X_y=True))

    assert conversions[0].parity.attempt == "single precision"


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("settings", QUADRATIC, ids=str)
def test_quadratic_discriminants(agree: Agree, settings: dict[str, Any], load: Any) -> None:
    conversions = agree(QuadraticDiscriminantAnalysis(**settings), *load(return_X_y=True))

    assert conversions[0].outputs[0].shape == (-1,)


@pytest.mark.parametrize(
    "estimator", [LinearDiscriminantAnalysis(), QuadraticDiscriminantAnalysis(reg_param=0.1)], ids=str
)
def test_priors(agree: Agree, estimator: Any) -> None:
    agree(estimator.set_params(priors=[0.1, 0.2, 0.7]), *load_iris(return_X_y=True))


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
@pytest.mark.parametrize(
    "estimator", [LinearDiscriminantAnalysis(), QuadraticDiscriminantAnalysis(reg_param=0.1)], ids=str
)
def test_calibration_of_their_scores(agree: Agree, estimator: Any, load: Any) -> None:
    agree(CalibratedClassifierCV(estimator, cv=2), *load(return_X_y=True))


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_mixtures(agree: Agree, estimator: Any, kind: str, load: Any) -> None:
    conversions = agree(estimator(n_components=3, covariance_type=kind, random_state=0), load().data)

    assert [one.shape for one in conversions[0].outputs] == [(-1,), (-1, 3)]
    assert max(one.parity.data.worst for one in conversions) < 6e-5


@pytest.mark.parametrize(
    "settings", [{"weight_concentration_prior_type": "dirichlet_distribution"}, {"n_components": 1}]
)
def test_weights_of_mixtures(agree: Agree, settings: dict[str, Any]) -> None:
    agree(BayesianGaussianMixture(**{"n_components": 4, "random_state": 0, **settings}), load_iris().data)


@pytest.mark.parametrize("settings", [{}, {"store_precision": False}, {"contamination": 0.3}], ids=str)
def test_envelope(agree: Agree, settings: dict[str, Any]) -> None:
    for rows in (load_wine().data, load_breast_cancer().data[:, :10], load_iris().data[:, :1]):
        conversions = agree(EllipticEnvelope(random_state=0, **settings), rows)

        assert [one.shape for one in conversions[0].outputs] == [(-1, 1), (-1, 1)]


def test_envelope_of_a_column_that_never_changes(agree: Agree) -> None:
    rows = load_wine().data[:, :3]

    agree(EllipticEnvelope(random_state=0), np.column_stack([rows, np.full(len(rows), 5.0)]))


@pytest.mark.parametrize("settings", [{}, {"n_components": 1}, {"solver": "eigen", "shrinkage": 0.1}], ids=str)
def test_linear_discriminants_in_front_of_a_classifier(agree: Agree, settings: dict[str, Any]) -> None:
    for first in (LinearDiscriminantAnalysis(**settings), make_union(PCA(2), LinearDiscriminantAnalysis(**settings))):
        agree(make_pipeline(first, LogisticRegression()), *load_wine(return_X_y=True))
