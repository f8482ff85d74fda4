from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.attempts import Conversion

pytestmark = pytest.mark.framework

BINARY, SEVERAL, VALUES = (load(return_X_y=True) for load in (load_breast_cancer, load_wine, load_diabetes))


def differences(conversion: Conversion) -> tuple[int, int]:
    return conversion.parity.data.outliers, conversion.parity.data.flips


@pytest.mark.parametrize(
    "member",
    [None, DecisionTreeClassifier(max_depth=3), RandomForestClassifier(3, max_depth=2), RidgeClassifier()],
    ids=["stumps", "trees", "forests", "without probabilities"],
)
@pytest.mark.parametrize("data", [BINARY, SEVERAL], ids=["two", "three"])
def test_classifiers(agree: Agree, member: Any, data: Any) -> None:
    agree(AdaBoostClassifier(member, n_estimators=3, random_state=0), *data, kind=np.float64)


@pytest.mark.parametrize("data", [BINARY, SEVERAL], ids=["two", "three"])
def test_the_decision_function_is_calibrated(convert: Convert, data: tuple[Array, Array]) -> None:
    rows, labels = data
    model = CalibratedClassifierCV(AdaBoostClassifier(n_estimators=5), cv=2).fit(rows[::2], labels[::2])

    assert differences(convert(model, rows[1::2].astype(np.float32))[1]) == (0, 0)


def test_members_with_one_score_for_two_classes(convert: Convert) -> None:
    rows, labels = BINARY
    rows = rows / rows.max(0)
    model = AdaBoostClassifier(LinearSVC(), n_estimators=3).fit(rows[::2], labels[::2])

    assert differences(convert(model, rows[1::2].astype(np.float32))[1]) == (0, 0)


def test_one_class(convert: Convert) -> None:
    rows = SEVERAL[0]

    assert differences(convert(AdaBoostClassifier().fit(rows, np.full(len(rows), 3)), rows.astype(np.float32))[1]) == (
        0,
        0,
    )


@pytest.mark.parametrize("member", [None, DecisionTreeRegressor(max_depth=2), LinearRegression()], ids=str)
@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
def test_regressors(agree: Agree, member: Any, loss: Any) -> None:
    model = AdaBoostRegressor(member, n_estimators=6, loss=loss, random_state=0)
    for conversion in agree(model, *VALUES, kind=np.float64):
        assert conversion.outputs[0].shape == (-1, 1)


def test_halves_of_the_weights_are_the_lower_value(convert: Convert) -> None:
    model = AdaBoostRegressor(n_estimators=4).fit(*VALUES)
    model.estimator_weights_ = np.full(len(model.estimators_), 0.1)

    assert differences(convert(model, VALUES[0].astype(np.float32))[1]) == (0, 0)
