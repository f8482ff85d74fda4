from collections.abc import Callable
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier, VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree

pytestmark = pytest.mark.framework

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
TREES = RandomForestClassifier(3, random_state=0)
VECTORS = make_pipeline(StandardScaler(), SVC())
REGRESSORS = [("a", Ridge()), ("b", make_pipeline(StandardScaler(), SVR()))]


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize(
    "model",
    [
        VotingClassifier([("a", LOGISTIC), ("b", TREES)], voting="soft"),
        VotingClassifier([("a", LOGISTIC), ("b", TREES), ("c", "drop")], voting="soft", weights=[1, 3, 5]),
        VotingClassifier([("a", LOGISTIC), ("b", TREES), ("c", VECTORS)]),
        # In single precision, the weights of the first two would be those of the last.
        VotingClassifier([("a", LOGISTIC), ("b", TREES), ("c", VECTORS)], weights=[0.1, 0.2, 0.3]),
    ],
    ids=["soft", "soft with weights", "hard", "hard with weights"],
)
def test_classifier(agree: Agree, model: Any, load: Callable[..., Any]) -> None:
    agree(model, *load(return_X_y=True))


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_classifier_in_front_of_another(convert: Convert, voting: str) -> None:
    rows, labels = load_wine(return_X_y=True)
    votes = VotingClassifier([("a", LOGISTIC), ("b", TREES)], voting=voting)
    model = make_pipeline(votes, LogisticRegression()).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("weights", [None, [1, 2]])
def test_regressor(agree: Agree, weights: list[int] | None) -> None:
    agree(VotingRegressor(REGRESSORS, weights=weights), *load_diabetes(return_X_y=True))


def test_regressor_in_front_of_another(convert: Convert) -> None:
    rows, values = load_diabetes(return_X_y=True)

    _, conversion = convert(make_pipeline(VotingRegressor(REGRESSORS), Ridge()).fit(rows[::2], values[::2]), rows[1::2])

    assert conversion.parity.data.outliers == 0
