from typing import Any

import numpy as np
import pytest
from onnxruntime import InferenceSession
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, IsolationForest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

pytestmark = pytest.mark.framework

SCALED = make_pipeline(StandardScaler(), LogisticRegression())
BINARY, SEVERAL, VALUES = (load(return_X_y=True) for load in (load_breast_cancer, load_wine, load_diabetes))


def bag(member: Any, kind: Any = BaggingClassifier, **settings: Any) -> Any:
    return kind(member, n_estimators=3, random_state=0, **settings)


@pytest.mark.parametrize(
    "model",
    [
        bag(None),
        bag(DecisionTreeClassifier(max_depth=3), max_features=0.5),
        bag(SCALED, bootstrap_features=True),
        bag(RidgeClassifier(), max_features=0.6),
    ],
    ids=["trees", "columns", "pipelines", "votes"],
)
@pytest.mark.parametrize("data", [BINARY, SEVERAL], ids=["two", "three"])
def test_bags_of_classifiers(agree: Agree, model: Any, data: Any) -> None:
    agree(model, *data, kind=np.float64)


def test_members_that_do_not_know_all_classes(convert: Convert) -> None:
    rows, labels = SEVERAL
    model = bag(SCALED, max_samples=4).set_params(random_state=1).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2].astype(np.float32))

    assert {len(one.classes_) for one in model.estimators_} == {2, 3}
    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("member", [None, RidgeClassifier(), SCALED], ids=["trees", "votes", "pipelines"])
@pytest.mark.parametrize("data", [BINARY, SEVERAL], ids=["two", "three"])
def test_bags_are_calibrated(convert: Convert, member: Any, data: tuple[Array, Array]) -> None:
    rows, labels = data
    model = CalibratedClassifierCV(bag(member), cv=2).fit(rows[::2], labels[::2])

    _, conversion = convert(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("member", [None, DecisionTreeRegressor(max_depth=3), Ridge()], ids=str)
@pytest.mark.parametrize("settings", [{}, {"max_features": 0.5}, {"bootstrap_features": True}], ids=str)
def test_bags_of_regressors(convert: Convert, member: Any, settings: dict[str, Any]) -> None:
    rows, values = VALUES
    for targets in (values, np.stack([values, -(values**2)], axis=1)):
        model = bag(member, BaggingRegressor, **settings).fit(rows[::2], targets[::2])

        _, conversion = convert(model, rows[1::2].astype(np.float32))

        assert conversion.parity.data.outliers == 0
        assert conversion.outputs[0].shape == (-1, targets.ndim)


@pytest.mark.parametrize(
    "settings", [{}, {"max_features": 0.5}, {"contamination": 0.1}, {"max_samples": 1}, {"bootstrap": True}], ids=str
)
def test_isolation_forests(agree: Agree, settings: dict[str, Any]) -> None:
    for conversion in agree(IsolationForest(n_estimators=5, random_state=0, **settings), VALUES[0], kind=np.float64):
        assert [one.shape for one in conversion.outputs] == [(-1, 1), (-1, 1)]
        assert len(conversion.graph.graph.node) < 25, "one node for all trees"


def test_isolation_of_missing_values(convert: Convert) -> None:
    rows = np.where(np.random.default_rng(0).random(VALUES[0].shape) < 0.2, np.nan, VALUES[0])

    _, conversion = convert(IsolationForest(n_estimators=5, random_state=0).fit(rows[::2]), rows[1::2])

    assert (conversion.parity.data.outliers, conversion.parity.missing) == (0, "agrees")


def test_labels_of_the_rows_that_set_the_threshold(convert: Convert) -> None:
    rows = VALUES[0][:101].astype(np.float32)
    for seed in range(5):
        model = IsolationForest(n_estimators=9, contamination=0.2, random_state=seed).fit(rows)

        _, conversion = convert(model, rows)

        assert (model.decision_function(rows) == 0).sum() == 1
        session = InferenceSession(conversion.graph.SerializeToString(), providers=["CPUExecutionProvider"])
        labels, _ = session.run(None, {"features": rows})
        np.testing.assert_array_equal(labels[:, 0], model.predict(rows))
