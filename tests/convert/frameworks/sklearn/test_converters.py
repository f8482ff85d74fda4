from collections.abc import Callable
from typing import Any

import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


RARE = {"min_frequency": 50}
GROUPED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-5, **RARE)


@pytest.mark.parametrize(
    ("columns", "encoder"),
    [
        (["city", "grade"], OneHotEncoder(handle_unknown="ignore")),
        (["city", "grade"], OneHotEncoder(drop="first", dtype=int)),
        (["size", "city"], OneHotEncoder()),
        (["city", "note"], OneHotEncoder(handle_unknown="infrequent_if_exist", drop=["Ulm", "so so"], **RARE)),
        (["city", "grade"], OrdinalEncoder(encoded_missing_value=-2)),
        (["city", "size"], GROUPED),
        (["city", "grade"], TargetEncoder(cv=2)),
        (["city", "note"], SimpleImputer(strategy="most_frequent")),
        (["city"], SimpleImputer(strategy="constant", fill_value="nowhere")),
        (["size", "age"], SimpleImputer(add_indicator=True)),
        (["grade", "age"], SimpleImputer(missing_values=2, strategy="median")),
        (["age"], KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value)[:60],
)  # fmt: skip
def test_encoders_and_imputers_answer_the_same(convert: Convert, people: Any, columns: Any, encoder: Any) -> None:
    steps = [encoder]
    if isinstance(encoder, SimpleImputer) and "city" in columns:
        steps.append(OneHotEncoder(handle_unknown="ignore"))
    model = make_column_transformer((make_pipeline(*steps), columns), (StandardScaler(), ["hours per week"]))
    model.fit(people, people["works"])

    _, conversion = convert(model, people)

    assert conversion.parity.data.worst < 1e-6
    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize("handle_unknown", ["ignore", "infrequent_if_exist"])
def test_unknown_categories(convert: Convert, people: Any, handle_unknown: str) -> None:
    encoder = OneHotEncoder(handle_unknown=handle_unknown, min_frequency=50, drop="first")
    model = make_pipeline(make_column_transformer((encoder, ["city", "note", "grade"])), LogisticRegression())
    others = people.assign(city="Rom", grade=9)
    others.loc[:9, "city"] = ""

    _, conversion = convert(model.fit(people, people["works"]), others)

    assert conversion.parity.data.worst < 1e-6
