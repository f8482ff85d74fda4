from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
SELECTORS = [
    VarianceThreshold(0.01),
    SelectKBest(k=3),
    SelectPercentile(percentile=60),
    SelectFpr(),
    SelectFdr(),
    SelectFwe(),
    GenericUnivariateSelect(mode="k_best", param=2),
    SelectFromModel(TREE, max_features=2, threshold=-np.inf),
    SequentialFeatureSelector(GaussianNB(), n_features_to_select=2, cv=2),
]


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_selectors(agree: Agree, load: Any, selector: Any) -> None:
    conversions = agree(selector, *load(return_X_y=True))

    assert all(one.parity.data.worst < 1e-5 for one in conversions)


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda one: type(one).__name__)
def test_in_front_of_a_classifier_in_double_precision(converter: Converter, selector: Any) -> None:
    rows, labels = load_wine(return_X_y=True)
    model = make_pipeline(selector, GaussianNB()).fit(rows[::2], labels[::2])

    _, conversion = converter(DoublePrecision())(model, rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    "model",
    [
        RFE(TREE, n_features_to_select=3),
        RFECV(TREE, cv=2),
        RFE(LinearSVC(dual=True, random_state=0), n_features_to_select=3),
        make_pipeline(StandardScaler(), RFE(LogisticRegression(), n_features_to_select=2)),
        make_pipeline(RFE(TREE, n_features_to_select=3), LogisticRegression(max_iter=50)),
    ],
    ids=["tree", "cv", "svm", "last step", "first step"],
)
def test_classifiers_on_selected_columns(agree: Agree, model: Any) -> None:
    agree(model, *load_wine(return_X_y=True))


@pytest.mark.parametrize(
    "model",
    [
        RFE(Ridge(), n_features_to_select=3),
        RFECV(LinearRegression(), cv=2),
        GridSearchCV(RFE(Ridge()), {"n_features_to_select": [2, 3]}, cv=2),
    ],
    ids=["rfe", "cv", "search"],
)
def test_regressors_on_selected_columns(agree: Agree, model: Any) -> None:
    conversions = agree(model, *load_diabetes(return_X_y=True))

    assert [(one.name, one.shape) for one in conversions[0].outputs] == [("value", (-1, 1))]


def test_refuses_nothing_when_all_columns_are_kept(converter: Converter) -> None:
    rows, labels = load_iris(return_X_y=True)

    _, conversion = converter(FRAMEWORK)(SelectKBest(k="all").fit(rows, labels), rows.astype(np.float32))

    assert conversion.parity.data.worst == 0
