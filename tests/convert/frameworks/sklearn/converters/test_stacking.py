from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, StackingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR, LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
TREES = RandomForestClassifier(3, random_state=0)
VECTORS = make_pipeline(StandardScaler(), LinearSVC())
REGRESSORS = [("a", Ridge()), ("b", make_pipeline(StandardScaler(), SVR()))]


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize(
    "model",
    [
        StackingClassifier([("a", LOGISTIC), ("b", TREES), ("c", VECTORS), ("d", "drop")], cv=2),
        StackingClassifier([("a", LOGISTIC), ("b", TREES)], LOGISTIC, stack_method="predict", cv=2),
        StackingClassifier([("a", LOGISTIC), ("b", VECTORS)], stack_method="decision_function", cv=2),
    ],
    ids=["auto", "labels", "decisions"],
)
def test_classifier(agree: Agree, model: Any, load: Callable[..., Any]) -> None:
    agree(model, *load(return_X_y=True))


@pytest.mark.parametrize("final", [LOGISTIC, VECTORS, TREES], ids=["probabilities", "scores", "trees"])
def test_last_estimator_reads_the_inputs_too(convert: Convert, final: Any) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    model = StackingClassifier([("a", LOGISTIC)], final, passthrough=True, cv=2).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_classifier_of_several_targets(convert: Convert) -> None:
    rows, labels = load_wine(return_X_y=True)
    targets = np.c_[rows[:, 0] > 13, labels == 1].astype(int)
    model = StackingClassifier([("a", TREES)], TREES, cv=2).fit(rows[::2], targets[::2])

    _, conversion = convert(model, rows[1::2])

    assert {one.name: one.shape for one in conversion.outputs} == {"label": (-1, 2), "probabilities": (-1, 2)}
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_classifier_of_pipelines_that_read_a_dataframe(convert: Convert, people: Any) -> None:
    first, second = (
        make_column_transformer((OneHotEncoder(), [text, "grade"]), (StandardScaler(), ["age"]))
        for text in ("city", "note")
    )
    pipelines = [("a", make_pipeline(first, LogisticRegression())), ("b", make_pipeline(second, LinearSVC()))]

    _, conversion = convert(StackingClassifier(pipelines, cv=2).fit(people, people["works"]), people)

    assert [one.name for one in conversion.inputs] == ["age", "city", "grade", "note"]
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_classifier_of_pipelines_that_read_texts(convert: Convert, people: Any) -> None:
    pipelines = [
        ("a", make_pipeline(TfidfVectorizer(), LogisticRegression())),
        ("b", make_pipeline(CountVectorizer(analyzer="char"), LinearSVC())),
    ]
    texts = list(people["note"])

    _, conversion = convert(StackingClassifier(pipelines, cv=2).fit(texts, people["works"]), texts)

    assert [one.name for one in conversion.inputs] == ["text"]
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("passthrough", [False, True])
def test_regressor(agree: Agree, passthrough: bool) -> None:
    agree(StackingRegressor(REGRESSORS, Ridge(), passthrough=passthrough, cv=2), *load_diabetes(return_X_y=True))


def test_in_front_of_another(convert: Convert) -> None:
    rows, values = load_diabetes(return_X_y=True)
    classes = values > 140
    regressor = make_pipeline(StackingRegressor(REGRESSORS, cv=2), Ridge()).fit(rows[::2], values[::2])
    classifier = make_pipeline(StackingClassifier([("a", LOGISTIC)], cv=2), LOGISTIC).fit(rows[::2], classes[::2])

    for model in (regressor, classifier):
        assert convert(model, rows[1::2])[1].parity.data.outliers == 0
