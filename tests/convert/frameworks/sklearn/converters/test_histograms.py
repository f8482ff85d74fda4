from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, VotingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree, Array

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported

pytestmark = pytest.mark.framework

FEW: dict[str, Any] = {"max_iter": 5, "min_samples_leaf": 3}
ROWS = 200


@pytest.fixture(scope="module")
def mixed() -> tuple[Array, Array]:
    """Rows with categories in the columns 0 and 2, also multiples of 3 below zero, and a value that they decide."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(ROWS, 4))
    rows[:, 0], rows[:, 2] = generator.integers(0, 12, ROWS), 3 * generator.integers(-3, 40, ROWS)
    return rows, rows[:, 0] * 7 % 5 * 10 + rows[:, 2] * 5 % 11 + rows[:, 1]


@pytest.fixture(scope="module")
def frame() -> Any:
    generator = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "size": generator.normal(size=ROWS),
            "city": pandas.Categorical(generator.choice(["Ulm", "Köln", "Bonn"], ROWS)),
            "grade": pandas.Categorical(generator.choice([3, 5, 9], ROWS)),
            "age": generator.integers(18, 90, ROWS),
        }
    )


def decide(frame: Any) -> Array:
    return np.asarray(5.0 * (frame["city"] == "Ulm") + frame["size"] + 3 * (frame["grade"] == 5))


def agrees(conversion: Conversion) -> bool:
    parity = conversion.parity
    assert parity.edges is not None
    found = parity.data.outliers, parity.data.flips, parity.edges.outliers, parity.edges.flips
    return (*found, parity.missing) == (0, 0, 0, 0, "agrees")


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gamma", "poisson", "quantile"])
def test_regressors(agree: Agree, loss: str) -> None:
    settings = {"quantile": 0.8} if loss == "quantile" else {}
    agree(HistGradientBoostingRegressor(loss=loss, **settings, **FEW), *load_diabetes(return_X_y=True), kind=np.float64)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_classifiers(agree: Agree, load: Any) -> None:
    agree(HistGradientBoostingClassifier(**FEW), *load(return_X_y=True), kind=np.float64)


def test_missing_values_and_monotonic_constraints(convert: Convert) -> None:
    rows, values = load_diabetes(return_X_y=True)
    rows = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    model = HistGradientBoostingRegressor(monotonic_cst=[1, -1] + [0] * 8, **FEW).fit(rows[::2], values[::2])

    assert agrees(convert(model, rows[1::2].astype(np.float32))[1])


@pytest.mark.parametrize("gaps", [False, True], ids=["full", "with gaps"])
@pytest.mark.parametrize("columns", [[0, 2], [True, False, True, False]], ids=str)
def test_categories_in_a_matrix(convert: Convert, mixed: tuple[Array, Array], columns: Any, gaps: bool) -> None:
    rows, values = mixed
    rows = np.where(gaps & (np.random.default_rng(0).random(rows.shape) < 0.2), np.nan, rows)
    model = HistGradientBoostingRegressor(categorical_features=columns, **FEW).fit(rows[::2], values[::2])

    original, conversion = convert(model, rows[1::2].astype(np.float32))

    assert [one.tensor.name for one in original.inputs] == ["features"]
    assert agrees(conversion)


def test_categories_without_an_encoder_are_refused(convert: Convert, mixed: tuple[Array, Array]) -> None:
    model = HistGradientBoostingRegressor(categorical_features=[0, 2], **FEW).fit(*mixed)
    model._preprocessor = None  # as in scikit-learn 1.3 and older

    with pytest.raises(Unsupported, match="train it again with a newer version"):
        convert(model)


def test_unknown_categories_and_fractions_are_missing(convert: Convert, mixed: tuple[Array, Array]) -> None:
    rows, values = mixed
    model = HistGradientBoostingRegressor(categorical_features=[0, 2], **FEW).fit(rows, values)
    unknown = np.array([[at, 0, at, 0] for at in (-1, 0.5, 1, 1.5, 3, 12, 250, 300, np.nan)], np.float32)

    assert agrees(convert(model, unknown)[1])


@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers_of_categories(convert: Convert, mixed: tuple[Array, Array], classes: int) -> None:
    rows, values = mixed
    labels = np.digitize(values, np.quantile(values, [0.3, 0.6][: classes - 1])).astype(str)
    model = HistGradientBoostingClassifier(categorical_features=[0, 2], **FEW).fit(rows[::2], labels[::2])

    assert agrees(convert(model, rows[1::2].astype(np.float32))[1])


def test_as_many_categories_as_there_may_be(convert: Convert) -> None:
    rows = np.arange(255.0).repeat(2)[:, None]
    values = np.random.default_rng(0).normal(size=255).repeat(2)
    model = HistGradientBoostingRegressor(categorical_features=[0], **FEW).fit(rows, values)

    assert agrees(convert(model, np.arange(-2, 300, dtype=np.float32)[:, None])[1])


def test_rows_are_drawn_among_the_categories_of_a_matrix(convert: Convert, mixed: tuple[Array, Array]) -> None:
    model = HistGradientBoostingRegressor(categorical_features=[0, 2], **FEW).fit(*mixed)

    original, conversion = convert(model)

    drawn = conversion.expected.data.cases[0].tensors["features"]
    assert np.isin(drawn[:, 0], np.arange(12)).mean() > 0.2
    assert agrees(conversion)
    assert original.inputs[0].tensor.shape == (-1, 4)


@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_categories_in_a_dataframe(convert: Convert, frame: Any, kind: Any) -> None:
    values = decide(frame)

    original, conversion = convert(
        kind(**FEW).fit(frame, values > 3 if kind is HistGradientBoostingClassifier else values)
    )

    assert [(one.tensor.name, one.tensor.datatype) for one in original.inputs] == [
        ("size", "FP32"), ("city", "BYTES"), ("grade", "FP32"), ("age", "FP32"),
    ]  # fmt: skip
    assert agrees(conversion)


def test_categories_by_name_and_missing_ones(convert: Convert, frame: Any) -> None:
    values = decide(frame)
    frame = frame.astype({"city": object})
    frame.loc[::7, "city"] = None
    frame.loc[::5, "grade"] = np.nan

    assert agrees(
        convert(HistGradientBoostingRegressor(categorical_features=["city", "grade"], **FEW).fit(frame, values))[1]
    )


def test_categories_that_are_numbers_are_columns_of_a_matrix(convert: Convert, frame: Any) -> None:
    original, conversion = convert(HistGradientBoostingRegressor(**FEW).fit(frame[["age", "grade"]], decide(frame)))

    assert [one.tensor.name for one in original.inputs] == ["features"]
    assert agrees(conversion)


def test_categories_behind_an_encoder_and_in_a_vote(convert: Convert, frame: Any) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((encoder, ["city"]), ("passthrough", ["size"]))
    piped = make_pipeline(columns, HistGradientBoostingRegressor(categorical_features=[0], **FEW))
    voting = VotingRegressor(
        [("a", HistGradientBoostingRegressor(**FEW)), ("b", HistGradientBoostingRegressor(max_iter=2))]
    )

    for model in (piped, voting):
        assert agrees(convert(model.fit(frame, decide(frame)))[1])


def test_the_decision_function_is_calibrated(convert: Convert, mixed: tuple[Array, Array]) -> None:
    rows, values = mixed
    model = CalibratedClassifierCV(HistGradientBoostingClassifier(categorical_features=[0, 2], **FEW), cv=2)

    assert agrees(convert(model.fit(rows[::2], values[::2] > 15), rows[1::2].astype(np.float32))[1])
