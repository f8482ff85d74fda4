from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert

pytestmark = pytest.mark.framework

SCALED = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.mark.parametrize(
    ("model", "scores"),
    [
        (ClassifierChain(SCALED), "probabilities"),
        (ClassifierChain(SCALED, order=[2, 0, 1], cv=2), "probabilities"),
        (ClassifierChain(SCALED, order="random", random_state=1, chain_method="predict_proba"), "probabilities"),
        (ClassifierChain(SCALED, chain_method="decision_function"), "probabilities"),
        (ClassifierChain(RandomForestClassifier(3, random_state=0)), "probabilities"),
        (make_pipeline(StandardScaler(), ClassifierChain(LinearSVC(), order=[1, 0, 2])), "scores"),
    ],
    ids=["labels", "order", "probabilities", "decisions", "trees", "without probabilities"],
)
def test_classifier(convert: Convert, model: Any, scores: str) -> None:
    rows, labels = load_wine(return_X_y=True)
    targets = np.c_[rows[:, 0] > 13, rows[:, 1] > 2, labels == 1].astype(int)

    _, conversion = convert(model.fit(rows[::2], targets[::2]), rows[1::2])

    assert {one.name: (one.shape, one.role) for one in conversion.outputs} == {
        "label": ((-1, 3), "label"),
        scores: ((-1, 3), None),
    }
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize(
    "model",
    [RegressorChain(Ridge(), order=[2, 1, 0]), make_pipeline(StandardScaler(), RegressorChain(Ridge(), cv=2))],
    ids=["order", "in a pipeline"],
)
def test_regressor(convert: Convert, model: Any) -> None:
    rows, values = load_diabetes(return_X_y=True)
    targets = np.c_[values, rows[:, 0], rows[:, 1] * 1e3]

    _, conversion = convert(model.fit(rows[::2], targets[::2]), rows[1::2])

    assert [one.shape for one in conversion.outputs] == [(-1, 3)]
    assert conversion.parity.data.outliers == 0
