from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import ExtraTreeClassifier
from tests.convert.frameworks.sklearn.conftest import Convert

pytestmark = [pytest.mark.framework, pytest.mark.filterwarnings("ignore:.*Maximum iterations")]

Array = NDArray[Any]


@pytest.fixture(scope="module")
def rows() -> Array:
    return np.asarray(np.random.default_rng(0).normal(size=(120, 3)), np.float32)


def yes_or_no(rows: Array) -> Array:
    return (rows[:, :2] > [0, 0.3]).astype(int)


@pytest.mark.parametrize(
    ("model", "widths"),
    [
        (MultiOutputClassifier(LogisticRegression()), [3, 2]),
        (make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression())), [3, 2]),
        (GridSearchCV(MultiOutputClassifier(LinearSVC()), {"estimator__C": [1.0]}, cv=2), []),
    ],
    ids=["classifier", "pipeline", "without probabilities"],
)
@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
def test_each_target_has_a_label_and_probabilities(
    convert: Convert, rows: Array, model: Any, widths: list[int], texts: bool
) -> None:
    targets = np.c_[np.digitize(rows[:, 0], [-0.5, 0.5]), rows[:, 1] > 0].astype(int)

    original, conversion = convert(model.fit(rows, targets.astype(str) if texts else targets), rows)

    assert (original.task, original.classes) == (None, None)
    (label, *probabilities) = conversion.outputs
    assert (label.name, label.datatype, label.shape) == ("label", "BYTES" if texts else "INT64", (-1, 2))
    assert [(one.name, one.shape) for one in probabilities] == [
        (f"probabilities_{at}", (-1, width)) for at, width in enumerate(widths)
    ]
    assert conversion.parity.data.flips == conversion.parity.data.outliers == 0


@pytest.mark.parametrize("model", [RandomForestClassifier(3), KNeighborsClassifier()])
def test_targets_of_trees_and_neighbours(convert: Convert, rows: Array, model: Any) -> None:
    _, conversion = convert(model.fit(rows, yes_or_no(rows)), rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 2), (-1, 2), (-1, 2)]
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize("model", [MLPClassifier((4,), max_iter=9), OneVsRestClassifier(LogisticRegression())])
def test_targets_that_are_yes_or_no(convert: Convert, rows: Array, model: Any) -> None:
    original, conversion = convert(model.fit(rows, np.c_[yes_or_no(rows), rows[:, 2] > 0]), rows)

    assert original.task is None
    assert {one.name: (one.shape, one.role) for one in conversion.outputs} == {
        "label": ((-1, 3), "label"),
        "probabilities": ((-1, 3), None),
    }
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize(
    "model", [MultiOutputRegressor(GradientBoostingRegressor(n_estimators=3)), MLPRegressor(max_iter=9)]
)
def test_several_values_are_columns(convert: Convert, rows: Array, model: Any) -> None:
    _, conversion = convert(model.fit(rows, rows[:, :2]), rows)

    assert [(one.name, one.shape) for one in conversion.outputs] == [("value", (-1, 2))]


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
@pytest.mark.parametrize(
    "model",
    [RandomForestClassifier(3), ExtraTreeClassifier(), KNeighborsClassifier()],
    ids=lambda one: type(one).__name__,
)
def test_targets_of_different_numbers_of_classes(convert: Convert, rows: Array, model: Any, texts: bool) -> None:
    targets = np.c_[yes_or_no(rows), np.digitize(rows[:, 0], [-0.5, 0.5])]

    _, conversion = convert(model.fit(rows, targets.astype(str) if texts else targets), rows)

    assert [one.shape for one in conversion.outputs] == [(-1, 3), (-1, 2), (-1, 2), (-1, 3)]
    assert conversion.parity.data.flips == 0


def test_outputs_give_way_to_columns_of_the_same_name(convert: Convert, rows: Array) -> None:
    frame = pandas.DataFrame({"label": rows[:, 0], "value": np.where(rows[:, 1] > 0, "a", "b")})
    columns = make_column_transformer((OneHotEncoder(), ["value"]), remainder="passthrough")

    original, conversion = convert(make_pipeline(columns, LinearSVC()).fit(frame, rows[:, 2] > 0), frame)

    assert [one.name for one in conversion.inputs] == ["label", "value"]
    assert [one.name for one in conversion.outputs] == ["predicted_label", "predicted_scores"]
    assert original.decides == "predicted_scores"
