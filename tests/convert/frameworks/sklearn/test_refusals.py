from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            [("clean", FunctionTransformer(np.nan_to_num))],
            "preprocess > num > clean > FunctionTransformer: a graph cannot run its function 'nan_to_num'",
        ),
    ],
    ids=["function"],
)
def test_names_the_place_of_a_part_and_what_to_do(convert: Convert, people: Any, steps: Any, problem: str) -> None:
    preprocess = ColumnTransformer([("num", Pipeline(steps), ["age"]), ("cat", OneHotEncoder(), ["city"])])
    model = Pipeline([("preprocess", preprocess), ("classify", LogisticRegression())])

    with pytest.raises(Unsupported) as caught:
        convert(model.fit(people, people["works"]))

    assert caught.value.model == "Pipeline"
    assert problem in caught.value.problem


def test_searches_without_an_estimator_are_refused() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, refit=False, cv=2).fit([[0], [1], [2], [3]], [0, 1, 0, 1])

    with pytest.raises(Unsupported, match="fit it with refit=True"):
        FRAMEWORK.signature(search)


@pytest.mark.parametrize(
    ("vectorizer", "problem"),
    [
        (TfidfVectorizer(strip_accents="unicode", analyzer="char"), "only of words that are counted"),
        (TfidfVectorizer(strip_accents="ascii", stop_words=["a"]), "only of words that are counted"),
        (TfidfVectorizer(strip_accents="ascii", token_pattern="[a-z]+"), "only of words that are counted"),
        (HashingVectorizer(n_features=16, strip_accents="ascii"), "only of words that are counted"),
        (TfidfVectorizer(strip_accents=str.upper), "a graph cannot run its strip_accents"),
        (CountVectorizer(analyzer=str.split), "a graph cannot run its analyzer"),
        (CountVectorizer(tokenizer=str.split, token_pattern=None), "a graph cannot run its tokenizer"),
        (CountVectorizer(token_pattern=r"\S+"), "use the default"),
        (CountVectorizer(preprocessor=str.upper), "a graph cannot run its preprocessor"),
    ],
    ids=["letters", "stop words", "accents", "hashes", "function", "analyzer", "tokenizer", "pattern", "preprocessor"],
)
def test_settings_of_texts_that_a_graph_cannot_follow(people: Any, vectorizer: Any, problem: str) -> None:
    model = Pipeline([("words", vectorizer), ("classify", LogisticRegression())]).fit(people["note"], people["works"])

    with pytest.raises(Unsupported) as caught:
        FRAMEWORK.signature(model)

    assert caught.value.problem.startswith(f"words > {type(vectorizer).__name__}: ")
    assert problem in caught.value.problem


def test_names_of_files_are_no_texts(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a short text")
    vectorizer = CountVectorizer(input="filename").fit([tmp_path / "text.txt"])

    with pytest.raises(Unsupported, match="cannot read files"):
        FRAMEWORK.signature(vectorizer)
