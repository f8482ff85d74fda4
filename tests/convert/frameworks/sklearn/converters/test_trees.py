from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.attempts import Conversion
from snooze.convert.checks.graph import operators

pytestmark = pytest.mark.framework

SCALED = make_pipeline(StandardScaler(), LogisticRegression())
FEW = {"n_estimators": 5, "random_state": 0}
BINARY, SEVERAL, VALUES = (load(return_X_y=True) for load in (load_breast_cancer, load_wine, load_diabetes))


def with_gaps(rows: Array) -> Array:
    return np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)


def differences(conversion: Conversion) -> tuple[int, int, int]:
    data, edges = conversion.parity.data, conversion.parity.edges
    assert edges is not None
    return data.outliers + edges.outliers, data.flips + edges.flips, data.near_ties


@pytest.mark.parametrize(
    "model",
    [DecisionTreeClassifier(), ExtraTreeClassifier(), RandomForestClassifier(**FEW), ExtraTreesClassifier(**FEW)],
)
@pytest.mark.parametrize("data", [BINARY, SEVERAL])
def test_classifiers(agree: Agree, model: Any, data: Any) -> None:
    for conversion in agree(model, *data, kind=np.float64):
        assert "TreeEnsembleRegressor" in operators(conversion.graph)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(),
        DecisionTreeRegressor(criterion="absolute_error", max_depth=3),
        ExtraTreeRegressor(),
        RandomForestRegressor(**FEW, criterion="poisson"),
        ExtraTreesRegressor(**FEW),
        GradientBoostingRegressor(n_estimators=5, loss="huber"),
        GradientBoostingRegressor(n_estimators=5, loss="quantile"),
        GradientBoostingRegressor(n_estimators=5, init="zero"),
        GradientBoostingRegressor(n_estimators=5, init=make_pipeline(StandardScaler(), LinearRegression())),
    ],
    ids=str,
)
def test_regressors(agree: Agree, model: Any) -> None:
    agree(model, *VALUES, kind=np.float64)


@pytest.mark.parametrize("init", [None, "zero", DecisionTreeClassifier(max_depth=2), SCALED], ids=str)
@pytest.mark.parametrize(
    ("data", "loss"),
    [(BINARY, "log_loss"), (BINARY, "exponential"), (SEVERAL, "log_loss")],
    ids=["log", "exp", "three"],
)
def test_boosted_classifiers(convert: Convert, init: Any, data: tuple[Array, Array], loss: str) -> None:
    rows, labels = data
    model = GradientBoostingClassifier(n_estimators=5, init=init, loss=loss).fit(rows[::2], labels[::2])

    assert differences(convert(model, rows[1::2].astype(np.float32))[1]) == (0, 0, 0)


@pytest.mark.parametrize("data", [BINARY, SEVERAL], ids=["two", "three"])
def test_the_decision_function_of_boosted_trees_is_calibrated(convert: Convert, data: tuple[Array, Array]) -> None:
    rows, labels = data
    model = CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=5), cv=2).fit(rows[::2], labels[::2])

    assert differences(convert(model, rows[1::2].astype(np.float32))[1]) == (0, 0, 0)


@pytest.mark.parametrize("kind", [DecisionTreeClassifier, RandomForestClassifier, ExtraTreesClassifier])
def test_missing_values(convert: Convert, kind: Any) -> None:
    rows, labels = SEVERAL
    rows = with_gaps(rows)

    _, conversion = convert(kind(random_state=0).fit(rows[::2], labels[::2]), rows[1::2].astype(np.float32))

    assert differences(conversion) == (0, 0, 0)
    assert conversion.parity.missing == "agrees"


def test_a_split_of_missing_values_from_others(convert: Convert) -> None:
    """Its threshold is infinite."""
    rows = np.array([[np.nan], [np.nan], [1.0], [2.0]] * 5)

    _, conversion = convert(DecisionTreeRegressor(max_depth=1).fit(rows, np.isnan(rows[:, 0])), rows)

    assert differences(conversion) == (0, 0, 0)
    assert conversion.parity.edges_refused == ()


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
@pytest.mark.parametrize("kind", [DecisionTreeClassifier, RandomForestClassifier])
def test_targets_with_different_numbers_of_classes(convert: Convert, kind: Any, texts: bool) -> None:
    rows, labels = SEVERAL
    targets = np.stack([labels, labels % 2], axis=1)
    targets = np.array([[f"class {one}" for one in row] for row in targets], object) if texts else targets

    original, conversion = convert(kind(random_state=0).fit(rows[::2], targets[::2]), rows[1::2].astype(np.float32))

    assert differences(conversion) == (0, 0, 0)
    assert list(original.roles) == ["label", "probabilities_0", "probabilities_1"]


@pytest.mark.parametrize("kind", [DecisionTreeRegressor, RandomForestRegressor])
def test_several_values(convert: Convert, kind: Any) -> None:
    rows, values = VALUES
    targets = np.stack([values, -(values**2)], axis=1)

    _, conversion = convert(kind(max_depth=5).fit(rows[::2], targets[::2]), rows[1::2].astype(np.float32))

    assert differences(conversion) == (0, 0, 0)
    assert conversion.outputs[0].shape == (-1, 2)


@pytest.mark.parametrize("model", [DecisionTreeClassifier(), DecisionTreeRegressor(), RandomForestClassifier(**FEW)])
def test_trees_of_one_leaf(convert: Convert, model: Any) -> None:
    rows = SEVERAL[0]

    assert differences(convert(model.fit(rows, np.full(len(rows), 7)), rows.astype(np.float32))[1]) == (0, 0, 0)


def test_even_votes_are_for_the_first_class(convert: Convert) -> None:
    """Votes are counted before they are divided, so that halves stay halves."""
    rows, labels = BINARY
    model = RandomForestClassifier(6, random_state=0).fit(rows[::2], labels[::2])

    assert (model.predict_proba(rows[1::2].astype(np.float32)) == 0.5).any()
    assert differences(convert(model, rows[1::2].astype(np.float32))[1]) == (0, 0, 0)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("settings", [{}, {"max_leaf_nodes": 4}, {"max_depth": 1}], ids=str)
def test_leaves_as_columns(agree: Agree, settings: dict[str, Any], sparse: bool) -> None:
    model = RandomTreesEmbedding(5, sparse_output=sparse, random_state=0, **settings)

    for conversion in agree(model, VALUES[0], kind=np.float64):
        assert conversion.parity.data.worst == 0


@pytest.mark.parametrize("sparse", [True, False])
def test_leaves_as_columns_for_another_estimator(agree: Agree, sparse: bool) -> None:
    agree(
        make_pipeline(RandomTreesEmbedding(5, sparse_output=sparse, random_state=0), Ridge()), *VALUES, kind=np.float64
    )
