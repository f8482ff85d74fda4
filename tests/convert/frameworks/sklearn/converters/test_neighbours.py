from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import Ridge
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    KNeighborsTransformer,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
    RadiusNeighborsTransformer,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.errors import Unsupported

pytestmark = pytest.mark.framework

Settings = dict[str, Any]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weights": "distance"},
        {"weights": None, "n_neighbors": 4},
        {"algorithm": "brute"},
        {"algorithm": "ball_tree", "n_neighbors": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_nearest_classifier(agree: Agree, load: Any, settings: Settings) -> None:
    agree(KNeighborsClassifier(**settings), *load(return_X_y=True))


@pytest.mark.parametrize("settings", [{}, {"weights": "distance"}, {"algorithm": "brute", "n_neighbors": 7}], ids=str)
def test_nearest_regressor(agree: Agree, settings: Settings) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    agree(KNeighborsRegressor(**settings), rows[:200], targets[:200])
    agree(KNeighborsRegressor(**settings), rows[:200], np.c_[targets, rows[:, 0]][:200])


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_nearest_transformer(agree: Agree, mode: str) -> None:
    rows, targets = load_wine(return_X_y=True)
    agree(KNeighborsTransformer(mode=mode, n_neighbors=3), rows)
    agree(make_pipeline(KNeighborsTransformer(mode=mode), Ridge()), rows, targets * 1.5)


def test_rows_that_were_kept_decide_alone(convert: Convert) -> None:
    """With weights by distance, a distance of 0 leaves no weight to others."""
    rows, targets = load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    original, conversion = convert(KNeighborsRegressor(weights="distance").fit(rows, targets), rows)
    (answer,) = original.answer_all(conversion.expected.data.cases)
    assert np.allclose(answer.tensors["value"][:, 0], targets)


def test_kept_rows_that_differ_in_nothing(convert: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)
    for weights in ("uniform", "distance"):
        model = KNeighborsClassifier(weights=weights, algorithm="brute").fit(np.zeros((9, 4)), labels[48:57])
        _, conversion = convert(model, rows.astype(np.float32))
        assert conversion.parity.data.worst < 1e-6


@pytest.mark.parametrize("rows", [1, 2])
def test_few_kept_rows(convert: Convert, rows: int) -> None:
    given, labels = load_iris(return_X_y=True)
    model = KNeighborsClassifier(rows).fit(given[49 : 49 + rows, :1], labels[49 : 49 + rows])
    _, conversion = convert(model, given[:, :1].astype(np.float32))
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(4),
        KNeighborsClassifier(4, weights="distance"),
        make_pipeline(StandardScaler(), RadiusNeighborsClassifier(2, outlier_label="most_frequent")),
    ],
    ids=lambda model: type(model).__name__,
)
def test_targets_with_different_numbers_of_classes(convert: Convert, model: Any, text: bool) -> None:
    rows, labels = load_wine(return_X_y=True)
    targets = np.c_[labels, labels > 0, np.arange(len(labels)) // 2 % 4]
    model.fit(rows[::2], targets[::2].astype(str) if text else targets[::2])

    _, conversion = convert(model, rows[1::2].astype(np.float32))

    assert [one.shape for one in conversion.outputs] == [(-1, 3), (-1, 3), (-1, 2), (-1, 4)]
    assert conversion.outputs[0].datatype == ("BYTES" if text else "INT64")
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("outlier", [None, 0, 9, "most_frequent"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_radius_classifier(convert: Convert, weights: str, outlier: Any) -> None:
    rows, labels = load_wine(return_X_y=True)
    radius = 300 if outlier is None else 15
    model = RadiusNeighborsClassifier(radius, weights=weights, outlier_label=outlier).fit(rows[::2], labels[::2])

    original, conversion = convert(model, rows[1::2].astype(np.float32))

    (answer,) = original.answer_all(conversion.expected.data.cases)
    assert (answer.tensors["label"] == 9).any() == (outlier == 9)
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert ("negated" in conversion.parity.edges_refused) == (outlier is None)


def test_radius_classifier_of_texts(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(RadiusNeighborsClassifier(0.5, outlier_label="most_frequent"), rows, labels)
    agree(RadiusNeighborsClassifier(0.5, outlier_label="none"), rows, np.array(["a", "b", "c"], object)[labels])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("settings", [{}, {"weights": "distance"}, {"metric": "manhattan"}], ids=str)
def test_radius_regressor(agree: Agree, settings: Settings, whole: bool) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    agree(RadiusNeighborsRegressor(0.12, **settings), rows[:100], targets[:100].astype(int if whole else float))


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("radius", [0.5, 50])
def test_radius_transformer(agree: Agree, mode: str, radius: float) -> None:
    agree(RadiusNeighborsTransformer(mode=mode, radius=radius), load_wine().data)


def test_distances_between_integers_are_exact(convert: Convert) -> None:
    """Many rows are as far away as the radius: 5² = 3² + 4². They are within it, also on the edge cases."""
    rows: Array = np.random.default_rng(0).integers(0, 12, (120, 2)).astype(np.float32)
    _, conversion = convert(RadiusNeighborsTransformer(mode="connectivity", radius=5).fit(rows[::2]), rows[1::2])
    assert conversion.parity.attempt == "single precision"
    assert conversion.parity.data.worst == 0


@pytest.mark.parametrize(
    ("model", "settings"),
    [(KNeighborsClassifier, {}), (RadiusNeighborsClassifier, {"outlier_label": 0}), (KNeighborsRegressor, {})],
)
def test_weights_that_are_a_function_are_refused(convert: Convert, model: Any, settings: Settings) -> None:
    rows, labels = load_iris(return_X_y=True)
    with pytest.raises(Unsupported) as caught:
        convert(model(weights=lambda distances: 1 / (1 + distances), **settings).fit(rows, labels), rows)
    assert caught.value.model == model.__name__
    assert caught.value.problem.startswith("a graph cannot run weights=<a function>")
