from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    LassoLars,
    LinearRegression,
    LogisticRegression,
    MultiTaskLasso,
    OrthogonalMatchingPursuit,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
    SGDOneClassSVM,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeRegressor
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        LinearRegression(fit_intercept=False),
        Ridge(),
        LassoLars(),
        OrthogonalMatchingPursuit(),
        HuberRegressor(),
        TheilSenRegressor(max_subpopulation=50, random_state=0),
        RANSACRegressor(random_state=0),
        RANSACRegressor(DecisionTreeRegressor(max_depth=3), min_samples=50, random_state=0),
        QuantileRegressor(),
        LinearSVR(),
        SGDRegressor(loss="huber", random_state=0),
        PoissonRegressor(),
        GammaRegressor(),
        TweedieRegressor(power=1.5),
        TweedieRegressor(power=0, link="log"),
    ],
    ids=str,
)
def test_regressors(agree: Agree, estimator: Any) -> None:
    agree(estimator, *load_diabetes(return_X_y=True))


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), Ridge(), LassoLars(), MultiTaskLasso(), RANSACRegressor(random_state=0)], ids=str
)
def test_several_values(agree: Agree, estimator: Any) -> None:
    rows, target = load_diabetes(return_X_y=True)

    conversions = agree(estimator, rows, np.column_stack([target, rows[:, 2] - target / 50]))

    assert conversions[0].outputs[0].shape == (-1, 2)


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LogisticRegression(fit_intercept=False),
        RidgeClassifier(),
        RidgeClassifier(fit_intercept=False),
        RidgeClassifierCV(),
        LinearSVC(),
    ],
    ids=str,
)
def test_classifiers(agree: Agree, estimator: Any, load: Any) -> None:
    agree(estimator, *load(return_X_y=True))


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize(
    "estimator",
    [
        *(
            SGDClassifier(loss=loss, random_state=0)
            for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error")
        ),
        Perceptron(random_state=0),
        SGDClassifier(penalty=None, learning_rate="pa1", eta0=1.0, random_state=0),
    ],
    ids=str,
)
def test_classifiers_that_need_scaled_rows(agree: Agree, estimator: Any, load: Any) -> None:
    rows, labels = load(return_X_y=True)

    agree(make_pipeline(StandardScaler(), estimator), rows, labels)


@pytest.mark.parametrize("estimator", [RidgeClassifier(), RidgeClassifier(fit_intercept=False), RidgeClassifierCV()])
def test_ridge_of_several_targets(agree: Agree, estimator: Any) -> None:
    rows, labels = load_wine(return_X_y=True)

    conversions = agree(estimator, rows, np.column_stack([labels == 0, labels == 1, rows[:, 0] > 13]).astype(int))

    assert [(one.name, one.shape, one.role) for one in conversions[0].outputs] == [
        ("label", (-1, 3), "label"),
        ("scores", (-1, 3), None),
    ]


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_class(agree: Agree, fit_intercept: bool) -> None:
    agree(SGDOneClassSVM(fit_intercept=fit_intercept, random_state=0), load_wine().data)


def test_one_class_score_of_0(converter: Callable[[Framework], Callable[..., tuple[Original, Conversion]]]) -> None:
    rows = load_iris().data - load_iris().data.mean(0)
    model = SGDOneClassSVM(random_state=0).fit(rows)
    model.offset_ = np.zeros(1)

    original, conversion = converter(FRAMEWORK)(model, np.zeros((3, 4), np.float32))

    assert conversion.parity.data.flips == 0
    assert original.run({"features": np.zeros((1, 4))})["label"].tolist() == [[1]]


def test_probabilities_that_are_all_0(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)

    for loss in ("log_loss", "modified_huber"):
        conversions = agree(SGDClassifier(loss=loss, eta0=1e4, learning_rate="constant", random_state=0), rows, labels)

        assert conversions[0].outputs[1].name == "probabilities"
