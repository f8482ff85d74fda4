from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Feature, Original
from snooze.convert.frameworks.sklearn.columns import find_layout
from snooze.convert.frameworks.sklearn.thresholds import find_features
from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]
TRAINED = 500


@pytest.fixture(scope="module")
def integers() -> Data:
    """Rows of integers from 0 to 100, and a class for each."""
    generator = np.random.default_rng(1)
    rows = generator.integers(0, 101, (4_500, 8))
    noise = generator.normal(0, 15, len(rows))
    return rows, (rows[:, 0] + rows[:, 1] * (rows[:, 2] > 40) + noise > 90).astype(int) + (rows[:, 3] > 70)


def find(model: Any) -> tuple[Feature | None, ...] | None:
    return find_features(model, find_layout(model))


def held_out(original: Original, conversion: Conversion, rows: NDArray[Any]) -> float:
    """Return the worst difference of probabilities on rows that the conversion did not see."""
    want = original.run({"features": rows})["probabilities"]
    return float(np.abs(Runner(conversion.file).run({"features": rows})["probabilities"] - want).max())


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), RandomForestClassifier(40, random_state=0)),
        make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=30, random_state=0)),
        make_pipeline(MinMaxScaler(), RandomForestClassifier(20, random_state=0)),
        make_pipeline(MaxAbsScaler(), SimpleImputer(), DecisionTreeClassifier(random_state=0)),
        make_pipeline(RobustScaler(), SelectKBest(k=6), ExtraTreesClassifier(20, random_state=0)),
    ],
    ids=lambda model: "+".join(model.named_steps),
)
def test_a_scaler_in_front_of_trees_is_kept_in_double_precision(convert: Convert, integers: Data, model: Any) -> None:
    """Single precision agreed on drawn rows, and moved up to a third of real rows of integers to other leaves."""
    rows, labels = integers

    original, conversion = convert(model.fit(rows[:TRAINED], labels[:TRAINED]))

    assert conversion.parity.attempt == "double precision up to the last step"
    assert held_out(original, conversion, rows[TRAINED:]) < 1e-5


def test_trees_that_compare_in_double_precision_are_kept_in_it(convert: Convert, integers: Data) -> None:
    """Integers lie on their thresholds."""
    rows, labels = integers
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=20, random_state=0))

    original, conversion = convert(model.fit(rows[:TRAINED], labels[:TRAINED]))

    assert conversion.parity.attempt == "double precision"
    assert held_out(original, conversion, rows[TRAINED:].astype(np.float64)) < 1e-6


def test_trees_without_a_scaler_stay_in_single_precision(convert: Convert, integers: Data) -> None:
    rows, labels = integers

    original, conversion = convert(RandomForestClassifier(20, random_state=0).fit(rows[:TRAINED], labels[:TRAINED]))

    assert conversion.parity.attempt == "single precision"
    assert held_out(original, conversion, rows[TRAINED:]) < 1e-5


def test_features_are_what_the_steps_before_the_trees_make(integers: Data) -> None:
    """Each is (column - center) / scale; a feature of another kind is not known."""
    rows, labels = integers
    columns = ColumnTransformer(
        [
            ("kind", OneHotEncoder(handle_unknown="ignore"), [7]),
            ("scale", make_pipeline(SimpleImputer(), RobustScaler()), [4, 2]),
        ],
        remainder="passthrough",
    )
    model = make_pipeline(MinMaxScaler(), columns, DecisionTreeClassifier()).fit(rows, labels)

    features = find(model)

    assert features is not None
    made, width = model[:-1].transform(rows), len(features)
    made = np.asarray(made.todense() if hasattr(made, "todense") else made)
    known = [number for number, one in enumerate(features) if one is not None]
    assert made.shape[1] == width
    assert known == list(range(width - 7, width))
    assert [features[number].column for number in known] == [4, 2, 0, 1, 3, 5, 6]  # type: ignore[union-attr]
    for number in known:
        one = features[number]
        assert one is not None
        np.testing.assert_allclose(made[:, number], (rows[:, one.column] - one.center) / one.scale, atol=1e-9)


def test_columns_of_a_frame_that_are_texts_or_dropped_are_no_features(integers: Data) -> None:
    frame = pandas.DataFrame(integers[0][:, :3], columns=["a", "b", "c"]).assign(city=["x", "y", "z"] * 1_500)
    columns = ColumnTransformer([("scale", StandardScaler(), ["c", "a"]), ("city", OneHotEncoder(), ["city"])])
    model = make_pipeline(columns, DecisionTreeClassifier()).fit(frame, integers[1])

    features = find(model)

    assert features is not None
    assert [one and (one.tensor, one.column) for one in features] == [("c", 0), ("a", 0), None, None, None]


def test_features_are_not_known_behind_a_step_that_mixes_columns(integers: Data) -> None:
    rows, labels = integers

    assert find(make_pipeline(PCA(2), DecisionTreeClassifier()).fit(rows, labels)) is None
    assert find(DecisionTreeClassifier().fit(rows, labels)) is None
