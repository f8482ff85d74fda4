from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            [("scale", StandardScaler()), ("bend", SplineTransformer())],
            "preprocess > num > bend > SplineTransformer; use PolynomialFeatures or KBinsDiscretizer",
        ),
        (
            [("log", FunctionTransformer(np.log1p))],
            "preprocess > num > log > FunctionTransformer; apply the function to the rows before they are sent, "
            "and train on its results",
        ),
        (
            [("fill", KNNImputer())],
            "preprocess > num > fill > KNNImputer is converted to functions that are not served",
        ),
    ],
    ids=["spline", "function", "neighbours"],
)
def test_names_the_place_of_a_part_and_what_to_do(convert: Convert, people: Any, steps: Any, problem: str) -> None:
    preprocess = ColumnTransformer([("num", Pipeline(steps), ["age"]), ("cat", OneHotEncoder(), ["city"])])
    model = Pipeline([("preprocess", preprocess), ("classify", LogisticRegression())])

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(people, people["works"]))

    assert caught.value.model == "Pipeline"
    assert problem in caught.value.problem


def test_advice_for_the_model_itself(convert: Convert) -> None:
    model = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(np.eye(3), [1, 2, 3]))

    advice = "train its regressor on the transformed target, and transform the answers back"
    assert caught.value.problem == f"skl2onnx has no converter for it; {advice}"


def test_categorical_columns_of_boosting_are_refused(people: Any) -> None:
    frame = people[["age", "city"]].astype({"city": "category"})

    with pytest.raises(Unsupported, match="put an OrdinalEncoder in front of it"):
        FRAMEWORK.signature(HistGradientBoostingClassifier(max_iter=2).fit(frame, people["works"]))


@pytest.mark.parametrize("reader", ["ColumnTransformer", "TfidfVectorizer"])
def test_columns_and_texts_behind_another_estimator_are_refused(convert: Convert, people: Any, reader: str) -> None:
    """skl2onnx gives it one matrix only."""
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age"]))
    first, rows = (TfidfVectorizer(), people["note"]) if reader == "TfidfVectorizer" else (columns, people)
    model = CalibratedClassifierCV(make_pipeline(first, LogisticRegression()), cv=2)

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(rows, people["works"]))

    assert caught.value.problem.endswith(f"as in make_pipeline({reader}(...), CalibratedClassifierCV(...))")


@pytest.mark.parametrize(
    ("vectorizer", "problem"),
    [
        (TfidfVectorizer(stop_words=["a"], ngram_range=(1, 2)), "use stop_words=None or ngram_range=(1, 1)"),
        (TfidfVectorizer(strip_accents="unicode"), "use strip_accents=None"),
        (CountVectorizer(analyzer="char_wb"), "use 'char' or 'word'"),
        (CountVectorizer(analyzer=str.split), "a graph cannot run its analyzer"),
        (CountVectorizer(tokenizer=str.split, token_pattern=None), "a graph cannot run its tokenizer"),
        (CountVectorizer(token_pattern=r"\S+"), "use the default"),
        (CountVectorizer(preprocessor=str.upper), "a graph cannot run its preprocessor"),
    ],
    ids=["stop words", "accents", "char_wb", "analyzer", "tokenizer", "pattern", "preprocessor"],
)
def test_settings_of_texts_that_a_graph_cannot_follow(people: Any, vectorizer: Any, problem: str) -> None:
    model = Pipeline([("words", vectorizer), ("classify", LogisticRegression())]).fit(people["note"], people["works"])

    with pytest.raises(Unsupported) as caught:
        FRAMEWORK.signature(model)

    assert caught.value.problem.startswith(f"words > {type(vectorizer).__name__}: ")
    assert problem in caught.value.problem
