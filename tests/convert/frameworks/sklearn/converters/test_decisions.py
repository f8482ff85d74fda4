from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert

pytestmark = pytest.mark.framework

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
VECTORS = make_pipeline(StandardScaler(), LinearSVC())


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize(
    "model",
    [
        FixedThresholdClassifier(LOGISTIC),
        FixedThresholdClassifier(LOGISTIC, threshold=0.3, pos_label="no"),
        FixedThresholdClassifier(LOGISTIC, threshold=0.8, response_method="decision_function"),
        FixedThresholdClassifier(LOGISTIC, response_method="decision_function", pos_label="no"),
        FixedThresholdClassifier(VECTORS, threshold=-0.5),
        make_pipeline(StandardScaler(), FixedThresholdClassifier(LogisticRegression(), threshold=0.9)),
        TunedThresholdClassifierCV(LOGISTIC, cv=2),
        TunedThresholdClassifierCV(VECTORS, cv=2, scoring=make_scorer(f1_score, pos_label="no")),
    ],
    ids=["default", "no", "decision", "no decision", "vectors", "in a pipeline", "tuned", "tuned for no"],
)
def test_labels_follow_the_threshold(convert: Convert, model: Any, load: Callable[..., Any]) -> None:
    rows, labels = load(return_X_y=True)
    labels = np.where(labels == 1, "yes", "no")

    original, conversion = convert(model.fit(rows[::2], labels[::2]), rows[1::2])

    assert original.classes == ("no", "yes")
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_accuracy_is_that_of_the_labels(convert: Convert) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    model = FixedThresholdClassifier(LOGISTIC, threshold=0.999).fit(rows, labels)

    original, conversion = convert(model, rows)

    found = original.classify(conversion.expected.outputs)
    assert found is not None
    assert np.array_equal(found, model.predict(rows.astype(np.float32)))
    assert np.sum(found != model.estimator_.predict(rows)) > 0
