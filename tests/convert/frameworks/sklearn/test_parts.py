import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from snooze.convert.frameworks.sklearn.parts import describe_place, fitted_parts, located_parts, readers

pytestmark = pytest.mark.framework


def test_says_where_each_part_is() -> None:
    scale = ColumnTransformer([("num", make_pipeline(StandardScaler(), PCA()), [0])])
    model = Pipeline([("preprocess", scale), ("fit", VotingRegressor([("a", Ridge())]))])

    places = [describe_place(*found) for found in located_parts(model)]

    assert "preprocess > num > PCA" in places
    assert "fit > a > Ridge" in places
    assert places[0] == "Pipeline"


def test_finds_what_was_fitted() -> None:
    model = VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor(2))]).fit([[0.0], [1.0]], [0.0, 1.0])

    fitted = [part for part in fitted_parts(model) if hasattr(part, "coef_") or hasattr(part, "tree_")]

    assert sorted(type(part).__name__ for part in fitted) == ["DecisionTreeRegressor", "DecisionTreeRegressor", "Ridge"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Pipeline([("none", "passthrough"), ("scale", StandardScaler()), ("fit", Ridge())]), ["StandardScaler"]),
        (FeatureUnion([("a", StandardScaler()), ("b", PCA())]), ["StandardScaler", "PCA"]),
        (VotingRegressor([("a", Ridge()), ("b", LinearRegression())]), ["Ridge", "LinearRegression"]),
        (BaggingRegressor(Ridge()), []),  # each reads some of the columns
        (RandomForestRegressor(2), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_finds_those_that_are_given_the_rows(model: object, expected: list[str]) -> None:
    model.fit([[0.0], [1.0]], [0.0, 1.0])  # type: ignore[attr-defined]

    assert [type(part).__name__ for part in readers(model)] == expected
