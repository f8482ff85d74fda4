from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    RandomTreesEmbedding,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer, StandardScaler

from snooze.convert.attempts import Conversion
from snooze.convert.checks.cases import Array
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework
Data = tuple[Array, Array]
Convert = Callable[..., tuple[Original, Conversion]]
FEW = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1}
LIGHT: dict[str, Any] = {"verbose": -1, "min_child_samples": 5, **FEW}


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


def agrees(conversion: Conversion) -> bool:
    data = conversion.parity.data
    return (conversion.parity.verdict, data.outliers, data.flips) == ("agrees", 0, 0)


@pytest.mark.parametrize("last", [lightgbm.LGBMClassifier(**LIGHT), xgboost.XGBClassifier(**FEW)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_classifier_behind_a_scaler(convert: Convert, cancer: Data, last: Any, kind: Any) -> None:
    rows, labels = cancer
    model = make_pipeline(StandardScaler(), last).fit(rows.astype(kind), labels)

    original, conversion = convert(model, rows.astype(kind))

    assert agrees(conversion)
    assert (original.framework, list(original.roles)) == ("scikit-learn", ["label", "probabilities"])


@pytest.mark.parametrize("last", [lightgbm.LGBMRegressor(**LIGHT), xgboost.XGBRegressor(**FEW)])
def test_a_regressor_behind_a_scaler(convert: Convert, diabetes: Data, last: Any) -> None:
    rows, values = diabetes

    _, conversion = convert(make_pipeline(StandardScaler(), last).fit(rows, values), rows)

    assert agrees(conversion)
    assert [(one.name, one.shape) for one in conversion.outputs] == [("value", (-1, 1))]


@pytest.mark.parametrize("last", [lightgbm.LGBMClassifier(**LIGHT), xgboost.XGBClassifier(num_parallel_tree=3, **FEW)])
def test_behind_columns_of_different_kinds(convert: Convert, diabetes: Data, last: Any) -> None:
    rows = np.c_[np.arange(len(diabetes[0])) % 4, diabetes[0][:, :3]]
    columns = [
        ("codes", OneHotEncoder(sparse_output=False), [0]),
        ("rest", "passthrough", [1, 2]),
    ]
    model = make_pipeline(ColumnTransformer(columns), last).fit(rows, diabetes[1] > 150)

    assert agrees(convert(model, rows)[1])


def test_texts_as_classes(convert: Convert, wine: Data) -> None:
    rows, labels = wine
    model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(**LIGHT)).fit(
        rows, np.array(["ü", "b", "a"])[labels]
    )

    original, conversion = convert(model, rows)

    assert agrees(conversion)
    assert original.classes == ("a", "b", "ü")


def test_several_models_that_vote(convert: Convert, wine: Data) -> None:
    votes = [("light", lightgbm.LGBMClassifier(**LIGHT)), ("x", xgboost.XGBClassifier(**FEW))]

    assert agrees(convert(VotingClassifier(votes, voting="soft").fit(*wine), wine[0])[1])


def test_several_models_that_are_stacked(convert: Convert, diabetes: Data) -> None:
    stack = [("light", lightgbm.LGBMRegressor(**LIGHT)), ("x", xgboost.XGBRegressor(missing=0.0, **FEW))]

    assert agrees(convert(StackingRegressor(stack, Ridge(), cv=2).fit(*diabetes), diabetes[0])[1])


@pytest.mark.parametrize("base", [lightgbm.LGBMClassifier(**LIGHT), xgboost.XGBClassifier(**FEW)])
@pytest.mark.parametrize("data", ["cancer", "wine"])
def test_calibrated_classifiers(convert: Convert, request: pytest.FixtureRequest, base: Any, data: str) -> None:
    """LGBMClassifier has a decision function, which scikit-learn calibrates instead of the probabilities."""
    rows, labels = request.getfixturevalue(data)
    with quiet():
        model = CalibratedClassifierCV(base, cv=2).fit(rows, labels)

    assert agrees(convert(model, rows)[1])


def test_zeros_of_a_sparse_matrix_are_refused(convert: Convert, diabetes: Data) -> None:
    """XGBoost takes them for missing values, the graph for zeros."""
    rows = np.c_[np.arange(len(diabetes[0])) % 4, diabetes[0][:, :3]]
    columns = [("codes", OneHotEncoder(handle_unknown="ignore"), [0]), ("rest", "passthrough", [1])]
    model = make_pipeline(ColumnTransformer(columns, sparse_threshold=1), xgboost.XGBClassifier(**FEW))

    with pytest.raises(ParityRefused):
        convert(model.fit(rows, diabetes[1] * (rows[:, 0] != 1) > 150), rows)


@pytest.mark.parametrize("last", [lightgbm.LGBMRegressor(**LIGHT), xgboost.XGBRegressor(**FEW)])
@pytest.mark.parametrize(
    "first",
    [
        SplineTransformer(n_knots=4),
        KBinsDiscretizer(5, encode="onehot-dense", strategy="uniform"),
        RandomTreesEmbedding(3, sparse_output=False, random_state=0),
    ],
)
def test_behind_what_makes_many_columns_of_one(convert: Convert, diabetes: Data, first: Any, last: Any) -> None:
    rows, values = diabetes

    assert agrees(convert(make_pipeline(first, last).fit(rows, values), rows)[1])


@pytest.mark.parametrize("kind", [BaggingRegressor, AdaBoostRegressor])
@pytest.mark.parametrize("member", [lightgbm.LGBMRegressor(**LIGHT), xgboost.XGBRegressor(**FEW)])
def test_members_of_other_ensembles(convert: Convert, diabetes: Data, kind: Any, member: Any) -> None:
    rows, values = diabetes

    assert agrees(convert(kind(member, n_estimators=2, random_state=0).fit(rows, values), rows)[1])


@pytest.mark.parametrize("member", [lightgbm.LGBMClassifier(**LIGHT), xgboost.XGBClassifier(**FEW)])
def test_classifiers_in_bags_and_in_front_of_boosting(convert: Convert, cancer: Data, member: Any) -> None:
    rows, labels = cancer
    bag = BaggingClassifier(member, n_estimators=2, max_features=0.5, random_state=0)

    for model in (bag, GradientBoostingClassifier(init=member, n_estimators=2)):
        assert agrees(convert(model.fit(rows, labels), rows)[1])
