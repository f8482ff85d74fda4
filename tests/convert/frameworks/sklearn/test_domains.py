from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

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


def test_a_model_that_does_not_know_its_rows_is_given_standard_normal_ones() -> None:
    (one,) = FRAMEWORK.signature(LinearRegression().fit(np.eye(3), [1, 2, 3]))

    assert (np.asarray(one.domain.center).tolist(), np.asarray(one.domain.scale).tolist()) == ([0, 0, 0], [1, 1, 1])


def test_categories_are_drawn_from_the_encoders(people: Any) -> None:
    ignoring = OneHotEncoder(handle_unknown="ignore")
    model = make_column_transformer((OrdinalEncoder(), ["note", "size"]), (ignoring, ["city", "grade"])).fit(people)

    choices = {one.tensor.name: one.domain.choices for one in FRAMEWORK.signature(model)}

    assert choices["note"] == ("a good day", "kein schöner Tag", "so so")
    assert choices["city"] == ("Bonn", "Köln", "Ulm", "unknown", "")
    assert choices["grade"] == (0, 1, 2, 3, 4)
    assert choices["size"] is not None
    assert choices["size"][:2] == (1.5, 2.5)


def test_texts_are_drawn_from_the_vocabulary(people: Any) -> None:
    (one,) = FRAMEWORK.signature(make_pipeline(CountVectorizer(), StandardScaler(with_mean=False)).fit(people["note"]))

    words = {word for text in one.domain.choices or () for word in str(text).split()}
    assert {"good", "day", "kein", "schöner", "tag", "so", "unknown"} <= words
    assert "" in (one.domain.choices or ())
