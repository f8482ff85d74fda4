from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.converters import responses
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework
Convert = Callable[..., tuple[Original, Conversion]]
METHODS = ("sigmoid", "isotonic", "temperature")
rows, targets = load_diabetes(return_X_y=True)
DIABETES = rows[:, 2:3], targets
TWO = tuple(array[::3] for array in load_breast_cancer(return_X_y=True))


@pytest.mark.parametrize("bounds", ["nan", "clip", "raise"])
@pytest.mark.parametrize("increasing", [True, False, "auto"])
def test_isotonic_regression(converter: Callable[[Framework], Convert], bounds: str, increasing: bool | str) -> None:
    rows, targets = DIABETES
    model = IsotonicRegression(out_of_bounds=bounds, increasing=increasing).fit(rows, targets)
    _, conversion = converter(FRAMEWORK)(model, rows)
    assert conversion.parity.verdict == "agrees"
    assert conversion.inputs[0].shape == (-1, 1)


def test_isotonic_regression_of_a_single_number(converter: Callable[[Framework], Convert]) -> None:
    model = IsotonicRegression().fit([1.0, 1.0], [2.0, 4.0])
    _, conversion = converter(FRAMEWORK)(model, np.array([[1.0], [5.0]]))
    assert conversion.parity.data.worst == 0


def test_isotonic_regression_behind_a_scaler(agree: Agree) -> None:
    agree(IsotonicRegression(out_of_bounds="clip"), *DIABETES)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "estimator",
    [
        LinearSVC(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(3, max_depth=3, random_state=0),
    ],
    ids=["LinearSVC", "Pipeline", "RandomForestClassifier"],
)
def test_calibration(agree: Agree, method: str, estimator: Any) -> None:
    for data in (TWO, load_wine(return_X_y=True)):
        agree(CalibratedClassifierCV(estimator, method=method, cv=2), *data)


@pytest.mark.parametrize("estimator", [SVC(), GaussianNB()], ids=["SVC", "GaussianNB"])
def test_jumps_agree_in_double_precision(converter: Callable[[Framework], Convert], estimator: Any) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    model = CalibratedClassifierCV(estimator, method="isotonic", cv=3).fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


def test_scores_of_a_forest_are_those_of_its_calibration(converter: Callable[[Framework], Convert]) -> None:
    """A score that rounding moved beyond its threshold would have a probability of one instead of a third."""
    rows, labels = load_wine(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0)
    model = CalibratedClassifierCV(forest, method="isotonic", cv=3).fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.edges is not None
    assert conversion.parity.edges.outliers == 0


def test_classes_that_a_part_has_not_seen(converter: Callable[[Framework], Convert]) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(rows[::2], labels[::2])
    part = model.calibrated_classifiers_[0]
    part.estimator = LogisticRegression().fit(rows[50:], labels[50:])  # of the last two classes
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.outliers == 0


def test_scores_that_are_log_odds(converter: Callable[[Framework], Convert]) -> None:
    rows, labels = load_iris(return_X_y=True)
    two = labels > 0
    model = CalibratedClassifierCV(QuadraticDiscriminantAnalysis(), cv=2).fit(rows[two], labels[two])
    _, conversion = converter(FRAMEWORK)(model, rows[two])
    assert conversion.parity.verdict == "agrees"


def test_scores_that_a_converter_does_not_give_are_refused(
    converter: Callable[[Framework], Convert], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours give them; a converter that somebody else registered may not."""
    monkeypatch.setattr(responses, "has_raw_scores", lambda estimator: False)
    rows, labels = load_iris(return_X_y=True)
    model = CalibratedClassifierCV(NearestCentroid(), cv=2).fit(rows, labels)
    with pytest.raises(Unsupported) as caught:
        converter(FRAMEWORK)(model, rows)
    assert caught.value.problem.startswith("its NearestCentroid is converted to probabilities")


def test_columns_and_texts(converter: Callable[[Framework], Convert], people: Any) -> None:
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age"]))
    for first, rows in ((TfidfVectorizer(), people["note"]), (columns, people)):
        model = CalibratedClassifierCV(make_pipeline(first, LogisticRegression()), cv=2).fit(rows, people["works"])
        _, conversion = converter(FRAMEWORK)(model, {"text": rows} if rows.ndim == 1 else rows)
        assert conversion.parity.verdict == "agrees"
