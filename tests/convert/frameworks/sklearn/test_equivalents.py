from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.columns import find_layout
from snooze.convert.frameworks.sklearn.equivalents import rewrite

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]
LOGISTIC = LogisticRegression()
CLUSTERS = KMeans(4, n_init=1)
VALUES = {"C": [1.0, 2.0]}


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(make_pipeline(StandardScaler(), GridSearchCV(LOGISTIC, VALUES, cv=2)), {}, cv=2),
        RandomizedSearchCV(LOGISTIC, VALUES, cv=2, n_iter=2),
        HalvingGridSearchCV(LOGISTIC, VALUES, cv=2),
        VotingClassifier([("a", GridSearchCV(LOGISTIC, VALUES, cv=2)), ("b", LOGISTIC)], voting="soft"),
        RFE(LOGISTIC),
        make_pipeline(
            StandardScaler(), RFE(GridSearchCV(LOGISTIC, VALUES, cv=2), importance_getter="best_estimator_.coef_")
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_answers_as_the_estimator_inside(convert: Convert, wine: Data, model: Any) -> None:
    rows, labels = wine

    _, conversion = convert(model.fit(rows[::2], labels[::2]), rows[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize(
    "steps",
    [
        [CLUSTERS],
        [make_union(CLUSTERS, StandardScaler())],
        [make_column_transformer((make_pipeline(StandardScaler(), CLUSTERS), [0, 1]), remainder="passthrough")],
        [RFE(LOGISTIC)],
        [SelectFromModel(LOGISTIC)],
        [StandardScaler(), make_pipeline(CLUSTERS, StandardScaler())],
    ],
    ids=["clusters", "union", "columns", "elimination", "selection", "pipeline"],
)  # fmt: skip
def test_a_step_is_asked_for_its_transform(convert: Convert, wine: Data, steps: list[Any]) -> None:
    rows, labels = wine
    model = make_pipeline(*steps, LOGISTIC).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


def test_self_training(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    known = np.where(np.arange(len(labels)) % 3, labels, -1)
    model = SelfTrainingClassifier(make_pipeline(StandardScaler(), LOGISTIC)).fit(rows, known)

    original, conversion = convert(model, rows)

    assert conversion.parity.data.flips == 0
    assert original.classes == (0, 1, 2)


def test_metadata_that_steps_transformed_in_training(convert: Convert, wine: Data) -> None:
    with config_context(enable_metadata_routing=True):
        model = Pipeline([("scale", StandardScaler()), ("fit", LOGISTIC)], transform_input=["rows"]).fit(*wine)

    assert convert(model, wine[0])[1].parity.data.flips == 0


def test_frozen_steps(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    scaler = FrozenEstimator(StandardScaler().fit(rows))
    model = FrozenEstimator(make_pipeline(scaler, LOGISTIC).fit(rows, labels))

    _, conversion = convert(model, rows)

    assert conversion.parity.data.flips == 0
    assert isinstance(scaler, FrozenEstimator)


def test_an_estimator_predicts_where_it_is_last_and_transforms_elsewhere(wine: Data) -> None:
    rows, labels = wine
    model = Pipeline([("first", LinearDiscriminantAnalysis()), ("last", LinearDiscriminantAnalysis())])
    model.fit(rows, labels)

    rewritten = rewrite(model, find_layout(model))

    assert [type(step).__name__ for _, step in rewritten.steps] == ["Step", "LinearDiscriminantAnalysis"]


def test_the_model_of_the_user_is_not_changed(wine: Data) -> None:
    rows, labels = wine
    model = make_pipeline("passthrough", GridSearchCV(LOGISTIC, VALUES, cv=2)).fit(rows, labels)

    rewrite(model, find_layout(model))

    assert model.steps[0][1] == "passthrough"
    assert isinstance(model.steps[1][1], GridSearchCV)


def test_neighbours_that_were_sparse(convert: Convert, wine: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = wine
    model = KNeighborsClassifier(3).fit(csr_matrix(rows), labels)

    assert convert(model, rows)[1].parity.data.flips == 0

    monkeypatch.setattr(f"{rewrite.__module__}.MAX_DENSE", 1_000)
    with pytest.raises(Unsupported, match="it keeps a sparse matrix of 178 x 13"):
        convert(model, rows)
