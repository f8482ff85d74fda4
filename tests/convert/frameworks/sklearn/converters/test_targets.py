from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import with_awkward_scales

pytestmark = pytest.mark.framework


@pytest.fixture(scope="module")
def iris() -> tuple[NDArray[Any], NDArray[Any]]:
    rows, labels = load_iris(return_X_y=True)
    return with_awkward_scales(rows), np.c_[labels, rows[:, 0] > 5].astype(int)


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
@pytest.mark.parametrize(
    ("model", "widths"),
    [
        (MultiOutputClassifier(make_pipeline(StandardScaler(), LogisticRegression())), [(-1, 3), (-1, 2)]),
        (make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())), [(-1, 3), (-1, 2)]),
        (MultiOutputClassifier(RandomForestClassifier(3, random_state=0)), [(-1, 3), (-1, 2)]),
        (MultiOutputClassifier(make_pipeline(StandardScaler(), LinearSVC())), []),
    ],
    ids=["pipelines", "in a pipeline", "trees", "without probabilities"],
)
def test_classifier(convert: Convert, iris: Any, model: Any, widths: list[Any], texts: bool) -> None:
    rows, targets = iris
    targets = targets.astype(str) if texts else targets

    _, conversion = convert(model.fit(rows[::2], targets[::2]), rows[1::2])

    assert [one.shape for one in conversion.outputs] == [(-1, 2), *widths]
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_classifier_of_one_target(convert: Convert, iris: Any) -> None:
    rows, targets = iris
    model = MultiOutputClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(rows, targets[:, :1])

    _, conversion = convert(model, rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 1), (-1, 3)]


def test_classifier_of_a_dataframe(convert: Convert, people: Any) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer((OneHotEncoder(), ["note"]), (StandardScaler(), ["age"]))
    model = MultiOutputClassifier(make_pipeline(columns, LogisticRegression()))
    model.fit(people, people[["works", "id"]].assign(id=people["age"] > 50).astype(str).to_numpy(object))

    _, conversion = convert(model, people)

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize(
    "model",
    [
        MultiOutputRegressor(make_pipeline(StandardScaler(), Ridge())),
        make_pipeline(StandardScaler(), MultiOutputRegressor(GradientBoostingRegressor(n_estimators=3))),
    ],
    ids=["pipelines", "in a pipeline"],
)  # fmt: skip
def test_regressor(convert: Convert, model: Any) -> None:
    rows, values = load_diabetes(return_X_y=True)
    targets = np.c_[values, rows[:, 0] * 1e4, rows[:, 1]]

    _, conversion = convert(model.fit(rows[::2], targets[::2]), rows[1::2])

    assert [one.shape for one in conversion.outputs] == [(-1, 3)]
    assert conversion.parity.data.outliers == 0
