from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.errors import Unsupported
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Settings = dict[str, Any]


def with_holes(rows: Array, marker: float = np.nan) -> Array:
    """Return rows in which a seventh of the values is missing: in training all of column 3, none of column 0."""
    rows = rows.copy()
    holes = np.random.default_rng(0).random(rows.shape) < 1 / 7
    holes[:, 0] = False
    rows[holes] = marker
    rows[::2, 3] = marker
    return rows


@pytest.fixture(scope="module")
def wine() -> Array:
    return with_holes(load_wine().data[:100])


OPTIONS: list[Settings] = [{}, {"add_indicator": True}, {"keep_empty_features": True}]


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("settings", OPTIONS, ids=str)
def test_statistics(agree: Agree, wine: Array, strategy: str, settings: Settings) -> None:
    agree(SimpleImputer(strategy=strategy, **settings), wine)


@pytest.mark.parametrize("settings", [*OPTIONS, {"n_neighbors": 60}], ids=str)
def test_nearest_rows(agree: Agree, settings: Settings) -> None:
    rows = np.random.default_rng(1).normal(3, 1, (80, 8))  # without rows that are equally far away
    agree(KNNImputer(**settings), with_holes(rows))


def test_nearest_rows_by_distance(convert: Convert) -> None:
    """On awkward scales scikit-learn's own distances are too inexact for it."""
    rows = with_holes(load_wine().data)
    with quiet():
        model = make_pipeline(StandardScaler(), KNNImputer(weights="distance")).fit(rows[::2])
    _, conversion = convert(model, rows[1::2].astype(np.float32))
    assert conversion.parity.data.outliers == 0


def test_nearest_rows_without_a_column_in_common(convert: Convert) -> None:
    """They give the mean of a column."""
    rows = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 5.0], [np.nan, 9.0]])
    original, conversion = convert(KNNImputer().fit(rows), rows.astype(np.float32))
    (answer,) = original.answer_all(conversion.expected.data.cases)
    assert answer.tensors["embedding"].tolist() == [[1, 7], [2, 7], [1.5, 5], [1.5, 9]]


@pytest.mark.parametrize(
    "settings",
    [
        *OPTIONS,
        {"n_nearest_features": 3, "random_state": 0},
        {"estimator": Ridge(), "initial_strategy": "median", "min_value": 0},
        {"estimator": DecisionTreeRegressor(max_depth=2, random_state=0)},
        {"estimator": KNeighborsRegressor(3, weights="distance")},
        {"max_iter": 0},
    ],
    ids=str,
)
def test_rounds_of_estimators(convert: Convert, wine: Array, settings: Settings) -> None:
    with quiet():
        model = IterativeImputer(**{"max_iter": 2, **settings}).fit(wine[::2, :6])
    _, conversion = convert(model, wine[1::2, :6].astype(np.float32))
    assert conversion.parity.data.outliers == 0
    assert conversion.parity.missing == "agrees"


def test_rounds_on_awkward_scales(agree: Agree) -> None:
    found = agree(IterativeImputer(max_iter=2), with_holes(load_iris().data))
    assert all(one.parity.missing == "agrees" for one in found)


@pytest.mark.parametrize("features", ["missing-only", "all"])
def test_indicator(agree: Agree, features: str) -> None:
    rows = with_holes(load_iris().data)
    agree(MissingIndicator(features=features), rows)
    agree(make_union(SimpleImputer(), MissingIndicator(features=features, error_on_new=False)), rows)


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(missing_values=-1, strategy="constant", fill_value=7.5),
        KNNImputer(missing_values=-1),
        IterativeImputer(missing_values=-1, max_iter=2),
        MissingIndicator(missing_values=-1),
    ],
    ids=lambda imputer: type(imputer).__name__,
)
def test_another_marker_of_missing_values(convert: Convert, imputer: Any) -> None:
    rows = with_holes(load_wine().data, marker=-1)
    with quiet():
        imputer.fit(rows[::2])
    _, conversion = convert(imputer, rows[1::2].astype(np.float32))
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("imputer", [KNNImputer(), IterativeImputer(max_iter=1)])
def test_imputers_in_front_of_others(agree: Agree, imputer: Any) -> None:
    labels = np.arange(80) % 3
    rows = with_holes(np.random.default_rng(1).normal(3, 1, (80, 8)) + labels[:, None])
    agree(make_pipeline(imputer, LogisticRegression()), rows, labels)
    columns = make_column_transformer((imputer, [0, 1, 2]), (imputer, list(range(3, 8))))
    agree(make_pipeline(columns, LogisticRegression()), rows, labels)


@pytest.mark.parametrize(
    ("imputer", "problem"),
    [
        (KNNImputer(weights=lambda distances: distances), "a graph cannot run a function as metric or weights"),
        (KNNImputer(metric=lambda one, other, **_: 1.0), "a graph cannot run a function as metric or weights"),
        (IterativeImputer(max_iter=1, sample_posterior=True), "a graph cannot draw from the posterior"),
    ],
)
def test_what_a_graph_cannot_do_is_refused(convert: Convert, imputer: Any, problem: str) -> None:
    rows, _ = load_diabetes(return_X_y=True)
    with quiet():
        imputer.fit(with_holes(rows[:40, :5]))
    with pytest.raises(Unsupported) as caught:
        convert(imputer, rows[:, :5])
    assert caught.value.model == type(imputer).__name__
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize(
    ("columns", "imputer"),
    [
        (["size", "age"], SimpleImputer(add_indicator=True)),
        (["grade", "age"], SimpleImputer(missing_values=2, strategy="median")),
        (["age", "size"], make_pipeline(SimpleImputer(), KBinsDiscretizer(3, quantile_method="linear"))),
        (["city", "note"], make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())),
        (["city"], make_pipeline(SimpleImputer(strategy="constant", fill_value="nowhere"), OneHotEncoder())),
    ],
    ids=["indicator", "number", "pipeline", "texts", "constant text"],
)
def test_columns_of_a_dataframe(convert: Convert, people: Any, columns: Any, imputer: Any) -> None:
    _, conversion = convert(make_column_transformer((imputer, columns)).fit(people), people)

    assert conversion.parity.data.worst < 1e-6
    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize("keep", [False, True])
def test_columns_without_any_value(convert: Convert, keep: bool) -> None:
    """They are left out, or filled with zeros."""
    rows = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 5.0], [4.0, np.nan, np.nan]])
    imputer = SimpleImputer(keep_empty_features=keep).fit(rows)

    _, conversion = convert(imputer, rows)

    assert conversion.outputs[0].shape == (-1, 3 if keep else 2)
    assert conversion.parity.data.worst < 1e-6
