from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import SkewedChi2Sampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import CategoricalNB, MultinomialNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    "model",
    [
        StandardScaler(),
        make_pipeline(SimpleImputer(), StandardScaler()),
        MinMaxScaler(),
        RobustScaler(),
        RandomForestRegressor(5),
        HistGradientBoostingRegressor(max_iter=3),
        KNeighborsRegressor(),
        KBinsDiscretizer(strategy="uniform"),
        KernelRidge(kernel="rbf"),
        QuantileTransformer(n_quantiles=50),
        SplineTransformer(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_numbers_are_drawn_around_those_of_the_training(model: Any) -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal([1e3, -5], [100, 0.1], (300, 2))

    (one,) = FRAMEWORK.signature(model.fit(rows, (rows / [100, 0.1]).sum(1)))

    np.testing.assert_allclose(one.domain.center, [1e3, -5], rtol=0.1)
    assert np.all(one.domain.scale < np.array([400, 0.4]))
    assert np.all(one.domain.scale > np.array([20, 0.02]))


@pytest.mark.parametrize(
    "model",
    [
        NMF(2, init="nndsvda"),
        MultinomialNB(),
        SkewedChi2Sampler(n_components=5),
        LatentDirichletAllocation(2, max_iter=1),
        PowerTransformer(method="box-cox"),
        IsotonicRegression(out_of_bounds="raise"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_numbers_that_a_model_does_not_take_are_not_drawn(model: Any) -> None:
    rows = np.random.default_rng(0).uniform(1, 9, (50, 1 if isinstance(model, IsotonicRegression) else 3))
    inputs = FRAMEWORK.signature(model.fit(rows, rows[:, 0].round()))

    (drawn,) = draw_inputs(inputs, 512).values()

    call = model.predict if hasattr(model, "predict") else model.transform
    assert np.isfinite(call(drawn.astype(np.float64))).all()


def test_a_model_that_does_not_know_its_rows_is_given_standard_normal_ones() -> None:
    (one,) = FRAMEWORK.signature(LinearRegression().fit(np.eye(3), [1, 2, 3]))

    assert (np.asarray(one.domain.center).tolist(), np.asarray(one.domain.scale).tolist()) == ([0, 0, 0], [1, 1, 1])


def test_numbers_of_categories_are_known(converter: Any) -> None:
    rows = np.array([[0, 0], [1, 5], [0, 9]])
    _, conversion = converter(FRAMEWORK)(CategoricalNB().fit(rows, [0, 1, 0]))

    assert conversion.expected.data.cases[0].tensors["features"].max() < 10
    assert conversion.parity.data.outliers == 0


def test_categories_are_drawn_from_the_encoders(people: Any) -> None:
    ignoring = OneHotEncoder(handle_unknown="ignore")
    model = make_column_transformer((OrdinalEncoder(), ["note", "size"]), (ignoring, ["city", "grade"])).fit(people)

    choices = {one.tensor.name: one.domain.choices for one in FRAMEWORK.signature(model)}

    assert choices["note"] == ("a good day", "kein schöner Tag", "so so")
    assert choices["city"] == ("Bonn", "Köln", "Ulm", "unknown", "")
    assert choices["grade"] == (0, 1, 2, 3, 4)
    assert choices["size"] is not None
    assert choices["size"][:2] == (1.5, 2.5)


def test_categories_in_a_matrix_are_drawn_for_each_column() -> None:
    rows = np.array([[0.1, 5.0, 3.0], [0.7, 5.0, 4.0]])
    model = make_column_transformer((OrdinalEncoder(), [0]), (StandardScaler(), [1, 2])).fit(rows)

    (one,) = FRAMEWORK.signature(model)

    assert one.domain.columns == ((0.1, 0.7), None, None)
    assert np.asarray(one.domain.center).tolist()[1:] == [5, 3.5]


def test_labels_are_drawn_from_the_known_ones() -> None:
    (one,) = FRAMEWORK.signature(LabelEncoder().fit(["b", "a"]))

    assert one.domain.choices == ("a", "b")


def test_texts_are_drawn_from_the_vocabulary(people: Any) -> None:
    (one,) = FRAMEWORK.signature(make_pipeline(CountVectorizer(), StandardScaler(with_mean=False)).fit(people["note"]))

    words = {word for text in one.domain.choices or () for word in str(text).split()}
    assert {"good", "day", "kein", "schöner", "tag", "so", "unknown"} <= words
    assert "" in (one.domain.choices or ())
